/*
 * store.h - events, deliveries and attempts on disk, as verbs of the house.
 *
 * One store is one SQLite file "calloutd.db" (WAL, synchronous=FULL) in the state
 * directory. No SQL, statement or SQLite type leaves this room, so that another
 * backend could be put behind these verbs.
 *
 *   struct store   the one writer; belongs to the journal thread (journal.h)
 *   struct reader  a read-only view; one per thread that reads
 *
 * What is written when:
 *   accept   appends an event, its body, its duplicate key and one delivery per
 *            matching handler; nothing else
 *   park     a delivery that must wait out of turn (retry, blocked behind its
 *            record's head) gets a row in the small table of exceptions
 *   settle   an attempt's end: attempt row, the delivery's new state, the handler's
 *            counters and low-water mark
 *
 * A delivery is named by (handler, event). A handler's number stands for its name
 * and is stable for the life of the database. Times are *_ms since the epoch.
 *
 * Errors: 0 or -errno: -ENOSPC disk or quota full, -EROFS, -EIO (write or read
 * failed), -EUCLEAN the database is damaged, -EBUSY locked by another process,
 * -EOPNOTSUPP tables of another version, -ENOENT no such row, -ENOMEM. STORE_FATAL (-ENOTRECOVERABLE): an fsync failed:
 * nobody knows what is on disk; the process must end and reopen.
 */
#ifndef CALLOUTD_STORE_STORE_H
#define CALLOUTD_STORE_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/error.h"
#include "callout/callout.h"

struct store;
struct reader;

#define STORE_FATAL (-ENOTRECOVERABLE)
#define STORE_SCHEMA 5          /* version written; older ones are migrated after a copy */

/* ---- words ---- */

enum event_kind {
	EVENT_ORDINARY,
	EVENT_QUARANTINED,      /* signed, but not understood; no deliveries */
	EVENT_DEACTIVATED,      /* a deactivation notice */
	EVENT_RESTORED,         /* nothing received: from here on the store is a copy put back; time: the copy's */
	EVENT_KIND_COUNT_
};
const char *event_kind_name(enum event_kind k);         /* "event", "quarantined", "deactivated", "restored" */

enum event_source {
	SOURCE_LIVE,
	SOURCE_RECOVERED,
	SOURCE_REFETCHED,
	SOURCE_REPLAY,
	SOURCE_TEST,
	SOURCE_COUNT_
};
const char *event_source_name(enum event_source s);     /* "live", "recovered", ... */

enum delivery_state {
	DELIVERY_WAITING,       /* in turn: the cursor will come by */
	DELIVERY_PARKED,        /* waiting out of turn: has an exception row; shown as "waiting" */
	DELIVERY_DONE,
	DELIVERY_FAILED,        /* given up: a dead letter */
	DELIVERY_DROPPED,       /* by the operator */
	DELIVERY_STATE_COUNT_
};
const char *delivery_state_name(enum delivery_state s); /* PARKED is "waiting" too */

enum attempt_result {
	ATTEMPT_DONE,           /* exit 0 */
	ATTEMPT_RETRY,          /* another exit status */
	ATTEMPT_SIGNALLED,
	ATTEMPT_TIMEOUT,
	ATTEMPT_GAVE_UP,        /* exit 100 */
	ATTEMPT_PAUSED,         /* exit 75: no attempt used up */
	ATTEMPT_INTERRUPTED,    /* the runner went away: no attempt used up */
	ATTEMPT_NOT_STARTED,    /* 126, 127 */
	ATTEMPT_COUNT_
};
const char *attempt_result_name(enum attempt_result r);

enum park_why {
	PARK_RETRY,             /* due at due_ms */
	PARK_BLOCKED,           /* behind its record's head; promoted when that is settled */
	PARK_HELD,              /* by loop-limit, until store_let_go() */
};

/* ---- opening ---- */

struct store_options {
	const char *directory;          /* borrowed during open; created 0700 if missing */
	uint64_t reserve;               /* bytes of the ballast file "reserve"; 0: none */
	const char *vfs;                /* SQLite's file layer by name; NULL: the default (tests make disks fail) */
	/* Opening is about to take long, on the opening thread: bringing older tables up to date, a large WAL. NULL: nobody cares. */
	void (*lengthy)(void *arg, const char *what);
	void *arg;
};

