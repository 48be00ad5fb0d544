/* test_store_operate.c - retry, replay and drop: what is put back, what is left alone. */
#include "test_store.h"

#define ANY_TIME (T0 + 1000000)

static unsigned retry(struct store *s, const struct delivery_filter *f, int64_t now_ms)
{
	unsigned count = 99;

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_retry(s, f, now_ms, &count), 0);
	assert_int_equal(store_commit(s), 0);
	return count;
}

static unsigned drop(struct store *s, const struct delivery_filter *f, const struct delivery_key *running,
		     size_t running_count)
{
	unsigned count = 99;

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_drop(s, f, ANY_TIME, running, running_count, &count), 0);
	assert_int_equal(store_commit(s), 0);
	return count;
}

static void dead_letters_are_put_back(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	struct handler_state c;
	int64_t page, due;
	size_t n;

	for (int64_t i = 1; i <= 3; i++)
		(void)accept_ticket(h->s, i, T0 + i);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0 + 10);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 10);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .failed_only = true, .handler = "other" },
			       ANY_TIME), 0);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .failed_only = true,
			       .since_ms = T0 + 2 }, ANY_TIME), 0);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .failed_only = true }, ANY_TIME), 1);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .failed_only = true }, ANY_TIME), 0);
	c = handler_of(h->r, "page");
	assert_int_equal(c.failed, 0);
	assert_int_equal(c.done, 1);
	assert_int_equal(c.oldest_waiting_ms, T0 + 1);
	assert_int_equal(reader_next_due(h->r, page, &due), 0);
	assert_int_equal(due, ANY_TIME);
	assert_int_equal(reader_due(h->r, page, due, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 1);
	assert_int_equal(refs[0].attempts, 0);
	assert_false(refs[0].late);
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 20);
	assert_int_equal(handler_of(h->r, "page").done, 2);
}

static void one_event_for_all_or_one_handler(void **state)
{
	struct home *h = *state;
	struct delivery_filter f = { .event = 1, .handler = "forward" };
	struct sample m;

	sample_make(&m, 1, T0);
	m.handlers[1] = "forward";
	m.e.handler_count = 2;
	(void)accept_sample(h->s, &m);
	assert_int_equal(retry(h->s, &f, ANY_TIME), 0);         /* waits: nothing to put back */
	(void)settle_to(h->s, handler_number(h->s, "page"), 1, DELIVERY_DONE, 0, T0 + 1);
	(void)settle_to(h->s, handler_number(h->s, "forward"), 1, DELIVERY_DROPPED, 0, T0 + 1);
	assert_int_equal(retry(h->s, &f, ANY_TIME), 1);
	assert_int_equal(handler_of(h->r, "forward").dropped, 0);
	f.handler = NULL;
	assert_int_equal(retry(h->s, &f, ANY_TIME), 1);         /* the other one */
	f.event = 2;
	assert_int_equal(retry(h->s, &f, ANY_TIME), 0);
}

