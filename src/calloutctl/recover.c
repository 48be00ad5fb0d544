/* recover.c - `calloutctl recover`: what Autotask gave up delivering, handed to the daemon. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "recovery.h"

static void say_to_stderr(void *arg, const char *webhook, const char *text)
{
	(void)arg;
	(void)complain(CTL_OK, "%s: %s", webhook, text);
}

/* ---- how it went ---- */

static void print_object(const struct recovery *r)
{
	const struct recovery_counts *c = &r->counts;
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);

	writer_object(&w, NULL);
	writer_bool(&w, "dry_run", r->dry_run);
	writer_object(&w, "error_log");
	writer_uint(&w, "rows", c->rows);
	writer_uint(&w, "nobodys", c->nobodys);
	writer_uint(&w, "cut", c->cut);
	writer_uint(&w, "stored", c->stored);
	writer_uint(&w, "duplicates", c->duplicates);
	writer_uint(&w, "quarantined", c->quarantined);
	writer_uint(&w, "deleted", c->deleted);
	writer_end(&w);
	writer_object(&w, "records");
	writer_uint(&w, "modified", c->records);
	writer_uint(&w, "received", c->received);
	writer_uint(&w, "stored", c->fetched);
	writer_uint(&w, "duplicates", c->known);
	writer_uint(&w, "gone", c->gone);
	writer_end(&w);
	writer_uint(&w, "refused", c->refused);
	writer_end(&w);
	take_json(&w, &text);
	fputs(text.data, stdout);
}

static void part(const char *what, size_t n, const char *text)
{
	if (n)
		printf("%s%zu %s", what, n, text);
}

static void print_log(const struct recovery *r)
{
	const struct recovery_counts *c = &r->counts;

	printf("Error log: %zu %s of ours", c->rows, c->rows == 1 ? "row" : "rows");
	if (r->dry_run) {
		part(", ", c->cut, "of them cut");
		puts(c->rows ? "; would be handed over." : ".");
	} else {
		part("; ", c->stored, "recovered");
		part("; ", c->duplicates, "known already");
		part("; ", c->quarantined, "cut at 8,000 characters, quarantined");
		part("; ", c->deleted, "deleted there");
		puts(".");
	}
	if (c->nobodys)
		printf("%zu %s of webhooks that are not in this configuration: left alone.\n", c->nobodys,
		       c->nobodys == 1 ? "row is" : "rows are");
}

static void print_records(const struct recovery *r, bool queried)
{
	const struct recovery_counts *c = &r->counts;

	if (queried) {
		printf("Records modified since: %zu", c->records);
		part("; ", c->received, "received already");
	} else if (c->fetched || c->known || c->gone || c->received) {
		printf("Records of cut payloads");
		part("; ", c->received, "received already");
	} else {
		return;
	}
	if (r->dry_run && queried)
		part("; ", c->records - c->received, "would be handed over as updates");
	part("; ", c->fetched, "handed over as updates");
	part("; ", c->known, "handed over before");
	part("; ", c->gone, "deleted meanwhile");
	puts(".");
	if (queried)
		puts("Records that were deleted cannot be found this way.");
}

static enum exit_status tell(const struct recovery *r, bool queried)
{
	const struct recovery_counts *c = &r->counts;

	if (r->ctl->option[OPT_JSON]) {
		print_object(r);
	} else {
		print_log(r);
		print_records(r, queried);
	}
	if (r->blind)
		return complain(CTL_NO, "not all of our webhooks could be looked at, as said above");
	if (c->strangers)
		return complain(CTL_NO, "%zu events are of webhooks that calloutd does not know, as said above", c->strangers);
	if (c->refused)
		return complain(CTL_NO, "%zu events were not handed over, as said above", c->refused);
	if (c->cut && !r->refetch)
		return complain(CTL_NO, "%zu payloads are incomplete in Autotask's log: recover --refetch asks for their records as they "
				"are now", c->cut);
	return CTL_OK;
}

/* ---- doing it ---- */

static enum exit_status recover_log(struct recovery *r, int64_t since_ms, struct error *err)
{
	AUTO(error_log) struct error_log log = ERROR_LOG_INIT;
	enum exit_status status = recovery_read(r, 0, since_ms, &log, err);

	return status == CTL_OK ? recovery_rows(r, &log, err) : status;
}

static enum exit_status recover_records(struct recovery *r, int64_t since_ms, struct error *err)
{
	enum exit_status status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < r->conf->webhook_count; i++) {
		const struct conf_webhook *w = &r->conf->webhooks[i];

		int64_t off_ms = 0;

		if (!w->subscribe || r->hidden[i] || (r->only && r->only != w))
			continue;
		/* Nothing arrives between off and on. */
		status = recovery_noticed(r, w, since_ms, &off_ms, err);
		if (status == CTL_OK)
			status = recovery_records(r, w, since_ms, off_ms, err);
	}
	return status;
}

static enum exit_status recover(struct recovery *r, int64_t since_ms)
{
	bool query = r->refetch && since_ms;
	struct error err = { "" };
	enum exit_status status = recovery_begin(r, &err);

	if (status == CTL_OK)
		status = recover_log(r, since_ms, &err);
	if (status == CTL_OK && query)
		status = recover_records(r, since_ms, &err);
	if (status != CTL_OK)
		return complain(status, "%s (what was handed over until then is stored: run it again to go on)", err.text);
	return tell(r, query);
}

static enum exit_status choose_webhook(struct ctl *ctl, struct recovery *r)
{
	if (!ctl->option[OPT_WEBHOOK])
		return CTL_OK;
	r->only = webhook_option(ctl);
	if (!r->only)
		return CTL_NO;
	if (!r->only->subscribe)
		return complain(CTL_NO, "webhook %s has no section 'subscribe', so nothing at Autotask is known to be its", r->only->title);
	return CTL_OK;
}

enum exit_status cmd_recover(struct ctl *ctl)
{
	AUTO(rest) struct rest *rest = NULL;
	AUTO(recovery) struct recovery r = { .ctl = ctl, .dry_run = ctl->option[OPT_DRY_RUN], .delete = ctl->option[OPT_DELETE],
					     .refetch = ctl->option[OPT_REFETCH], .say = say_to_stderr,
					     .progress = isatty(STDERR_FILENO) };
	enum exit_status status;
	int64_t since_ms = 0;

	if (ctl->option[OPT_SINCE] && when_parse(ctl->option[OPT_SINCE], clock_now_ms(), &since_ms) < 0)
		return misused(ctl, "'%s' is no moment: right are 2h (so long ago), \"2025-09-15 16:57\" (local time) and "
			       "2025-09-15T14:57:50Z", ctl->option[OPT_SINCE]);
	r.conf = ctl_conf_needed(ctl);
	if (!r.conf)
		return CTL_NO;
	status = choose_webhook(ctl, &r);
	if (status == CTL_OK)
		status = ctl_rest(ctl, &rest);
	if (status != CTL_OK)
		return status;
	r.rest = rest;
	return recover(&r, since_ms);
}
