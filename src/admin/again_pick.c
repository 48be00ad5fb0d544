/* again_pick.c - which deliveries a step of a retry, drop or replay is about. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "again.h"
#include "base/clock.h"
#include "callout/match.h"

/* ---- counting ---- */

int again_share(struct again_tally *t, const char *handler, size_t *ret_at)
{
	struct again_share *more;

	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->shares[i].handler, handler) == 0) {
			*ret_at = i;
			return 0;
		}
	}
	more = realloc(t->shares, (t->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->shares = more;
	more[t->count] = (struct again_share){ .count = 0 };
	(void)stpncpy(more[t->count].handler, handler, CALLOUT_NAME_MAX);
	*ret_at = t->count++;
	return 0;
}

uint64_t again_tally_sum(const struct again_tally *t)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < t->count; i++)
		sum += t->shares[i].count;
	return sum;
}

void again_tally_write(const struct again_tally *t, struct writer *w)
{
	writer_uint(w, "count", again_tally_sum(t));
	writer_array(w, "handlers");
	for (size_t i = 0; i < t->count; i++) {
		if (!t->shares[i].count)
			continue;
		writer_object(w, NULL);
		writer_text(w, "handler", t->shares[i].handler);
		writer_uint(w, "count", t->shares[i].count);
		writer_end(w);
	}
	writer_end(w);
}

/* ---- picking ---- */

void again_picks_release(struct again_picks *p)
{
	free(p->keys);
	free(p->shares);
	free(p->tally.shares);
	*p = (struct again_picks){ .count = 0 };
}

