/* test_store_again.c - replay, retry and drop of what was picked, and quarantined events understood after all. */
#include "test_store.h"

#include <sqlite3.h>

#define LATER (T0 + 1000000)

static unsigned step(struct store *s, struct again_step a, size_t *ret_seen)
{
	AUTO(free) bool *acted = calloc(a.count + 1, sizeof(*acted));
	unsigned n = 0;
	size_t seen = 0;

	a.now_ms = a.now_ms ? a.now_ms : LATER;
	assert_non_null(acted);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_again(s, &a, acted, &seen), 0);
	assert_int_equal(store_commit(s), 0);
	for (size_t i = 0; i < seen; i++)
		n += acted[i];
	if (ret_seen)
		*ret_seen = seen;
	else
		assert_int_equal(seen, a.count);
	return n;
}

/* Replay these events for a handler. */
static unsigned replay(struct store *s, const char *handler, const int64_t *events, size_t count, bool settled)
{
	struct delivery_key keys[16] = { { 0 } };

	for (size_t i = 0; i < count; i++)
		keys[i].event = events[i];
	return step(s, (struct again_step){ .what = AGAIN_REPLAY, .handler = handler, .keys = keys, .count = count,
					    .settled = settled }, NULL);
}
#define EVENTS(...) (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)

static size_t due(struct reader *r, int64_t handler, struct delivery_ref refs[static 8])
{
	size_t n = 0;

	assert_int_equal(reader_due(r, handler, INT64_MAX - 1, refs, 8, &n), 0);
	return n;
}

static int find_handler(void *arg, const struct delivery *d)
{
	struct delivery *to = arg;

	if (d->handler_number == to->handler_number)
		*to = *d;
	return 0;
}

static struct delivery delivery_for(struct reader *r, int64_t event, int64_t handler)
{
	struct delivery d = { .handler_number = handler };

	assert_int_equal(reader_deliveries(r, event, find_handler, &d), 0);
	return d;
}

/* Two tickets, three events each, that "page" has; "new" gets them all, once. */
static void a_new_handler_gets_what_it_has_not_had(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	int64_t page, new;

	for (int i = 0; i < 6; i++)
		(void)accept_ticket(h->s, i % 2 + 1, T0 + i);
	page = handler_number(h->s, "page");
	assert_int_equal(replay(h->s, "new", EVENTS(1, 2, 3, 4, 5, 6), false), 6);
	new = handler_number(h->s, "new");
	assert_int_equal(handler_of(h->r, "new").accepted, 6);
	assert_int_equal(handler_of(h->r, "new").oldest_waiting_ms, LATER);     /* not since T0: nobody has kept it waiting */
	assert_int_equal(due(h->r, new, refs), 2);      /* the heads of two records */
	assert_true(refs[0].event == 1 && refs[1].event == 2);
	assert_true(refs[0].replayed && refs[0].attempts == 0 && !refs[0].late);
	assert_int_equal(refs[0].received_ms, T0);
	assert_true(delivery_for(h->r, 3, new).replayed);
	assert_int_equal(delivery_for(h->r, 3, new).why, PARK_BLOCKED);
	assert_false(delivery_for(h->r, 3, page).replayed);

	/* Once more, or interrupted and once more: nothing is made twice. */
	assert_int_equal(replay(h->s, "new", EVENTS(1, 2, 3, 4, 5, 6), false), 0);
	assert_true(settle_to(h->s, new, 1, DELIVERY_DONE, 0, LATER));
	(void)settle_to(h->s, new, 2, DELIVERY_FAILED, 0, LATER);
	assert_int_equal(replay(h->s, "new", EVENTS(1, 2, 3, 4, 5, 6), false), 0);
	assert_int_equal(handler_of(h->r, "new").accepted, 6);
	assert_int_equal(due(h->r, new, refs), 2);
	assert_true(refs[0].event == 3 && refs[1].event == 4);
}

