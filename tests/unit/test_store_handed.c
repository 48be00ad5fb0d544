/* test_store_handed.c - what is handed over: is something newer of its record done? And registrations. */
#include "test_store.h"

/* An update of ticket 7; sequence 0: none, time NULL: none. */
static int64_t accept_one(struct home *h, enum event_source source, int64_t sequence, const char *time)
{
	struct sample m;

	sample_make(&m, 7, T0);
	m.e.source = source;
	m.c.has_sequence = sequence != 0;
	m.c.sequence = sequence;
	(void)snprintf(m.c.time, sizeof(m.c.time), "%s", time ? time : "");
	return accept_sample(h->s, &m);
}

static bool newer_done(struct home *h, int64_t handler, int64_t event)
{
	struct event e;
	int r;

	assert_int_equal(reader_event(h->r, event, &e), 0);
	r = reader_handled_newer(h->r, handler, &e);
	assert_true(r == 0 || r == 1);
	return r;
}

#define AT(seconds) "2026-01-01T10:00:" seconds "Z"

/* Done, then handed over: the number where both have one, else the time. */
static void by_number_else_by_time(void **state)
{
	static const struct {
		int64_t done, asked;            /* SequenceNumber, 0: none */
		const char *done_time, *asked_time;
		bool newer;
	} rows[] = {
		{ 5, 4, AT("05"), AT("04"), true },
		{ 5, 4, AT("05"), AT("09"), true },
		{ 5, 6, AT("05"), AT("04"), false },
		{ 5, 5, AT("05"), AT("05"), false },
		{ 5, 0, AT("05"), AT("04"), true },
		{ 5, 0, AT("05"), AT("06"), false },
		{ 0, 4, AT("05"), AT("04.999"), true },
		{ 0, 4, AT("05"), AT("05.001"), false },
		{ 0, 0, AT("05"), AT("04"), true },
		{ 0, 0, AT("05"), AT("05"), false },
		{ 0, 0, NULL, AT("05"), false },
		{ 0, 0, AT("05"), NULL, false },
		{ 5, 0, NULL, AT("04"), false },
		{ 5, 4, NULL, NULL, true },
		{ 5, 4, "rubbish", "rubbish", true },
		{ -2, -3, AT("05"), AT("05"), true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct home h;
		int64_t page, done, asked;

		home_make(&h);
		home_open(&h);
		done = accept_one(&h, SOURCE_LIVE, rows[i].done, rows[i].done_time);
		asked = accept_one(&h, SOURCE_RECOVERED, rows[i].asked, rows[i].asked_time);
		page = handler_number(h.s, "page");
		assert_false(newer_done(&h, page, asked));
		(void)settle_to(h.s, page, done, DELIVERY_DONE, 0, T0 + 1);
		if (newer_done(&h, page, asked) != rows[i].newer)
			fail_msg("row %zu", i);
		assert_false(newer_done(&h, page + 1, asked));
		home_remove(&h);
	}
}

/* Only what is done counts, and of all that are done the newest of each kind is remembered. */
static void of_many(void **state)
{
	struct home *h = *state;
	int64_t page, id[8];

	id[0] = accept_one(h, SOURCE_LIVE, 9, AT("30"));
	id[1] = accept_one(h, SOURCE_LIVE, 5, AT("05"));
	id[2] = accept_one(h, SOURCE_RECOVERED, 3, AT("03"));
	id[3] = accept_one(h, SOURCE_REFETCHED, 0, AT("20"));
	id[4] = accept_one(h, SOURCE_RECOVERED, 4, AT("04"));
	id[5] = accept_one(h, SOURCE_RECOVERED, 6, AT("19"));
	id[6] = accept_one(h, SOURCE_RECOVERED, 6, AT("21"));
	id[7] = accept_one(h, SOURCE_REFETCHED, 0, AT("15"));
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, id[0], DELIVERY_FAILED, 0, T0 + 1);
	(void)settle_to(h->s, page, id[1], DELIVERY_DONE, 0, T0 + 2);
	(void)settle_to(h->s, page, id[2], DELIVERY_DONE, 0, T0 + 3);
	assert_true(newer_done(h, page, id[4]));        /* 5, though 3 was done after it */
	assert_false(newer_done(h, page, id[5]));       /* 9 has failed */
	assert_false(newer_done(h, page, id[7]));
	(void)settle_to(h->s, page, id[3], DELIVERY_DONE, 0, T0 + 4);
	assert_true(newer_done(h, page, id[5]));        /* by the time of the one without a number */
	assert_false(newer_done(h, page, id[6]));
	assert_true(newer_done(h, page, id[7]));
	/* Known again after the store was closed. */
	home_close(h);
	home_open(h);
	assert_true(newer_done(h, page, id[5]));
	assert_false(newer_done(h, page, id[6]));
}

/* An older one that was handled last does not make the newest late when that is put back. */
static void putting_back_after_a_late_one(void **state)
{
	struct home *h = *state;
	int64_t page, newest = accept_one(h, SOURCE_LIVE, 5, AT("05"));
	int64_t older = accept_one(h, SOURCE_RECOVERED, 4, AT("04"));
	struct delivery_ref refs[2];
	unsigned count = 0;
	size_t n = 0;

	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, newest, DELIVERY_DONE, 0, T0 + 1);
	(void)settle_to(h->s, page, older, DELIVERY_DONE, 0, T0 + 2);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_retry(h->s, &(struct delivery_filter){ .event = newest }, T0 + 9, &count), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(count, 1);
	assert_int_equal(reader_due(h->r, page, INT64_MAX, refs, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_false(refs[0].late);
}

/* ---- registrations ---- */

static int put(struct store *s, const char *webhook, const char *guid, int64_t id)
{
	struct registration n = { .id = id };
	int r = store_begin(s);

	(void)snprintf(n.webhook, sizeof(n.webhook), "%s", webhook);
	(void)snprintf(n.guid, sizeof(n.guid), "%s", guid);
	if (r == 0)
		r = store_registration(s, &n);
	return r == 0 ? store_commit(s) : r;
}

struct list {
	struct registration items[4];
	size_t count;
	int end;
};

static int take(void *arg, const struct registration *n)
{
	struct list *l = arg;

	l->items[l->count++] = *n;
	return l->end;
}

static void registrations(void **state)
{
	struct home *h = *state;
	struct list l = { .count = 0 };

	assert_int_equal(reader_registrations(h->r, take, &l), 0);
	assert_int_equal(l.count, 0);
	assert_int_equal(put(h->s, "tickets", "{A}", 12), 0);
	assert_int_equal(put(h->s, "contacts", "B", INT64_MAX), 0);
	assert_int_equal(put(h->s, "tickets", "C", 13), 0);
	home_close(h);
	home_open(h);
	assert_int_equal(reader_registrations(h->r, take, &l), 0);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.items[0].webhook, "contacts");
	assert_string_equal(l.items[0].guid, "B");
	assert_int_equal(l.items[0].id, INT64_MAX);
	assert_string_equal(l.items[1].guid, "C");
	assert_int_equal(l.items[1].id, 13);
	l = (struct list){ .end = -EAGAIN };
	assert_int_equal(reader_registrations(h->r, take, &l), -EAGAIN);
	assert_int_equal(l.count, 1);
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_number_else_by_time),
		WITH_STORE(of_many),
		WITH_STORE(putting_back_after_a_late_one),
		WITH_STORE(registrations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
