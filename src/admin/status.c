/* status.c - how the daemon is, what is in force, and whether callouts can be stored. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/shown.h"
#include "base/clock.h"
#include "private.h"

static void write_configuration(struct writer *w, const struct picture *p)
{
	writer_object(w, "configuration");
	writer_text(w, "path", site_conf(p->site)->path);
	writer_text(w, "degraded", p->degraded[0] ? p->degraded : NULL);
	writer_moment(w, "last_reload", p->last_reload_ms);
	writer_bool(w, "last_reload_ok", p->last_reload_ok);
	writer_end(w);
}

static void write_intake(struct writer *w, const struct intake_status *in)
{
	writer_object(w, "intake");
	writer_text(w, "listening", in->listening);
	writer_uint(w, "connections", in->connections);
	writer_uint(w, "in_flight", in->in_flight);
	writer_uint(w, "evicted", in->evicted);
	writer_uint(w, "timed_out", in->timed_out);
	writer_uint(w, "limited", in->limited);
	writer_moment(w, "certificate_expiry", in->certificate_expiry_ms);
	writer_end(w);
}

static void number_or_null(struct writer *w, const char *name, bool known, uint64_t value)
{
	if (known)
		writer_uint(w, name, value);
	else
		writer_null(w, name);
}

static int look_at_sizes(struct admin *a, struct store_sizes *ret)
{
	AUTO(reader) struct reader *r = NULL;
	int result = admin_reader(a, &r);

	return result < 0 ? result : reader_sizes(r, ret);
}

static void write_store(struct writer *w, struct admin *a, const struct journal_status *store)
{
	struct store_sizes z = { .newest_event = 0 };
	bool known = !store->broken && look_at_sizes(a, &z) == 0;

	writer_object(w, "store");
	writer_bool(w, "broken", store->broken);
	if (store->broken)
		writer_null(w, "full");
	else
		writer_bool(w, "full", store->full);
	writer_text(w, "sentence", store->sentence);
	number_or_null(w, "file_bytes", known, z.file_bytes);
	number_or_null(w, "free_bytes", known, z.free_bytes);
	number_or_null(w, "wal_bytes", known, z.wal_bytes);
	number_or_null(w, "disk_free_bytes", known, z.disk_free_bytes);
	number_or_null(w, "newest_event", known, (uint64_t)z.newest_event);
	number_or_null(w, "queued", !store->broken, store->queued);
	number_or_null(w, "groups", !store->broken, store->groups);
	number_or_null(w, "jobs", !store->broken, store->jobs);
	writer_end(w);
}

/* expect-every after the last callout, or after the start: until then silence means nothing. 0: never. */
static int64_t expected_before_ms(const struct conf_webhook *c, const struct intake_counts *n, int64_t started_ms)
{
	if (!c->expect_every_ms)
		return 0;
	return (n->last_callout_ms > started_ms ? n->last_callout_ms : started_ms) + c->expect_every_ms;
}

static void write_webhooks(struct writer *w, const struct picture *p)
{
	const struct conf *c = site_conf(p->site);

	writer_array(w, "webhooks");
	for (size_t i = 0; i < c->webhook_count; i++) {
		const struct intake_counts *n = &p->webhooks[i];

		writer_object(w, NULL);
		writer_text(w, "webhook", c->webhooks[i].title);
		writer_moment(w, "last_callout", n->last_callout_ms);
		writer_moment(w, "expected_before",
			      expected_before_ms(&c->webhooks[i], n, p->admin->daemon.started_ms));
		writer_uint(w, "unavailable_in_a_row", n->failing);
		writer_text(w, "guid", n->registered.guid[0] ? n->registered.guid : NULL);
		shown_int(w, "id", n->registered.guid[0] != '\0', n->registered.id);
		writer_uint(w, "guid_mismatches", n->strangers);
		writer_object(w, "callouts");
		for (unsigned r = 0; r < INTAKE_RESULT_COUNT_; r++)
			writer_uint(w, intake_result_name((enum intake_result)r), n->results[r]);
		writer_end(w);
		writer_end(w);
	}
	writer_end(w);
}

static void write_handler(struct writer *w, const struct handler_view *h)
{
	const struct handler_state *s = &h->state;

	writer_object(w, NULL);
	writer_text(w, "handler", s->name);
	writer_text(w, "state", handler_condition(h));
	writer_bool(w, "configured", h->configured);
	writer_text(w, "runner", h->runner);
	writer_text(w, "unusable", h->unusable[0] ? h->unusable : NULL);
	writer_bool(w, "held", s->held);
	writer_moment(w, "held_until", s->held ? s->held_until_ms : 0);
	writer_moment(w, "paused_until", s->pause_until_ms);
	writer_uint(w, "failures", s->failures);
	writer_uint(w, "waiting", handler_waiting(h));
	writer_uint(w, "running", h->running);
	writer_uint(w, "done", s->done);
	writer_uint(w, "failed", s->failed);
	writer_uint(w, "dropped", s->dropped);
	writer_moment(w, "oldest_waiting", s->oldest_waiting_ms);
	writer_moment(w, "next", h->next_ms);
	writer_end(w);
}

