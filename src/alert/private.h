/*
 * private.h - what the files of this room share.
 *
 *   kinds.c    the kinds' names
 *   ledger.c   what was raised, what is untold, when it may be told. Pure: the clock is an argument
 *   body.c     the JSON object a program gets
 *   kept.c     the ledger in the store
 *   alerts.c   the room: raising, turns, runs
 */
#ifndef CALLOUTD_ALERT_PRIVATE_H
#define CALLOUTD_ALERT_PRIVATE_H

#include <pthread.h>

#include "alert/alerts.h"
#include "base/conf.h"
#include "store/store.h"

#define GATHER_MS 2000          /* what comes so soon after the first belongs to the same alert */
#define FOREVER INT64_MAX

/* One kind and object. Everything of it that is untold is one alert. */
struct entry {
	struct alert_row row;           /* as it is kept: see store.h */
	uint64_t running;               /* of row.count, in the run under way; 0: none */
	int64_t after_ms;               /* when the first beyond those was raised */
	int64_t due_ms;                 /* not before: gathering, or until the next try */
	unsigned attempts;              /* failed runs of what is untold */
	unsigned unreached;             /* and how often it could not be run at all */
};

/* Under alerts.mutex. */
struct ledger {
	struct entry entries[ALERTS_MAX + ALERT_KIND_COUNT_];
	size_t count;
	bool changed;                   /* since it was kept last */
};

/* True if it was told before, or never raised: somebody must look when it is due. */
bool ledger_raise(struct ledger *l, enum alert_kind kind, const char *object, unsigned level,
		  const char *text, int64_t now_ms);
/* One that was kept, under what was raised meanwhile. */
void ledger_restore(struct ledger *l, const struct alert_row *row, int64_t now_ms);
/* Forget what is untold of kinds that are not in this mask, and what is told and may be told again. */
void ledger_tidy(struct ledger *l, unsigned kinds, struct conf_rate at_most, int64_t now_ms);
/* The one to tell now, or NULL and when to look again (FOREVER: when something is raised). */
struct entry *ledger_next(struct ledger *l, struct conf_rate at_most, int64_t now_ms, int64_t *ret_ms);
void ledger_begin(struct entry *e);
void ledger_told(struct ledger *l, struct entry *e, struct conf_rate at_most, int64_t now_ms);
/* It was not told: true if it is given up now (and is forgotten). h: the program in force; NULL: none. */
bool ledger_failed(struct ledger *l, struct entry *e, const struct conf_handler *h, enum alert_ran ran,
		   int64_t now_ms);
unsigned ledger_untold(const struct ledger *l);

/* The body of a run. 0 or -errno. */
int alert_body(const struct alert_row *row, bool test, char **ret_body, size_t *ret_len);

struct alerts {
	struct loop *loop;
	struct site *site;              /* NULL: not started */
	struct journal *journal;
	char *state_directory;
	alerts_run_fn *run;
	void *arg;
	sd_event_source *timer;
	bool stopped, restored, keeping;
	struct entry *told;             /* in the run under way; NULL: none runs */

	pthread_mutex_t mutex;          /* of what follows */
	struct ledger ledger;
	struct alerts_status status;
	bool posted;                    /* a turn is in the loop's mailbox */
};

/* alerts.c: a turn soon. With the mutex held. */
void alerts_wake(struct alerts *a);

/* kept.c, on main, without the mutex. */
void kept_restore(struct alerts *a);    /* sets restored once the store could be read */
void kept_write(struct alerts *a);      /* if something changed and nothing is being written */

#endif
