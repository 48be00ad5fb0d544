/*
 * acting.c - the operator's verbs: reload, retry, drop, hold, release.
 *
 * The request sleeps. Its work goes to the main thread through the loop's mailbox, from there to the
 * journal, and comes back by the mailbox:
 *
 *   on_main()     start the verb: for what is durable, put a job
 *   on_applied()  on the journal thread, committed or refused: back to main
 *   on_after()    another round of at most 1000 deliveries, or the answer
 *
 * Nobody waits for anybody, so there is no giving up and nothing that two threads own: the
 * struct goes from hand to hand. An answer of 200 means committed. While calloutd stops, the
 * mailbox may hand us work after the dispatcher has gone: later_wanted() is false then.
 *
 * Dropping and what runs. The keys of what is under way are taken on the main thread, where the
 * dispatcher starts and settles, in the same visit that queues the job; the journal keeps order.
 * - Under way then: the key is excluded, whether its settling is committed before or behind ours.
 * - Settled before: it is durable before the dispatcher forgets it, so our job sees its state.
 * - Started between our visit and our commit: the delivery is dropped while its first attempt
 *   runs. Settling what is settled writes the attempt's row and changes nothing else, so it stays
 *   dropped, is run this once, and the attempt can be seen: what an operator who drops a
 *   moment too late gets. Each round takes the keys anew, so that moment is one commit long.
 *
 * Retrying needs no such care: it touches settled deliveries only. One that fails again at once
 * may be put back by a later round; rounds are bounded, and "more" says that they were not enough.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define ROUNDS_MAX 10000        /* of up to 1000 deliveries */

struct change;

struct verb {
	const char *name;
	int (*start)(struct change *c);         /* on main, before each job; 0 or -errno */
	int (*apply)(struct store *s, struct change *c);        /* NULL: nothing but a barrier */
	bool rounds;
};

struct change {
	struct journal_job job;
	const struct verb *verb;
	struct later *later;
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	int64_t uid;
	int64_t until_ms;               /* of a hold */
	struct delivery_filter filter;
	char handler[CALLOUT_NAME_MAX + 1];
	struct delivery_key *running;
	size_t running_count;
	unsigned changed;               /* by this round */
	unsigned rounds;
	uint64_t count;                 /* by all of them */
	int result;
};

static struct change *change_free(struct change *c)
{
	(void)later_unref(c->later);
	free(c->running);
	free(c);
	return NULL;
}

static void finish(struct change *c, struct answer *a)
{
	later_answer(c->later, a);
	(void)change_free(c);
}

/* ---- the answer ---- */

static void finish_failed(struct change *c, int result)
{
	struct answer a = { .status = 0 };
	struct journal_status store;

	if (result == -ENOENT) {
		answer_error(&a, MHD_HTTP_NOT_FOUND, "there is no handler %s", c->handler);
		finish(c, &a);
		return;
	}
	journal_status(c->journal, &store);
	answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE, "%s after %llu deliveries: %s", c->verb->name,
		     (unsigned long long)c->count,
		     store.sentence[0] ? store.sentence : strerror(-result));
	request_log(c, c->filter.event, c->handler[0] ? c->handler : NULL, "%s failed: %s",
		    c->verb->name, strerror(-result));
	finish(c, &a);
}

static void finish_done(struct change *c)
{
	AUTO(writer) struct writer w = WRITER_INIT(256);
	const char *handler = c->handler[0] ? c->handler : NULL;
	struct answer a = { .status = 0 };
	char until[CLOCK_TEXT_LEN];

	writer_object(&w, NULL);
	if (c->verb->rounds) {
		writer_uint(&w, "count", c->count);
		if (c->changed)
			writer_bool(&w, "more", true);
		request_log(c, c->filter.event, handler, "%s: %llu deliveries%s", c->verb->name,
			    (unsigned long long)c->count, c->filter.failed_only ? ", failed ones" : "");
	} else {
		request_log(c, 0, handler, "%s%s%s", c->verb->name, c->until_ms ? " until " : "",
			    c->until_ms ? clock_text(c->until_ms, until) : "");
	}
	writer_end(&w);
	answer_json(&a, &w);
	dispatcher_wake(c->dispatcher);
	finish(c, &a);
}

/* ---- the way ---- */

static void on_after(void *arg);

static int on_apply(struct store *s, struct journal_job *job)
{
	struct change *c = (struct change *)job;

	c->changed = 0;
	return c->verb->apply ? c->verb->apply(s, c) : 0;
}

static void on_applied(struct journal_job *job, int result)
{
	struct change *c = (struct change *)job;
	struct answer a = { .status = 0 };

	c->result = result;
	if (loop_post(c->loop, on_after, c) == 0)
		return;
	answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory: try again");
	finish(c, &a);
}

static void on_main(void *arg)
{
	struct change *c = arg;
	int r;

	if (!later_wanted(c->later)) {
		(void)change_free(c);
		return;
	}
	r = c->verb->start(c);
	if (r < 0) {
		finish_failed(c, r);
		return;
	}
	c->rounds++;
	c->job = (struct journal_job){ .apply = on_apply, .done = on_applied };
	journal_put(c->journal, &c->job);
}

static void on_after(void *arg)
{
	struct change *c = arg;

	if (!later_wanted(c->later)) {
		request_log(c, c->filter.event, c->handler[0] ? c->handler : NULL,
			    "%s: cut short, since calloutd stops", c->verb->name);
		(void)change_free(c);
		return;
	}
	if (c->result < 0) {
		finish_failed(c, c->result);
		return;
	}
	c->count += c->changed;
	if (c->changed && c->rounds < ROUNDS_MAX)
		on_main(c);
	else
		finish_done(c);
}

