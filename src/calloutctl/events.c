/* events.c - `calloutctl events`: pages of events, newest first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

/* ---- filters ---- */

static bool one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, text) == 0)
			return true;
	return false;
}

/* What can be wrong with a filter is said here, before anybody is asked. */
enum exit_status filter_check(const struct ctl *ctl)
{
	static const char *const kinds[] = { "event", "quarantined", "deactivated", "restored", NULL };
	static const char *const states[] = { "waiting", "done", "failed", "dropped", NULL };
	const char *const *o = ctl->option;
	int64_t n;

	if (o[OPT_KIND] && !one_of(o[OPT_KIND], kinds))
		return misused(ctl, "--kind is event, quarantined, deactivated or restored, not '%s'", o[OPT_KIND]);
	if (o[OPT_STATE] && !one_of(o[OPT_STATE], states))
		return misused(ctl, "--state is waiting, done, failed or dropped, not '%s'", o[OPT_STATE]);
	if (o[OPT_BEFORE] && !read_number(o[OPT_BEFORE], &n))
		return misused(ctl, "--before takes an event's number, not '%s'", o[OPT_BEFORE]);
	if (o[OPT_LIMIT] && (!read_number(o[OPT_LIMIT], &n) || n > 1000))
		return misused(ctl, "--limit is 1 to 1000, not '%s'", o[OPT_LIMIT]);
	if (o[OPT_ID]) {
		const struct json_value v = { JSON_NUMBER, o[OPT_ID], strlen(o[OPT_ID]) };

		if (json_integer(&v, &n) < 0)
			return misused(ctl, "--id takes a record's number, not '%s'", o[OPT_ID]);
	}
	if (o[OPT_STATE_DIRECTORY] && !o[OPT_OFFLINE])
		return misused(ctl, "--state-directory goes with --offline");
	return CTL_OK;
}

enum exit_status moment_option(const struct ctl *ctl, enum option_id id, char dst[static CLOCK_TEXT_LEN])
{
	int64_t ms;

	*dst = '\0';
	if (!ctl->option[id])
		return CTL_OK;
	if (when_parse(ctl->option[id], clock_now_ms(), &ms) < 0)
		return misused(ctl, "'%s' is no moment: right are 2h (so long ago), \"2025-09-15 16:57\" (local time) and "
			       "2025-09-15T14:57:50Z", ctl->option[id]);
	(void)clock_text(ms, dst);
	return CTL_OK;
}

void filter_query(const struct ctl *ctl, struct buf *path)
{
	static const struct {
		enum option_id id;
		const char *name;
	} rows[] = {
		{ OPT_WEBHOOK, "webhook" }, { OPT_HANDLER, "handler" }, { OPT_ENTITY, "entity" }, { OPT_ID, "id" },
		{ OPT_ACTION, "action" }, { OPT_KIND, "kind" }, { OPT_STATE, "state" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		query_add(path, rows[i].name, ctl->option[rows[i].id]);
}

/* ---- pages ---- */

/* Look into an answer for its page; false when it has none. */
bool page_take(struct event_page *p)
{
	if (!p->answer.json || !member(&p->answer.root, "events", &p->events) || p->events.kind != JSON_ARRAY)
		return false;
	p->next = member_number(&p->answer.root, "next");
	return true;
}

static enum exit_status page_fetch(struct ctl *ctl, int64_t before, struct event_page *p)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	char since[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN], number[24];
	enum exit_status status = CTL_OK;

	if (ctl->option[OPT_OFFLINE]) {
		status = offline_events(ctl, before, &p->answer);
	} else {
		status = moment_option(ctl, OPT_SINCE, since);
		if (status == CTL_OK)
			status = moment_option(ctl, OPT_UNTIL, until);
		if (status != CTL_OK)
			return status;
		(void)snprintf(number, sizeof(number), "%" PRId64, before);
		need_room(buf_append_text(&path, "/v1/events"));
		filter_query(ctl, &path);
		query_add(&path, "since", *since ? since : NULL);
		query_add(&path, "until", *until ? until : NULL);
		query_add(&path, "limit", ctl->option[OPT_LIMIT]);
		query_add(&path, "before", before ? number : NULL);
		status = client_get(ctl, path.data, &p->answer);
	}
	if (status == CTL_OK && !page_take(p))
		return complain(CTL_UNREACHABLE, "the answer holds no events: is calloutd of another version?");
	return status;
}

/* "page-on-call:done, record:failed"; what kind of trouble there is. */
char *deliveries_text(const struct json_value *event, enum paint *ret_paint)
{
	AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);
	struct json_cursor c = { .at = NULL };
	struct json_value list, d;
	char *text;

	*ret_paint = PAINT_NONE;
	if (member_is(event, "kind", "quarantined")) {
		AUTO(free) char *reason = member_text(event, "reason");

		*ret_paint = PAINT_BAD;
		return text_printf("quarantined: %s", reason);
	}
	while (member(event, "deliveries", &list) && json_next_element(&list, &c, &d)) {
		AUTO(free) char *handler = member_text(&d, "handler");
		AUTO(free) char *state = member_text(&d, "state");
		AUTO(free) char *why = member_text(&d, "why");

		need_room(buf_printf(&out, "%s%s:%s%s%s", out.len ? ", " : "", handler, state, *why ? "/" : "", why));
		if (member_is(&d, "state", "failed"))
			*ret_paint = PAINT_BAD;
		else if (member_is(&d, "state", "waiting") && *ret_paint == PAINT_NONE)
			*ret_paint = PAINT_WAIT;
	}
	text = buf_take(&out, &(size_t){ 0 });
	return text ? text : need(strdup("no handler"));
}

