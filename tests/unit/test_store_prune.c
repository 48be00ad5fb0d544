/* test_store_prune.c - retention: what goes when, what stays, and when to look again. */
#include "test_store.h"

#define DAY 86400000LL

static const struct retention usual = {
	.keep_payload_ms = 7 * DAY, .keep_failed_ms = 30 * DAY, .keep_ms = 90 * DAY,
	.keep_keys_ms = 365 * DAY, .max_size = UINT64_MAX, .rows = 100,
};

static unsigned prune_with(struct store *s, const struct retention *limits, int64_t now_ms,
			   int64_t *ret_next)
{
	struct retention r = *limits;
	unsigned all = 0, n = 0, steps = 0;
	int64_t next = 0;
	bool more = true;

	r.now_ms = now_ms;
	while (more) {
		assert_true(steps++ < 10000);
		assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_prune(s, &r, &n, &more, &next), 0);
		assert_int_equal(store_commit(s), 0);
		assert_true(n <= r.rows);
		all += n;
	}
	if (ret_next)
		*ret_next = next;
	return all;
}

static unsigned prune_at(struct store *s, int64_t now_ms, int64_t *ret_next)
{
	return prune_with(s, &usual, now_ms, ret_next);
}

static bool body_kept(struct home *h, int64_t event)
{
	struct event e;

	assert_int_equal(reader_event(h->r, event, &e), 0);
	return e.body_kept;
}

static bool event_kept(struct home *h, int64_t event)
{
	struct event e;
	int r = reader_event(h->r, event, &e);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

static int sum_output(void *arg, const struct attempt *a)
{
	*(size_t *)arg += a->a.out_len + a->a.err_len;
	assert_int_equal(a->a.out_total, 4096);         /* how much it was, is still known */
	return 0;
}

static void empty_store_has_no_date(void **state)
{
	struct home *h = *state;
	int64_t next = 0;

	assert_int_equal(prune_at(h->s, T0, &next), 0);
	assert_true(next == INT64_MAX);
}

/* done, failed, waiting, quarantined; and one more, since the newest stays. */
static void each_kind_goes_in_its_time(void **state)
{
	static const struct {
		int64_t age;
		bool body[4], event[4];
	} rows[] = {
		{ 7 * DAY - 1, { 1, 1, 1, 1 }, { 1, 1, 1, 1 } },
		{ 7 * DAY, { 0, 1, 1, 1 }, { 1, 1, 1, 1 } },
		{ 30 * DAY - 1, { 0, 1, 1, 1 }, { 1, 1, 1, 1 } },
		{ 30 * DAY + 60000, { 0, 0, 1, 0 }, { 1, 1, 1, 1 } },
		{ 90 * DAY + 60000, { 0, 0, 1, 0 }, { 0, 0, 1, 0 } },
		{ 900 * DAY, { 0, 0, 1, 0 }, { 0, 0, 1, 0 } },
	};
	struct home *h = *state;
	struct sample m;
	int64_t page;

	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 2, T0);
	(void)accept_ticket(h->s, 3, T0);
	sample_make(&m, 4, T0);
	m.e.kind = EVENT_QUARANTINED;
	m.e.handler_count = 0;
	(void)accept_sample(h->s, &m);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 1);
	(void)settle_to(h->s, page, 2, DELIVERY_FAILED, 0, T0 + 1);
	(void)accept_ticket(h->s, 5, T0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)prune_at(h->s, T0 + rows[i].age, NULL);
		for (int64_t e = 1; e <= 4; e++) {
			assert_int_equal(event_kept(h, e), rows[i].event[e - 1]);
			if (rows[i].event[e - 1])
				assert_int_equal(body_kept(h, e), rows[i].body[e - 1]);
		}
		assert_true(event_kept(h, 5));
	}
	assert_int_equal(delivery_of(h->r, 1).event, 0);
	/* Counts tell what was, not what is kept. */
	assert_int_equal(handler_of(h->r, "page").accepted, 4);
	assert_int_equal(handler_of(h->r, "page").failed, 1);
}

