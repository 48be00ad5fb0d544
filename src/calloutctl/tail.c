/*
 * tail.c - `calloutctl tail`: events as they come.
 *
 * The daemon is asked twice a second for what is newer than the last one seen. SIGINT and
 * SIGTERM are blocked and waited for between the questions, so that a line is never cut.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "private.h"

#define INTERVAL_MS 500
#define PAGE "1000"

struct tail {
	struct ctl *ctl;
	int64_t last;           /* the newest event seen; 0: there was none yet */
	bool silent;            /* the daemon does not answer, and that has been said */
};

/* Wait, unless there is more to fetch. True when asked to end. */
static bool pause_until_next(const sigset_t *end, bool more)
{
	const struct timespec wait = { .tv_nsec = more ? 0 : INTERVAL_MS * 1000000L };
	int sig;

	do
		sig = sigtimedwait(end, NULL, &wait);
	while (sig < 0 && errno == EINTR);
	return sig > 0;
}

/* One line as wide as it needs to be: there is no table that could be measured. */
static void print_line(const struct ctl *ctl, const struct json_value *e)
{
	AUTO(free) char *received = member_when(e, "received");
	AUTO(free) char *event = member_text(e, "event");
	AUTO(free) char *webhook = member_text(e, "webhook");
	AUTO(free) char *record = member_text(e, "record");
	AUTO(free) char *action = member_text(e, "action");
	enum paint paint;
	AUTO(free) char *deliveries = deliveries_text(e, &paint);

	printf("%s  %7s  %-12s  %-20s  %-8s  %s%s%s\n", received, event, webhook, record, action, paint_on(ctl, paint),
	       deliveries, paint_off(ctl, paint));
}

static void print_one(struct tail *t, const struct json_value *e)
{
	int64_t event = member_number(e, "event");

	if (event <= t->last)
		return;
	if (t->ctl->option[OPT_JSON])
		print_json(stdout, e);
	else
		print_line(t->ctl, e);
	t->last = event;
}

/* `after` comes oldest first; before the first event there is nothing to be after, and newest comes first. */
static void print_page(struct tail *t, const struct event_page *p)
{
	struct json_cursor c = { .at = NULL };
	struct json_value e, *all = NULL;
	bool newest_first = !t->last;
	size_t count = 0;

	while (json_next_element(&p->events, &c, &e)) {
		all = need(reallocarray(all, count + 1, sizeof(*all)));
		all[count++] = e;
	}
	for (size_t i = 0; i < count; i++)
		print_one(t, &all[newest_first ? count - 1 - i : i]);
	free(all);
	fflush(stdout);
}

static void query(const struct tail *t, struct buf *path)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%" PRId64, t->last);
	need_room(buf_append_text(path, "/v1/events"));
	filter_query(t->ctl, path);
	query_add(path, "limit", PAGE);
	query_add(path, "after", t->last ? number : NULL);
}

/* Ask once. Not being answered is no reason to end: the daemon may be restarting. */
static enum exit_status ask(struct tail *t, bool *ret_more)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct event_page p = { .answer = ANSWER_INIT, .next = 0 };
	struct error err = { "" };
	enum exit_status status = CTL_OK;
	struct request q = { .method = "GET", .timeout_ms = 30000 };

	*ret_more = false;
	query(t, &path);
	q.path = path.data;
	if (client_ask(t->ctl, &q, &p.answer, &err) < 0 || p.answer.status >= 500) {
		if (!t->silent)
			(void)complain(CTL_OK, "calloutd does not answer; waiting for it");
		t->silent = true;
	} else if (p.answer.status != 200 || !page_take(&p)) {
		status = client_call(t->ctl, &q, &p.answer);
		if (status == CTL_OK)
			status = complain(CTL_UNREACHABLE, "the answer holds no events: is calloutd of another version?");
	} else {
		t->silent = false;
		print_page(t, &p);
		*ret_more = t->last && p.next;
		if (*ret_more && p.next > t->last)
			t->last = p.next;       /* rows looked at that did not match */
	}
	buf_free(&p.answer.body);
	return status;
}

/* Where to begin: behind the newest event there is. */
static enum exit_status begin(struct tail *t)
{
	struct event_page p = { .answer = ANSWER_INIT, .next = 0 };
	enum exit_status status = client_get(t->ctl, "/v1/events?limit=1", &p.answer);
	struct json_cursor c = { .at = NULL };
	struct json_value e;

	if (status == CTL_OK && page_take(&p) && json_next_element(&p.events, &c, &e))
		t->last = member_number(&e, "event");
	buf_free(&p.answer.body);
	return status;
}

enum exit_status cmd_tail(struct ctl *ctl)
{
	struct tail t = { .ctl = ctl };
	enum exit_status status = filter_check(ctl);
	bool more = false;
	sigset_t end;

	if (status != CTL_OK)
		return status;
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &end, NULL);
	status = begin(&t);
	while (status == CTL_OK && !pause_until_next(&end, more))
		status = ask(&t, &more);
	return status;
}
