/*
 * settle.c - an attempt's end on its way to the disk.
 *
 * The runner keeps a result until it is acknowledged, and that happens only when what
 * follows from it is durable. A settle that cannot be written is kept (it is bounded by what
 * ran) and tried again. Until something can be written again nothing new is started; a
 * handler's condition is written now and then to find out, so that one settle that cannot be
 * written while others can does not stop everything.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define AGAIN_MS 500
#define AGAIN_MAX_MS 10000

struct settling {
	struct order order;
	struct errand *errand;
	struct settle settle;
	struct attempt_new attempt;
	char record[CALLOUT_RECORD_MAX];
	bool condition;                 /* write the handler's condition with it */
	struct handler_state state;
	bool behind;                    /* told by the store */
	bool told;                      /* in the log, that it could not be written */
	unsigned char output[];
};

static struct settling *settling_of(struct order *o)
{
	return (struct settling *)(void *)o;
}

void settle_free(struct order *o)
{
	free(o);
}

/* ---- writing ---- */

static int apply(struct store *s, struct journal_job *job)
{
	struct settling *t = (struct settling *)(void *)job;
	int r = store_settle(s, &t->settle, &t->behind);

	return r < 0 || !t->condition ? r : store_handler_condition(s, &t->state);
}

static void become_stuck(struct dispatcher *d, struct settling *t)
{
	struct errand *e = t->errand;
	int64_t mono_ms = moment_now().mono_ms;

	if (!t->told)
		log_err((&(struct log_ctx){ .event = e->event, .handler = e->lane->state.name }),
			"cannot store how event %" PRId64 " ended: %s; kept, and tried again until it works",
			e->event, strerror(-t->order.result));
	t->told = true;
	e->stage = STAGE_STUCK;
	d->writable = false;
	e->settling = &t->order;
	d->stuck++;
	if (d->stuck_wait_ms == 0)
		d->stuck_wait_ms = AGAIN_MS;
	if (d->stuck_ms <= mono_ms)
		d->stuck_ms = mono_ms + d->stuck_wait_ms;
	dispatch_at(d, d->stuck_ms);
}

/* Told as running after we had thought it lost: it goes on, among the parked ones now. */
static void goes_on(struct errand *e)
{
	struct lane *l = e->lane;

	e->stage = STAGE_RUNNING;
	e->parked = true;
	e->still_running = false;
	e->reported = false;
	l->settling--;
	l->running++;
	l->d->running++;
	lane_forget(l, e->event);
}

/* Given up, and that is durable. */
static void tell_dead(const struct errand *e, const struct settling *t)
{
	const char *handler = e->lane->state.name;

	if (!t->settle.attempt) {
		alerts_raise(e->lane->d->alerts, ALERT_FAILED, handler,
			     "event %" PRId64 " (%s) is a dead letter of handler %s, which never ran for it: its content had been removed by then; calloutctl show %" PRId64 " tells more",
			     e->event, e->record, handler, e->event);
		return;
	}
	alerts_raise(e->lane->d->alerts, ALERT_FAILED, handler,
		     "event %" PRId64 " (%s) is a dead letter: handler %s failed for it %u times, the last ended as %s (%d); calloutctl show %" PRId64 " tells more, calloutctl retry %" PRId64 " runs it again",
		     e->event, e->record, handler, t->settle.attempts, attempt_result_name(t->attempt.result),
		     t->attempt.status, e->event, e->event);
}

static void finish(struct dispatcher *d, struct order *o)
{
	struct settling *t = settling_of(o);
	struct errand *e = t->errand;
	struct lane *l = e->lane;

	/* -ENOENT: the event was forgotten meanwhile; there is nothing left to settle. */
	if (o->result < 0 && o->result != -ENOENT) {
		become_stuck(d, t);
		return;
	}
	d->writable = true;
	d->stuck_wait_ms = 0;
	if (o->result == 0 && t->settle.state == DELIVERY_FAILED)
		tell_dead(e, t);
	if (o->result == 0)
		lane_behind(l, e->record, e->hash, t->behind);
	if (t->settle.state == DELIVERY_PARKED)
		l->due_stale = true;
	if (e->reported && e->peer)
		link_ack(e->peer->link, l->state.name, e->event, e->attempts + 1);
	free(t);
	if (e->still_running) {
		goes_on(e);
		return;
	}
	errand_remove(e);
	lane_left(l, 1);
}

static void submit(struct settling *t)
{
	struct lane *l = t->errand->lane;

	t->settle.low_water = lane_low_water(l, t->errand);
	t->settle.now_ms = clock_now_ms();
	t->state = l->state;
	order_submit(l->d, &t->order, apply, finish);
}

/* The errand runs no more, whatever becomes of writing that down. */
static void leave_running(struct errand *e)
{
	e->stage = STAGE_SETTLING;
	e->lane->running--;
	e->lane->d->running--;
	e->lane->settling++;
}

