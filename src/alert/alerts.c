/*
 * alerts.c - the room: raising, turns, runs.
 *
 * A turn looks at the ledger, begins the run that is due, sets the timer for the next, has changes
 * written. It happens when something is raised that was told before, when a run has ended, and by the timer;
 * while nothing is untold there is no timer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define SLEEP_MAX_MS 300000     /* while something waits: moments are of a clock that may be set */

static const struct conf_alert *conf_of(const struct alerts *a)
{
	return a->site ? site_conf(a->site)->alert : NULL;
}

static unsigned kinds_of(const struct conf_alert *c)
{
	unsigned kinds = 0;

	for (size_t i = 0; c && i < c->on.count; i++) {
		int kind = alert_kind_parse(c->on.items[i]);

		if (kind >= 0)
			kinds |= 1U << kind;
	}
	return kinds;
}

/* ---- raising ---- */

static void turn(struct alerts *a);

static void on_posted(void *arg)
{
	struct alerts *a = arg;

	(void)pthread_mutex_lock(&a->mutex);
	a->posted = false;
	(void)pthread_mutex_unlock(&a->mutex);
	turn(a);
}

void alerts_wake(struct alerts *a)
{
	if (!a->posted)
		a->posted = loop_post(a->loop, on_posted, a) == 0;
}

void alerts_raise_level(struct alerts *a, enum alert_kind kind, const char *object, unsigned level,
			const char *fmt, ...)
{
	char text[ALERT_TEXT_MAX];
	va_list args;

	if (!a || (unsigned)kind >= ALERT_KIND_COUNT_)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)pthread_mutex_lock(&a->mutex);
	a->status.raised[kind]++;
	if (ledger_raise(&a->ledger, kind, object, level, text, clock_now_ms()))
		alerts_wake(a);
	(void)pthread_mutex_unlock(&a->mutex);
}

/* ---- runs ---- */

static void log_ran(const struct alert_row *row, enum alert_ran ran, bool given_up, const char *sentence)
{
	const struct log_ctx ctx = { .reason = "alert" };
	const char *kind = alert_kind_name((enum alert_kind)row->kind);

	if (ran == ALERT_TOLD)
		log_info(&ctx, "alert %s %s told, counted %" PRIu64, kind, row->object, row->count);
	else
		log_warn(&ctx, "alert %s %s could not be told%s: %s", kind, row->object,
			 given_up ? " and is given up" : ", it is tried again", sentence);
}

static void note_failure(struct alerts *a, enum alert_ran ran, bool given_up, const char *sentence, int64_t now_ms)
{
	struct alerts_status *s = &a->status;

	s->failed += ran != ALERT_NOT_RUN;
	s->given_up += given_up;
	if (!s->failing_since_ms)
		s->failing_since_ms = now_ms;
	(void)snprintf(s->failing, sizeof(s->failing), "%s", sentence);
}

static void note_success(struct alerts *a, int64_t now_ms)
{
	a->status.told++;
	a->status.told_ms = now_ms;
	a->status.failing_since_ms = 0;
	a->status.failing[0] = '\0';
}

static void on_ran(void *arg, enum alert_ran ran, const char *sentence)
{
	struct alerts *a = arg;
	const struct conf_alert *c = conf_of(a);
	struct entry *e = TAKE(a->told);
	int64_t now_ms = clock_now_ms();
	struct alert_row row;
	bool given_up = false;

	(void)pthread_mutex_lock(&a->mutex);
	row = e->row;
	row.count = e->running;
	if (ran == ALERT_TOLD) {
		ledger_told(&a->ledger, e, c ? c->at_most : (struct conf_rate){ 0, 0 }, now_ms);
		note_success(a, now_ms);
	} else {
		given_up = ledger_failed(&a->ledger, e, c ? &c->program : NULL, ran, now_ms);
		if (!a->stopped)
			note_failure(a, ran, given_up, sentence, now_ms);
	}
	alerts_wake(a);
	(void)pthread_mutex_unlock(&a->mutex);
	if (!a->stopped)
		log_ran(&row, ran, given_up, sentence);
}

