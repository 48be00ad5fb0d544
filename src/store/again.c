/*
 * again.c - deliveries picked out beforehand, put back, dropped or made: retry and drop with filters,
 * replay; and quarantined events that are understood after all.
 *
 * What was picked was picked from a reader's view, so every delivery is looked at once more here: what is
 * not as it was is passed over. A delivery made later than its event was accepted is parked, since the
 * cursor is past it; so the order of its record is kept by what keeps it of any parked one (order.c).
 */
#include <errno.h>

#include "base/clock.h"
#include "operate.h"

#define STEP_MS 250             /* the journal has callouts to write */

/* ---- a delivery for an event that was accepted before ---- */

static int delivery_late_add(struct store *s, struct handler_entry *h, int64_t event, const char *record,
			     bool late, int64_t now_ms)
{
	int earlier = order_earlier(s, h, record, event);
	struct bind b;
	int r;

	if (earlier < 0)
		return earlier;
	b = bind_begin(s->st[ST_DELIVERY_ADD]);
	bind_int(&b, h->id);
	bind_int(&b, event);
	bind_int(&b, now_ms);           /* it waits since now, not since its event came */
	r = bind_run(&b);
	if (r == 0)
		r = delivery_set(s, h->id, event, DELIVERY_PARKED, 0, 0);
	if (r == 0)
		r = parked_put(s, &(struct parked_row){
			.handler = h->id, .event = event, .record = record, .blocked = earlier > 0,
			.due_ms = now_ms, .late = late,
		});
	if (r < 0)
		return r;
	h->accepted++;
	h->dirty = true;
	return 0;
}

/* ---- replay ---- */

static int note_replayed(struct store *s, const struct handler_entry *h, int64_t event)
{
	struct bind b = bind_begin(s->st[ST_REPLAYED_ADD]);

	bind_int(&b, event);
	bind_int(&b, h->id);
	return bind_run(&b);
}

static int put_back_settled(struct request *q, const struct found *d)
{
	int acted = operate_put_back(q, d);
	int r = acted > 0 ? note_replayed(q->s, d->h, d->event) : 0;

	if (r == 0 && acted > 0)
		r = delivery_set(q->s, d->h->id, d->event, DELIVERY_PARKED, 0, q->now_ms);
	return r < 0 ? r : acted;
}

/* 1: made, 0: its content or the event itself is gone. */
static int make_delivery(struct request *q, struct handler_entry *h, int64_t event)
{
	char record[CALLOUT_RECORD_MAX];
	int64_t received_ms;
	bool body = false;
	int r = event_facts(q->s, event, &received_ms, &body, record);

	if (r == -ENOENT || (r == 0 && !body))
		return 0;
	if (r == 0)
		r = delivery_late_add(q->s, h, event, record, false, q->now_ms);
	if (r == 0)
		r = note_replayed(q->s, h, event);
	return r < 0 ? r : 1;
}

static int replay_one(struct request *q, const struct again_step *a, struct handler_entry *h, int64_t event)
{
	enum delivery_state was;
	int r = delivery_state(q->s, h->id, event, &was);

	if (r == -ENOENT) {
		r = make_delivery(q, h, event);
		q->count += r > 0;
	} else if (r == 0 && a->settled) {
		r = operate_on(q, h, event);
	}
	return r < 0 ? r : 0;
}

/* Where the search for what is earlier of a record begins, and whether it sees all. */
static int begin_replay(struct store *s, const struct again_step *a, struct handler_entry **ret)
{
	sqlite3_stmt *st = s->st[ST_DELIVERY_BETWEEN];
	struct bind b;
	int r = handler_make(s, a->handler, ret);

	if (r == 0)
		r = operate_move_mark(s, *ret);
	if (r < 0 || a->count == 0)
		return r;
	b = bind_begin(st);
	bind_int(&b, (*ret)->id);
	bind_int(&b, (*ret)->low_water);
	bind_int(&b, a->keys[a->count - 1].event);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	r = sqlite3_column_int(st, 0) ? -E2BIG : 0;
	(void)sqlite3_reset(st);
	return r;
}

/* ---- a step ---- */

static int act_on_key(struct request *q, const struct again_step *a, struct handler_entry *replaying,
		      const struct delivery_key *k)
{
	struct handler_entry *h = replaying ? replaying : handler_by_id(q->s, k->handler);

	if (!h)
		return 0;
	if (a->what == AGAIN_REPLAY)
		return replay_one(q, a, h, k->event);
	return operate_on(q, h, k->event);
}

