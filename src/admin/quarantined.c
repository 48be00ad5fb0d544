/*
 * quarantined.c - one step of reading quarantined events again, with the code in force.
 *
 * What was not understood may be by a later calloutd. Its stored body goes a callout's way once more
 * (intake/draft.h), as of the moment it came; what comes of it takes the place of what was stored, and the
 * handlers that want it get it (store_understand()). In steps, from "next" to "next", as again.c.
 *
 * One that was quarantined for its age may be a recording that a stranger sends again: the signature
 * carries no time. It is read again only if an operator names it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/shown.h"
#include "again.h"
#include "base/clock.h"
#include "intake/draft.h"

#define EVENTS_MAX 200          /* understood in one step */
#define BYTES_MAX (4 * 1024 * 1024)     /* of their bodies */
#define REASONS_MAX 32

struct item {
	int64_t event;
	char webhook[CALLOUT_NAME_MAX + 1];
	void *body;
	struct draft draft;             /* borrows all of these, and from the site */
	bool understood;
	int64_t other;                  /* it repeats this one */
};

struct reread {
	struct journal_job job;
	struct later *later;
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	struct site *site;
	int64_t uid;
	int64_t named;                  /* the event; 0: many */
	struct item *items;             /* that are understood now */
	size_t count, bytes;
	uint64_t no_body, recordings, known;
	struct {
		const char *why;        /* a static text */
		uint64_t count;
	} left[REASONS_MAX];
	size_t left_count;
	int64_t next, now_ms, until_ms;
	struct reader *reader;          /* while it looks */
	int result;
};

static struct reread *reread_free(struct reread *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; t->items && i < t->count; i++) {
		draft_release(&t->items[i].draft);
		free(t->items[i].body);
	}
	(void)later_unref(t->later);
	(void)site_unref(t->site);
	free(t->items);
	free(t);
	return NULL;
}
AUTO_DEFINE(reread, struct reread *, reread_free)

/* ---- the answer ---- */

static int tally(const struct reread *t, struct again_tally *ret)
{
	int r = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct draft *d = &t->items[i].draft;

		for (size_t j = 0; r == 0 && t->items[i].understood && j < d->handler_count; j++) {
			size_t at = 0;

			r = again_share(ret, d->handlers[j], &at);
			if (r == 0)
				ret->shares[at].count++;
		}
	}
	return r;
}

static uint64_t understood(const struct reread *t)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += t->items[i].understood;
	return n;
}

static void write_left(const struct reread *t, struct writer *w)
{
	writer_array(w, "left");
	for (size_t i = 0; i < t->left_count; i++) {
		writer_object(w, NULL);
		writer_text(w, "reason", t->left[i].why);
		writer_uint(w, "count", t->left[i].count);
		writer_end(w);
	}
	writer_end(w);
}

static void write_reread(const struct reread *t, struct answer *a)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	struct again_tally handlers = { .count = 0 };
	int r = tally(t, &handlers);

	writer_object(&w, NULL);
	writer_uint(&w, "events", understood(t));
	again_tally_write(&handlers, &w);
	writer_uint(&w, "no_body", t->no_body);
	writer_uint(&w, "recordings", t->recordings);
	writer_uint(&w, "known", t->known);
	write_left(t, &w);
	shown_int(&w, "next", t->next != 0, t->next);
	writer_end(&w);
	free(handlers.shares);
	if (r == 0)
		answer_json(a, &w);
	else
		answer_no_memory(a);
}

static void log_items(const struct reread *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct item *it = &t->items[i];
		const struct log_ctx ctx = {
			.event = it->event, .webhook = it->webhook, .reason = "operator", .uid = t->uid, .uid_set = 1,
		};

		if (it->understood)
			log_info(&ctx, "quarantined, read again and understood: %s of %s, %zu handlers",
				 callout_loggable(it->draft.callout.action), callout_loggable(it->draft.record), it->draft.handler_count);
		else
			log_info(&ctx, "quarantined, read again: it stays, since event %lld is the same",
				 (long long)it->other);
	}
}

/* ---- the way ---- */

static struct reread *reread_of(struct journal_job *job)
{
	return (struct reread *)(void *)job;
}

static int on_apply(struct store *s, struct journal_job *job)
{
	struct reread *t = reread_of(job);
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->count; i++) {
		struct item *it = &t->items[i];

		r = draft_understand(&it->draft, s, it->event, t->now_ms, &it->other);
		it->understood = r > 0;
	}
	return r < 0 ? r : 0;
}

static void count_known(struct reread *t)
{
	for (size_t i = 0; i < t->count; i++)
		t->known += !t->items[i].understood && t->items[i].other;
}

static void on_stored(void *arg)
{
	AUTO(reread) struct reread *t = arg;
	struct answer a = { .status = 0 };
	struct journal_status store;

	if (t->result == 0)
		log_items(t);
	if (!later_wanted(t->later))
		return;
	if (t->result < 0) {
		answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing was changed: %s",
			     unstored_why(t->journal, t->result, &store));
	} else {
		count_known(t);
		dispatcher_store_changed(t->dispatcher);
		write_reread(t, &a);
	}
	later_answer(t->later, &a);
}

static void on_done(struct journal_job *job, int result)
{
	struct reread *t = reread_of(job);

	t->result = result;
	if (!later_post(t->later, t->loop, on_stored, t))
		(void)reread_free(t);
}

/* ---- reading ---- */

static void count_left(struct reread *t, const char *why)
{
	size_t i = 0;

	while (i < t->left_count && strcmp(t->left[i].why, why) != 0)
		i++;
	if (i == REASONS_MAX)
		i--;
	if (i == t->left_count)
		t->left[t->left_count++].why = why;
	t->left[i].count++;
}

