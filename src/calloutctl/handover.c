/* handover.c - giving the daemon an event that did not come as a callout. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "recovery.h"

#define HANDOVER_MS 60000

static void add_number(struct buf *path, const char *name, int64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, n);
	query_add(path, name, n ? text : NULL);
}

static void handover_path(const struct handover *h, struct buf *path)
{
	need_room(buf_append_text(path, "/v1/webhooks"));
	path_add(path, h->webhook->title);
	need_room(buf_append_text(path, "/events"));
	query_add(path, "source", h->source);
	query_add(path, "entity", h->entity);
	add_number(path, "id", h->id);
	add_number(path, "sequence", h->sequence);
}

/* Will it be refused whenever it is tried? 5xx is about the moment. */
static bool for_good(long status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

static enum handed taken_as(const struct json_value *root)
{
	if (member_true(root, "duplicate"))
		return HANDED_DUPLICATE;
	return member_is(root, "kind", "quarantined") ? HANDED_QUARANTINED : HANDED_STORED;
}

enum exit_status hand_over(struct ctl *ctl, const struct handover *h, enum handed *ret, struct error *err)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct request q = { .method = "POST", .body = h->body, .len = h->len, .timeout_ms = HANDOVER_MS };

	handover_path(h, &path);
	q.path = path.data;
	if (client_ask(ctl, &q, &a, err) < 0)
		return CTL_UNREACHABLE;
	if (a.status == 200 && a.json && a.root.kind == JSON_OBJECT) {
		*ret = taken_as(&a.root);
		return CTL_OK;
	}

	AUTO(free) char *why = a.json ? member_text(&a.root, "error") : need(strdup(""));

	(void)error_set(err, EPROTO, "calloutd did not take an event of webhook %s: status %ld%s%s", h->webhook->title, a.status,
			*why ? ": " : "", why);
	*ret = a.status == 404 ? HANDED_UNKNOWN : HANDED_REFUSED;
	return a.status == 404 || for_good(a.status) ? CTL_OK : CTL_NO;
}
