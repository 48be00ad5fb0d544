/* test_store.c - the verbs of writing: what they change, and what they leave alone. */
#include "test_store.h"

static size_t next_of(struct home *h, int64_t handler, int64_t after, struct delivery_ref *ret, size_t cap)
{
	size_t n = 99;

	assert_int_equal(reader_next(h->r, handler, after, ret, cap, &n), 0);
	return n;
}

static size_t due_of(struct home *h, int64_t handler, int64_t now_ms, struct delivery_ref *ret, size_t cap)
{
	size_t n = 99;

	assert_int_equal(reader_due(h->r, handler, now_ms, ret, cap, &n), 0);
	return n;
}

static void accepted_event_is_read_back(void **state)
{
	struct home *h = *state;
	AUTO(free) void *body = NULL;
	AUTO(free) char *headers = NULL;
	static const char bytes[] = { '{', '\0', (char)0xff, '}' };
	struct sample m;
	struct event e;
	size_t len = 0;
	int64_t id;

	sample_make(&m, 4711, T0);
	m.c.has_sequence = m.c.has_person = true;
	m.c.sequence = INT64_MAX;
	m.c.person = -5;
	m.e.body = bytes;
	m.e.body_len = sizeof(bytes);
	m.e.headers = "Host: x\nX-Hook-Signature: (removed)\n";
	m.handlers[1] = "forward";
	m.e.handler_count = 2;
	id = accept_sample(h->s, &m);
	assert_int_equal(id, 1);

	assert_int_equal(reader_event(h->r, id, &e), 0);
	assert_int_equal(e.id, 1);
	assert_int_equal(e.received_ms, T0);
	assert_string_equal(e.webhook, "tickets");
	assert_string_equal(e.action, "update");
	assert_string_equal(e.action_raw, "Update");
	assert_string_equal(e.record, "Ticket/4711");
	assert_string_equal(e.client, "192.0.2.7");
	assert_string_equal(e.reason, "");
	assert_true(e.has_id && e.has_sequence && e.has_person && e.verified);
	assert_true(e.sequence == INT64_MAX && e.person == -5 && e.record_id == 4711);
	assert_int_equal(e.body_len, sizeof(bytes));
	assert_true(e.body_kept);
	assert_int_equal(e.duplicates, 0);
	assert_int_equal(reader_body(h->r, id, &body, &len, &headers), 0);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(body, bytes, len);
	assert_string_equal(headers, m.e.headers);
	assert_int_equal(handler_of(h->r, "page").accepted, 1);
	assert_int_equal(handler_of(h->r, "forward").accepted, 1);
	assert_int_equal(handler_of(h->r, "forward").oldest_waiting_ms, T0);
	assert_int_equal(reader_event(h->r, 2, &e), -ENOENT);
	assert_int_equal(reader_body(h->r, 2, &body, &len, NULL), -ENOENT);
}

static void absent_parts_stay_absent(void **state)
{
	struct home *h = *state;
	AUTO(free) void *body = NULL;
	AUTO(free) char *headers = (char *)1;
	struct callout nothing = { .id = 0 };
	struct event_new n = {
		.received_ms = T0, .kind = EVENT_QUARANTINED, .webhook = "tickets", .reason = "no Id",
		.callout = &nothing, .body = "", .body_len = 0,
	};
	struct accepted a;
	struct event e;
	size_t len = 1;

	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_accept(h->s, &n, &a), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(reader_event(h->r, a.event, &e), 0);
	assert_false(e.has_id || e.has_sequence || e.has_person || e.verified);
	assert_string_equal(e.reason, "no Id");
	assert_string_equal(e.client, "");
	assert_int_equal(e.kind, EVENT_QUARANTINED);
	assert_int_equal(reader_body(h->r, a.event, &body, &len, &headers), 0);
	assert_int_equal(len, 0);
	assert_null(headers);
	assert_int_equal(delivery_of(h->r, a.event).event, 0);
}

