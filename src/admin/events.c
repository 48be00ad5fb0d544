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

#include "base/clock.h"
#include "callout/entity.h"
#include "private.h"

#define LIMIT_DEFAULT 50
#define PAGE_BYTES (8 * 1024 * 1024)    /* a page ends early when it is longer */
#define PAGE_MS 1000                    /* or has taken longer */
#define ATTEMPTS_SHOWN 100              /* the newest of an event */

/* ---- one event as JSON ---- */

static void write_source(struct writer *w, const struct event *e)
{
	writer_int(w, "event", e->id);
	writer_moment(w, "received", e->received_ms);
	writer_text(w, "kind", event_kind_name(e->kind));
	writer_text(w, "source", event_source_name(e->source));
	writer_text(w, "webhook", e->webhook);
	writer_bool(w, "verified", e->verified);
	writer_uint(w, "signed_by", e->signed_by);
}

static void int_or_null(struct writer *w, const char *name, bool has, int64_t value)
{
	if (has)
		writer_int(w, name, value);
	else
		writer_null(w, name);
}

static void write_callout(struct writer *w, const struct event *e)
{
	writer_text(w, "action", e->action);
	writer_text(w, "action_raw", e->action_raw);
	writer_text(w, "entity", e->entity);
	writer_text(w, "entity_raw", e->entity_raw);
	int_or_null(w, "id", e->has_id, e->record_id);
	writer_text(w, "record", e->record);
	writer_text(w, "guid", e->guid);
	int_or_null(w, "sequence", e->has_sequence, e->sequence);
	int_or_null(w, "person", e->has_person, e->person);
	writer_text(w, "time", e->time);
	writer_text(w, "client", e->client);
	writer_text(w, "reason", e->reason);
	writer_uint(w, "duplicates", e->duplicates);
	writer_uint(w, "body_bytes", e->body_len);
	writer_bool(w, "body_kept", e->body_kept);
}

static int write_delivery(void *arg, const struct delivery *d)
{
	struct writer *w = arg;
	bool parked = d->state == DELIVERY_PARKED;

	writer_object(w, NULL);
	writer_text(w, "handler", d->handler);
	writer_text(w, "state", delivery_state_name(d->state));
	writer_text(w, "why", !parked ? NULL : d->why == PARK_BLOCKED ? "blocked" : "retry");
	writer_uint(w, "attempts", d->attempts);
	writer_moment(w, "due", parked && d->why == PARK_RETRY ? d->due_ms : 0);
	writer_moment(w, "finished", d->finished_ms);
	writer_end(w);
	return w->result;
}

/* Leaves the object open. */
static int write_event(struct writer *w, struct reader *r, const struct event *e)
{
	int result;

	writer_object(w, NULL);
	write_source(w, e);
	write_callout(w, e);
	writer_array(w, "deliveries");
	result = reader_deliveries(r, e->id, write_delivery, w);
	writer_end(w);
	return result;
}

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

/* Names as they are stored: canonical where known, actions in lower case. */
static void normalise(struct question *q)
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
		result = write_event(w, r, &p->events[i]);
		writer_end(w);
		if (result < 0)
			return result;
		if (i + 1 < p->count && (w->buf.len > PAGE_BYTES || clock_mono_ms() > until_ms)) {
			p->next = p->events[i].id;
			break;
		}
	}
	writer_end(w);
	int_or_null(w, "next", p->next != 0, p->next);
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
	normalise(&q->question);
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

/* The newest attempts of an event, and how many there are. */
struct attempts {
	struct attempt shown[ATTEMPTS_SHOWN];   /* out and err are ours */
	size_t count;
	uint64_t total;
};

static void attempts_free(struct attempts *l)
{
	for (size_t i = 0; l && i < l->count; i++) {
		free((void *)(uintptr_t)l->shown[i].a.out);
		free((void *)(uintptr_t)l->shown[i].a.err);
	}
	free(l);
}
AUTO_DEFINE(attempts, struct attempts *, attempts_free)

