/*
 * alarm.c - which verdicts somebody should be told of.
 *
 * A stranger decides how many there are: alerts_raise() counts them and forgets the rest. What is said
 * is of one webhook, never of its path.
 */
#include <inttypes.h>

#include "private.h"

/* Our 5xx in a row at which one more warning is due, and what part of the way that is. */
static const struct {
	unsigned count, percent;
} steps[] = {
	{ (CALLOUT_FAILURES_MAX * 50 + 99) / 100, 50 },
	{ (CALLOUT_FAILURES_MAX * 70 + 99) / 100, 70 },
	{ (CALLOUT_FAILURES_MAX * 90 + 99) / 100, 90 },
};

static const char *title(const struct request *q)
{
	return q->hook->conf->title;
}

static void tell_quarantined(const struct request *q, struct alerts *a)
{
	alerts_raise(a, ALERT_QUARANTINED, title(q),
		     "a callout of webhook %s was rightly signed but not understood, and no handler runs for it: %s; it is kept as event %" PRId64 ": calloutctl show %" PRId64 " --body",
		     title(q), q->draft.why ? q->draft.why : "?", q->accepted.event, q->accepted.event);
}

static void tell_deactivated(const struct request *q, struct alerts *a)
{
	alerts_raise(a, ALERT_DEACTIVATED, title(q),
		     "a notice (event %" PRId64 ", %s) says that Autotask has switched webhook %s off: no callouts come until it is active again, and what happens meanwhile is not queued there; look at the webhook at Autotask, end the cause (calloutctl status), activate it",
		     q->accepted.event, q->draft.verified ? "signed" : "unsigned, so anybody who knows the path may have sent it",
		     title(q));
}

static void tell_signature(const struct request *q, struct alerts *a)
{
	alerts_raise(a, ALERT_SIGNATURE, title(q),
		     "callouts of webhook %s come with a wrong signature and are refused with 401 (the last from %s: %s): if Autotask sends them, its secret key is not the one in the webhook's secrets, or something on the way changes the body; calloutctl verify names the cause; else somebody knows the path: give the webhook another one",
		     title(q), *q->client ? q->client : "this machine", q->detail ? q->detail : "?");
}

static void tell_unavailable(const struct request *q, struct alerts *a)
{
	unsigned count = atomic_fetch_add(&q->tally->failing, 1) + 1;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (count == steps[i].count)
			alerts_raise_level(a, ALERT_UNAVAILABLE, title(q), steps[i].percent,
					   "%u callouts of webhook %s in a row could not be stored and were answered 503; after %u Autotask switches the webhook off (%u %% of that is reached): calloutctl status says why and what to do",
					   count, title(q), CALLOUT_FAILURES_MAX, steps[i].percent);
}

void alarm_verdict(const struct request *q)
{
	struct alerts *a = atomic_load(&q->in->alerts);

	if (!q->hook)
		return;
	switch (q->verdict) {
	case VERDICT_QUARANTINED:
		tell_quarantined(q, a);
		break;
	case VERDICT_DEACTIVATED:
		tell_deactivated(q, a);
		break;
	case VERDICT_SIGNATURE:
		tell_signature(q, a);
		break;
	case VERDICT_UNAVAILABLE:
		if (q->path == HOOK_CALLOUT)
			tell_unavailable(q, a);
		return;
	case VERDICT_STORED:
	case VERDICT_DUPLICATE:
		break;
	default:
		return;
	}
	/* A stranger without a signature says nothing about what Autotask gets. */
	if (q->draft.verified && q->path == HOOK_CALLOUT)
		atomic_store_explicit(&q->tally->failing, 0, memory_order_relaxed);
}
