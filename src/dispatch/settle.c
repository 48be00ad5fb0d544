/*
 * settle.c - an attempt's end on its way to the disk.
 *
 * The runner keeps a result until it is acknowledged, and that happens only when what
 * follows from it is durable. A settle that cannot be written is kept (it is bounded by what
 * ran) and tried again. Until something can be written again nothing new is started; a
 * handler's condition is written now and then to find out, so that one settle that cannot be
 * written while others can does not stop everything.
 *
 * A run of several events ends for all of them at once, in one transaction; each has an attempt
 * of its own to show, with its own number.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define AGAIN_MS 500
#define AGAIN_MAX_MS 10000

/* What follows for one event of the run. */
struct item {
	struct settle settle;
	struct attempt_new attempt;
	bool behind, gone;              /* told by the store; gone: forgotten meanwhile, nothing to settle */
};

struct settling {
	struct order order;
	struct errand *errand;          /* leads the run */
	bool condition;                 /* write the handler's condition with it */
	struct handler_state state;
	bool told;                      /* in the log, that it could not be written */
	char elsewhere[80];             /* where the output is, for all but the first */
	unsigned char *output;          /* behind the items */
	size_t count;
	struct item items[];
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
	int r = 0;

	/* A collected run in one transaction: all of it is settled, or nothing. */
	for (size_t i = 0; i < t->count && r == 0; i++) {
		struct item *it = &t->items[i];

		r = store_settle(s, &it->settle, &it->behind);
		it->gone = r == -ENOENT;
		if (it->gone)
			r = 0;
	}
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
	e->still_running = false;
	e->reported = false;
	l->settling--;
	l->running++;
	l->d->running++;
	for (struct errand *m = e; m; m = m->also) {
		m->parked = true;
		lane_forget(l, m->event);
	}
}

/* Given up, and that is durable. */
static void tell_dead(const struct errand *e, const struct item *it)
{
	const char *handler = e->lane->state.name;

	if (!it->settle.attempt) {
		alerts_raise(e->lane->d->alerts, ALERT_FAILED, handler,
			     "event %" PRId64 " (%s) is a dead letter of handler %s, which never ran for it: its content had been removed by then; calloutctl show %" PRId64 " tells more",
			     e->event, callout_loggable(e->record), handler, e->event);
		return;
	}
	alerts_raise(e->lane->d->alerts, ALERT_FAILED, handler,
		     "event %" PRId64 " (%s) is a dead letter: handler %s failed for it %u times, the last ended as %s (%d); calloutctl show %" PRId64 " tells more, calloutctl retry %" PRId64 " runs it again",
		     e->event, callout_loggable(e->record), handler, it->settle.attempts, attempt_result_name(it->attempt.result),
		     it->attempt.status, e->event, e->event);
}

/* What the store says of the run's records. */
static void take_word(struct settling *t)
{
	struct lane *l = t->errand->lane;
	size_t i = 0;

	for (const struct errand *m = t->errand; m; m = m->also, i++) {
		if (!t->items[i].gone)
			lane_behind(l, m->record, m->hash, t->items[i].behind);
		if (!t->items[i].gone && t->items[i].settle.state == DELIVERY_FAILED)
			tell_dead(m, &t->items[i]);
		if (t->items[i].settle.state == DELIVERY_PARKED)
			l->due_stale = true;
	}
}

static void finish(struct dispatcher *d, struct order *o)
{
	struct settling *t = settling_of(o);
	struct errand *e = t->errand;
	struct lane *l = e->lane;
	size_t count = t->count;

	if (o->result < 0) {
		become_stuck(d, t);
		return;
	}
	d->writable = true;
	d->stuck_wait_ms = 0;
	take_word(t);
	if (e->reported && e->peer)
		link_ack(e->peer->link, l->state.name, e->event, e->attempts + 1);
	free(t);
	if (e->still_running) {
		goes_on(e);
		return;
	}
	errand_remove(e);
	lane_left(l, count);
}

static void submit(struct settling *t)
{
	struct lane *l = t->errand->lane;
	int64_t now_ms = clock_now_ms();

	for (size_t i = 0; i < t->count; i++)
		t->items[i].settle.now_ms = now_ms;
	/* The mark moves once all of them are out of the way. */
	t->items[t->count - 1].settle.low_water = lane_low_water(l, t->errand);
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
	struct settling *t = calloc(1, sizeof(*t) + e->company * sizeof(t->items[0]) + output_len);

	if (!t)
		return NULL;
	t->errand = e;
	t->output = (unsigned char *)&t->items[e->company];
	for (const struct errand *m = e; m; m = m->also)
		t->items[t->count++].settle = (struct settle){ .handler = e->lane->state.handler,
							       .event = m->event, .record = m->record };
	return t;
}

