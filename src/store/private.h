/*
 * private.h - what the files of this room know of a store and a reader.
 *
 * A store's counters and marks of handlers are kept in memory during a transaction and
 * written once per group, before the commit: a group of a thousand events changes a
 * handler's row once. After a rollback they are read again.
 */
#ifndef CALLOUTD_STORE_PRIVATE_H
#define CALLOUTD_STORE_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prune.h"
#include "schema.h"
#include "sql.h"
#include "store/store.h"

#define STORE_BUSY_MS 2000

/* Statements of the writer; their texts are in statements.c. */
enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_HANDLER_LIST,
	ST_HANDLER_ADD,
	ST_HANDLER_FLUSH,
	ST_HANDLER_CONDITION,
	ST_EVENT_NEWEST,
	ST_SEEN_ADD,
	ST_SEEN_FIND,
	ST_SEEN_BODY_ADD,
	ST_SEEN_BODY_FIND,
	ST_EVENT_ADD,
	ST_EVENT_REPEATED,
	ST_EVENT_RECORD,
	ST_CONTENT_ADD,
	ST_DELIVERY_ADD,
	ST_DELIVERY_STATE,
	ST_DELIVERY_SET,
	ST_DELIVERY_EARLIER,
	ST_DELIVERY_BETWEEN,
	ST_REPLAYED_ADD,
	ST_EVENT_UNDERSTOOD,
	ST_PARKED_PUT,
	ST_PARKED_DELETE,
	ST_PARKED_HEAD,
	ST_PARKED_EARLIER,
	ST_PARKED_FREE,
	ST_PARKED_BLOCK_LATER,
	ST_PARKED_LET_GO,
	ST_PARKED_LET_ALL_GO,
	ST_DEAD_ADD,
	ST_DEAD_DELETE,
	ST_HANDLED_PUT,
	ST_HANDLED_FIND,
	ST_HANDLED_NEWER,
	ST_REGISTRATION_PUT,
	ST_ALERT_CLEAR,
	ST_ALERT_ADD,
	ST_ATTEMPT_LAST,
	ST_ATTEMPT_ADD,
	ST_ATTEMPT_OUTPUT,
	ST_ATTEMPT_DELETE,
	ST_OUTPUT_ADD,
	ST_OUTPUT_DELETE,
	ST_EVENT_FACTS,
	ST_DELIVERY_WHOLE,
	ST_DELIVERY_WAITING_NEXT,
	ST_DELIVERY_SETTLED_NEXT,
	ST_PARKED_NEXT,
	ST_DEAD_NEXT,
	ST_EVENT_STATES,
	ST_CONTENT_NEXT,
	ST_EVENT_NEXT,
	ST_PRUNE_OUTPUT,
	ST_PRUNE_OUTPUT_GONE,
	ST_PRUNE_CONTENT,
	ST_PRUNE_HANDLED,
	ST_PRUNE_ATTEMPTS,
	ST_PRUNE_DEAD,
	ST_PRUNE_REPLAYED,
	ST_PRUNE_DELIVERIES,
	ST_PRUNE_EVENT,
	ST_PRUNE_SEEN,
	ST_SEEN_OLDEST,
	ST_PRUNE_SEEN_BODY,
	ST_SEEN_BODY_OLDEST,
	ST_FORGET_FIND,
	ST_FORGET_RUNS,
	ST_FORGET_POINTER,
	ST_FORGET_COMPANY,
	ST_FORGET_OUTPUT_GONE,
	ST_FORGET_CONTENT,
	ST_PAGES,
	ST_FREE_PAGES,
	ST_COUNT_
};
extern const char *const store_statements[ST_COUNT_];

struct handler_entry {
	int64_t id;
	int64_t accepted, done, failed, dropped;        /* changes not yet written */
	int64_t low_water;
	bool dirty;
	char name[CALLOUT_NAME_MAX + 1];
};

/* scrub.c: where it is. */
struct scrub {
	bool wanted;
	size_t table;
	int64_t after;          /* keys up to here are done */
	unsigned tries;
	int result;             /* 0, or why it ended */
	uint64_t cleaned;       /* places that were not zeros */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *st[ST_COUNT_];
	char *path;                     /* DIRECTORY/calloutd.db */
	char *reserve_path;
	uint64_t reserve_bytes;
	bool reserve_gone;              /* given up after -ENOSPC */
	int lock_fd;
	bool stale;                     /* what is in memory must be read again */
	bool fatal;                     /* an fsync failed: touch nothing any more */
	unsigned wal_frames;            /* as the last commit left it */
	unsigned checkpoint_at;         /* frames at which to try again */
	unsigned skipped;               /* by the last store_retry() */
	int64_t newest_event;
	struct handler_entry *handlers; /* sorted by name */
	size_t handler_count, handler_cap;
	uint64_t page_bytes;
	struct pruning prune;
	struct scrub scrub;
};

/* handler.c */
int handlers_load(struct store *s);
int handlers_flush(struct store *s);
/* Borrowed until the next handler is added. NULL: unknown. */
struct handler_entry *handler_by_id(struct store *s, int64_t id);
int handler_make(struct store *s, const char *name, struct handler_entry **ret);
void handler_mark(struct handler_entry *h, int64_t low_water);
/* One delivery enters (by 1) or leaves (by -1) a state that is counted. */
void handler_count(struct handler_entry *h, enum delivery_state state, int by);

/* order.c: what is parked, and who may go next for a record */
struct parked_row {
	int64_t handler, event;
	const char *record;
	bool blocked;
	int64_t due_ms;
	unsigned attempts;
	bool late;
};
int parked_put(struct store *s, const struct parked_row *p);
int parked_delete(struct store *s, int64_t handler, int64_t event);
/* Is there an earlier delivery of the record, parked or in turn, that must go first? 1, 0, -errno. */
int order_earlier(struct store *s, const struct handler_entry *h, const char *record, int64_t event);
/* Make the record's next one due if nothing is before it any more. *ret_behind: some are parked. */
int order_promote(struct store *s, const struct handler_entry *h, const char *record,
		  int64_t now_ms, bool *ret_behind);

/* accept.c: the duplicate key. 1: it is new and belongs to `event` now, 0: it is known, or -errno. */
int key_add(struct store *s, const struct event_new *e, int64_t event);
/* Whose it is. -ENOENT: nobody's. */
int key_find(struct store *s, const struct event_new *e, int64_t *ret_event);

/* settle.c */
int delivery_state(struct store *s, int64_t handler, int64_t event, enum delivery_state *ret);
int delivery_set(struct store *s, int64_t handler, int64_t event, enum delivery_state state,
		 unsigned attempts, int64_t at_ms);

/* transaction.c */
int store_reload(struct store *s);      /* read again what is kept in memory */
int store_probe(struct store *s);       /* write and commit something of no account */
bool store_is_trouble(int result);      /* the disk's or the file's fault, not the caller's */

/* scrub.c: one step; 0, or STORE_FATAL (everything else is store_scrubbed()'s). Outside a transaction. */
int store_scrub_step(struct store *s);

/* prune.c */
int store_pages(struct store *s, uint64_t *ret_used_bytes, uint64_t *ret_free_bytes);
void prune_forget(struct store *s);     /* walk from the beginning again */
void prune_settled(struct store *s, int64_t event);
bool prune_wanted(const struct store *s);
bool prune_oversize(struct store *s, uint64_t used_bytes, uint64_t max_bytes);

#endif
