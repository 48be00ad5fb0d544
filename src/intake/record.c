/*
 * record.c - from a verdict to the journal, and back.
 *
 * The job lives inside the request, and a request lives until libmicrohttpd has ended it,
 * which it cannot while the connection is suspended: so nothing needs to be copied, also
 * when the client is gone in the meantime.
 */
#include <errno.h>

#include "base/clock.h"
#include "private.h"

static struct request *request_of(struct journal_job *job)
{
	return (struct request *)((char *)job - offsetof(struct request, job));
}

/*
 * Unverified notices: one a minute. The first of a group is written, the others of
 * that group wait for its outcome; `noting` is this thread's.
 */
static bool is_covered(struct request *q)
{
	if (q->draft.verified || q->path != HOOK_DEACTIVATION)
		return false;
	if (clock_mono_ms() < atomic_load(&q->tally->noted_until_ms))
		return true;
	if (q->tally->noting && q->tally->noting != q)
		return true;
	q->tally->noting = q;
	return false;
}

static int on_apply(struct store *s, struct journal_job *job)
{
	struct request *q = request_of(job);

	q->verdict = VERDICT_NOTED;
	if (is_covered(q))
		return 0;
	q->verdict = VERDICT_STORED;
	return draft_accept(&q->draft, s, q->client, q->headers.len ? q->headers.data : NULL, &q->accepted);
}

/* Durable now, or not: what does that make of it? */
static void conclude(struct request *q, int result)
{
	struct tally *y = q->tally;
	int64_t now_ms = clock_mono_ms();

	if (y->noting == q) {
		y->noting = NULL;
		if (result == 0)
			atomic_store(&y->noted_until_ms, now_ms + TALLY_NOTICE_MS);
	} else if (result == 0 && q->verdict == VERDICT_NOTED && now_ms >= atomic_load(&y->noted_until_ms)) {
		result = -EAGAIN;       /* the notice it relied on was not written */
	}
	q->result = result;
	if (result < 0)
		q->verdict = VERDICT_UNAVAILABLE;
	else if (q->verdict == VERDICT_STORED && q->accepted.duplicate)
		q->verdict = VERDICT_DUPLICATE;
	else if (q->verdict == VERDICT_STORED && q->draft.kind == EVENT_QUARANTINED)
		q->verdict = VERDICT_QUARANTINED;
	else if (q->verdict == VERDICT_STORED && q->draft.kind == EVENT_DEACTIVATED)
		q->verdict = VERDICT_DEACTIVATED;
}

static void tell(struct intake *in, const struct request *q)
{
	bool stored = q->draft.handler_count && (q->verdict == VERDICT_STORED || q->verdict == VERDICT_DEACTIVATED);

	if (!stored && q->verdict != VERDICT_DEACTIVATED)
		return;
	(void)pthread_mutex_lock(&in->stored_lock);
	if (stored && in->stored)
		in->stored(in->arg);
	if (q->verdict == VERDICT_DEACTIVATED && in->deactivated)
		in->deactivated(in->arg);
	(void)pthread_mutex_unlock(&in->stored_lock);
}

/* After the resumption the request may be gone: that is the last thing done. */
static void on_done(struct journal_job *job, int result)
{
	struct request *q = request_of(job);

	conclude(q, result);
	tell(q->in, q);
	MHD_resume_connection(q->connection);
}

void record_prepare(struct request *q)
{
	q->job = (struct journal_job){ .apply = on_apply, .done = on_done };
}

bool record_submit(struct request *q)
{
	struct intake *in = q->in;
	int r = -ESHUTDOWN;

	(void)pthread_mutex_lock(&in->lock);
	if (in->journal) {
		/* Suspended first: the outcome may be there before journal_try() returns. */
		atomic_fetch_add(&in->suspended, 1);
		q->suspended = true;
		MHD_suspend_connection(q->connection);
		r = journal_try(in->journal, &q->job);
	}
	(void)pthread_mutex_unlock(&in->lock);
	if (r == 0)
		return true;
	q->result = r;
	q->verdict = VERDICT_UNAVAILABLE;
	if (q->suspended)
		MHD_resume_connection(q->connection);
	return q->suspended;
}
