/* reader.h - what the files of the reading side share. */
#ifndef CALLOUTD_STORE_READER_H
#define CALLOUTD_STORE_READER_H

#include <sqlite3.h>
#include <stdint.h>

#include "schema.h"
#include "sql.h"
#include "store/store.h"

/* Statements of a reader; their texts are in reader.c. */
enum question {
	RD_HANDLERS,
	RD_WAITING,
	RD_PARKED_OLDEST,
	RD_NEXT,
	RD_DUE,
	RD_NEXT_DUE,
	RD_BEHIND,
	RD_AHEAD,
	RD_HELD,
	RD_HANDLED_NEWER,
	RD_HANDLED_AFTER,
	RD_EVENT_NEXT,
	RD_REGISTRATIONS,
	RD_ALERTS,
	RD_EVENT,
	RD_EVENT_EXISTS,
	RD_BODY,
	RD_SEEN,
	RD_SEEN_BODY,
	RD_CONTENT,
	RD_EVENTS_DOWN,
	RD_EVENTS_UP,
	RD_DELIVERY_STATE,
	RD_DEAD_DOWN,
	RD_DEAD_UP,
	RD_DELIVERIES,
	RD_ATTEMPTS,
	RD_NEWEST,
	RD_PAGES,
	RD_FREE_PAGES,
	RD_COUNT_
};

/*
 * Waiting deliveries of a handler are found by reading on; what is not waiting any more never
 * waits again in turn (it would be parked), so a stretch that was passed over is never
 * looked at twice.
 */
struct skip {
	int64_t handler;
	int64_t from, to;       /* none waits in (from, to] */
};

struct reader {
	sqlite3 *db;
	sqlite3_stmt *st[RD_COUNT_];
	char *path;
	int64_t deadline_ms;    /* 0: none */
	int64_t until_ms;       /* of what runs now, CLOCK_MONOTONIC */
	struct skip *skips;
	size_t skip_count;
};

/* history.c */
void event_fill(sqlite3_stmt *st, struct event *e);
int reader_exists(struct reader *r, enum question q, int64_t event);

/* queue.c: as reader_handlers(), without looking for what is oldest */
int reader_handlers_plain(struct reader *r, struct handler_state **ret, size_t *ret_count);

/* reader.c: connect r->path, to read; nothing else of r is touched. 0 or -errno. */
int reader_view(struct reader *r);
/* "file:PATH" with what has a meaning there percent-encoded, then parameters. free() it; NULL: no memory. */
char *reader_uri(const char *path, const char *parameters);

/* Every verb begins with it: the deadline counts from here. */
void reader_begin(struct reader *r);

#define EVENT_COLUMNS \
	"e.id, e.received_ms, e.kind, e.source, e.webhook, e.verified, e.signed_by, e.reason," \
	" e.action, e.action_raw, e.entity, e.entity_raw, e.guid, e.time, e.record, e.client," \
	" e.record_id, e.sequence, e.person, e.body_len, e.duplicates"
#define EVENT_COLUMN_COUNT 21

#endif
