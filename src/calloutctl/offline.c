/*
 * offline.c - events straight from the store, in the words of the API, for when calloutd is stopped.
 *
 * Everything else of the tool prints these answers as if the daemon had given them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callout/entity.h"
#include "private.h"
#include "store/store.h"

#define LIMIT_DEFAULT 50

static enum exit_status open_store(struct ctl *ctl, struct reader **ret)
{
	char directory[PATH_MAX];
	struct error err = { "" };

	if (reader_open(ctl_state_directory(ctl, directory, sizeof(directory)), ret, &err) < 0)
		return complain(CTL_UNREACHABLE, "%s (the directory is state-directory of the configuration, or "
				"--state-directory DIR; it may need sudo)", err.text);
	return CTL_OK;
}

static enum exit_status failed(int r)
{
	return complain(CTL_NO, r == -EUCLEAN ? "the store is damaged: restore a backup" : "cannot read the store: %s",
			strerror(-r));
}

/* ---- one event as the API writes it ---- */

static void int_or_null(struct writer *w, const char *name, bool has, int64_t value)
{
	if (has)
		writer_int(w, name, value);
	else
		writer_null(w, name);
}

static void write_facts(struct writer *w, const struct event *e)
{
	writer_int(w, "event", e->id);
	writer_moment(w, "received", e->received_ms);
	writer_text(w, "kind", event_kind_name(e->kind));
	writer_text(w, "source", event_source_name(e->source));
	writer_text(w, "webhook", e->webhook);
	writer_bool(w, "verified", e->verified);
	writer_uint(w, "signed_by", e->signed_by);
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
	write_facts(w, e);
	writer_array(w, "deliveries");
	result = reader_deliveries(r, e->id, write_delivery, w);
	writer_end(w);
	return result;
}

struct attempts {
	struct writer *writer;
	unsigned count;
};

static int write_attempt(void *arg, const struct attempt *t)
{
	const struct attempt_new *a = &t->a;
	struct attempts *all = arg;
	struct writer *w = all->writer;

	all->count++;
	writer_object(w, NULL);
	writer_text(w, "handler", t->handler);
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
	writer_end(w);
	return w->result;
}

static enum exit_status take(struct writer *w, struct answer *ret)
{
	buf_free(&ret->body);
	take_json(w, &ret->body);
	ret->status = 200;
	ret->json = json_read(ret->body.data, ret->body.len, JSON_DEPTH_MAX, &ret->root, NULL) == 0;
	return CTL_OK;
}

/* ---- a page ---- */

struct page {
	struct event *events;
	size_t count, max;
};

static int collect(void *arg, const struct event *e)
{
	struct page *p = arg;

	if (p->count == p->max)
		return -E2BIG;
	p->events[p->count++] = *e;
	return 0;
}

static int number_of(const char *text, int none, const char *(*name)(int), int count)
{
	for (int i = 0; text && i < count; i++)
		if (strcmp(name(i), text) == 0)
			return i;
	return none;
}

static const char *kind_name(int k)
{
	return event_kind_name((enum event_kind)k);
}

static const char *state_name(int s)
{
	return delivery_state_name((enum delivery_state)s);
}

