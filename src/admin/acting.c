/*
 * acting.c - the operator's verbs: reload, retry, drop, hold, release.
 *
 * The request sleeps. Its work goes to the main thread through the loop's mailbox, from there to
 * the journal, and comes back by the mailbox:
 *
 *   on_main()     start the verb and put a job
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
 * - Started later, until we are back on main: the dispatcher has read ahead, so it may start what
 *   our job drops. Settling what is settled writes the attempt's row and changes nothing else:
 *   the delivery stays dropped, is run this once, and the attempt can be seen. That is what an
 *   operator gets who drops a moment too late; the moment is one commit long.
 * - After that: each round ends with dispatcher_store_changed(), which has everything read anew
 *   before anything is started. (dispatcher_wake() may take its time: a release that follows
 *   at once would find dropped deliveries in the window.)
 *
 * Retrying needs no such care: it touches settled deliveries only. All rounds have the moment the
 * request began, and what was settled after it is not put back: nothing is put back twice. Rounds are
 * bounded all the same; "more" says that they were not enough.
 *
 * Holding and releasing takes effect in the dispatcher at once, which writes it later. So that our
 * answer means stored, we write what is in force now; the journal's order makes it newer than
 * what the dispatcher has queued before, and older than what it queues from now on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define ROUNDS_MAX 10000        /* of up to 1000 deliveries */

struct change;

struct verb {
	const char *name;
	int (*start)(struct change *c);         /* on main, before each job; 0 or -errno */
	int (*apply)(struct store *s, struct change *c);        /* on the journal thread */
	bool rounds;                    /* it changes deliveries, 1000 at a time */
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
	struct handler_state condition; /* of a hold or release: what is in force now */
	struct delivery_filter filter;
	char handler[CALLOUT_NAME_MAX + 1];
	char record[CALLOUT_RECORD_MAX];        /* of a release; "all": all of the handler's */
	struct delivery_key *running;
	size_t running_count;
	int64_t now_ms;                 /* when it began */
	unsigned changed;               /* by this round */
	unsigned skipped;               /* in this round: their content has been removed */
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

/* Of a release: NULL means all. */
static const char *record_of(const struct change *c)
{
	return strcmp(c->record, "all") == 0 ? NULL : c->record;
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
	const char *why;

	if (result == -ENOENT || result == -ENODATA) {
		if (result == -ENOENT)
			answer_error(&a, MHD_HTTP_NOT_FOUND, "there is no handler %s", c->handler);
		else
			answer_error(&a, MHD_HTTP_GONE, "the content of event %lld was removed after "
				     "its time: nothing is left to run a handler on",
				     (long long)c->filter.event);
		finish(c, &a);
		return;
	}
	why = unstored_why(c->journal, result, &store);
	if (c->verb->rounds)
		answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE,
			     "%s stopped after %llu deliveries: %s", c->verb->name,
			     (unsigned long long)c->count, why);
	else
		answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE,
			     "%s is in force, but is not stored yet: %s", c->verb->name,
			     why);
	request_log(c, c->filter.event, c->handler[0] ? c->handler : NULL, "%s: %s", c->verb->name,
		    why);
	finish(c, &a);
}

static void finish_done(struct change *c)
{
	AUTO(writer) struct writer w = WRITER_INIT(256);
	const char *handler = c->handler[0] ? c->handler : NULL;
	struct answer a = { .status = 0 };
	char until[CLOCK_TEXT_LEN];

	if (c->record[0] && c->count == 0) {
		answer_error(&a, MHD_HTTP_NOT_FOUND, "handler %s holds %s%s", c->handler,
			     record_of(c) ? "no record " : "no record at all", record_of(c) ? c->record : "");
		finish(c, &a);
		return;
	}
	writer_object(&w, NULL);
	if (c->verb->rounds) {
		writer_uint(&w, "count", c->count);
		if (c->skipped)
			writer_uint(&w, "skipped", c->skipped);
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
	finish(c, &a);
}

/* ---- the way ---- */

static void on_after(void *arg);

static int on_apply(struct store *s, struct journal_job *job)
{
	struct change *c = (struct change *)job;

	c->changed = 0;
	return c->verb->apply(s, c);
}

static void on_applied(struct journal_job *job, int result)
{
	struct change *c = (struct change *)job;

	c->result = result;
	if (!later_post(c->later, c->loop, on_after, c))
		(void)change_free(c);
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
	if (c->changed)
		dispatcher_store_changed(c->dispatcher);
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
	c->now_ms = clock_now_ms();
	c->until_ms = asks->until_ms;
	memcpy(c->handler, q->match.name[0] ? q->match.name : asks->handler, sizeof(c->handler));
	memcpy(c->record, asks->record, sizeof(c->record));
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
	struct change *c = change_new(q, verb);

	if (!c) {
		request_failed(q, -ENOMEM);
		return;
	}
	if (later_begin(q, &c->later) < 0 || !later_post(c->later, c->loop, on_main, c))
		(void)change_free(c);
}

/* A copy of what the dispatcher has in force for this handler. */
static int take_condition(struct change *c)
{
	AUTO(free) struct handler_view *all = NULL;
	size_t count = 0;
	int r = dispatcher_handlers(c->dispatcher, &all, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].state.name, c->handler) != 0)
			continue;
		c->condition = all[i].state;
		return 0;
	}
	return -ENOENT;
}