/* Of three updates of a record, the first failed, the second is done, the third waits. */
static void putting_back_keeps_order_and_says_late(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	int64_t page;
	size_t n;

	for (int i = 0; i < 3; i++)
		(void)accept_ticket(h->s, 7, T0);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0 + 1);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 2);
	(void)settle_to(h->s, page, 3, DELIVERY_PARKED, T0 + 3, T0 + 3);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .event = 1 }, T0 + 10), 1);
	assert_int_equal(reader_due(h->r, page, ANY_TIME, refs, 4, &n), 0);
	assert_int_equal(n, 1);         /* 3 stays behind 1 now */
	assert_int_equal(refs[0].event, 1);
	assert_true(refs[0].late);
	assert_true(settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 20, T0 + 11));
	assert_int_equal(reader_due(h->r, page, ANY_TIME, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_true(refs[0].late);      /* still, at the next attempt */
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 21);
	assert_int_equal(reader_due(h->r, page, ANY_TIME, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 3);
	assert_false(refs[0].late);
}

static void replay_ends_though_handlers_are_fast(void **state)
{
	struct home *h = *state;
	const struct delivery_filter f = { .handler = "page" };
	int64_t page;
	unsigned n, all = 0;

	assert_int_equal(store_begin(h->s), 0);
	for (int64_t i = 1; i <= 2500; i++) {
		struct accepted a;
		struct sample m;

		sample_make(&m, i, T0);
		assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	}
	assert_int_equal(store_commit(h->s), 0);
	page = handler_number(h->s, "page");
	for (int64_t i = 1; i <= 2500; i++)
		(void)settle_to(h->s, page, i, DELIVERY_DONE, 0, T0 + 1);
	while ((n = retry(h->s, &f, T0 + 5)) > 0) {
		assert_true(n <= 1000);
		all += n;
		for (int64_t i = 1; i <= 2500; i++)     /* done again before the next call */
			(void)settle_to(h->s, page, i, DELIVERY_DONE, 0, T0 + 6);
	}
	assert_int_equal(all, 2500);
	assert_int_equal(handler_of(h->r, "page").done, 2500);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .since_ms = T0 + 1 }, T0 + 9), 0);
	assert_int_equal(retry(h->s, &(struct delivery_filter){ .since_ms = T0 }, T0 + 9), 1000);
}

static void without_a_body_nothing_is_put_back(void **state)
{
	struct home *h = *state;
	const struct retention all = { .now_ms = T0 + 1000, .max_size = UINT64_MAX, .keep_ms = 100000,
				       .keep_keys_ms = 100000, .keep_payload_ms = 10,
				       .keep_failed_ms = 10, .rows = 100 };
	unsigned n = 0;
	int64_t page, next;
	bool more;

	(void)accept_ticket(h->s, 1, T0);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0 + 1);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_prune(h->s, &all, &n, &more, &next), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_retry(h->s, &(struct delivery_filter){ .event = 1 }, ANY_TIME, &n), -ENODATA);
	assert_int_equal(store_retry(h->s, &(struct delivery_filter){ .failed_only = true }, ANY_TIME, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(store_skipped(h->s), 1);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(delivery_of(h->r, 1).state, DELIVERY_FAILED);
}

static void dropping_takes_what_waits_and_what_failed(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	struct handler_state c;
	int64_t page;
	size_t n;

	for (int64_t i = 1; i <= 6; i++)
		(void)accept_ticket(h->s, i, T0 + i);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 10);
	(void)settle_to(h->s, page, 2, DELIVERY_FAILED, 0, T0 + 10);
	(void)settle_to(h->s, page, 3, DELIVERY_PARKED, T0 + 50, T0 + 10);
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .handler = "other" }, NULL, 0), 0);
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .failed_only = true,
			      .since_ms = T0 + 3 }, NULL, 0), 0);
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .event = 6 }, NULL, 0), 1);
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .handler = "page" },
			      &(struct delivery_key){ page, 5 }, 1), 3);
	assert_int_equal(reader_next(h->r, page, 0, refs, 8, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 5);
	c = handler_of(h->r, "page");
	assert_int_equal(c.dropped, 4);
	assert_int_equal(c.done, 1);
	assert_int_equal(c.failed, 0);
	assert_int_equal(c.low_water, 4);       /* a restart begins at what still waits */
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .handler = "page" }, NULL, 0), 1);
	assert_int_equal(handler_of(h->r, "page").low_water, 6);
	assert_int_equal(handler_of(h->r, "page").oldest_waiting_ms, 0);
	assert_int_equal(delivery_of(h->r, 1).state, DELIVERY_DONE);
	assert_int_equal(delivery_of(h->r, 3).state, DELIVERY_DROPPED);
}

