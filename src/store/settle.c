/* settle.c - what an attempt's end changes, and what must wait behind its record's head. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

/* Attempts kept per delivery: a runner that dies every second must not fill the disk. */
#define ATTEMPTS_KEPT 100

int delivery_state(struct store *s, int64_t handler, int64_t event, enum delivery_state *ret)
{
	sqlite3_stmt *st = s->st[ST_DELIVERY_STATE];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, handler);
	bind_int(&b, event);
	r = bind_row(&b);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = (enum delivery_state)FROM_DISK(sqlite3_column_int(st, 0));
	(void)sqlite3_reset(st);
	return 0;
}

int delivery_set(struct store *s, int64_t handler, int64_t event, enum delivery_state state,
		 unsigned attempts, int64_t at_ms)
{
	struct bind b = bind_begin(s->st[ST_DELIVERY_SET]);

	bind_int(&b, ON_DISK(state));
	bind_int(&b, attempts);
	if (at_ms)
		bind_int(&b, at_ms);
	else
		bind_null(&b);
	bind_int(&b, handler);
	bind_int(&b, event);
	return bind_run(&b);
}

/* ---- attempts ---- */

/* The last one's run (0: none yet); *ret_same: it is this very attempt, told again. */
static int last_run(struct store *s, const struct attempt_new *a, int64_t *ret_run, bool *ret_same)
{
	sqlite3_stmt *st = s->st[ST_ATTEMPT_LAST];
	struct bind b = bind_begin(st);
	int r;

	*ret_run = 0;
	*ret_same = false;
	bind_int(&b, a->event);
	bind_int(&b, a->handler);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	*ret_run = sqlite3_column_int64(st, 0);
	*ret_same = sqlite3_column_int64(st, 1) == a->number &&
		    sqlite3_column_int64(st, 2) == a->started_ms;
	(void)sqlite3_reset(st);
	return 0;
}

static int output_add(struct store *s, const struct attempt_new *a, int64_t *ret_output)
{
	struct bind b = bind_begin(s->st[ST_OUTPUT_ADD]);
	int r;

	*ret_output = 0;
	if (!a->out_len && !a->err_len)
		return 0;
	bind_blob(&b, a->out, a->out_len);
	bind_blob(&b, a->err, a->err_len);
	r = bind_run(&b);
	if (r == 0)
		*ret_output = sqlite3_last_insert_rowid(s->db);
	return r;
}

static int run_delete(struct store *s, const struct attempt_new *a, int64_t run)
{
	sqlite3_stmt *st = s->st[ST_ATTEMPT_OUTPUT];
	struct bind b = bind_begin(st);
	int64_t output = 0;
	int r;

	bind_int(&b, a->event);
	bind_int(&b, a->handler);
	bind_int(&b, run);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	output = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	b = bind_begin(s->st[ST_OUTPUT_DELETE]);
	bind_int(&b, output);
	r = bind_run(&b);
	if (r < 0)
		return r;
	b = bind_begin(s->st[ST_ATTEMPT_DELETE]);
	bind_int(&b, a->event);
	bind_int(&b, a->handler);
	bind_int(&b, run);
	return bind_run(&b);
}

static int run_add(struct store *s, const struct attempt_new *a, int64_t run)
{
	struct bind b = bind_begin(s->st[ST_ATTEMPT_ADD]);
	int64_t output = 0;
	int r = output_add(s, a, &output);

	if (r < 0)
		return r;
	bind_int(&b, a->event);
	bind_int(&b, a->handler);
	bind_int(&b, run);
	bind_int(&b, a->number);
	bind_int(&b, a->started_ms);
	bind_int(&b, a->ended_ms);
	bind_int(&b, a->result);
	bind_int(&b, a->status);
	if (output)
		bind_int(&b, output);
	else
		bind_null(&b);
	bind_int(&b, (int64_t)a->out_total);
	bind_int(&b, (int64_t)a->err_total);
	return bind_run(&b);
}

/* 1: recorded, 0: it was already (a runner tells again what was not acknowledged), or -errno. */
static int attempt_put(struct store *s, const struct attempt_new *a)
{
	int64_t run = 0;
	bool same = false;
	int r = last_run(s, a, &run, &same);

	if (r < 0 || same)
		return r;
	r = run_add(s, a, run + 1);
	if (r == 0 && run >= ATTEMPTS_KEPT)
		r = run_delete(s, a, run + 1 - ATTEMPTS_KEPT);
	return r < 0 ? r : 1;
}

/* ---- settling ---- */

static int put_off(struct store *s, struct handler_entry *h, const struct settle *t,
		   const char *record)
{
	int earlier = order_earlier(s, h, record, t->event);
	int r;

	if (earlier < 0)
		return earlier;
	r = parked_put(s, &(struct parked_row){
		.handler = h->id, .event = t->event, .record = record, .blocked = earlier > 0,
		.due_ms = t->due_ms, .attempts = t->attempts,
	});
	return r < 0 ? r : delivery_set(s, h->id, t->event, DELIVERY_PARKED, t->attempts, 0);
}

/* What the event itself says. */
struct facts {
	char record[CALLOUT_RECORD_MAX];
	char time[CALLOUT_TIME_MAX + 1];
	int64_t sequence;
	bool has_sequence, live;
};

