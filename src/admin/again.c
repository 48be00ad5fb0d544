/*
 * again.c - one step of a retry, drop or replay: counted only, or carried out.
 *
 * The caller goes on from "next" until there is none, so that a hundred thousand events are many small
 * requests, each a few commits, and whoever runs it knows how far it is. What is picked is picked here, on the
 * request's thread; then the request sleeps:
 *
 *   on_main()     let the handler of a replay start nothing for the moment; take what runs, for a drop
 *   on_applied()  on the journal thread, committed or refused: back to main
 *   on_after()    another round if the journal has done a part only, or the answer
 *
 * What acting.c says about dropping and what runs is true here, too. A replay's handler starts nothing until
 * the last step is stored, or for REPLAYING_MS more after one: so of a record whatever comes meanwhile
 * stays behind what is still to be laid out, and a caller that dies holds nothing up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/shown.h"
#include "again.h"
#include "base/clock.h"

#define REPLAYING_MS 10000

static const char *const names[] = {
	[AGAIN_RETRY] = "retry",
	[AGAIN_DROP] = "drop",
	[AGAIN_REPLAY] = "replay",
};

struct step {
	struct journal_job job;
	struct later *later;
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	int64_t uid;
	enum again what;
	bool failed_only, settled;
	int64_t event;                          /* that was named; 0: none */
	char handler[CALLOUT_NAME_MAX + 1];     /* that was named; "" */
	struct again_picks picks;
	bool *acted;
	size_t from, seen;                      /* of the keys: this round begins at, and has seen */
	struct delivery_key *running;
	size_t running_count;
	int64_t now_ms;
	int result;
};

static struct step *step_free(struct step *s)
{
	if (!s)
		return NULL;
	(void)later_unref(s->later);
	again_picks_release(&s->picks);
	free(s->acted);
	free(s->running);
	free(s);
	return NULL;
}
AUTO_DEFINE(step, struct step *, step_free)

/* ---- the answer ---- */

static void finish(struct step *s, struct answer *a)
{
	later_answer(s->later, a);
	(void)step_free(s);
}

static void write_step(const struct step *s, struct answer *a)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);

	writer_object(&w, NULL);
	again_tally_write(&s->picks.tally, &w);
	writer_uint(&w, "no_body", s->picks.no_body);
	writer_uint(&w, "late", s->picks.late);
	shown_int(&w, "next", s->picks.next != 0, s->picks.next);
	writer_end(&w);
	answer_json(a, &w);
}

static void finish_failed(struct step *s, int result)
{
	struct answer a = { .status = 0 };
	struct journal_status store;

	if (result == -E2BIG)
		answer_error(&a, MHD_HTTP_CONFLICT, "handler %s has so much waiting before event %lld that the order "
			     "of records cannot be kept: let it catch up first (calloutctl status)", s->handler,
			     (long long)s->picks.keys[s->picks.count - 1].event);
	if (result == -ENOENT)
		answer_error(&a, MHD_HTTP_NOT_FOUND, "there is no handler %s", s->handler);
	if (!a.status)
		answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE, "%s stopped: %s", names[s->what],
			     unstored_why(s->journal, result, &store));
	finish(s, &a);
}

static void log_done(const struct step *s, const char *more)
{
	request_log(s, s->event, s->handler[0] ? s->handler : NULL, "%s: %llu deliveries%s%s", names[s->what],
		    (unsigned long long)again_tally_sum(&s->picks.tally), s->failed_only ? ", failed ones" : "", more);
}

static void finish_done(struct step *s)
{
	struct answer a = { .status = 0 };

	if (again_tally_sum(&s->picks.tally) || !s->picks.next)
		log_done(s, s->picks.next ? ", and more to come" : "");
	write_step(s, &a);
	finish(s, &a);
}

/* ---- the way ---- */

static struct step *step_of(struct journal_job *job)
{
	return (struct step *)(void *)job;
}

static int on_apply(struct store *store, struct journal_job *job)
{
	struct step *s = step_of(job);
	const struct again_step a = {
		.what = s->what,
		.keys = s->picks.keys + s->from,
		.count = s->picks.count - s->from,
		.handler = s->handler,
		.failed_only = s->failed_only,
		.settled = s->settled,
		.running = s->running,
		.running_count = s->running_count,
		.now_ms = s->now_ms,
	};

	return store_again(store, &a, s->acted + s->from, &s->seen);
}

static void on_after(void *arg);

static void on_applied(struct journal_job *job, int result)
{
	struct step *s = step_of(job);

	s->result = result;
	if (!later_post(s->later, s->loop, on_after, s))
		(void)step_free(s);
}

static int start(struct step *s)
{
	if (s->what == AGAIN_REPLAY)
		return dispatcher_replaying(s->dispatcher, s->handler, REPLAYING_MS);
	if (s->what != AGAIN_DROP)
		return 0;
	free(s->running);
	s->running = NULL;
	s->running_count = 0;
	return dispatcher_under_way(s->dispatcher, &s->running, &s->running_count);
}

static void on_main(void *arg)
{
	struct step *s = arg;
	int r;

	if (!later_wanted(s->later)) {
		(void)step_free(s);
		return;
	}
	r = start(s);
	if (r < 0) {
		finish_failed(s, r);
		return;
	}
	s->job = (struct journal_job){ .apply = on_apply, .done = on_applied };
	journal_put(s->journal, &s->job);
}

