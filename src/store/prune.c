/*
 * prune.c - retention, in small steps: content first, then what happened, then the keys.
 *
 * Both walks go by event id, that is from the oldest on, and stop at the first row that is too
 * young: that says when there is something to do next. What they pass over comes back:
 * what is unfinished when it is settled (`late`), dead letters when they are old enough
 * (again_ms, by walking again). Times come from a clock that may have been set: a row from the
 * future stops nobody.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

#define STEP_BYTES (1 << 20)    /* content removed in a step: freed pages are overwritten, through the WAL */
#define WALK_AGAIN_MS 60000     /* at most once a minute for the sake of a dead letter */
#define OVERSIZE_PART 64        /* grown by this part of max_size: worth another try */
#define OVERSIZE_SETTLED 1000

enum verdict {
	UNFINISHED,
	FINISHED,
	DEAD,                   /* a dead letter, or quarantined: kept whole for longer */
};

struct step {
	struct store *s;
	const struct retention *r;
	unsigned rows;          /* that may still be looked at */
	int64_t bytes;          /* that may still be removed */
	unsigned pruned;
	int64_t next_ms;
};

struct candidate {
	int64_t event, received_ms, body_len;
	enum event_kind kind;
	char record[CALLOUT_RECORD_MAX];
};

static void due(struct step *t, int64_t ms)
{
	if (ms < t->next_ms)
		t->next_ms = ms;
}

static bool spent(const struct step *t)
{
	return t->rows == 0 || t->bytes <= 0;
}

/* ---- looking ---- */

static int next_candidate(struct step *t, enum statement which, int64_t after, struct candidate *c)
{
	sqlite3_stmt *st = t->s->st[which];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, after);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	c->event = sqlite3_column_int64(st, 0);
	c->received_ms = sqlite3_column_int64(st, 1);
	c->kind = (enum event_kind)sqlite3_column_int(st, 2);
	c->body_len = sqlite3_column_int64(st, 3);
	column_text(st, 4, c->record, sizeof(c->record));
	(void)sqlite3_reset(st);
	t->rows--;
	return 1;
}

static int verdict_of(struct step *t, const struct candidate *c, enum verdict *ret)
{
	sqlite3_stmt *st = t->s->st[ST_EVENT_STATES];
	struct bind b = bind_begin(st);
	int r;

	*ret = c->kind == EVENT_QUARANTINED ? DEAD : FINISHED;
	bind_int(&b, c->event);
	for (r = bind_row(&b); r > 0; r = sql_step(st)) {
		enum delivery_state state = (enum delivery_state)FROM_DISK(sqlite3_column_int(st, 0));

		if (state == DELIVERY_WAITING || state == DELIVERY_PARKED) {
			*ret = UNFINISHED;
			(void)sqlite3_reset(st);
			return 0;
		}
		if (state == DELIVERY_FAILED)
			*ret = DEAD;
	}
	return r;
}

/* ---- removing ---- */

static int run_for(struct store *s, enum statement which, int64_t event)
{
	struct bind b = bind_begin(s->st[which]);

	bind_int(&b, event);
	return bind_run(&b);
}

static int remove_content(struct step *t, const struct candidate *c)
{
	int r = run_for(t->s, ST_PRUNE_OUTPUT, c->event);

	if (r == 0)
		r = run_for(t->s, ST_PRUNE_OUTPUT_GONE, c->event);
	if (r == 0)
		r = run_for(t->s, ST_PRUNE_CONTENT, c->event);
	t->bytes -= c->body_len + 4096;
	t->pruned++;
	return r;
}

static int remove_handled(struct step *t, const struct candidate *c)
{
	struct bind b = bind_begin(t->s->st[ST_PRUNE_HANDLED]);

	bind_text(&b, c->record);
	bind_int(&b, c->event);
	return bind_run(&b);
}

static int remove_event(struct step *t, const struct candidate *c)
{
	static const enum statement all[] = {
		ST_PRUNE_ATTEMPTS, ST_PRUNE_DEAD, ST_PRUNE_REPLAYED, ST_PRUNE_DELIVERIES, ST_PRUNE_EVENT,
	};
	int r = remove_content(t, c);

	if (r == 0)
		r = remove_handled(t, c);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = run_for(t->s, all[i], c->event);
	return r;
}

/* ---- by age ---- */

/* How long this kind of verdict is kept, by either walk. */
struct rule {
	enum statement next;
	int64_t keep_ms, keep_dead_ms;
	int (*remove)(struct step *t, const struct candidate *c);
};

