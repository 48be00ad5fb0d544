/* schema.c - which entities, collections, columns and fields the simulated Autotask has. */
#include "sim.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct field company_fields[] = {
	{ 1, "CompanyName", false }, { 2, "CompanyNumber", false }, { 3, "Phone", false }, { 4, "City", false },
	{ 5, "OwnerResourceID", false }, { 6, "CompanyType", false }, { 501, "Region", true }, { 0, NULL, false },
};
static const struct field contact_fields[] = {
	{ 31, "FirstName", false }, { 32, "LastName", false }, { 33, "EmailAddress", false }, { 34, "Phone", false },
	{ 35, "CompanyID", false }, { 511, "Language", true }, { 0, NULL, false },
};
static const struct field asset_fields[] = {
	{ 61, "ReferenceTitle", false }, { 62, "SerialNumber", false }, { 63, "CompanyID", false },
	{ 64, "ProductID", false }, { 65, "Notes", false }, { 521, "Rack", true }, { 0, NULL, false },
};
static const struct field ticket_fields[] = {
	{ 91, "TicketNumber", false }, { 92, "Title", false }, { 93, "Description", false }, { 94, "Status", false },
	{ 95, "Priority", false }, { 96, "QueueID", false }, { 97, "CompanyID", false },
	{ 98, "AssignedResourceID", false }, { 531, "Severity", true }, { 0, NULL, false },
};
static const struct field note_fields[] = {
	{ 121, "Title", false }, { 122, "Description", false }, { 123, "NoteType", false }, { 124, "TicketID", false },
	{ 0, NULL, false },
};
const struct entity entities[] = {
	{ "Company", "Companies", "Account", "createDate", "lastTrackedModifiedDateTime", company_fields, false },
	{ "Contact", "Contacts", "Contact", "createDate", "lastModifiedDate", contact_fields, false },
	{ "ConfigurationItem", "ConfigurationItems", "InstalledProduct", "createDate", "lastModifiedTime", asset_fields, false },
	{ "Ticket", "Tickets", "Ticket", "createDate", "lastTrackedModificationDateTime", ticket_fields, false },
	{ "TicketNote", "TicketNotes", "TicketNote", "createDateTime", "lastActivityDate", note_fields, true },
	{ NULL, NULL, NULL, NULL, NULL, NULL, false },
};

static const struct column webhook_columns[] = {
	{ "id", TYPE_INTEGER, 0, false, true },
	{ "name", TYPE_TEXT, 50, true, false },
	{ "isActive", TYPE_BOOLEAN, 0, true, false },
	{ "isReady", TYPE_BOOLEAN, 0, false, true },
	{ "isSubscribedToCreateEvents", TYPE_BOOLEAN, 0, false, false },
	{ "isSubscribedToUpdateEvents", TYPE_BOOLEAN, 0, false, false },
	{ "isSubscribedToDeleteEvents", TYPE_BOOLEAN, 0, false, false },
	{ "webhookUrl", TYPE_TEXT, 500, true, false },
	{ "deactivationUrl", TYPE_TEXT, 500, true, false },
	{ "secretKey", TYPE_TEXT, 64, true, false },
	{ "notificationEmailAddress", TYPE_TEXT, 150, false, false },
	{ "sendThresholdExceededNotification", TYPE_BOOLEAN, 0, true, false },
	{ "ownerResourceID", TYPE_INTEGER, 0, false, false },
	{ "webhookGUID", TYPE_TEXT, 100, false, true },
	{ NULL, TYPE_TEXT, 0, false, false },
};
#define SUBSCRIPTION(what) \
	{ "id", TYPE_INTEGER, 0, false, true }, { what, TYPE_INTEGER, 0, true, false }, \
	{ "isSubscribedField", TYPE_BOOLEAN, 0, true, false }, \
	{ "isDisplayAlwaysField", TYPE_BOOLEAN, 0, true, false }, \
	{ "webhookID", TYPE_INTEGER, 0, true, false }, { NULL, TYPE_TEXT, 0, false, false }
