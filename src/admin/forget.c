/*
 * forget.c - removing what is kept of one record's content.
 *
 * The way is that of acting.c: from the main thread to the journal and back, a small step each time, so
 * that callouts are stored in between:
 *
 *   look for its events; refuse if something of it runs, or waits and may not be dropped
 *   drop what waits; the dispatcher reads anew
 *   remove bodies, headers, outputs
 *   remove captured requests and the copies that upgrades left
 *   have the journal overwrite what is left in pages and WAL, until it has
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "callout/entity.h"
#include "private.h"

enum stage { STAGE_STORE, STAGE_FILES, STAGE_SCRUB, STAGE_WAIT, STAGE_END };

struct forgetting {
	struct journal_job job;
	struct later *later;
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	struct captures *captures;
	int64_t uid;
	struct forget f;
	char entity[CALLOUT_NAME_MAX + 1];
	bool drop;
	enum stage stage;
	struct delivery_key *running;
	unsigned captured, copies;
	uint64_t cleaned;
	bool scrubbing;
	int result, scrub_result;
};

static void forgetting_free(struct forgetting *t)
{
	(void)later_unref(t->later);
	forget_release(&t->f);
	free(t->running);
	free(t);
}

static void finish(struct forgetting *t, struct answer *a)
{
	later_answer(t->later, a);
	forgetting_free(t);
}

/* ---- answers ---- */

