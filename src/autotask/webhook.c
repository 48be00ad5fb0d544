/* webhook.c - webhooks as they are at Autotask, and which of them are ours. */
#include "autotask/webhook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- reading ---- */

void remote_webhook_free(struct remote_webhook *w)
{
	free(w->name);
	free(w->guid);
	free(w->url);
	free(w->deactivation_url);
	free(w->notify);
	*w = (struct remote_webhook){ .kind = w->kind };
}

void remote_webhooks_free(struct remote_webhooks *w)
{
	for (size_t i = 0; i < w->count; i++)
		remote_webhook_free(&w->items[i]);
	free(w->items);
	*w = (struct remote_webhooks){ .items = NULL };
}

/* Absent and null are the empty text. */
static char *text_of(const struct json_value *item, const char *name)
{
	char *text = rest_text(item, name);

	return text ? text : strdup("");
}

static int webhook_take(const struct kind *kind, const struct json_value *item, struct remote_webhook *ret,
			struct error *err)
{
	struct remote_webhook w = {
		.kind = kind,
		.id = rest_number(item, "id"),
		.owner = rest_number(item, "ownerResourceID"),
		.name = text_of(item, "name"),
		.guid = text_of(item, "webhookGUID"),
		.url = text_of(item, "webhookUrl"),
		.deactivation_url = text_of(item, "deactivationUrl"),
		.notify = text_of(item, "notificationEmailAddress"),
		.active = rest_true(item, "isActive"),
		.ready = rest_true(item, "isReady"),
		.creates = rest_true(item, "isSubscribedToCreateEvents"),
		.updates = rest_true(item, "isSubscribedToUpdateEvents"),
		.deletes = rest_true(item, "isSubscribedToDeleteEvents"),
		.threshold_notification = rest_true(item, "sendThresholdExceededNotification"),
	};
	int r = 0;

	if (!w.name || !w.guid || !w.url || !w.deactivation_url || !w.notify)
		r = error_no_memory(err);
	else if (w.id <= 0)
		r = error_set(err, EPROTO, "Autotask answered with a webhook of %s that has no id", kind->webhooks);
	if (r < 0)
		remote_webhook_free(&w);
	else
		*ret = w;
	return r;
}

struct gathering {
	const struct kind *kind;
	struct remote_webhooks *list;
};

static int gather(void *arg, const struct json_value *item, struct error *err)
{
	struct gathering *g = arg;
	struct remote_webhook *grown = reallocarray(g->list->items, g->list->count + 1, sizeof(*grown));
	int r;

	if (!grown)
		return error_no_memory(err);
	g->list->items = grown;
	r = webhook_take(g->kind, item, &grown[g->list->count], err);
	if (r == 0)
		g->list->count++;
	return r;
}

int remote_webhooks_read(struct rest *r, const struct kind *kind, struct remote_webhooks *ret, struct error *err)
{
	for (size_t i = 0; i < kind_count; i++) {
		struct gathering g = { &kinds[i], ret };
		int q;

		if (kind && kind != &kinds[i])
			continue;
		q = rest_query(r, kinds[i].webhooks, "[{\"op\":\"gte\",\"field\":\"id\",\"value\":0}]", gather, &g, err);
		if (q < 0)
			return q;
	}
	return 0;
}

int remote_webhook_read(struct rest *r, const struct kind *kind, int64_t id, struct remote_webhook *ret,
			struct error *err)
{
	struct rest_answer keep = REST_ANSWER_INIT;
	struct json_value item;
	char path[128];
	int q;

	(void)snprintf(path, sizeof(path), "%s/%" PRId64, kind->webhooks, id);
	q = rest_item(r, path, &keep, &item, err);
	if (q == 0)
		q = webhook_take(kind, &item, ret, err);
	rest_answer_free(&keep);
	return q;
}

/* ---- whose ---- */

static char *url_of(const struct conf *c, const char *path)
{
	char *url = NULL;

	return asprintf(&url, "%s%s", c->public_url ? c->public_url : "", path ? path : "") < 0 ? NULL : url;
}

char *webhook_url(const struct conf *c, const struct conf_webhook *w)
{
	return url_of(c, w->path);
}

char *webhook_deactivation_url(const struct conf *c, const struct conf_webhook *w)
{
	return url_of(c, w->deactivation_path);
}

/*
 * What of a URL comes behind our public-url, or NULL: it is elsewhere. Scheme and host are
 * the same in any case (RFC 3986, 6.2.2.1); a base's own path rarely differs in case alone.
 */
static const char *below(const struct conf *c, const char *url)
{
	size_t len = c->public_url ? strlen(c->public_url) : 0;

	return len && strncasecmp(url, c->public_url, len) == 0 && url[len] == '/' ? url + len : NULL;
}

static bool is_of(const struct conf *c, const struct conf_webhook *w, const struct remote_webhook *remote)
{
	const char *path = below(c, remote->url);

	return w->subscribe && path && strcmp(path, w->path) == 0 && kind_find(w->subscribe->entity) == remote->kind;
}

const struct remote_webhook *webhook_of(const struct conf *c, const struct conf_webhook *w,
					const struct remote_webhooks *list, size_t *at)
{
	while (*at < list->count) {
		const struct remote_webhook *remote = &list->items[(*at)++];

		if (is_of(c, w, remote))
			return remote;
	}
	return NULL;
}

const struct conf_webhook *webhook_whose(const struct conf *c, const struct remote_webhook *remote)
{
	for (size_t i = 0; i < c->webhook_count; i++)
		if (is_of(c, &c->webhooks[i], remote))
			return &c->webhooks[i];
	return NULL;
}

/* A webhook without subscribe is looked after by hand: its URL is in the configuration all the same. */
bool webhook_orphaned(const struct conf *c, const struct remote_webhook *remote)
{
	const char *path = below(c, remote->url);

	for (size_t i = 0; path && i < c->webhook_count; i++)
		if (strcmp(path, c->webhooks[i].path) == 0 &&
		    (!c->webhooks[i].subscribe || is_of(c, &c->webhooks[i], remote)))
			return false;
	return path != NULL;
}

/* ---- switching ---- */

static int as_asked(const struct remote_webhook *w, bool active, struct error *err)
{
	if (w->active != active)
		return error_set(err, EINVAL, "Autotask took the change, but %s/%" PRId64 " is still %s; look at it in Autotask: "
				 "is its owner active?", w->kind->entity, w->id, w->active ? "active" : "inactive");
	if (active && !w->ready)
		return error_set(err, EINVAL, "%s/%" PRId64 " is active, but Autotask says that it is not ready to call out: "
				 "it needs at least one subscribed field (calloutctl webhook plan)", w->kind->entity, w->id);
	return 0;
}

int remote_webhook_activate(struct rest *r, const struct remote_webhook *w, bool active, struct error *err)
{
	AUTO(remote_webhook) struct remote_webhook now = { .kind = w->kind };
	char body[64];
	int q;

	(void)snprintf(body, sizeof(body), "{\"id\":%" PRId64 ",\"isActive\":%s}", w->id, active ? "true" : "false");
	q = rest_patch(r, w->kind->webhooks, body, err);
	if (q == 0)
		q = remote_webhook_read(r, w->kind, w->id, &now, err);
	return q < 0 ? q : as_asked(&now, active, err);
}
