/* guard_webhooks.c - is every webhook at Autotask what the configuration wants? If it is off, on again. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "guard.h"

/* ---- notices of deactivation ---- */

static void judge_notice(struct guard *g, const struct conf_webhook *w, bool active)
{
	int64_t notice = g->seen[guard_index(g, w)].notice;

	if (!notice)
		return;
	if (active)
		finding(&g->findings, w, FINDING_INFO, "the notice of deactivation (event %" PRId64 ") is not true, or not any more: Autotask "
			"has the webhook active", notice);
	else
		finding(&g->findings, w, FINDING_INFO, "the notice of deactivation (event %" PRId64 ") is true", notice);
}

/* ---- owners ---- */

/*
 * A webhook goes off when its owner is inactivated, so it should be the API user. Which resource that is the
 * API does not say; but a webhook made with our credentials belongs to it. So the owner that most of
 * ours have is taken for it, and a webhook that had that one once and has another now is told of, too.
 */
static int64_t usual_owner(const struct guard *g)
{
	const struct remote_webhooks *list = &g->recovery.remotes;
	size_t with_owner = 0;

	for (size_t i = 0; i < g->recovery.our_count; i++) {
		int64_t owner = 0;
		size_t same = 0;

		for (size_t j = 0; j < list->count; j++)
			if (list->items[j].kind == g->recovery.ours[i].kind && list->items[j].id == g->recovery.ours[i].id)
				owner = list->items[j].owner;
		with_owner = 0;
		for (size_t j = 0; j < list->count; j++) {
			if (!list->items[j].owner || !webhook_whose(g->conf, &list->items[j]))
				continue;
			with_owner++;
			same += list->items[j].owner == owner;
		}
		if (owner && 2 * same > with_owner)
			return owner;
	}
	return 0;
}

static void judge_owner(struct guard *g, const struct conf_webhook *w, const struct remote_webhook *remote,
			struct guard_webhook *known, int64_t usual)
{
	if (!remote->owner)
		return;
	if (w->subscribe->owner && remote->owner == (int64_t)w->subscribe->owner) {
		known->owner = remote->owner;
		return;
	}
	if (usual && remote->owner != usual)
		finding(&g->findings, w, FINDING_WARNING, "its owner is resource %" PRId64 ", while most webhooks here belong to %" PRId64
			": if that is a person, the webhook goes off when the person leaves", remote->owner, usual);
	else if (known->owner && known->owner != remote->owner)
		finding(&g->findings, w, FINDING_WARNING, "its owner was resource %" PRId64 " and is %" PRId64 " now: if that is a person, "
			"the webhook goes off when the person leaves", known->owner, remote->owner);
	if (!known->owner)
		known->owner = remote->owner;
}

/* ---- on and off ---- */

static void found_active(struct guard *g, const struct conf_webhook *w, const struct remote_webhook *remote,
			 struct guard_webhook *known)
{
	if (!w->subscribe->active) {
		finding(&g->findings, w, FINDING_WARNING, "is active at Autotask, but active = false in the configuration: "
			"calloutctl webhook apply switches it off");
		return;
	}
	/* Off and on again between two looks: somebody else was quicker. */
	if (g->seen[guard_index(g, w)].noticed && known->active_ms && !known->off_since_ms)
		known->off_since_ms = known->active_ms;
	if (known->off_since_ms && known->on_ms < known->off_since_ms)
		guard_switched_on(known, g->started_ms);
	g->seen[guard_index(g, w)].active_before_ms = known->active_ms;
	known->active_ms = g->started_ms;
	if (!remote->ready)
		finding(&g->findings, w, FINDING_ERROR, "is active, but Autotask says that it is not ready to call out: it needs at least one "
			"subscribed field (calloutctl webhook plan)");
}