/*
 * Open for writing: creates, migrates (after copying to calloutd.db.vN), recovers
 * the WAL and checkpoints it (TRUNCATE) before returning. One writer per file: a
 * lock file holds a second daemon out (-EBUSY with its pid). The error's sentence says what to
 * do: damaged -> restore a backup or move the file away; newer version -> install that
 * version; read-only -> remount, check ReadWritePaths.
 */
int store_open(const struct store_options *o, struct store **ret_store, struct error *err);
struct store *store_close(struct store *s);
AUTO_DEFINE(store, struct store *, store_close)

/* ---- writing: only between begin and commit, only on the journal thread ---- */

int store_begin(struct store *s);
int store_commit(struct store *s);      /* STORE_FATAL: end the process */
void store_rollback(struct store *s);

/*
 * Copies that migration made (calloutd.db.vN) hold content: those older than keep_ms go. Returns when the next one is due, INT64_MAX: there
 * is none. Between transactions, too.
 */
int64_t store_copies_prune(struct store *s, int64_t keep_ms, int64_t now_ms);
/*
 * Remove all of them, whatever their age, and the stores that a restore moved aside (with dry: count them). 0 or -errno; what
 * is removed by then stays removed.
 */
int store_copies_forget(struct store *s, bool dry, unsigned *ret_count);

/* PASSIVE checkpoint when the WAL has grown past a bound; STORE_FATAL as above. */
int store_checkpoint(struct store *s, bool truncate);

/* Give up the ballast file after -ENOSPC, so that settling can go on; restore it when there is room. */
void store_reserve_release(struct store *s);
int store_reserve_restore(struct store *s, uint64_t min_free);

/* What accepting appends. Borrowed for the call. */
struct event_new {
	int64_t received_ms;
	enum event_kind kind;
	enum event_source source;
	const char *webhook;
	bool verified;
	unsigned signed_by;             /* position of the secret, 0: unsigned */
	const char *reason;             /* why quarantined; NULL */
	const struct callout *callout;  /* whatever could be read */
	const char *record;             /* "Ticket/351181" */
	const char *client;             /* resolved address */
	const void *body;
	size_t body_len;
	const char *headers;            /* "Name: value\n"...; NULL: not kept */
	const uint8_t *key;             /* CALLOUT_KEY_LEN bytes; NULL: no duplicate suppression */
	int64_t key_ms;
	const char *const *handlers;    /* names of those that match */
	size_t handler_count;
};

struct accepted {
	int64_t event;          /* the new event, or the one this repeats */
	bool duplicate;
};
int store_accept(struct store *s, const struct event_new *e, struct accepted *ret);

/* True when a key of that age would have been pruned already: replay protection. */
bool store_key_too_old(int64_t key_ms, int64_t now_ms, int64_t keep_keys_ms);

/* The number of a handler, made if new. */
int store_handler(struct store *s, const char *name, int64_t *ret_handler);

struct attempt_new {
	int64_t handler, event;
	unsigned number;                /* as told to the handler, from 1 */
	int64_t started_ms, ended_ms;
	enum attempt_result result;
	int status;                     /* exit status or signal */
	const void *out, *err;          /* the last 16 KiB of each; NULL when none */
	size_t out_len, err_len;
	uint64_t out_total, err_total;
};

/* What follows from an attempt. */
struct settle {
	const struct attempt_new *attempt;      /* NULL: nothing was run (operator's drop) */
	int64_t handler, event;
	const char *record;
	enum delivery_state state;      /* DONE, FAILED, DROPPED; or PARKED to wait until due_ms */
	unsigned attempts;              /* used up so far, this one included if it counts */
	int64_t due_ms;
	int64_t low_water;              /* the handler's mark: all events below are settled or parked; only moves up; 0: keep */
	int64_t now_ms;
};

