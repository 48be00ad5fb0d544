/*
 * trial.c - a program run once on a body that is no event: calloutctl try, and alerts.
 *
 * On the wire each has a negative number of its own, so that several can run at once and
 * none is mistaken for a trial of a daemon before us; the handler sees CALLOUT_EVENT=0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatch/environment.h"
#include "private.h"

#define PATIENCE_MS 15000       /* until its runner is there */

struct trial {
	struct trial *next;
	struct peer *peer;
	char handler[CONF_NAME_MAX + 1];
	int64_t event;
	char **env;
	void *body;
	size_t len;
	bool started;
	int64_t until_ms;               /* mono: its runner must be there; once started: its end told */
	int64_t timeout_ms;             /* of the program */
	dispatcher_tried_fn *done;
	void *arg;
};

static struct trial *trial_free(struct trial *t)
{
	free(t->env);
	free(t->body);
	free(t);
	return NULL;
}
AUTO_DEFINE(trial, struct trial *, trial_free)

/* Out of the list before anybody hears of it: done() may ask for the next one. */
static void end(struct dispatcher *d, struct trial *t, const struct link_result *r, const char *sentence)
{
	struct trial **at = &d->trials;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->done(t->arg, r, sentence);
	(void)trial_free(t);
}

static struct trial *find(struct peer *p, int64_t event)
{
	for (struct trial *t = p->d->trials; t; t = t->next)
		if (t->peer == p && t->event == event)
			return t;
	return NULL;
}

bool trial_result(struct peer *p, const struct link_result *r)
{
	struct trial *t = find(p, r->event);

	if (t)
		end(p->d, t, r, NULL);
	return t != NULL;
}

bool trial_refused(struct peer *p, int64_t event, const char *text)
{
	struct trial *t = find(p, event);

	if (t)
		end(p->d, t, NULL, text[0] ? text : "the runner refused to run it");
	return t != NULL;
}

void trials_lost(struct peer *p)
{
	struct trial *t, *next;

	for (t = p->d->trials; t; t = next) {
		next = t->next;
		if (t->peer == p && t->started)
			end(p->d, t, NULL, "the runner went away meanwhile");
	}
}

static void start(struct dispatcher *d, struct trial *t)
{
	int r = link_start(t->peer->link, t->handler, t->event, 1, (const char *const *)t->env, t->body,
			   t->len);
	char why[256];

	if (r == 0) {
		t->started = true;
		t->until_ms = clock_mono_ms() + t->timeout_ms + d->overdue_ms;
		dispatch_at(d, t->until_ms);
	} else if (r != -EAGAIN && r != -ENOTCONN) {
		(void)snprintf(why, sizeof(why), "it cannot be handed to the runner: %s", strerror(-r));
		end(d, t, NULL, why);
	}
}

void trials_tend(struct dispatcher *d, const struct moment *now)
{
	struct trial *t, *next;
	char why[512];

	for (t = d->trials; t; t = next) {
		next = t->next;
		if (t->started && now->mono_ms >= t->until_ms) {
			end(d, t, NULL, "nothing was heard of it after its timeout: the runner hangs, restart it");
			continue;
		}
		if (t->started) {
			dispatch_at(d, t->until_ms);
			continue;
		}
		if (peer_ready(t->peer, now)) {
			start(d, t);
		} else if (now->mono_ms >= t->until_ms) {
			(void)snprintf(why, sizeof(why), "runner %s is not there: %s", t->peer->name,
				       link_status(t->peer->link));
			end(d, t, NULL, why);
		} else {
			dispatch_at(d, t->until_ms);
		}
	}
}

void trials_end(struct dispatcher *d)
{
	while (d->trials)
		end(d, d->trials, NULL, "calloutd is stopping");
}

/* Takes env over, also on failure. */
static int begin(struct dispatcher *d, const struct conf_handler *h, struct peer *peer, char **env, const void *body,
		 size_t len, dispatcher_tried_fn *done, void *arg)
{
	AUTO(trial) struct trial *t = calloc(1, sizeof(*t));

	if (!t) {
		free(env);
		return -ENOMEM;
	}
	t->env = env;
	t->body = malloc(len + 1);
	if (!t->body)
		return -ENOMEM;
	if (len > 0)
		memcpy(t->body, body, len);
	t->len = len;
	t->peer = peer;
	(void)snprintf(t->handler, sizeof(t->handler), "%s", h->title);
	t->timeout_ms = h->timeout_ms;
	t->event = d->next_trial--;
	t->until_ms = clock_mono_ms() + PATIENCE_MS;
	t->done = done;
	t->arg = arg;
	t->next = d->trials;
	d->trials = TAKE(t);
	dispatch_soon(d);
	return 0;
}

int dispatcher_try(struct dispatcher *d, const char *handler, const struct event *meta,
		   const void *body, size_t len, dispatcher_tried_fn *done, void *arg)
{
	struct lane *l = lane_find(d, handler);
	struct event e = *meta;
	char **env = NULL;
	int r;

	if (!l || !l->conf || !l->peer)
		return -ENOENT;
	e.id = 0;
	e.source = SOURCE_TEST;
	r = environment_build(l->conf, &e, 1, false, body, len, &env);
	return r < 0 ? r : begin(d, l->conf, l->peer, env, body, len, done, arg);
}

/* As environment_build() packs: pointers and texts in one allocation. NULL: no memory. */
static char **copy_variables(const char *const *env)
{
	size_t count = 0, bytes = 0;
	char **copy, *at;

	for (; env[count]; count++)
		bytes += strlen(env[count]) + 1;
	copy = malloc((count + 1) * sizeof(*copy) + bytes);
	if (!copy)
		return NULL;
	at = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		copy[i] = at;
		at = stpcpy(at, env[i]) + 1;
	}
	copy[count] = NULL;
	return copy;
}

int dispatcher_alert(struct dispatcher *d, const char *const *env, const void *body, size_t len,
		     dispatcher_tried_fn *done, void *arg)
{
	const struct conf_alert *c = site_conf(d->site)->alert;
	struct peer *peer = c ? peer_get(d, c->program.runner) : NULL;
	char **copy = peer ? copy_variables(env) : NULL;

	if (!c)
		return -ENOENT;
	return copy ? begin(d, &c->program, peer, copy, body, len, done, arg) : -ENOMEM;
}
