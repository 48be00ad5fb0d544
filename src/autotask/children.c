/* children.c - what hangs below a webhook at Autotask. */
#include "autotask/children.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct child_row child_rows[CHILD_KINDS] = {
	[CHILD_FIELD] = { "Fields", "fieldID", "field", "field", true },
	[CHILD_UDF] = { "UdfFields", "udfFieldID", "udf-field", "user-defined field", true },
	[CHILD_EXCLUDED] = { "ExcludedResources", "resourceID", "excluded-resource", "excluded resource", false },
};

bool child_exists(const struct kind *kind, enum child_kind child)
{
	return child != CHILD_UDF || kind->webhook_udf_fields;
}

const char *child_path(const struct kind *kind, int64_t webhook, enum child_kind child, char dst[static CHILD_PATH_LEN])
{
	(void)snprintf(dst, CHILD_PATH_LEN, "%s/%" PRId64 "/%s", kind->webhooks, webhook, child_rows[child].path);
	return dst;
}

struct gathering {
	enum child_kind child;
	struct remote_children *list;
};

static int gather(void *arg, const struct json_value *item, struct error *err)
{
	struct gathering *g = arg;
	struct remote_child c = {
		.id = rest_number(item, "id"),
		.target = rest_number(item, child_rows[g->child].target),
		.subscribed = rest_true(item, "isSubscribedField"),
		.displayed = rest_true(item, "isDisplayAlwaysField"),
	};
	struct remote_child *grown;

	if (c.id <= 0)
		return error_set(err, EPROTO, "Autotask answered with a %s that has no id", child_rows[g->child].words);
	grown = reallocarray(g->list->items, g->list->count + 1, sizeof(*grown));
	if (!grown)
		return error_no_memory(err);
	g->list->items = grown;
	grown[g->list->count++] = c;
	return 0;
}

int remote_children_read(struct rest *r, const struct kind *kind, int64_t webhook, enum child_kind child,
			 struct remote_children *ret, struct error *err)
{
	struct gathering g = { child, ret };
	char collection[128], filter[128];

	if (!child_exists(kind, child))
		return 0;
	/* The plural's last letter makes room: TicketWebhooks, TicketWebhookFields. This query has pages, the list below a webhook has one. */
	(void)snprintf(collection, sizeof(collection), "%.*s%s", (int)strlen(kind->webhooks) - 1, kind->webhooks,
		       child_rows[child].path);
	(void)snprintf(filter, sizeof(filter), "[{\"op\":\"eq\",\"field\":\"webhookID\",\"value\":%" PRId64 "}]", webhook);
	return rest_query(r, collection, filter, gather, &g, err);
}

void remote_children_free(struct remote_children *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->items[i].name);
	free(c->items);
	*c = (struct remote_children){ .items = NULL };
}
