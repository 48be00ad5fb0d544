/* accept.c - appending an event, its content, its key and its deliveries; recognising repetitions. */
#include <errno.h>
#include <string.h>

#include "private.h"

bool store_key_too_old(int64_t key_ms, int64_t now_ms, int64_t keep_keys_ms)
{
	return key_ms != 0 && key_ms < now_ms - keep_keys_ms;
}

/* Times that order keys lie in `seen`; 0 says that the body decides (callout_key()). */
int key_add(struct store *s, const struct event_new *e, int64_t event)
{
	struct bind b;
	int r;

	if (e->key_ms != 0) {
		b = bind_begin(s->st[ST_SEEN_ADD]);
		bind_int(&b, e->key_ms);
		bind_blob(&b, e->key, CALLOUT_KEY_LEN);
		bind_int(&b, event);
	} else {
		b = bind_begin(s->st[ST_SEEN_BODY_ADD]);
		bind_blob(&b, e->key, CALLOUT_KEY_LEN);
		bind_int(&b, event);
		bind_int(&b, e->received_ms);
	}
	r = bind_run(&b);
	return r < 0 ? r : sqlite3_changes(s->db) > 0;
}

int key_find(struct store *s, const struct event_new *e, int64_t *ret_event)
{
	sqlite3_stmt *st = s->st[e->key_ms != 0 ? ST_SEEN_FIND : ST_SEEN_BODY_FIND];
	struct bind b = bind_begin(st);
	int r;

	if (e->key_ms != 0)
		bind_int(&b, e->key_ms);
	bind_blob(&b, e->key, CALLOUT_KEY_LEN);
	r = bind_row(&b);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_event = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 0;
}

/* The event it repeats may be gone already: keys outlive events. Then nobody counts. */
static int count_repetition(struct store *s, const struct event_new *e, struct accepted *ret)
{
	struct bind b;
	int64_t event = 0;
	int r = key_find(s, e, &event);

	if (r < 0)
		return r;
	b = bind_begin(s->st[ST_EVENT_REPEATED]);
	bind_int(&b, event);
	r = bind_run(&b);
	if (r == 0)
		*ret = (struct accepted){ .event = event, .duplicate = true };
	return r;
}

static int event_add(struct store *s, const struct event_new *e, int64_t event)
{
	const struct callout *c = e->callout;
	struct bind b = bind_begin(s->st[ST_EVENT_ADD]);

	bind_int(&b, event);
	bind_int(&b, e->received_ms);
	bind_int(&b, e->kind);
	bind_int(&b, e->source);
	bind_text(&b, e->webhook);
	bind_int(&b, e->verified);
	bind_int(&b, e->signed_by);
	bind_text(&b, e->reason);
	bind_text(&b, c->action);
	bind_text(&b, c->action_raw);
	bind_text(&b, c->entity);
	bind_text(&b, c->entity_raw);
	bind_text(&b, c->guid);
	bind_text(&b, c->time);
	bind_text(&b, e->record ? e->record : "");
	bind_text(&b, e->client);
	bind_optional(&b, c->has_id, c->id);
	bind_optional(&b, c->has_sequence, c->sequence);
	bind_optional(&b, c->has_person, c->person);
	bind_int(&b, (int64_t)e->body_len);
	return bind_run(&b);
}

static int content_add(struct store *s, const struct event_new *e, int64_t event)
{
	struct bind b = bind_begin(s->st[ST_CONTENT_ADD]);

	bind_int(&b, event);
	bind_text(&b, e->headers);
	bind_blob(&b, e->body, e->body_len);
	return bind_run(&b);
}

static int delivery_add(struct store *s, const struct event_new *e, const char *handler,
			int64_t event)
{
	struct handler_entry *h = NULL;
	struct bind b;
	int r = handler_make(s, handler, &h);

	if (r < 0)
		return r;
	b = bind_begin(s->st[ST_DELIVERY_ADD]);
	bind_int(&b, h->id);
	bind_int(&b, event);
	bind_int(&b, e->received_ms);
	r = bind_run(&b);
	if (r < 0)
		return r;
	h->accepted++;
	h->dirty = true;
	return 0;
}

int store_accept(struct store *s, const struct event_new *e, struct accepted *ret)
{
	int64_t event = s->newest_event + 1;
	int r;

	if (e->key) {
		r = key_add(s, e, event);
		if (r < 0)
			return r;
		if (r == 0)
			return count_repetition(s, e, ret);
	}
	r = event_add(s, e, event);
	if (r == 0)
		r = content_add(s, e, event);
	for (size_t i = 0; r == 0 && i < e->handler_count; i++)
		r = delivery_add(s, e, e->handlers[i], event);
	if (r < 0)
		return r;
	s->newest_event = event;
	s->prune.accepted = true;
	*ret = (struct accepted){ .event = event };
	return 0;
}
