/*
 * backup.h - whole copies of the store: made beside a running writer, looked into, put back.
 *
 * A copy is one SQLite file with everything in it (events, deliveries, attempts, keys, registrations), and
 * with when and by which calloutd it was made. It is no store that is in use: nothing else belongs to it.
 * A store file without those two facts (calloutd.db of a daemon that was stopped, calloutd.db.vN) will do, too.
 *
 * Threads: any, one call at a time for each path. These take as long as the store is large.
 * Errors: as store.h, always with a sentence; -ECANCELED when go_on() said no.
 */
#ifndef CALLOUTD_STORE_BACKUP_H
#define CALLOUTD_STORE_BACKUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Where in the state directory the daemon makes one; the next opening of the store removes what a kill has left. */
#define BACKUP_WORK "calloutd.db.backup"

/* Between two steps: done of total bytes are copied. False: leave off. total 0: something else takes its time. */
struct backup_watch {
	bool (*go_on)(void *arg, uint64_t done, uint64_t total);        /* NULL: go on */
	void *arg;
};

struct backup_facts {
	int version;                    /* of the tables */
	int64_t made_ms;                /* 0: not known */
	char by[32];                    /* calloutd's version; "": not known */
	bool stopped;                   /* nobody was writing then */
	uint64_t bytes, events;
	uint64_t waiting, failed;       /* deliveries */
	int64_t newest_event, newest_ms;        /* 0: there is none */
};

struct backup_options {
	const char *directory;          /* of the store, which may be in use */
	const char *to;                 /* an empty file or none; what is there besides (-journal) goes */
	uint64_t leave;                 /* bytes: with less room left where `to` is, give up (-ENOSPC) */
	bool sync;                      /* on disk before it returns */
	bool stopped;                   /* the caller has the writer's lock; noted in the copy */
	struct backup_watch watch;
};

/*
 * Make a copy as of one moment, and check it (every page and index). The writer goes on meanwhile: it is held
 * up by nothing, but its WAL grows until the copying, not the checking, is over. On failure `to` is removed.
 */
int backup_make(const struct backup_options *o, struct backup_facts *ret, struct error *err);

/*
 * Is it a copy that this calloutd can use? -EUCLEAN: not calloutd's, cut, or damaged (all of it is looked
 * at only with whole), -EOPNOTSUPP: a newer one's, -EBUSY: its -wal lies beside it, so it is a store in use. Writes nothing.
 */
int backup_look(const char *path, bool whole, struct backup_facts *ret, struct error *err);

struct restore_options {
	const char *directory;          /* made 0700 if missing */
	const char *from;
	bool force;                     /* also over a store that has events which the copy lacks */
	bool hold;                      /* hold every handler */
	bool moved;                     /* nothing was received after it was made: numbers go on, and no event tells of it */
	int64_t now_ms;
	struct backup_watch watch;
};

struct restored {
	char aside[PATH_MAX];           /* where the store before is now (and -wal); "": there was none */
	int64_t event;                  /* the number of the event that tells of it; the next ones follow; 0: none (moved) */
};

/*
 * Put a copy in the store's place, under the writer's lock (-EBUSY with the holder's pid). The store before is moved
 * aside. Whoever is killed, at whatever moment: the store is the old one or the new one, whole; the next
 * opening finishes what was begun. -EEXIST: without force, over events that the copy lacks. -EINVAL: moved, but
 * the copy was made of a store in use.
 *
 * Numbers of events are not given twice: the copy gets an event of the kind "restored" whose number lies above
 * all that were given after the copy was made, as far as the store before tells; else far above.
 */
int backup_restore(const struct restore_options *o, struct restored *ret, struct error *err);

/* Take the writer's lock of a directory: close(*ret_fd) gives it back. -EBUSY with the holder's pid. */
int store_lock(const char *directory, int *ret_fd, struct error *err);

#endif
