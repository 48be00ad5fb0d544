/* handler.c - handlers by name and number, their counters, marks and conditions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

/* Room for one more at place `at`. */
static int make_room(struct store *s, size_t at)
{
	struct handler_entry *more;

	if (s->handler_count == s->handler_cap) {
		size_t cap = s->handler_cap ? s->handler_cap * 2 : 16;

		more = realloc(s->handlers, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->handlers = more;
		s->handler_cap = cap;
	}
	memmove(&s->handlers[at + 1], &s->handlers[at],
		(s->handler_count - at) * sizeof(s->handlers[0]));
	memset(&s->handlers[at], 0, sizeof(s->handlers[at]));
	s->handler_count++;
	return 0;
}

/* Where the name is, or would be. */
static size_t place_of(const struct store *s, const char *name, bool *ret_found)
{
	size_t low = 0, high = s->handler_count;

	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(name, s->handlers[mid].name);

		if (order == 0) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int add_entry(struct store *s, const char *name, int64_t id, int64_t low_water,
		     struct handler_entry **ret)
{
	bool found;
	size_t at = place_of(s, name, &found);
	int r = found ? -EUCLEAN : make_room(s, at);

	if (r < 0)
		return r;
	s->handlers[at].id = id;
	s->handlers[at].low_water = low_water;
	(void)stpncpy(s->handlers[at].name, name, sizeof(s->handlers[at].name) - 1);
	if (ret)
		*ret = &s->handlers[at];
	return 0;
}

int handlers_load(struct store *s)
{
	sqlite3_stmt *st = s->st[ST_HANDLER_LIST];
	char name[CALLOUT_NAME_MAX + 1];
	int r;

	s->handler_count = 0;
	while ((r = sql_step(st)) > 0) {
		column_text(st, 1, name, sizeof(name));
		r = add_entry(s, name, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 2), NULL);
		if (r < 0) {
			(void)sqlite3_reset(st);
			return r;
		}
	}
	return r;
}

static int flush_one(struct store *s, struct handler_entry *h)
{
	struct bind b = bind_begin(s->st[ST_HANDLER_FLUSH]);
	int r;

	bind_int(&b, h->accepted);
	bind_int(&b, h->done);
	bind_int(&b, h->failed);
	bind_int(&b, h->dropped);
	bind_int(&b, h->low_water);
	bind_int(&b, h->id);
	r = bind_run(&b);
	if (r < 0)
		return r;
	h->accepted = h->done = h->failed = h->dropped = 0;
	h->dirty = false;
	return 0;
}

int handlers_flush(struct store *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->handler_count; i++)
		if (s->handlers[i].dirty)
			r = flush_one(s, &s->handlers[i]);
	return r;
}

struct handler_entry *handler_by_id(struct store *s, int64_t id)
{
	for (size_t i = 0; i < s->handler_count; i++)
		if (s->handlers[i].id == id)
			return &s->handlers[i];
	return NULL;
}

int handler_make(struct store *s, const char *name, struct handler_entry **ret)
{
	struct bind b = bind_begin(s->st[ST_HANDLER_ADD]);
	bool found;
	size_t at = place_of(s, name, &found);
	int r;

	if (found) {
		*ret = &s->handlers[at];
		return 0;
	}
	if (!*name || strlen(name) > CALLOUT_NAME_MAX)
		return -EINVAL;
	bind_text(&b, name);
	r = bind_run(&b);
	return r < 0 ? r : add_entry(s, name, sqlite3_last_insert_rowid(s->db), 0, ret);
}

void handler_mark(struct handler_entry *h, int64_t low_water)
{
	if (low_water <= h->low_water)
		return;
	h->low_water = low_water;
	h->dirty = true;
}

void handler_count(struct handler_entry *h, enum delivery_state state, int by)
{
	switch (state) {
	case DELIVERY_DONE:
		h->done += by;
		break;
	case DELIVERY_FAILED:
		h->failed += by;
		break;
	case DELIVERY_DROPPED:
		h->dropped += by;
		break;
	case DELIVERY_WAITING:
	case DELIVERY_PARKED:
	case DELIVERY_STATE_COUNT_:
		return;                 /* waiting is the difference */
	}
	h->dirty = true;
}

int store_handler(struct store *s, const char *name, int64_t *ret_handler)
{
	struct handler_entry *h = NULL;
	int r = handler_make(s, name, &h);

	if (r == 0)
		*ret_handler = h->id;
	return r;
}

int store_handler_condition(struct store *s, const struct handler_state *h)
{
	struct bind b = bind_begin(s->st[ST_HANDLER_CONDITION]);

	if (!handler_by_id(s, h->handler))
		return -ENOENT;
	bind_int(&b, h->held);
	bind_int(&b, h->held_until_ms);
	bind_int(&b, h->pause_until_ms);
	bind_int(&b, h->pause_step);
	bind_int(&b, h->failures);
	bind_int(&b, h->handler);
	return bind_run(&b);
}