static void what_it_is_stays_with_it(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	int64_t new;

	(void)accept_ticket(h->s, 1, T0);
	assert_int_equal(replay(h->s, "new", EVENTS(1), false), 1);
	new = handler_number(h->s, "new");
	(void)settle_to(h->s, new, 1, DELIVERY_PARKED, LATER + 5, LATER + 1);
	home_close(h);
	home_open(h);
	assert_int_equal(due(h->r, new, refs), 1);
	assert_true(refs[0].replayed && refs[0].attempts == 1);
	(void)settle_to(h->s, new, 1, DELIVERY_FAILED, 0, LATER + 6);
	assert_int_equal(step(h->s, (struct again_step){ .what = AGAIN_RETRY, .failed_only = true, .count = 1,
			      .now_ms = LATER + 7, .keys = &(struct delivery_key){ new, 1 } }, NULL), 1);
	assert_int_equal(due(h->r, new, refs), 1);
	assert_true(refs[0].replayed && refs[0].attempts == 0);
}

/* What is accepted while a replay is laid out is behind it; what runs already makes the rest late. */
static void live_events_queue_up_behind(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	struct event e;
	struct sample m;
	int64_t new;
	size_t n = 0;

	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 1, T0 + 1);
	new = handler_number(h->s, "new");
	assert_int_equal(replay(h->s, "new", EVENTS(1), false), 1);
	sample_make(&m, 1, T0 + 2);
	m.handlers[0] = "new";
	(void)accept_sample(h->s, &m);                  /* event 3, live */
	assert_int_equal(replay(h->s, "new", EVENTS(2), false), 1);
	assert_int_equal(reader_next(h->r, new, 0, refs, 8, &n), 0);
	assert_true(n == 1 && refs[0].event == 3 && refs[0].behind && !refs[0].replayed);
	park_behind(h->s, new, 3, "Ticket/1", LATER);
	assert_int_equal(due(h->r, new, refs), 1);
	assert_int_equal(refs[0].event, 1);
	assert_true(settle_to(h->s, new, 1, DELIVERY_DONE, 0, LATER + 1));
	assert_true(due(h->r, new, refs) == 1 && refs[0].event == 2);
	assert_int_equal(reader_event(h->r, 2, &e), 0);
	assert_int_equal(reader_late(h->r, new, &e), 0);
	(void)settle_to(h->s, new, 3, DELIVERY_DONE, 0, LATER + 2);     /* had it been under way */
	assert_int_equal(reader_late(h->r, new, &e), 1);
	assert_int_equal(reader_event(h->r, 3, &e), 0);
	assert_int_equal(reader_late(h->r, new, &e), 0);
}

/* An earlier one that waits in turn goes first, though it is not parked. */
static void what_waits_in_turn_before_it_goes_first(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	int64_t page;

	(void)accept_ticket(h->s, 1, T0);               /* page has it, and it waits */
	for (int i = 0; i < 2; i++) {
		struct sample m;

		sample_make(&m, 1 + i, T0 + 1);
		m.handlers[0] = "other";
		(void)accept_sample(h->s, &m);          /* 2 of the record, 3 of another */
	}
	page = handler_number(h->s, "page");
	assert_int_equal(replay(h->s, "page", EVENTS(2, 3), false), 2);
	assert_int_equal(due(h->r, page, refs), 1);
	assert_int_equal(refs[0].event, 3);
	assert_int_equal(delivery_for(h->r, 2, page).why, PARK_BLOCKED);
	assert_true(settle_to(h->s, page, 1, DELIVERY_DONE, 0, LATER));
	assert_int_equal(due(h->r, page, refs), 2);
}

static void again_puts_back_what_is_settled(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	struct handler_state c;
	int64_t page;

	for (int i = 1; i <= 4; i++)
		(void)accept_ticket(h->s, i, T0);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 1);
	(void)settle_to(h->s, page, 2, DELIVERY_FAILED, 0, T0 + 1);
	(void)settle_to(h->s, page, 3, DELIVERY_DROPPED, 0, T0 + 1);
	assert_int_equal(replay(h->s, "page", EVENTS(1, 2, 3, 4), true), 3);    /* 4 waits still */
	c = handler_of(h->r, "page");
	assert_true(c.accepted == 4 && c.done == 0 && c.failed == 0 && c.dropped == 0);
	assert_int_equal(due(h->r, page, refs), 3);
	assert_true(refs[0].replayed && refs[1].replayed && refs[2].replayed);
	assert_int_equal(c.oldest_waiting_ms, T0);      /* 4; those before it wait since LATER */
	(void)settle_to(h->s, page, 4, DELIVERY_DONE, 0, LATER);
	assert_int_equal(handler_of(h->r, "page").oldest_waiting_ms, LATER);
	assert_false(delivery_for(h->r, 4, page).replayed);
}

