/*
 * thread.h - what the files of the journal share.
 *
 * Below "the thread's": only the journal thread (and journal_start() before there is one)
 * touches it. Below "shared": under the mutex. The three atomics let intake ask for room
 * without waiting for anybody.
 */
#ifndef CALLOUTD_STORE_THREAD_H
#define CALLOUTD_STORE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "private.h"
#include "store/journal.h"

struct journal {
	struct journal_options o;       /* its strings are ours */
	pthread_t thread;

	/* shared */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct journal_job *first, **last;
	uint64_t queued;
	bool stop;
	bool opening;                   /* which may take as long as the store is large: no sign of a hang */
	bool poked;                     /* something besides jobs changed */
	struct journal_limits limits;
	bool new_limits;                /* and they were changed */
	struct journal_status status;   /* queued and heartbeat are filled in when asked for */
	int broken;                     /* why the store is not open, -errno; 0: it is */
	char trouble[512];              /* of a store that is open: "" or why the last group failed */
	char low[512];                  /* why there is no room; "" if there is */
	int64_t waiting_since_ms;       /* CLOCK_MONOTONIC; INT64_MAX: no job waits */
	int64_t busy_since_ms;          /* ...: the thread sleeps */

	/* any thread */
	_Atomic int64_t room_checked_ms;
	atomic_bool room;
	_Atomic uint64_t spare_bytes;   /* free pages inside the database */
	_Atomic uint64_t owed_bytes;    /* of the reserve, when it was given up */

	/* the thread's */
	struct store *store;            /* NULL while broken */
	bool dead;                      /* an fsync failed: nothing is tried any more */
	bool damaged;                   /* found while running: the sentence stays */
	struct journal_status told;     /* as of the last `changed` */
	int64_t reopen_at_ms, probe_at_ms, room_at_ms, reserve_at_ms, checkpoint_at_ms;
	int64_t prune_at_ms, pruned_ms, scrub_at_ms;
	int64_t copies_at_ms;           /* a copy that migration made is to go */
};

/* group.c */
void group_serve(struct journal *j, struct journal_job *first);
void journal_die(struct journal *j, int result);

/* keep.c: all that is not a job */
int keep_open(struct journal *j, struct error *err);
void keep_turn(struct journal *j, bool idle);
int64_t keep_next_ms(struct journal *j);        /* when to wake up, CLOCK_MONOTONIC; INT64_MAX */
void keep_committed(struct journal *j);         /* a group was written */
void keep_failed(struct journal *j, int result);
void keep_tell(struct journal *j);              /* call `changed` if something did */

/* room.c */
void room_check(struct journal *j, bool now);
void room_none(struct journal *j);              /* the disk said so itself */

#endif
