/*
 * metrics.c - Prometheus' text format.
 *
 * Every family has its HELP and TYPE, whether or not there is something to count: what a dashboard
 * asks for exists. Labels are names from the configuration and words of this house.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define METRICS_MAX (4 * 1024 * 1024)

/* The text being written; the first error sticks. */
struct text {
	struct buf buf;
	int result;
	const char *name;       /* of the family */
};

static void put(struct text *t, const char *text)
{
	if (t->result == 0)
		t->result = buf_append_text(&t->buf, text);
}

static void family(struct text *t, const char *name, const char *type, const char *help)
{
	t->name = name;
	if (t->result == 0)
		t->result = buf_printf(&t->buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
				       type);
}

/* A label's value; backslash, quote and newline escaped as the format has it. */
static void put_value(struct text *t, const char *value)
{
	for (; *value; value++) {
		char one[2] = { *value, '\0' };

		if (*value == '\\')
			put(t, "\\\\");
		else if (*value == '"')
			put(t, "\\\"");
		else
			put(t, *value == '\n' ? "\\n" : one);
	}
}

static void put_label(struct text *t, const char *before, const char *label, const char *value)
{
	put(t, before);
	put(t, label);
	put(t, "=\"");
	put_value(t, value);
	put(t, "\"");
}

/* NAME{label="value",label2="value2"}; labels that are NULL are left out. */
static void series(struct text *t, const char *suffix, const char *label, const char *value,
		   const char *label2, const char *value2)
{
	put(t, t->name);
	put(t, suffix);
	if (label)
		put_label(t, "{", label, value);
	if (label2)
		put_label(t, ",", label2, value2);
	put(t, label ? "} " : " ");
}

static void number(struct text *t, uint64_t n)
{
	if (t->result == 0)
		t->result = buf_printf(&t->buf, "%llu\n", (unsigned long long)n);
}

static void seconds(struct text *t, int64_t ms)
{
	if (t->result == 0)
		t->result = buf_printf(&t->buf, "%lld.%03d\n", (long long)(ms / 1000),
				       (int)(ms % 1000));
}

static void plain(struct text *t, const char *name, const char *type, const char *help, uint64_t n)
{
	family(t, name, type, help);
	series(t, "", NULL, NULL, NULL, NULL);
	number(t, n);
}

static void plain_seconds(struct text *t, const char *name, const char *help, int64_t ms)
{
	family(t, name, "gauge", help);
	series(t, "", NULL, NULL, NULL, NULL);
	seconds(t, ms);
}

/* ---- intake ---- */

static void write_intake(struct text *t, const struct picture *p)
{
	const struct conf *c = site_conf(p->site);

	family(t, "calloutd_callouts_total", "counter",
	       "Requests by verdict; webhook \"\": to no webhook's path.");
	for (size_t i = 0; i <= c->webhook_count; i++)
		for (unsigned r = 0; r < INTAKE_RESULT_COUNT_; r++) {
			series(t, "", "webhook", i < c->webhook_count ? c->webhooks[i].title : "",
			       "result", intake_result_name((enum intake_result)r));
			number(t, p->webhooks[i].results[r]);
		}
	family(t, "calloutd_last_callout_timestamp_seconds", "gauge",
	       "When the last callout was stored or repeated; 0: none since the start.");
	for (size_t i = 0; i < c->webhook_count; i++) {
		series(t, "", "webhook", c->webhooks[i].title, NULL, NULL);
		seconds(t, p->webhooks[i].last_callout_ms);
	}
	family(t, "calloutd_guid_mismatches_total", "counter",
	       "Accepted callouts whose Guid is not the webhook's at Autotask.");
	for (size_t i = 0; i < c->webhook_count; i++) {
		series(t, "", "webhook", c->webhooks[i].title, NULL, NULL);
		number(t, p->webhooks[i].strangers);
	}
}

static void write_connections(struct text *t, const struct intake_status *in)
{
	const struct {
		const char *reason;
		uint64_t count;
	} ended[] = {
		{ "evicted", in->evicted },
		{ "deadline", in->timed_out },
		{ "limited", in->limited },
	};

	plain(t, "calloutd_connections", "gauge", "Open connections.", in->connections);
	family(t, "calloutd_connections_ended_total", "counter", "Connections ended by calloutd.");
	for (size_t i = 0; i < ARRAY_LEN(ended); i++) {
		series(t, "", "reason", ended[i].reason, NULL, NULL);
		number(t, ended[i].count);
	}
	plain_seconds(t, "calloutd_certificate_expiry_timestamp_seconds",
		      "When the certificate expires; 0: plain HTTP.", in->certificate_expiry_ms);
}

/* ---- Autotask's side, as guard saw it last ---- */

