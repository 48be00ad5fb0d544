/* change.c - a change of a record, and the callouts that it makes. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct change {
	struct sim *sim;
	const struct entity *entity;
	const char *action;     /* Create, Update, Delete */
	int64_t when_ms;
	double id, person;
	const cJSON *values;    /* the record's, by their names in callouts */
	const cJSON *changed;   /* names of those that are new */
	unsigned callouts;      /* that it made */
};

/* Where a record keeps a field: user-defined ones are a list of {name, value}. */
static cJSON *udf_row(cJSON *record, const char *name)
{
	cJSON *row;

	cJSON_ArrayForEach(row, cJSON_GetObjectItem(record, "userDefinedFields"))
		if (!strcasecmp(text_of(row, "name"), name))
			return row;
	return NULL;
}

static const cJSON *record_get(cJSON *record, const struct field *field)
{
	char name[64];

	field_rest_name(field, name, sizeof(name));
	return cJSON_GetObjectItem(field->udf ? udf_row(record, name) : record, field->udf ? "value" : name);
}

static void record_set(cJSON *record, const struct field *field, const cJSON *value)
{
	char name[64];
	cJSON *row = record;

	field_rest_name(field, name, sizeof(name));
	if (field->udf && !(row = udf_row(record, name))) {
		row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "name", name);
		cJSON_AddItemToArray(cJSON_GetObjectItem(record, "userDefinedFields"), row);
	}
	cJSON_DeleteItemFromObject(row, field->udf ? "value" : name);
	cJSON_AddItemToObject(row, field->udf ? "value" : name, cJSON_Duplicate(value, true));
}

/* The name of the first field that the entity has not, or NULL. */
static const char *apply(const struct entity *entity, cJSON *record, const cJSON *fields, cJSON *changed)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, fields)
		if (!field_by_name(entity, item->string))
			return item->string;
	cJSON_ArrayForEach(item, fields) {
		const struct field *field = field_by_name(entity, item->string);

		if (cJSON_Compare(record_get(record, field), item, true))
			continue;
		record_set(record, field, item);
		cJSON_AddTrueToObject(changed, field->name);
	}
	return NULL;
}

static cJSON *values_of(const struct entity *entity, cJSON *record)
{
	cJSON *values = cJSON_CreateObject();

	for (const struct field *f = entity->fields; f->name; f++) {
		const cJSON *value = record_get(record, f);

		if (value)
			cJSON_AddItemToObject(values, f->name, cJSON_Duplicate(value, true));
	}
	return values;
}

static bool excluded(const struct change *change, double webhook)
{
	struct collection col;
	const cJSON *row;

	collection_of(change->entity, KIND_EXCLUDED, &col);
	cJSON_ArrayForEach(row, table_rows(change->sim, col.table))
		if (number_of(row, "webhookID") == webhook && number_of(row, "resourceID") == change->person)
			return true;
	return false;
}

/* Adds what this child collection shows; true when something subscribed is among the changed. */
static bool choose(const struct change *change, double webhook, bool udf, cJSON *shown)
{
	struct collection col;
	const cJSON *row;
	bool hit = false;

	collection_of(change->entity, udf ? KIND_UDF : KIND_FIELD, &col);
	cJSON_ArrayForEach(row, table_rows(change->sim, col.table)) {
		const struct field *f = field_by_id(change->entity, number_of(row, udf ? "udfFieldID" : "fieldID"), udf);
		const cJSON *value = f ? cJSON_GetObjectItem(change->values, f->name) : NULL;
		bool fresh = f && is_true(row, "isSubscribedField") && cJSON_HasObjectItem(change->changed, f->name);

		if (number_of(row, "webhookID") != webhook || !value)
			continue;
		if (fresh || is_true(row, "isDisplayAlwaysField"))
			cJSON_AddItemToObject(shown, f->name, cJSON_Duplicate(value, true));
		hit |= fresh;
	}
	return hit;
}

static void call_out(struct change *change, const cJSON *webhook)
{
	AUTO_JSON body = cJSON_CreateObject();
	double id = number_of(webhook, "id");
	double sequence;
	char subscribed[64], when[32];
	cJSON *shown;
	bool hit;

	snprintf(subscribed, sizeof(subscribed), "isSubscribedTo%sEvents", change->action);
	if (!is_true(webhook, "isActive") || !is_true(webhook, "isReady") || !is_true(webhook, subscribed) ||
	    excluded(change, id))
		return;
	cJSON_AddStringToObject(body, "Action", change->action);
	cJSON_AddStringToObject(body, "Guid", text_of(webhook, "webhookGUID"));
	cJSON_AddStringToObject(body, "EntityType", change->entity->wire);
	cJSON_AddNumberToObject(body, "Id", change->id);
	shown = cJSON_AddObjectToObject(body, "Fields");
	hit = choose(change, id, false, shown);
	hit |= choose(change, id, true, shown);
	if (!hit && !strcmp(change->action, "Update"))
		return;
	sequence = next_number(change->sim, "sequence");
	time_text(change->when_ms, false, when);
	cJSON_AddStringToObject(body, "EventTime", when);
	cJSON_AddNumberToObject(body, "SequenceNumber", sequence);
	cJSON_AddNumberToObject(body, "PersonID", change->person);
	deliver_event(change->sim, change->entity, id, payload_print(body), sequence);
	change->callouts++;
}

