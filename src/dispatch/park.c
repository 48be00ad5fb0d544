/*
 * park.c - deliveries that cannot go on in turn leave the window for the parked ones.
 *
 * What runs from the window is parked with those behind it (due at once, in case we end
 * before it does), so that whatever is parked stands before whatever waits in turn. The
 * store keeps parked deliveries of a record in order and frees the next one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "private.h"

#define AGAIN_MS 1000

struct park {
	struct order order;
	struct lane *lane;
	int64_t handler, low_water, now_ms;
	size_t count;
	struct delivery_ref refs[];
};

static int apply(struct store *s, struct journal_job *job)
{
	struct park *p = (struct park *)(void *)job;

	return store_park(s, p->handler, p->refs, p->count, p->low_water, p->now_ms);
}

static void take_parked(struct lane *l, const struct park *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->window_count; i++)
		if (!l->window[i].parking)
			l->window[kept++] = l->window[i];
	l->window_count = kept;
	for (size_t i = 0; i < p->count; i++) {
		struct errand *e = errand_find(l, p->refs[i].event);

		if (e)
			e->parked = true;
	}
	l->due_stale = true;
	lane_left(l, p->count);
}

static void finish(struct dispatcher *d, struct order *o)
{
	struct park *p = (struct park *)(void *)o;
	struct lane *l = p->lane;
	struct moment now = moment_now();

	l->parking = false;
	d->writable |= o->result == 0;
	if (o->result == 0) {
		take_parked(l, p);
	} else {
		log_warn(&(struct log_ctx){ .handler = l->state.name },
			 "cannot set deliveries aside: %s, again in 1 s", strerror(-o->result));
		for (size_t i = 0; i < l->window_count; i++)
			l->window[i].parking = false;
		l->park_after_ms = now.mono_ms + AGAIN_MS;
		dispatch_at(d, l->park_after_ms);
	}
	free(p);
}

/* Blocked by a run whose end is being written: that tells in a moment what to do. */
static bool parkable(const struct lane *l, const struct slot *s)
{
	const struct errand *e = errand_of_record(l, s->ref.record, s->hash);

	if (s->parking)
		return false;
	if (e)
		return e->lead->stage == STAGE_RUNNING;
	return s->ref.behind;
}

/* It alone holds the mark back: a restart would have to read over all that left since. */
static bool holds_back(const struct lane *l, const struct errand *e)
{
	return l->lag > LAG_MAX && e->event == lane_low_water(l, NULL);
}

static void add_ref(struct park *p, const struct errand *e)
{
	struct delivery_ref *ref = &p->refs[p->count++];

	*ref = (struct delivery_ref){ .event = e->event, .attempts = e->attempts, .late = e->late };
	memcpy(ref->record, e->record, sizeof(ref->record));
}

/* Runs from the window whose record has others to park, or that hold the low-water mark back. */
static void add_heads(struct lane *l, struct park *p)
{
	for (const struct errand *e = l->errands; e; e = e->next) {
		bool wanted = holds_back(l, e);

		for (size_t i = 0; !wanted && i < l->window_count; i++)
			wanted = l->window[i].hash == e->hash && parkable(l, &l->window[i]);
		if (wanted && !e->parked && e->lead->stage == STAGE_RUNNING)
			add_ref(p, e);
	}
}

static void add_window(struct lane *l, struct park *p)
{
	for (size_t i = 0; i < l->window_count; i++) {
		struct slot *s = &l->window[i];

		if (!parkable(l, s))
			continue;
		p->refs[p->count++] = s->ref;
		s->parking = true;
	}
}

/* The mark once these are parked: what is left in the window and under way. */
static int64_t mark_after(const struct lane *l, const struct park *p)
{
	int64_t low = l->cursor + 1;

	for (size_t i = 0; i < l->window_count; i++)
		if (!l->window[i].parking && l->window[i].ref.event < low)
			low = l->window[i].ref.event;
	for (const struct errand *e = l->errands; e; e = e->next) {
		bool among = e->parked;

		for (size_t i = 0; !among && i < p->count; i++)
			among = p->refs[i].event == e->event;
		if (!among && e->event < low)
			low = e->event;
	}
	return low;
}

void lane_park_blocked(struct lane *l, const struct moment *now)
{
	size_t most = l->cap;
	struct park *p;

	if (l->parking || now->mono_ms < l->park_after_ms)
		return;
	for (const struct errand *e = l->errands; e; e = e->next)
		most++;
	p = calloc(1, sizeof(*p) + most * sizeof(p->refs[0]));
	if (!p)
		return;
	add_heads(l, p);
	add_window(l, p);
	if (p->count == 0) {
		free(p);
		return;
	}
	p->lane = l;
	p->handler = l->state.handler;
	p->low_water = mark_after(l, p);
	p->now_ms = now->real_ms;
	l->parking = true;
	order_submit(l->d, &p->order, apply, finish);
}