/* Read what was stored as if it came at the moment it came. */
static int read_item(struct reread *t, const struct event *e, struct item *it)
{
	const struct draft_known known = {
		.entity = *e->entity_raw ? e->entity_raw : NULL,
		.id = e->record_id, .sequence = e->sequence,
		.has_id = e->has_id, .has_sequence = e->has_sequence,
	};
	size_t len = 0;
	int r = reader_body(t->reader, e->id, &it->body, &len, NULL);

	if (r < 0)
		return r;
	it->event = e->id;
	memcpy(it->webhook, e->webhook, sizeof(it->webhook));
	it->draft = (struct draft){
		.conf = site_conf(t->site),
		.webhook = it->webhook,
		.body = it->body,
		.body_len = len,
		.received_ms = e->received_ms,
		.source = e->source,
		.verified = e->verified,
		.signed_by = e->signed_by,
		.any_age = t->named != 0,
	};
	return draft_read(&it->draft, e->source == SOURCE_LIVE ? NULL : &known);
}

/* 1: understood, 0: it stays, and is counted; or -errno. */
static int judge_item(struct reread *t, struct item *it)
{
	const struct draft *d = &it->draft;
	int64_t other = 0;
	int r = 0;

	if (d->kind == EVENT_QUARANTINED && strcmp(d->why, DRAFT_RECORDING) == 0)
		t->recordings++;
	else if (d->kind == EVENT_QUARANTINED)
		count_left(t, d->why);
	if (d->kind == EVENT_QUARANTINED)
		return 0;
	if (d->verified)
		r = reader_key(t->reader, d->key, d->key_ms, &other);
	if (r < 0 || other == 0 || other == it->event)
		return r < 0 ? r : 1;
	t->known++;
	return 0;
}

static int look_at(struct reread *t, const struct event *e)
{
	struct item *it = &t->items[t->count];
	int r;

	if (!e->body_kept) {
		t->no_body++;
		return 0;
	}
	if (!t->named && strcmp(e->reason, DRAFT_RECORDING) == 0) {
		t->recordings++;
		return 0;
	}
	*it = (struct item){ .understood = true };
	r = read_item(t, e, it);
	if (r == 0)
		r = judge_item(t, it);
	if (r > 0) {
		t->bytes += it->draft.body_len;
		t->count++;
		return 0;
	}
	draft_release(&it->draft);
	free(it->body);
	return r == -ENODATA ? 0 : r;
}

static int on_event(void *arg, const struct event *e)
{
	struct reread *t = arg;
	int r;

	if (t->named && e->id != t->named)
		return 0;
	r = look_at(t, e);
	if (r < 0)
		return r;
	if (t->count < EVENTS_MAX && t->bytes < BYTES_MAX && clock_mono_ms() < t->until_ms)
		return 0;
	t->next = e->id;
	return 1;
}

static int look(struct request *q, struct reread *t)
{
	AUTO(reader) struct reader *r = NULL;
	struct event_filter f;
	int64_t next = 0;
	int result = admin_reader(q->admin, &r);

	if (result == 0)
		result = again_filter(r, &q->question, &f);
	if (result < 0)
		return result;
	f.kind = EVENT_QUARANTINED;
	t->reader = r;
	t->until_ms = clock_mono_ms() + AGAIN_LOOK_MS;
	result = reader_events(r, &f, on_event, t, &next);
	t->reader = NULL;
	if (result == 0)
		t->next = next;
	if (t->named)
		t->next = 0;
	return result < 0 ? result : 0;
}

/* ---- the beginning ---- */

static struct reread *reread_new(struct request *q)
{
	AUTO(reread) struct reread *t = calloc(1, sizeof(*t));

	if (t)
		t->items = calloc(EVENTS_MAX + 1, sizeof(*t->items));
	if (!t || !t->items)
		return NULL;
	t->loop = q->admin->loop;
	t->journal = q->admin->journal;
	t->dispatcher = q->admin->dispatcher;
	t->uid = q->uid;
	t->named = q->question.event;
	t->now_ms = clock_now_ms();
	return TAKE(t);
}

static void begin(struct request *q, struct reread *t)
{
	if (later_begin(q, &t->later) < 0) {
		(void)reread_free(t);
		return;
	}
	t->job = (struct journal_job){ .apply = on_apply, .done = on_done };
	journal_put(t->journal, &t->job);
}

/* Of one that is named: is it there, and quarantined? */
static bool is_quarantined(struct request *q)
{
	struct event e;

	if (!request_event(q, &e))
		return false;
	if (e.id == 0 || e.kind == EVENT_QUARANTINED)
		return true;
	answer_error(&q->answer, MHD_HTTP_CONFLICT, "event %lld is not quarantined", (long long)e.id);
	return false;
}

void post_quarantined(struct request *q)
{
	AUTO(reread) struct reread *t = NULL;
	int r;

	if (!asked(&q->question, ASKS(AFTER)) && !asked(&q->question, ASKS(EVENT))) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST,
			     "say which: an event, or after which one (first 0, then the last answer's \"next\")");
		return;
	}
	if (!is_quarantined(q))
		return;
	t = reread_new(q);
	r = t ? admin_site(q->admin, &t->site) : -ENOMEM;
	if (r == 0)
		r = look(q, t);
	if (r < 0)
		request_failed(q, r);
	else if (q->question.dry_run || t->count == 0)
		write_reread(t, &q->answer);
	else
		begin(q, TAKE(t));
}