/* What nobody has looked at has no sample: no number would be true. */
static void write_guard(struct text *t, struct admin *a, const struct picture *p)
{
	const struct conf *c = site_conf(p->site);
	struct guarded g;
	int64_t ended_ms;
	bool ok, ran = guard_last(&a->guard, &ended_ms, &ok);

	plain_seconds(t, "calloutd_guard_last_run_timestamp_seconds",
		      "When calloutctl guard ended last; 0: not since the start.", ended_ms);
	family(t, "calloutd_guard_ok", "gauge", "1 if calloutctl guard found all well.");
	if (ran) {
		series(t, "", NULL, NULL, NULL, NULL);
		number(t, ok);
	}
	family(t, "calloutd_webhook_active", "gauge", "1 if active at Autotask, as guard saw it last.");
	for (size_t i = 0; i < c->webhook_count; i++) {
		if (!guard_webhook(&a->guard, c->webhooks[i].title, &g))
			continue;
		series(t, "", "webhook", c->webhooks[i].title, NULL, NULL);
		number(t, g.active);
	}
	family(t, "calloutd_webhook_failures", "gauge", "Failing events at Autotask; 25 deactivate a webhook.");
	for (size_t i = 0; i < c->webhook_count; i++) {
		if (!guard_webhook(&a->guard, c->webhooks[i].title, &g) || !g.has_failures)
			continue;
		series(t, "", "webhook", c->webhooks[i].title, NULL, NULL);
		number(t, (uint64_t)g.failures);
	}
}

/* ---- handlers ---- */

static void write_states(struct text *t, const struct handler_view *h)
{
	const struct handler_state *s = &h->state;
	const struct {
		const char *state;
		uint64_t count;
	} states[] = {
		{ "waiting", handler_waiting(h) },
		{ "running", h->running },
		{ "done", s->done },
		{ "failed", s->failed },
		{ "dropped", s->dropped },
	};

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		series(t, "", "handler", s->name, "state", states[i].state);
		number(t, states[i].count);
	}
}

static void write_deliveries(struct text *t, const struct picture *p)
{
	family(t, "calloutd_deliveries", "gauge", "Deliveries by state.");
	for (size_t i = 0; i < p->handler_count; i++)
		if (!handler_gone(&p->handlers[i]))
			write_states(t, &p->handlers[i]);
	family(t, "calloutd_oldest_waiting_timestamp_seconds", "gauge",
	       "When the oldest unsettled delivery arrived; 0: none.");
	for (size_t i = 0; i < p->handler_count; i++) {
		const struct handler_view *h = &p->handlers[i];

		if (handler_gone(h))
			continue;
		series(t, "", "handler", h->state.name, NULL, NULL);
		seconds(t, h->state.oldest_waiting_ms);
	}
}

static void write_conditions(struct text *t, const struct picture *p)
{
	family(t, "calloutd_handler_held", "gauge", "1 while held, removed or unusable.");
	for (size_t i = 0; i < p->handler_count; i++) {
		const struct handler_view *h = &p->handlers[i];

		if (handler_gone(h))
			continue;
		series(t, "", "handler", h->state.name, NULL, NULL);
		number(t, h->state.held || h->unusable[0] || !h->configured);
	}
	family(t, "calloutd_handler_paused", "gauge", "1 while paused.");
	for (size_t i = 0; i < p->handler_count; i++) {
		const struct handler_view *h = &p->handlers[i];

		if (handler_gone(h))
			continue;
		series(t, "", "handler", h->state.name, NULL, NULL);
		number(t, h->state.pause_until_ms != 0);
	}
}

