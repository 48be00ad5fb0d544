/*
 * journal.h - the one thread that writes, in groups.
 *
 * Jobs from any thread queue up; the journal takes all that wait, runs their
 * `apply` inside one transaction, commits once, then calls each `done` with the
 * outcome. What arrives while a commit runs is the next group, so groups grow
 * with load. If a job's apply fails, the group is rolled back and its jobs are
 * tried one by one: one bad job fails alone.
 *
 * A job must not touch anything but its own memory and the store in `apply` (it
 * may run twice), and must not block in `done`.
 *
 * A store that cannot be opened does not stop the journal: every job is answered
 * with the reason's errno at once, and opening is tried again every 5 s. STORE_FATAL
 * calls `fatal` (which ends the process): never retry a failed fsync.
 *
 * In between, while nothing waits, the thread checkpoints, prunes and keeps the
 * reserve; it sleeps without wake-ups when there is nothing to do.
 */
#ifndef CALLOUTD_STORE_JOURNAL_H
#define CALLOUTD_STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/error.h"
#include "store/store.h"

struct journal;

struct journal_job {
	int (*apply)(struct store *s, struct journal_job *job); /* 0 or -errno */
	void (*done)(struct journal_job *job, int result);      /* on the journal thread; the job is the callee's now */
	struct journal_job *next;       /* the journal's */
};

struct journal_limits {                 /* may change at a reload */
	uint64_t min_free;              /* bytes: below, journal_room() is false */
	struct retention retention;     /* now_ms is filled in by the journal */
};

struct journal_options {
	struct store_options store;     /* strings are copied */
	struct journal_limits limits;
	unsigned queue_max;             /* jobs waiting, for journal_try() */
	void (*fatal)(void *arg, int result, const char *sentence);     /* on the journal thread; does not return to work */
	void (*changed)(void *arg);     /* room or brokenness changed; on the journal thread */
	void *arg;
};

/*
 * Opens the store on the calling thread first, so that a good start is known before listening; a
 * store that cannot be opened is no failure of this, but journal_status() says so.
 */
int journal_start(const struct journal_options *o, struct journal **ret_journal, struct error *err);

/* Finish every job queued, checkpoint, close the store, join. */
struct journal *journal_stop(struct journal *j);
AUTO_DEFINE(journal, struct journal *, journal_stop)

/* Queue a job; never fails and never blocks (for settling and operators). Any thread. */
void journal_put(struct journal *j, struct journal_job *job);

/* The same with a bound: -EAGAIN when queue_max jobs wait, -ENOSPC when !journal_room(), or the broken store's errno. For intake. */
int journal_try(struct journal *j, struct journal_job *job);

/* Enough disk for another callout? Checked ahead, cheap, any thread. */
bool journal_room(struct journal *j);

void journal_limits_set(struct journal *j, const struct journal_limits *l);

struct journal_status {
	bool broken;                    /* the store is not open */
	bool full;                      /* !journal_room() */
	/* Why, and what to do; "" if all is well. An open store with room that failed to write has one
	 * too, until writing succeeds again (tried every 5 s). */
	char sentence[512];
	uint64_t groups, jobs;          /* committed so far */
	uint64_t queued;
	int64_t heartbeat_ms;           /* CLOCK_MONOTONIC of the last sign of life; while idle: INT64_MAX */
};
void journal_status(struct journal *j, struct journal_status *ret);

/*
 * The watchdog's question: put an empty job through? No: false when jobs have waited
 * for more than limit_ms without the thread taking any, or it has been busy with one group
 * for so long. Opening the store is neither: it may take as long as the store is large, and callouts
 * get 503 meanwhile. Any thread.
 */
bool journal_alive(struct journal *j, int64_t limit_ms);

#endif