static void count_round(struct step *s)
{
	for (size_t i = s->from; i < s->from + s->seen; i++)
		s->picks.tally.shares[s->picks.shares[i]].count += s->acted[i];
	s->from += s->seen;
}

static void on_after(void *arg)
{
	struct step *s = arg;
	bool over;

	if (s->result == 0)
		count_round(s);
	if (!later_wanted(s->later)) {
		log_done(s, ", cut short since calloutd stops");
		(void)step_free(s);
		return;
	}
	over = s->result < 0 || s->from == s->picks.count;
	if (s->seen)
		dispatcher_store_changed(s->dispatcher);
	if (s->what == AGAIN_REPLAY && over && (s->result < 0 || !s->picks.next))
		(void)dispatcher_replaying(s->dispatcher, s->handler, 0);
	s->seen = 0;
	if (s->result < 0)
		finish_failed(s, s->result);
	else if (over)
		finish_done(s);
	else
		on_main(s);
}

/* ---- the beginning ---- */

struct running_question {
	struct dispatcher *dispatcher;
	struct delivery_key *keys;
	size_t count;
	int result;
};

static void ask_running(void *arg)
{
	struct running_question *a = arg;

	a->result = dispatcher_under_way(a->dispatcher, &a->keys, &a->count);
}

/* What a drop would leave alone, as far as can be told now. */
static int take_running(struct request *q, struct step *s)
{
	struct running_question a = { .dispatcher = q->admin->dispatcher };
	int r = s->what == AGAIN_DROP ? admin_ask(q->admin, ask_running, &a) : 0;

	if (r < 0)
		return r;
	s->running = a.keys;
	s->running_count = a.count;
	return a.result;
}

static int pick(struct request *q, struct step *s, const struct conf_handler *h)
{
	AUTO(reader) struct reader *r = NULL;
	struct again_question a = { .what = s->what, .asks = &q->question, .handler = h };
	int result = take_running(q, s);

	if (result == 0)
		result = admin_reader(q->admin, &r);
	if (result < 0)
		return result;
	a.running = s->running;
	a.running_count = s->running_count;
	result = again_pick(r, &a, &s->picks);
	if (result < 0)
		return result;
	s->acted = calloc(s->picks.count + 1, sizeof(*s->acted));
	return s->acted ? 0 : -ENOMEM;
}

static struct step *step_new(struct request *q, enum again what)
{
	const struct question *asks = &q->question;
	struct step *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = q->admin->loop;
	s->journal = q->admin->journal;
	s->dispatcher = q->admin->dispatcher;
	s->uid = q->uid;
	s->what = what;
	s->failed_only = asks->failed;
	s->settled = asks->again;
	s->event = asks->event;
	s->now_ms = clock_now_ms();
	memcpy(s->handler, asks->handler, sizeof(s->handler));
	return s;
}

/* Counted only: everything picked is what would be done. */
static void answer_dry(struct request *q, struct step *s)
{
	for (size_t i = 0; i < s->picks.count; i++)
		s->picks.tally.shares[s->picks.shares[i]].count++;
	write_step(s, &q->answer);
}

static void begin(struct request *q, struct step *s)
{
	if (later_begin(q, &s->later) < 0 || !later_post(s->later, s->loop, on_main, s))
		(void)step_free(s);
}

static void take_step(struct request *q, enum again what, const struct conf_handler *h)
{
	AUTO(step) struct step *s = step_new(q, what);
	int r = s ? 0 : -ENOMEM;

	question_normalise(&q->question);
	if (r == 0)
		r = pick(q, s, h);
	if (r < 0)
		request_failed(q, r);
	else if (q->question.dry_run)
		answer_dry(q, s);
	else
		begin(q, TAKE(s));
}

/* A handler that is named must be there, or have been. */
static bool handler_known(struct request *q)
{
	AUTO(picture) struct picture p = { .admin = NULL };
	int r;

	if (!asked(&q->question, ASKS(HANDLER)))
		return true;
	r = picture_take(q->admin, false, &p);
	if (r < 0) {
		request_failed(q, r);
		return false;
	}
	for (size_t i = 0; i < p.handler_count; i++)
		if (strcmp(p.handlers[i].state.name, q->question.handler) == 0)
			return true;
	answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no handler %s", q->question.handler);
	return false;
}

void again_step(struct request *q, enum again what)
{
	if (handler_known(q))
		take_step(q, what, NULL);
}

void post_replay(struct request *q)
{
	AUTO(site) struct site *site = NULL;
	const struct conf_handler *h;
	const unsigned needed = ASKS(HANDLER) | ASKS(SINCE) | ASKS(AFTER);
	int r;

	if ((q->question.given & needed) != needed) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "say which handler, since when, and after which event (first 0, then the last answer's \"next\")");
		return;
	}
	r = admin_site(q->admin, &site);
	if (r < 0) {
		request_failed(q, r);
		return;
	}
	h = conf_handler_find(site_conf(site), q->question.handler);
	if (h)
		take_step(q, AGAIN_REPLAY, h);
	else
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no handler %s in the configuration in force",
			     q->question.handler);
}