/* row: a copy of what is told. */
static int run(struct alerts *a, const struct alert_row *row, unsigned attempt)
{
	AUTO(free) char *body = NULL;
	char kind[64], number[64];
	const char *const env[] = { kind, number, "CALLOUT_SOURCE=live", NULL };
	struct alert_run r = { .env = env };
	int result = alert_body(row, false, &body, &r.len);

	if (result < 0)
		return result;
	r.body = body;
	(void)snprintf(kind, sizeof(kind), "CALLOUT_ALERT=%s", alert_kind_name((enum alert_kind)row->kind));
	(void)snprintf(number, sizeof(number), "CALLOUT_ATTEMPT=%u", attempt);
	return a->run(a->arg, &r, on_ran, a);
}

/* ---- turns ---- */

static void set_timer(struct alerts *a, int64_t due_ms, int64_t now_ms)
{
	int64_t ms = due_ms - now_ms;

	if (due_ms == FOREVER || a->told) {     /* a run's end is a turn */
		(void)sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
		return;
	}
	if (ms < 1)
		ms = 1;
	if (ms > SLEEP_MAX_MS)
		ms = SLEEP_MAX_MS;
	(void)sd_event_source_set_time_relative(a->timer, (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

/* True: *ret_row is to be told now, and taken as under way. */
static bool take_due(struct alerts *a, struct alert_row *ret_row, unsigned *ret_attempt)
{
	const struct conf_alert *c = conf_of(a);
	struct conf_rate at_most = c ? c->at_most : (struct conf_rate){ 0, 0 };
	int64_t now_ms = clock_now_ms(), due_ms = FOREVER;
	struct entry *e;

	(void)pthread_mutex_lock(&a->mutex);
	ledger_tidy(&a->ledger, kinds_of(c), at_most, now_ms);
	e = ledger_next(&a->ledger, at_most, now_ms, &due_ms);
	if (e && !a->told) {
		ledger_begin(e);
		a->told = e;
		*ret_row = e->row;
		*ret_attempt = e->attempts + 1;
	} else {
		e = NULL;
	}
	a->status.configured = c != NULL;
	(void)pthread_mutex_unlock(&a->mutex);
	set_timer(a, due_ms, now_ms);
	return e != NULL;
}

static void turn(struct alerts *a)
{
	struct alert_row row;
	unsigned attempt;
	int r;

	if (!a->site || a->stopped)
		return;
	if (take_due(a, &row, &attempt)) {
		r = run(a, &row, attempt);
		if (r < 0)
			on_ran(a, ALERT_NOT_RUN, strerror(-r));
	}
	kept_write(a);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	(void)s;
	(void)usec;
	turn(arg);
	return 0;
}

/* ---- life ---- */

int alerts_new(struct loop *loop, struct alerts **ret)
{
	struct alerts *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	(void)pthread_mutex_init(&a->mutex, NULL);
	a->loop = loop;
	r = sd_event_add_time_relative(loop_event(loop), &a->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
	if (r < 0) {
		(void)alerts_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int alerts_start(struct alerts *a, const struct alerts_options *o)
{
	a->state_directory = strdup(o->state_directory);
	if (!a->state_directory)
		return -ENOMEM;
	a->journal = o->journal;
	a->run = o->run;
	a->arg = o->arg;
	a->site = site_ref(o->site);
	kept_restore(a);
	turn(a);
	return 0;
}

void alerts_reload(struct alerts *a, struct site *site)
{
	struct site *old = a->site;

	a->site = site_ref(site);
	(void)site_unref(old);
	turn(a);
}

void alerts_store_changed(struct alerts *a)
{
	if (!a->site || a->stopped)
		return;
	kept_restore(a);
	turn(a);
}

void alerts_stop(struct alerts *a)
{
	if (!a || a->stopped)
		return;
	a->stopped = true;
	a->timer = sd_event_source_disable_unref(a->timer);
	a->keeping = false;
	kept_write(a);
	a->journal = NULL;
}

struct alerts *alerts_free(struct alerts *a)
{
	if (!a)
		return NULL;
	a->timer = sd_event_source_disable_unref(a->timer);
	(void)pthread_mutex_destroy(&a->mutex);
	a->site = site_unref(a->site);
	free(a->state_directory);
	free(a);
	return NULL;
}

void alerts_status(struct alerts *a, struct alerts_status *ret)
{
	(void)pthread_mutex_lock(&a->mutex);
	*ret = a->status;
	ret->waiting = ledger_untold(&a->ledger);
	(void)pthread_mutex_unlock(&a->mutex);
}