static void write_handlers(struct writer *w, const struct picture *p)
{
	writer_array(w, "handlers");
	for (size_t i = 0; i < p->handler_count; i++)
		if (!handler_gone(&p->handlers[i]))
			write_handler(w, &p->handlers[i]);
	writer_end(w);
}

static void write_running(struct writer *w, const struct picture *p)
{
	writer_array(w, "running");
	for (size_t i = 0; i < p->running_count; i++) {
		const struct running_view *r = &p->running[i];

		writer_object(w, NULL);
		writer_text(w, "handler", r->handler);
		writer_int(w, "event", r->event);
		writer_text(w, "record", r->record);
		writer_uint(w, "events", r->company);
		writer_uint(w, "attempt", r->attempt);
		writer_text(w, "runner", r->runner);
		writer_moment(w, "started", r->started_ms);
		writer_text(w, "overdue", r->overdue[0] ? r->overdue : NULL);
		writer_end(w);
	}
	writer_end(w);
	writer_array(w, "held_records");
	for (size_t i = 0; i < p->held_count; i++) {
		writer_object(w, NULL);
		writer_text(w, "handler", p->held[i].handler);
		writer_text(w, "record", p->held[i].record);
		writer_int(w, "event", p->held[i].event);
		writer_end(w);
	}
	writer_end(w);
	writer_array(w, "runners");
	for (size_t i = 0; i < p->runner_count; i++) {
		writer_object(w, NULL);
		writer_text(w, "runner", p->runners[i].name);
		writer_bool(w, "ready", p->runners[i].ready);
		writer_text(w, "status", p->runners[i].status);
		writer_end(w);
	}
	writer_end(w);
}

static void write_alerts(struct writer *w, const struct alerts_status *s)
{
	writer_object(w, "alerts");
	writer_bool(w, "configured", s->configured);
	writer_uint(w, "waiting", s->waiting);
	writer_uint(w, "told", s->told);
	writer_uint(w, "failed", s->failed);
	writer_uint(w, "given_up", s->given_up);
	writer_moment(w, "last_told", s->told_ms);
	writer_moment(w, "failing_since", s->failing_since_ms);
	writer_text(w, "failing", s->failing_since_ms ? s->failing : NULL);
	writer_object(w, "raised");
	for (unsigned k = 0; k < ALERT_KIND_COUNT_; k++)
		writer_uint(w, alert_kind_name((enum alert_kind)k), s->raised[k]);
	writer_end(w);
	writer_end(w);
}

static void write_status(struct writer *w, struct admin *a, const struct picture *p)
{
	struct journal_status store;
	unsigned problems;

	journal_status(a->journal, &store);
	writer_object(w, NULL);
	writer_text(w, "version", CALLOUTD_VERSION);
	writer_int(w, "pid", getpid());
	writer_moment(w, "started", a->daemon.started_ms);
	writer_moment(w, "now", clock_now_ms());
	writer_array(w, "problems");
	problems = problems_write(a, p, &store, w);
	writer_end(w);
	writer_text(w, "state", problems ? "degraded" : "ok");
	write_configuration(w, p);
	write_intake(w, &p->intake);
	write_store(w, a, &store);
	write_webhooks(w, p);
	guard_write(&a->guard, w);
	write_handlers(w, p);
	write_running(w, p);
	write_alerts(w, &p->alerts);
	captures_write(a, w, false);
	writer_uint(w, "log_dropped", log_dropped());
	writer_end(w);
}

void get_status(struct request *q)
{
	AUTO(picture) struct picture p = { .result = 0 };
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	int r;

	r = picture_take(q->admin, false, &p);
	if (r < 0) {
		request_failed(q, r);
		return;
	}
	write_status(&w, q->admin, &p);
	answer_json(&q->answer, &w);
}

/* Asks nobody that could be busy: what decides is whether a callout can be stored. */
void get_health(struct request *q)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	struct journal_status store;

	journal_status(q->admin->journal, &store);
	if (store.broken || store.full) {
		answer_error(&q->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "%s",
			     store.sentence[0] ? store.sentence : "callouts cannot be stored");
		return;
	}
	writer_object(&w, NULL);
	writer_text(&w, "status", "ok");
	writer_end(&w);
	answer_json(&q->answer, &w);
}

void get_config(struct request *q)
{
	AUTO(site) struct site *site = NULL;
	AUTO(free) char *text = NULL;
	size_t len = 0;
	FILE *f;
	int r;

	r = admin_site(q->admin, &site);
	if (r < 0) {
		request_failed(q, r);
		return;
	}
	f = open_memstream(&text, &len);
	r = f ? conf_print(site_conf(site), f) : -ENOMEM;
	if (f && fclose(f) != 0)
		r = -ENOMEM;
	if (r < 0)
		request_failed(q, -ENOMEM);
	else
		answer_bytes(&q->answer, "text/plain; charset=utf-8", TAKE(text), len);
}