/*
 * Record it and, when the delivery leaves the way (DONE, FAILED, DROPPED), make the
 * record's next blocked delivery of this handler due now. *ret_behind: deliveries of
 * this record are still parked for this handler (so that later ones must queue up
 * behind them). Settling what is already settled changes nothing but the attempt row; an
 * attempt that is recorded already (equal number and started_ms: told again by a runner that
 * was not acknowledged) changes nothing at all. Of one delivery the last 100 attempts are kept.
 * The record is looked up by the event; t->record is not needed.
 * With PARKED, later deliveries of the record that were due are blocked behind this one.
 */
int store_settle(struct store *s, const struct settle *t, bool *ret_behind);

/*
 * Park waiting deliveries behind their record's head (PARK_BLOCKED), in event order. One whose
 * head was settled meanwhile (no earlier one of the record is waiting or parked any more) is
 * parked due now instead: look at reader_next_due() afterwards. So it does not matter
 * whether parking and the head's settling reach the journal in this order or the other.
 * What is no longer waiting (dropped, parked already) is passed over.
 */
#define DELIVERY_HELD_MS INT64_MAX      /* due_ms of one held until store_let_go() */
struct delivery_ref {
	int64_t event;
	char record[CALLOUT_RECORD_MAX];
	unsigned attempts;      /* used up so far */
	bool behind;            /* an earlier delivery of the record is parked */
	bool late;              /* put back by the operator after a newer event had been handled */
	bool replayed;          /* made, or put back, by a replay; such a one is always parked */
	int64_t due_ms;         /* of a parked one */
	int64_t received_ms;    /* when its event was accepted */
};
int store_park(struct store *s, int64_t handler, const struct delivery_ref *refs, size_t count,
	       int64_t low_water, int64_t now_ms);

/* A handler's durable condition. */
struct handler_state {
	int64_t handler;                /* its number */
	char name[CALLOUT_NAME_MAX + 1];
	int64_t low_water;
	bool held;
	int64_t held_until_ms;          /* 0: until released */
	int64_t pause_until_ms;         /* 0: not paused */
	unsigned pause_step;            /* position on the retry schedule */
	unsigned failures;              /* in a row, on different records */
	uint64_t accepted, done, failed, dropped;       /* deliveries; waiting is the difference */
	int64_t oldest_waiting_ms;      /* accept time of the oldest unsettled; 0: none */
};
/* Writes held*, pause*, failures of one handler; nothing else. */
int store_handler_condition(struct store *s, const struct handler_state *h);

/* ---- operator's verbs (journal thread) ---- */

struct delivery_key {
	int64_t handler, event;
};
static inline bool delivery_among(const struct delivery_key *keys, size_t count, int64_t handler, int64_t event)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].handler == handler && keys[i].event == event)
			return true;
	return false;
}

struct delivery_filter {
	int64_t event;                  /* 0: any */
	const char *handler;            /* NULL: any */
	int64_t since_ms;               /* 0: any; accept time */
	bool failed_only;               /* dead letters only; else retry: also done and dropped, drop: also waiting ones */
};
/*
 * Put settled deliveries back: parked, due now (or blocked behind an earlier one of the record),
 * attempts 0; whether a newer event of the record has been done is kept in the row ("late"). At
 * most 1000 a call (*ret_count tells; call again until 0, with the same now_ms: what was settled
 * after it is not put back a second time). An event whose body retention has removed is passed
 * over, since a handler cannot be fed with it: -ENODATA if it is the one asked for; dead
 * letters without one are counted, store_skipped() tells.
 */
int store_retry(struct store *s, const struct delivery_filter *f, int64_t now_ms,
		unsigned *ret_count);
/* How many the last store_retry() passed over. */
unsigned store_skipped(const struct store *s);
/*
 * Drop waiting and failed deliveries that match and are not in `running`. As above; the next of a
 * record becomes due, the handler's mark moves past what waits no more.
 */
int store_drop(struct store *s, const struct delivery_filter *f, int64_t now_ms,
	       const struct delivery_key *running, size_t running_count, unsigned *ret_count);