static void next_date_is_exact(void **state)
{
	struct home *h = *state;
	int64_t page, next = 0;

	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 2, T0 + 5);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 6);
	(void)settle_to(h->s, page, 2, DELIVERY_FAILED, 0, T0 + 6);
	assert_int_equal(prune_at(h->s, T0 + 7, &next), 0);
	assert_int_equal(next, T0 + 7 * DAY);
	assert_int_equal(prune_at(h->s, next, &next), 1);
	assert_int_equal(next, T0 + 5 + 7 * DAY);
	assert_int_equal(prune_at(h->s, next, &next), 0);
	assert_int_equal(next, T0 + 5 + 30 * DAY);      /* the dead letter */
	assert_int_equal(prune_at(h->s, next, &next), 1);
	assert_int_equal(next, T0 + 90 * DAY);
	assert_int_equal(prune_at(h->s, next, &next), 1);
	assert_true(next == INT64_MAX);                 /* only the newest is left */
	assert_int_equal(accept_ticket(h->s, 3, T0 + 91 * DAY), 3);
}

/* Waiting for longer than anything is kept: it goes once it is settled. */
static void late_ones_go_when_they_are_settled(void **state)
{
	struct home *h = *state;
	int64_t page, next;

	for (int64_t i = 1; i <= 4; i++)
		(void)accept_ticket(h->s, i, T0);
	page = handler_number(h->s, "page");
	assert_int_equal(prune_at(h->s, T0 + 100 * DAY, &next), 0);
	assert_true(next == INT64_MAX);         /* nobody has to look for what waits */
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 100 * DAY);
	(void)settle_to(h->s, page, 3, DELIVERY_FAILED, 0, T0 + 100 * DAY);
	assert_true(prune_at(h->s, T0 + 100 * DAY, &next) > 0);
	assert_true(event_kept(h, 1) && event_kept(h, 4));
	assert_true(body_kept(h, 1));
	assert_false(event_kept(h, 2) || event_kept(h, 3));
}

static void more_late_ones_than_are_remembered(void **state)
{
	struct home *h = *state;
	int64_t page;

	assert_int_equal(store_begin(h->s), 0);
	for (int64_t i = 1; i <= 1500; i++) {
		struct accepted a;
		struct sample m;

		sample_make(&m, i, T0);
		assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	}
	assert_int_equal(store_commit(h->s), 0);
	page = handler_number(h->s, "page");
	(void)prune_at(h->s, T0 + 8 * DAY, NULL);
	assert_int_equal(store_begin(h->s), 0);
	for (int64_t i = 1; i < 1500; i++) {
		bool behind;

		assert_int_equal(store_settle(h->s, &(struct settle){ .handler = page, .event = i,
					      .state = DELIVERY_DONE, .now_ms = T0 }, &behind), 0);
	}
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(prune_at(h->s, T0 + 8 * DAY, NULL), 1499);
	assert_true(body_kept(h, 1500));
}

static void output_goes_with_the_body(void **state)
{
	struct home *h = *state;
	char out[4096];
	const struct attempt_new a = {
		.event = 1, .number = 1, .started_ms = T0, .out = out, .out_len = sizeof(out),
		.err = "x", .err_len = 1, .out_total = sizeof(out), .err_total = 1,
	};
	struct attempt_new mine = a;
	size_t bytes = 0;
	bool behind;

	memset(out, 'o', sizeof(out));
	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 2, T0);
	mine.handler = handler_number(h->s, "page");
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_settle(h->s, &(struct settle){ .attempt = &mine, .handler = mine.handler,
				      .event = 1, .state = DELIVERY_DONE, .now_ms = T0 }, &behind), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(reader_attempts(h->r, 1, sum_output, &bytes), 0);
	assert_int_equal(bytes, sizeof(out) + 1);
	(void)prune_at(h->s, T0 + 8 * DAY, NULL);
	/* The attempt is known; its number of output must not mean another one's. */
	mine.event = 2;
	mine.started_ms++;
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_settle(h->s, &(struct settle){ .attempt = &mine, .handler = mine.handler,
				      .event = 2, .state = DELIVERY_DONE, .now_ms = T0 }, &behind), 0);
	assert_int_equal(store_commit(h->s), 0);
	bytes = 0;
	assert_int_equal(reader_attempts(h->r, 1, sum_output, &bytes), 0);
	assert_int_equal(bytes, 0);
}

