/* guard_tell.c - findings, one a line, and to the daemon. */
#include <string.h>

#include "base/clock.h"
#include "guard.h"

#define POST_MAX (60UL * 1024)          /* the daemon takes 64 KiB */
#define FINDINGS_MAX (28UL * 1024)      /* of which webhooks need the rest */

static const char *const words[] = { [FINDING_INFO] = "info", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error" };

static void write_finding(struct writer *w, const struct conf_webhook *webhook, enum finding_level level, const char *text)
{
	writer_object(w, NULL);
	writer_text(w, "webhook", webhook ? webhook->title : NULL);
	writer_text(w, "level", words[level]);
	writer_text(w, "text", text);
	writer_end(w);
}

static void write_findings(struct writer *w, const struct findings *f)
{
	enum finding_level worst = FINDING_INFO;
	size_t i = 0;

	writer_array(w, "findings");
	for (; i < f->count && w->buf.len < FINDINGS_MAX; i++)
		write_finding(w, f->items[i].webhook, f->items[i].level, f->items[i].text);
	for (size_t j = i; j < f->count; j++)
		worst = f->items[j].level > worst ? f->items[j].level : worst;
	if (i < f->count)
		write_finding(w, NULL, worst, "there are more findings: journalctl -u calloutd-guard");
	writer_end(w);
}

static void write_webhooks(struct writer *w, struct guard *g)
{
	writer_array(w, "webhooks");
	for (size_t i = 0; i < g->conf->webhook_count; i++) {
		const struct conf_webhook *webhook = &g->conf->webhooks[i];

		if (!g->seen[i].known)
			continue;
		writer_object(w, NULL);
		writer_text(w, "webhook", webhook->title);
		writer_bool(w, "active", g->seen[i].active);
		writer_bool(w, "ready", g->seen[i].ready);
		writer_int(w, "failures", guard_failures(guard_of(g, webhook)));
		writer_end(w);
	}
	writer_end(w);
}

static void write_report(struct guard *g, bool ok, struct buf *ret)
{
	AUTO(writer) struct writer w = WRITER_INIT(POST_MAX);

	writer_object(&w, NULL);
	writer_moment(&w, "ended", clock_now_ms());
	writer_bool(&w, "ok", ok);
	write_findings(&w, &g->findings);
	write_webhooks(&w, g);
	writer_end(&w);
	take_json(&w, ret);
}

static void print_findings(const struct guard *g)
{
	size_t active = 0;

	for (size_t i = 0; i < g->findings.count; i++) {
		const struct finding *f = &g->findings.items[i];
		AUTO(buf) struct buf safe = BUF_INIT(TEXT_MAX);

		text_escape(&safe, f->text, strlen(f->text));
		printf("%s: %s%s%s\n", words[f->level], f->webhook ? f->webhook->title : "", f->webhook ? ": " : "",
		       safe.data ? safe.data : "");
	}
	for (size_t i = 0; i < g->conf->webhook_count; i++)
		active += g->seen[i].active;
	if (!g->findings.count)
		printf("All is well: %zu %s active.\n", active, active == 1 ? "webhook is" : "webhooks are");
}

/* With Autotask's own words in it: no character of theirs reaches a terminal. */
static void print_report(const struct buf *report)
{
	struct json_value root;

	if (json_read(report->data, report->len, JSON_DEPTH_MAX, &root, NULL) == 0)
		print_json(stdout, &root);
}

enum exit_status guard_tell(struct guard *g, enum exit_status status)
{
	AUTO(buf) struct buf report = BUF_INIT(POST_MAX);
	AUTO(answer) struct answer a = ANSWER_INIT;

	if (status == CTL_OK && findings_worst(&g->findings) > FINDING_INFO)
		status = CTL_NO;
	write_report(g, status == CTL_OK, &report);
	if (g->ctl->option[OPT_JSON])
		print_report(&report);
	else
		print_findings(g);
	fflush(stdout);
	if (!g->dry_run && client_post(g->ctl, "/v1/guard", &report, &a) != CTL_OK && status == CTL_OK)
		status = CTL_NO;
	return status;
}

enum exit_status guard_tell_nothing(struct guard *g)
{
	AUTO(buf) struct buf report = BUF_INIT(POST_MAX);

	write_report(g, true, &report);
	if (g->ctl->option[OPT_JSON])
		print_report(&report);
	else
		puts("No webhook in the configuration has a section 'subscribe': there is nothing to guard.");
	return CTL_OK;
}