static struct change *change_new(struct request *q, const struct verb *verb)
{
	struct change *c = calloc(1, sizeof(*c));
	const struct question *asks = &q->question;

	if (!c)
		return NULL;
	c->verb = verb;
	c->loop = q->admin->loop;
	c->journal = q->admin->journal;
	c->dispatcher = q->admin->dispatcher;
	c->uid = q->uid;
	c->until_ms = asks->until_ms;
	memcpy(c->handler, q->match.name[0] ? q->match.name : asks->handler, sizeof(c->handler));
	c->filter = (struct delivery_filter){
		.event = asks->event,
		.handler = c->handler[0] ? c->handler : NULL,
		.since_ms = asks->since_ms,
		.failed_only = asks->failed,
	};
	return c;
}

static void begin(struct request *q, const struct verb *verb)
{
	struct answer full = { .status = 0 };
	struct change *c = change_new(q, verb);

	if (!c) {
		request_failed(q, -ENOMEM);
		return;
	}
	if (later_begin(q, &c->later) < 0) {
		(void)change_free(c);
		return;
	}
	if (loop_post(c->loop, on_main, c) == 0)
		return;
	answer_error(&full, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory: try again");
	finish(c, &full);
}

/* ---- retry and drop ---- */

static int find_handler(struct change *c)
{
	AUTO(free) struct handler_view *all = NULL;
	size_t count = 0;
	int r;

	if (!c->handler[0] || c->rounds)
		return 0;
	r = dispatcher_handlers(c->dispatcher, &all, &count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].state.name, c->handler) == 0)
			return 0;
	return -ENOENT;
}

static int apply_retry(struct store *s, struct change *c)
{
	return store_retry(s, &c->filter, clock_now_ms(), &c->changed);
}

static int start_drop(struct change *c)
{
	int r = find_handler(c);

	if (r < 0)
		return r;
	free(c->running);
	c->running = NULL;
	c->running_count = 0;
	return dispatcher_under_way(c->dispatcher, &c->running, &c->running_count);
}

static int apply_drop(struct store *s, struct change *c)
{
	return store_drop(s, &c->filter, clock_now_ms(), c->running, c->running_count, &c->changed);
}

/* An event that is named must be there. */
static bool event_exists(struct request *q)
{
	AUTO(reader) struct reader *r = NULL;
	struct event e;
	int result;

	if (!asked(&q->question, ASKS(EVENT)))
		return true;
	result = admin_reader(q->admin, &r);
	if (result == 0)
		result = reader_event(r, q->question.event, &e);
	if (result == -ENOENT)
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no event %lld",
			     (long long)q->question.event);
	else if (result < 0)
		request_failed(q, result);
	return result == 0;
}

void post_retry(struct request *q)
{
	static const struct verb retry = { "retry", find_handler, apply_retry, true };

	if (!asked(&q->question, ASKS(EVENT)) && !q->question.failed)
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "say which: an event, or \"failed\": true for the dead letters");
	else if (event_exists(q))
		begin(q, &retry);
}

void post_drop(struct request *q)
{
	static const struct verb drop = { "drop", start_drop, apply_drop, true };

	if (!asked(&q->question, ASKS(EVENT) | ASKS(HANDLER)))
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "say which: an event, or a handler");
	else if (event_exists(q))
		begin(q, &drop);
}

/* ---- hold and release: the dispatcher puts the job; ours behind it tells that it is durable ---- */

static int start_hold(struct change *c)
{
	return dispatcher_hold(c->dispatcher, c->handler, c->until_ms);
}

static int start_release(struct change *c)
{
	return dispatcher_release(c->dispatcher, c->handler);
}

void post_hold(struct request *q)
{
	static const struct verb hold = { "hold", start_hold, NULL, false };

	if (asked(&q->question, ASKS(UNTIL)) && q->question.until_ms <= clock_now_ms())
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "until has passed already");
	else
		begin(q, &hold);
}

void post_release(struct request *q)
{
	static const struct verb release = { "release", start_release, NULL, false };

	begin(q, &release);
}

/* ---- reload ---- */

struct reload {
	struct later *later;
	struct admin_daemon daemon;
	int64_t uid;
};

static void answer_reload(struct answer *a, int result, const char *note, const struct error *err)
{
	AUTO(writer) struct writer w = WRITER_INIT(8192);

	if (result < 0) {
		answer_error(a, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", err->text);
		return;
	}
	writer_object(&w, NULL);
	writer_text(&w, "note", note);
	writer_end(&w);
	answer_json(a, &w);
}

static void reload_on_main(void *arg)
{
	struct reload *l = arg;
	struct answer a = { .status = 0 };
	struct error err = { "" };
	char note[512] = "";

	if (later_wanted(l->later)) {
		request_log(l, 0, NULL, "reload");
		answer_reload(&a, l->daemon.reload(l->daemon.arg, note, sizeof(note), &err), note,
			      &err);
		later_answer(l->later, &a);
	}
	(void)later_unref(l->later);
	free(l);
}

void post_reload(struct request *q)
{
	struct reload *l = calloc(1, sizeof(*l));
	struct answer full = { .status = 0 };

	if (!l) {
		request_failed(q, -ENOMEM);
		return;
	}
	l->daemon = q->admin->daemon;
	l->uid = q->uid;
	if (later_begin(q, &l->later) < 0) {
		free(l);
		return;
	}
	if (loop_post(q->admin->loop, reload_on_main, l) == 0)
		return;
	answer_error(&full, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory: try again");
	later_answer(l->later, &full);
	(void)later_unref(l->later);
	free(l);
}
