/* test_store_read.c - pages of events, filters, deadlines, sizes; and that a long queue costs nothing. */
#include "test_store.h"

#include <sqlite3.h>

struct page {
	unsigned count;
	int64_t first, last;
	bool descending;
	bool kept;
	int stop_at;
};

static int see(void *arg, const struct event *e)
{
	struct page *p = arg;

	if (p->count++ == 0)
		p->first = e->id;
	else
		assert_true(p->descending ? e->id < p->last : e->id > p->last);
	p->last = e->id;
	p->kept = e->body_kept;
	return p->stop_at && p->count == (unsigned)p->stop_at ? 77 : 0;
}

static struct page page_of(struct home *h, struct event_filter f, int64_t *ret_next)
{
	struct page p = { .descending = !f.after };
	int64_t next = -1;

	if (!f.limit)
		f.limit = 1000;
	assert_int_equal(reader_events(h->r, &f, see, &p, &next), 0);
	if (ret_next)
		*ret_next = next;
	return p;
}

/* Many at once: the same as accepting one by one, in fewer commits. */
static void accept_many(struct store *s, int64_t count, int64_t records)
{
	for (int64_t done = 0; done < count;) {
		assert_int_equal(store_begin(s), 0);
		for (int i = 0; i < 5000 && done < count; i++, done++) {
			struct accepted a;
			struct sample m;

			sample_make(&m, done % records, T0 + done);
			assert_int_equal(store_accept(s, &m.e, &a), 0);
		}
		assert_int_equal(store_commit(s), 0);
	}
}

static void pages_follow_each_other(void **state)
{
	struct home *h = *state;
	int64_t next;
	struct page p;

	assert_int_equal(page_of(h, (struct event_filter){ .kind = -1, .state = -1 }, &next).count, 0);
	assert_int_equal(next, 0);
	accept_many(h->s, 25, 25);
	p = page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 10 }, &next);
	assert_true(p.count == 10 && p.first == 25 && p.last == 16 && next == 16 && p.kept);
	p = page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 10, .before = next }, &next);
	assert_true(p.count == 10 && p.first == 15 && next == 6);
	p = page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 10, .before = next }, &next);
	assert_true(p.count == 5 && p.last == 1 && next == 0);
	p = page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 10, .after = 20 }, &next);
	assert_true(p.count == 5 && p.first == 21 && p.last == 25 && next == 0);
	p = page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 2, .after = 20 }, &next);
	assert_true(p.count == 2 && next == 22);
}

static void filters_choose(void **state)
{
	struct home *h = *state;
	struct sample m;
	int64_t page, forward;

	(void)accept_ticket(h->s, 1, T0 + 1);
	sample_make(&m, 2, T0 + 2);             /* 2: another webhook, entity, action, handler */
	m.e.webhook = "companies";
	(void)snprintf(m.c.entity, sizeof(m.c.entity), "Company");
	(void)snprintf(m.c.action, sizeof(m.c.action), "create");
	m.handlers[0] = "forward";
	(void)accept_sample(h->s, &m);
	sample_make(&m, 3, T0 + 3);             /* 3: quarantined */
	m.e.kind = EVENT_QUARANTINED;
	m.c.has_id = false;
	m.e.handler_count = 0;
	(void)accept_sample(h->s, &m);
	(void)accept_ticket(h->s, 4, T0 + 4);
	(void)accept_ticket(h->s, 5, T0 + 5);
	(void)accept_ticket(h->s, 6, T0 + 6);
	page = handler_number(h->s, "page");
	forward = handler_number(h->s, "forward");
	(void)settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 9);
	(void)settle_to(h->s, forward, 2, DELIVERY_FAILED, 0, T0 + 9);
	(void)settle_to(h->s, page, 4, DELIVERY_FAILED, 0, T0 + 9);
	(void)settle_to(h->s, page, 5, DELIVERY_PARKED, T0 + 99, T0 + 9);

	const struct {
		struct event_filter f;
		unsigned count;
		int64_t first, last;
	} rows[] = {
		{ { .kind = -1, .state = -1 }, 6, 6, 1 },
		{ { .kind = -1, .state = -1, .webhook = "companies" }, 1, 2, 2 },
		{ { .kind = -1, .state = -1, .entity = "Ticket" }, 5, 6, 1 },
		{ { .kind = -1, .state = -1, .action = "create" }, 1, 2, 2 },
		{ { .kind = -1, .state = -1, .action = "Create" }, 0, 0, 0 },
		{ { .kind = EVENT_QUARANTINED, .state = -1 }, 1, 3, 3 },
		{ { .kind = EVENT_ORDINARY, .state = -1 }, 5, 6, 1 },
		{ { .kind = -1, .state = -1, .has_record_id = true, .record_id = 4 }, 1, 4, 4 },
		{ { .kind = -1, .state = -1, .has_record_id = true, .record_id = 3 }, 0, 0, 0 },
		{ { .kind = -1, .state = -1, .since_ms = T0 + 4 }, 3, 6, 4 },
		{ { .kind = -1, .state = -1, .until_ms = T0 + 4 }, 4, 4, 1 },
		{ { .kind = -1, .state = -1, .handler = "page" }, 4, 6, 1 },
		{ { .kind = -1, .state = -1, .handler = "nobody" }, 0, 0, 0 },
		{ { .kind = -1, .state = DELIVERY_DONE }, 1, 1, 1 },
		{ { .kind = -1, .state = DELIVERY_WAITING }, 2, 6, 5 },
		{ { .kind = -1, .state = DELIVERY_FAILED }, 2, 4, 2 },
		{ { .kind = -1, .state = DELIVERY_FAILED, .after = 2 }, 1, 4, 4 },
		{ { .kind = -1, .state = DELIVERY_FAILED, .before = 4 }, 1, 2, 2 },
		{ { .kind = -1, .state = DELIVERY_FAILED, .handler = "page" }, 1, 4, 4 },
		{ { .kind = -1, .state = DELIVERY_FAILED, .entity = "Company" }, 1, 2, 2 },
		{ { .kind = -1, .state = DELIVERY_DROPPED }, 0, 0, 0 },
		{ { .kind = EVENT_QUARANTINED, .state = DELIVERY_DONE }, 0, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct page p = page_of(h, rows[i].f, NULL);

		if (p.count != rows[i].count || p.first != rows[i].first || p.last != rows[i].last)
			fail_msg("row %zu: %u events, %lld to %lld", i, p.count, (long long)p.first,
				 (long long)p.last);
	}
}

