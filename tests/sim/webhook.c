/* webhook.c - the rules for writing webhooks and their children. */
#include "sim.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* In every child that is read, never written, and not in any list of fields. */
static const char soap[] = "soapParentPropertyId";

static const struct column *column_of(enum kind kind, const char *name)
{
	for (const struct column *c = columns_of(kind); c->name; c++)
		if (!strcasecmp(c->name, name))
			return c;
	return NULL;
}

static size_t chars_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xC0) != 0x80;
	return n;
}

static bool right_type(const struct column *column, const cJSON *item)
{
	switch (column->type) {
	case TYPE_INTEGER: return cJSON_IsNumber(item) && item->valuedouble == (double)(int64_t)item->valuedouble;
	case TYPE_BOOLEAN: return cJSON_IsBool(item);
	default: return cJSON_IsString(item);
	}
}

static bool check_item(struct sim *sim, enum kind kind, const cJSON *item, struct reply *ret)
{
	const struct column *column = column_of(kind, item->string);

	if (column ? cJSON_IsNull(item) || !strcmp(column->name, "id") : !strcmp(item->string, soap))
		return true;
	if (!column)
		fail_with(sim, ret, 500, "Unknown field %s.", item->string);
	else if (column->read_only)
		fail_with(sim, ret, 500, "Field %s is read-only.", column->name);
	else if (!right_type(column, item))
		fail_with(sim, ret, 500, "Field %s is of the wrong type.", column->name);
	else if (column->max_chars && chars_of(item->valuestring) > column->max_chars)
		fail_with(sim, ret, 500, "Field %s is longer than %u characters.", column->name, column->max_chars);
	else
		return true;
	return false;
}

static bool check_body(struct sim *sim, enum kind kind, const cJSON *body, struct reply *ret)
{
	const cJSON *item;

	if (!cJSON_IsObject(body)) {
		fail_with(sim, ret, 500, "The body must be a JSON object.");
		return false;
	}
	cJSON_ArrayForEach(item, body)
		if (!check_item(sim, kind, item, ret))
			return false;
	return true;
}

static bool check_required(struct sim *sim, enum kind kind, const cJSON *row, struct reply *ret)
{
	for (const struct column *c = columns_of(kind); c->name; c++) {
		const cJSON *item = cJSON_GetObjectItem(row, c->name);

		if (c->required && (!item || cJSON_IsNull(item) || (cJSON_IsString(item) && !*item->valuestring))) {
			fail_with(sim, ret, 500, "Field %s is required.", c->name);
			return false;
		}
	}
	return true;
}

/* The same URL and a type of callout in common; inactive webhooks count. */
static bool same_callout(const cJSON *a, const cJSON *b)
{
	static const char *const kinds[] = { "isSubscribedToCreateEvents", "isSubscribedToUpdateEvents", "isSubscribedToDeleteEvents" };

	if (strcmp(text_of(a, "webhookUrl"), text_of(b, "webhookUrl")) != 0)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (is_true(a, kinds[i]) && is_true(b, kinds[i]))
			return true;
	return false;
}

static bool same_row(enum kind kind, const cJSON *a, const cJSON *b)
{
	static const char *const keys[] = { [KIND_FIELD] = "fieldID", [KIND_UDF] = "udfFieldID", [KIND_EXCLUDED] = "resourceID" };

	if (kind == KIND_WEBHOOK)
		return same_callout(a, b);
	return number_of(a, "webhookID") == number_of(b, "webhookID") && number_of(a, keys[kind]) == number_of(b, keys[kind]);
}

static bool check_unique(struct sim *sim, const struct collection *col, const cJSON *row, struct reply *ret)
{
	const cJSON *other;

	cJSON_ArrayForEach(other, table_rows(sim, col->table))
		if (number_of(other, "id") != number_of(row, "id") && same_row(col->kind, other, row)) {
			fail_with(sim, ret, 500, "A duplicate of %s %.0f.", col->table, number_of(other, "id"));
			return false;
		}
	return true;
}

static bool check_known(struct sim *sim, const struct collection *col, const cJSON *row, struct reply *ret)
{
	bool udf = col->kind == KIND_UDF;
	const char *name = udf ? "udfFieldID" : "fieldID";

	if (col->kind != KIND_FIELD && !udf)
		return true;
	if (field_by_id(col->entity, number_of(row, name), udf))
		return true;
	fail_with(sim, ret, 500, "%.0f is not in the pick list of %s.", number_of(row, name), name);
	return false;
}

static unsigned count_webhooks(struct sim *sim)
{
	struct collection col;
	unsigned n = 0;

	for (const struct entity *e = entities; e->name; e++) {
		collection_of(e, KIND_WEBHOOK, &col);
		n += (unsigned)cJSON_GetArraySize(table_rows(sim, col.table));
	}
	return n;
}

static bool check_level(struct sim *sim, enum kind kind, struct reply *ret)
{
	if (kind != KIND_WEBHOOK || count_webhooks(sim) < sim->opt.max_webhooks)
		return true;
	fail_with(sim, ret, 500, sim->opt.max_webhooks ? "The maximum number of webhooks of the security level is reached." :
		"The security level does not permit: Can create WebHooks.");
	return false;
}