/* ---- retry and drop ---- */

/* A handler that is named must be there. */
static int find_handler(struct change *c)
{
	return c->handler[0] && !c->rounds ? take_condition(c) : 0;
}

static int apply_retry(struct store *s, struct change *c)
{
	int r = store_retry(s, &c->filter, c->now_ms, &c->changed);

	c->skipped = store_skipped(s);
	return r;
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
	return store_drop(s, &c->filter, c->now_ms, c->running, c->running_count, &c->changed);
}

bool request_event(struct request *q, struct event *ret)
{
	AUTO(reader) struct reader *r = NULL;
	struct event e = { .id = 0 };
	int result;

	if (ret)
		*ret = e;
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
	if (result == 0 && ret)
		*ret = e;
	return result == 0;
}

/* All at once; or, where "after" says from where on, the next step. */
static void again_or(struct request *q, enum again what, const struct verb *whole)
{
	const unsigned steps = ASKS(UNTIL) | ASKS(WEBHOOK) | ASKS(ENTITY) | ASKS(RECORD) | ASKS(SKIP_LATE) | ASKS(DRY_RUN);

	if (asked(&q->question, ASKS(AFTER)))
		again_step(q, what);
	else if (asked(&q->question, steps))
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "this goes in steps: give \"after\" too, first 0, then the last answer's \"next\"");
	else
		begin(q, whole);
}

void post_retry(struct request *q)
{
	static const struct verb retry = { "retry", find_handler, apply_retry, true };

	if (!asked(&q->question, ASKS(EVENT)) && !q->question.failed)
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "say which: an event, or \"failed\": true for the dead letters");
	else if (request_event(q, NULL))
		again_or(q, AGAIN_RETRY, &retry);
}

void post_drop(struct request *q)
{
	static const struct verb drop = { "drop", start_drop, apply_drop, true };

	if (!asked(&q->question, ASKS(EVENT) | ASKS(HANDLER)))
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "say which: an event, or a handler");
	else if (request_event(q, NULL))
		again_or(q, AGAIN_DROP, &drop);
}

/* ---- hold and release ---- */

static int apply_condition(struct store *s, struct change *c)
{
	int r = store_handler(s, c->condition.name, &c->condition.handler);

	return r < 0 ? r : store_handler_condition(s, &c->condition);
}

static int start_hold(struct change *c)
{
	int r = dispatcher_hold(c->dispatcher, c->handler, c->until_ms);

	return r < 0 ? r : take_condition(c);
}

static int start_release(struct change *c)
{
	int r = dispatcher_release(c->dispatcher, c->handler);

	return r < 0 ? r : take_condition(c);
}

void post_hold(struct request *q)
{
	static const struct verb hold = { "hold", start_hold, apply_condition, false };

	if (asked(&q->question, ASKS(UNTIL)) && q->question.until_ms <= clock_now_ms())
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "until has passed already");
	else
		begin(q, &hold);
}

/* ---- records that are held ---- */

static int start_let_go(struct change *c)
{
	return c->rounds ? 0 : dispatcher_let_go(c->dispatcher, c->handler, record_of(c));
}

static int apply_let_go(struct store *s, struct change *c)
{
	return store_let_go(s, c->handler, record_of(c), c->now_ms, &c->changed);
}

void post_release(struct request *q)
{
	static const struct verb release = { "release", start_release, apply_condition, false };
	static const struct verb let_go = { "release of records", start_let_go, apply_let_go, true };

	begin(q, asked(&q->question, ASKS(RECORD)) ? &let_go : &release);
}

/* ---- reload ---- */

struct reload {
	struct later *later;
	struct admin_daemon daemon;
	int64_t uid;
};

static void reload_free(struct reload *l)
{
	(void)later_unref(l->later);
	free(l);
}

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
	reload_free(l);
}

void post_reload(struct request *q)
{
	struct reload *l = calloc(1, sizeof(*l));

	if (!l) {
		request_failed(q, -ENOMEM);
		return;
	}
	l->daemon = q->admin->daemon;
	l->uid = q->uid;
	if (later_begin(q, &l->later) < 0 || !later_post(l->later, q->admin->loop, reload_on_main, l))
		reload_free(l);
}