static void repetitions_are_counted_on_the_event(void **state)
{
	static const int64_t times[] = { T0, 0 };       /* ordered by time; the body decides */
	struct home *h = *state;
	struct accepted a;
	struct sample m;
	struct event e;

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		int64_t first;

		sample_make(&m, 1, T0);
		sample_key(&m, (uint8_t)(7 + i), times[i]);
		first = accept_sample(h->s, &m);
		for (unsigned n = 1; n <= 3; n++) {
			assert_int_equal(store_begin(h->s), 0);
			assert_int_equal(store_accept(h->s, &m.e, &a), 0);
			assert_int_equal(store_commit(h->s), 0);
			assert_true(a.duplicate);
			assert_int_equal(a.event, first);
			assert_int_equal(reader_event(h->r, first, &e), 0);
			assert_int_equal(e.duplicates, n);
		}
		m.key[15] ^= 1;
		assert_int_equal(accept_sample(h->s, &m), first + 1);
	}
	sample_make(&m, 1, T0);         /* no key: never a repetition */
	assert_int_equal(accept_sample(h->s, &m), 5);
	assert_int_equal(accept_sample(h->s, &m), 6);
	assert_int_equal(handler_of(h->r, "page").accepted, 6);
}

static void keys_are_too_old_when_they_would_be_gone(void **state)
{
	(void)state;
	assert_false(store_key_too_old(T0 - 1000, T0, 1000));
	assert_true(store_key_too_old(T0 - 1001, T0, 1000));
	assert_false(store_key_too_old(0, T0, 1000));
}

static void rollback_leaves_nothing(void **state)
{
	struct home *h = *state;
	struct accepted a;
	struct sample m;
	struct event e;

	(void)accept_ticket(h->s, 1, T0);
	sample_make(&m, 2, T0);
	m.handlers[0] = "new";
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	assert_int_equal(a.event, 2);
	store_rollback(h->s);
	assert_int_equal(reader_event(h->r, 2, &e), -ENOENT);
	assert_int_equal(handler_of(h->r, "new").handler, 0);
	assert_int_equal(accept_ticket(h->s, 3, T0), 2);
	assert_int_equal(handler_of(h->r, "page").accepted, 2);
}

static void numbers_and_handlers_survive_reopening(void **state)
{
	struct home *h = *state;
	int64_t number = handler_number(h->s, "zeta");

	assert_int_equal(accept_ticket(h->s, 1, T0), 1);
	home_close(h);
	home_open(h);
	assert_int_equal(handler_number(h->s, "zeta"), number);
	assert_int_equal(accept_ticket(h->s, 2, T0), 2);
	assert_int_equal(handler_of(h->r, "page").accepted, 2);
}

static void waiting_ones_come_in_order_from_the_cursor(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	int64_t page;

	for (int64_t i = 1; i <= 5; i++)
		assert_int_equal(accept_ticket(h->s, 10 + i, T0 + i), i);
	page = handler_number(h->s, "page");
	assert_int_equal(next_of(h, page, 0, refs, 8), 5);
	assert_int_equal(refs[0].event, 1);
	assert_string_equal(refs[4].record, "Ticket/15");
	assert_false(refs[0].behind);
	assert_int_equal(next_of(h, page, 2, refs, 2), 2);
	assert_int_equal(refs[0].event, 3);
	assert_int_equal(refs[1].event, 4);

	/* What is settled or parked is passed over, also by a cursor that stays behind. */
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 10);
	(void)settle_to(h->s, page, 2, DELIVERY_PARKED, T0 + 99, T0 + 10);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(next_of(h, page, 0, refs, 8), 3);
		assert_int_equal(refs[0].event, 3);
	}
	(void)settle_to(h->s, page, 3, DELIVERY_FAILED, 0, T0 + 10);
	assert_int_equal(next_of(h, page, 0, refs, 8), 2);
	assert_int_equal(refs[0].event, 4);
	assert_int_equal(next_of(h, page, 5, refs, 8), 0);
	assert_int_equal(accept_ticket(h->s, 1, T0), 6);
	assert_int_equal(next_of(h, page, 5, refs, 8), 1);
	assert_int_equal(next_of(h, page, 0, refs, 8), 3);
	assert_int_equal(handler_of(h->r, "page").oldest_waiting_ms, T0 + 2);
	assert_int_equal(next_of(h, 99, 0, refs, 8), 0);
}

