/* rest.c - which call of the REST API does what. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is(const struct request *req, const char *method) { return !strcmp(req->method, method); }

static bool writes(const struct request *req) { return is(req, "POST") || is(req, "PUT") || is(req, "PATCH"); }

static void not_allowed(struct sim *sim, const struct request *req, struct reply *ret)
{
	fail_with(sim, ret, 405, "The requested resource does not support http method '%s'.", req->method);
}

static bool part_is(const struct request *req, unsigned i, const char *text)
{
	return i < req->n_parts && !strcasecmp(req->parts[i], text);
}

static void zone(struct sim *sim, const struct request *req, struct reply *ret)
{
	char url[64];

	if (!is(req, "GET")) {
		not_allowed(sim, req, ret);
		return;
	}
	if (!req->user || strcasecmp(req->user, sim->opt.user) != 0) {
		fail_with(sim, ret, 500, "Zone information could not be determined: the user is not known.");
		return;
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/ATServicesRest/", sim->opt.port);
	ret->body = cJSON_CreateObject();
	cJSON_AddStringToObject(ret->body, "zoneName", "Simulated");
	cJSON_AddStringToObject(ret->body, "url", url);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", sim->opt.port);
	cJSON_AddStringToObject(ret->body, "webUrl", url);
	cJSON_AddNumberToObject(ret->body, "ci", 99);
}

static void version(struct sim *sim, const struct request *req, struct reply *ret)
{
	if (!is(req, "GET")) {
		not_allowed(sim, req, ret);
		return;
	}
	ret->body = cJSON_CreateObject();
	cJSON_AddStringToObject(ret->body, "majorVersion", "0");
	cJSON_AddStringToObject(ret->body, "minorVersion", "0");
	cJSON_AddStringToObject(ret->body, "build", "0");
	cJSON_AddStringToObject(ret->body, "customerType", "Simulated");
}

static void threshold(struct sim *sim, const struct request *req, struct reply *ret)
{
	if (!is(req, "GET")) {
		not_allowed(sim, req, ret);
		return;
	}
	ret->body = cJSON_CreateObject();
	cJSON_AddNumberToObject(ret->body, "externalRequestThreshold", sim->opt.hourly_limit);
	cJSON_AddNumberToObject(ret->body, "requestThresholdTimeframe", 60);
	cJSON_AddNumberToObject(ret->body, "currentTimeframeRequestCount", sim->requests);
}

static void entity_information(const struct collection *col, struct reply *ret)
{
	static const char *const accesses[] = { "userAccessForCreate", "userAccessForDelete", "userAccessForQuery", "userAccessForUpdate" };
	bool writable = col->kind <= KIND_EXCLUDED;
	cJSON *info;

	ret->body = cJSON_CreateObject();
	info = cJSON_AddObjectToObject(ret->body, "info");
	cJSON_AddStringToObject(info, "name", col->table);
	cJSON_AddBoolToObject(info, "canCreate", writable);
	cJSON_AddBoolToObject(info, "canDelete", writable || col->kind == KIND_ERROR);
	cJSON_AddBoolToObject(info, "canQuery", true);
	cJSON_AddBoolToObject(info, "canUpdate", writable && col->kind != KIND_EXCLUDED);
	for (size_t i = 0; i < sizeof(accesses) / sizeof(*accesses); i++)
		cJSON_AddStringToObject(info, accesses[i], "All");
	cJSON_AddBoolToObject(info, "hasUserDefinedFields", col->kind == KIND_RECORD && !col->entity->no_udf);
	cJSON_AddBoolToObject(info, "supportsWebhookCallouts", col->kind == KIND_RECORD);
}

static void information(struct sim *sim, const struct request *req, const struct collection *col, unsigned at, struct reply *ret)
{
	if (!is(req, "GET"))
		not_allowed(sim, req, ret);
	else if (part_is(req, at + 1, "fields"))
		ret->body = information_fields(col);
	else if (part_is(req, at + 1, "userDefinedFields"))
		ret->body = information_udf(col);
	else
		entity_information(col, ret);
}

static void one(struct sim *sim, const struct request *req, const struct collection *col, double id, bool deletable, struct reply *ret)
{
	const cJSON *row = table_find(sim, col->table, id);

	if (is(req, "DELETE") && deletable) {
		delete_row(sim, col, id, ret);
	} else if (!is(req, "GET")) {
		not_allowed(sim, req, ret);
	} else {
		ret->body = cJSON_CreateObject();
		cJSON_AddItemToObject(ret->body, "item", row ? cJSON_Duplicate(row, true) : cJSON_CreateNull());
	}
}

static void list_children(struct sim *sim, const struct collection *col, double parent, struct reply *ret)
{
	char search[128];
	struct request query = { .search = search };

	snprintf(search, sizeof(search), "{\"filter\":[{\"op\":\"eq\",\"field\":\"webhookID\",\"value\":%.0f}]}", parent);
	query_run(sim, &query, col->table, false, ret);
}

static bool child_collection(const struct request *req, const struct collection *of, struct collection *ret)
{
	static const char *const names[] = { [KIND_FIELD] = "Fields", [KIND_UDF] = "UdfFields", [KIND_EXCLUDED] = "ExcludedResources" };

	for (enum kind kind = KIND_FIELD; kind <= KIND_EXCLUDED; kind++)
		if (part_is(req, 2, names[kind])) {
			collection_of(of->entity, kind, ret);
			return kind != KIND_UDF || !of->entity->no_udf;
		}
	return false;
}

/* /XWebhooks/{parent}/CHILD[/{id}] */
static void child(struct sim *sim, const struct request *req, const struct collection *of, double parent, struct reply *ret)
{
	struct collection col;
	const cJSON *row;

	if (of->kind != KIND_WEBHOOK || !child_collection(req, of, &col)) {
		fail_with(sim, ret, 404, "No such resource: %s", req->path);
	} else if (part_is(req, 3, "entityInformation")) {
		information(sim, req, &col, 3, ret);
	} else if (!table_find(sim, of->table, parent)) {
		fail_with(sim, ret, 500, "No matching %s with id %.0f.", of->table, parent);
	} else if (req->n_parts > 3) {
		row = table_find(sim, col.table, strtod(req->parts[3], NULL));
		one(sim, req, &col, row && number_of(row, "webhookID") == parent ? number_of(row, "id") : -1, true, ret);
	} else if (is(req, "GET")) {
		list_children(sim, &col, parent, ret);
	} else if (writes(req) && (col.kind != KIND_EXCLUDED || is(req, "POST"))) {
		write_row(sim, req, &col, parent, ret);
	} else {
		not_allowed(sim, req, ret);
	}
}

