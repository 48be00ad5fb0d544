/* history.c - one event: what it was, its content, deliveries and attempts; and sizes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "reader.h"

/* Columns in the order of EVENT_COLUMNS. */
void event_fill(sqlite3_stmt *st, struct event *e)
{
	*e = (struct event){
		.id = sqlite3_column_int64(st, 0),
		.received_ms = sqlite3_column_int64(st, 1),
		.kind = (enum event_kind)sqlite3_column_int(st, 2),
		.source = (enum event_source)sqlite3_column_int(st, 3),
		.verified = sqlite3_column_int(st, 5) != 0,
		.signed_by = (unsigned)sqlite3_column_int(st, 6),
		.record_id = sqlite3_column_int64(st, 16),
		.has_id = sqlite3_column_type(st, 16) != SQLITE_NULL,
		.sequence = sqlite3_column_int64(st, 17),
		.has_sequence = sqlite3_column_type(st, 17) != SQLITE_NULL,
		.person = sqlite3_column_int64(st, 18),
		.has_person = sqlite3_column_type(st, 18) != SQLITE_NULL,
		.body_len = (uint64_t)sqlite3_column_int64(st, 19),
		.duplicates = (unsigned)sqlite3_column_int64(st, 20),
	};
	column_text(st, 4, e->webhook, sizeof(e->webhook));
	column_text(st, 7, e->reason, sizeof(e->reason));
	column_text(st, 8, e->action, sizeof(e->action));
	column_text(st, 9, e->action_raw, sizeof(e->action_raw));
	column_text(st, 10, e->entity, sizeof(e->entity));
	column_text(st, 11, e->entity_raw, sizeof(e->entity_raw));
	column_text(st, 12, e->guid, sizeof(e->guid));
	column_text(st, 13, e->time, sizeof(e->time));
	column_text(st, 14, e->record, sizeof(e->record));
	column_text(st, 15, e->client, sizeof(e->client));
}

int reader_event(struct reader *r, int64_t event, struct event *ret)
{
	sqlite3_stmt *st = r->st[RD_EVENT];
	struct bind b = bind_begin(st);
	int result;

	reader_begin(r);
	bind_int(&b, event);
	result = bind_row(&b);
	if (result <= 0)
		return result < 0 ? result : -ENOENT;
	event_fill(st, ret);
	ret->body_kept = sqlite3_column_int(st, EVENT_COLUMN_COUNT) != 0;
	(void)sqlite3_reset(st);
	return 0;
}

int reader_key(struct reader *r, const uint8_t *key, int64_t key_ms, int64_t *ret_event)
{
	sqlite3_stmt *st = r->st[key_ms ? RD_SEEN : RD_SEEN_BODY];
	struct bind b = bind_begin(st);
	int result;

	reader_begin(r);
	bind_blob(&b, key, CALLOUT_KEY_LEN);
	if (key_ms)
		bind_int(&b, key_ms);
	result = bind_row(&b);
	if (result < 0)
		return result;
	*ret_event = result ? sqlite3_column_int64(st, 0) : 0;
	(void)sqlite3_reset(st);
	return 0;
}

/* ---- content ---- */

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int copy_body(sqlite3_stmt *st, void **ret_body, size_t *ret_len, char **ret_headers)
{
	const void *bytes = sqlite3_column_blob(st, 0);
	size_t len = (size_t)sqlite3_column_bytes(st, 0);
	char *copy = malloc(len + 1);

	if (!copy || (len && !bytes)) {
		free(copy);
		return -ENOMEM;
	}
	if (len)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	if (ret_headers && copy_text((const char *)sqlite3_column_text(st, 1), ret_headers) < 0) {
		free(copy);
		return -ENOMEM;
	}
	*ret_body = copy;
	*ret_len = len;
	return 0;
}

int reader_exists(struct reader *r, enum question q, int64_t event)
{
	struct bind b = bind_begin(r->st[q]);
	int result;

	bind_int(&b, event);
	result = bind_row(&b);
	if (result > 0)
		(void)sqlite3_reset(b.st);
	return result;
}

int reader_body(struct reader *r, int64_t event, void **ret_body, size_t *ret_len, char **ret_headers)
{
	sqlite3_stmt *st = r->st[RD_BODY];
	struct bind b = bind_begin(st);
	int result;

	reader_begin(r);
	bind_int(&b, event);
	result = bind_row(&b);
	if (result == 0) {
		result = reader_exists(r, RD_EVENT_EXISTS, event);
		return result < 0 ? result : result ? -ENODATA : -ENOENT;
	}
	if (result < 0)
		return result;
	result = copy_body(st, ret_body, ret_len, ret_headers);
	(void)sqlite3_reset(st);
	return result;
}

/* ---- deliveries and attempts of one event ---- */

