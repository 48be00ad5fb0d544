/*
 * vigil.c - what no event tells: silence, waiting, expiry.
 *
 * Each thing watched has a moment from which on it is trouble; it is told then, and again a day later
 * for as long as it lasts. One timer is set for the nearest of these moments:
 *
 *   a webhook     expect-every after its last callout (the newest stored one, after a restart)
 *   a handler     backlog-after from when its oldest waiting delivery arrived; while nothing waits, nobody
 *                 looks: the first delivery stored sets the timer, however many follow it
 *   certificate   certificate-before ahead of its expiry
 *
 * So a callout costs nothing here, and an idle daemon wakes up when one of these moments comes, or once
 * a day, since moments are of a clock that may be set.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "private.h"

#define FOREVER INT64_MAX
#define DAY_MS (24 * 3600 * INT64_C(1000))
#define FLOOR_MS 1000           /* between two looks */
#define LOOK_BACK 50            /* newest events among which a webhook's last callout is sought */
#define LOOK_BACK_MS 500        /* and for how long */

struct watched {
	struct watched *next;
	enum alert_kind kind;
	char object[CONF_NAME_MAX + 1];
	int64_t base_ms;                /* of a webhook: its last callout as far as the store knows, else when we began to watch */
	int64_t told_ms;                /* 0: all is well */
	bool seen;                      /* in this look */
};

struct vigil {
	struct daemon *d;
	sd_event_source *timer;
	struct watched *first;
	int64_t next_ms;                /* what the timer is set for */
	atomic_bool watching;           /* the timer will look at what waits */
};

/* ---- when ---- */