static void *copy_of(const void *data, size_t len)
{
	void *copy = malloc(len + 1);

	if (copy && len)
		memcpy(copy, data, len);
	return copy;
}

/* Where the next one goes: at the end, or in the place of the oldest shown. NULL: it is older still. */
static struct attempt *place_for(struct attempts *l, const struct attempt *a)
{
	struct attempt *oldest = &l->shown[0];

	if (l->count < ATTEMPTS_SHOWN)
		return &l->shown[l->count++];
	for (size_t i = 1; i < l->count; i++)
		if (l->shown[i].a.started_ms < oldest->a.started_ms)
			oldest = &l->shown[i];
	if (a->a.started_ms < oldest->a.started_ms)
		return NULL;
	free((void *)(uintptr_t)oldest->a.out);
	free((void *)(uintptr_t)oldest->a.err);
	return oldest;
}

static int keep_attempt(void *arg, const struct attempt *a)
{
	struct attempts *l = arg;
	struct attempt *to = place_for(l, a);

	l->total++;
	if (!to)
		return 0;
	*to = *a;
	to->a.out = copy_of(a->a.out, a->a.out_len);
	to->a.err = copy_of(a->a.err, a->a.err_len);
	return to->a.out && to->a.err ? 0 : -ENOMEM;
}

static int by_start(const void *a, const void *b)
{
	const struct attempt *x = a, *y = b;

	if (x->a.started_ms != y->a.started_ms)
		return x->a.started_ms < y->a.started_ms ? -1 : 1;
	return (x->run > y->run) - (x->run < y->run);
}

void write_attempt(struct writer *w, const struct attempt *t)
{
	const struct attempt_new *a = &t->a;

	writer_text(w, "handler", t->handler);
	if (t->run)
		writer_uint(w, "run", t->run);
	writer_uint(w, "attempt", a->number);
	writer_moment(w, "started", a->started_ms);
	writer_moment(w, "ended", a->ended_ms);
	writer_text(w, "result", attempt_result_name(a->result));
	writer_int(w, "status", a->status);
	writer_bytes(w, "stdout", a->out, a->out_len);
	writer_bytes(w, "stderr", a->err, a->err_len);
	writer_uint(w, "stdout_bytes", a->out_total);
	writer_uint(w, "stderr_bytes", a->err_total);
}

static void write_attempts(struct writer *w, struct attempts *l)
{
	qsort(l->shown, l->count, sizeof(l->shown[0]), by_start);
	writer_array(w, "attempts");
	for (size_t i = 0; i < l->count; i++) {
		writer_object(w, NULL);
		write_attempt(w, &l->shown[i]);
		writer_end(w);
	}
	writer_end(w);
	writer_uint(w, "attempts_total", l->total);
}

/* Headers are kept of deactivation notices only. *ret may be NULL. */
static int read_headers(struct reader *r, const struct event *e, char **ret)
{
	AUTO(free) void *body = NULL;
	size_t len;
	int result;

	if (e->kind != EVENT_DEACTIVATED)
		return 0;
	result = reader_body(r, e->id, &body, &len, ret);
	return result == -ENODATA ? 0 : result;
}

static int read_event(struct request *q, struct writer *w)
{
	AUTO(reader) struct reader *r = NULL;
	AUTO(attempts) struct attempts *attempts = calloc(1, sizeof(*attempts));
	AUTO(free) char *headers = NULL;
	struct event e;
	int result;

	result = attempts ? admin_reader(q->admin, &r) : -ENOMEM;
	if (result == 0)
		result = reader_event(r, q->match.id, &e);
	if (result == 0)
		result = read_headers(r, &e, &headers);
	if (result == 0)
		result = reader_attempts(r, e.id, keep_attempt, attempts);
	if (result == 0)
		result = write_event(w, r, &e);
	if (result != 0)
		return result;
	writer_text(w, "headers", headers);
	write_attempts(w, attempts);
	writer_end(w);
	if (headers || attempts->count)
		request_log(q, q->match.id, NULL, "event %lld shown with %s", (long long)q->match.id,
			    headers ? "its headers" : "its handlers' output");
	return 0;
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
