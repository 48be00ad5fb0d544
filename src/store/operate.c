/*
 * operate.c - the operator's verbs: put settled deliveries back, drop what waits.
 *
 * Candidates are found where they are few: dead letters in their table, parked ones in theirs,
 * waiting ones from the handler's mark on. Putting back what was done (replay) reads through
 * the bodies that are kept, from the first event that can match on.
 */
#include <errno.h>
#include <string.h>

#include "operate.h"

#define PER_CALL 1000
#define CLOCK_SLACK_MS 86400000 /* ids are in order; times nearly: the clock may have been set back by a day */

static bool handler_asked(const struct delivery_filter *f, const struct handler_entry *h)
{
	return !f->handler || strcmp(f->handler, h->name) == 0;
}

/* ---- one delivery ---- */

int event_facts(struct store *s, int64_t event, int64_t *ret_received_ms, bool *ret_body,
		char record[static CALLOUT_RECORD_MAX])
{
	sqlite3_stmt *st = s->st[ST_EVENT_FACTS];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, event);
	r = bind_row(&b);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_received_ms = sqlite3_column_int64(st, 0);
	*ret_body = sqlite3_column_int(st, 1) != 0;
	column_text(st, 2, record, CALLOUT_RECORD_MAX);
	(void)sqlite3_reset(st);
	return 0;
}

int handled_later(struct store *s, int64_t handler, const char *record, int64_t event)
{
	sqlite3_stmt *st = s->st[ST_HANDLED_FIND];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, handler);
	bind_text(&b, record);
	bind_int(&b, event);
	r = bind_row(&b);
	if (r > 0)
		(void)sqlite3_reset(st);
	return r;
}

static int dead_delete(struct store *s, const struct found *d)
{
	struct bind b = bind_begin(s->st[ST_DEAD_DELETE]);

	bind_int(&b, d->event);
	bind_int(&b, d->h->id);
	return bind_run(&b);
}

/* Settled again after the request began: put back once is enough. */
static bool may_put_back(const struct request *q, const struct found *d)
{
	if (d->state == DELIVERY_FAILED)
		return d->at_ms <= q->now_ms;
	return !q->f->failed_only && d->at_ms <= q->now_ms &&
	       (d->state == DELIVERY_DONE || d->state == DELIVERY_DROPPED);
}

int operate_put_back(struct request *q, const struct found *d)
{
	char record[CALLOUT_RECORD_MAX];
	int64_t received_ms = 0;
	bool body = false;
	int late, earlier, r;

	if (!may_put_back(q, d))
		return 0;
	r = event_facts(q->s, d->event, &received_ms, &body, record);
	if (r < 0)
		return r;
	if (q->f->since_ms && received_ms < q->f->since_ms)
		return 0;
	if (!body) {
		q->s->skipped++;        /* nothing to feed a handler with */
		return 0;
	}
	late = handled_later(q->s, d->h->id, record, d->event);
	earlier = late < 0 ? late : order_earlier(q->s, d->h, record, d->event);
	if (earlier < 0)
		return earlier;
	r = parked_put(q->s, &(struct parked_row){
		.handler = d->h->id, .event = d->event, .record = record, .blocked = earlier > 0,
		.due_ms = q->now_ms, .attempts = 0, .late = late > 0,
	});
	if (r == 0)
		r = delivery_set(q->s, d->h->id, d->event, DELIVERY_PARKED, 0, received_ms);
	if (r == 0 && d->state == DELIVERY_FAILED)
		r = dead_delete(q->s, d);
	if (r < 0)
		return r;
	handler_count(d->h, d->state, -1);
	return 1;
}

static bool may_drop(const struct request *q, const struct found *d)
{
	if (delivery_among(q->running, q->running_count, d->h->id, d->event))
		return false;
	if (d->state == DELIVERY_FAILED)
		return true;
	return !q->f->failed_only && (d->state == DELIVERY_WAITING || d->state == DELIVERY_PARKED);
}

int operate_drop(struct request *q, const struct found *d)
{
	char record[CALLOUT_RECORD_MAX];
	int64_t received_ms = 0;
	bool body, behind;
	int r;

	if (!may_drop(q, d))
		return 0;
	r = event_facts(q->s, d->event, &received_ms, &body, record);
	if (r < 0)
		return r;
	if (q->f->since_ms && received_ms < q->f->since_ms)
		return 0;
	r = delivery_set(q->s, d->h->id, d->event, DELIVERY_DROPPED, d->attempts, q->now_ms);
	if (r == 0 && d->state == DELIVERY_PARKED)
		r = parked_delete(q->s, d->h->id, d->event);
	if (r == 0 && d->state == DELIVERY_FAILED)
		r = dead_delete(q->s, d);
	if (r == 0)
		r = order_promote(q->s, d->h, record, q->now_ms, &behind);
	if (r < 0)
		return r;
	handler_count(d->h, d->state, -1);
	handler_count(d->h, DELIVERY_DROPPED, 1);
	prune_settled(q->s, d->event);
	return 1;
}

int operate_on(struct request *q, struct handler_entry *h, int64_t event)
{
	sqlite3_stmt *st = q->s->st[ST_DELIVERY_WHOLE];
	struct bind b = bind_begin(st);
	struct found d = { .event = event, .h = h };
	int r;

	bind_int(&b, h->id);
	bind_int(&b, event);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	d.state = (enum delivery_state)FROM_DISK(sqlite3_column_int(st, 0));
	d.attempts = (unsigned)sqlite3_column_int64(st, 1);
	d.at_ms = sqlite3_column_int64(st, 2);
	(void)sqlite3_reset(st);
	r = q->act(q, &d);
	if (r > 0)
		q->count++;
	return r < 0 ? r : 0;
}