static int replayed_rows(const struct home *h)
{
	char path[128];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int n = -1;

	assert_int_equal(sqlite3_open_v2(home_path(h, "calloutd.db", path), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, "SELECT count(*) FROM replayed", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return n;
}

static void without_a_body_nothing_is_made(void **state)
{
	struct home *h = *state;
	const struct retention all = { .now_ms = T0 + 1000, .max_size = UINT64_MAX, .keep_ms = 100000,
				       .keep_keys_ms = 100000, .keep_payload_ms = 10, .keep_failed_ms = 10, .rows = 100 };
	struct retention gone = all;
	unsigned n;
	int64_t next, page;
	bool more;

	(void)accept_ticket(h->s, 1, T0);
	(void)accept_ticket(h->s, 2, LATER);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 1);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_prune(h->s, &all, &n, &more, &next), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(replay(h->s, "new", EVENTS(1, 99), false), 0);         /* 99 never was */
	assert_int_equal(replay(h->s, "page", EVENTS(1), true), 0);
	assert_int_equal(handler_of(h->r, "new").accepted, 0);
	/* Retention removes the mark with the event, not before. */
	assert_int_equal(replay(h->s, "new", EVENTS(2), false), 1);
	(void)settle_to(h->s, handler_number(h->s, "new"), 2, DELIVERY_DONE, 0, LATER + 1);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, LATER + 1);
	(void)accept_ticket(h->s, 3, LATER + 300000);
	assert_true(delivery_for(h->r, 2, handler_number(h->s, "new")).replayed);
	assert_int_equal(replayed_rows(h), 1);
	gone.now_ms = LATER + 200000;
	do {
		assert_int_equal(store_begin(h->s), 0);
		assert_int_equal(store_prune(h->s, &gone, &n, &more, &next), 0);
		assert_int_equal(store_commit(h->s), 0);
	} while (more);
	assert_int_equal(delivery_for(h->r, 2, handler_number(h->s, "new")).event, 0);
	assert_int_equal(replayed_rows(h), 0);
}

static void fill(struct store *s, int64_t count, const char *handler)
{
	assert_int_equal(store_begin(s), 0);
	for (int64_t i = 1; i <= count; i++) {
		struct accepted a;
		struct sample m;

		sample_make(&m, i % 700, T0);
		m.handlers[0] = handler;
		m.e.handler_count = handler != NULL;
		assert_int_equal(store_accept(s, &m.e, &a), 0);
	}
	assert_int_equal(store_commit(s), 0);
}

/* In steps, however long one takes; killed between any two, the rest is done by doing all again. */
static void many_come_in_steps_and_none_twice(void **state)
{
	struct home *h = *state;
	AUTO(free) struct delivery_key *keys = calloc(5000, sizeof(*keys));
	unsigned made = 0;
	size_t from = 0, seen = 0;

	assert_non_null(keys);
	fill(h->s, 5000, NULL);
	for (size_t i = 0; i < 5000; i++)
		keys[i].event = (int64_t)i + 1;
	while (from < 3000) {
		size_t n = 3000 - from < STORE_AGAIN_MAX ? 3000 - from : STORE_AGAIN_MAX;

		made += step(h->s, (struct again_step){ .what = AGAIN_REPLAY, .handler = "new", .keys = keys + from,
			     .count = n }, &seen);
		assert_true(seen >= 1 && seen <= n);
		from += seen;
	}
	assert_int_equal(made, 3000);
	home_close(h);
	home_open(h);
	for (from = 0, made = 0; from < 5000; from += seen)
		made += step(h->s, (struct again_step){ .what = AGAIN_REPLAY, .handler = "new", .keys = keys + from,
			     .count = 5000 - from < STORE_AGAIN_MAX ? 5000 - from : STORE_AGAIN_MAX }, &seen);
	assert_int_equal(made, 2000);
	assert_int_equal(handler_of(h->r, "new").accepted, 5000);
	assert_int_equal(handler_of(h->r, "new").low_water, 5000);      /* a restart does not read through them */
}