/*
 * The same for deliveries that were picked out beforehand (from a reader's view, so that what has
 * changed since is looked at again here), in steps: as many of the keys, from the first on, as are done
 * in about a quarter of a second. Keys are in event order, at most STORE_AGAIN_MAX.
 *
 * A replay gives each event to the handler named, as if it had been accepted for it now: parked, due now or
 * blocked behind what is earlier of the record, and told as `replayed` as long as the event is kept, after
 * whatever retries. An event that has a delivery for it has it already, unless `settled`: then done,
 * failed and dropped ones are put back. -E2BIG: so much of the handler waits in turn before the last of
 * the keys that their order cannot be told; let it catch up first.
 */
#define STORE_AGAIN_MAX 1000
enum again {
	AGAIN_RETRY,
	AGAIN_DROP,
	AGAIN_REPLAY,
};
struct again_step {
	enum again what;
	const struct delivery_key *keys;        /* handler: of a replay not looked at */
	size_t count;
	const char *handler;                    /* of a replay: its name */
	bool failed_only;                       /* of a retry or drop: as in delivery_filter */
	bool settled;                           /* of a replay */
	const struct delivery_key *running;     /* of a drop: not these */
	size_t running_count;
	int64_t now_ms;
};
/* acted: whether so, for each of the keys seen. *ret_seen: at least 1 if there is any. */
int store_again(struct store *s, const struct again_step *a, bool *acted, size_t *ret_seen);

/*
 * A quarantined event is understood after all: what e says takes the place of what was stored, its key
 * is remembered, and each of e->handlers gets a delivery, parked, due now or blocked. Its content, source,
 * webhook and time stay. 1; 0 and nothing changes: it is not quarantined (*ret_event is 0), or it repeats
 * another event (*ret_event); or -errno.
 */
int store_understand(struct store *s, int64_t event, const struct event_new *e, int64_t now_ms,
		     int64_t *ret_event);

/*
 * Make due now what was settled as PARKED with DELIVERY_HELD_MS, of this record (NULL: of all).
 * *ret_count: deliveries, one for each record.
 */
int store_let_go(struct store *s, const char *handler, const char *record, int64_t now_ms, unsigned *ret_count);

/* ---- forgetting a record ---- */

enum forget_phase {
	FORGET_FIND,            /* its events are looked for, and what of them waits or runs is counted */
	FORGET_FOUND,           /* ... done: the caller says DROP or REMOVE */
	FORGET_DROP,            /* what waits is dropped */
	FORGET_DROPPED,
	FORGET_REMOVE,          /* bodies, headers, outputs go (with dry: are counted) */
	FORGET_REMOVED,
};

struct forget_progress {
	enum forget_phase phase;
	int64_t at;
	size_t events;
	unsigned waiting, running;      /* deliveries, when they were looked for */
	unsigned dropped, bodies, headers, outputs;
	unsigned shared;                /* outputs kept with other events of runs that its events were part of */
	unsigned busy;                  /* events passed over, since they wait or run again */
};

struct forget {
	const char *entity;             /* canonical, or as received */
	int64_t id;
	bool dry;
	int64_t now_ms;
	const struct delivery_key *running;     /* under way now */
	size_t running_count;
	struct forget_progress now;     /* committed; the caller copies `then` here once it is */
	struct forget_progress then;    /* as the step leaves it */
	int64_t *events;                /* forget_release() */
	size_t cap;
};
/* One small step of f->now.phase. What is written on disk anew may still be seen in the file: store_scrub(). */
int store_forget(struct store *s, struct forget *f);
void forget_release(struct forget *f);

/*
 * Overwrite what is left of removed content in pages and the WAL: the journal does so step by step after this.
 * store_scrubbing(): not done yet. store_scrubbed(): 0 or why it ended early (-EBUSY: a reader does not let
 * go of the WAL), and in how many places something was left.
 */
void store_scrub(struct store *s);
bool store_scrubbing(const struct store *s);
int store_scrubbed(const struct store *s, uint64_t *ret_cleaned);

/* ---- webhooks at Autotask ---- */

/* What a webhook of ours is there, as calloutctl found out. */
struct registration {
	char webhook[CALLOUT_NAME_MAX + 1];     /* its title in the configuration */
	char guid[CALLOUT_GUID_MAX + 1];        /* as the vendor writes it */
	int64_t id;
};
/* Keep it in place of what was kept for this webhook. */
int store_registration(struct store *s, const struct registration *n);