static void keys_outlive_events(void **state)
{
	static const int64_t times[] = { T0, 0 };
	struct home *h = *state;
	struct accepted a;
	struct sample m;
	int64_t page, next;

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		sample_make(&m, 1, T0);
		sample_key(&m, (uint8_t)(i + 1), times[i]);
		assert_int_equal(accept_sample(h->s, &m), i + 1);
	}
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0);
	(void)accept_ticket(h->s, 9, T0 + 100 * DAY);
	(void)prune_at(h->s, T0 + 200 * DAY, &next);
	assert_false(event_kept(h, 1) || event_kept(h, 2));
	assert_int_equal(next, T0 + 365 * DAY + 1);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		sample_make(&m, 1, T0 + 200 * DAY);
		sample_key(&m, (uint8_t)(i + 1), times[i]);
		assert_int_equal(store_begin(h->s), 0);
		assert_int_equal(store_accept(h->s, &m.e, &a), 0);
		assert_int_equal(store_commit(h->s), 0);
		assert_true(a.duplicate);
		assert_int_equal(a.event, i + 1);
	}
	(void)prune_at(h->s, T0 + 365 * DAY, NULL);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	assert_true(a.duplicate);
	store_rollback(h->s);
	assert_int_equal(prune_at(h->s, T0 + 365 * DAY + 1, NULL), 2);
	assert_int_equal(accept_sample(h->s, &m), 4);
}

static void numbers_are_never_given_twice(void **state)
{
	struct home *h = *state;
	int64_t page;

	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 2, T0);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0);
	(void)prune_at(h->s, T0 + 400 * DAY, NULL);
	assert_false(event_kept(h, 1));
	assert_true(event_kept(h, 2));
	assert_false(body_kept(h, 2));
	home_close(h);
	home_open(h);
	assert_int_equal(accept_ticket(h->s, 3, T0 + 400 * DAY), 3);
	(void)prune_at(h->s, T0 + 400 * DAY, NULL);
	assert_false(event_kept(h, 2));
}

static void row_from_the_future_stops_nobody(void **state)
{
	struct home *h = *state;
	int64_t page;

	(void)accept_ticket(h->s, 1, T0 + 9000 * DAY);
	(void)accept_ticket(h->s, 2, T0);
	(void)accept_ticket(h->s, 3, T0);
	page = handler_number(h->s, "page");
	for (int64_t e = 1; e <= 3; e++)
		(void)settle_to(h->s, page, e, DELIVERY_DONE, 0, T0);
	(void)prune_at(h->s, T0 + 10 * DAY, NULL);
	assert_true(body_kept(h, 1));
	assert_false(body_kept(h, 2) || body_kept(h, 3));
}

static void new_limits_count_for_old_rows(void **state)
{
	struct home *h = *state;
	struct retention shorter = usual;
	int64_t page;

	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 2, T0);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0);
	assert_int_equal(prune_at(h->s, T0 + 20 * DAY, NULL), 0);
	shorter.keep_failed_ms = 10 * DAY;
	assert_int_equal(prune_with(h->s, &shorter, T0 + 20 * DAY, NULL), 1);
	assert_false(body_kept(h, 1));
}

static void rolled_back_step_is_done_again(void **state)
{
	struct home *h = *state;
	struct retention r = usual;
	int64_t next;
	unsigned n = 0;
	bool more;

	(void)accept_ticket(h->s, 1, T0);
	(void)settle_to(h->s, handler_number(h->s, "page"), 1, DELIVERY_DONE, 0, T0);
	r.now_ms = T0 + 8 * DAY;
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_prune(h->s, &r, &n, &more, &next), 0);
	assert_int_equal(n, 1);
	store_rollback(h->s);
	assert_true(body_kept(h, 1));
	assert_int_equal(prune_at(h->s, T0 + 8 * DAY, NULL), 1);
}

/* ---- by size ---- */

static void accept_big(struct home *h, int64_t id, char *body, size_t len)
{
	struct sample m;

	sample_make(&m, id, T0);
	m.e.body = body;
	m.e.body_len = len;
	(void)accept_sample(h->s, &m);
}

