/*
 * events.c - looking into the store: pages of events, one event whole, its body.
 *
 * Everything is copied out of the reader first and written then; a page that grows too long or
 * takes too long ends early, and says where to go on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/shown.h"
#include "base/clock.h"
#include "callout/entity.h"
#include "private.h"

#define LIMIT_DEFAULT 50
#define PAGE_BYTES (8 * 1024 * 1024)    /* a page ends early when it is longer */
#define PAGE_MS 1000                    /* or has taken longer */

/* ---- a page ---- */

struct page {
	struct event *events;
	size_t count, max;
	int64_t next;
};

static int collect(void *arg, const struct event *e)
{
	struct page *p = arg;

	if (p->count == p->max)
		return -E2BIG;
	p->events[p->count++] = *e;
	return 0;
}

static const char *text_if(const struct question *q, unsigned bit, const char *text)
{
	return asked(q, bit) ? text : NULL;
}

void question_normalise(struct question *q)
{
	const char *entity = entity_canonical(q->entity, strlen(q->entity));

	if (entity)
		(void)snprintf(q->entity, sizeof(q->entity), "%s", entity);
	for (char *c = q->action; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
}

static struct event_filter filter_of(const struct question *q)
{
	/* To the store 0 means that no "after" is wanted; events are numbered from 1. */
	int64_t after = asked(q, ASKS(AFTER)) && q->after == 0 ? -1 : q->after;

	return (struct event_filter){
		.before = q->before,
		.after = after,
		.since_ms = q->since_ms,
		.until_ms = q->until_ms,
		.webhook = text_if(q, ASKS(WEBHOOK), q->webhook),
		.entity = text_if(q, ASKS(ENTITY), q->entity),
		.action = text_if(q, ASKS(ACTION), q->action),
		.handler = text_if(q, ASKS(HANDLER), q->handler),
		.record_id = q->id,
		.has_record_id = asked(q, ASKS(ID)),
		.kind = asked(q, ASKS(KIND)) ? (int)q->kind : -1,
		.state = asked(q, ASKS(STATE)) ? (int)q->state : -1,
		.limit = asked(q, ASKS(LIMIT)) ? (unsigned)q->limit : LIMIT_DEFAULT,
	};
}

static int write_page(struct writer *w, struct reader *r, struct page *p)
{
	int64_t until_ms = clock_mono_ms() + PAGE_MS;
	int result;

	writer_object(w, NULL);
	writer_array(w, "events");
	for (size_t i = 0; i < p->count; i++) {
		result = shown_event(w, r, &p->events[i]);
		writer_end(w);
		if (result < 0)
			return result;
		if (i + 1 < p->count && (w->buf.len > PAGE_BYTES || clock_mono_ms() > until_ms)) {
			p->next = p->events[i].id;
			break;
		}
	}
	writer_end(w);
	shown_int(w, "next", p->next != 0, p->next);
	writer_end(w);
	return 0;
}

static int read_page(struct admin *a, const struct event_filter *f, struct page *p,
		     struct writer *w)
{
	AUTO(reader) struct reader *r = NULL;
	int result = admin_reader(a, &r);

	if (result == 0)
		result = reader_events(r, f, collect, p, &p->next);
	return result < 0 ? result : write_page(w, r, p);
}

void get_events(struct request *q)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	AUTO(free) struct event *events = NULL;
	struct event_filter f;
	struct page p;
	int r;

	if (asked(&q->question, ASKS(BEFORE)) && asked(&q->question, ASKS(AFTER))) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "give before or after, not both");
		return;
	}
	question_normalise(&q->question);
	f = filter_of(&q->question);
	events = calloc(f.limit, sizeof(*events));
	p = (struct page){ .events = events, .max = f.limit };
	r = events ? read_page(q->admin, &f, &p, &w) : -ENOMEM;
	if (r < 0)
		request_failed(q, r);
	else
		answer_json(&q->answer, &w);
}

/* ---- one event whole ---- */

static int read_event(struct request *q, struct writer *w)
{
	AUTO(reader) struct reader *r = NULL;
	const char *content;
	struct event e;
	int result = admin_reader(q->admin, &r);

	if (result == 0)
		result = reader_event(r, q->match.id, &e);
	if (result == 0)
		result = shown_whole(w, r, &e, &content);
	if (result == 0 && content)
		request_log(q, q->match.id, NULL, "event %lld shown with %s", (long long)q->match.id, content);
	return result;
}

static void no_event(struct request *q, int64_t id)
{
	answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no event %lld", (long long)id);
}

void get_event(struct request *q)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	int r = read_event(q, &w);

	if (r == -ENOENT)
		no_event(q, q->match.id);
	else if (r < 0)
		request_failed(q, r);
	else
		answer_json(&q->answer, &w);
}

int request_body(struct request *q, int64_t id, struct event *ret, void **ret_body, size_t *ret_len)
{
	AUTO(reader) struct reader *r = NULL;
	AUTO(free) char *headers = NULL;
	int result = admin_reader(q->admin, &r);

	if (result == 0)
		result = reader_event(r, id, ret);
	if (result == 0)
		result = reader_body(r, id, ret_body, ret_len, &headers);
	if (result == -ENOENT)
		no_event(q, id);
	else if (result == -ENODATA)
		answer_error(&q->answer, MHD_HTTP_GONE,
			     "the content of event %lld was removed after its time", (long long)id);
	else if (result < 0)
		request_failed(q, result);
	return result;
}

void get_body(struct request *q)
{
	struct event e;
	void *body = NULL;
	size_t len = 0;

	if (request_body(q, q->match.id, &e, &body, &len) < 0)
		return;
	request_log(q, q->match.id, NULL, "event %lld's body shown", (long long)q->match.id);
	answer_bytes(&q->answer, "application/octet-stream", body, len);
}
