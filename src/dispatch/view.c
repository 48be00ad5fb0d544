/* view.c - what the dispatcher shows of itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

const int64_t dispatch_buckets_ms[DISPATCH_BUCKETS] = { 10, 50, 250, 1000, 5000, 30000, 120000, 600000 };

/* ---- handlers ---- */

static const struct handler_state *stored_state(const struct handler_state *states, size_t count,
						const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(states[i].name, name) == 0)
			return &states[i];
	return NULL;
}

/* Counters are the store's, the condition is ours: it may not be written yet. */
static void merge(struct handler_state *state, const struct handler_state *stored)
{
	if (!stored)
		return;
	state->handler = stored->handler;
	state->low_water = stored->low_water;
	state->accepted = stored->accepted;
	state->done = stored->done;
	state->failed = stored->failed;
	state->dropped = stored->dropped;
	state->oldest_waiting_ms = stored->oldest_waiting_ms;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t next_of(const struct lane *l)
{
	int64_t next = 0, now_ms = moment_now().real_ms;

	if (l->state.held)
		return l->state.held_until_ms;
	if (lane_paused(l))
		return l->state.pause_until_ms;
	for (size_t i = 0; i < l->due_count; i++)
		if (l->due[i].ref.due_ms > now_ms)
			next = earlier(next, l->due[i].ref.due_ms);
	return next;
}

static void show(const struct lane *l, const struct handler_state *stored, struct handler_view *v)
{
	v->state = l->state;
	merge(&v->state, stored);
	v->configured = l->conf != NULL;
	memcpy(v->unusable, l->unusable, sizeof(v->unusable));
	v->running = l->running;
	if (l->conf)
		(void)snprintf(v->runner, sizeof(v->runner), "%s", l->conf->runner);
	v->next_ms = next_of(l);
}

int dispatcher_handlers(struct dispatcher *d, struct handler_view **ret, size_t *ret_count)
{
	AUTO(free) struct handler_state *states = NULL;
	struct handler_view *views;
	size_t count = 0, n = 0, stored = 0;

	if (d->reader) {
		int r = reader_handlers(d->reader, &states, &stored);

		if (r < 0)
			reader_failed(d, r);    /* what is in memory can be shown all the same */
	}
	for (const struct lane *l = d->lanes; l; l = l->next)
		count++;
	views = calloc(count + 1, sizeof(*views));
	if (!views)
		return -ENOMEM;
	for (const struct lane *l = d->lanes; l; l = l->next) {
		const struct handler_state *s = stored_state(states, stored, l->state.name);

		if (l->conf || s)
			show(l, s, &views[n++]);
	}
	*ret = views;
	*ret_count = n;
	return 0;
}

/* ---- what is under way ---- */

static size_t errand_count(const struct dispatcher *d)
{
	size_t n = 0;

	for (const struct lane *l = d->lanes; l; l = l->next)
		for (const struct errand *e = l->errands; e; e = e->next)
			n++;
	return n;
}

int dispatcher_running(struct dispatcher *d, struct running_view **ret, size_t *ret_count)
{
	struct running_view *views = calloc(errand_count(d) + 1, sizeof(*views));
	size_t n = 0;

	if (!views)
		return -ENOMEM;
	for (const struct lane *l = d->lanes; l; l = l->next) {
		for (const struct errand *e = l->errands; e; e = e->next) {
			struct running_view *v = &views[n];

			if (e->stage != STAGE_RUNNING)
				continue;
			n++;
			(void)snprintf(v->handler, sizeof(v->handler), "%s", l->state.name);
			memcpy(v->record, e->record, sizeof(v->record));
			v->event = e->event;
			v->started_ms = e->started_ms;
			v->attempt = e->attempts + 1;
			if (e->peer)
				memcpy(v->runner, e->peer->name, sizeof(v->runner));
			if (e->overdue && e->told)
				(void)errand_overdue_text(e, v->overdue, sizeof(v->overdue));
		}
	}
	*ret = views;
	*ret_count = n;
	return 0;
}

int dispatcher_under_way(struct dispatcher *d, struct delivery_key **ret, size_t *ret_count)
{
	struct delivery_key *keys = calloc(errand_count(d) + 1, sizeof(*keys));
	size_t n = 0;

	if (!keys)
		return -ENOMEM;
	for (const struct lane *l = d->lanes; l; l = l->next)
		for (const struct errand *e = l->errands; e; e = e->next)
			keys[n++] = (struct delivery_key){ l->state.handler, e->event };
	*ret = keys;
	*ret_count = n;
	return 0;
}

/* ---- runners, metrics ---- */

int dispatcher_runners(struct dispatcher *d, struct runner_view **ret, size_t *ret_count)
{
	struct runner_view *views;
	size_t count = 0, n = 0;

	for (const struct peer *p = d->peers; p; p = p->next)
		count++;
	views = calloc(count + 1, sizeof(*views));
	if (!views)
		return -ENOMEM;
	for (const struct peer *p = d->peers; p; p = p->next, n++) {
		memcpy(views[n].name, p->name, sizeof(views[n].name));
		views[n].ready = link_ready(p->link);
		(void)snprintf(views[n].status, sizeof(views[n].status), "%s", link_status(p->link));
	}
	*ret = views;
	*ret_count = n;
	return 0;
}

int dispatcher_counts(struct dispatcher *d, struct attempt_counts **ret, size_t *ret_count)
{
	struct attempt_counts *counts;
	size_t count = 0, n = 0;

	for (const struct lane *l = d->lanes; l; l = l->next)
		count++;
	counts = calloc(count + 1, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	for (const struct lane *l = d->lanes; l; l = l->next, n++) {
		counts[n] = l->counts;
		(void)snprintf(counts[n].handler, sizeof(counts[n].handler), "%s", l->state.name);
	}
	*ret = counts;
	*ret_count = n;
	return 0;
}
