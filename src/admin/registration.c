/*
 * registration.c - what a webhook is at Autotask, told by calloutctl.
 *
 * Kept in the store first, then given to intake: what is compared with is what the next start
 * compares with. Two told at the same time: the journal's order is the order of both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

struct telling {
	struct journal_job job;
	struct later *later;
	struct loop *loop;
	struct journal *journal;
	struct intake *intake;
	struct registration registration;
	int64_t uid;
	int result;
};

static void telling_free(struct telling *t)
{
	(void)later_unref(t->later);
	free(t);
}

static void answer_unstored(struct answer *a, struct journal *j, int result)
{
	struct journal_status store;

	answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "not stored: %s", unstored_why(j, result, &store));
}

static void answer_stored(struct answer *a, struct telling *t)
{
	AUTO(writer) struct writer w = WRITER_INIT(64);
	const struct log_ctx ctx = { .webhook = t->registration.webhook, .reason = "operator", .uid = t->uid,
				     .uid_set = 1 };

	(void)intake_register(t->intake, &t->registration);     /* not configured any more: kept all the same */
	log_info(&ctx, "registered: Guid %s, id %lld at Autotask", t->registration.guid,
		 (long long)t->registration.id);
	writer_object(&w, NULL);
	writer_end(&w);
	answer_json(a, &w);
}

static int on_apply(struct store *s, struct journal_job *job)
{
	return store_registration(s, &((struct telling *)(void *)job)->registration);
}

/* On the main thread, where intake is known to be there. */
static void on_stored(void *arg)
{
	struct telling *t = arg;
	struct answer a = { .status = 0 };

	if (later_wanted(t->later)) {
		if (t->result < 0)
			answer_unstored(&a, t->journal, t->result);
		else
			answer_stored(&a, t);
		later_answer(t->later, &a);
	}
	telling_free(t);
}

static void on_done(struct journal_job *job, int result)
{
	struct telling *t = (struct telling *)(void *)job;

	t->result = result;
	if (!later_post(t->later, t->loop, on_stored, t))
		telling_free(t);
}

static void begin(struct request *q)
{
	struct telling *t = calloc(1, sizeof(*t));

	if (!t) {
		request_failed(q, -ENOMEM);
		return;
	}
	t->loop = q->admin->loop;
	t->journal = q->admin->journal;
	t->intake = q->admin->intake;
	t->uid = q->uid;
	t->registration.id = q->question.id;
	memcpy(t->registration.webhook, q->match.name, sizeof(t->registration.webhook));
	memcpy(t->registration.guid, q->question.guid, sizeof(t->registration.guid));
	if (later_begin(q, &t->later) < 0) {
		telling_free(t);
		return;
	}
	t->job = (struct journal_job){ .apply = on_apply, .done = on_done };
	journal_put(t->journal, &t->job);
}

void post_registration(struct request *q)
{
	const unsigned needed = ASKS(GUID) | ASKS(ID);
	AUTO(site) struct site *site = NULL;
	int r;

	if ((q->question.given & needed) != needed) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "say both: \"guid\" and \"id\" of the webhook at Autotask");
		return;
	}
	if (q->question.id < 1) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "id must be from 1");
		return;
	}
	r = admin_site(q->admin, &site);
	if (r < 0)
		request_failed(q, r);
	else if (!conf_webhook_find(site_conf(site), q->match.name))
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no webhook %s", q->match.name);
	else
		begin(q);
}