static void set_timer(struct vigil *v, int64_t at_ms)
{
	int64_t ms = at_ms - clock_now_ms();

	v->next_ms = at_ms;
	if (at_ms == FOREVER) {
		(void)sd_event_source_set_enabled(v->timer, SD_EVENT_OFF);
		return;
	}
	ms = ms < FLOOR_MS ? FLOOR_MS : ms;
	ms = ms > DAY_MS ? DAY_MS : ms;
	(void)sd_event_source_set_time_relative(v->timer, (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(v->timer, SD_EVENT_ONESHOT);
}

static void sooner(int64_t *at_ms, int64_t other_ms)
{
	if (other_ms < *at_ms)
		*at_ms = other_ms;
}

/* Trouble since from_ms, told again after again_ms: is it to be told now? Sets the next moment. */
static bool is_due(struct watched *w, int64_t from_ms, int64_t again_ms, int64_t now_ms, int64_t *next_ms)
{
	bool due;

	if (now_ms < from_ms) {
		w->told_ms = 0;
		sooner(next_ms, from_ms);
		return false;
	}
	due = w->told_ms == 0 || now_ms < w->told_ms || now_ms - w->told_ms >= again_ms;
	if (due)
		w->told_ms = now_ms;
	sooner(next_ms, w->told_ms + again_ms);
	return due;
}

/* ---- whom ---- */

static struct watched *watch(struct vigil *v, enum alert_kind kind, const char *object)
{
	struct watched *w;

	for (w = v->first; w; w = w->next)
		if (w->kind == kind && strcmp(w->object, object) == 0)
			break;
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return NULL;            /* looked at again tomorrow at the latest */
		w->kind = kind;
		(void)snprintf(w->object, sizeof(w->object), "%s", object);
		w->next = v->first;
		v->first = w;
	}
	w->seen = true;
	return w;
}

static void forget_unseen(struct vigil *v)
{
	struct watched **at = &v->first;

	while (*at) {
		struct watched *w = *at;

		if (w->seen) {
			w->seen = false;
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
}

/* ---- a silent webhook ---- */

/* The newest signed one; a stranger's notice is none. */
static int note_callout(void *arg, const struct event *e)
{
	int64_t *last_ms = arg;

	if (!e->verified || e->source != SOURCE_LIVE)
		return 0;
	*last_ms = e->received_ms;
	return 1;
}

static int64_t stored_last_ms(struct vigil *v, const char *webhook)
{
	AUTO(reader) struct reader *r = NULL;
	const struct event_filter f = { .webhook = webhook, .kind = -1, .state = -1, .limit = LOOK_BACK };
	int64_t last_ms = 0, next;

	if (reader_open(v->d->state, &r, NULL) < 0)
		return 0;
	reader_deadline(r, LOOK_BACK_MS);
	(void)reader_events(r, &f, note_callout, &last_ms, &next);
	return last_ms;
}

static void look_at_webhook(struct vigil *v, const struct conf_webhook *c, int64_t now_ms, int64_t *next_ms)
{
	struct watched *w = watch(v, ALERT_SILENT, c->title);
	struct intake_counts counts = { .last_callout_ms = 0 };
	int64_t again_ms = c->expect_every_ms > DAY_MS ? c->expect_every_ms : DAY_MS, last_ms;
	char since[CLOCK_TEXT_LEN], every[CLOCK_TEXT_LEN];

	if (!w)
		return;
	if (!w->base_ms)
		w->base_ms = stored_last_ms(v, c->title);
	if (!w->base_ms)
		w->base_ms = now_ms;
	(void)intake_counts(v->d->intake, c->title, &counts);
	last_ms = counts.last_callout_ms > w->base_ms ? counts.last_callout_ms : w->base_ms;
	if (!is_due(w, last_ms + c->expect_every_ms, again_ms, now_ms, next_ms))
		return;
	alerts_raise(v->d->alerts, ALERT_SILENT, c->title,
		     "no callout of webhook %s has come since %s, though one is expected every %s: is it still active at Autotask, and does its URL still lead here (calloutctl send FILE --webhook %s --via URL tries the way)?",
		     c->title, clock_text(last_ms, since), duration_text(c->expect_every_ms, every), c->title);
}

/* ---- a handler behind ---- */

static uint64_t waiting(const struct handler_view *h)
{
	const struct handler_state *s = &h->state;
	uint64_t settled = s->done + s->failed + s->dropped;

	return s->accepted > settled ? s->accepted - settled : 0;
}

static const char *why(const struct handler_view *h)
{
	if (h->unusable[0])
		return h->unusable;
	if (h->state.held)
		return "it is held by an operator";
	if (h->state.pause_until_ms)
		return "it is paused, since the far side is down or every record fails";
	return "it is slow, or runs fail and are tried again";
}

static void look_at_handler(struct vigil *v, const struct handler_view *h, int64_t after_ms, int64_t now_ms,
			    int64_t *next_ms)
{
	const char *name = h->state.name;
	struct watched *w;
	char since[CLOCK_TEXT_LEN];

	if (!h->configured) {
		w = watch(v, ALERT_PAUSED, name);
		if (w && is_due(w, 0, DAY_MS, now_ms, next_ms))
			alerts_raise(v->d->alerts, ALERT_PAUSED, name,
				     "handler %s was removed from the configuration with %llu events waiting, which are held: configure it again, or calloutctl drop --handler %s",
				     name, (unsigned long long)waiting(h), name);
		return;
	}
	w = watch(v, ALERT_BACKLOG, name);
	if (w && is_due(w, h->state.oldest_waiting_ms + after_ms, DAY_MS, now_ms, next_ms))
		alerts_raise(v->d->alerts, ALERT_BACKLOG, name,
			     "%llu events wait for handler %s, the oldest since %s: %s; calloutctl events --state waiting --handler %s shows them",
			     (unsigned long long)waiting(h), name, clock_text(h->state.oldest_waiting_ms, since), why(h), name);
}

static void look_at_handlers(struct vigil *v, const struct conf_alert *c, int64_t now_ms, int64_t *next_ms)
{
	AUTO(free) struct handler_view *handlers = NULL;
	size_t count = 0;
	bool any = false;

	/* First: what is stored from here on sets the timer anew, or is seen. */
	atomic_store(&v->watching, false);
	if (dispatcher_handlers(v->d->dispatcher, &handlers, &count) < 0)
		any = true;
	for (size_t i = 0; i < count; i++) {
		if (!waiting(&handlers[i]) || !handlers[i].state.oldest_waiting_ms)
			continue;
		any = true;
		look_at_handler(v, &handlers[i], c->backlog_after_ms, now_ms, next_ms);
	}
	if (!any)
		return;
	sooner(next_ms, now_ms + c->backlog_after_ms);
	atomic_store(&v->watching, true);
}

/* ---- the certificate ---- */

static void look_at_certificate(struct vigil *v, const struct conf_alert *c, int64_t now_ms, int64_t *next_ms)
{
	struct intake_status intake;
	struct watched *w;
	char text[CLOCK_TEXT_LEN];

	intake_status(v->d->intake, &intake);
	if (!intake.certificate_expiry_ms)
		return;
	w = watch(v, ALERT_CERTIFICATE, "intake");
	if (w && is_due(w, intake.certificate_expiry_ms - c->certificate_before_ms, DAY_MS, now_ms, next_ms))
		alerts_raise(v->d->alerts, ALERT_CERTIFICATE, "intake",
			     "the certificate %s at %s, from then on Autotask cannot reach this machine: renew it, then calloutctl reload",
			     intake.certificate_expiry_ms <= now_ms ? "has expired" : "expires",
			     clock_text(intake.certificate_expiry_ms, text));
}

/* ---- looking ---- */

static void look(struct vigil *v)
{
	const struct conf *c = site_conf(v->d->site);
	int64_t now_ms = clock_now_ms(), next_ms = FOREVER;

	if (c->alert) {
		for (size_t i = 0; i < c->webhook_count; i++)
			if (c->webhooks[i].expect_every_ms)
				look_at_webhook(v, &c->webhooks[i], now_ms, &next_ms);
		look_at_handlers(v, c->alert, now_ms, &next_ms);
		look_at_certificate(v, c->alert, now_ms, &next_ms);
	}
	forget_unseen(v);
	set_timer(v, next_ms);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	(void)s;
	(void)usec;
	look(arg);
	return 0;
}

static void arm(void *arg)
{
	struct daemon *d = arg;
	const struct conf_alert *c;
	int64_t at_ms;

	if (!d->vigil)
		return;
	c = site_conf(d->site)->alert;
	at_ms = clock_now_ms() + (c ? c->backlog_after_ms : DAY_MS);
	if (c && at_ms < d->vigil->next_ms)
		set_timer(d->vigil, at_ms);
}

void vigil_stored(struct vigil *v)
{
	if (!atomic_exchange(&v->watching, true))
		(void)loop_post(v->d->loop, arm, v->d);
}

void vigil_reload(struct vigil *v)
{
	look(v);
}

/* ---- life ---- */

int vigil_new(struct daemon *d, struct vigil **ret)
{
	struct vigil *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->d = d;
	atomic_init(&v->watching, false);
	/* The first look is soon: the dispatcher has read its handlers by then. */
	r = sd_event_add_time_relative(loop_event(d->loop), &v->timer, CLOCK_MONOTONIC, FLOOR_MS * 1000, 0, on_timer, v);
	if (r < 0) {
		(void)vigil_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

struct vigil *vigil_free(struct vigil *v)
{
	if (!v)
		return NULL;
	v->timer = sd_event_source_disable_unref(v->timer);
	while (v->first) {
		struct watched *w = v->first;

		v->first = w->next;
		free(w);
	}
	free(v);
	return NULL;
}