static bool concerns(const struct again_step *a, int64_t handler)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->keys[i].handler == handler)
			return true;
	return false;
}

/* Before putting back, since what is earlier of a record is searched from the mark on; after dropping, past what waits no more. */
static int move_marks(struct store *s, const struct again_step *a, enum again what)
{
	int r = 0;

	for (size_t i = 0; r == 0 && a->what == what && i < s->handler_count; i++)
		if (concerns(a, s->handlers[i].id))
			r = operate_move_mark(s, &s->handlers[i]);
	return r;
}

int store_again(struct store *s, const struct again_step *a, bool *acted, size_t *ret_seen)
{
	static int (*const acts[])(struct request *q, const struct found *d) = {
		[AGAIN_RETRY] = operate_put_back,
		[AGAIN_DROP] = operate_drop,
		[AGAIN_REPLAY] = put_back_settled,
	};
	const struct delivery_filter f = { .failed_only = a->failed_only };
	struct request q = {
		.s = s, .f = &f, .now_ms = a->now_ms, .act = acts[a->what],
		.running = a->running, .running_count = a->running_count,
	};
	struct handler_entry *replaying = NULL;
	int64_t until_ms = clock_mono_ms() + STEP_MS;
	size_t i = 0;
	int r = a->what == AGAIN_REPLAY ? begin_replay(s, a, &replaying) : move_marks(s, a, AGAIN_RETRY);

	while (r == 0 && i < a->count && (i == 0 || clock_mono_ms() < until_ms)) {
		unsigned before = q.count;

		r = act_on_key(&q, a, replaying, &a->keys[i]);
		if (r == -ENOENT)
			r = 0;          /* the event has been removed since */
		acted[i++] = q.count > before;
	}
	if (r == 0)
		r = move_marks(s, a, AGAIN_DROP);
	if (r < 0)
		return r;
	*ret_seen = i;
	return 0;
}

/* ---- quarantined ---- */

/* 0: the key is this event's now (or there is none), 1: another's, *ret_event says whose; or -errno. */
static int claim_key(struct store *s, int64_t event, const struct event_new *e, int64_t *ret_event)
{
	int r;

	if (!e->key)
		return 0;
	r = key_add(s, e, event);
	if (r != 0)
		return r < 0 ? r : 0;
	r = key_find(s, e, ret_event);
	if (r < 0)
		return r;
	return *ret_event != event;
}

/* 1, or 0: it is not quarantined. */
static int rewrite_event(struct store *s, int64_t event, const struct event_new *e)
{
	const struct callout *c = e->callout;
	struct bind b = bind_begin(s->st[ST_EVENT_UNDERSTOOD]);
	int r;

	bind_int(&b, e->kind);
	bind_text(&b, c->action);
	bind_text(&b, c->action_raw);
	bind_text(&b, c->entity);
	bind_text(&b, c->entity_raw);
	bind_text(&b, c->guid);
	bind_text(&b, c->time);
	bind_text(&b, e->record);
	bind_optional(&b, c->has_id, c->id);
	bind_optional(&b, c->has_sequence, c->sequence);
	bind_optional(&b, c->has_person, c->person);
	bind_int(&b, event);
	bind_int(&b, EVENT_QUARANTINED);
	r = bind_run(&b);
	return r < 0 ? r : sqlite3_changes(s->db) > 0;
}

static int deliver_late(struct store *s, int64_t event, const char *name, const char *record, int64_t now_ms)
{
	struct handler_entry *h = NULL;
	enum delivery_state was;
	int late, r = handler_make(s, name, &h);

	if (r == 0)
		r = delivery_state(s, h->id, event, &was);
	if (r != -ENOENT)
		return r;
	late = handled_later(s, h->id, record, event);
	return late < 0 ? late : delivery_late_add(s, h, event, record, late > 0, now_ms);
}

/* Which handlers have it, and whether it is the same, is decided by what is stored now. */
int store_understand(struct store *s, int64_t event, const struct event_new *e, int64_t now_ms,
		     int64_t *ret_event)
{
	int64_t other = 0;
	int r = claim_key(s, event, e, &other);

	*ret_event = r > 0 ? other : 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = rewrite_event(s, event, e);
	if (r <= 0)
		return r;
	for (size_t i = 0; r >= 0 && i < e->handler_count; i++)
		r = deliver_late(s, event, e->handlers[i], e->record, now_ms);
	return r < 0 ? r : 1;
}
