/*
 * offline.c - events straight from the store, in the words of the API, for when calloutd is stopped.
 *
 * Everything else of the tool prints these answers as if the daemon had given them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/shown.h"
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
		result = shown_event(w, r, &p->events[i]);
		writer_end(w);
	}
	writer_end(w);
	shown_int(w, "next", next != 0, next);
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

enum exit_status offline_event(struct ctl *ctl, int64_t event, struct answer *ret)
{
	AUTO(reader) struct reader *r = NULL;
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	enum exit_status status = open_store(ctl, &r);
	const char *content;
	struct event e;
	int result;

	if (status != CTL_OK)
		return status;
	result = reader_event(r, event, &e);
	if (result == -ENOENT)
		return complain(CTL_NO, "there is no event %lld", (long long)event);
	if (result == 0)
		result = shown_whole(&w, r, &e, &content);
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
