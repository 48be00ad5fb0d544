/*
 * trial.c - running a handler once on a body that is no event, or the alert's program on a test, as in earnest.
 *
 * It may take minutes: the request sleeps, and its client may go away meanwhile. Everything the
 * dispatcher gets stays in struct trial until it calls back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/shown.h"
#include "base/clock.h"
#include "dispatch/link.h"
#include "dispatch/outcome.h"
#include "private.h"

struct trial {
	struct later *later;
	struct dispatcher *dispatcher;
	int64_t uid;
	int64_t event;          /* whose body it is; 0: the request's own */
	int alert;              /* enum alert_kind; -1: a handler is run */
	char handler[CONF_NAME_MAX + 1];
	struct event meta;
	void *body;
	size_t len;
};

static struct trial *trial_free(struct trial *t)
{
	if (!t)
		return NULL;
	(void)later_unref(t->later);
	free(t->body);
	free(t);
	return NULL;
}
AUTO_DEFINE(trial, struct trial *, trial_free)

static struct attempt attempt_of(const struct trial *t, const struct link_result *r)
{
	struct attempt a = {
		.a = {
			.number = r->attempt,
			.started_ms = r->started_ms,
			.ended_ms = r->ended_ms,
			.result = attempt_result_of(r->outcome, r->status),
			.status = r->status,
			.out = r->out,
			.err = r->err,
			.out_len = r->out_len,
			.err_len = r->err_len,
			.out_total = r->out_total,
			.err_total = r->err_total,
		},
	};

	(void)snprintf(a.handler, sizeof(a.handler), "%s", t->handler);
	return a;
}

static void answer_result(struct answer *a, const struct trial *t, const struct link_result *r)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	struct attempt done = attempt_of(t, r);

	writer_object(&w, NULL);
	shown_attempt(&w, &done);
	writer_end(&w);
	answer_json(a, &w);
	request_log(t, t->event, t->handler, "try: %s, status %d",
		    attempt_result_name(done.a.result), r->status);
}

static void on_tried(void *arg, const struct link_result *r, const char *sentence)
{
	AUTO(trial) struct trial *t = arg;
	struct answer a = { .status = 0 };

	if (r) {
		answer_result(&a, t, r);
	} else {
		answer_error(&a, MHD_HTTP_CONFLICT, "%s", sentence);
		request_log(t, t->event, t->handler, "try: not run: %s", sentence);
	}
	later_answer(t->later, &a);
}

static int begin_alert(struct trial *t)
{
	char kind[64];
	const char *const env[] = { kind, "CALLOUT_ATTEMPT=1", "CALLOUT_SOURCE=test", NULL };

	(void)snprintf(kind, sizeof(kind), "CALLOUT_ALERT=%s", alert_kind_name((enum alert_kind)t->alert));
	return dispatcher_alert(t->dispatcher, env, t->body, t->len, on_tried, t);
}

static void on_main(void *arg)
{
	AUTO(trial) struct trial *t = arg;
	struct answer a = { .status = 0 };
	int r;

	if (!later_wanted(t->later))
		return;
	r = t->alert >= 0 ? begin_alert(t) :
			    dispatcher_try(t->dispatcher, t->handler, &t->meta, t->body, t->len, on_tried, t);
	if (r == 0) {
		t = NULL;               /* on_tried() has it */
		return;
	}
	if (r == -ENOENT && t->alert >= 0)
		answer_error(&a, MHD_HTTP_CONFLICT, "there is no alert section in the configuration");
	else if (r == -ENOENT)
		answer_error(&a, MHD_HTTP_NOT_FOUND, "there is no handler %s", t->handler);
	else
		answer_error(&a, MHD_HTTP_CONFLICT, "handler %s cannot be tried now: %s", t->handler,
			     strerror(-r));
	later_answer(t->later, &a);
}

/* ---- what it is run on ---- */

static void copy_callout(struct event *e, const struct callout *c, const char *webhook)
{
	memcpy(e->action, c->action, sizeof(e->action));
	memcpy(e->action_raw, c->action_raw, sizeof(e->action_raw));
	memcpy(e->entity, c->entity, sizeof(e->entity));
	memcpy(e->entity_raw, c->entity_raw, sizeof(e->entity_raw));
	memcpy(e->guid, c->guid, sizeof(e->guid));
	memcpy(e->time, c->time, sizeof(e->time));
	(void)callout_record(c, webhook, e->record);
	e->record_id = c->id;
	e->sequence = c->sequence;
	e->person = c->person;
	e->has_id = c->has_id;
	e->has_sequence = c->has_sequence;
	e->has_person = c->has_person;
}

