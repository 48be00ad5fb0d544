/* picture.c - what only the main thread knows, copied for a request in one visit there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "private.h"

/* Of each configured webhook, then of requests to no webhook's path. */
static int copy_webhooks(struct picture *p)
{
	const struct conf *c = site_conf(p->site);
	int r;

	p->webhooks = calloc(c->webhook_count + 1, sizeof(*p->webhooks));
	if (!p->webhooks)
		return -ENOMEM;
	for (size_t i = 0; i <= c->webhook_count; i++) {
		const char *title = i < c->webhook_count ? c->webhooks[i].title : "";

		r = intake_counts(p->admin->intake, title, &p->webhooks[i]);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int copy_dispatcher(struct picture *p)
{
	struct dispatcher *d = p->admin->dispatcher;
	int r;

	r = dispatcher_handlers(d, &p->handlers, &p->handler_count);
	if (r == 0)
		r = dispatcher_running(d, &p->running, &p->running_count);
	if (r == 0)
		r = dispatcher_runners(d, &p->runners, &p->runner_count);
	if (r == 0 && p->attempts_wanted)
		r = dispatcher_counts(d, &p->attempts, &p->attempts_count);
	return r;
}

static void on_main(void *arg)
{
	struct picture *p = arg;
	const struct admin_daemon *d = &p->admin->daemon;
	const char *degraded = d->degraded(d->arg);

	p->site = d->site(d->arg);
	p->last_reload_ms = d->last_reload_ms(d->arg, &p->last_reload_ok);
	(void)snprintf(p->degraded, sizeof(p->degraded), "%s", degraded ? degraded : "");
	intake_status(p->admin->intake, &p->intake);
	alerts_status(p->admin->alerts, &p->alerts);
	p->result = copy_webhooks(p);
	if (p->result == 0)
		p->result = copy_dispatcher(p);
}

int picture_take(struct admin *a, bool attempts, struct picture *ret)
{
	struct picture p = { .admin = a, .attempts_wanted = attempts };
	int r = admin_ask(a, on_main, &p);

	if (r == 0)
		r = p.result;
	if (r < 0) {
		picture_release(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void picture_release(struct picture *p)
{
	free(p->handlers);
	free(p->running);
	free(p->runners);
	free(p->attempts);
	free(p->webhooks);
	p->handlers = NULL;
	p->running = NULL;
	p->runners = NULL;
	p->attempts = NULL;
	p->webhooks = NULL;
	p->site = site_unref(p->site);
}

uint64_t handler_waiting(const struct handler_view *h)
{
	const struct handler_state *s = &h->state;
	uint64_t settled = s->done + s->failed + s->dropped + h->running;

	/* Counted at two places a moment apart: never below zero. */
	return s->accepted > settled ? s->accepted - settled : 0;
}

const char *handler_condition(const struct handler_view *h)
{
	if (!h->configured)
		return "removed";
	if (h->unusable[0])
		return "unusable";
	if (h->state.held)
		return "held";
	return h->state.pause_until_ms ? "paused" : "ready";
}

bool handler_gone(const struct handler_view *h)
{
	return !h->configured && !h->running && handler_waiting(h) == 0;
}