static void call_all(struct change *change)
{
	struct collection col;
	const cJSON *webhook;

	collection_of(change->entity, KIND_WEBHOOK, &col);
	cJSON_ArrayForEach(webhook, table_rows(change->sim, col.table))
		call_out(change, webhook);
}

static const char *action_of(const cJSON *order)
{
	static const char *const actions[] = { "Create", "Update", "Delete" };

	for (size_t i = 0; i < 3; i++)
		if (!strcasecmp(text_of(order, "action"), actions[i]))
			return actions[i];
	return NULL;
}

/* An update of a record that nobody created makes it, so that tests need no prelude. */
static cJSON *record_of(struct change *change, bool *ret_made)
{
	cJSON *record = table_find(change->sim, change->entity->records, change->id);

	*ret_made = !record;
	if (record)
		return record;
	record = cJSON_CreateObject();
	if (change->id > 0)
		cJSON_AddNumberToObject(record, "id", change->id);
	if (!change->entity->no_udf)
		cJSON_AddArrayToObject(record, "userDefinedFields");
	change->id = table_insert(change->sim, change->entity->records, record);
	return record;
}

/* Moments of a record are more exact than a callout's EventTime. */
static void stamp(const struct change *change, cJSON *record, bool made)
{
	char when[32];

	time_text(change->when_ms, true, when);
	if (made)
		cJSON_AddStringToObject(record, change->entity->created, when);
	cJSON_DeleteItemFromObject(record, change->entity->modified);
	cJSON_AddStringToObject(record, change->entity->modified, when);
}

static void make(struct change *change, const cJSON *order, struct reply *ret)
{
	AUTO_JSON changed = cJSON_CreateObject();
	AUTO_JSON values = NULL;
	bool made;
	cJSON *record = record_of(change, &made);
	const char *unknown = apply(change->entity, record, cJSON_GetObjectItem(order, "fields"), changed);

	if (unknown) {
		fail_with(change->sim, ret, 400, "%s has no field %s", change->entity->name, unknown);
		return;
	}
	stamp(change, record, made);
	values = values_of(change->entity, record);
	change->values = values;
	change->changed = changed;
	call_all(change);
	if (!strcmp(change->action, "Delete"))
		table_delete(change->sim, change->entity->records, change->id);
	ret->body = cJSON_CreateObject();
	cJSON_AddNumberToObject(ret->body, "id", change->id);
	cJSON_AddNumberToObject(ret->body, "callouts", change->callouts);
}

static void change_one(struct sim *sim, const cJSON *order, struct reply *ret)
{
	const char *when = text_of(order, "when");
	struct change change = { .sim = sim, .entity = entity_by_name(text_of(order, "entity")),
		.action = action_of(order), .when_ms = now_ms(), .id = number_of(order, "id"), .person = number_of(order, "person") };

	if (!change.entity || (*when && !time_of(when, &change.when_ms)) || !change.action || change.id < 0 || (double)(int64_t)change.id < change.id)
		fail_with(sim, ret, 400, "a change is {\"entity\":\"Ticket\",\"action\":\"create|update|delete\","
			"\"id\":1,\"fields\":{\"Status\":1},\"person\":2,\"when\":\"2025-09-15T14:57:50Z\"}, without person and when if you like");
	else if (strcmp(change.action, "Create") != 0 && change.id < 1)
		fail_with(sim, ret, 400, "%s needs an id", change.action);
	else if (!strcmp(change.action, "Create") && change.id >= 1 && table_find(sim, change.entity->records, change.id))
		fail_with(sim, ret, 400, "%s %.0f is there already", change.entity->name, change.id);
	else
		make(&change, order, ret);
}

/* One after another; the first that is refused ends it, and those before it stay done. */
static void change_list(struct sim *sim, const cJSON *orders, struct reply *ret)
{
	cJSON *answer = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(answer, "changes");
	const cJSON *order;

	cJSON_ArrayForEach(order, orders) {
		struct reply one = { .status = 200 };

		change_one(sim, order, &one);
		if (one.status != 200) {
			cJSON_Delete(answer);
			*ret = one;
			return;
		}
		cJSON_AddItemToArray(list, one.body);
	}
	ret->body = answer;
}

void change_record(struct sim *sim, const cJSON *order, struct reply *ret)
{
	if (cJSON_IsArray(order))
		change_list(sim, order, ret);
	else
		change_one(sim, order, ret);
	state_save(sim);
}
