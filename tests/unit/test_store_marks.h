/* test_store_marks.h - bodies that are recognised wherever they are left, and forgetting them. */
#ifndef CALLOUTD_TEST_STORE_MARKS_H
#define CALLOUTD_TEST_STORE_MARKS_H

#include "test_store.h"

#include <dirent.h>
#include <sqlite3.h>

#include "base/file.h"
#include "../../src/store/private.h"

/* As memmem(), of which the thread sanitizer looks at all that follows, at each call. */
static UNUSED const char *next_of(const char *at, const char *end, const char *text)
{
	size_t len = strlen(text);

	for (; (at = memchr(at, text[0], (size_t)(end - at))); at++)
		if ((size_t)(end - at) >= len && memcmp(at, text, len) == 0)
			return at;
	return NULL;
}

/* Bytes found in any file of the directory: how often. */
static UNUSED unsigned occurrences(const struct home *h, const char *text)
{
	DIR *dir = opendir(h->dir);
	const struct dirent *d;
	unsigned count = 0;

	assert_non_null(dir);
	while ((d = readdir(dir))) {
		char path[400], *data = NULL;
		size_t len = 0;

		(void)snprintf(path, sizeof(path), "%s/%s", h->dir, d->d_name);
		if (d->d_type != DT_REG || file_read(path, 1UL << 30, &data, &len) < 0)
			continue;
		for (const char *at = data; (at = next_of(at, data + len, text)); at++)
			count++;
		free(data);
	}
	(void)closedir(dir);
	return count;
}

/* Within a transaction. */
static UNUSED void forget_steps(struct store *s, struct forget *f)
{
	for (unsigned i = 0; i < 10000 && f->now.phase != FORGET_REMOVED; i++) {
		assert_int_equal(store_forget(s, f), 0);
		f->now = f->then;
		if (f->now.phase == FORGET_FOUND)
			f->now.phase = f->now.waiting ? FORGET_DROP : FORGET_REMOVE;
		if (f->now.phase == FORGET_DROPPED)
			f->now.phase = FORGET_REMOVE;
	}
	assert_int_equal(f->now.phase, FORGET_REMOVED);
}

static UNUSED void forget_all(struct store *s, struct forget *f)
{
	assert_int_equal(store_begin(s), 0);
	forget_steps(s, f);
	assert_int_equal(store_commit(s), 0);
}

static UNUSED uint64_t scrub_all(struct store *s)
{
	uint64_t cleaned = 0;

	store_scrub(s);
	for (unsigned i = 0; i < 100000 && store_scrubbing(s); i++)
		assert_int_equal(store_scrub_step(s), 0);
	assert_false(store_scrubbing(s));
	assert_int_equal(store_scrubbed(s, &cleaned), 0);
	return cleaned;
}

static UNUSED void whole(const struct home *h)
{
	char path[128];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	assert_int_equal(sqlite3_open(home_path(h, "calloutd.db", path), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(st, 0), "ok");
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
}

/* Which of the records 1..max has its mark in any file. */
static UNUSED unsigned marked(const struct home *h, bool *ret, int64_t max)
{
	DIR *dir = opendir(h->dir);
	const struct dirent *d;
	unsigned count = 0;

	assert_non_null(dir);
	memset(ret, 0, (size_t)max + 1);
	while ((d = readdir(dir))) {
		char path[400], *data = NULL;
		size_t len = 0;

		(void)snprintf(path, sizeof(path), "%s/%s", h->dir, d->d_name);
		if (d->d_type != DT_REG || file_read(path, 1UL << 30, &data, &len) < 0)
			continue;
		for (const char *at = data; (at = next_of(at, data + len, "MARK-")); at++) {
			char *end;
			long long id = strtoll(at + 5, &end, 10);

			if (*end == '-' && id > 0 && id <= max && !ret[id]) {
				ret[id] = true;
				count++;
			}
		}
		free(data);
	}
	(void)closedir(dir);
	return count;
}

/* A body of that length full of "MARK-ID-", with an output at settling; within a transaction. */
static UNUSED void put_within(struct home *h, int64_t handler, int64_t id, size_t len)
{
	char *body = malloc(len + 32), text[32];
	struct accepted got = { 0 };
	struct sample m;
	size_t n = (size_t)snprintf(text, sizeof(text), "MARK-%lld-", (long long)id);
	bool behind;

	assert_non_null(body);
	for (size_t i = 0; i < len; i++)
		body[i] = text[i % n];
	sample_make(&m, id, T0);
	m.e.body = body;
	m.e.body_len = len;
	assert_int_equal(store_accept(h->s, &m.e, &got), 0);

	const struct attempt_new a = { .handler = handler, .event = got.event, .number = 1, .started_ms = T0 + got.event,
				       .ended_ms = T0 + got.event + 5, .out = body, .out_len = len < 9000 ? len : 9000, .err = "" };
	const struct settle t = { .attempt = &a, .handler = handler, .event = got.event, .record = m.record, .state = DELIVERY_DONE,
				  .attempts = 1, .now_ms = T0 };

	assert_int_equal(store_settle(h->s, &t, &behind), 0);
	free(body);
}

static UNUSED void put(struct home *h, int64_t handler, int64_t id, size_t len)
{
	assert_int_equal(store_begin(h->s), 0);
	put_within(h, handler, id, len);
	assert_int_equal(store_commit(h->s), 0);
}

#endif