static void query(struct sim *sim, const struct request *req, const struct collection *col, struct reply *ret)
{
	if (is(req, "GET") || is(req, "POST"))
		query_run(sim, req, col->table, part_is(req, 2, "count"), ret);
	else
		not_allowed(sim, req, ret);
}

static void collection(struct sim *sim, const struct request *req, const struct collection *col, struct reply *ret)
{
	char *end = NULL;
	double id = req->n_parts > 1 ? strtod(req->parts[1], &end) : 0;

	if (req->n_parts == 1 && col->kind == KIND_WEBHOOK && writes(req))
		write_row(sim, req, col, 0, ret);
	else if (req->n_parts == 1)
		not_allowed(sim, req, ret);
	else if (part_is(req, 1, "query"))
		query(sim, req, col, ret);
	else if (part_is(req, 1, "entityInformation"))
		information(sim, req, col, 1, ret);
	else if (*end || end == req->parts[1])
		fail_with(sim, ret, 404, "No such resource: %s", req->path);
	else if (req->n_parts > 2)
		child(sim, req, col, id, ret);
	else
		one(sim, req, col, id, col->kind == KIND_WEBHOOK || col->kind == KIND_ERROR, ret);
}

void rest_answer(struct sim *sim, const struct request *req, struct reply *ret)
{
	struct collection col;

	if (part_is(req, 0, "ZoneInformation"))
		zone(sim, req, ret);
	else if (part_is(req, 0, "Version"))
		version(sim, req, ret);
	else if (part_is(req, 0, "ThresholdInformation"))
		threshold(sim, req, ret);
	else if (req->n_parts && collection_by_name(req->parts[0], &col))
		collection(sim, req, &col, ret);
	else
		fail_with(sim, ret, 404, "No such resource: %s", req->path);
}