/* More waits in turn before the last than is looked at for order: better no than wrongly. */
static void a_backlog_too_long_is_refused(void **state)
{
	struct home *h = *state;
	const struct delivery_key key = { .event = 20003 };
	const struct again_step a = { .what = AGAIN_REPLAY, .handler = "page", .keys = &key, .count = 1, .now_ms = LATER };
	struct sample m;
	bool acted;
	size_t seen;

	fill(h->s, 20002, "page");
	sample_make(&m, 1, T0);
	m.e.handler_count = 0;
	assert_int_equal(accept_sample(h->s, &m), 20003);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_again(h->s, &a, &acted, &seen), -E2BIG);
	store_rollback(h->s);
	for (int64_t i = 1; i <= 10; i++)
		(void)settle_to(h->s, handler_number(h->s, "page"), i, DELIVERY_DONE, 0, T0 + 1);
	assert_int_equal(step(h->s, a, NULL), 1);
}

static void picked_ones_are_looked_at_again(void **state)
{
	struct home *h = *state;
	struct delivery_key keys[4];
	int64_t page;

	for (int i = 1; i <= 4; i++)
		(void)accept_ticket(h->s, i, T0);
	page = handler_number(h->s, "page");
	for (int i = 0; i < 4; i++)
		keys[i] = (struct delivery_key){ page, i + 1 };
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0 + 1);
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 1);
	assert_int_equal(step(h->s, (struct again_step){ .what = AGAIN_RETRY, .keys = keys, .count = 4, .failed_only = true },
			      NULL), 1);
	assert_int_equal(step(h->s, (struct again_step){ .what = AGAIN_RETRY, .keys = keys, .count = 4 }, NULL), 1);
	(void)settle_to(h->s, page, 3, DELIVERY_FAILED, 0, T0 + 1);
	assert_int_equal(step(h->s, (struct again_step){ .what = AGAIN_DROP, .keys = keys, .count = 4, .failed_only = true },
			      NULL), 1);
	assert_int_equal(step(h->s, (struct again_step){ .what = AGAIN_DROP, .keys = keys, .count = 4,
			      .running = &keys[3], .running_count = 1 }, NULL), 2);
	assert_int_equal(handler_of(h->r, "page").dropped, 3);
	assert_int_equal(handler_of(h->r, "page").low_water, 3);        /* 4 waits still */
	keys[0] = (struct delivery_key){ 77, 99 };      /* nobody's, of nothing */
	assert_int_equal(step(h->s, (struct again_step){ .what = AGAIN_RETRY, .keys = keys, .count = 1 }, NULL), 0);
}

static void since_is_found_by_halving(void **state)
{
	struct home *h = *state;
	const int64_t day = 86400000;
	int64_t event = 0;

	assert_int_equal(reader_since(h->r, T0, &event), 0);
	assert_int_equal(event, 1);
	for (int i = 0; i < 100; i++)
		(void)accept_ticket(h->s, i, T0 + i * day);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(reader_since(h->r, T0 + i * day, &event), 0);
		assert_true(event >= 1 && event <= i + 1);      /* never too late */
		assert_true(event >= i - 2);
	}
	assert_int_equal(reader_since(h->r, T0 + 1000 * day, &event), 0);
	assert_true(event <= 101);
}

/* ---- quarantined ---- */

static int64_t accept_quarantined(struct home *h, uint8_t key)
{
	struct sample m;

	sample_make(&m, 0, T0);
	m.c = (struct callout){ .has_id = false };
	(void)snprintf(m.record, sizeof(m.record), "Webhook/tickets");
	m.e.kind = EVENT_QUARANTINED;
	m.e.reason = "no Action";
	m.e.handler_count = 0;
	sample_key(&m, key, 0);
	return accept_sample(h->s, &m);
}

