/* capture_take.c - a request as it came, for the capture that an operator has armed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define HEADERS_MAX (256UL * 1024)      /* far above any max-header */

/* Of one request. */
struct taking {
	char method[32], version[16];
	bool query;
	int64_t received_ms;
	struct buf headers;
	struct buf body;                /* of a refused request, which is not kept otherwise */
};

/* ---- headers ---- */

/* Parts of names whose values let somebody in. The signature does not: it is for one body only. */
static const char *const secrets[] = {
	"authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "integrationcode",
};

static bool is_secret(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		if (strcasestr(name, secrets[i]))
			return true;
	return false;
}

static bool has_path(const struct request *q, const char *value)
{
	const struct conf_webhook *w = q->hook->conf;

	return strstr(value, w->path) || (w->deactivation_path && strstr(value, w->deactivation_path));
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *q = cls;
	struct buf *out = &q->taking->headers;
	/* The chunks are put together by now: a reader must not look for them. */
	const char *prefix = strcasecmp(name, "Transfer-Encoding") == 0 ? "X-Calloutd-" : "";
	int r;

	(void)kind;
	if (!value)
		value = "";
	if (strcasecmp(name, SIGNATURE_HEADER) != 0 && (is_secret(name) || has_path(q, value)))
		r = buf_printf(out, "%s: (redacted, %zu bytes)\r\n", name, strlen(value));
	else
		r = buf_printf(out, "%s%s: %s\r\n", prefix, name, value);
	return r == 0 ? MHD_YES : MHD_NO;
}

/* ---- a request's life ---- */

void capture_begin(struct request *q, const char *method, const char *version)
{
	struct taking *t;

	if (q->path == HOOK_NONE || !captures_wanted(atomic_load(&q->in->captures), q->hook->conf->title))
		return;
	t = calloc(1, sizeof(*t));
	if (!t)
		return;
	q->taking = t;
	t->headers.max = HEADERS_MAX;
	t->body.max = q->view->conf->max_body;
	t->received_ms = clock_now_ms();
	t->query = q->query != NULL;
	(void)snprintf(t->method, sizeof(t->method), "%s", method);
	(void)snprintf(t->version, sizeof(t->version), "%s", version);
	(void)MHD_get_connection_values(q->connection, MHD_HEADER_KIND, take_header, q);
}

void capture_body(struct request *q, const char *data, size_t len)
{
	struct buf *b;

	if (!q->taking)
		return;
	b = &q->taking->body;
	(void)buf_append(b, data, len < b->max - b->len ? len : b->max - b->len);
}

static int put_head(const struct request *q, struct buf *out)
{
	const struct taking *t = q->taking;
	char when[CLOCK_TEXT_LEN];
	int r = buf_printf(out, "%s /-/%s/%s%s %s\r\nX-Calloutd-Time: %s\r\nX-Calloutd-Client: %s\r\n", t->method,
			   q->hook->conf->title, q->path == HOOK_DEACTIVATION ? "deactivation-path" : "path",
			   t->query ? "?redacted" : "", t->version, clock_text(t->received_ms, when),
			   *q->client ? q->client : "unknown");

	if (r == 0)
		r = buf_printf(out, "X-Calloutd-Verdict: %s\r\n",
			       q->verdict == VERDICT_NONE ? "unfinished" : report_reason(q->verdict));
	if (r == 0 && q->detail && q->verdict != VERDICT_NONE)
		r = buf_printf(out, "X-Calloutd-Detail: %s\r\n", q->detail);
	if (r == 0)
		r = q->answered ? buf_printf(out, "X-Calloutd-Answer: %u\r\n", report_status(q->verdict))
				: buf_append_text(out, "X-Calloutd-Answer: none, the connection ended before\r\n");
	if (r == 0 && t->headers.len)
		r = buf_append(out, t->headers.data, t->headers.len);
	return r == 0 ? buf_append_text(out, "\r\n") : r;
}

/* The journal is through with it, so the body may be taken away. */
void capture_end(struct request *q)
{
	struct capture_entry *e = q->taking ? calloc(1, sizeof(*e)) : NULL;
	struct captures *captures = atomic_load(&q->in->captures);
	struct buf head = BUF_INIT(HEADERS_MAX + 4096);
	struct buf *body;

	if (!e)
		return;
	if (put_head(q, &head) < 0) {
		buf_free(&head);
		free(e);
		return;
	}
	(void)snprintf(e->webhook, sizeof(e->webhook), "%s", q->hook->conf->title);
	e->head = buf_take(&head, &e->head_len);
	body = q->taking->body.len ? &q->taking->body : &q->body;
	e->body = buf_take(body, &e->len);
	if (captures)
		captures_put(captures, e);
	else
		(void)capture_entry_free(e);
}

void capture_release(struct request *q)
{
	if (!q->taking)
		return;
	buf_free(&q->taking->headers);
	buf_free(&q->taking->body);
	free(q->taking);
	q->taking = NULL;
}