/* What filter_check() has found good. */
static enum exit_status filter_of(const struct ctl *ctl, int64_t before, struct event_filter *f, char *action)
{
	const char *const *o = ctl->option;
	char since[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	const char *entity = o[OPT_ENTITY] ? entity_canonical(o[OPT_ENTITY], strlen(o[OPT_ENTITY])) : NULL;
	enum exit_status status;
	int64_t limit = LIMIT_DEFAULT;

	status = moment_option(ctl, OPT_SINCE, since);
	if (status == CTL_OK)
		status = moment_option(ctl, OPT_UNTIL, until);
	if (status != CTL_OK)
		return status;
	if (o[OPT_LIMIT])
		(void)read_number(o[OPT_LIMIT], &limit);
	*f = (struct event_filter){
		.before = before, .webhook = o[OPT_WEBHOOK], .entity = entity ? entity : o[OPT_ENTITY],
		.action = action, .handler = o[OPT_HANDLER], .limit = (unsigned)limit,
		.kind = number_of(o[OPT_KIND], -1, kind_name, EVENT_KIND_COUNT_),
		.state = number_of(o[OPT_STATE], -1, state_name, DELIVERY_STATE_COUNT_),
	};
	(void)clock_parse(since, strlen(since), &f->since_ms);
	(void)clock_parse(until, strlen(until), &f->until_ms);
	if (o[OPT_ID]) {
		const struct json_value v = { JSON_NUMBER, o[OPT_ID], strlen(o[OPT_ID]) };

		f->has_record_id = json_integer(&v, &f->record_id) == 0;
	}
	return CTL_OK;
}

static int write_page(struct writer *w, struct reader *r, const struct page *p, int64_t next)
{
	int result = 0;

	writer_object(w, NULL);
	writer_array(w, "events");
	for (size_t i = 0; result == 0 && i < p->count; i++) {
		result = write_event(w, r, &p->events[i]);
		writer_end(w);
	}
	writer_end(w);
	int_or_null(w, "next", next != 0, next);
	writer_end(w);
	return result;
}

enum exit_status offline_events(struct ctl *ctl, int64_t before, struct answer *ret)
{
	AUTO(reader) struct reader *r = NULL;
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	AUTO(free) struct event *events = NULL;
	AUTO(free) char *action = ctl->option[OPT_ACTION] ? need(strdup(ctl->option[OPT_ACTION])) : NULL;
	struct event_filter f;
	struct page p;
	enum exit_status status;
	int64_t next = 0;
	int result;

	for (char *c = action; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	status = filter_of(ctl, before, &f, action);
	if (status == CTL_OK)
		status = open_store(ctl, &r);
	if (status != CTL_OK)
		return status;
	events = need(calloc(f.limit, sizeof(*events)));
	p = (struct page){ .events = events, .max = f.limit };
	result = reader_events(r, &f, collect, &p, &next);
	if (result == 0)
		result = write_page(&w, r, &p, next);
	return result < 0 ? failed(result) : take(&w, ret);
}

/* ---- one event ---- */

static int write_whole(struct writer *w, struct reader *r, const struct event *e)
{
	AUTO(free) void *body = NULL;
	AUTO(free) char *headers = NULL;
	struct attempts attempts = { .writer = w };
	size_t len;
	int result = 0;

	if (e->kind == EVENT_DEACTIVATED)
		result = reader_body(r, e->id, &body, &len, &headers);
	if (result < 0 && result != -ENODATA)
		return result;
	result = write_event(w, r, e);
	if (result < 0)
		return result;
	writer_text(w, "headers", headers);
	writer_array(w, "attempts");
	result = reader_attempts(r, e->id, write_attempt, &attempts);
	writer_end(w);
	writer_uint(w, "attempts_total", attempts.count);
	writer_end(w);
	return result;
}

enum exit_status offline_event(struct ctl *ctl, int64_t event, struct answer *ret)
{
	AUTO(reader) struct reader *r = NULL;
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	enum exit_status status = open_store(ctl, &r);
	struct event e;
	int result;

	if (status != CTL_OK)
		return status;
	result = reader_event(r, event, &e);
	if (result == -ENOENT)
		return complain(CTL_NO, "there is no event %lld", (long long)event);
	if (result == 0)
		result = write_whole(&w, r, &e);
	return result < 0 ? failed(result) : take(&w, ret);
}

enum exit_status offline_body(struct ctl *ctl, int64_t event)
{
	AUTO(reader) struct reader *r = NULL;
	AUTO(free) void *body = NULL;
	enum exit_status status = open_store(ctl, &r);
	size_t len = 0;
	int result;

	if (status != CTL_OK)
		return status;
	result = reader_body(r, event, &body, &len, NULL);
	if (result == -ENOENT)
		return complain(CTL_NO, "there is no event %lld", (long long)event);
	if (result == -ENODATA)
		return complain(CTL_NO, "the body of event %lld has been removed by retention", (long long)event);
	if (result < 0)
		return failed(result);
	if (isatty(STDOUT_FILENO))
		print_lines(stdout, "", body, len);
	else
		(void)fwrite(body, 1, len, stdout);
	return CTL_OK;
}
