/*
 * handover.c - an event that did not come as a callout, handed over by an operator.
 *
 * It goes the way of a callout (intake/draft.h), without a signature: it came from Autotask over TLS,
 * with our credentials. The request sleeps; the journal has the job, and its outcome comes back to
 * the main thread, where the dispatcher can be told. Everything the journal looks at stays in
 * struct handover until then, whatever becomes of the client.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "intake/draft.h"
#include "private.h"

struct handover {
	struct journal_job job;
	struct later *later;
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	struct admin_daemon daemon;
	struct site *site;              /* the draft borrows from it */
	char *body;
	struct draft draft;
	int64_t uid;
	struct accepted accepted;
	int result;
};

static struct handover *handover_free(struct handover *h)
{
	if (!h)
		return NULL;
	(void)later_unref(h->later);
	draft_release(&h->draft);
	(void)site_unref(h->site);
	free(h->body);
	free(h);
	return NULL;
}
AUTO_DEFINE(handover, struct handover *, handover_free)

/* ---- the answer ---- */

static size_t deliveries(const struct handover *h)
{
	return h->accepted.duplicate ? 0 : h->draft.handler_count;
}

static const char *reason(const struct handover *h)
{
	static const char *const kinds[] = {    /* the words that intake has for it */
		[EVENT_ORDINARY] = "stored",
		[EVENT_QUARANTINED] = "quarantined",
		[EVENT_DEACTIVATED] = "deactivated",
	};

	return h->accepted.duplicate ? "duplicate" : kinds[h->draft.kind];
}

static void log_outcome(const struct handover *h)
{
	const struct draft *d = &h->draft;
	const struct log_ctx ctx = {
		.event = h->accepted.event,
		.webhook = d->webhook,
		.entity = *d->callout.entity ? callout_loggable(d->callout.entity) : NULL,
		.record = d->callout.id,
		.reason = reason(h),
		.uid = h->uid,
		.uid_set = 1,
	};
	const char *source = event_source_name(d->source);

	if (h->accepted.duplicate)
		log_info(&ctx, "%s, but known already: %s of %s", source, callout_loggable(d->callout.action), callout_loggable(d->record));
	else if (d->kind == EVENT_QUARANTINED)
		log_warn(&ctx, "%s, but not understood, stored as quarantined (%s): %s", source, callout_loggable(d->record),
			 d->why);
	else
		log_info(&ctx, "%s: %s of %s, %zu handlers", source, callout_loggable(d->callout.action), callout_loggable(d->record),
			 d->handler_count);
}

static void answer_stored(struct answer *a, const struct handover *h)
{
	AUTO(writer) struct writer w = WRITER_INIT(1024);

	writer_object(&w, NULL);
	writer_int(&w, "event", h->accepted.event);
	writer_bool(&w, "duplicate", h->accepted.duplicate);
	writer_text(&w, "kind", event_kind_name(h->draft.kind));
	writer_uint(&w, "deliveries", deliveries(h));
	writer_end(&w);
	answer_json(a, &w);
}

static void answer_failed(struct answer *a, const struct handover *h, int result)
{
	struct journal_status store;

	if (result == -EAGAIN) {
		answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE,
			     "not stored: more waits for the disk than may: try again");
		return;
	}
	answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "not stored: %s", unstored_why(h->journal, result, &store));
}

/* ---- the way ---- */

static struct handover *handover_of(struct journal_job *job)
{
	return (struct handover *)(void *)job;
}

static int on_apply(struct store *s, struct journal_job *job)
{
	struct handover *h = handover_of(job);

	return draft_accept(&h->draft, s, NULL, NULL, &h->accepted);
}

/* On the main thread. While calloutd stops nobody is told: the next start reads what is stored. */
static void on_stored(void *arg)
{
	AUTO(handover) struct handover *h = arg;
	struct answer a = { .status = 0 };

	if (h->result == 0)
		log_outcome(h);
	if (!later_wanted(h->later))
		return;
	if (h->result < 0) {
		answer_failed(&a, h, h->result);
	} else {
		if (deliveries(h))
			dispatcher_wake(h->dispatcher);
		if (h->draft.kind == EVENT_DEACTIVATED && !h->accepted.duplicate)
			h->daemon.deactivated(h->daemon.arg);
		answer_stored(&a, h);
	}
	later_answer(h->later, &a);
}

static void on_done(struct journal_job *job, int result)
{
	struct handover *h = handover_of(job);

	h->result = result;
	if (!later_post(h->later, h->loop, on_stored, h))
		(void)handover_free(h);
}

/* ---- the beginning ---- */

static int read_draft(struct request *q, struct handover *h, const struct conf_webhook *w)
{
	const struct question *asks = &q->question;
	const struct draft_known known = {
		.entity = asked(asks, ASKS(ENTITY)) ? asks->entity : NULL,
		.id = asks->id,
		.has_id = asked(asks, ASKS(ID)),
		.sequence = asks->sequence,
		.has_sequence = asked(asks, ASKS(SEQUENCE)),
	};
	size_t len = 0;

	h->body = buf_take(&q->body, &len);
	h->draft = (struct draft){
		.conf = site_conf(h->site),
		.webhook = w->title,
		.body = h->body,
		.body_len = len,
		.received_ms = clock_now_ms(),
		.source = (enum event_source)asks->source,
		.verified = true,
	};
	return draft_read(&h->draft, &known);
}

static struct handover *handover_new(struct request *q)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->loop = q->admin->loop;
	h->journal = q->admin->journal;
	h->dispatcher = q->admin->dispatcher;
	h->daemon = q->admin->daemon;
	h->site = site_ref(q->site);
	h->uid = q->uid;
	return h;
}

static void begin(struct request *q, struct handover *h)
{
	struct answer failed = { .status = 0 };
	int r;

	if (later_begin(q, &h->later) < 0) {
		(void)handover_free(h);
		return;
	}
	h->job = (struct journal_job){ .apply = on_apply, .done = on_done };
	r = journal_try(h->journal, &h->job);
	if (r == 0)
		return;
	answer_failed(&failed, h, r);
	later_answer(h->later, &failed);
	(void)handover_free(h);
}

void post_handed(struct request *q)
{
	AUTO(handover) struct handover *h = NULL;
	const struct conf_webhook *w = conf_webhook_find(site_conf(q->site), q->match.name);
	int r;

	if (!w) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no webhook %s", q->match.name);
		return;
	}
	if (!asked(&q->question, ASKS(SOURCE)) || !q->body.len) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "say where it is from (source=recovered or source=refetched), and give the "
			     "callout as the body");
		return;
	}
	h = handover_new(q);
	r = h ? read_draft(q, h, w) : -ENOMEM;
	if (r < 0)
		request_failed(q, r);
	else
		begin(q, TAKE(h));
}