/* ---- where candidates are ---- */

static bool enough(const struct request *q)
{
	return q->count >= PER_CALL;
}

static int one_event(struct request *q)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->s->handler_count; i++)
		if (handler_asked(q->f, &q->s->handlers[i]))
			r = operate_on(q, &q->s->handlers[i], q->f->event);
	return r;
}

/* One candidate at a time, since acting on it changes the table that is read. */
static int next_of(struct store *s, enum statement which, int64_t handler, int64_t *at)
{
	sqlite3_stmt *st = s->st[which];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, *at);
	if (handler)
		bind_int(&b, handler);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	*at = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 1;
}

static int each_dead(struct request *q)
{
	int64_t event = q->after;
	int r = 1;

	while (r > 0 && !enough(q)) {
		r = next_of(q->s, ST_DEAD_NEXT, 0, &event);
		for (size_t i = 0; r > 0 && i < q->s->handler_count; i++) {
			struct handler_entry *h = &q->s->handlers[i];
			int acted = 0;

			if (handler_asked(q->f, h))
				acted = operate_on(q, h, event);
			if (acted < 0)
				return acted;
		}
	}
	return r < 0 ? r : 0;
}

static int each_of(struct request *q, struct handler_entry *h, enum statement which, int64_t after)
{
	int64_t event = after;
	int r = 0;

	while (r == 0 && !enough(q)) {
		r = next_of(q->s, which, h->id, &event);
		if (r <= 0)
			return r;
		r = operate_on(q, h, event);
	}
	return r;
}

static int for_handlers(struct request *q, int (*each)(struct request *q, struct handler_entry *h))
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->s->handler_count && !enough(q); i++)
		if (handler_asked(q->f, &q->s->handlers[i]))
			r = each(q, &q->s->handlers[i]);
	return r;
}

/* The last event that was accepted before `ms`, give or take the clock's slack; by halving. */
static int last_before(struct store *s, int64_t ms, int64_t *ret_event)
{
	int64_t low = 0, high = s->newest_event;

	while (low < high) {
		int64_t mid = low + (high - low) / 2, event = mid, received_ms = 0;
		char record[CALLOUT_RECORD_MAX];
		bool body;
		int r = next_of(s, ST_EVENT_NEXT, 0, &event);

		if (r > 0)
			r = event_facts(s, event, &received_ms, &body, record);
		if (r < 0)
			return r;
		if (received_ms < ms - CLOCK_SLACK_MS && event > mid)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_event = low;
	return 0;
}

static int put_back_handler(struct request *q, struct handler_entry *h)
{
	return each_of(q, h, ST_DELIVERY_SETTLED_NEXT, q->after);
}

/* What was dropped waits no more: a restart need not read through it. */
int operate_move_mark(struct store *s, struct handler_entry *h)
{
	int64_t event = h->low_water - 1;
	int r = next_of(s, ST_DELIVERY_WAITING_NEXT, h->id, &event);

	if (r >= 0)
		handler_mark(h, r > 0 ? event - 1 : s->newest_event);
	return r < 0 ? r : 0;
}

static int drop_handler(struct request *q, struct handler_entry *h)
{
	int64_t mark = h->low_water - 1;
	int r = each_of(q, h, ST_PARKED_NEXT, q->after);

	if (r == 0)
		r = each_of(q, h, ST_DELIVERY_WAITING_NEXT, q->after > mark ? q->after : mark);
	return r < 0 ? r : operate_move_mark(q->s, h);
}

static int carry_out(struct request *q, int (*each)(struct request *q, struct handler_entry *h),
		     unsigned *ret_count)
{
	int r = q->f->since_ms ? last_before(q->s, q->f->since_ms, &q->after) : 0;

	if (r < 0)
		return r;
	if (q->f->event)
		r = one_event(q);
	else
		r = each_dead(q);
	if (r == 0 && !q->f->event && !q->f->failed_only)
		r = for_handlers(q, each);
	if (r < 0)
		return r;
	*ret_count = q->count;
	return 0;
}

int store_retry(struct store *s, const struct delivery_filter *f, int64_t now_ms, unsigned *ret_count)
{
	struct request q = { .s = s, .f = f, .now_ms = now_ms, .act = operate_put_back };
	int r;

	s->skipped = 0;
	r = carry_out(&q, put_back_handler, ret_count);
	return r == 0 && f->event && s->skipped && !q.count ? -ENODATA : r;
}

unsigned store_skipped(const struct store *s)
{
	return s->skipped;
}

int store_drop(struct store *s, const struct delivery_filter *f, int64_t now_ms,
	       const struct delivery_key *running, size_t running_count, unsigned *ret_count)
{
	struct request q = {
		.s = s, .f = f, .now_ms = now_ms, .act = operate_drop,
		.running = running, .running_count = running_count,
	};

	return carry_out(&q, drop_handler, ret_count);
}

/* ---- what was held ---- */

int store_let_go(struct store *s, const char *handler, const char *record, int64_t now_ms, unsigned *ret_count)
{
	struct handler_entry *h = NULL;
	struct bind b;
	int r = handler_make(s, handler, &h);

	*ret_count = 0;
	if (r < 0)
		return r;
	b = bind_begin(s->st[record ? ST_PARKED_LET_GO : ST_PARKED_LET_ALL_GO]);
	bind_int(&b, now_ms);
	bind_int(&b, h->id);
	if (record)
		bind_text(&b, record);
	r = bind_run(&b);
	if (r == 0)
		*ret_count = (unsigned)sqlite3_changes(s->db);
	return r;
}
