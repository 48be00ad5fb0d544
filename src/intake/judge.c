/* judge.c - from a whole request to a verdict. */
#include "base/clock.h"
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
	q->draft.verified = r == 1;
	q->draft.signed_by = r == 1 ? q->match.position : 0;
	return r;
}

/* ---- the two paths ---- */

static int read_body(struct request *q, const char *method)
{
	struct draft *d = &q->draft;
	int r;

	d->conf = q->view->conf;
	d->webhook = q->hook->conf->title;
	d->body = body_of(q);
	d->body_len = q->body.len;
	d->source = SOURCE_LIVE;
	r = q->path == HOOK_DEACTIVATION ? draft_read_notice(d) : draft_read(d, NULL);
	if (r == 0 && (d->kind == EVENT_DEACTIVATED || q->path == HOOK_DEACTIVATION))
		r = heads_text(q->connection, method, q->query, &q->headers);
	return r;
}

enum verdict judge(struct request *q, const char *method)
{
	int r = verify(q);

	q->draft.received_ms = clock_now_ms();
	if (r == 0 && q->path == HOOK_CALLOUT)
		return VERDICT_SIGNATURE;
	q->detail = NULL;
	if (r > 0 && q->probe[0] && q->path == HOOK_CALLOUT && probe_is_body(q->probe, body_of(q), q->body.len))
		return VERDICT_PROBE;
	if (r >= 0)
		r = read_body(q, method);
	if (r < 0) {
		q->result = r;
		return VERDICT_UNAVAILABLE;
	}
	if (!q->draft.verified && clock_mono_ms() < atomic_load(&q->tally->noted_until_ms))
		return VERDICT_NOTED;
	record_prepare(q);
	return VERDICT_NONE;
}
