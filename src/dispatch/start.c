/* start.c - one delivery is handed to its runner. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dispatch/environment.h"
#include "private.h"

#define BUSY_MS 1000
#define COST_BYTES (64 * 1024)  /* a body of so many bytes costs as much of a turn as a start */

struct load {                           /* what is needed to start */
	struct event event;
	void *body;
	size_t len;
	char **env;
};

static void auto_load(struct load *w)
{
	free(w->body);
	free(w->env);
}

/*
 * Callouts come in the order of their record, so only an operator's retry or replay makes them late. What
 * is handed over or replayed comes after its time: asked now, since what it waited behind may have been newer.
 */
int start_late(struct lane *l, const struct delivery_ref *ref, struct event *e)
{
	bool live = e->source != SOURCE_RECOVERED && e->source != SOURCE_REFETCHED;
	int late = ref->late || (live && !ref->replayed) ? ref->late : reader_late(l->d->reader, l->state.handler, e);

	if (ref->replayed)
		e->source = SOURCE_REPLAY;
	return late;
}

static int load(struct lane *l, const struct delivery_ref *ref, struct load *w)
{
	int r = l->d->reader ? reader_event(l->d->reader, ref->event, &w->event) : -EIO;

	if (r == 0)
		r = reader_body(l->d->reader, ref->event, &w->body, &w->len, NULL);
	if (r == 0)
		r = start_late(l, ref, &w->event);
	if (r < 0)
		return r;
	return environment_build(l->conf, &w->event, ref->attempts + 1, r > 0, w->body, w->len, &w->env);
}

/* Its content is gone: nobody can run it any more. */
unsigned start_discard(struct lane *l, const struct delivery_ref *ref, bool parked, int why)
{
	struct errand *e = errand_add(l, ref->event, ref->record);

	if (!e)
		return 0;
	log_err((&(struct log_ctx){ .event = ref->event, .handler = l->state.name, .reason = "no-content" }),
		"event %" PRId64 " cannot be run by %s: %s", ref->event, l->state.name,
		why == -ENODATA ? "its content has been removed" : "it is not in the store any more");
	e->attempts = ref->attempts;
	e->parked = parked;
	lane_forget(l, ref->event);
	settle_unrun(e, why == -ENODATA ? DELIVERY_FAILED : DELIVERY_DROPPED, 0);
	return 1;
}

unsigned start_unread(struct lane *l, const struct moment *now, int r)
{
	if (r == -ENOMEM)
		dispatch_in(l->d, now, BUSY_MS);
	else
		reader_failed(l->d, r);
	return 0;
}

static unsigned cannot_load(struct lane *l, const struct choice *c, const struct moment *now, int r)
{
	struct delivery_ref ref = c->slot->ref;

	if (r != -ENODATA && r != -ENOENT)
		return start_unread(l, now, r);
	lane_remove(l, c);
	return start_discard(l, &ref, c->from_due, r);
}

static int hand_over(struct lane *l, const struct delivery_ref *ref, const struct load *w)
{
	return link_start(l->peer->link, l->state.name, ref->event, ref->attempts + 1,
			  (const char *const *)w->env, w->body, w->len);
}

void start_note(struct errand *e, const struct delivery_ref *ref, bool parked, const struct moment *now)
{
	struct lane *l = e->lane;

	e->peer = l->peer;
	e->attempts = ref->attempts;
	e->late = ref->late;
	e->parked = parked;
	e->started_ms = now->real_ms;
	e->told = true;
	lane_forget(l, e->event);       /* also where it was read once more, just before it was parked */
}

void start_noted(struct errand *lead, const struct moment *now)
{
	struct lane *l = lead->lane;

	errand_expect(lead, now);
	lead->probe = lane_paused(l);
	l->probes += lead->probe;
	rate_take(&l->rate, now->mono_ms);
	log_debug((&(struct log_ctx){ .event = lead->event, .handler = l->state.name,
				     .attempt = lead->attempts + 1 }),
		  "event %" PRId64 ": %s started for %u events", lead->event, l->state.name, lead->company);
}

unsigned start_failed(struct lane *l, int64_t event, int r, const struct moment *now)
{
	if (r == -EAGAIN || r == -ENOTCONN)
		return 0;               /* the link tells when it is ready again */
	log_warn((&(struct log_ctx){ .event = event, .handler = l->state.name }),
		 "cannot hand event %" PRId64 " to the runner: %s, again in 1 s", event, strerror(-r));
	l->peer->busy_until_ms = now->mono_ms + BUSY_MS;
	dispatch_at(l->d, l->peer->busy_until_ms);
	return 0;
}

unsigned lane_start(struct lane *l, const struct choice *c, const struct moment *now)
{
	AUTO(load) struct load w = { .body = NULL, .env = NULL };
	struct delivery_ref ref = c->slot->ref;
	struct errand *e;
	int r;

	if (!brake_lets(&l->brake, c->slot->hash, ref.event, ref.received_ms)) {
		lane_remove(l, c);
		return brake_hold(l, &ref, c->from_due);
	}
	r = load(l, &ref, &w);
	if (r < 0)
		return cannot_load(l, c, now, r);
	e = errand_add(l, ref.event, ref.record);
	r = e ? hand_over(l, &ref, &w) : -ENOMEM;
	if (r < 0) {
		if (e)
			errand_remove(e);
		return start_failed(l, ref.event, r, now);
	}
	lane_remove(l, c);
	start_note(e, &ref, c->from_due, now);
	start_noted(e, now);
	return 1 + (unsigned)(w.len / COST_BYTES);
}
