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
	bool late;
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
 * Callouts come in the order of their record, so only an operator's retry makes them late. What is handed
 * over comes after its time: asked now, since what it waited behind may have been newer.
 */
static int ask_late(struct lane *l, const struct delivery_ref *ref, struct load *w)
{
	int r = 0;

	if (!ref->late && (w->event.source == SOURCE_RECOVERED || w->event.source == SOURCE_REFETCHED))
		r = reader_handled_newer(l->d->reader, l->state.handler, &w->event);
	w->late = ref->late || r > 0;
	return r < 0 ? r : 0;
}

static int load(struct lane *l, const struct delivery_ref *ref, struct load *w)
{
	int r = l->d->reader ? reader_event(l->d->reader, ref->event, &w->event) : -EIO;

	if (r == 0)
		r = reader_body(l->d->reader, ref->event, &w->body, &w->len, NULL);
	if (r == 0)
		r = ask_late(l, ref, w);
	if (r < 0)
		return r;
	return environment_build(l->conf, &w->event, ref->attempts + 1, w->late, w->body, w->len,
				 &w->env);
}

/* Its content is gone: nobody can run it any more. */
static unsigned discard(struct lane *l, const struct choice *c, int why)
{
	const struct delivery_ref *ref = &c->slot->ref;
	struct errand *e = errand_add(l, ref->event, ref->record);

	if (!e)
		return 0;
	log_err((&(struct log_ctx){ .event = ref->event, .handler = l->state.name, .reason = "no-content" }),
		"event %" PRId64 " cannot be run by %s: %s", ref->event, l->state.name,
		why == -ENODATA ? "its content has been removed" : "it is not in the store any more");
	e->attempts = ref->attempts;
	e->parked = c->from_due;
	lane_remove(l, c);
	settle_unrun(e, why == -ENODATA ? DELIVERY_FAILED : DELIVERY_DROPPED);
	return 1;
}

static unsigned cannot_load(struct lane *l, const struct choice *c, const struct moment *now, int r)
{
	if (r == -ENODATA || r == -ENOENT)
		return discard(l, c, r);
	if (r == -ENOMEM)
		dispatch_in(l->d, now, BUSY_MS);
	else
		reader_failed(l->d, r);
	return 0;
}

static int hand_over(struct lane *l, const struct delivery_ref *ref, const struct load *w)
{
	return link_start(l->peer->link, l->state.name, ref->event, ref->attempts + 1,
			  (const char *const *)w->env, w->body, w->len);
}

static void note_start(struct lane *l, const struct choice *c, struct errand *e, const struct moment *now)
{
	const struct delivery_ref *ref = &c->slot->ref;

	e->peer = l->peer;
	e->attempts = ref->attempts;
	e->late = ref->late;
	e->parked = c->from_due;
	e->started_ms = now->real_ms;
	errand_expect(e, now);
	e->told = true;
	e->probe = lane_paused(l);
	l->probes += e->probe;
	rate_take(&l->rate, now->mono_ms);
	log_debug((&(struct log_ctx){ .event = e->event, .handler = l->state.name,
				     .attempt = e->attempts + 1 }),
		  "event %" PRId64 ": %s started", e->event, l->state.name);
	lane_remove(l, c);
}

unsigned lane_start(struct lane *l, const struct choice *c, const struct moment *now)
{
	__attribute__((cleanup(auto_load))) struct load w = { .body = NULL, .env = NULL };
	struct errand *e;
	int r = load(l, &c->slot->ref, &w);

	if (r < 0)
		return cannot_load(l, c, now, r);
	e = errand_add(l, c->slot->ref.event, c->slot->ref.record);
	r = e ? hand_over(l, &c->slot->ref, &w) : -ENOMEM;
	if (r == 0) {
		note_start(l, c, e, now);
		return 1 + (unsigned)(w.len / COST_BYTES);
	}
	if (e)
		errand_remove(e);
	if (r == -EAGAIN || r == -ENOTCONN)
		return 0;               /* the link tells when it is ready again */
	log_warn((&(struct log_ctx){ .event = c->slot->ref.event, .handler = l->state.name }),
		 "cannot hand event %" PRId64 " to the runner: %s, again in 1 s", c->slot->ref.event,
		 strerror(-r));
	l->peer->busy_until_ms = now->mono_ms + BUSY_MS;
	dispatch_at(l->d, l->peer->busy_until_ms);
	return 0;
}
