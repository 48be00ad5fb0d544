/* match.c - which handlers want this event, and why the others do not. */
#include "callout/match.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "callout/entity.h"

static bool list_has(const struct conf_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

/*
 * Both sides by their canonical name; what has none is compared as it is, in any case. A
 * deactivation concerns the webhook, not a record: without an entity there is nothing to ask.
 */
static bool wants_entity(const struct conf_list *entities, const struct callout *c)
{
	if (!entities->count || (!c->entity[0] && strcmp(c->action, "deactivated") == 0))
		return true;
	for (size_t i = 0; i < entities->count; i++) {
		const char *name = entities->items[i];
		const char *canonical = entity_canonical(name, strlen(name));

		if (strcasecmp(canonical ? canonical : name, c->entity) == 0)
			return true;
	}
	return false;
}

static bool ignores(const struct conf_ids *ids, const struct callout *c)
{
	for (size_t i = 0; c->has_person && i < ids->count; i++)
		if (ids->items[i] == c->person)
			return true;
	return false;
}

static bool value_is(const struct json_value *v, const char *text)
{
	if (v->kind == JSON_STRING)
		return json_string_is(v, text, false);
	if (v->kind == JSON_NULL)
		return !*text;
	return strlen(text) == v->len && memcmp(text, v->at, v->len) == 0;
}

static bool holds(const struct conf_when *w, const struct callout *c)
{
	struct json_value value;
	bool equal = false;

	if (callout_field(c, w->field, &value))
		for (size_t i = 0; !equal && i < w->values.count; i++)
			equal = value_is(&value, w->values.items[i]);
	return equal != w->negated;
}

enum match match_handler(const struct conf_handler *h, const char *webhook,
			 const struct callout *c, size_t *ret_condition)
{
	if (!list_has(&h->webhooks, webhook))
		return MATCH_WEBHOOK;
	if (!list_has(&h->actions, c->action))
		return MATCH_ACTION;
	if (!wants_entity(&h->entities, c))
		return MATCH_ENTITY;
	if (ignores(&h->ignore_persons, c))
		return MATCH_PERSON;
	for (size_t i = 0; i < h->when_count; i++) {
		if (!holds(&h->when[i], c)) {
			*ret_condition = i;
			return MATCH_WHEN;
		}
	}
	return MATCH_YES;
}

const char *match_text(enum match m, const struct conf_handler *h, size_t condition,
		       char *dst, size_t cap)
{
	static const char *const texts[] = {
		[MATCH_YES] = "matches",
		[MATCH_WEBHOOK] = "another webhook",
		[MATCH_ACTION] = "action",
		[MATCH_ENTITY] = "entity",
		[MATCH_PERSON] = "person is ignored",
	};

	if (m == MATCH_WHEN)
		(void)snprintf(dst, cap, "condition %zu (%s)", condition + 1, h->when[condition].field);
	else
		(void)snprintf(dst, cap, "%s", texts[m]);
	return dst;
}
