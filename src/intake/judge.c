/* judge.c - from a whole request to a verdict. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

/* An empty body has no memory of its own. */
static const char *body_of(const struct request *q)
{
	return q->body.len ? q->body.data : "";
}

/*
 * 1: signed; 0: not, and why is in q->detail (for our log: the answer is the same
 * whatever was wrong); -errno: could not be decided.
 */
static int verify(struct request *q)
{
	uint8_t mac[SIGNATURE_LEN];
	int r;

	if (q->signatures != 1) {
		q->detail = q->signatures ? "more than one signature header" : "no signature header";
		return 0;
	}
	if (signature_parse(q->signature, mac) < 0) {
		q->detail = "the signature header has another form than sha1=BASE64";
		return 0;
	}
	r = signature_verify(q->hook->keys, mac, body_of(q), q->body.len, &q->match);
	if (r == 0)
		q->detail = "no secret matches the signature";
	q->verified = r == 1;
	return r;
}

/* ---- handlers ---- */

static void log_match(const struct request *q, const struct conf_handler *h, enum match m, size_t condition)
{
	const struct log_ctx ctx = { .webhook = q->hook->conf->title, .handler = h->title, .reason = "match" };
	char text[128];

	log_debug(&ctx, "%s: %s", q->record, match_text(m, h, condition, text, sizeof(text)));
}

static int match(struct request *q)
{
	const struct conf *c = q->view->conf;
	bool debug = c->log_level >= LOG_DEBUG;

	if (!c->handler_count)
		return 0;
	q->handlers = calloc(c->handler_count, sizeof(*q->handlers));
	if (!q->handlers)
		return -ENOMEM;
	for (size_t i = 0; i < c->handler_count; i++) {
		const struct conf_handler *h = &c->handlers[i];
		size_t condition = 0;
		enum match m = match_handler(h, q->hook->conf->title, &q->callout, &condition);

		if (m == MATCH_YES)
			q->handlers[q->handler_count++] = h->title;
		if (debug)
			log_match(q, h, m, condition);
	}
	return 0;
}

/* ---- the two paths ---- */

static bool is_replayed(const struct request *q)
{
	return q->callout.has_time &&
	       store_key_too_old(q->callout.time_ms, q->received_ms, q->view->conf->keep_keys_ms);
}

static void understand(struct request *q)
{
	q->kind = EVENT_ORDINARY;
	if (callout_parse(body_of(q), q->body.len, &q->callout, &q->why) < 0) {
		q->kind = EVENT_QUARANTINED;
	} else if (is_replayed(q)) {
		q->kind = EVENT_QUARANTINED;
		q->why = "EventTime is older than repetitions are recognised (keep-keys): a recording?";
	} else if (strcmp(q->callout.action, "deactivated") == 0) {
		q->kind = EVENT_DEACTIVATED;
	}
}

/* A stranger's text must not look like a record of somebody's: only what a notice has is taken from it. */
static void understand_notice(struct request *q)
{
	struct callout said = { .has_id = false };

	q->kind = EVENT_DEACTIVATED;
	if (callout_parse(body_of(q), q->body.len, &said, &q->why) == -EBADMSG)
		said = (struct callout){ .has_id = false };
	q->why = NULL;
	if (q->verified) {
		q->callout = said;
		if (is_replayed(q)) {
			q->kind = EVENT_QUARANTINED;
			q->why = "EventTime is older than repetitions are recognised (keep-keys): a recording?";
			return;
		}
	} else {
		memcpy(q->callout.guid, said.guid, sizeof(said.guid));
		memcpy(q->callout.time, said.time, sizeof(said.time));
		q->callout.time_ms = said.time_ms;
		q->callout.has_time = said.has_time;
	}
	memcpy(q->callout.action_raw, said.action_raw, sizeof(said.action_raw));
	memcpy(q->callout.action, "deactivated", sizeof("deactivated"));
}

static int complete(struct request *q, const char *method)
{
	int r = 0;

	(void)callout_record(&q->callout, q->hook->conf->title, q->record);
	if (q->kind == EVENT_DEACTIVATED || q->path == HOOK_DEACTIVATION)
		r = heads_text(q->connection, method, q->query, &q->headers);
	if (r == 0 && q->kind != EVENT_QUARANTINED)
		r = match(q);
	if (r == 0 && q->verified)
		r = callout_key(&q->callout, q->hook->conf->title, true, body_of(q), q->body.len, q->key,
				&q->key_ms);
	return r;
}

enum verdict judge(struct request *q, const char *method)
{
	int r = verify(q);

	q->received_ms = clock_now_ms();
	if (r == 0 && q->path == HOOK_CALLOUT)
		return VERDICT_SIGNATURE;
	q->detail = NULL;
	if (r >= 0) {
		if (q->path == HOOK_DEACTIVATION)
			understand_notice(q);
		else
			understand(q);
		r = complete(q, method);
	}
	if (r < 0) {
		q->result = r;
		return VERDICT_UNAVAILABLE;
	}
	if (!q->verified && clock_mono_ms() < atomic_load(&q->tally->noted_until_ms))
		return VERDICT_NOTED;
	record_prepare(q);
	return VERDICT_NONE;
}