__attribute__((format(printf, 3, 4)))
static void refuse(struct forgetting *t, unsigned status, const char *fmt, ...)
{
	struct answer a = { .status = 0 };
	char text[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	request_log(t, 0, NULL, "forget %s/%lld: %s", callout_loggable(t->entity), (long long)t->f.id, text);
	answer_error(&a, status, "%s", text);
	finish(t, &a);
}

static void refuse_failed(struct forgetting *t, int result)
{
	struct journal_status store;

	refuse(t, MHD_HTTP_SERVICE_UNAVAILABLE, "forgetting was cut short, nothing is certain: repeat it (%s)",
	       result == -EBUSY ? "somebody reads the database and does not let go of it" :
	       unstored_why(t->journal, result, &store));
}

static void finish_done(struct forgetting *t)
{
	AUTO(writer) struct writer w = WRITER_INIT(2048);
	const struct forget_progress *p = &t->f.now;
	struct answer a = { .status = 0 };
	char record[CALLOUT_RECORD_MAX];

	(void)snprintf(record, sizeof(record), "%s/%lld", t->entity, (long long)t->f.id);
	request_log(t, 0, NULL, "forget %s%s: %zu events, %u bodies, %u headers, %u outputs, %u outputs of common runs, %u captures, "
		    "%u copies of the database, %u deliveries dropped", callout_loggable(record), t->f.dry ? " (dry run)" : "", p->events, p->bodies,
		    p->headers, p->outputs, p->shared, t->captured, t->copies, p->dropped);
	writer_object(&w, NULL);
	writer_text(&w, "record", record);
	writer_bool(&w, "dry_run", t->f.dry);
	writer_uint(&w, "events", p->events);
	writer_uint(&w, "waiting", p->waiting);
	writer_uint(&w, "running", p->running);
	writer_uint(&w, "dropped", p->dropped);
	writer_uint(&w, "bodies", p->bodies);
	writer_uint(&w, "headers", p->headers);
	writer_uint(&w, "outputs", p->outputs);
	writer_uint(&w, "shared_outputs", p->shared);
	writer_uint(&w, "captures", t->captured);
	writer_uint(&w, "copies", t->copies);
	writer_uint(&w, "leftovers", t->cleaned);
	writer_end(&w);
	answer_json(&a, &w);
	finish(t, &a);
}

/* ---- on the journal's thread ---- */

static int remove_files(struct forgetting *t, struct store *s)
{
	int r = captures_forget(t->captures, t->entity, t->f.id, t->f.dry, &t->captured);

	return r < 0 ? r : store_copies_forget(s, t->f.dry, &t->copies);
}

static int on_apply(struct store *s, struct journal_job *job)
{
	struct forgetting *t = (struct forgetting *)(void *)job;

	switch (t->stage) {
	case STAGE_STORE:
		return store_forget(s, &t->f);
	case STAGE_FILES:
		return remove_files(t, s);
	case STAGE_SCRUB:
		store_scrub(s);
		t->scrubbing = true;
		return 0;
	default:
		t->scrubbing = store_scrubbing(s);
		t->scrub_result = store_scrubbed(s, &t->cleaned);
		return 0;
	}
}

/* ---- on the main thread ---- */

/* Of what was found something is under way. */
static unsigned under_way(const struct forgetting *t)
{
	unsigned count = 0;

	for (size_t i = 0; i < t->f.running_count; i++)
		for (size_t k = 0; k < t->f.now.events; k++)
			if (t->running[i].event == t->f.events[k])
				count++;
	return count;
}

/* What follows; false: it was the end, and t is gone. */
static bool decide_store(struct forgetting *t)
{
	struct forget_progress *p = &t->f.now;

	switch (p->phase) {
	case FORGET_FOUND:
		if (p->running && !t->f.dry) {
			refuse(t, MHD_HTTP_CONFLICT, "%u deliveries of it are running: try again when they have ended", p->running);
			return false;
		}
		if (p->waiting && !t->drop && !t->f.dry) {
			refuse(t, MHD_HTTP_CONFLICT, "%u deliveries of it wait: let them end, or have them dropped (--drop-waiting)",
			       p->waiting);
			return false;
		}
		p->phase = p->waiting && !t->f.dry ? FORGET_DROP : FORGET_REMOVE;
		return true;
	case FORGET_DROPPED:
		dispatcher_store_changed(t->dispatcher);
		p->phase = FORGET_REMOVE;
		return true;
	case FORGET_REMOVED:
		if (p->busy) {
			refuse(t, MHD_HTTP_CONFLICT, "deliveries of %u of its events wait or run again since it began: try again", p->busy);
			return false;
		}
		t->stage = STAGE_FILES;
		return true;
	default:
		return true;
	}
}

static bool decide(struct forgetting *t)
{
	switch (t->stage) {
	case STAGE_STORE:
		t->f.now = t->f.then;
		return decide_store(t);
	case STAGE_FILES:
		t->stage = t->f.dry ? STAGE_END : STAGE_SCRUB;
		return true;
	case STAGE_SCRUB:
		t->stage = STAGE_WAIT;
		return true;
	default:
		if (!t->scrubbing)
			t->stage = STAGE_END;
		return true;
	}
}

static void on_after(void *arg);

static void on_done(struct journal_job *job, int result)
{
	struct forgetting *t = (struct forgetting *)(void *)job;

	t->result = result;
	if (!later_post(t->later, t->loop, on_after, t))
		forgetting_free(t);
}

static void on_main(void *arg)
{
	struct forgetting *t = arg;
	int r;

	if (!later_wanted(t->later)) {
		forgetting_free(t);
		return;
	}
	free(t->running);
	t->running = NULL;
	t->f.running_count = 0;
	r = dispatcher_under_way(t->dispatcher, &t->running, &t->f.running_count);
	if (r < 0) {
		refuse_failed(t, r);
		return;
	}
	t->f.running = t->running;
	if (t->f.now.phase == FORGET_REMOVE && t->stage == STAGE_STORE && !t->f.dry && under_way(t)) {
		refuse(t, MHD_HTTP_CONFLICT, "a delivery of it has been started meanwhile: try again when it has ended");
		return;
	}
	t->job = (struct journal_job){ .apply = on_apply, .done = on_done };
	journal_put(t->journal, &t->job);
}

static void on_after(void *arg)
{
	struct forgetting *t = arg;

	if (!later_wanted(t->later)) {
		request_log(t, 0, NULL, "forget %s/%lld: cut short, since calloutd stops: repeat it", callout_loggable(t->entity), (long long)t->f.id);
		forgetting_free(t);
		return;
	}
	if (t->result < 0) {
		refuse_failed(t, t->result);
		return;
	}
	if (!decide(t))
		return;
	if (t->stage != STAGE_END)
		on_main(t);
	else if (t->scrub_result < 0)
		refuse_failed(t, t->scrub_result);
	else
		finish_done(t);
}

static struct forgetting *forgetting_new(struct request *q)
{
	struct forgetting *t = calloc(1, sizeof(*t));
	const struct question *asks = &q->question;
	const char *name = entity_canonical(asks->entity, strlen(asks->entity));

	if (!t)
		return NULL;
	t->loop = q->admin->loop;
	t->journal = q->admin->journal;
	t->dispatcher = q->admin->dispatcher;
	t->captures = q->admin->captures;
	t->uid = q->uid;
	t->drop = asks->drop_waiting;
	(void)snprintf(t->entity, sizeof(t->entity), "%s", name ? name : asks->entity);
	t->f = (struct forget){ .entity = t->entity, .id = asks->id, .dry = asks->dry_run, .now_ms = clock_now_ms() };
	return t;
}

void post_forget(struct request *q)
{
	const unsigned needed = ASKS(ENTITY) | ASKS(ID);
	struct forgetting *t;

	if ((q->question.given & needed) != needed) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "say which record: \"entity\" and \"id\"");
		return;
	}
	t = forgetting_new(q);
	if (!t) {
		request_failed(q, -ENOMEM);
		return;
	}
	if (later_begin(q, &t->later) < 0 || !later_post(t->later, t->loop, on_main, t))
		forgetting_free(t);
}
