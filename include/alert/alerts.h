/*
 * alerts.h - somebody is told when something is wrong.
 *
 * Raising an alert is one line, from any thread and any room that has a struct alerts (NULL is fine:
 * then nothing happens):
 *
 *     alerts_raise(a, ALERT_FAILED, "page-on-call", "event %" PRId64 " was given up ...", id);
 *
 * It notes kind, object and sentence under a mutex and wakes the main loop; it allocates nothing, waits
 * for nothing and never fails. What is raised again for the same kind and object is counted, the newest
 * sentence stays. A moment later (so that a storm's beginning is one alert) the program of the `alert`
 * section is run through a runner with one JSON object on standard input (body.c; documented in
 * calloutd-handler(7)); then the next of this kind and object waits until `at-most` allows it.
 *
 * A run that fails is tried again on the section's own schedule, then given up: that shows in
 * alerts_status() and raises nothing, so an alert program that fails cannot loop. What waits is kept in
 * the store, together with when its kind and object were told last: a restart neither loses an alert
 * nor tells it more often than at-most says. (What was raised in the two seconds before a crash, or
 * while nothing can be stored, is in memory only.)
 *
 * Bounded: ALERTS_MAX kinds and objects; beyond, those of one kind are counted together under the
 * object "*". One program runs at a time.
 *
 * The sentence says what is wrong and what to do, like every sentence of this house, and holds no
 * secret, no path of a webhook and no value of a field.
 *
 * A new kind: a member here, a row in kinds[] (src/alert/kinds.c), a word in CONF_ALERT_KINDS, a
 * paragraph in calloutd.conf(5), a test in tests/e2e/alerts.bats.
 */
#ifndef CALLOUTD_ALERT_ALERTS_H
#define CALLOUTD_ALERT_ALERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/loop.h"
#include "callout/site.h"
#include "store/journal.h"

#define ALERTS_MAX 256          /* kinds and objects remembered */
#define ALERT_OBJECT_MAX STORE_ALERT_OBJECT_MAX /* bytes of an object; longer ones are cut */
#define ALERT_TEXT_MAX STORE_ALERT_TEXT_MAX     /* bytes of a sentence; longer ones are cut */

enum alert_kind {               /* numbers are in the store: new ones at the end */
	ALERT_FAILED,           /* a dead letter; object: the handler */
	ALERT_QUARANTINED,      /* signed, but not understood; the webhook */
	ALERT_DEACTIVATED,      /* a notice that Autotask switched it off; the webhook */
	ALERT_SILENT,           /* no callout for expect-every; the webhook */
	ALERT_BACKLOG,          /* the oldest waiting delivery is older than backlog-after; the handler */
	ALERT_SIGNATURE,        /* callouts with a wrong signature; the webhook */
	ALERT_DISK,             /* callouts cannot be stored; "store" */
	ALERT_LOOP,             /* events of one record beyond loop-limit; the handler */
	ALERT_CONFIG,           /* degraded start, refused reload; "calloutd", or the runner */
	ALERT_PAUSED,           /* a handler has stopped: paused, not runnable, removed; the handler */
	ALERT_CERTIFICATE,      /* expires within certificate-before; "intake" */
	ALERT_UNAVAILABLE,      /* our own 5xx in a row approach the 25 that switch it off; the webhook; level: per cent */
	ALERT_KIND_COUNT_
};
const char *alert_kind_name(enum alert_kind k);         /* "failed", ... */
int alert_kind_parse(const char *name);                 /* or -EINVAL */

struct alerts;

/* Any thread. level tells apart what at-most must not swallow: each counts for itself. Usually 0. */
void alerts_raise_level(struct alerts *a, enum alert_kind kind, const char *object, unsigned level,
			const char *fmt, ...) __attribute__((format(printf, 5, 6)));
#define alerts_raise(a, kind, object, ...) alerts_raise_level((a), (kind), (object), 0, __VA_ARGS__)

/* ---- how a program is run: somebody else's business ---- */

/* Called once, on main. Unless it is ALERT_TOLD the sentence says what became of it. */
enum alert_ran {
	ALERT_TOLD,
	ALERT_FAILED_TO_TELL,   /* tried again on the schedule */
	ALERT_GIVEN_UP,         /* not tried again */
	ALERT_NOT_RUN,          /* it was not even begun, or interrupted: uses no try up */
};
typedef void alerts_ran_fn(void *arg, enum alert_ran ran, const char *sentence);
/* One run: what it gets. Everything is borrowed for the call. */
struct alert_run {
	const char *const *env;         /* "CALLOUT_ALERT=failed", ...; ends with NULL */
	const char *body;
	size_t len;
};
typedef int alerts_run_fn(void *arg, const struct alert_run *run, alerts_ran_fn *done, void *done_arg);

/* ---- life; all of it on the main thread ---- */

/* Raising works from here on. 0 or -errno. */
int alerts_new(struct loop *loop, struct alerts **ret);

struct alerts_options {
	struct site *site;              /* takes a reference */
	struct journal *journal;        /* borrowed until alerts_stop(); NULL: nothing is kept (tests) */
	const char *state_directory;    /* what waited before the restart is read there */
	alerts_run_fn *run;             /* 0, or -errno and done is not called */
	void *arg;
};
/* Telling begins. What cannot be read from the store is logged and left. 0 or -ENOMEM. */
int alerts_start(struct alerts *a, const struct alerts_options *o);
/* Another configuration; a kind that is no longer told is forgotten. */
void alerts_reload(struct alerts *a, struct site *site);
/* The store came back: what waits is written to it, what it held is read if it could not be before. */
void alerts_store_changed(struct alerts *a);
/* No more runs; what waits is handed to the journal, which must still run. Raising goes on, and is for nothing. */
void alerts_stop(struct alerts *a);
/* After loop_free(), which runs what was posted. NULL is fine. Returns NULL. */
struct alerts *alerts_free(struct alerts *a);

/* The JSON of a test, as a run of it would have it; free() it. 0 or -errno. */
int alerts_test_body(enum alert_kind kind, char **ret_body, size_t *ret_len);

/* ---- to look at; any thread ---- */

struct alerts_status {
	bool configured;
	unsigned waiting;               /* kinds and objects with something untold */
	uint64_t raised[ALERT_KIND_COUNT_];     /* since the start, whether told or not */
	uint64_t told, failed, given_up;        /* runs that ended well, that did not; alerts lost by that */
	int64_t told_ms;                /* when a run ended well last; 0: not since the start */
	int64_t failing_since_ms;       /* 0: the last run ended well */
	char failing[512];              /* "" or why the last run failed */
};
void alerts_status(struct alerts *a, struct alerts_status *ret);

#endif