static void settling_counts_and_stays(void **state)
{
	static const struct {
		enum delivery_state to;
		unsigned done, failed, dropped;
	} rows[] = {
		{ DELIVERY_DONE, 1, 0, 0 },
		{ DELIVERY_FAILED, 1, 1, 0 },
		{ DELIVERY_DROPPED, 1, 1, 1 },
	};
	struct home *h = *state;
	struct handler_state c;
	struct delivery d;
	int64_t page = handler_number(h->s, "page");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t event = accept_ticket(h->s, (int64_t)i, T0);

		(void)settle_to(h->s, page, event, rows[i].to, 0, T0 + 5);
		/* again, and otherwise: it is settled */
		(void)settle_to(h->s, page, event, DELIVERY_DONE, 0, T0 + 6);
		(void)settle_to(h->s, page, event, DELIVERY_PARKED, T0, T0 + 7);
		d = delivery_of(h->r, event);
		assert_int_equal(d.state, rows[i].to);
		assert_int_equal(d.finished_ms, T0 + 5);
		assert_int_equal(d.attempts, 1);
		c = handler_of(h->r, "page");
		assert_int_equal(c.done, rows[i].done);
		assert_int_equal(c.failed, rows[i].failed);
		assert_int_equal(c.dropped, rows[i].dropped);
		assert_int_equal(c.oldest_waiting_ms, 0);
	}
}

static void settling_nothing_is_refused(void **state)
{
	struct home *h = *state;
	int64_t page, event = accept_ticket(h->s, 1, T0);
	bool behind;

	page = handler_number(h->s, "page");
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_settle(h->s, &(struct settle){ .handler = page, .event = event + 1,
				      .state = DELIVERY_DONE }, &behind), -ENOENT);
	assert_int_equal(store_settle(h->s, &(struct settle){ .handler = page + 1, .event = event,
				      .state = DELIVERY_DONE }, &behind), -ENOENT);
	assert_int_equal(store_settle(h->s, &(struct settle){ .handler = page, .event = event,
				      .state = DELIVERY_WAITING }, &behind), -EINVAL);
	assert_int_equal(store_park(h->s, page + 1, NULL, 0, 0, T0), -ENOENT);
	store_rollback(h->s);
}

static void retry_comes_when_it_is_due(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	int64_t page, due = 0;

	for (int64_t i = 1; i <= 3; i++)
		(void)accept_ticket(h->s, i, T0);
	page = handler_number(h->s, "page");
	assert_int_equal(reader_next_due(h->r, page, &due), 0);
	assert_true(due == INT64_MAX);
	assert_true(settle_to(h->s, page, 2, DELIVERY_PARKED, T0 + 20, T0));
	assert_true(settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 30, T0));
	assert_int_equal(reader_next_due(h->r, page, &due), 0);
	assert_int_equal(due, T0 + 20);
	assert_int_equal(due_of(h, page, T0 + 19, refs, 4), 0);
	assert_int_equal(due_of(h, page, T0 + 20, refs, 4), 1);
	assert_int_equal(refs[0].event, 2);
	assert_int_equal(refs[0].attempts, 1);
	assert_string_equal(refs[0].record, "Ticket/2");
	assert_int_equal(due_of(h, page, T0 + 30, refs, 4), 2);
	assert_int_equal(refs[0].event, 2);     /* oldest due first */
	assert_int_equal(refs[1].event, 1);
	assert_int_equal(due_of(h, page, T0 + 30, refs, 1), 1);
	assert_int_equal(delivery_of(h->r, 2).state, DELIVERY_PARKED);
	assert_int_equal(delivery_of(h->r, 2).due_ms, T0 + 20);
	assert_false(settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 21));
	assert_int_equal(due_of(h, page, T0 + 99, refs, 4), 1);
}