static int understand(struct home *h, int64_t event, int64_t id, uint8_t key, int64_t *ret_other)
{
	struct sample m;
	int r;

	sample_make(&m, id, T0);
	m.handlers[1] = "forward";
	m.e.handler_count = 2;
	sample_key(&m, key, 1757948270000);
	assert_int_equal(store_begin(h->s), 0);
	r = store_understand(h->s, event, &m.e, LATER, ret_other);
	assert_int_equal(store_commit(h->s), 0);
	return r;
}

static void quarantined_ones_become_ordinary(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	struct accepted a;
	struct event e;
	struct sample m;
	int64_t other = 9, page;

	assert_int_equal(accept_quarantined(h, 1), 1);
	assert_int_equal(accept_ticket(h->s, 7, T0 + 1), 2);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 2);       /* newer, of what turns out to be its record */
	assert_int_equal(understand(h, 1, 7, 2, &other), 1);
	assert_int_equal(other, 0);
	assert_int_equal(reader_event(h->r, 1, &e), 0);
	assert_true(e.kind == EVENT_ORDINARY && e.has_id && e.record_id == 7 && e.body_kept);
	assert_string_equal(e.record, "Ticket/7");
	assert_string_equal(e.action, "update");
	assert_string_equal(e.reason, "");
	assert_int_equal(e.received_ms, T0);
	assert_int_equal(e.source, SOURCE_LIVE);
	assert_int_equal(due(h->r, page, refs), 1);
	assert_true(refs[0].event == 1 && refs[0].late && !refs[0].replayed);
	assert_int_equal(due(h->r, handler_number(h->s, "forward"), refs), 1);
	assert_false(refs[0].late);
	/* Once is enough; and should the same callout come again, it is known, by its old key and its new one. */
	assert_int_equal(understand(h, 1, 7, 2, &other), 0);
	assert_int_equal(other, 0);
	assert_int_equal(handler_of(h->r, "page").accepted, 2);
	for (uint8_t key = 1; key <= 2; key++) {
		sample_make(&m, 7, T0 + 5);
		sample_key(&m, key, key == 1 ? 0 : 1757948270000);
		assert_int_equal(store_begin(h->s), 0);
		assert_int_equal(store_accept(h->s, &m.e, &a), 0);
		assert_int_equal(store_commit(h->s), 0);
		assert_true(a.duplicate && a.event == 1);
	}
}

static void what_repeats_another_stays(void **state)
{
	struct home *h = *state;
	struct event e;
	struct sample m;
	int64_t other = 0, whose = 0;

	assert_int_equal(accept_quarantined(h, 1), 1);
	sample_make(&m, 7, T0 + 1);
	sample_key(&m, 2, 1757948270000);
	assert_int_equal(accept_sample(h->s, &m), 2);   /* the same, that came again and was understood */
	assert_int_equal(reader_key(h->r, m.key, 1757948270000, &whose), 0);
	assert_int_equal(whose, 2);
	assert_int_equal(reader_key(h->r, m.key, 0, &whose), 0);
	assert_int_equal(whose, 0);
	assert_int_equal(understand(h, 1, 7, 2, &other), 0);
	assert_int_equal(other, 2);
	assert_int_equal(reader_event(h->r, 1, &e), 0);
	assert_int_equal(e.kind, EVENT_QUARANTINED);
	assert_int_equal(handler_of(h->r, "forward").accepted, 0);
	assert_int_equal(understand(h, 2, 7, 2, &other), 0);    /* not quarantined */
	assert_int_equal(handler_of(h->r, "forward").accepted, 0);
}

int main(void)
{
#define IN_HOME(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)
	static const struct CMUnitTest tests[] = {
		IN_HOME(a_new_handler_gets_what_it_has_not_had),
		IN_HOME(what_it_is_stays_with_it),
		IN_HOME(live_events_queue_up_behind),
		IN_HOME(what_waits_in_turn_before_it_goes_first),
		IN_HOME(again_puts_back_what_is_settled),
		IN_HOME(without_a_body_nothing_is_made),
		IN_HOME(many_come_in_steps_and_none_twice),
		IN_HOME(a_backlog_too_long_is_refused),
		IN_HOME(picked_ones_are_looked_at_again),
		IN_HOME(since_is_found_by_halving),
		IN_HOME(quarantined_ones_become_ordinary),
		IN_HOME(what_repeats_another_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