static void limits_of_a_page(void **state)
{
	static const unsigned bad[] = { 0, READER_EVENTS_MAX + 1 };
	struct home *h = *state;
	struct event_filter f = { .kind = -1, .state = -1 };
	struct page p = { .descending = true, .stop_at = 2 };
	int64_t next = -1;

	accept_many(h->s, 5, 5);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f.limit = bad[i];
		assert_int_equal(reader_events(h->r, &f, see, &p, &next), -EINVAL);
	}
	f.limit = READER_EVENTS_MAX;
	assert_int_equal(reader_events(h->r, &f, see, &p, &next), 77);  /* what fn said */
	assert_int_equal(p.count, 2);
	assert_int_equal(next, -1);
}

static void sizes_are_told(void **state)
{
	struct home *h = *state;
	struct store_sizes z;

	assert_int_equal(reader_sizes(h->r, &z), 0);
	assert_int_equal(z.newest_event, 0);
	accept_many(h->s, 100, 100);
	assert_int_equal(reader_sizes(h->r, &z), 0);
	assert_int_equal(z.newest_event, 100);
	assert_true(z.wal_bytes > 0 && z.file_bytes > 4096 && z.disk_free_bytes > 0);
	assert_true(z.free_bytes <= z.file_bytes);
	assert_int_equal(store_checkpoint(h->s, true), 0);
	assert_int_equal(reader_sizes(h->r, &z), 0);
	assert_int_equal(z.wal_bytes, 0);
}

/* Works on what is stopped, and leaves no trace that would keep the writer from starting. */
static void stopped_store_is_read(void **state)
{
	struct home *h = *state;
	struct event e;

	accept_many(h->s, 3, 3);
	home_close(h);
	assert_int_equal(reader_open(h->dir, &h->r, NULL), 0);
	assert_int_equal(reader_event(h->r, 3, &e), 0);
	assert_int_equal(store_open(&(struct store_options){ .directory = h->dir }, &h->s, NULL), 0);
	assert_int_equal(accept_ticket(h->s, 4, T0), 4);
	assert_int_equal(reader_event(h->r, 4, &e), 0);
}

static void readers_cannot_write(void **state)
{
	struct home *h = *state;
	sqlite3 *db = NULL;
	char path[128];

	/* A reader that holds a statement open would keep the WAL from being brought in. */
	accept_many(h->s, 10, 10);
	(void)page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 3 }, NULL);
	(void)handler_of(h->r, "page");
	(void)delivery_of(h->r, 1);
	assert_int_equal(store_checkpoint(h->s, true), 0);
	struct store_sizes z;

	assert_int_equal(reader_sizes(h->r, &z), 0);
	assert_int_equal(z.wal_bytes, 0);
	assert_int_equal(sqlite3_open_v2(home_path(h, "calloutd.db", path), &db, SQLITE_OPEN_READONLY, NULL),
			 SQLITE_OK);
	(void)sqlite3_close(db);
}

/* ---- a hundred thousand waiting, one record stuck ---- */

#define MANY 100000

static int64_t since_ms(int64_t start)
{
	return clock_mono_ms() - start;
}