static const struct column field_columns[] = { SUBSCRIPTION("fieldID") };
static const struct column udf_columns[] = { SUBSCRIPTION("udfFieldID") };
static const struct column excluded_columns[] = {
	{ "id", TYPE_INTEGER, 0, false, true },
	{ "resourceID", TYPE_INTEGER, 0, true, false },
	{ "webhookID", TYPE_INTEGER, 0, true, false },
	{ NULL, TYPE_TEXT, 0, false, false },
};
static const struct column error_columns[] = {
	{ "id", TYPE_INTEGER, 0, false, true },
	{ "accountWebhookID", TYPE_INTEGER, 0, false, true },
	{ "contactWebhookID", TYPE_INTEGER, 0, false, true },
	{ "createDateTime", TYPE_TEXT, 32, false, true },
	{ "errorMessage", TYPE_TEXT, 8000, false, true },
	{ "payload", TYPE_TEXT, 8000, false, true },
	{ "sequenceNumber", TYPE_INTEGER, 0, false, true },
	{ NULL, TYPE_TEXT, 0, false, false },
};
static const struct { const char *suffix; const struct column *columns; } kinds[] = {
	[KIND_WEBHOOK] = { "Webhooks", webhook_columns },
	[KIND_FIELD] = { "WebhookFields", field_columns },
	[KIND_UDF] = { "WebhookUdfFields", udf_columns },
	[KIND_EXCLUDED] = { "WebhookExcludedResources", excluded_columns },
	[KIND_RECORD] = { "", NULL },
	[KIND_ERROR] = { "", error_columns },
};

const struct column *columns_of(enum kind kind) { return kinds[kind].columns; }

/* Either vocabulary, singular or plural. */
const struct entity *entity_by_name(const char *name)
{
	for (const struct entity *e = entities; e->name; e++)
		if (!strcasecmp(name, e->name) || !strcasecmp(name, e->wire) || !strcasecmp(name, e->records))
			return e;
	return NULL;
}

void collection_of(const struct entity *entity, enum kind kind, struct collection *ret)
{
	ret->kind = kind;
	ret->entity = entity;
	if (kind == KIND_RECORD)
		snprintf(ret->table, sizeof(ret->table), "%s", entity->records);
	else
		snprintf(ret->table, sizeof(ret->table), "%s%s", entity->name, kinds[kind].suffix);
}

bool collection_by_name(const char *name, struct collection *ret)
{
	if (!strcasecmp(name, "WebhookEventErrorLogs")) {
		*ret = (struct collection){ KIND_ERROR, NULL, "WebhookEventErrorLogs" };
		return true;
	}
	for (const struct entity *e = entities; e->name; e++)
		for (enum kind kind = KIND_WEBHOOK; kind <= KIND_RECORD; kind++) {
			collection_of(e, kind, ret);
			if (!strcasecmp(name, ret->table))
				return kind != KIND_UDF || !e->no_udf;
		}
	return false;
}

const struct field *field_by_id(const struct entity *entity, double id, bool udf)
{
	for (const struct field *f = entity->fields; f->name; f++)
		if (f->id == id && f->udf == udf)
			return f;
	return NULL;
}

const struct field *field_by_name(const struct entity *entity, const char *name)
{
	for (const struct field *f = entity->fields; f->name; f++)
		if (!strcasecmp(name, f->name))
			return f;
	return NULL;
}

void field_rest_name(const struct field *field, char *ret, size_t size)
{
	snprintf(ret, size, "%s", field->name);
	if (!field->udf)
		ret[0] = (char)tolower((unsigned char)ret[0]);
}

static cJSON *pick_list(const struct entity *entity, bool udf)
{
	cJSON *list = cJSON_CreateArray();
	int order = 0;

	for (const struct field *f = entity->fields; f->name; f++) {
		char value[16];
		cJSON *row;

		if (f->udf != udf)
			continue;
		row = cJSON_CreateObject();
		snprintf(value, sizeof(value), "%u", f->id);
		cJSON_AddStringToObject(row, "value", value);
		cJSON_AddStringToObject(row, "label", f->name);
		cJSON_AddBoolToObject(row, "isDefaultValue", false);
		cJSON_AddNumberToObject(row, "sortOrder", ++order);
		cJSON_AddStringToObject(row, "parentValue", "");
		cJSON_AddBoolToObject(row, "isActive", true);
		cJSON_AddBoolToObject(row, "isSystem", true);
		cJSON_AddItemToArray(list, row);
	}
	return list;
}

