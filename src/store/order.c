/*
 * order.c - which delivery of a record may go next.
 *
 * For one handler and one record only the earliest parked delivery may be due; those after
 * it are blocked. That holds after every verb: whatever parks a delivery blocks the later
 * ones, whatever takes one out of the way frees the next, and both look at what is really
 * stored, so that it does not matter whether a delivery is parked behind its head just
 * before or just after the head is settled.
 */
#include <errno.h>

#include "private.h"

int parked_put(struct store *s, const struct parked_row *p)
{
	struct bind b = bind_begin(s->st[ST_PARKED_PUT]);

	bind_int(&b, p->handler);
	bind_int(&b, p->event);
	bind_text(&b, p->record);
	bind_int(&b, p->blocked);
	bind_int(&b, p->due_ms);
	bind_int(&b, p->attempts);
	bind_int(&b, p->late);
	int r = bind_run(&b);

	if (r < 0 || p->blocked)
		return r;
	b = bind_begin(s->st[ST_PARKED_BLOCK_LATER]);
	bind_int(&b, p->handler);
	bind_text(&b, p->record);
	bind_int(&b, p->event);
	return bind_run(&b);
}

int parked_delete(struct store *s, int64_t handler, int64_t event)
{
	struct bind b = bind_begin(s->st[ST_PARKED_DELETE]);

	bind_int(&b, handler);
	bind_int(&b, event);
	return bind_run(&b);
}

static int exists(struct bind *b)
{
	int r = bind_row(b);

	if (r > 0)
		(void)sqlite3_reset(b->st);
	return r;
}

/* Below the mark nothing waits in turn, so the search begins there. */
static int waits_in_turn(struct store *s, const struct handler_entry *h, const char *record,
			 int64_t before)
{
	struct bind b = bind_begin(s->st[ST_DELIVERY_EARLIER]);

	bind_int(&b, h->id);
	bind_int(&b, h->low_water);
	bind_int(&b, before);
	bind_text(&b, record);
	return exists(&b);
}

int order_earlier(struct store *s, const struct handler_entry *h, const char *record, int64_t event)
{
	struct bind b = bind_begin(s->st[ST_PARKED_EARLIER]);
	int r;

	bind_int(&b, h->id);
	bind_text(&b, record);
	bind_int(&b, event);
	r = exists(&b);
	return r != 0 ? r : waits_in_turn(s, h, record, event);
}

static int parked_head(struct store *s, int64_t handler, const char *record, int64_t *ret_event,
		       bool *ret_blocked)
{
	sqlite3_stmt *st = s->st[ST_PARKED_HEAD];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, handler);
	bind_text(&b, record);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	*ret_event = sqlite3_column_int64(st, 0);
	*ret_blocked = sqlite3_column_int(st, 1) != 0;
	(void)sqlite3_reset(st);
	return 1;
}

int order_promote(struct store *s, const struct handler_entry *h, const char *record,
		  int64_t now_ms, bool *ret_behind)
{
	struct bind b;
	int64_t event = 0;
	bool blocked = false;
	int r = parked_head(s, h->id, record, &event, &blocked);

	*ret_behind = r > 0;
	if (r <= 0 || !blocked)
		return r < 0 ? r : 0;
	r = waits_in_turn(s, h, record, event);
	if (r != 0)
		return r < 0 ? r : 0;
	b = bind_begin(s->st[ST_PARKED_FREE]);
	bind_int(&b, now_ms);
	bind_int(&b, h->id);
	bind_int(&b, event);
	return bind_run(&b);
}