/* One record: 1 fails and waits; 2 and 3 stay behind it, and follow one by one. */
static void record_keeps_its_order(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	int64_t page, due = 0;

	for (int i = 0; i < 3; i++)
		(void)accept_ticket(h->s, 7, T0);
	page = handler_number(h->s, "page");
	assert_true(settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 50, T0));
	assert_int_equal(next_of(h, page, 0, refs, 4), 2);
	assert_true(refs[0].behind && refs[1].behind);
	park_behind(h->s, page, 2, "Ticket/7", T0);
	park_behind(h->s, page, 3, "Ticket/7", T0);
	assert_int_equal(next_of(h, page, 0, refs, 4), 0);
	assert_int_equal(due_of(h, page, T0 + 50, refs, 4), 1);
	assert_int_equal(refs[0].event, 1);
	assert_int_equal(delivery_of(h->r, 2).why, PARK_BLOCKED);
	assert_int_equal(delivery_of(h->r, 2).due_ms, 0);

	assert_true(settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 90, T0 + 51));
	assert_int_equal(due_of(h, page, T0 + 89, refs, 4), 0);
	assert_true(settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0 + 91));
	assert_int_equal(due_of(h, page, T0 + 91, refs, 4), 1);
	assert_int_equal(refs[0].event, 2);
	assert_int_equal(reader_next_due(h->r, page, &due), 0);
	assert_int_equal(due, T0 + 91);
	assert_true(settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 92));
	assert_int_equal(due_of(h, page, T0 + 92, refs, 4), 1);
	assert_int_equal(refs[0].event, 3);
	assert_false(settle_to(h->s, page, 3, DELIVERY_DONE, 0, T0 + 93));
	assert_int_equal(due_of(h, page, INT64_MAX, refs, 4), 0);
}

/* Parked just before or just after its head is settled: it is never stuck. */
static void parking_may_come_late(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	int64_t page;

	for (int i = 0; i < 4; i++)
		(void)accept_ticket(h->s, 7, T0);
	page = handler_number(h->s, "page");
	park_behind(h->s, page, 2, "Ticket/7", T0 + 1);         /* 1 runs */
	assert_int_equal(due_of(h, page, INT64_MAX, refs, 4), 0);
	assert_true(settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 2));
	assert_int_equal(due_of(h, page, T0 + 2, refs, 4), 1);
	assert_int_equal(refs[0].event, 2);
	assert_false(settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 3));
	park_behind(h->s, page, 3, "Ticket/7", T0 + 4);         /* 2 was settled meanwhile */
	assert_int_equal(due_of(h, page, T0 + 4, refs, 4), 1);
	assert_int_equal(refs[0].event, 3);
	park_behind(h->s, page, 4, "Ticket/7", T0 + 5);
	assert_int_equal(due_of(h, page, INT64_MAX, refs, 4), 1);
	park_behind(h->s, page, 4, "Ticket/7", T0 + 6);         /* again: nothing */
	park_behind(h->s, page, 1, "Ticket/7", T0 + 6);         /* settled: nothing */
	assert_int_equal(delivery_of(h->r, 1).state, DELIVERY_DONE);
	assert_true(settle_to(h->s, page, 3, DELIVERY_DONE, 0, T0 + 7));
	assert_int_equal(due_of(h, page, T0 + 7, refs, 4), 1);
	assert_int_equal(refs[0].event, 4);
}

