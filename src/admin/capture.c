/* capture.c - whole requests written down for an operator: armed, ended, listed, shown. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/shown.h"
#include "base/clock.h"
#include "private.h"

#define NEXT_DEFAULT 5
#define FOR_DEFAULT_MS 3600000
#define ON_THE_WAY_MS 60000     /* a request may take that, and clocks are not one */

/* A line of the log that says who did it, about a webhook. */
#define capture_log(q, webhook_, ...)                                                           \
	log_info((&(struct log_ctx){ .webhook = (webhook_), .reason = "operator", .uid = (q)->uid, .uid_set = 1 }), \
		 __VA_ARGS__)

/* Is there such a webhook? If not, that is the answer. */
static bool find_webhook(struct request *q, uint64_t *ret_min_free)
{
	AUTO(site) struct site *site = NULL;
	int r = admin_site(q->admin, &site);

	if (r < 0) {
		request_failed(q, r);
		return false;
	}
	if (!conf_webhook_find(site_conf(site), q->match.name)) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no webhook %s", q->match.name);
		return false;
	}
	*ret_min_free = site_conf(site)->min_free;
	return true;
}

static void answer_armed(struct request *q, const struct capture_order *o, const char *id)
{
	AUTO(writer) struct writer w = WRITER_INIT(1024);
	char until[CLOCK_TEXT_LEN];

	capture_log(q, o->webhook, "capture armed: the next %u requests until %s", o->next, clock_text(o->until_ms, until));
	writer_object(&w, NULL);
	writer_text(&w, "capture", id);
	writer_uint(&w, "next", o->next);
	writer_moment(&w, "until", o->until_ms);
	writer_end(&w);
	answer_json(&q->answer, &w);
}

void post_capture(struct request *q)
{
	const struct question *asks = &q->question;
	int64_t now_ms = clock_now_ms();
	struct capture_order o = {
		.webhook = q->match.name,
		.next = asked(asks, ASKS(NEXT)) ? (unsigned)asks->next : NEXT_DEFAULT,
		.until_ms = asked(asks, ASKS(UNTIL)) ? asks->until_ms : now_ms + FOR_DEFAULT_MS,
		.uid = q->uid,
	};
	char id[CAPTURE_NAME_MAX] = "";
	struct error err = { "" };
	int r;

	if (o.until_ms <= now_ms || o.until_ms > now_ms + CAPTURE_FOR_MAX_MS + ON_THE_WAY_MS) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "until must be a moment within the next 24 hours");
		return;
	}
	if (!find_webhook(q, &o.min_free))
		return;
	r = captures_arm(q->admin->captures, &o, id, &err);
	if (r < 0)
		answer_error(&q->answer, r == -EBUSY ? MHD_HTTP_CONFLICT : MHD_HTTP_SERVICE_UNAVAILABLE, "%s", err.text);
	else
		answer_armed(q, &o, id);
}

void post_capture_end(struct request *q)
{
	AUTO(writer) struct writer w = WRITER_INIT(64);

	if (captures_end(q->admin->captures, q->match.name, "an operator has ended it") < 0) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "no capture of webhook %s is armed", q->match.name);
		return;
	}
	capture_log(q, q->match.name, "capture ended");
	writer_object(&w, NULL);
	writer_end(&w);
	answer_json(&q->answer, &w);
}

/* ---- looking ---- */

void captures_write(struct admin *a, struct writer *w, bool all)
{
	AUTO(free) struct capture_view *views = NULL;
	size_t count = 0;

	writer_array(w, "captures");
	if (captures_list(a->captures, &views, &count) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct capture_view *v = &views[i];

		if (v->ended[0] && !all)
			continue;
		writer_object(w, NULL);
		writer_text(w, "capture", v->id);
		writer_text(w, "webhook", v->webhook);
		writer_text(w, "ended", v->ended[0] ? v->ended : NULL);
		shown_int(w, "uid", v->uid >= 0, v->uid);
		writer_moment(w, "since", v->since_ms);
		writer_moment(w, "until", v->until_ms);
		writer_uint(w, "next", v->wanted);
		writer_uint(w, "taken", v->taken);
		writer_uint(w, "missed", v->missed);
		writer_end(w);
	}
	writer_end(w);
}

/* The line of our own, up to its end; the first of that name is ours, since ours stand before those received. */
static void write_line(struct writer *w, const char *name, const char *head, size_t len, const char *line)
{
	const char *at = memmem(head, len, line, strlen(line)), *end;

	at = at ? at + strlen(line) : NULL;
	end = at ? memchr(at, '\r', len - (size_t)(at - head)) : NULL;
	if (end)
		writer_bytes(w, name, at, (size_t)(end - at));
	else
		writer_null(w, name);
}

/* "POST /-/tickets/path HTTP/1.1": the method, and the webhook's title. */
static void write_request_line(struct writer *w, const char *head, size_t len)
{
	const char *line = memchr(head, '\r', len), *space = memchr(head, ' ', len), *slash;

	writer_bytes(w, "method", head, space && line && space < line ? (size_t)(space - head) : 0);
	slash = line && space && line - space > 4 ? memchr(space + 4, '/', (size_t)(line - space) - 4) : NULL;
	writer_bytes(w, "webhook", slash ? space + 4 : "", slash ? (size_t)(slash - space) - 4 : 0);
}

static int write_file(void *arg, const char *name, const char *head, size_t head_len, uint64_t bytes)
{
	struct writer *w = arg;

	writer_object(w, NULL);
	writer_text(w, "file", name);
	write_request_line(w, head, head_len);
	write_line(w, "time", head, head_len, "\r\nX-Calloutd-Time: ");
	write_line(w, "client", head, head_len, "\r\nX-Calloutd-Client: ");
	write_line(w, "verdict", head, head_len, "\r\nX-Calloutd-Verdict: ");
	write_line(w, "answer", head, head_len, "\r\nX-Calloutd-Answer: ");
	writer_uint(w, "bytes", bytes);
	writer_end(w);
	return 0;
}

void get_captures(struct request *q)
{
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	int r;

	writer_object(&w, NULL);
	captures_write(q->admin, &w, true);
	writer_array(&w, "files");
	r = captures_files(q->admin->captures, write_file, &w);
	writer_end(&w);
	writer_end(&w);
	if (r < 0)
		request_failed(q, r);
	else
		answer_json(&q->answer, &w);
}

void get_capture(struct request *q)
{
	char *data = NULL;
	size_t len = 0;
	int r = captures_read(q->admin->captures, q->match.name, &data, &len);

	if (r == -ENOENT) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no captured request %s (they go after a day)", q->match.name);
		return;
	}
	if (r < 0) {
		request_failed(q, r);
		return;
	}
	capture_log(q, NULL, "captured request %s shown", q->match.name);
	answer_bytes(&q->answer, "application/octet-stream", data, len);
}