static enum exit_status switch_on(struct guard *g, const struct conf_webhook *w, const struct remote_webhook *remote,
				  struct guard_webhook *known, struct error *err)
{
	struct error why = { "" };
	enum exit_status status;
	unsigned nth;
	int r;

	guard_reactivated(known, clock_now_ms());
	nth = guard_reactivations(known, clock_now_ms());
	/* What is counted only after the call is not counted when something ends us in between. */
	status = guard_save(g, err);
	if (status != CTL_OK)
		return status;
	r = remote_webhook_activate(g->recovery.rest, remote, true, &why);
	if (r < 0) {
		finding(&g->findings, w, FINDING_ERROR, "is inactive, and could not be switched on: %s", why.text);
		return CTL_OK;
	}
	finding(&g->findings, w, FINDING_INFO, "was inactive; switched on again (%u of %d times in 24 hours)", nth, GUARD_REACTIVATIONS);
	known->active_ms = clock_now_ms();
	guard_switched_on(known, known->active_ms);
	g->seen[guard_index(g, w)].active = true;
	g->seen[guard_index(g, w)].ready = true;
	return CTL_OK;
}

static enum exit_status found_inactive(struct guard *g, const struct conf_webhook *w, const struct remote_webhook *remote,
				       struct guard_webhook *known, struct error *err)
{
	if (!w->subscribe->active) {
		known->off_since_ms = 0;
		return CTL_OK;
	}
	g->seen[guard_index(g, w)].was_off = true;
	/* What failed before the notice came is in the error log. */
	if (!known->off_since_ms)
		known->off_since_ms = known->active_ms ? known->active_ms : guard_newest(g, w);
	if (!known->off_since_ms)
		known->off_since_ms = g->seen[guard_index(g, w)].noticed_ms;
	if (!g->able)
		finding(&g->findings, w, FINDING_ERROR, "is inactive, and was left so: calloutd could not store what would come");
	else if (guard_reactivations(known, g->started_ms) >= GUARD_REACTIVATIONS)
		finding(&g->findings, w, FINDING_ERROR, "is inactive, after %d reactivations in 24 hours: find out why callouts fail "
			"(calloutctl status; Autotask's notification mails), then: calloutctl webhook reactivate %s",
			GUARD_REACTIVATIONS, w->title);
	else if (g->dry_run)
		finding(&g->findings, w, FINDING_INFO, "is inactive, and would be switched on");
	else
		return switch_on(g, w, remote, known, err);
	return CTL_OK;
}

static enum exit_status look_at(struct guard *g, const struct conf_webhook *w, int64_t usual, struct error *err)
{
	const struct remote_webhook *remote = recovery_remote(&g->recovery, w);
	size_t i = guard_index(g, w);
	struct guard_webhook *known;

	if (g->recovery.hidden[i])
		return CTL_OK;
	if (!remote) {
		finding(&g->findings, w, FINDING_WARNING, "does not exist at Autotask: calloutctl webhook apply makes it");
		return CTL_OK;
	}
	known = guard_of(g, w);
	if (strcasecmp(known->guid, remote->guid) != 0) {
		/* Rows that were nobody's may be its; and another Autotask counts its rows anew. */
		guard_log_forget(&g->state);
		(void)snprintf(known->guid, sizeof(known->guid), "%s", remote->guid);
	}
	g->seen[i].known = true;
	g->seen[i].active = remote->active;
	g->seen[i].ready = remote->ready;
	judge_notice(g, w, remote->active);
	judge_owner(g, w, remote, known, usual);
	if (!remote->active)
		return found_inactive(g, w, remote, known, err);
	found_active(g, w, remote, known);
	return CTL_OK;
}

enum exit_status guard_look(struct guard *g, struct error *err)
{
	int64_t usual = usual_owner(g);
	enum exit_status status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < g->conf->webhook_count; i++)
		if (g->conf->webhooks[i].subscribe)
			status = look_at(g, &g->conf->webhooks[i], usual, err);
	return status;
}