/* The output of a collected run is kept once, with its first event. */
static void point_to_output(struct settling *t)
{
	int n = snprintf(t->elsewhere, sizeof(t->elsewhere), "(one run of %zu events: its output is with event %" PRId64 ")\n",
			 t->count, t->errand->event);

	for (size_t i = 1; i < t->count; i++) {
		t->items[i].attempt.err = t->elsewhere;
		t->items[i].attempt.err_len = (size_t)n;
		t->items[i].attempt.err_total = (uint64_t)n;
	}
}

static void take_output(struct settling *t, const struct link_result *r)
{
	struct attempt_new *a = &t->items[0].attempt;

	a->out_len = r->out_len;
	a->err_len = r->err_len;
	a->out_total = r->out_total;
	a->err_total = r->err_total;
	if (r->out_len > 0)
		a->out = memcpy(t->output, r->out, r->out_len);
	if (r->err_len > 0)
		a->err = memcpy(t->output + r->out_len, r->err, r->err_len);
	if (r->out_len + r->err_len > 0)
		point_to_output(t);
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
	const struct attempt_new *a = &t->items[0].attempt;
	struct log_ctx ctx = { .event = e->event, .handler = e->lane->state.name,
			       .attempt = a->number, .reason = attempt_result_name(a->result) };
	char took[CLOCK_TEXT_LEN], more[32] = "";

	if (t->count > 1)
		(void)snprintf(more, sizeof(more), " and %zu more", t->count - 1);
	if (a->result == ATTEMPT_DONE)
		log_info(&ctx, "event %" PRId64 "%s: %s done in %s", e->event, more, ctx.handler,
			 duration_text(ms, took));
	else
		log_warn(&ctx, "event %" PRId64 "%s: %s ended after %s: %s (%d), %s", e->event, more,
			 ctx.handler, duration_text(ms, took), ctx.reason, a->status,
			 ends[t->items[0].settle.state]);
}

/*
 * What becomes of an event whose run was not for it alone. Nothing is given up for a failure in
 * company, only for its own word (exit 100).
 */
static struct decision decide_in_company(const struct conf_handler *h, enum attempt_result result,
					 unsigned attempts, uint32_t dice)
{
	struct decision d = decide(h, result, attempts, dice);

	if (d.state != DELIVERY_FAILED || result == ATTEMPT_GAVE_UP)
		return d;
	d.state = DELIVERY_PARKED;
	d.delay_ms = pause_ms(h, UINT_MAX, dice);
	return d;
}

/* All of the run have the same dice, so that what failed together is due together. */
static void decide_all(struct errand *lead, struct settling *t, enum attempt_result result, int64_t now_ms)
{
	struct lane *l = lead->lane;
	uint32_t dice = random_u32();
	size_t i = 0;

	for (const struct errand *m = lead; m; m = m->also, i++) {
		struct decision d = (t->count > 1 ? decide_in_company : decide)(l->conf, result, m->attempts, dice);
		struct settle *s = &t->items[i].settle;

		if (m == lead)          /* a run fails or succeeds once, however many events it has */
			t->condition = lane_take_result(l, lead, result, now_ms, &d, &s->due_ms);
		else
			s->due_ms = d.pause && lane_paused(l) ? l->state.pause_until_ms : now_ms + d.delay_ms;
		s->state = d.state;
		s->attempts = d.attempts;
	}
}

static void conclude(struct errand *e, struct settling *t, enum attempt_result result, int status,
		     int64_t started_ms, int64_t ended_ms)
{
	struct lane *l = e->lane;
	int64_t ms = ended_ms > started_ms ? ended_ms - started_ms : 0;
	struct moment now = moment_now();
	size_t i = 0;

	for (const struct errand *m = e; m; m = m->also, i++) {
		struct attempt_new *a = &t->items[i].attempt;

		a->handler = l->state.handler;
		a->event = m->event;
		a->number = m->attempts + 1;
		a->started_ms = started_ms;
		a->ended_ms = ended_ms;
		a->result = result;
		a->status = status;
		t->items[i].settle.attempt = a;
	}
	decide_all(e, t, result, now.real_ms);
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

void settle_unrun(struct errand *e, enum delivery_state state, int64_t due_ms)
{
	struct settling *t = settling_new(e, 0);

	leave_running(e);
	if (!t) {
		lane_put_back(e);       /* read and found wanting again */
		return;
	}
	t->items[0].settle.state = state;
	t->items[0].settle.attempts = e->attempts;
	t->items[0].settle.due_ms = due_ms;
	submit(t);
}