static int make_room(struct again_picks *p)
{
	size_t cap = p->cap ? p->cap * 2 : STORE_AGAIN_MAX + 64;
	struct delivery_key *keys;
	size_t *shares;

	if (p->count < p->cap)
		return 0;
	keys = realloc(p->keys, cap * sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	p->keys = keys;
	shares = realloc(p->shares, cap * sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	p->shares = shares;
	p->cap = cap;
	return 0;
}

static int pick(struct again_picks *p, int64_t handler, const char *name, int64_t event)
{
	int r = make_room(p);

	if (r == 0)
		r = again_share(&p->tally, name, &p->shares[p->count]);
	if (r == 0)
		p->keys[p->count++] = (struct delivery_key){ .handler = handler, .event = event };
	return r;
}

struct walk {
	struct reader *r;
	const struct again_question *q;
	const struct event *event;      /* that is looked at */
	struct again_picks *p;
	int64_t until_ms;
};

static bool handler_asked(const struct walk *w, const char *name)
{
	return !asked(w->q->asks, ASKS(HANDLER)) || strcmp(w->q->asks->handler, name) == 0;
}

static bool is_running(const struct walk *w, const struct delivery *d)
{
	return delivery_among(w->q->running, w->q->running_count, d->handler_number, d->event);
}

/* ---- retry and drop: deliveries there are ---- */

static int look_to_retry(struct walk *w, const struct delivery *d)
{
	const struct question *asks = w->q->asks;
	int late = 0;

	if (d->state != DELIVERY_FAILED &&
	    (asks->failed || (d->state != DELIVERY_DONE && d->state != DELIVERY_DROPPED)))
		return 0;
	if (asks->skip_late)
		late = reader_late(w->r, d->handler_number, w->event);
	if (late < 0)
		return late;
	if (late) {
		w->p->late++;
		return 0;
	}
	if (!w->event->body_kept) {
		w->p->no_body++;
		return 0;
	}
	return pick(w->p, d->handler_number, d->handler, d->event);
}

static int look_to_drop(struct walk *w, const struct delivery *d)
{
	bool waits = d->state == DELIVERY_WAITING || d->state == DELIVERY_PARKED;

	if (d->state != DELIVERY_FAILED && (w->q->asks->failed || !waits || is_running(w, d)))
		return 0;
	return pick(w->p, d->handler_number, d->handler, d->event);
}

static int on_delivery(void *arg, const struct delivery *d)
{
	struct walk *w = arg;

	if (!handler_asked(w, d->handler))
		return 0;
	return w->q->what == AGAIN_DROP ? look_to_drop(w, d) : look_to_retry(w, d);
}

/* ---- replay: events that a handler would want ---- */

struct having {
	const char *handler;
	bool any, open;
};

static int on_having(void *arg, const struct delivery *d)
{
	struct having *h = arg;

	if (strcmp(d->handler, h->handler) != 0)
		return 0;
	h->any = true;
	h->open = d->state == DELIVERY_WAITING || d->state == DELIVERY_PARKED;
	return 0;
}

/* What was stored of it stands over what the body says: a notice's, and what was known when it was handed over. */
static void as_stored(struct callout *c, const struct event *e)
{
	memcpy(c->action, e->action, sizeof(c->action));
	memcpy(c->entity, e->entity, sizeof(c->entity));
	c->person = e->person;
	c->has_person = e->has_person;
	if (e->kind == EVENT_DEACTIVATED && !e->verified)
		c->fields.at = NULL;    /* a stranger's */
}

/* MATCH_YES, MATCH_WHEN, ... or -errno. */
static int match_stored(struct walk *w)
{
	const struct event *e = w->event;
	AUTO(free) void *body = NULL;
	struct callout c = { .has_id = false };
	const char *why = NULL;
	size_t condition = 0, len = 0;
	int r = e->body_kept ? reader_body(w->r, e->id, &body, &len, NULL) : 0;

	if (r < 0)
		return r;
	if (body)
		(void)callout_parse(body, len, &c, &why);
	as_stored(&c, e);
	return (int)match_handler(w->q->handler, e->webhook, &c, &condition);
}

static int look_to_replay(struct walk *w)
{
	struct having h = { .handler = w->q->handler->title };
	int r;

	if (w->event->kind == EVENT_QUARANTINED)
		return 0;
	r = reader_deliveries(w->r, w->event->id, on_having, &h);
	if (r < 0 || h.open || (h.any && !w->q->asks->again))
		return r;
	r = match_stored(w);
	if (r == -ENODATA || r == -ENOENT)
		return 0;               /* removed this moment */
	if (r < 0 || (r != MATCH_YES && (r != MATCH_WHEN || w->event->body_kept)))
		return r < 0 ? r : 0;
	if (w->event->body_kept)
		return pick(w->p, 0, w->q->handler->title, w->event->id);
	w->p->no_body++;
	return 0;
}

/* ---- the walk ---- */

static bool record_asked(const struct walk *w, const struct event *e)
{
	return !asked(w->q->asks, ASKS(RECORD)) || strcmp(w->q->asks->record, e->record) == 0;
}

static int on_event(void *arg, const struct event *e)
{
	struct walk *w = arg;
	int r = 0;

	if (asked(w->q->asks, ASKS(EVENT)) && e->id != w->q->asks->event)
		return 0;
	w->event = e;
	if (record_asked(w, e))
		r = w->q->what == AGAIN_REPLAY ? look_to_replay(w)
					       : reader_deliveries(w->r, e->id, on_delivery, w);
	if (r < 0)
		return r;
	if (w->p->count < STORE_AGAIN_MAX && clock_mono_ms() < w->until_ms)
		return 0;
	w->p->next = e->id;
	return 1;
}

int again_filter(struct reader *r, const struct question *q, struct event_filter *ret)
{
	int64_t after = q->after, first = 0;
	int result;

	if (asked(q, ASKS(EVENT))) {
		after = q->event - 1;
	} else if (after == 0 && q->since_ms) {
		result = reader_since(r, q->since_ms, &first);
		if (result < 0)
			return result;
		after = first - 1;
	}
	*ret = (struct event_filter){
		.after = after > 0 ? after : -1,        /* to the store 0 means none */
		.since_ms = q->since_ms,
		.until_ms = q->until_ms,
		.webhook = asked(q, ASKS(WEBHOOK)) ? q->webhook : NULL,
		.entity = asked(q, ASKS(ENTITY)) ? q->entity : NULL,
		.action = asked(q, ASKS(ACTION)) ? q->action : NULL,
		.kind = -1,
		.state = -1,
		.limit = asked(q, ASKS(EVENT)) ? 1 : READER_EVENTS_MAX,
	};
	return 0;
}

int again_pick(struct reader *r, const struct again_question *q, struct again_picks *ret)
{
	struct walk w = { .r = r, .q = q, .p = ret, .until_ms = clock_mono_ms() + AGAIN_LOOK_MS };
	struct event_filter f;
	int64_t next = 0;
	int result = again_filter(r, q->asks, &f);

	*ret = (struct again_picks){ .count = 0 };
	if (result < 0)
		return result;
	if (q->what != AGAIN_REPLAY) {
		f.handler = asked(q->asks, ASKS(HANDLER)) ? q->asks->handler : NULL;
		f.state = q->asks->failed ? DELIVERY_FAILED : -1;
	}
	result = reader_events(r, &f, on_event, &w, &next);
	if (result < 0)
		return result;
	if (result == 0)
		ret->next = next;
	if (asked(q->asks, ASKS(EVENT)))
		ret->next = 0;
	return 0;
}
