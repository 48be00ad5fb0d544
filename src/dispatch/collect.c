/*
 * collect.c - runs of several events.
 *
 * A handler with `collect` gets a JSON array of events. A run starts when the oldest that may start
 * was accepted so long ago, when collect-max may start, or when one that is parked is due (a retry:
 * it has waited enough). It is for everything that may start then, in event order, up to
 * collect-max and COLLECT_BYTES: with collect-by "record" for one record only.
 *
 * What may start is what may start alone, and what would be next of its record once those before it
 * are among the run: in the window the later ones of the record; behind a parked one those that are
 * blocked by it, which the store knows. Cutting such a run off at any event leaves every record with
 * its earliest ones in it, since event order is each record's order.
 *
 * One bad event must not fail the rest: a delivery that has failed twice is run alone from then on,
 * and one whose next failure would be its last in any case. So is what probes during a pause.
 *
 * Memory: windows are as large as collect-max (at most 500) and 64 more; the array is at most
 * COLLECT_BYTES, or one larger body alone, and is gone from here once the runner has it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dispatch/collected.h"
#include "dispatch/environment.h"
#include "private.h"

#define ALONE_AFTER 2           /* failures */
#define BUSY_MS 1000
#define COST_BYTES (64 * 1024)  /* as in start.c */
#define COST_EVENTS 16          /* so many events cost as much of a turn as a start */

struct pick {
	struct delivery_ref ref;
	bool parked;
};

struct picks {
	struct pick *items;
	size_t count, cap;
	unsigned most;          /* events of the run */
};

bool delivery_is_alone(const struct conf_handler *h, unsigned attempts)
{
	return attempts >= ALONE_AFTER || attempts >= h->retry_count;
}

/* ---- is it time? ---- */

/* A clock that was set back must not make an event wait again: then it goes at once. */
static int64_t age_wait_ms(const struct lane *l, const struct delivery_ref *ref, const struct moment *now)
{
	int64_t ms = ref->received_ms + l->conf->collect_ms - now->real_ms;

	return ms < 0 || ms > l->conf->collect_ms ? 0 : ms;
}

static int64_t due_wait_ms(const struct lane *l, const struct delivery_ref *ref, const struct moment *now)
{
	int64_t due = lane_wait_ms(l, ref->due_ms, now->real_ms);
	int64_t age = ref->attempts == 0 && !ref->late ? age_wait_ms(l, ref, now) : 0;

	return due > age ? due : age;
}

/* It may start, or would be next once those of its record before it are in the run too. */
static bool may_join(struct lane *l, struct slot *s)
{
	if (s->parking || s->ref.behind || errand_of_record(l, s->ref.record, s->hash))
		return false;
	if (!lane_in_due(l, s))
		return true;
	s->ref.behind = true;
	return false;
}

struct ripeness {
	const struct slot *seed;        /* what the run is for, first of all */
	const struct slot *alone;       /* a due one to be run alone: only if there is nothing else */
	bool from_due;
	int64_t wait_ms;                /* until the first may start; FOREVER: nothing waits */
	unsigned ready;                 /* that may start by now, but for their age */
};

static void look_at(struct ripeness *r, const struct slot *s, bool from_due, int64_t wait_ms)
{
	if (wait_ms < r->wait_ms)
		r->wait_ms = wait_ms;
	if (wait_ms > 0 || r->seed)
		return;
	r->seed = s;
	r->from_due = from_due;
}

/* Those that are run alone take turns with the rest, or a heap of bad ones would stop the good. */
static void look_at_due(struct lane *l, const struct moment *now, struct ripeness *r)
{
	for (size_t i = 0; i < l->due_count; i++) {
		const struct slot *s = &l->due[i];
		int64_t wait_ms = due_wait_ms(l, &s->ref, now);

		if (errand_of_record(l, s->ref.record, s->hash))
			continue;
		if (wait_ms == 0 && !l->due_first && delivery_is_alone(l->conf, s->ref.attempts)) {
			r->alone = r->alone ? r->alone : s;
			continue;
		}
		look_at(r, s, true, wait_ms);
		r->ready += lane_wait_ms(l, s->ref.due_ms, now->real_ms) == 0;
	}
}

/* By record: so many of one that it need not wait. */
static unsigned count_record(struct lane *l, size_t first)
{
	unsigned n = 0;

	for (size_t i = first; i < l->window_count; i++)
		n += l->window[i].hash == l->window[first].hash;
	return n;
}

static void look_at_window(struct lane *l, const struct moment *now, struct ripeness *r)
{
	for (size_t i = 0; i < l->window_count && !r->seed; i++) {
		struct slot *s = &l->window[i];
		bool full;

		if (!may_join(l, s))
			continue;
		r->ready++;
		full = l->conf->collect_by_record ? count_record(l, i) >= l->conf->collect_max :
						    r->ready >= l->conf->collect_max;
		look_at(r, s, false, full ? 0 : age_wait_ms(l, &s->ref, now));
	}
}

