/* queue.c - the dispatcher's questions: handlers, what waits in turn, what is parked and due. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

/* ---- what waits in turn ---- */

static struct skip *skip_of(struct reader *r, int64_t handler)
{
	struct skip *more;

	for (size_t i = 0; i < r->skip_count; i++)
		if (r->skips[i].handler == handler)
			return &r->skips[i];
	more = realloc(r->skips, (r->skip_count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	r->skips = more;
	r->skips[r->skip_count] = (struct skip){ .handler = handler };
	return &r->skips[r->skip_count++];
}

/* A walk over a handler's deliveries, that learns what it need not look at again. */
struct walk {
	sqlite3_stmt *st;
	struct skip *skip;
	int64_t event, at_ms;
	bool learning;          /* nothing waiting was met yet */
};

static int walk_begin(struct reader *r, int64_t handler, int64_t after, struct walk *w)
{
	struct bind b = bind_begin(r->st[RD_WAITING]);

	*w = (struct walk){ .st = b.st, .skip = skip_of(r, handler), .learning = true };
	if (!w->skip)
		return -ENOMEM;
	if (after >= w->skip->from && after <= w->skip->to)
		after = w->skip->to;
	else
		w->skip->from = w->skip->to = after;
	bind_int(&b, handler);
	bind_int(&b, after);
	return sql_errno(r->db, b.rc);
}

/* 1 and the next waiting one, 0 at the end, or -errno. Stopped early, what was learnt stays. */
static int walk_next(struct walk *w)
{
	int r;

	while ((r = sql_step(w->st)) > 0) {
		w->event = sqlite3_column_int64(w->st, 0);
		if (FROM_DISK(sqlite3_column_int(w->st, 1)) == DELIVERY_WAITING) {
			w->at_ms = sqlite3_column_int64(w->st, 2);
			w->learning = false;
			return 1;
		}
		if (w->learning)
			w->skip->to = w->event;
	}
	return r;
}

static int describe(struct reader *r, int64_t handler, struct delivery_ref *ref)
{
	sqlite3_stmt *st = r->st[RD_NEXT];
	struct bind b = bind_begin(st);
	int result;

	bind_int(&b, ref->event);
	bind_int(&b, handler);
	result = bind_row(&b);
	if (result <= 0)
		return result < 0 ? result : -EUCLEAN;  /* unfinished events are never removed */
	column_text(st, 0, ref->record, sizeof(ref->record));
	ref->behind = sqlite3_column_int(st, 1) != 0;
	ref->received_ms = sqlite3_column_int64(st, 2);
	(void)sqlite3_reset(st);
	return 0;
}

int reader_next(struct reader *r, int64_t handler, int64_t after,
		struct delivery_ref *ret, size_t count, size_t *ret_count)
{
	struct walk w;
	size_t n = 0;
	int result;

	reader_begin(r);
	result = walk_begin(r, handler, after, &w);
	while (result >= 0 && n < count) {
		result = walk_next(&w);
		if (result <= 0)
			break;
		ret[n] = (struct delivery_ref){ .event = w.event };
		result = describe(r, handler, &ret[n]);
		n++;
	}
	(void)sqlite3_reset(w.st);
	if (result < 0)
		return result;
	*ret_count = n;
	return 0;
}

/* ---- what is parked ---- */

/* The rows of a question about parked ones, its last parameter being how many. */
static int parked_rows(struct bind *b, struct delivery_ref *ret, size_t count, size_t *ret_count)
{
	size_t n = 0;
	int result;

	bind_int(b, (int64_t)count);
	for (result = bind_row(b); result > 0 && n < count; result = sql_step(b->st)) {
		struct delivery_ref *ref = &ret[n++];

		*ref = (struct delivery_ref){
			.event = sqlite3_column_int64(b->st, 0),
			.attempts = (unsigned)sqlite3_column_int64(b->st, 2),
			.late = sqlite3_column_int(b->st, 3) != 0,
			.due_ms = sqlite3_column_int64(b->st, 4),
			.received_ms = sqlite3_column_int64(b->st, 5),
			.replayed = sqlite3_column_int(b->st, 6) != 0,
		};
		column_text(b->st, 1, ref->record, sizeof(ref->record));
	}
	(void)sqlite3_reset(b->st);
	if (result < 0)
		return result;
	*ret_count = n;
	return 0;
}

int reader_due(struct reader *r, int64_t handler, int64_t now_ms,
	       struct delivery_ref *ret, size_t count, size_t *ret_count)
{
	struct bind b = bind_begin(r->st[RD_DUE]);

	reader_begin(r);
	bind_int(&b, handler);
	bind_int(&b, now_ms);
	return parked_rows(&b, ret, count, ret_count);
}

int reader_behind(struct reader *r, int64_t handler, const char *record, int64_t after,
		  struct delivery_ref *ret, size_t count, size_t *ret_count)
{
	struct bind b = bind_begin(r->st[RD_BEHIND]);

	reader_begin(r);
	bind_int(&b, handler);
	bind_text(&b, record);
	bind_int(&b, after);
	return parked_rows(&b, ret, count, ret_count);
}

int reader_ahead(struct reader *r, int64_t handler, const char *record, int64_t after,
		 struct delivery_ref *ret, size_t count, size_t *ret_count)
{
	struct bind b = bind_begin(r->st[RD_AHEAD]);
	size_t n = 0;
	int result;

	reader_begin(r);
	bind_int(&b, handler);
	bind_int(&b, after);
	bind_text(&b, record);
	bind_int(&b, (int64_t)count);
	for (result = bind_row(&b); result > 0 && n < count; result = sql_step(b.st)) {
		ret[n] = (struct delivery_ref){ .event = sqlite3_column_int64(b.st, 0),
						.received_ms = sqlite3_column_int64(b.st, 1) };
		memcpy(ret[n].record, record, strnlen(record, sizeof(ret[n].record) - 1));
		n++;
	}
	(void)sqlite3_reset(b.st);
	if (result < 0)
		return result;
	*ret_count = n;
	return 0;
}

int reader_held(struct reader *r, struct held_record **ret, size_t *ret_count)
{
	struct bind b = bind_begin(r->st[RD_HELD]);
	struct held_record *list = calloc(READER_HELD_MAX, sizeof(*list));
	size_t n = 0;
	int result;

	if (!list)
		return -ENOMEM;
	reader_begin(r);
	bind_int(&b, READER_HELD_MAX);
	for (result = bind_row(&b); result > 0 && n < READER_HELD_MAX; result = sql_step(b.st)) {
		column_text(b.st, 0, list[n].handler, sizeof(list[n].handler));
		column_text(b.st, 1, list[n].record, sizeof(list[n].record));
		list[n++].event = sqlite3_column_int64(b.st, 2);
	}
	(void)sqlite3_reset(b.st);
	if (result < 0) {
		free(list);
		return result;
	}
	*ret = list;
	*ret_count = n;
	return 0;
}

int reader_next_due(struct reader *r, int64_t handler, int64_t *ret_ms)
{
	struct bind b = bind_begin(r->st[RD_NEXT_DUE]);
	int result;

	reader_begin(r);
	bind_int(&b, handler);
	result = bind_row(&b);
	if (result < 0)
		return result;
	*ret_ms = result ? sqlite3_column_int64(b.st, 0) : INT64_MAX;
	(void)sqlite3_reset(b.st);
	return 0;
}

int reader_handled_newer(struct reader *r, int64_t handler, const struct event *e)
{
	struct bind b = bind_begin(r->st[RD_HANDLED_NEWER]);
	int result;

	reader_begin(r);
	bind_int(&b, handler);
	bind_text(&b, e->record);
	bind_newness(&b, e->has_sequence, e->sequence, e->time);
	result = bind_row(&b);
	if (result > 0)
		(void)sqlite3_reset(b.st);
	return result;
}

static int handled_after(struct reader *r, int64_t handler, const struct event *e)
{
	struct bind b = bind_begin(r->st[RD_HANDLED_AFTER]);
	int result;

	reader_begin(r);
	bind_int(&b, handler);
	bind_text(&b, e->record);
	bind_int(&b, e->id);
	bind_optional(&b, e->has_sequence, e->sequence);
	result = bind_row(&b);
	if (result > 0)
		(void)sqlite3_reset(b.st);
	return result;
}

int reader_late(struct reader *r, int64_t handler, const struct event *e)
{
	if (e->source == SOURCE_RECOVERED || e->source == SOURCE_REFETCHED)
		return reader_handled_newer(r, handler, e);
	return handled_after(r, handler, e);
}

/* ---- handlers ---- */

static int oldest_waiting(struct reader *r, struct handler_state *h)
{
	sqlite3_stmt *parked = r->st[RD_PARKED_OLDEST];
	struct bind b = bind_begin(parked);
	struct walk w;
	int result;

	if (h->accepted == h->done + h->failed + h->dropped)
		return 0;
	bind_int(&b, h->handler);
	result = bind_row(&b);
	if (result < 0)
		return result;
	if (result > 0)
		h->oldest_waiting_ms = sqlite3_column_int64(parked, 0);
	(void)sqlite3_reset(parked);
	result = walk_begin(r, h->handler, h->low_water > 0 ? h->low_water - 1 : 0, &w);
	if (result == 0)
		result = walk_next(&w);
	(void)sqlite3_reset(w.st);
	if (result > 0 && (!h->oldest_waiting_ms || w.at_ms < h->oldest_waiting_ms))
		h->oldest_waiting_ms = w.at_ms;
	return result < 0 ? result : 0;
}

static void handler_fill(sqlite3_stmt *st, struct handler_state *h)
{
	*h = (struct handler_state){
		.handler = sqlite3_column_int64(st, 0),
		.low_water = sqlite3_column_int64(st, 2),
		.held = sqlite3_column_int(st, 3) != 0,
		.held_until_ms = sqlite3_column_int64(st, 4),
		.pause_until_ms = sqlite3_column_int64(st, 5),
		.pause_step = (unsigned)sqlite3_column_int64(st, 6),
		.failures = (unsigned)sqlite3_column_int64(st, 7),
		.accepted = (uint64_t)sqlite3_column_int64(st, 8),
		.done = (uint64_t)sqlite3_column_int64(st, 9),
		.failed = (uint64_t)sqlite3_column_int64(st, 10),
		.dropped = (uint64_t)sqlite3_column_int64(st, 11),
	};
	column_text(st, 1, h->name, sizeof(h->name));
}

static int handlers_list(struct reader *r, struct handler_state **list, size_t *count)
{
	sqlite3_stmt *st = r->st[RD_HANDLERS];
	size_t cap = 0;
	int result;

	while ((result = sql_step(st)) > 0) {
		if (*count == cap) {
			struct handler_state *more;

			cap = cap ? cap * 2 : 16;
			more = realloc(*list, cap * sizeof(*more));
			if (!more) {
				(void)sqlite3_reset(st);
				return -ENOMEM;
			}
			*list = more;
		}
		handler_fill(st, &(*list)[(*count)++]);
	}
	return result;
}

int reader_handlers_plain(struct reader *r, struct handler_state **ret, size_t *ret_count)
{
	AUTO(free) struct handler_state *list = NULL;
	size_t count = 0;
	int result = handlers_list(r, &list, &count);

	if (result < 0)
		return result;
	*ret = TAKE(list);
	*ret_count = count;
	return 0;
}

int reader_handlers(struct reader *r, struct handler_state **ret, size_t *ret_count)
{
	AUTO(free) struct handler_state *list = NULL;
	size_t count = 0;
	int result;

	reader_begin(r);
	result = reader_handlers_plain(r, &list, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		result = oldest_waiting(r, &list[i]);
	if (result < 0)
		return result;
	*ret = TAKE(list);
	*ret_count = count;
	return 0;
}