static void dropping_a_head_frees_the_next(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	int64_t page;
	size_t n;

	for (int i = 0; i < 4; i++)
		(void)accept_ticket(h->s, 7, T0);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 50, T0 + 1);
	park_behind(h->s, page, 2, "Ticket/7", T0 + 2);
	park_behind(h->s, page, 4, "Ticket/7", T0 + 2);
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .event = 1 }, NULL, 0), 1);
	assert_int_equal(reader_due(h->r, page, ANY_TIME, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 2);
	/* 3 waits in turn and is before 4 */
	assert_int_equal(drop(h->s, &(struct delivery_filter){ .event = 2 }, NULL, 0), 1);
	assert_int_equal(reader_due(h->r, page, ANY_TIME, refs, 4, &n), 0);
	assert_int_equal(n, 0);
	assert_true(settle_to(h->s, page, 3, DELIVERY_DONE, 0, T0 + 60));
	assert_int_equal(reader_due(h->r, page, ANY_TIME, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 4);
}

static void drop_of_many_comes_in_portions(void **state)
{
	struct home *h = *state;
	const struct delivery_filter f = { .handler = "page", .since_ms = T0 + 10 };
	unsigned n, calls = 0, all = 0;

	assert_int_equal(store_begin(h->s), 0);
	for (int64_t i = 1; i <= 2600; i++) {
		struct accepted a;
		struct sample m;

		sample_make(&m, i, i <= 100 ? T0 : T0 + 10);
		assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	}
	assert_int_equal(store_commit(h->s), 0);
	while ((n = drop(h->s, &f, NULL, 0)) > 0) {
		assert_true(n <= 1000);
		all += n;
		calls++;
	}
	assert_int_equal(all, 2500);
	assert_int_equal(calls, 3);
	assert_int_equal(handler_of(h->r, "page").oldest_waiting_ms, T0);
}

/* ---- alerts ---- */

struct rows {
	struct alert_row items[4];
	size_t count;
};

static int note_row(void *arg, const struct alert_row *row)
{
	struct rows *r = arg;

	assert_true(r->count < 4);
	r->items[r->count++] = *row;
	return 0;
}

static void keep_alerts(struct home *h, const struct alert_row *rows, size_t count)
{
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_alerts(h->s, rows, count), 0);
	assert_int_equal(store_commit(h->s), 0);
}

static void alerts_are_kept_whole_and_replaced(void **state)
{
	static const struct alert_row in[2] = {
		{ .kind = 5, .level = 70, .object = "tickets", .since_ms = T0, .last_ms = T0 + 1, .count = UINT32_MAX + 1ULL,
		  .window_ms = T0 - 5, .told = 3, .text = "it's \"wrong\" \xc3\xa4" },
		{ .kind = 5, .level = 90, .object = "tickets" },
	};
	struct home *h = *state;
	struct rows out = { .count = 0 };

	keep_alerts(h, in, 2);
	assert_int_equal(reader_alerts(h->r, note_row, &out), 0);
	assert_int_equal(out.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(out.items[i].kind, in[i].kind);
		assert_int_equal(out.items[i].level, in[i].level);
		assert_string_equal(out.items[i].object, in[i].object);
		assert_true(out.items[i].since_ms == in[i].since_ms && out.items[i].last_ms == in[i].last_ms);
		assert_true(out.items[i].count == in[i].count && out.items[i].window_ms == in[i].window_ms);
		assert_int_equal(out.items[i].told, in[i].told);
		assert_string_equal(out.items[i].text, in[i].text);
	}
	keep_alerts(h, &in[1], 1);
	out.count = 0;
	assert_int_equal(reader_alerts(h->r, note_row, &out), 0);
	assert_true(out.count == 1 && out.items[0].level == 90);
	keep_alerts(h, NULL, 0);
	out.count = 0;
	assert_int_equal(reader_alerts(h->r, note_row, &out), 0);
	assert_int_equal(out.count, 0);
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)
	static const struct CMUnitTest tests[] = {
		WITH_STORE(dead_letters_are_put_back),
		WITH_STORE(one_event_for_all_or_one_handler),
		WITH_STORE(putting_back_keeps_order_and_says_late),
		WITH_STORE(replay_ends_though_handlers_are_fast),
		WITH_STORE(without_a_body_nothing_is_put_back),
		WITH_STORE(dropping_takes_what_waits_and_what_failed),
		WITH_STORE(dropping_a_head_frees_the_next),
		WITH_STORE(drop_of_many_comes_in_portions),
		WITH_STORE(alerts_are_kept_whole_and_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
