/* pages.c - events in pages, filtered, each page bounded in what it returns and in what it looks at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

#define LOOKED_AT_MAX READER_EVENTS_MAX

enum { PAGE_END, PAGE_FULL, PAGE_MORE };

struct page {
	struct reader *r;
	const struct event_filter *f;
	int64_t *handlers;              /* whose deliveries are looked at; none: they do not matter */
	size_t handler_count;
	unsigned found, looked;
	int64_t last;                   /* id looked at last */
	int stopped;                    /* what fn returned to end it */
};

/* A clock that was set back by a day at most: ids are in order, times nearly. */
#define CLOCK_SLACK_MS 86400000

static bool same(const char *want, sqlite3_stmt *st, int column)
{
	const char *have = (const char *)sqlite3_column_text(st, column);

	return !want || (have && strcmp(want, have) == 0);
}

static bool event_matches(const struct event_filter *f, sqlite3_stmt *st)
{
	int64_t received_ms = sqlite3_column_int64(st, 1);

	if ((f->since_ms && received_ms < f->since_ms) || (f->until_ms && received_ms > f->until_ms))
		return false;
	if (f->kind >= 0 && sqlite3_column_int(st, 2) != f->kind)
		return false;
	if (f->has_record_id && (sqlite3_column_type(st, 16) == SQLITE_NULL ||
				 sqlite3_column_int64(st, 16) != f->record_id))
		return false;
	return same(f->webhook, st, 4) && same(f->action, st, 8) && same(f->entity, st, 10);
}

/* 1: this handler's delivery is as asked; 0: not; -errno. */
static int delivery_matches(struct page *p, int64_t handler, int64_t event)
{
	sqlite3_stmt *st = p->r->st[RD_DELIVERY_STATE];
	struct bind b = bind_begin(st);
	int result, state;

	bind_int(&b, handler);
	bind_int(&b, event);
	result = bind_row(&b);
	if (result <= 0)
		return result;
	state = FROM_DISK(sqlite3_column_int(st, 0));
	(void)sqlite3_reset(st);
	if (state == DELIVERY_PARKED)
		state = DELIVERY_WAITING;
	return p->f->state < 0 || state == p->f->state ||
	       (p->f->state == DELIVERY_PARKED && state == DELIVERY_WAITING);
}

static int deliveries_match(struct page *p, int64_t event)
{
	int result = p->handler_count == 0;

	for (size_t i = 0; result == 0 && i < p->handler_count; i++)
		result = delivery_matches(p, p->handlers[i], event);
	return result;
}

/* What to do after a row: PAGE_..., or what fn or an error says. */
static int page_row(struct page *p, sqlite3_stmt *st,
		    int (*fn)(void *arg, const struct event *e), void *arg)
{
	struct event e;
	int result;

	p->last = sqlite3_column_int64(st, 0);
	p->looked++;
	if (event_matches(p->f, st)) {
		result = deliveries_match(p, p->last);
		if (result > 0) {
			event_fill(st, &e);
			result = reader_exists(p->r, RD_CONTENT, e.id);
			if (result < 0)
				return result;
			e.body_kept = result > 0;
			p->stopped = fn(arg, &e);
			if (p->stopped)
				return -ECANCELED;
			p->found++;
		}
		if (result < 0)
			return result;
	}
	return p->found < p->f->limit && p->looked < LOOKED_AT_MAX ? PAGE_MORE : PAGE_FULL;
}

/* Nothing older can match any more. */
static bool is_past(const struct event_filter *f, sqlite3_stmt *st)
{
	return f->since_ms && !f->after && sqlite3_column_int64(st, 1) < f->since_ms - CLOCK_SLACK_MS;
}

/* The first event behind `after`; 0 at the end. */
static int event_behind(struct reader *r, int64_t after, int64_t *ret_event, int64_t *ret_ms)
{
	sqlite3_stmt *st = r->st[RD_EVENT_NEXT];
	struct bind b = bind_begin(st);
	int result;

	*ret_event = 0;
	bind_int(&b, after);
	result = bind_row(&b);
	if (result <= 0)
		return result;
	*ret_event = sqlite3_column_int64(st, 0);
	*ret_ms = sqlite3_column_int64(st, 1);
	(void)sqlite3_reset(st);
	return 0;
}

