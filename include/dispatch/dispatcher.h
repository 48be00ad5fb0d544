/*
 * dispatcher.h - which delivery next.
 *
 * For each handler: a bounded window of waiting deliveries read in event order from a
 * cursor, plus what is parked and due. One record of one handler has at most one
 * delivery under way (running, or its settling not yet durable). How windows, parking and
 * the low-water mark work together is told at the top of dispatcher.c.
 *
 * Threads: everything belongs to the main thread, except dispatcher_wake().
 */
#ifndef CALLOUTD_DISPATCH_DISPATCHER_H
#define CALLOUTD_DISPATCH_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "alert/alerts.h"
#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/loop.h"
#include "callout/site.h"
#include "store/journal.h"
#include "store/store.h"

#define DISPATCH_WINDOW 64      /* deliveries in memory per handler; of one that collects, collect-max more */

struct dispatcher;

struct dispatcher_options {
	struct loop *loop;              /* borrowed */
	struct journal *journal;        /* borrowed */
	struct site *site;              /* takes a reference */
	const char *state_directory;    /* for its reader; copied */
	int child_fd;                   /* socketpair to the runner started as our child, or -1 */
	const char *runner_directory;   /* DIR/NAME.sock per runner; NULL with a child */
	struct alerts *alerts;          /* told of dead letters and of handlers that stop; NULL: nobody is */
	int64_t grace_ms;               /* a runner gone so long has lost what ran there; 0: 15 s */
	int64_t recheck_ms;             /* how often a handler that cannot be run is looked at; 0: 30 s */
	int64_t overdue_ms;             /* a run of which nothing is heard so long after its timeout is overdue; 0: 15 s */
};

int dispatcher_new(const struct dispatcher_options *o, struct dispatcher **ret, struct error *err);
/* Stops starting; waits for nothing: what runs goes on in the runner. */
struct dispatcher *dispatcher_free(struct dispatcher *d);
AUTO_DEFINE(dispatcher, struct dispatcher *, dispatcher_free)

/*
 * The child runner was started again: the new socketpair to it. Taken over. What ran in the
 * old one is recorded as interrupted and run again. 0 or -errno.
 */
int dispatcher_child(struct dispatcher *d, int child_fd);

/*
 * Something was stored, settled, put back or dropped: look again soon, also at what was read
 * ahead (at most ten times a second). Any thread, coalesced, cheap.
 */
void dispatcher_wake(struct dispatcher *d);

/* Other handlers, limits, schedules; tells the runners to reload too. Running attempts go on. */
void dispatcher_reload(struct dispatcher *d, struct site *site);

/* The store came back after being broken: open the reader again, read conditions again. */
void dispatcher_store_changed(struct dispatcher *d);

/* ---- the operator's verbs; each becomes durable through the journal ---- */

int dispatcher_hold(struct dispatcher *d, const char *handler, int64_t until_ms);       /* -ENOENT */
int dispatcher_release(struct dispatcher *d, const char *handler);      /* ends a hold and a pause */

/*
 * A replay for this handler is being stored step by step: start nothing of it for so long (0: go on), so that
 * events that come meanwhile stay behind those of their record that are still to be laid out. Not
 * durable: after a crash the handler goes on with what was stored. -ENOENT: it is not configured.
 */
int dispatcher_replaying(struct dispatcher *d, const char *handler, int64_t ms);

/*
 * A record that was held because its events came too often (loop-limit), or with NULL all of this
 * handler: what has been stored so far is counted no more. Call it before store_let_go(), and
 * dispatcher_store_changed() after that. -ENOENT no such handler, -EIO the store cannot be read.
 */
int dispatcher_let_go(struct dispatcher *d, const char *handler, const char *record);

/* ---- to look at ---- */

/* The first READER_HELD_MAX of what is held for its record's events coming too often. *ret is the caller's. */
int dispatcher_held_records(struct dispatcher *d, struct held_record **ret, size_t *ret_count);

struct handler_view {
	struct handler_state state;
	bool configured;                /* false: removed from the configuration; its deliveries are held */
	char unusable[256];             /* why it cannot be run ("" if it can): held alone */
	unsigned running;               /* events */
	char runner[CONF_NAME_MAX + 1];
	int64_t next_ms;                /* when something is due next, 0: unknown or nothing */
};
/* All handlers, configured or with deliveries. *ret is the caller's, free(). */
int dispatcher_handlers(struct dispatcher *d, struct handler_view **ret, size_t *ret_count);

/* What runs now (not: whose end is being written), one for each run. */
#define OVERDUE_TEXT_LEN 384
struct running_view {
	char handler[CONF_NAME_MAX + 1], record[CALLOUT_RECORD_MAX];
	char runner[CONF_NAME_MAX + 1];
	int64_t event, started_ms;      /* event: the first of a collected run */
	unsigned attempt;
	unsigned company;               /* events of the run */
	char overdue[OVERDUE_TEXT_LEN]; /* "runs since ...": its runner hangs, and what to do; "" if in time */
};
int dispatcher_running(struct dispatcher *d, struct running_view **ret, size_t *ret_count);

struct runner_view {
	char name[CONF_NAME_MAX + 1];
	bool ready;
	char status[256];
};
int dispatcher_runners(struct dispatcher *d, struct runner_view **ret, size_t *ret_count);

/* Keys of what is under way (running, or its end being written), for store_drop(). *ret is the caller's. */
int dispatcher_under_way(struct dispatcher *d, struct delivery_key **ret, size_t *ret_count);

/* Attempts since the start, for metrics. Histogram bounds in dispatch_buckets_ms[]. */
#define DISPATCH_BUCKETS 8
extern const int64_t dispatch_buckets_ms[DISPATCH_BUCKETS];
struct attempt_counts {
	char handler[CONF_NAME_MAX + 1];
	uint64_t results[ATTEMPT_COUNT_];
	uint64_t buckets[DISPATCH_BUCKETS + 1];         /* not cumulative; the last: above all bounds */
	double sum_seconds;
};
int dispatcher_counts(struct dispatcher *d, struct attempt_counts **ret, size_t *ret_count);

/*
 * Run a handler once on a body that is no event (calloutctl try), as in earnest: through
 * the runner, same environment, CALLOUT_SOURCE=test, CALLOUT_EVENT=0. done is called once,
 * on the main thread; r is NULL with a sentence when it could not be run. 0, -ENOENT no such
 * handler, -ENOMEM; then done is not called.
 */
struct link_result;
typedef void dispatcher_tried_fn(void *arg, const struct link_result *r, const char *sentence);
int dispatcher_try(struct dispatcher *d, const char *handler, const struct event *meta,
		   const void *body, size_t len, dispatcher_tried_fn *done, void *arg);

/*
 * Ask its runner whether a handler (or the alert's program, by CONF_ALERT_TITLE) could run; nothing is
 * executed. done is called once, on the main thread; l is NULL with a sentence when the runner gave no answer.
 * 0, -ENOENT no such handler, -ENOMEM; then done is not called.
 */
struct link_looked;
typedef void dispatcher_looked_fn(void *arg, const char *runner, const struct link_looked *l, const char *sentence);
int dispatcher_look(struct dispatcher *d, const char *handler, dispatcher_looked_fn *done, void *arg);

/*
 * Run the alert section's program once: as dispatcher_try(), with these variables and no others of ours
 * (copied, as the body is; both borrowed for the call). -ENOENT: there is no alert section.
 */
int dispatcher_alert(struct dispatcher *d, const char *const *env, const void *body, size_t len,
		     dispatcher_tried_fn *done, void *arg);

#endif