static struct ripeness look(struct lane *l, const struct moment *now)
{
	struct ripeness r = { .wait_ms = FOREVER };
	unsigned due;

	if (l->due_stale)
		lane_load_due(l);
	look_at_due(l, now, &r);
	due = r.ready;
	while (!r.seed) {
		r.ready = due;
		look_at_window(l, now, &r);
		if (r.seed)
			break;
		if (l->window_count == l->cap)
			lane_park_blocked(l, now);
		if (!lane_fill(l))
			break;
	}
	if (!r.seed && r.alone) {
		r.seed = r.alone;
		r.from_due = true;
	}
	return r;
}

bool collect_ripe(struct lane *l, const struct moment *now)
{
	struct ripeness r;

	/* Looked at already, and what came since is younger. */
	if (now->mono_ms < l->ripe_ms && !l->due_stale && l->window_count < l->conf->collect_max) {
		while (l->window_count < l->conf->collect_max && lane_fill(l))
			;
		if (l->window_count < l->conf->collect_max) {
			dispatch_at(l->d, l->ripe_ms);
			return false;
		}
	}
	r = look(l, now);
	l->ripe_ms = 0;
	if (r.seed)
		return true;
	if (r.wait_ms == FOREVER)
		return false;
	l->ripe_ms = now->mono_ms + r.wait_ms;
	dispatch_in(l->d, now, r.wait_ms);
	return false;
}

int64_t collect_next_ms(const struct lane *l)
{
	return l->window_count + l->due_count > 0 ? l->ripe_ms : 0;
}

/* ---- what it is for ---- */

static bool pick(struct picks *p, const struct delivery_ref *ref, bool parked)
{
	if (p->count == p->cap)
		return false;
	p->items[p->count++] = (struct pick){ *ref, parked };
	return true;
}

/* Those the store has blocked behind a parked one. */
static int pick_behind(struct lane *l, struct picks *p, const struct delivery_ref *head)
{
	AUTO(free) struct delivery_ref *refs = calloc(p->most, sizeof(*refs));
	size_t count = 0;
	int r;

	if (!refs)
		return -ENOMEM;
	r = reader_behind(l->d->reader, l->state.handler, head->record, head->event, refs, p->most, &count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (refs[i].due_ms == DELIVERY_HELD_MS || delivery_is_alone(l->conf, refs[i].attempts) ||
		    !pick(p, &refs[i], true))
			break;
	return 0;
}

static int pick_due(struct lane *l, struct picks *p, const struct slot *only, const struct moment *now)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->due_count; i++) {
		const struct slot *s = &l->due[i];

		if ((only && s != only) || lane_wait_ms(l, s->ref.due_ms, now->real_ms) > 0 ||
		    delivery_is_alone(l->conf, s->ref.attempts) ||
		    errand_of_record(l, s->ref.record, s->hash) || !pick(p, &s->ref, true))
			continue;
		r = pick_behind(l, p, &s->ref);
	}
	return r;
}

/* More of the seed's record than was read ahead. */
static int pick_ahead(struct lane *l, struct picks *p, const struct delivery_ref *seed)
{
	AUTO(free) struct delivery_ref *refs = calloc(p->most, sizeof(*refs));
	size_t count = 0;
	int r;

	if (!refs)
		return -ENOMEM;
	r = reader_ahead(l->d->reader, l->state.handler, seed->record, l->cursor, refs, p->most, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (!pick(p, &refs[i], false))
			break;
	return r;
}

static int pick_window(struct lane *l, struct picks *p, const struct slot *only)
{
	for (size_t i = 0; i < l->window_count; i++) {
		struct slot *s = &l->window[i];

		if (only && (s->hash != only->hash || strcmp(s->ref.record, only->ref.record) != 0))
			continue;
		if (may_join(l, s) && !pick(p, &s->ref, false))
			break;
	}
	return only && l->more && p->count < p->most ? pick_ahead(l, p, &only->ref) : 0;
}

static int by_event(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	return (x->ref.event > y->ref.event) - (x->ref.event < y->ref.event);
}

static int gather(struct lane *l, const struct ripeness *r, struct picks *p, const struct moment *now)
{
	const struct slot *only = l->conf->collect_by_record ? r->seed : NULL;
	int result = 0;

	if (lane_paused(l) || (r->from_due && delivery_is_alone(l->conf, r->seed->ref.attempts))) {
		(void)pick(p, &r->seed->ref, r->from_due);
		return 0;
	}
	if (!only || r->from_due)
		result = pick_due(l, p, only, now);
	if (result == 0 && (!only || !r->from_due))
		result = pick_window(l, p, only);
	qsort(p->items, p->count, sizeof(*p->items), by_event);
	if (p->count > p->most)
		p->count = p->most;
	return result;
}

/* ---- loops ---- */

static bool is_of(const struct pick *p, const char *record)
{
	return strcmp(p->ref.record, record) == 0;
}

/* A record with one event too many goes without it and those after it. What it cost. */
static unsigned hold_loops(struct lane *l, struct picks *p)
{
	unsigned cost = 0;
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		struct pick *at = &p->items[i];
		struct delivery_ref ref = at->ref;

		if (brake_lets(&l->brake, record_hash(ref.record), ref.event, ref.received_ms)) {
			p->items[kept++] = *at;
			continue;
		}
		cost += brake_hold(l, &ref, at->parked);
		for (size_t j = i + 1; j < p->count;) {
			if (is_of(&p->items[j], ref.record))
				memmove(&p->items[j], &p->items[j + 1], (--p->count - j) * sizeof(*p->items));
			else
				j++;
		}
	}
	p->count = kept;
	return cost;
}