int reader_since(struct reader *r, int64_t ms, int64_t *ret_event)
{
	sqlite3_stmt *newest = r->st[RD_NEWEST];
	int64_t low = 0, high;
	int result;

	reader_begin(r);
	result = sql_step(newest);
	high = result > 0 ? sqlite3_column_int64(newest, 0) : 0;
	(void)sqlite3_reset(newest);
	while (result >= 0 && low < high) {
		int64_t mid = low + (high - low) / 2, event, received_ms = 0;

		result = event_behind(r, mid, &event, &received_ms);
		if (event && received_ms < ms - CLOCK_SLACK_MS)
			low = event;
		else
			high = mid;
	}
	if (result < 0)
		return result;
	*ret_event = low + 1;
	return 0;
}

typedef int event_fn(void *arg, const struct event *e);

static int64_t edge(const struct event_filter *f)
{
	if (f->after)
		return f->after;
	return f->before ? f->before : INT64_MAX;
}

static int scan_events(struct page *p, event_fn *fn, void *arg)
{
	sqlite3_stmt *st = p->r->st[p->f->after ? RD_EVENTS_UP : RD_EVENTS_DOWN];
	struct bind b = bind_begin(st);
	int result;

	bind_int(&b, edge(p->f));
	for (result = bind_row(&b); result > 0; result = sql_step(st)) {
		result = is_past(p->f, st) ? PAGE_END : page_row(p, st, fn, arg);
		if (result != PAGE_MORE) {
			(void)sqlite3_reset(st);
			return result;
		}
	}
	return result < 0 ? result : PAGE_END;
}

/* Dead letters have a table of their own: one in a million is found at once. */
static int scan_dead(struct page *p, event_fn *fn, void *arg)
{
	sqlite3_stmt *dead = p->r->st[p->f->after ? RD_DEAD_UP : RD_DEAD_DOWN];
	sqlite3_stmt *st = p->r->st[RD_EVENT];
	struct bind b = bind_begin(dead);
	int result;

	bind_int(&b, edge(p->f));
	for (result = bind_row(&b); result > 0; result = sql_step(dead)) {
		struct bind one = bind_begin(st);

		bind_int(&one, sqlite3_column_int64(dead, 0));
		result = bind_row(&one);
		if (result > 0)
			result = page_row(p, st, fn, arg);
		else if (result == 0)
			result = PAGE_MORE;
		(void)sqlite3_reset(st);
		if (result != PAGE_MORE) {
			(void)sqlite3_reset(dead);
			return result;
		}
	}
	return result < 0 ? result : PAGE_END;
}

/* Numbers of all handlers, or of the one asked for. -ENOENT: there is no such handler. */
static int page_handlers(struct page *p)
{
	struct handler_state *list = NULL;
	size_t count = 0;
	int result;

	if (!p->f->handler && p->f->state < 0)
		return 0;
	result = reader_handlers_plain(p->r, &list, &count);
	if (result < 0)
		return result;
	p->handlers = calloc(count + 1, sizeof(p->handlers[0]));
	for (size_t i = 0; p->handlers && i < count; i++)
		if (!p->f->handler || strcmp(p->f->handler, list[i].name) == 0)
			p->handlers[p->handler_count++] = list[i].handler;
	free(list);
	if (!p->handlers)
		return -ENOMEM;
	return p->handler_count ? 0 : -ENOENT;
}

int reader_events(struct reader *r, const struct event_filter *f,
		  int (*fn)(void *arg, const struct event *e), void *arg, int64_t *ret_next)
{
	struct page p = { .r = r, .f = f };
	int result;

	if (f->limit < 1 || f->limit > READER_EVENTS_MAX)
		return -EINVAL;
	reader_begin(r);
	result = page_handlers(&p);
	if (result == 0)
		result = f->state == DELIVERY_FAILED ? scan_dead(&p, fn, arg)
						     : scan_events(&p, fn, arg);
	free(p.handlers);
	if (result == -ENOENT)
		result = PAGE_END;      /* no such handler: no such event */
	if (result < 0)
		return p.stopped ? p.stopped : result;
	*ret_next = result == PAGE_FULL ? p.last : 0;
	return 0;
}