static void long_queue_costs_nothing(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[64];
	struct handler_state c;
	int64_t page, start, next, due;
	size_t n;

	accept_many(h->s, MANY, 1000);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 1000000, T0);      /* record 0 is stuck */
	(void)page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 50 }, &next);

	start = clock_mono_ms();
	for (int i = 0; i < 100; i++)
		(void)page_of(h, (struct event_filter){ .kind = -1, .state = -1, .limit = 50 }, &next);
	print_message("first page of %d: %lld us\n", MANY, (long long)since_ms(start) * 10);
	assert_true(since_ms(start) < 5000);

	start = clock_mono_ms();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(reader_next(h->r, page, 50000, refs, 64, &n), 0);
		assert_int_equal(n, 64);
		assert_int_equal(reader_due(h->r, page, T0, refs, 64, &n), 0);
		assert_int_equal(n, 0);
		assert_int_equal(reader_next_due(h->r, page, &due), 0);
	}
	print_message("a claim of 64 among %d: %lld us\n", MANY, (long long)since_ms(start) * 10);
	assert_true(since_ms(start) < 5000);

	start = clock_mono_ms();
	for (int i = 0; i < 100; i++)
		c = handler_of(h->r, "page");
	print_message("handlers: %lld us\n", (long long)since_ms(start) * 10);
	assert_int_equal(c.oldest_waiting_ms, T0);
	assert_true(since_ms(start) < 5000);

	/* Nothing matches: the page looks at so many, and says where to go on. */
	start = clock_mono_ms();
	(void)accept_ticket(h->s, 1, T0 + MANY);
	assert_int_equal(page_of(h, (struct event_filter){ .kind = -1, .state = -1, .webhook = "none" },
				 &next).count, 0);
	print_message("%d looked at in vain: %lld ms\n", MANY, (long long)since_ms(start));
	assert_int_equal(next, 2);
	assert_int_equal(page_of(h, (struct event_filter){ .kind = -1, .state = -1, .webhook = "none",
				 .before = next }, &next).count, 0);
	assert_int_equal(next, 0);
}

/* All of one stuck record, parked: the head's failures and the claim stay as cheap. */
static void long_line_behind_one_head_costs_nothing(void **state)
{
	enum { LINE = 20000 };
	struct home *h = *state;
	struct delivery_ref refs[64];
	int64_t page, start;
	size_t n;

	accept_many(h->s, LINE, 1);
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 10, T0);
	for (int64_t at = 2; at < LINE; at += 64) {
		assert_int_equal(reader_next(h->r, page, at - 1, refs, 64, &n), 0);
		assert_true(n > 0 && refs[0].behind);
		assert_int_equal(store_begin(h->s), 0);
		assert_int_equal(store_park(h->s, page, refs, n, refs[n - 1].event, T0), 0);
		assert_int_equal(store_commit(h->s), 0);
	}
	assert_int_equal(handler_of(h->r, "page").low_water, LINE);
	start = clock_mono_ms();
	for (int i = 0; i < 100; i++) {
		assert_true(settle_to(h->s, page, 1, DELIVERY_PARKED, T0 + 10 + i, T0));
		assert_int_equal(reader_due(h->r, page, T0 + 1000, refs, 64, &n), 0);
		assert_int_equal(n, 1);
	}
	print_message("a failure before %d blocked: %lld us\n", LINE, (long long)since_ms(start) * 10);
	assert_true(since_ms(start) < 5000);
	assert_true(settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 2000));
	assert_int_equal(reader_due(h->r, page, T0 + 2000, refs, 64, &n), 0);
	assert_true(n == 1 && refs[0].event == 2);
}

static void deadline_interrupts(void **state)
{
	struct home *h = *state;
	struct delivery_ref ref;
	int64_t page, next = -1;
	struct page p = { .descending = true };
	struct event_filter f = { .kind = -1, .state = DELIVERY_DROPPED, .limit = 1000 };
	size_t n = 0;
	int r;

	accept_many(h->s, 50000, 50000);
	page = handler_number(h->s, "page");
	reader_deadline(h->r, 1);
	r = reader_events(h->r, &f, see, &p, &next);
	assert_int_equal(r, -ETIME);
	assert_int_equal(next, -1);
	/* The next question has its own time; and none is for ever. */
	reader_deadline(h->r, 5000);
	assert_int_equal(reader_next(h->r, page, 0, &ref, 1, &n), 0);
	assert_int_equal(n, 1);
	reader_deadline(h->r, 0);
	assert_int_equal(reader_events(h->r, &f, see, &p, &next), 0);
	assert_int_equal(next, 0);
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)
	static const struct CMUnitTest tests[] = {
		WITH_STORE(pages_follow_each_other),
		WITH_STORE(filters_choose),
		WITH_STORE(limits_of_a_page),
		WITH_STORE(sizes_are_told),
		WITH_STORE(stopped_store_is_read),
		WITH_STORE(readers_cannot_write),
		WITH_STORE(long_queue_costs_nothing),
		WITH_STORE(long_line_behind_one_head_costs_nothing),
		WITH_STORE(deadline_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