/* ---- its input ---- */

struct input {
	struct collected body;
	struct environment_common common;
	size_t count;                   /* of the picks that are in it */
};

/* 0, or -errno and *ret_at, which of them it was. */
static int load(struct lane *l, const struct picks *p, struct input *in, size_t *ret_at)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct delivery_ref *ref = &p->items[i].ref;
		AUTO(free) void *body = NULL;
		struct event e;
		size_t len;
		int late = 0;
		int r = l->d->reader ? reader_event(l->d->reader, ref->event, &e) : -EIO;

		*ret_at = i;
		if (r == 0)
			r = reader_body(l->d->reader, ref->event, &body, &len, NULL);
		if (r == 0)
			late = start_late(l, ref, &e);
		if (late < 0)
			r = late;
		if (r == 0)
			r = collected_add(&in->body, &e, ref->attempts + 1, late > 0, body, len);
		if (r == -ENOBUFS)
			break;                  /* the rest is for the next run */
		if (r < 0)
			return r;
		environment_merge(&in->common, &e, ref->attempts + 1, late > 0);
		in->count++;
	}
	return collected_end(&in->body);
}

/* ---- the start ---- */

static struct errand *make_run(struct lane *l, const struct picks *p, size_t count)
{
	struct errand *lead = errand_add(l, p->items[0].ref.event, p->items[0].ref.record);

	for (size_t i = 1; lead && i < count; i++) {
		if (errand_join(lead, p->items[i].ref.event, p->items[i].ref.record))
			continue;
		errand_remove(lead);
		return NULL;
	}
	return lead;
}

static int hand_over(struct lane *l, const struct picks *p, const struct input *in, const char *const *env)
{
	const struct delivery_ref *first = &p->items[0].ref;
	struct wire_delivery others[WIRE_OTHERS_MAX];

	for (size_t i = 1; i < in->count; i++)
		others[i - 1] = (struct wire_delivery){ p->items[i].ref.event, p->items[i].ref.attempts + 1 };
	return link_start_collected(l->peer->link, l->state.name, first->event, first->attempts + 1, others,
				    in->count - 1, env, in->body.text.data, in->body.text.len);
}

static unsigned run(struct lane *l, const struct picks *p, const struct input *in, const struct moment *now)
{
	AUTO(free) char **env = NULL;
	struct errand *lead, *e;
	int r = environment_collected(l->conf, &in->common, &env);

	if (r < 0)
		return start_unread(l, now, r);
	lead = make_run(l, p, in->count);
	r = lead ? hand_over(l, p, in, (const char *const *)env) : -ENOMEM;
	if (r < 0) {
		if (lead)
			errand_remove(lead);
		return start_failed(l, p->items[0].ref.event, r, now);
	}
	e = lead;
	for (size_t i = 0; e; e = e->also, i++)
		start_note(e, &p->items[i].ref, p->items[i].parked, now);
	start_noted(lead, now);
	return 1 + (unsigned)(in->body.text.len / COST_BYTES + in->count / COST_EVENTS);
}

unsigned collect_start(struct lane *l, const struct moment *now)
{
	struct input in = { .body = COLLECTED_INIT };
	struct ripeness r = look(l, now);
	struct picks p = { .most = l->conf->collect_max };
	AUTO(free) struct pick *items = NULL;
	unsigned cost, held;
	size_t at = 0;
	int result;

	if (!r.seed)
		return 0;
	p.cap = 2 * l->cap;
	p.items = items = calloc(p.cap, sizeof(*items));
	if (!items)
		return start_unread(l, now, -ENOMEM);
	result = gather(l, &r, &p, now);
	held = result == 0 ? hold_loops(l, &p) : 0;
	if (result == 0 && p.count == 0)
		return held;
	if (result == 0)
		result = load(l, &p, &in, &at);
	l->due_first = !(r.from_due && delivery_is_alone(l->conf, p.items[0].ref.attempts));
	if (result == 0)
		cost = run(l, &p, &in, now);
	else if (result == -ENODATA || result == -ENOENT)
		cost = start_discard(l, &p.items[at].ref, p.items[at].parked, result);
	else
		cost = start_unread(l, now, result);
	collected_free(&in.body);
	return cost ? cost + held : 0;
}