/* ---- alerts ---- */

#define STORE_ALERT_OBJECT_MAX 128
#define STORE_ALERT_TEXT_MAX 1024

/* What is untold of one kind and object, and how often it was told lately. See alert/alerts.h. */
struct alert_row {
	unsigned kind, level;           /* kind: a number of enum alert_kind */
	char object[STORE_ALERT_OBJECT_MAX];
	int64_t since_ms, last_ms;      /* when the first and the last of them was raised */
	uint64_t count;                 /* 0: all is told */
	int64_t window_ms;              /* when the first was told of those that at-most counts */
	unsigned told;                  /* how many these are */
	char text[STORE_ALERT_TEXT_MAX];        /* of the last one */
};
/* Keep these, and no others. */
int store_alerts(struct store *s, const struct alert_row *rows, size_t count);

/* ---- retention ---- */

struct retention {
	int64_t now_ms, keep_payload_ms, keep_failed_ms, keep_ms, keep_keys_ms;
	uint64_t max_size;
	unsigned rows;                  /* at most so many rows a step */
};
/*
 * One small step. *ret_more: call again; else *ret_next_ms is when something stored now will be
 * old enough (INT64_MAX: never). What is unfinished stays, whatever its age; so does the newest
 * event, so that no number is given twice. Beyond max_size the oldest finished content goes
 * first, dead letters after all others.
 */
int store_prune(struct store *s, const struct retention *r, unsigned *ret_pruned, bool *ret_more,
		int64_t *ret_next_ms);

/* ---- reading ---- */

/* Beside a running writer or on a stopped store, in a directory that may be read-only. */
int reader_open(const char *directory, struct reader **ret_reader, struct error *err);
struct reader *reader_close(struct reader *r);
AUTO_DEFINE(reader, struct reader *, reader_close)

/* Every statement of this reader is interrupted after so long (-ETIME). 0: never. */
void reader_deadline(struct reader *r, int64_t ms);

/* All handlers ever known. *ret is the caller's, free(). */
int reader_handlers(struct reader *r, struct handler_state **ret, size_t *ret_count);

/* Waiting deliveries (state WAITING) of a handler with event > after, in order; at most count. */
int reader_next(struct reader *r, int64_t handler, int64_t after,
		struct delivery_ref *ret, size_t count, size_t *ret_count);

/* Parked deliveries due at now_ms, oldest due first, at most count. */
int reader_due(struct reader *r, int64_t handler, int64_t now_ms,
	       struct delivery_ref *ret, size_t count, size_t *ret_count);

/*
 * For a run of several events of one record. Behind: what is parked and blocked behind the record's
 * head, events > after, in order. Ahead: what waits in turn among the next REACH deliveries after
 * `after`, in order; there is no index to find them by.
 */
#define READER_REACH 2000
int reader_behind(struct reader *r, int64_t handler, const char *record, int64_t after,
		  struct delivery_ref *ret, size_t count, size_t *ret_count);
int reader_ahead(struct reader *r, int64_t handler, const char *record, int64_t after,
		 struct delivery_ref *ret, size_t count, size_t *ret_count);

/* When the next parked delivery of this handler is due; INT64_MAX: none. */
int reader_next_due(struct reader *r, int64_t handler, int64_t *ret_ms);

/* What is held (DELIVERY_HELD_MS), by handler and event, at most READER_HELD_MAX. *ret is the caller's. */
#define READER_HELD_MAX 100
struct held_record {
	char handler[CALLOUT_NAME_MAX + 1], record[CALLOUT_RECORD_MAX];
	int64_t event;                  /* the first that waits */
};
int reader_held(struct reader *r, struct held_record **ret, size_t *ret_count);

/* All of them; what fn returns besides 0 ends the walk and is returned. */
int reader_registrations(struct reader *r, int (*fn)(void *arg, const struct registration *n), void *arg);

/* All alerts kept; what fn returns besides 0 ends the walk and is returned. */
int reader_alerts(struct reader *r, int (*fn)(void *arg, const struct alert_row *row), void *arg);