static int apply_rule(struct step *t, struct prune_walk *w, const struct rule *rule,
		      const struct candidate *c)
{
	enum verdict v = UNFINISHED;
	int64_t old_ms;
	int r = verdict_of(t, c, &v);

	if (r < 0 || v == UNFINISHED)
		return r;
	old_ms = c->received_ms + (v == DEAD ? rule->keep_dead_ms : rule->keep_ms);
	if (old_ms <= t->r->now_ms)
		return rule->remove(t, c);
	if (old_ms < t->r->now_ms + WALK_AGAIN_MS)
		old_ms = t->r->now_ms + WALK_AGAIN_MS;
	if (!w->again_ms || old_ms < w->again_ms)
		w->again_ms = old_ms;
	return 0;
}

/* The newest event stays, so that no number is ever given twice. */
static int walk(struct step *t, struct prune_walk *w, const struct rule *rule)
{
	struct candidate c;
	int r;

	if (w->again_ms && w->again_ms <= t->r->now_ms)
		*w = (struct prune_walk){ 0 };
	while (!spent(t)) {
		int64_t shortest = rule->keep_ms < rule->keep_dead_ms ? rule->keep_ms : rule->keep_dead_ms;

		r = next_candidate(t, rule->next, w->at, &c);
		if (r < 0)
			return r;
		if (r == 0 || (rule->remove == remove_event && c.event == t->s->newest_event)) {
			t->s->prune.open_end = true;
			break;
		}
		if (c.received_ms <= t->r->now_ms && c.received_ms + shortest > t->r->now_ms) {
			due(t, c.received_ms + shortest);
			break;
		}
		if (c.received_ms <= t->r->now_ms)
			r = apply_rule(t, w, rule, &c);
		if (r < 0)
			return r;
		w->at = c.event;
	}
	if (w->again_ms)
		due(t, w->again_ms);
	return 0;
}

static int64_t longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static struct rule content_rule(const struct retention *r)
{
	return (struct rule){ ST_CONTENT_NEXT, r->keep_payload_ms, r->keep_failed_ms, remove_content };
}

static struct rule event_rule(const struct retention *r)
{
	return (struct rule){ ST_EVENT_NEXT, r->keep_ms, longer(r->keep_ms, r->keep_failed_ms),
			      remove_event };
}

/* Settled when the walks had passed them already. */
static int late_ones(struct step *t)
{
	struct pruning *p = &t->s->prune;
	const struct rule content = content_rule(t->r), events = event_rule(t->r);
	struct candidate c;
	int r = 0;

	while (r >= 0 && p->late_count > 0 && !spent(t)) {
		int64_t event = p->late[--p->late_count];

		r = next_candidate(t, ST_CONTENT_NEXT, event - 1, &c);
		if (r > 0 && c.event == event)
			r = apply_rule(t, &p->content, &content, &c);
		if (r < 0 || event > p->events.at)
			continue;
		r = next_candidate(t, ST_EVENT_NEXT, event - 1, &c);
		if (r > 0 && c.event == event && event != t->s->newest_event)
			r = apply_rule(t, &p->events, &events, &c);
	}
	return r < 0 ? r : 0;
}

/* ---- keys ---- */