static void size_takes_the_oldest_finished_first(void **state)
{
	struct home *h = *state;
	AUTO(free) char *body = calloc(1, 100000);
	struct retention small = usual;
	int64_t page;

	assert_non_null(body);
	for (int64_t i = 1; i <= 30; i++)
		accept_big(h, i, body, 100000);         /* 3 MB */
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0);
	for (int64_t e = 5; e <= 30; e++)               /* 2 to 4 wait */
		(void)settle_to(h->s, page, e, DELIVERY_DONE, 0, T0);
	small.max_size = 2 << 20;
	(void)prune_with(h->s, &small, T0 + 1000, NULL);
	assert_true(body_kept(h, 1) && body_kept(h, 2) && body_kept(h, 4) && body_kept(h, 30));
	assert_false(body_kept(h, 5));
	for (int64_t e = 6; e <= 30; e++)               /* once kept, all younger ones are */
		assert_true(!body_kept(h, e - 1) || e - 1 < 5 || body_kept(h, e));

	small.max_size = 500000;                        /* now dead letters too, and still not what waits */
	(void)prune_with(h->s, &small, T0 + 1000, NULL);
	assert_false(body_kept(h, 30));
	assert_true(body_kept(h, 1));                   /* it was enough */
	small.max_size = 4096;
	(void)prune_with(h->s, &small, T0 + 1000, NULL);
	assert_false(body_kept(h, 1));
	assert_true(body_kept(h, 2) && body_kept(h, 3) && body_kept(h, 4));
	assert_true(event_kept(h, 1) && event_kept(h, 5));
	/* Nothing more can go: it does not try for ever. */
	assert_int_equal(prune_with(h->s, &small, T0 + 1000, NULL), 0);
}

/* ---- freed content is overwritten ---- */

static bool file_has(const char *path, const char *needle)
{
	AUTO(FILE) FILE *f = fopen(path, "re");
	size_t len = strlen(needle), have = 0;
	char window[64] = "";
	int c;

	if (!f)
		return false;
	while ((c = fgetc(f)) != EOF) {
		if (have == len)
			memmove(window, window + 1, --have);
		window[have++] = (char)c;
		if (have == len && memcmp(window, needle, len) == 0)
			return true;
	}
	return false;
}

static void removed_content_is_overwritten(void **state)
{
	static const char needle[] = "needle-in-the-payload";
	struct home *h = *state;
	AUTO(free) char *body = calloc(1, 50000);
	char db[128], wal[128];
	struct sample m;
	int64_t page;

	assert_non_null(body);
	memset(body, ' ', 50000);
	memcpy(body + 10, needle, strlen(needle));
	memcpy(body + 49000, needle, strlen(needle));
	accept_big(h, 1, body, 50000);
	sample_make(&m, 2, T0);
	m.e.body = needle;
	m.e.body_len = strlen(needle);
	m.e.headers = needle;
	(void)accept_sample(h->s, &m);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0);
	assert_int_equal(store_checkpoint(h->s, true), 0);
	assert_true(file_has(home_path(h, "calloutd.db", db), needle));
	(void)prune_at(h->s, T0 + 8 * DAY, NULL);
	home_close(h);
	assert_false(file_has(db, needle));
	assert_false(file_has(home_path(h, "calloutd.db-wal", wal), needle));
	home_open(h);
	assert_false(body_kept(h, 1) || body_kept(h, 2));
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)
	static const struct CMUnitTest tests[] = {
		WITH_STORE(empty_store_has_no_date),
		WITH_STORE(each_kind_goes_in_its_time),
		WITH_STORE(next_date_is_exact),
		WITH_STORE(late_ones_go_when_they_are_settled),
		WITH_STORE(more_late_ones_than_are_remembered),
		WITH_STORE(output_goes_with_the_body),
		WITH_STORE(keys_outlive_events),
		WITH_STORE(numbers_are_never_given_twice),
		WITH_STORE(row_from_the_future_stops_nobody),
		WITH_STORE(new_limits_count_for_old_rows),
		WITH_STORE(rolled_back_step_is_done_again),
		WITH_STORE(size_takes_the_oldest_finished_first),
		WITH_STORE(removed_content_is_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
