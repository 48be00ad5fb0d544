/*
 * condition.c - what keeps a whole handler from starting: held, paused, not runnable.
 *
 * A pause begins with exit 75, or with ten failures in a row on different records. When its
 * time has come, one delivery probes; the pause ends with a success, or goes on with the
 * schedule's next step. While it lasts no attempt is used up. What was started before the
 * pause neither ends nor lengthens it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define AGAIN_MS 1000

bool lane_paused(const struct lane *l)
{
	return l->state.pause_until_ms != 0;
}

int64_t lane_wait_ms(const struct lane *l, int64_t until_ms, int64_t now_ms)
{
	int64_t most = 60000, ms = until_ms - now_ms;

	for (size_t i = 0; l->conf && i < l->conf->retry_count; i++)
		if (l->conf->retry_ms[i] > most)
			most = l->conf->retry_ms[i];
	return ms <= 0 || ms > most + most / 10 + 60000 ? 0 : ms;
}

void lane_end_pause(struct lane *l)
{
	l->state.pause_until_ms = 0;
	l->state.pause_step = 0;
	l->state.failures = 0;
	l->failed_known = 0;
}

/* ---- held, unusable ---- */

void lane_check_usable(struct lane *l, const struct moment *now)
{
	struct error err = { "" };
	bool was = l->unusable[0] != '\0';
	struct log_ctx ctx = { .handler = l->state.name, .reason = "unusable" };

	l->recheck_ms = now->mono_ms + l->d->recheck_ms;
	if (!l->conf || conf_handler_usable(l->conf, &err) == 0)
		l->unusable[0] = '\0';
	else
		(void)snprintf(l->unusable, sizeof(l->unusable), "%s",
			       err.text[0] ? err.text : "its command cannot be run");
	if (l->unusable[0] && !was)
		alerts_raise(l->d->alerts, ALERT_PAUSED, l->state.name, "handler %s has stopped, its events wait: %s",
			     l->state.name, l->unusable);
	if (l->unusable[0] && !was)
		log_err(&ctx, "handler %s cannot be run, its deliveries wait: %s", l->state.name,
			l->unusable);
	else if (was && !l->unusable[0] && l->conf)
		log_info(&ctx, "handler %s can be run again", l->state.name);
}

static bool is_usable(struct lane *l, const struct moment *now)
{
	if (!l->unusable[0])
		return true;
	if (!lane_has_work(l))
		return false;           /* looked at again when something comes */
	if (now->mono_ms >= l->recheck_ms)
		lane_check_usable(l, now);
	if (l->unusable[0])
		dispatch_at(l->d, l->recheck_ms);
	return !l->unusable[0];
}

static bool is_held(struct lane *l, const struct moment *now)
{
	if (!l->state.held)
		return false;
	if (l->state.held_until_ms == 0)
		return true;
	if (now->real_ms < l->state.held_until_ms) {
		dispatch_in(l->d, now, l->state.held_until_ms - now->real_ms);
		return true;
	}
	l->state.held = false;
	l->state.held_until_ms = 0;
	l->condition_dirty = true;
	log_info(&(struct log_ctx){ .handler = l->state.name }, "handler %s: the hold is over",
		 l->state.name);
	return false;
}

static bool may_probe(struct lane *l, const struct moment *now)
{
	int64_t wait = lane_paused(l) ? lane_wait_ms(l, l->state.pause_until_ms, now->real_ms) : 0;

	if (wait > 0 && lane_has_work(l))
		dispatch_in(l->d, now, wait);
	return wait == 0;
}

static bool is_laid_out(struct lane *l, const struct moment *now)
{
	if (now->mono_ms >= l->replay_ms)
		return true;
	dispatch_at(l->d, l->replay_ms);
	return false;
}

bool lane_open(struct lane *l, const struct moment *now)
{
	return l->conf && l->peer && l->state.handler && l->d->reader && !is_held(l, now) &&
	       is_laid_out(l, now) && is_usable(l, now) && may_probe(l, now);
}

/* ---- pauses ---- */

static void begin_pause(struct lane *l, unsigned step, int64_t now_ms, const char *why)
{
	char text[CLOCK_TEXT_LEN];
	int64_t ms = pause_ms(l->conf, step, random_u32());

	l->state.pause_step = step;
	l->state.pause_until_ms = now_ms + ms;
	log_warn((&(struct log_ctx){ .handler = l->state.name, .reason = "paused" }),
		 "handler %s paused: %s; one event probes in %s", l->state.name, why,
		 duration_text(ms, text));
	if (step == 0)
		alerts_raise(l->d->alerts, ALERT_PAUSED, l->state.name,
			     "handler %s is paused, its events wait: %s; one event probes in %s, and it goes on by itself once that comes through (or at once: calloutctl release %s)",
			     l->state.name, why, text, l->state.name);
}

