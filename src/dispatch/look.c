/* look.c - runners are asked whether a handler could run there: calloutctl doctor. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define PATIENCE_MS 10000       /* until its runner is there and has answered */

struct look {
	struct look *next;
	struct peer *peer;
	char handler[CONF_NAME_MAX + 1];
	int64_t number;
	bool asked;
	int64_t until_ms;               /* mono */
	dispatcher_looked_fn *done;
	void *arg;
};

/* Out of the list before anybody hears of it. */
static void end(struct dispatcher *d, struct look *k, const struct link_looked *l, const char *sentence)
{
	struct look **at = &d->looks;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	k->done(k->arg, k->peer->name, l, sentence);
	free(k);
}

void look_told(struct peer *p, const struct link_looked *l)
{
	for (struct look *k = p->d->looks; k; k = k->next) {
		if (k->peer != p || k->number != l->number || strcmp(k->handler, l->handler) != 0)
			continue;
		end(p->d, k, l, NULL);
		return;
	}
}

void looks_lost(struct peer *p)
{
	struct look *next;

	for (struct look *k = p->d->looks; k; k = next) {
		next = k->next;
		if (k->peer == p && k->asked)
			end(p->d, k, NULL, "the runner went away meanwhile");
	}
}

static void ask(struct dispatcher *d, struct look *k)
{
	int r = link_look(k->peer->link, k->handler, k->number);

	k->asked = r == 0;
	if (r == -EOPNOTSUPP)
		end(d, k, NULL, "the runner is of an earlier version and cannot be asked: restart it "
		    "(systemctl restart 'calloutd-runner@*')");
	else if (r < 0 && r != -ENOTCONN)
		end(d, k, NULL, strerror(-r));
}

static void tend(struct dispatcher *d, struct look *k, const struct moment *now)
{
	char why[512];

	if (now->mono_ms >= k->until_ms) {
		(void)snprintf(why, sizeof(why), "runner %s %s: %s", k->peer->name,
			       k->asked ? "does not answer" : "is not there", link_status(k->peer->link));
		end(d, k, NULL, why);
		return;
	}
	dispatch_at(d, k->until_ms);
	if (!k->asked && peer_ready(k->peer, now))
		ask(d, k);
}

void looks_tend(struct dispatcher *d, const struct moment *now)
{
	struct look *next;

	for (struct look *k = d->looks; k; k = next) {
		next = k->next;
		tend(d, k, now);
	}
}

void looks_end(struct dispatcher *d)
{
	while (d->looks)
		end(d, d->looks, NULL, "calloutd is stopping");
}

int dispatcher_look(struct dispatcher *d, const char *handler, dispatcher_looked_fn *done, void *arg)
{
	const struct conf_handler *h = conf_program_find(site_conf(d->site), handler);
	struct peer *peer = h ? peer_get(d, h->runner) : NULL;
	struct look *k;

	if (!h)
		return -ENOENT;
	k = peer ? calloc(1, sizeof(*k)) : NULL;
	if (!k)
		return -ENOMEM;
	k->peer = peer;
	(void)snprintf(k->handler, sizeof(k->handler), "%s", handler);
	k->number = d->next_trial--;
	k->until_ms = clock_mono_ms() + PATIENCE_MS;
	k->done = done;
	k->arg = arg;
	k->next = d->looks;
	d->looks = k;
	dispatch_soon(d);
	return 0;
}