/* Of a le label: milliseconds as seconds, without zeros at the end. */
static const char *bound_text(int64_t ms, char dst[static 32])
{
	size_t len;

	(void)snprintf(dst, 32, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
	len = strlen(dst);
	while (dst[len - 1] == '0' && dst[len - 2] != '.')
		dst[--len] = '\0';
	return dst;
}

static void write_histogram(struct text *t, const struct attempt_counts *n)
{
	uint64_t below = 0;
	char bound[32];

	for (size_t i = 0; i < DISPATCH_BUCKETS; i++) {
		below += n->buckets[i];
		series(t, "_bucket", "handler", n->handler, "le",
		       bound_text(dispatch_buckets_ms[i], bound));
		number(t, below);
	}
	below += n->buckets[DISPATCH_BUCKETS];
	series(t, "_bucket", "handler", n->handler, "le", "+Inf");
	number(t, below);
	series(t, "_sum", "handler", n->handler, NULL, NULL);
	if (t->result == 0)
		t->result = buf_printf(&t->buf, "%.3f\n", n->sum_seconds);
	series(t, "_count", "handler", n->handler, NULL, NULL);
	number(t, below);
}

static void write_attempts(struct text *t, const struct picture *p)
{
	family(t, "calloutd_attempts_total", "counter", "Attempts since the start.");
	for (size_t i = 0; i < p->attempts_count; i++)
		for (unsigned r = 0; r < ATTEMPT_COUNT_; r++) {
			series(t, "", "handler", p->attempts[i].handler, "result",
			       attempt_result_name((enum attempt_result)r));
			number(t, p->attempts[i].results[r]);
		}
	family(t, "calloutd_attempt_duration_seconds", "histogram", "How long attempts took.");
	for (size_t i = 0; i < p->attempts_count; i++)
		write_histogram(t, &p->attempts[i]);
}

static void write_runners(struct text *t, const struct picture *p)
{
	family(t, "calloutd_runner_connected", "gauge", "1 while connected.");
	for (size_t i = 0; i < p->runner_count; i++) {
		series(t, "", "runner", p->runners[i].name, NULL, NULL);
		number(t, p->runners[i].ready);
	}
}

/* ---- the rest ---- */

static void write_daemon(struct text *t, struct admin *a, const struct picture *p)
{
	family(t, "calloutd_build_info", "gauge", "Always 1; the version is a label.");
	series(t, "", "version", CALLOUTD_VERSION, NULL, NULL);
	number(t, 1);
	plain_seconds(t, "calloutd_start_timestamp_seconds", "When the daemon started.",
		      a->daemon.started_ms);
	plain(t, "calloutd_config_last_reload_successful", "gauge",
	      "0 after a refused reload or a start with the last good configuration.",
	      p->last_reload_ok);
	plain(t, "calloutd_log_dropped_total", "counter",
	      "Log lines lost because the journal did not take them.", log_dropped());
}

static void write_alerts(struct text *t, const struct alerts_status *s)
{
	const struct {
		const char *result;
		uint64_t count;
	} runs[] = {
		{ "told", s->told },
		{ "failed", s->failed },
		{ "given-up", s->given_up },
	};

	family(t, "calloutd_alerts_raised_total", "counter", "What alerts were raised for, told or not.");
	for (unsigned k = 0; k < ALERT_KIND_COUNT_; k++) {
		series(t, "", "kind", alert_kind_name((enum alert_kind)k), NULL, NULL);
		number(t, s->raised[k]);
	}
	family(t, "calloutd_alert_runs_total", "counter", "Runs of the alert's program; given-up: alerts that were lost.");
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		series(t, "", "result", runs[i].result, NULL, NULL);
		number(t, runs[i].count);
	}
	plain(t, "calloutd_alerts_waiting", "gauge", "Alerts that are not told yet.", s->waiting);
	plain(t, "calloutd_alert_failing", "gauge", "1 while the last run of the alert's program failed.",
	      s->failing_since_ms != 0);
}

/* The sizes have no sample while the store cannot be read: no number would be true. */
static void write_store(struct text *t, struct admin *a)
{
	AUTO(reader) struct reader *r = NULL;
	struct journal_status store;
	struct store_sizes z;
	bool known;

	journal_status(a->journal, &store);
	known = admin_reader(a, &r) == 0 && reader_sizes(r, &z) == 0;
	family(t, "calloutd_store_bytes", "gauge", "Size of the database and its log.");
	if (known) {
		series(t, "", NULL, NULL, NULL, NULL);
		number(t, z.file_bytes + z.wal_bytes);
	}
	family(t, "calloutd_store_free_bytes", "gauge",
	       "What can still be written: disk, and pages free for use again.");
	if (known) {
		series(t, "", NULL, NULL, NULL, NULL);
		number(t, z.disk_free_bytes + z.free_bytes);
	}
	plain(t, "calloutd_store_broken", "gauge", "1 while nothing can be stored.",
	      store.broken || store.full);
	plain(t, "calloutd_store_commits_total", "counter", "Groups committed.", store.groups);
}

void get_metrics(struct request *q)
{
	AUTO(picture) struct picture p = { .result = 0 };
	struct text t = { .buf = BUF_INIT(METRICS_MAX) };
	char *text;
	size_t len;
	int r;

	r = picture_take(q->admin, true, &p);
	if (r < 0) {
		request_failed(q, r);
		return;
	}
	write_daemon(&t, q->admin, &p);
	write_intake(&t, &p);
	write_guard(&t, q->admin, &p);
	write_connections(&t, &p.intake);
	write_deliveries(&t, &p);
	write_conditions(&t, &p);
	write_attempts(&t, &p);
	write_runners(&t, &p);
	write_alerts(&t, &p.alerts);
	write_store(&t, q->admin);
	if (t.result < 0) {
		buf_free(&t.buf);
		request_failed(q, t.result);
		return;
	}
	text = buf_take(&t.buf, &len);
	answer_bytes(&q->answer, "text/plain; version=0.0.4; charset=utf-8", text, len);
}
