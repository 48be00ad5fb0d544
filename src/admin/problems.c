/* problems.c - what is wrong, each in a sentence that says what to do. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define EXPIRES_SOON_MS (24 * 3600 * INT64_C(1000))

/* The array being written, and how many sentences it has. */
struct list {
	struct writer *writer;
	unsigned count;
};

static void add_text(void *arg, const char *text)
{
	struct list *l = arg;

	writer_text(l->writer, NULL, text);
	l->count++;
}

static void add(struct list *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct list *l, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_text(l, text);
}

static void add_handler(struct list *l, const struct handler_view *h)
{
	const struct handler_state *s = &h->state;
	unsigned long long waiting = handler_waiting(h);
	char until[CLOCK_TEXT_LEN];

	if (!h->configured) {
		if (!handler_gone(h))
			add(l, "handler %s was removed from the configuration with %llu waiting: "
			    "they are held; configure it again, or drop them", s->name, waiting);
	} else if (h->unusable[0]) {
		add(l, "handler %s is held, %llu waiting: %s", s->name, waiting, h->unusable);
	} else if (s->held) {
		/* A hold is somebody's wish; that it is forgotten while work piles up is not. */
		if (waiting)
			add(l, "handler %s is held by an operator %s%s, %llu waiting",
			    s->name, s->held_until_ms ? "until " : "until released",
			    s->held_until_ms ? clock_text(s->held_until_ms, until) : "", waiting);
	} else if (s->pause_until_ms) {
		add(l, "handler %s is paused, %llu waiting: the far side is down or every "
		    "record fails; the next probe is at %s", s->name, waiting,
		    clock_text(s->pause_until_ms, until));
	}
}

static bool has_runner(const struct picture *p, const char *name)
{
	for (size_t i = 0; i < p->runner_count; i++)
		if (strcmp(p->runners[i].name, name) == 0)
			return true;
	return false;
}

/* A runner that is our child runs everything, under a name of its own. */
static bool anything_waits(const struct picture *p, const char *runner)
{
	for (size_t i = 0; i < p->handler_count; i++) {
		const struct handler_view *h = &p->handlers[i];

		if (h->configured && !h->unusable[0] && !h->state.held && handler_waiting(h) &&
		    (strcmp(h->runner, runner) == 0 || !has_runner(p, h->runner)))
			return true;
	}
	return false;
}

static void add_alerts(struct list *l, const struct picture *p)
{
	const struct conf_alert *c = site_conf(p->site)->alert;
	const struct alerts_status *s = &p->alerts;
	struct error why = { "" };
	char text[CLOCK_TEXT_LEN];

	if (c && conf_handler_usable(&c->program, &why) < 0)
		add(l, "%s", why.text);
	else if (s->failing_since_ms)
		add(l, "nobody is told of anything: the alert's program fails since %s, %u alerts wait: %s; "
		    "calloutctl alert --test config tries it", clock_text(s->failing_since_ms, text), s->waiting,
		    s->failing);
}

/* One sentence a handler: a runner that hangs may have many places of it. */
static void add_overdue(struct list *l, const struct picture *p, size_t at)
{
	const struct running_view *r = &p->running[at];
	char more[32] = "";
	unsigned others = 0;

	if (!r->overdue[0])
		return;
	for (size_t i = 0; i < p->running_count; i++) {
		if (i == at || !p->running[i].overdue[0] || strcmp(p->running[i].handler, r->handler) != 0)
			continue;
		if (i < at)
			return;
		others++;
	}
	if (others)
		(void)snprintf(more, sizeof(more), " (and %u more)", others);
	add(l, "handler %s, event %lld%s: %s", r->handler, (long long)r->event, more, r->overdue);
}

unsigned problems_write(struct admin *a, const struct picture *p,
			const struct journal_status *store, struct writer *w)
{
	struct list l = { .writer = w };
	char text[CLOCK_TEXT_LEN];

	if (p->degraded[0])
		add(&l, "%s", p->degraded);
	if (store->broken || store->full || store->sentence[0])
		add(&l, "%s", store->sentence[0] ? store->sentence : "callouts cannot be stored");
	for (size_t i = 0; i < p->handler_count; i++)
		add_handler(&l, &p->handlers[i]);
	for (size_t i = 0; i < p->running_count; i++)
		add_overdue(&l, p, i);
	for (size_t i = 0; i < p->runner_count; i++)
		if (!p->runners[i].ready && anything_waits(p, p->runners[i].name))
			add(&l, "runner %s cannot be reached, deliveries wait for it: %s",
			    p->runners[i].name, p->runners[i].status);
	if (p->intake.certificate_expiry_ms &&
	    p->intake.certificate_expiry_ms < clock_now_ms() + EXPIRES_SOON_MS)
		add(&l, "the certificate expires at %s: renew it, then reload",
		    clock_text(p->intake.certificate_expiry_ms, text));
	guard_problems(&a->guard, add_text, &l);
	add_alerts(&l, p);
	if (a->metrics_trouble[0])
		add(&l, "%s", a->metrics_trouble);
	if (log_dropped())
		add(&l, "%llu log lines were lost since the start: the log was slower than the work",
		    (unsigned long long)log_dropped());
	return l.count;
}