/* True when this failure is of another record than those before it in this row. */
static bool note_failure(struct lane *l, uint64_t hash)
{
	for (unsigned i = 0; i < l->failed_known; i++)
		if (l->failed_records[i] == hash)
			return false;
	if (l->failed_known < PAUSE_AFTER_FAILURES)
		l->failed_records[l->failed_known++] = hash;
	l->state.failures++;
	return true;
}

static void take_probe(struct lane *l, enum attempt_result result, unsigned attempts, int64_t now_ms,
		       struct decision *d, int64_t *due_ms)
{
	if (d->state == DELIVERY_DONE || result == ATTEMPT_GAVE_UP) {
		lane_end_pause(l);
		log_info((&(struct log_ctx){ .handler = l->state.name, .reason = "resumed" }),
			 "handler %s goes on: the probe came through", l->state.name);
		return;
	}
	if (result == ATTEMPT_INTERRUPTED)
		return;
	begin_pause(l, l->state.pause_step + 1, now_ms, "the probe failed too");
	d->state = DELIVERY_PARKED;
	d->attempts = attempts;
	*due_ms = l->state.pause_until_ms;
}

static void take_usual(struct lane *l, const struct errand *e, const struct decision *d,
		       int64_t now_ms, int64_t *due_ms)
{
	if (d->pause) {
		begin_pause(l, 0, now_ms, "exit status 75 says the far side is down");
		*due_ms = l->state.pause_until_ms;
	} else if (d->counts_as_failure) {
		if (note_failure(l, e->hash) && l->state.failures >= PAUSE_AFTER_FAILURES)
			begin_pause(l, 0, now_ms, "ten failures in a row on different records");
	} else if (d->state != DELIVERY_PARKED) {
		l->state.failures = 0;
		l->failed_known = 0;
	}
}

bool lane_take_result(struct lane *l, const struct errand *e, enum attempt_result result,
		      int64_t now_ms, struct decision *d, int64_t *ret_due_ms)
{
	int64_t until_ms = l->state.pause_until_ms;
	unsigned failures = l->state.failures;

	*ret_due_ms = now_ms + d->delay_ms;
	if (!lane_paused(l))
		take_usual(l, e, d, now_ms, ret_due_ms);
	else if (e->probe)
		take_probe(l, result, e->attempts, now_ms, d, ret_due_ms);
	else if (d->pause)
		*ret_due_ms = l->state.pause_until_ms;
	return until_ms != l->state.pause_until_ms || failures != l->state.failures;
}

/* ---- making it durable ---- */

struct condition {
	struct order order;
	struct lane *lane;
	bool write;                     /* else only the handler's number is wanted */
	struct handler_state state;
};

static int apply(struct store *s, struct journal_job *job)
{
	struct condition *c = (struct condition *)(void *)job;
	int r = store_handler(s, c->state.name, &c->state.handler);

	return r < 0 || !c->write ? r : store_handler_condition(s, &c->state);
}

static void finish(struct dispatcher *d, struct order *o)
{
	struct condition *c = (struct condition *)(void *)o;
	struct lane *l = c->lane;

	if (c->write)
		l->condition_writing = false;
	else
		l->registering = false;
	d->writable |= o->result == 0;
	if (o->result == 0) {
		l->state.handler = c->state.handler;
	} else {
		l->condition_dirty |= c->write;
		l->retry_ms = moment_now().mono_ms + AGAIN_MS;
		dispatch_at(d, l->retry_ms);
	}
	free(c);
}

static bool submit(struct lane *l, bool write)
{
	struct condition *c = calloc(1, sizeof(*c));

	if (!c) {
		l->retry_ms = moment_now().mono_ms + AGAIN_MS;
		dispatch_at(l->d, l->retry_ms);
		return false;
	}
	c->lane = l;
	c->write = write;
	c->state = l->state;
	order_submit(l->d, &c->order, apply, finish);
	return true;
}

void lane_register(struct lane *l)
{
	l->registering = submit(l, false);
}

void lane_write_condition(struct lane *l)
{
	if (!submit(l, true))
		return;
	l->condition_dirty = false;
	l->condition_writing = true;
}