static int prune_keys(struct step *t, enum statement remove, enum statement oldest)
{
	sqlite3_stmt *st = t->s->st[oldest];
	struct bind b = bind_begin(t->s->st[remove]);
	unsigned removed;
	int r;

	if (spent(t))
		return 0;
	bind_int(&b, t->r->now_ms - t->r->keep_keys_ms);
	bind_int(&b, t->rows);
	r = bind_run(&b);
	if (r < 0)
		return r;
	removed = (unsigned)sqlite3_changes(t->s->db);
	t->pruned += removed;
	t->rows -= removed < t->rows ? removed : t->rows;
	r = sql_step(st);
	if (r > 0 && sqlite3_column_type(st, 0) != SQLITE_NULL)
		due(t, sqlite3_column_int64(st, 0) + t->r->keep_keys_ms + 1);
	else
		t->s->prune.open_end = true;
	(void)sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* ---- by size ---- */

int store_pages(struct store *s, uint64_t *ret_used_bytes, uint64_t *ret_free_bytes)
{
	static const enum statement which[] = { ST_PAGES, ST_FREE_PAGES };
	uint64_t pages[2];

	for (size_t i = 0; i < ARRAY_LEN(which); i++) {
		int r = sql_step(s->st[which[i]]);

		if (r <= 0)
			return r < 0 ? r : -EUCLEAN;
		pages[i] = (uint64_t)sqlite3_column_int64(s->st[which[i]], 0);
		(void)sqlite3_reset(s->st[which[i]]);
	}
	*ret_used_bytes = (pages[0] - pages[1]) * s->page_bytes;
	*ret_free_bytes = pages[1] * s->page_bytes;
	return 0;
}

bool prune_oversize(struct store *s, uint64_t used_bytes, uint64_t max_bytes)
{
	const struct pruning *p = &s->prune;

	if (used_bytes <= max_bytes)
		return false;
	return !p->oversize_from || used_bytes >= p->oversize_from + max_bytes / OVERSIZE_PART ||
	       p->settled >= OVERSIZE_SETTLED;
}

/* Once round for what is finished; once more for dead letters; then there is nothing. */
static void oversize_round(struct pruning *p, uint64_t used)
{
	p->oversize.at = 0;
	p->oversize_from = p->oversize_dead ? used : 0;
	p->oversize_dead = !p->oversize_dead;
	p->settled = 0;
}

static int shrink(struct step *t, bool *ret_more)
{
	struct pruning *p = &t->s->prune;
	uint64_t used = 0, spare = 0;
	struct candidate c;
	enum verdict v;
	int r;

	*ret_more = false;
	while ((r = store_pages(t->s, &used, &spare)) == 0 &&
	       prune_oversize(t->s, used, t->r->max_size)) {
		*ret_more = true;
		if (spent(t))
			return 0;
		r = next_candidate(t, ST_CONTENT_NEXT, p->oversize.at, &c);
		if (r < 0)
			return r;
		if (r == 0) {
			oversize_round(p, used);
			continue;
		}
		p->oversize.at = c.event;
		r = verdict_of(t, &c, &v);
		if (r == 0 && (v == FINISHED || (v == DEAD && p->oversize_dead)))
			r = remove_content(t, &c);
		if (r < 0)
			return r;
	}
	*ret_more = false;
	if (p->oversize_dead && used <= t->r->max_size)
		oversize_round(p, 0);   /* next time, what is finished goes first again */
	return r;
}

/* ---- a step ---- */

void prune_forget(struct store *s)
{
	struct pruning *p = &s->prune;

	p->content = p->events = p->oversize = (struct prune_walk){ 0 };
	p->late_count = 0;
	p->open_end = true;
	p->accepted = true;
}

void prune_settled(struct store *s, int64_t event)
{
	struct pruning *p = &s->prune;

	p->settled++;
	if (event > p->content.at && event > p->events.at)
		return;
	if (p->late_count == PRUNE_LATE_MAX)
		prune_forget(s);        /* walk again: that finds them all */
	else
		p->late[p->late_count++] = event;
}

bool prune_wanted(const struct store *s)
{
	const struct pruning *p = &s->prune;

	return p->late_count > 0 || (p->open_end && p->accepted);
}

static bool same_limits(const struct retention *a, const struct retention *b)
{
	return a->keep_payload_ms == b->keep_payload_ms && a->keep_failed_ms == b->keep_failed_ms &&
	       a->keep_ms == b->keep_ms && a->keep_keys_ms == b->keep_keys_ms &&
	       a->max_size == b->max_size;
}

int store_prune(struct store *s, const struct retention *r, unsigned *ret_pruned, bool *ret_more,
		int64_t *ret_next_ms)
{
	struct step t = { .s = s, .r = r, .rows = r->rows, .bytes = STEP_BYTES, .next_ms = INT64_MAX };
	const struct rule content = content_rule(r), events = event_rule(r);
	bool oversize = false;
	int result;

	if (!same_limits(r, &s->prune.limits)) {
		prune_forget(s);
		s->prune.oversize_from = 0;
		s->prune.limits = *r;
	}
	s->prune.open_end = s->prune.accepted = false;
	result = late_ones(&t);
	if (result == 0)
		result = walk(&t, &s->prune.content, &content);
	if (result == 0)
		result = walk(&t, &s->prune.events, &events);
	if (result == 0)
		result = prune_keys(&t, ST_PRUNE_SEEN, ST_SEEN_OLDEST);
	if (result == 0)
		result = prune_keys(&t, ST_PRUNE_SEEN_BODY, ST_SEEN_BODY_OLDEST);
	if (result == 0)
		result = shrink(&t, &oversize);
	if (result < 0)
		return result;
	*ret_pruned = t.pruned;
	*ret_more = spent(&t) || oversize;
	*ret_next_ms = *ret_more ? r->now_ms : t.next_ms;
	return 0;
}