/* An event with everything but its body. */
struct event {
	int64_t id, received_ms;
	enum event_kind kind;
	enum event_source source;
	char webhook[CALLOUT_NAME_MAX + 1];
	char action[CALLOUT_NAME_MAX + 1], action_raw[CALLOUT_NAME_MAX + 1];
	char entity[CALLOUT_NAME_MAX + 1], entity_raw[CALLOUT_NAME_MAX + 1];
	char guid[CALLOUT_GUID_MAX + 1], time[CALLOUT_TIME_MAX + 1];
	char record[CALLOUT_RECORD_MAX];
	char client[64];
	char reason[128];               /* "" unless quarantined */
	int64_t record_id, sequence, person;
	bool has_id, has_sequence, has_person, verified;
	unsigned signed_by;
	unsigned duplicates;            /* callouts that repeated it */
	uint64_t body_len;
	bool body_kept;                 /* false once retention removed it */
};
int reader_event(struct reader *r, int64_t event, struct event *ret);
/*
 * Has this handler done a newer event of e's record? By SequenceNumber where both have one, else by
 * EventTime (not: in the order accepted, which is not theirs for what was handed over later). One
 * look-up, however many events there are. 1, 0 or -errno.
 */
int reader_handled_newer(struct reader *r, int64_t handler, const struct event *e);
/* Is a run of e by this handler late? What came as a callout by the order accepted, else as above. */
int reader_late(struct reader *r, int64_t handler, const struct event *e);
/* The event that has this duplicate key (see struct event_new), or 0: nobody has. It may be removed already. */
int reader_key(struct reader *r, const uint8_t *key, int64_t key_ms, int64_t *ret_event);
/* The bytes as received; free() *ret_body. -ENODATA once removed. headers may be NULL. */
int reader_body(struct reader *r, int64_t event, void **ret_body, size_t *ret_len, char **ret_headers);

#define READER_EVENTS_MAX 100000
struct event_filter {
	int64_t before;                 /* events with id < before; 0: from the newest */
	int64_t after;                  /* events with id > after, ascending (tail); 0: off */
	int64_t since_ms, until_ms;     /* 0: open */
	const char *webhook, *entity, *action, *handler;        /* NULL: any */
	int64_t record_id;              /* with has_record_id */
	bool has_record_id;
	int kind;                       /* enum event_kind, -1: any */
	int state;                      /* enum delivery_state (WAITING means parked too), -1: any */
	unsigned limit;                 /* 1..READER_EVENTS_MAX */
};
/* Calls fn for each, newest first (ascending with `after`); at most 100,000 rows are looked at: *ret_next
 * is the id to go on `before` (or `after`), 0 at the end. fn must not keep the pointer; anything but 0
 * from it ends the walk and is returned (so with deliveries and attempts below). */
int reader_events(struct reader *r, const struct event_filter *f,
		  int (*fn)(void *arg, const struct event *e), void *arg, int64_t *ret_next);

/* An event from which on all that was received at ms or later is found (give or take a clock set back by a day). */
int reader_since(struct reader *r, int64_t ms, int64_t *ret_event);

struct delivery {
	int64_t event, handler_number;
	char handler[CALLOUT_NAME_MAX + 1];
	enum delivery_state state;
	enum park_why why;              /* of a parked one */
	bool replayed;
	unsigned attempts;
	int64_t due_ms, finished_ms;    /* 0: none */
};
int reader_deliveries(struct reader *r, int64_t event,
		      int (*fn)(void *arg, const struct delivery *d), void *arg);

struct attempt {
	unsigned run;                   /* 1, 2, ... per delivery, in time order */
	struct attempt_new a;           /* out and err are borrowed for the call */
	char handler[CALLOUT_NAME_MAX + 1];
};
int reader_attempts(struct reader *r, int64_t event,
		    int (*fn)(void *arg, const struct attempt *a), void *arg);

struct store_sizes {
	uint64_t file_bytes, free_bytes, wal_bytes;     /* free: pages on the freelist */
	uint64_t disk_free_bytes;
	int64_t newest_event;
};
int reader_sizes(struct reader *r, struct store_sizes *ret);

#endif