static void add_guid(cJSON *row)
{
	unsigned char r[16];
	char text[40];

	if (RAND_bytes(r, sizeof(r)) != 1)
		abort();
	snprintf(text, sizeof(text), "%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2],
		r[3], r[4], r[5], r[6] & 15u, r[7], r[8] & 15u, r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	cJSON_AddStringToObject(row, "webhookGUID", text);
}

/* Every column, those not given null, then what the body says. */
static cJSON *merge(enum kind kind, const cJSON *old, const cJSON *body, bool keep)
{
	cJSON *row = cJSON_CreateObject();

	for (const struct column *c = columns_of(kind); c->name; c++) {
		const cJSON *item = cJSON_GetObjectItem(body, c->name);

		if (c->read_only || (!item && keep))
			item = cJSON_GetObjectItem(old, c->name);
		cJSON_AddItemToObject(row, c->name, item ? cJSON_Duplicate(item, true) :
			c->type == TYPE_BOOLEAN && !c->required ? cJSON_CreateFalse() : cJSON_CreateNull());
	}
	if (kind != KIND_WEBHOOK)
		cJSON_AddNullToObject(row, soap);
	return row;
}

/* isReady is the server's: something is subscribed. */
void webhook_refresh(struct sim *sim, const struct entity *entity, double id)
{
	struct collection col;
	const cJSON *row;
	cJSON *webhook;
	bool ready = false;

	for (enum kind kind = KIND_FIELD; kind <= KIND_UDF; kind++) {
		collection_of(entity, kind, &col);
		cJSON_ArrayForEach(row, table_rows(sim, col.table))
			ready |= number_of(row, "webhookID") == id && is_true(row, "isSubscribedField");
	}
	collection_of(entity, KIND_WEBHOOK, &col);
	webhook = table_find(sim, col.table, id);
	if (webhook)
		cJSON_ReplaceItemInObject(webhook, "isReady", cJSON_CreateBool(ready));
}

static void answer_id(struct reply *ret, double id)
{
	ret->body = cJSON_CreateObject();
	cJSON_AddNumberToObject(ret->body, "itemId", id);
}

static void refresh_owner(struct sim *sim, const struct collection *col, const cJSON *row)
{
	webhook_refresh(sim, col->entity, number_of(row, col->kind == KIND_WEBHOOK ? "id" : "webhookID"));
}

static void store_new(struct sim *sim, const struct collection *col, cJSON *row, struct reply *ret)
{
	cJSON_DeleteItemFromObject(row, "webhookGUID");
	if (col->kind == KIND_WEBHOOK)
		add_guid(row);
	answer_id(ret, table_insert(sim, col->table, row));
	refresh_owner(sim, col, row);
}

static void store_changed(struct sim *sim, const struct collection *col, cJSON *row, cJSON *old, struct reply *ret)
{
	bool off = col->kind == KIND_WEBHOOK && is_true(old, "isActive") && !is_true(row, "isActive");

	cJSON_ReplaceItemViaPointer(table_rows(sim, col->table), old, row);
	refresh_owner(sim, col, row);
	answer_id(ret, number_of(row, "id"));
	if (off)
		deliver_deactivation(sim, col->entity, row);
}

/* POST makes, PATCH changes what is given, PUT nulls what is not. */
void write_row(struct sim *sim, const struct request *req, const struct collection *col, double parent, struct reply *ret)
{
	bool make = !strcmp(req->method, "POST");
	cJSON *old = make ? NULL : table_find(sim, col->table, number_of(req->body, "id"));
	cJSON *row;

	if (!check_body(sim, col->kind, req->body, ret))
		return;
	if (!make && (!old || (parent > 0 && number_of(old, "webhookID") != parent))) {
		fail_with(sim, ret, 500, "No matching %s with the id of the body.", col->table);
		return;
	}
	row = merge(col->kind, old, req->body, strcmp(req->method, "PATCH") == 0);
	if (parent > 0) {
		cJSON_DeleteItemFromObject(row, "webhookID");
		cJSON_AddNumberToObject(row, "webhookID", parent);
	}
	if (!check_required(sim, col->kind, row, ret) || !check_known(sim, col, row, ret) ||
	    !check_unique(sim, col, row, ret) || (make && !check_level(sim, col->kind, ret)))
		cJSON_Delete(row);
	else if (make)
		store_new(sim, col, row, ret);
	else
		store_changed(sim, col, row, old, ret);
	state_save(sim);
}

static void delete_children(struct sim *sim, const struct entity *entity, double webhook)
{
	struct collection col;

	for (enum kind kind = KIND_FIELD; kind <= KIND_EXCLUDED; kind++) {
		cJSON *rows, *row, *next;

		collection_of(entity, kind, &col);
		rows = table_rows(sim, col.table);
		for (row = rows->child; row; row = next) {
			next = row->next;
			if (number_of(row, "webhookID") == webhook)
				cJSON_Delete(cJSON_DetachItemViaPointer(rows, row));
		}
	}
}

void delete_row(struct sim *sim, const struct collection *col, double id, struct reply *ret)
{
	cJSON *row = table_find(sim, col->table, id);
	double webhook = number_of(row, "webhookID");

	if (!row) {
		fail_with(sim, ret, 500, "No matching %s with id %.0f.", col->table, id);
		return;
	}
	if (col->kind == KIND_WEBHOOK) {
		deliver_deactivation(sim, col->entity, row);
		delete_children(sim, col->entity, id);
	}
	table_delete(sim, col->table, id);
	if (col->entity)
		webhook_refresh(sim, col->entity, webhook);
	answer_id(ret, id);
	state_save(sim);
}