/* A restart reads from the mark on; the head of parked ones is among what it finds. */
static void head_that_waits_in_turn_is_not_behind(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	int64_t page;

	for (int i = 0; i < 3; i++)
		(void)accept_ticket(h->s, 7, T0);
	page = handler_number(h->s, "page");
	park_behind(h->s, page, 2, "Ticket/7", T0);
	assert_int_equal(next_of(h, page, 0, refs, 4), 2);
	assert_int_equal(refs[0].event, 1);
	assert_false(refs[0].behind);
	assert_int_equal(refs[1].event, 3);
	assert_true(refs[1].behind);
}

static void mark_only_moves_up(void **state)
{
	static const struct {
		int64_t given, kept;
	} rows[] = { { 5, 5 }, { 3, 5 }, { 0, 5 }, { 9, 9 } };
	struct home *h = *state;
	int64_t page, event = accept_ticket(h->s, 1, T0);
	bool behind;

	page = handler_number(h->s, "page");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(store_begin(h->s), 0);
		assert_int_equal(store_settle(h->s, &(struct settle){ .handler = page, .event = event,
					      .state = DELIVERY_DONE, .low_water = rows[i].given },
					      &behind), 0);
		assert_int_equal(store_commit(h->s), 0);
		assert_int_equal(handler_of(h->r, "page").low_water, rows[i].kept);
	}
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_park(h->s, page, NULL, 0, 12, T0), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(handler_of(h->r, "page").low_water, 12);
}

static void condition_of_a_handler_is_kept(void **state)
{
	struct home *h = *state;
	struct handler_state c = {
		.handler = handler_number(h->s, "page"), .held = true, .held_until_ms = T0,
		.pause_until_ms = T0 + 1, .pause_step = 3, .failures = 9, .accepted = 77, .low_water = 77,
	}, got;

	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_handler_condition(h->s, &c), 0);
	assert_int_equal(store_commit(h->s), 0);
	home_close(h);
	home_open(h);
	got = handler_of(h->r, "page");
	assert_true(got.held);
	assert_int_equal(got.held_until_ms, T0);
	assert_int_equal(got.pause_until_ms, T0 + 1);
	assert_int_equal(got.pause_step, 3);
	assert_int_equal(got.failures, 9);
	assert_int_equal(got.accepted, 0);
	assert_int_equal(got.low_water, 0);
	c.handler = 99;
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_handler_condition(h->s, &c), -ENOENT);
	store_rollback(h->s);
}

static void handler_names_have_limits(void **state)
{
	struct home *h = *state;
	char name[CALLOUT_NAME_MAX + 2];
	int64_t number;

	memset(name, 'x', sizeof(name));
	name[CALLOUT_NAME_MAX] = '\0';
	assert_int_equal(handler_number(h->s, name), 1);
	name[CALLOUT_NAME_MAX] = 'x';
	name[CALLOUT_NAME_MAX + 1] = '\0';
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_handler(h->s, name, &number), -EINVAL);
	assert_int_equal(store_handler(h->s, "", &number), -EINVAL);
	store_rollback(h->s);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "h%d", (i * 37) % 300);
		assert_int_equal(handler_number(h->s, name), i + 2);
	}
	assert_int_equal(handler_number(h->s, "h0"), 2);
}

/* ---- attempts ---- */

struct seen_attempts {
	unsigned count, first_run, last_run;
	size_t out_len, err_len;
	char out[8];
};

static int see_attempt(void *arg, const struct attempt *a)
{
	struct seen_attempts *seen = arg;

	if (seen->count++ == 0)
		seen->first_run = a->run;
	seen->last_run = a->run;
	seen->out_len = a->a.out_len;
	seen->err_len = a->a.err_len;
	if (a->a.out_len && a->a.out_len < sizeof(seen->out))
		memcpy(seen->out, a->a.out, a->a.out_len);
	assert_string_equal(a->handler, "page");
	return 0;
}

static struct seen_attempts attempts_of(struct home *h, int64_t event)
{
	struct seen_attempts seen = { 0 };