static cJSON *information(const struct column *column, cJSON *picks, bool calls_out)
{
	static const char *const types[] = { "integer", "boolean", "string" };
	cJSON *row = cJSON_CreateObject();

	cJSON_AddStringToObject(row, "name", column->name);
	cJSON_AddStringToObject(row, "dataType", types[column->type]);
	cJSON_AddNumberToObject(row, "length", column->max_chars);
	cJSON_AddBoolToObject(row, "isRequired", column->required);
	cJSON_AddBoolToObject(row, "isReadOnly", column->read_only);
	cJSON_AddBoolToObject(row, "isQueryable", true);
	cJSON_AddBoolToObject(row, "isReference", false);
	cJSON_AddStringToObject(row, "referenceEntityType", "");
	cJSON_AddBoolToObject(row, "isPickList", picks != NULL);
	cJSON_AddItemToObject(row, "picklistValues", picks ? picks : cJSON_CreateNull());
	cJSON_AddStringToObject(row, "picklistParentValueField", "");
	cJSON_AddBoolToObject(row, "isSupportedWebhookField", calls_out);
	return row;
}

static void add_record_fields(cJSON *list, const struct entity *entity)
{
	char name[64];

	for (const struct field *f = entity->fields; f->name; f++) {
		if (f->udf)
			continue;
		field_rest_name(f, name, sizeof(name));
		cJSON_AddItemToArray(list, information(&(struct column){ name, TYPE_TEXT, 0, false, false }, NULL, true));
	}
	cJSON_AddItemToArray(list, information(&(struct column){ entity->created, TYPE_TEXT, 0, false, true }, NULL, false));
	cJSON_AddItemToArray(list, information(&(struct column){ entity->modified, TYPE_TEXT, 0, false, true }, NULL, false));
}

cJSON *information_fields(const struct collection *collection)
{
	cJSON *answer = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(answer, "fields");

	if (collection->kind == KIND_RECORD)
		add_record_fields(list, collection->entity);
	for (const struct column *c = columns_of(collection->kind); c && c->name; c++) {
		bool picks = !strcmp(c->name, "fieldID") || !strcmp(c->name, "udfFieldID");

		cJSON_AddItemToArray(list, information(c, !picks ? NULL :
			pick_list(collection->entity, collection->kind == KIND_UDF), false));
	}
	return answer;
}

/* Like information(), but of other members. */
static cJSON *udf_information(const struct field *field)
{
	static const char *const texts[] = { "description", "referenceEntityType", "picklistParentValueField", "defaultValue" };
	static const char *const off[] = { "isRequired", "isReadOnly", "isReference", "isPickList" };
	cJSON *row = cJSON_CreateObject();

	cJSON_AddStringToObject(row, "name", field->name);
	cJSON_AddStringToObject(row, "label", field->name);
	cJSON_AddStringToObject(row, "type", "string");
	cJSON_AddNumberToObject(row, "length", 8000);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		cJSON_AddStringToObject(row, texts[i], "");
	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
		cJSON_AddFalseToObject(row, off[i]);
	cJSON_AddTrueToObject(row, "isQueryable");
	cJSON_AddNullToObject(row, "picklistValues");
	cJSON_AddTrueToObject(row, "isSupportedWebhookField");
	return row;
}

/* No webhook collection has user-defined fields of its own; records do. */
cJSON *information_udf(const struct collection *collection)
{
	cJSON *answer = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(answer, "fields");

	if (collection->kind != KIND_RECORD)
		return answer;
	for (const struct field *f = collection->entity->fields; f->name; f++)
		if (f->udf)
			cJSON_AddItemToArray(list, udf_information(f));
	return answer;
}
