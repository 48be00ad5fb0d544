/*
 * overdue.c - a run whose end should have been told long ago.
 *
 * The runner ends a handler at its timeout, and 5 s later for good. When nothing is heard by
 * then, the runner hangs (or the kernel cannot end the handler), and its place stays taken.
 * Nothing is decided here: what runs may still end, and running it twice at once would break
 * the record's order. It is said, so that somebody restarts the runner.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

void errand_expect(struct errand *e, const struct moment *now)
{
	const struct conf_handler *h = e->lane->conf;
	int64_t ran_ms = now->real_ms - e->started_ms;

	e->end_by_ms = FOREVER;         /* not configured: who knows its timeout? */
	if (!h)
		return;
	/* The start is told in real time: a clock that was set must not make it overdue at once. */
	if (ran_ms < 0)
		ran_ms = 0;
	if (ran_ms > h->timeout_ms)
		ran_ms = h->timeout_ms;
	e->end_by_ms = now->mono_ms + h->timeout_ms - ran_ms + e->lane->d->overdue_ms;
	dispatch_at(e->lane->d, e->end_by_ms);
}

const char *errand_overdue_text(const struct errand *e, char *dst, size_t cap)
{
	const struct peer *p = e->peer;
	char started[CLOCK_TEXT_LEN];
	bool child = p->d->has_child;

	(void)snprintf(dst, cap, "runs since %s in runner %s, which should have ended it at its timeout: "
		       "the runner hangs; %s%s, then what ran there is run again",
		       clock_text(e->started_ms, started), p->name,
		       child ? "restart calloutd" : "systemctl restart calloutd-runner@", child ? "" : p->name);
	return dst;
}

void errand_watch(struct errand *e, const struct moment *now)
{
	char text[OVERDUE_TEXT_LEN];

	if (e->overdue)
		return;
	if (now->mono_ms < e->end_by_ms) {
		dispatch_at(e->lane->d, e->end_by_ms);
		return;
	}
	e->overdue = true;
	log_err((&(struct log_ctx){ .event = e->event, .handler = e->lane->state.name,
				    .attempt = e->attempts + 1, .reason = "overdue" }),
		"event %" PRId64 ": %s %s", e->event, e->lane->state.name,
		errand_overdue_text(e, text, sizeof(text)));
	alerts_raise(e->lane->d->alerts, ALERT_PAUSED, e->lane->state.name, "handler %s, event %" PRId64 ": it %s",
		     e->lane->state.name, e->event, text);
}