void settle_stuck_again(struct dispatcher *d)
{
	d->stuck_wait_ms = d->stuck_wait_ms * 2 < AGAIN_MAX_MS ? d->stuck_wait_ms * 2 : AGAIN_MAX_MS;
	for (struct lane *l = d->lanes; l; l = l->next) {
		for (struct errand *e = l->errands; e; e = e->next) {
			if (e->stage != STAGE_STUCK)
				continue;
			d->stuck--;
			e->stage = STAGE_SETTLING;
			submit(settling_of(TAKE(e->settling)));
			l->condition_dirty = true;
		}
	}
}

/* ---- what it means ---- */

static struct settling *settling_new(struct errand *e, size_t output_len)
{
	struct settling *t = calloc(1, sizeof(*t) + output_len);

	if (!t)
		return NULL;
	t->errand = e;
	memcpy(t->record, e->record, sizeof(t->record));
	t->settle = (struct settle){ .handler = e->lane->state.handler, .event = e->event,
				     .record = t->record };
	return t;
}

static void take_output(struct settling *t, const struct link_result *r)
{
	struct attempt_new *a = &t->attempt;

	a->out_len = r->out_len;
	a->err_len = r->err_len;
	a->out_total = r->out_total;
	a->err_total = r->err_total;
	if (r->out_len > 0)
		a->out = memcpy(t->output, r->out, r->out_len);
	if (r->err_len > 0)
		a->err = memcpy(t->output + r->out_len, r->err, r->err_len);
}

static void count(struct lane *l, enum attempt_result result, int64_t ms)
{
	size_t i = 0;

	l->counts.results[result]++;
	while (i < DISPATCH_BUCKETS && ms > dispatch_buckets_ms[i])
		i++;
	l->counts.buckets[i]++;
	l->counts.sum_seconds += (double)ms / 1000;
}

static void report(const struct errand *e, const struct settling *t, int64_t ms)
{
	static const char *const ends[] = {
		[DELIVERY_PARKED] = "it is tried again", [DELIVERY_DONE] = "done",
		[DELIVERY_FAILED] = "given up",
	};
	enum attempt_result result = t->attempt.result;
	struct log_ctx ctx = { .event = e->event, .handler = e->lane->state.name,
			       .attempt = t->attempt.number, .reason = attempt_result_name(result) };
	char took[CLOCK_TEXT_LEN];

	if (result == ATTEMPT_DONE)
		log_info(&ctx, "event %" PRId64 ": %s done in %s", e->event, ctx.handler,
			 duration_text(ms, took));
	else
		log_warn(&ctx, "event %" PRId64 ": %s ended after %s: %s (%d), %s", e->event, ctx.handler,
			 duration_text(ms, took), ctx.reason, t->attempt.status, ends[t->settle.state]);
}

static void conclude(struct errand *e, struct settling *t, enum attempt_result result, int status,
		     int64_t started_ms, int64_t ended_ms)
{
	struct lane *l = e->lane;
	struct decision d = decide(l->conf, result, e->attempts, random_u32());
	int64_t ms = ended_ms > started_ms ? ended_ms - started_ms : 0;
	struct moment now = moment_now();

	t->attempt.handler = l->state.handler;
	t->attempt.event = e->event;
	t->attempt.number = e->attempts + 1;
	t->attempt.started_ms = started_ms;
	t->attempt.ended_ms = ended_ms;
	t->attempt.result = result;
	t->attempt.status = status;
	t->settle.attempt = &t->attempt;
	t->condition = lane_take_result(l, e, result, now.real_ms, &d, &t->settle.due_ms);
	t->settle.state = d.state;
	t->settle.attempts = d.attempts;
	count(l, result, ms);
	report(e, t, ms);
	leave_running(e);
	submit(t);
	if (result == ATTEMPT_NOT_STARTED)
		lane_check_usable(l, &now);
}

void settle_result(struct errand *e, const struct link_result *r)
{
	struct settling *t = settling_new(e, r->out_len + r->err_len);

	if (t)
		take_output(t, r);
	else
		t = settling_new(e, 0); /* better without its output than not at all */
	if (!t) {
		e->peer->again = true;  /* the runner keeps it and tells it again */
		return;
	}
	e->reported = true;
	conclude(e, t, attempt_result_of(r->outcome, r->status), r->status, r->started_ms, r->ended_ms);
}

/*
 * The runner went away with it. Should its own word about this attempt come after all, that
 * must not look like what is written here: hence the millisecond.
 */
void settle_interrupted(struct errand *e)
{
	struct settling *t = settling_new(e, 0);

	if (!t)
		return;                 /* asked again at the next turn */
	conclude(e, t, ATTEMPT_INTERRUPTED, 0, e->started_ms - 1, clock_now_ms());
}

void settle_unrun(struct errand *e, enum delivery_state state)
{
	struct settling *t = settling_new(e, 0);

	leave_running(e);
	if (!t) {
		lane_put_back(e);       /* read and found wanting again */
		return;
	}
	t->settle.state = state;
	t->settle.attempts = e->attempts;
	submit(t);
}