/* The request's body. A handler that looks at CALLOUT_VERIFIED is tried as in earnest. */
static int take_body(struct request *q, struct trial *t, const char *webhook)
{
	const char *why = "";
	struct callout c;

	if (callout_parse(q->body.data ? q->body.data : "", q->body.len, &c, &why) < 0) {
		answer_error(&q->answer, MHD_HTTP_CONFLICT,
			     "the body cannot be read as a callout: %s", why);
		return -EINVAL;
	}
	copy_callout(&t->meta, &c, webhook);
	t->meta.received_ms = clock_now_ms();
	t->meta.kind = strcmp(c.action, "deactivated") == 0 ? EVENT_DEACTIVATED : EVENT_ORDINARY;
	t->meta.verified = true;
	t->meta.body_len = q->body.len;
	t->meta.body_kept = true;
	t->body = buf_take(&q->body, &t->len);
	return 0;
}

static int take_event(struct request *q, struct trial *t)
{
	if (q->body.len) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "give a body or an event, not both");
		return -EINVAL;
	}
	t->event = q->question.event;
	return request_body(q, t->event, &t->meta, &t->body, &t->len);
}

static int fill(struct request *q, struct trial *t, const struct conf_handler *h)
{
	const struct question *asks = &q->question;
	bool named = asked(asks, ASKS(WEBHOOK));
	const char *webhook = named ? asks->webhook : h->webhooks.items[0];
	int r;

	if (asked(asks, ASKS(EVENT)))
		r = take_event(q, t);
	else
		r = take_body(q, t, webhook);
	if (r < 0)
		return r;
	t->meta.source = SOURCE_TEST;
	t->meta.id = 0;
	if (named || !t->event)
		(void)snprintf(t->meta.webhook, sizeof(t->meta.webhook), "%s", webhook);
	return 0;
}

static void begin(struct request *q, struct trial *t)
{
	if (later_begin(q, &t->later) < 0) {
		(void)trial_free(t);
		return;
	}
	request_log(q, t->event, t->handler, "try: %s%s on %zu bytes", t->alert >= 0 ? "" : "handler ", t->handler, t->len);
	if (!later_post(t->later, q->admin->loop, on_main, t))
		(void)trial_free(t);
}

/* alert: its kind, -1 for a handler's. NULL: no memory, and the request has its answer. */
static struct trial *trial_new(struct request *q, const char *handler, int alert)
{
	struct trial *t = calloc(1, sizeof(*t));

	if (!t) {
		request_failed(q, -ENOMEM);
		return NULL;
	}
	t->dispatcher = q->admin->dispatcher;
	t->uid = q->uid;
	t->alert = alert;
	(void)snprintf(t->handler, sizeof(t->handler), "%s", handler);
	return t;
}

void post_try(struct request *q)
{
	AUTO(trial) struct trial *t = NULL;
	const struct conf *c = site_conf(q->site);
	const struct conf_handler *h = conf_handler_find(c, q->match.name);

	if (!h) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no handler %s",
			     q->match.name);
		return;
	}
	if (asked(&q->question, ASKS(WEBHOOK)) && !conf_webhook_find(c, q->question.webhook)) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no webhook %s",
			     q->question.webhook);
		return;
	}
	t = trial_new(q, q->match.name, -1);
	if (t && fill(q, t, h) == 0)
		begin(q, TAKE(t));
}

void post_alert_test(struct request *q)
{
	AUTO(trial) struct trial *t = NULL;
	char *body = NULL;
	int kind = alert_kind_parse(q->match.name), r;

	if (kind < 0) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no kind of alert %s; kinds are %s",
			     q->match.name, CONF_ALERT_KINDS);
		return;
	}
	t = trial_new(q, "alert", kind);
	if (!t)
		return;
	r = alerts_test_body((enum alert_kind)kind, &body, &t->len);
	t->body = body;
	if (r < 0)
		request_failed(q, r);
	else
		begin(q, TAKE(t));
}
