/* guard_recover.c - what was lost: the error log's new rows, and records modified while a webhook was off. */
#include <inttypes.h>
#include <string.h>

#include "guard.h"

#define CLOCKS_DIFFER_MS (5 * 60 * 1000)

static void count_failures(struct guard *g, const struct error_log *log)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct error_row *row = &log->rows[i];

		if (row->sequence > 0)
			guard_failed(guard_of(g, &g->conf->webhooks[row->webhook]), row->sequence, row->created_ms);
	}
}

/*
 * As many failures in a row as Autotask needs to switch it off, and it is on: somebody else was quicker. The notice is called
 * once, so what is down just then never hears of it.
 */
static void suspect_off(struct guard *g)
{
	for (size_t i = 0; i < g->conf->webhook_count; i++) {
		int64_t before_ms = g->seen[i].active_before_ms;
		struct guard_webhook *known;

		if (!before_ms)
			continue;
		known = guard_of(g, &g->conf->webhooks[i]);
		if (known->off_since_ms || guard_failures(known) < GUARD_LIMIT)
			continue;
		known->off_since_ms = before_ms;
		guard_switched_on(known, g->started_ms);
	}
}

static void tell_rows(struct guard *g, const struct recovery_counts *c)
{
	if (g->dry_run && c->rows)
		finding(&g->findings, NULL, FINDING_INFO, "%zu rows of Autotask's error log would be recovered", c->rows);
	if (c->stored)
		finding(&g->findings, NULL, FINDING_INFO, "%zu events were recovered from Autotask's error log", c->stored);
	if (c->cut)
		finding(&g->findings, NULL, FINDING_INFO, "%zu payloads were incomplete in Autotask's error log; their records were fetched as "
			"they are now: %zu, and %zu are deleted", c->cut, c->fetched + c->known, c->gone);
	if (c->nobodys)
		finding(&g->findings, NULL, FINDING_INFO, "%zu new rows in Autotask's error log are of webhooks that are not in this "
			"configuration", c->nobodys);
}

static enum exit_status recover_log(struct guard *g, struct error *err)
{
	AUTO(error_log) struct error_log log = { .fd = -1, .known_id = g->state.log_known };
	struct recovery *r = &g->recovery;
	enum exit_status status = recovery_read(r, g->state.log_row, 0, &log, err);

	if (status == CTL_OK)
		status = recovery_rows(r, &log, err);
	if (status != CTL_OK)
		return status;
	count_failures(g, &log);
	suspect_off(g);
	if (!r->counts.strangers && !r->blind)
		guard_log_read(&g->state, log.highest_id);
	tell_rows(g, &r->counts);
	return guard_save(g, err);
}

static void tell_records(struct guard *g, const struct conf_webhook *w, const struct recovery_counts *before)
{
	const struct recovery_counts *c = &g->recovery.counts;
	size_t fetched = c->fetched - before->fetched;
	size_t missing = c->records - before->records - (c->received - before->received);

	if (g->dry_run && missing)
		finding(&g->findings, w, FINDING_INFO, "%zu records were modified while it was off; those that the error log does not bring "
			"would be handed over as updates", missing);
	else if (fetched)
		finding(&g->findings, w, FINDING_INFO, "%zu records were modified while it was off: handed over as updates; what was deleted "
			"then cannot be found", fetched);
}

/* From when on callouts say nothing of what was changed before they came; 0: not known. */
static int64_t on_again_ms(const struct guard *g, const struct guard_webhook *known)
{
	int64_t ms = known->on_ms > known->off_since_ms ? known->on_ms : 0, restored_ms = g->state.restored_ms;

	return restored_ms > known->off_since_ms && (!ms || restored_ms < ms) ? restored_ms : ms;
}

static enum exit_status recover_off(struct guard *g, const struct conf_webhook *w, struct error *err)
{
	struct recovery_counts before = g->recovery.counts;
	struct guard_webhook *known = guard_of(g, w);
	int64_t on_ms = on_again_ms(g, known);
	enum exit_status status = recovery_records(&g->recovery, w, known->off_since_ms - CLOCKS_DIFFER_MS, on_ms, err);

	if (status != CTL_OK)
		return status;
	tell_records(g, w, &before);
	/* While it stays off, the next look goes on from here. */
	known = guard_of(g, w);
	known->off_since_ms = g->seen[guard_index(g, w)].active ? 0 : g->started_ms;
	return guard_save(g, err);
}

static enum exit_status recover_webhook(struct guard *g, const struct conf_webhook *w, struct error *err)
{
	size_t i = guard_index(g, w);
	int64_t since_ms;

	if (!w->subscribe || !w->subscribe->active || !g->seen[i].known)
		return CTL_OK;
	since_ms = guard_of(g, w)->off_since_ms;
	if (since_ms)
		return recover_off(g, w, err);
	if (g->seen[i].was_off)
		finding(&g->findings, w, FINDING_WARNING, "since when it was off is not known; what was changed meanwhile fetches: "
			"calloutctl recover --webhook %s --refetch --since WHEN", w->title);
	return CTL_OK;
}

enum exit_status guard_recover(struct guard *g, struct error *err)
{
	enum exit_status status = recover_log(g, err);

	for (size_t i = 0; status == CTL_OK && i < g->conf->webhook_count; i++) {
		const struct conf_webhook *w = &g->conf->webhooks[i];

		status = recover_webhook(g, w, err);
		/* What is refused for one must not keep the others waiting; it is tried again at the next look. */
		if (status == CTL_NO) {
			finding(&g->findings, w, FINDING_ERROR, "%s", err->text);
			status = CTL_OK;
		}
	}
	return status;
}