static bool settled(enum delivery_state s)
{
	return s != DELIVERY_WAITING && s != DELIVERY_PARKED;
}

int reader_deliveries(struct reader *r, int64_t event,
		      int (*fn)(void *arg, const struct delivery *d), void *arg)
{
	sqlite3_stmt *st = r->st[RD_DELIVERIES];
	struct bind b = bind_begin(st);
	int result;

	reader_begin(r);
	bind_int(&b, event);
	for (result = bind_row(&b); result > 0; result = sql_step(st)) {
		struct delivery d = {
			.event = event,
			.handler_number = sqlite3_column_int64(st, 0),
			.state = (enum delivery_state)FROM_DISK(sqlite3_column_int(st, 2)),
			.attempts = (unsigned)sqlite3_column_int64(st, 3),
			.why = sqlite3_column_int(st, 5) ? PARK_BLOCKED : PARK_RETRY,
		};
		int stop;

		column_text(st, 1, d.handler, sizeof(d.handler));
		if (d.state == DELIVERY_PARKED && sqlite3_column_int64(st, 6) == DELIVERY_HELD_MS)
			d.why = PARK_HELD;
		d.replayed = sqlite3_column_int(st, 7) != 0;
		if (settled(d.state))
			d.finished_ms = sqlite3_column_int64(st, 4);
		else if (d.state == DELIVERY_PARKED && d.why == PARK_RETRY)
			d.due_ms = sqlite3_column_int64(st, 6);
		stop = fn(arg, &d);
		if (stop) {
			(void)sqlite3_reset(st);
			return stop;
		}
	}
	return result;
}

static void attempt_fill(sqlite3_stmt *st, int64_t event, struct attempt *a)
{
	*a = (struct attempt){
		.run = (unsigned)sqlite3_column_int64(st, 0),
		.a = {
			.handler = sqlite3_column_int64(st, 1),
			.event = event,
			.number = (unsigned)sqlite3_column_int64(st, 3),
			.started_ms = sqlite3_column_int64(st, 4),
			.ended_ms = sqlite3_column_int64(st, 5),
			.result = (enum attempt_result)sqlite3_column_int(st, 6),
			.status = sqlite3_column_int(st, 7),
			.out = sqlite3_column_blob(st, 8),
			.out_len = (size_t)sqlite3_column_bytes(st, 8),
			.err = sqlite3_column_blob(st, 9),
			.err_len = (size_t)sqlite3_column_bytes(st, 9),
			.out_total = (uint64_t)sqlite3_column_int64(st, 10),
			.err_total = (uint64_t)sqlite3_column_int64(st, 11),
		},
	};
	column_text(st, 2, a->handler, sizeof(a->handler));
}

int reader_attempts(struct reader *r, int64_t event,
		    int (*fn)(void *arg, const struct attempt *a), void *arg)
{
	sqlite3_stmt *st = r->st[RD_ATTEMPTS];
	struct bind b = bind_begin(st);
	int result;

	reader_begin(r);
	bind_int(&b, event);
	for (result = bind_row(&b); result > 0; result = sql_step(st)) {
		struct attempt a;
		int stop;

		attempt_fill(st, event, &a);
		stop = fn(arg, &a);
		if (stop) {
			(void)sqlite3_reset(st);
			return stop;
		}
	}
	return result;
}

/* ---- sizes ---- */

static int ask(sqlite3_stmt *st, int64_t *ret)
{
	int result = sql_step(st);

	if (result <= 0)
		return result < 0 ? result : -ENOENT;
	*ret = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 0;
}

static uint64_t file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int page_bytes(struct reader *r, struct store_sizes *z)
{
	int64_t pages = 0, free_pages = 0, page_size = 0;
	int result = ask(r->st[RD_PAGES], &pages);

	if (result == 0)
		result = ask(r->st[RD_FREE_PAGES], &free_pages);
	if (result == 0)
		result = sql_int(r->db, "PRAGMA page_size", &page_size);
	z->file_bytes = (uint64_t)pages * (uint64_t)page_size;
	z->free_bytes = (uint64_t)free_pages * (uint64_t)page_size;
	return result;
}

int reader_sizes(struct reader *r, struct store_sizes *ret)
{
	AUTO(free) char *wal = NULL;
	struct store_sizes z = { 0 };
	uint64_t total;
	int result;

	if (asprintf(&wal, "%s-wal", r->path) < 0) {
		wal = NULL;
		return -ENOMEM;
	}
	reader_begin(r);
	result = page_bytes(r, &z);
	if (result == 0)
		result = ask(r->st[RD_NEWEST], &z.newest_event);
	if (result == 0)
		result = file_space(r->path, &z.disk_free_bytes, &total);
	if (result < 0)
		return result;
	z.wal_bytes = file_bytes(wal);
	*ret = z;
	return 0;
}
