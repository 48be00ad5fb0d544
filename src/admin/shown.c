/* shown.c - an event as JSON, whoever shows it. */
#include "admin/shown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

void shown_int(struct writer *w, const char *name, bool has, int64_t value)
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
	shown_int(w, "id", e->has_id, e->record_id);
	writer_text(w, "record", e->record);
	writer_text(w, "guid", e->guid);
	shown_int(w, "sequence", e->has_sequence, e->sequence);
	shown_int(w, "person", e->has_person, e->person);
	writer_text(w, "time", e->time);
	writer_text(w, "client", e->client);
	writer_text(w, "reason", e->reason);
	writer_uint(w, "duplicates", e->duplicates);
	writer_uint(w, "body_bytes", e->body_len);
	writer_bool(w, "body_kept", e->body_kept);
}

static int write_delivery(void *arg, const struct delivery *d)
{
	static const char *const why[] = {
		[PARK_RETRY] = "retry", [PARK_BLOCKED] = "blocked", [PARK_HELD] = "loop",
	};
	struct writer *w = arg;
	bool parked = d->state == DELIVERY_PARKED;

	writer_object(w, NULL);
	writer_text(w, "handler", d->handler);
	writer_text(w, "state", delivery_state_name(d->state));
	writer_text(w, "why", parked ? why[d->why] : NULL);
	writer_uint(w, "attempts", d->attempts);
	writer_moment(w, "due", parked && d->why == PARK_RETRY ? d->due_ms : 0);
	writer_moment(w, "finished", d->finished_ms);
	if (d->replayed)
		writer_bool(w, "replayed", true);
	writer_end(w);
	return w->result;
}

int shown_event(struct writer *w, struct reader *r, const struct event *e)
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

void shown_attempt(struct writer *w, const struct attempt *t)
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
		shown_attempt(w, &l->shown[i]);
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

int shown_whole(struct writer *w, struct reader *r, const struct event *e, const char **ret_content)
{
	AUTO(attempts) struct attempts *attempts = calloc(1, sizeof(*attempts));
	AUTO(free) char *headers = NULL;
	int result = attempts ? read_headers(r, e, &headers) : -ENOMEM;

	if (result == 0)
		result = reader_attempts(r, e->id, keep_attempt, attempts);
	if (result == 0)
		result = shown_event(w, r, e);
	if (result != 0)
		return result;
	writer_text(w, "headers", headers);
	write_attempts(w, attempts);
	writer_end(w);
	*ret_content = headers ? "its headers" : attempts->count ? "its handlers' output" : NULL;
	return 0;
}