/* Handed over after a newer one of its record was done. Callouts come in their order: not asked. */
static int is_late(struct store *s, const struct handler_entry *h, const struct facts *f)
{
	struct bind b = bind_begin(s->st[ST_HANDLED_NEWER]);
	int r;

	if (f->live)
		return 0;
	bind_int(&b, h->id);
	bind_text(&b, f->record);
	bind_newness(&b, f->has_sequence, f->sequence, f->time);
	r = bind_row(&b);
	if (r > 0)
		(void)sqlite3_reset(b.st);
	return r;
}

static int note_done(struct store *s, struct handler_entry *h, int64_t event, const struct facts *f)
{
	int late = is_late(s, h, f);
	int64_t ms = 0;
	bool plain = !f->has_sequence && clock_parse(f->time, strlen(f->time), &ms) == 0;
	struct bind b;

	if (late < 0)
		return late;
	b = bind_begin(s->st[ST_HANDLED_PUT]);
	bind_int(&b, h->id);
	bind_text(&b, f->record);
	bind_int(&b, late ? 0 : event);         /* an older one is not the newest, though its id is */
	bind_newness(&b, f->has_sequence, f->sequence, f->time);
	bind_optional(&b, plain, ms);
	return bind_run(&b);
}

static int note_outcome(struct store *s, struct handler_entry *h, const struct settle *t,
			const struct facts *f)
{
	struct bind b;

	if (t->state == DELIVERY_FAILED) {
		b = bind_begin(s->st[ST_DEAD_ADD]);
		bind_int(&b, t->event);
		bind_int(&b, h->id);
		return bind_run(&b);
	}
	return t->state == DELIVERY_DONE ? note_done(s, h, t->event, f) : 0;
}

static int take_away(struct store *s, struct handler_entry *h, const struct settle *t,
		     enum delivery_state was, const struct facts *f)
{
	int r = delivery_set(s, h->id, t->event, t->state, t->attempts, t->now_ms);

	if (r == 0 && was == DELIVERY_PARKED)
		r = parked_delete(s, h->id, t->event);
	if (r == 0)
		r = note_outcome(s, h, t, f);
	if (r < 0)
		return r;
	handler_count(h, t->state, 1);
	prune_settled(s, t->event);
	return 0;
}

static int facts_of(struct store *s, int64_t event, struct facts *ret)
{
	sqlite3_stmt *st = s->st[ST_EVENT_RECORD];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, event);
	r = bind_row(&b);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	column_text(st, 0, ret->record, sizeof(ret->record));
	ret->live = sqlite3_column_int(st, 1) == SOURCE_LIVE;
	ret->has_sequence = sqlite3_column_type(st, 2) != SQLITE_NULL;
	ret->sequence = sqlite3_column_int64(st, 2);
	column_text(st, 3, ret->time, sizeof(ret->time));
	(void)sqlite3_reset(st);
	return 0;
}

static bool is_open(enum delivery_state state)
{
	return state == DELIVERY_WAITING || state == DELIVERY_PARKED;
}

static int settle_open(struct store *s, struct handler_entry *h, const struct settle *t,
		       enum delivery_state was, const struct facts *f)
{
	if (t->state == DELIVERY_PARKED)
		return put_off(s, h, t, f->record);
	return take_away(s, h, t, was, f);
}

int store_settle(struct store *s, const struct settle *t, bool *ret_behind)
{
	struct handler_entry *h = handler_by_id(s, t->handler);
	enum delivery_state was = DELIVERY_WAITING;
	struct facts f;
	int fresh = 1, r;

	if (t->state == DELIVERY_WAITING || t->state >= DELIVERY_STATE_COUNT_)
		return -EINVAL;
	r = h ? delivery_state(s, t->handler, t->event, &was) : -ENOENT;
	if (r == 0)
		r = facts_of(s, t->event, &f);
	if (r < 0)
		return r;
	if (t->attempt)
		fresh = attempt_put(s, t->attempt);
	if (fresh < 0)
		return fresh;
	if (fresh > 0 && is_open(was))
		r = settle_open(s, h, t, was, &f);
	if (r < 0)
		return r;
	handler_mark(h, t->low_water);
	return order_promote(s, h, f.record, t->now_ms, ret_behind);
}

/* ---- parking ---- */

static int park_one(struct store *s, struct handler_entry *h, const struct delivery_ref *ref,
		    int64_t now_ms)
{
	enum delivery_state was = DELIVERY_WAITING;
	int earlier, r = delivery_state(s, h->id, ref->event, &was);

	if (r < 0 || was != DELIVERY_WAITING)   /* dropped meanwhile, or parked already */
		return r;
	earlier = order_earlier(s, h, ref->record, ref->event);
	if (earlier < 0)
		return earlier;
	r = parked_put(s, &(struct parked_row){
		.handler = h->id, .event = ref->event, .record = ref->record,
		.blocked = earlier > 0, .due_ms = earlier > 0 ? 0 : now_ms,
		.attempts = ref->attempts, .late = ref->late,
	});
	return r < 0 ? r : delivery_set(s, h->id, ref->event, DELIVERY_PARKED, ref->attempts, 0);
}

int store_park(struct store *s, int64_t handler, const struct delivery_ref *refs, size_t count,
	       int64_t low_water, int64_t now_ms)
{
	struct handler_entry *h = handler_by_id(s, handler);
	int r = h ? 0 : -ENOENT;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = park_one(s, h, &refs[i], now_ms);
	/* Only now: until it was parked, each of them counted as waiting in turn. */
	if (r == 0)
		handler_mark(h, low_water);
	return r;
}