	assert_int_equal(reader_attempts(h->r, event, see_attempt, &seen), 0);
	return seen;
}

static void settle_attempt(struct home *h, int64_t handler, int64_t event, unsigned number,
			   int64_t started_ms, enum delivery_state to, const char *out)
{
	const struct attempt_new a = {
		.handler = handler, .event = event, .number = number, .started_ms = started_ms,
		.ended_ms = started_ms + 3, .result = ATTEMPT_RETRY, .status = 1, .out = out,
		.out_len = out ? strlen(out) : 0, .out_total = 100,
	};
	const struct settle t = {
		.attempt = &a, .handler = handler, .event = event, .state = to, .attempts = number,
		.due_ms = started_ms + 10, .now_ms = started_ms + 4,
	};
	bool behind;

	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_settle(h->s, &t, &behind), 0);
	assert_int_equal(store_commit(h->s), 0);
}

static void attempts_are_kept_once(void **state)
{
	struct home *h = *state;
	int64_t page, event = accept_ticket(h->s, 1, T0);
	struct seen_attempts seen;

	page = handler_number(h->s, "page");
	settle_attempt(h, page, event, 1, T0, DELIVERY_PARKED, "one");
	settle_attempt(h, page, event, 2, T0 + 20, DELIVERY_PARKED, NULL);
	/* the runner tells again what it was not acknowledged: no effect, whatever it says */
	settle_attempt(h, page, event, 2, T0 + 20, DELIVERY_FAILED, "again");
	assert_int_equal(delivery_of(h->r, event).state, DELIVERY_PARKED);
	seen = attempts_of(h, event);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.out_len, 0);
	settle_attempt(h, page, event, 3, T0 + 40, DELIVERY_DONE, "three");
	seen = attempts_of(h, event);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.last_run, 3);
	assert_int_equal(seen.out_len, 5);
	assert_int_equal(seen.err_len, 0);
	assert_string_equal(seen.out, "three");
	/* settled: only the attempt is noted */
	settle_attempt(h, page, event, 4, T0 + 60, DELIVERY_FAILED, NULL);
	assert_int_equal(attempts_of(h, event).count, 4);
	assert_int_equal(delivery_of(h->r, event).state, DELIVERY_DONE);
	assert_int_equal(handler_of(h->r, "page").failed, 0);
}

static void attempts_are_bounded(void **state)
{
	struct home *h = *state;
	int64_t page, event = accept_ticket(h->s, 1, T0);
	struct seen_attempts seen;

	page = handler_number(h->s, "page");
	for (int i = 0; i < 130; i++)
		settle_attempt(h, page, event, 1, T0 + i, DELIVERY_PARKED, "x");
	seen = attempts_of(h, event);
	assert_int_equal(seen.count, 100);
	assert_int_equal(seen.first_run, 31);
	assert_int_equal(seen.last_run, 130);
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)
	static const struct CMUnitTest tests[] = {
		WITH_STORE(accepted_event_is_read_back),
		WITH_STORE(absent_parts_stay_absent),
		WITH_STORE(repetitions_are_counted_on_the_event),
		cmocka_unit_test(keys_are_too_old_when_they_would_be_gone),
		WITH_STORE(rollback_leaves_nothing),
		WITH_STORE(numbers_and_handlers_survive_reopening),
		WITH_STORE(waiting_ones_come_in_order_from_the_cursor),
		WITH_STORE(settling_counts_and_stays),
		WITH_STORE(settling_nothing_is_refused),
		WITH_STORE(retry_comes_when_it_is_due),
		WITH_STORE(record_keeps_its_order),
		WITH_STORE(parking_may_come_late),
		WITH_STORE(head_that_waits_in_turn_is_not_behind),
		WITH_STORE(mark_only_moves_up),
		WITH_STORE(condition_of_a_handler_is_kept),
		WITH_STORE(handler_names_have_limits),
		WITH_STORE(attempts_are_kept_once),
		WITH_STORE(attempts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