static void page_table(const struct ctl *ctl, const struct event_page *p)
{
	static const char *const heads[] = { ">EVENT", "RECEIVED", "WEBHOOK", "RECORD", "ACTION", "DELIVERIES", NULL };
	struct json_cursor c = { .at = NULL };
	struct json_value e;
	struct table t;
	enum paint paint;
	char *text;

	table_begin(&t, heads);
	while (json_next_element(&p->events, &c, &e)) {
		table_add(&t, member_text(&e, "event"), PAINT_NONE);
		table_add(&t, member_when(&e, "received"), PAINT_NONE);
		table_add(&t, member_text(&e, "webhook"), PAINT_NONE);
		table_add(&t, member_text(&e, "record"), PAINT_NONE);
		table_add(&t, member_text(&e, "action"), PAINT_NONE);
		text = deliveries_text(&e, &paint);
		table_add(&t, text, paint);
	}
	if (t.count)
		table_end(&t, ctl);
}

static bool page_empty(const struct event_page *p)
{
	struct json_cursor c = { .at = NULL };
	struct json_value e;

	return !json_next_element(&p->events, &c, &e);
}

static void page_print(const struct ctl *ctl, const struct event_page *p)
{
	struct json_cursor c = { .at = NULL };
	struct json_value e;

	if (!ctl->option[OPT_JSON])
		page_table(ctl, p);
	else
		while (json_next_element(&p->events, &c, &e))
			print_json(stdout, &e);
	fflush(stdout);
}

/* How to go on, ready to be copied. */
static void print_more(const struct ctl *ctl, int64_t next)
{
	printf("\nOlder ones: calloutctl events");
	print_again(ctl, OPT_BEFORE);
	printf(" --before %" PRId64 "\n", next);
}

/* A page may be empty and yet not the last: the daemon looks at so many rows at a time. */
enum exit_status cmd_events(struct ctl *ctl)
{
	struct event_page p = { .answer = ANSWER_INIT, .next = 0 };
	enum exit_status status = filter_check(ctl);
	bool any = false, more = true;

	if (status == CTL_OK && ctl->option[OPT_BEFORE])
		(void)read_number(ctl->option[OPT_BEFORE], &p.next);
	while (status == CTL_OK && more) {
		status = page_fetch(ctl, p.next, &p);
		if (status != CTL_OK)
			break;
		any = any || !page_empty(&p);
		page_print(ctl, &p);
		more = p.next && (ctl->option[OPT_ALL] || !any);
	}
	if (status == CTL_OK && !ctl->option[OPT_JSON]) {
		if (!any)
			puts("No events.");
		else if (p.next)
			print_more(ctl, p.next);
	}
	buf_free(&p.answer.body);
	return status;
}
