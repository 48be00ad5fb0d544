/* test_store.h - a store in a directory of its own, and callouts to fill it with. */
#ifndef CALLOUTD_TEST_STORE_H
#define CALLOUTD_TEST_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "store/journal.h"
#include "store/store.h"
#include "test_tree.h"

#define UNUSED __attribute__((unused))

struct home {
	char dir[64];
	struct store *s;
	struct reader *r;
};

static UNUSED void home_make(struct home *h)
{
	const char *tmp = getenv("TMPDIR");

	memset(h, 0, sizeof(*h));
	(void)snprintf(h->dir, sizeof(h->dir), "%.40s/store-test.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(h->dir));
}

static UNUSED void home_open(struct home *h)
{
	struct error err = { "" };

	if (store_open(&(struct store_options){ .directory = h->dir }, &h->s, &err) != 0)
		fail_msg("%s", err.text);
	if (reader_open(h->dir, &h->r, &err) != 0)
		fail_msg("%s", err.text);
}

static UNUSED void home_close(struct home *h)
{
	h->r = reader_close(h->r);
	h->s = store_close(h->s);
}

static UNUSED void home_remove(struct home *h)
{
	home_close(h);
	(void)remove_tree(h->dir);
}

static UNUSED const char *home_path(const struct home *h, const char *name, char dst[static 128])
{
	(void)snprintf(dst, 128, "%s/%s", h->dir, name);
	return dst;
}

/* One number from a database file, beside whoever has it open; -1: there is none. */
static UNUSED int64_t ask(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t value = -1;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return value;
}

/* Setup of a test with a home whose store is closed. */
static UNUSED int home_setup_closed(void **state)
{
	struct home *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	home_make(h);
	*state = h;
	return 0;
}

/* The same with an open store. */
static UNUSED int home_setup(void **state)
{
	(void)home_setup_closed(state);
	home_open(*state);
	return 0;
}

static UNUSED int home_teardown(void **state)
{
	home_remove(*state);
	free(*state);
	return 0;
}

#define T0 1757948270000        /* 2025-09-15: when tests take place */

/* A callout to accept: fill in what matters to the test. */
struct sample {
	struct event_new e;
	struct callout c;
	uint8_t key[CALLOUT_KEY_LEN];
	char record[CALLOUT_RECORD_MAX];
	const char *handlers[4];
};

static UNUSED void sample_make(struct sample *m, int64_t id, int64_t received_ms)
{
	static const char body[] = "{\"Action\":\"Update\",\"Id\":1}";

	memset(m, 0, sizeof(*m));
	m->c.id = id;
	m->c.has_id = true;
	(void)snprintf(m->c.action, sizeof(m->c.action), "%s", "update");
	(void)snprintf(m->c.action_raw, sizeof(m->c.action_raw), "%s", "Update");
	(void)snprintf(m->c.entity, sizeof(m->c.entity), "%s", "Ticket");
	(void)snprintf(m->c.entity_raw, sizeof(m->c.entity_raw), "%s", "Ticket");
	(void)snprintf(m->c.guid, sizeof(m->c.guid), "%s", "11111111-2222-3333-4444-555555555555");
	(void)snprintf(m->c.time, sizeof(m->c.time), "%s", "2025-09-15T14:57:50Z");
	(void)snprintf(m->record, sizeof(m->record), "Ticket/%lld", (long long)id);
	m->handlers[0] = "page";
	m->e = (struct event_new){
		.received_ms = received_ms,
		.webhook = "tickets",
		.verified = true,
		.signed_by = 1,
		.callout = &m->c,
		.record = m->record,
		.client = "192.0.2.7",
		.body = body,
		.body_len = sizeof(body) - 1,
		.handlers = m->handlers,
		.handler_count = 1,
	};
}

static UNUSED void sample_key(struct sample *m, uint8_t value, int64_t key_ms)
{
	memset(m->key, value, sizeof(m->key));
	m->e.key = m->key;
	m->e.key_ms = key_ms;
}

static UNUSED int64_t accept_sample(struct store *s, const struct sample *m)
{
	struct accepted a = { 0 };

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_accept(s, &m->e, &a), 0);
	assert_int_equal(store_commit(s), 0);
	return a.event;
}

/* An ordinary update of one ticket for handler "page". */
static UNUSED int64_t accept_ticket(struct store *s, int64_t id, int64_t received_ms)
{
	struct sample m;

	sample_make(&m, id, received_ms);
	return accept_sample(s, &m);
}

static UNUSED int64_t handler_number(struct store *s, const char *name)
{
	int64_t number = 0;

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_handler(s, name, &number), 0);
	assert_int_equal(store_commit(s), 0);
	return number;
}

/* Settle without an attempt; returns whether more of the record is parked. */
static UNUSED bool settle_to(struct store *s, int64_t handler, int64_t event, enum delivery_state state,
			     int64_t due_ms, int64_t now_ms)
{
	const struct settle t = {
		.handler = handler, .event = event, .state = state, .attempts = 1,
		.due_ms = due_ms, .now_ms = now_ms,
	};
	bool behind = false;

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_settle(s, &t, &behind), 0);
	assert_int_equal(store_commit(s), 0);
	return behind;
}

static UNUSED void park_behind(struct store *s, int64_t handler, int64_t event, const char *record,
			       int64_t now_ms)
{
	struct delivery_ref ref = { .event = event };

	(void)snprintf(ref.record, sizeof(ref.record), "%s", record);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_park(s, handler, &ref, 1, 0, now_ms), 0);
	assert_int_equal(store_commit(s), 0);
}

/* The first delivery of the event, as people see it. */
static UNUSED int keep_delivery(void *arg, const struct delivery *d)
{
	struct delivery *to = arg;

	if (!to->event)
		*to = *d;
	return 0;
}

static UNUSED struct delivery delivery_of(struct reader *r, int64_t event)
{
	struct delivery d = { 0 };

	assert_int_equal(reader_deliveries(r, event, keep_delivery, &d), 0);
	return d;
}

static UNUSED struct handler_state handler_of(struct reader *r, const char *name)
{
	struct handler_state *list = NULL, found = { 0 };
	size_t count = 0;

	assert_int_equal(reader_handlers(r, &list, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			found = list[i];
	free(list);
	return found;
}

static UNUSED void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Poll until the condition holds; false after so long. */
#define POLL(seconds, condition)                                                        \
	__extension__({                                                                 \
		int64_t until_ = clock_mono_ms() + (seconds) * 1000;                    \
		while (!(condition) && clock_mono_ms() < until_)                        \
			pause_ms(2);                                                    \
		(condition);                                                            \
	})

#endif
