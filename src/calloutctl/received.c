/* received.c - what the daemon has received, page by page, oldest first. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "recovery.h"

static void page_path(const struct received_question *q, int64_t after, struct buf *path)
{
	char text[CLOCK_TEXT_LEN];

	buf_clear(path);
	need_room(buf_printf(path, "/v1/events?limit=1000&after=%" PRId64, after));
	query_add(path, "webhook", q->webhook);
	query_add(path, "kind", q->kind);
	query_add(path, "entity", q->entity);
	(void)snprintf(text, sizeof(text), "%" PRId64, q->id);
	query_add(path, "id", q->entity ? text : NULL);
	query_add(path, "since", q->since_ms > 0 ? clock_text(q->since_ms, text) : NULL);
}

static enum exit_status page_get(struct ctl *ctl, const char *path, struct event_page *p, struct error *err)
{
	const struct request q = { .method = "GET", .path = path, .timeout_ms = 30000 };

	if (client_ask(ctl, &q, &p->answer, err) < 0)
		return CTL_UNREACHABLE;
	if (p->answer.status == 200 && page_take(p))
		return CTL_OK;

	AUTO(free) char *why = p->answer.json ? member_text(&p->answer.root, "error") : need(strdup(""));

	(void)error_set(err, EPROTO, "calloutd does not list its events: status %ld%s%s", p->answer.status, *why ? ": " : "", why);
	return CTL_NO;
}

enum exit_status received_each(struct ctl *ctl, const struct received_question *q,
			       int (*fn)(void *arg, const struct json_value *event), void *arg, struct error *err)
{
	struct event_page p = { .answer = ANSWER_INIT, .next = q->after };
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	enum exit_status status = CTL_OK;
	bool more = true;

	while (status == CTL_OK && more) {
		struct json_cursor c = { .at = NULL };
		struct json_value e;

		page_path(q, p.next, &path);
		status = page_get(ctl, path.data, &p, err);
		while (status == CTL_OK && more && json_next_element(&p.events, &c, &e))
			more = fn(arg, &e) == 0;
		more = more && p.next > 0;
	}
	buf_free(&p.answer.body);
	return status;
}
