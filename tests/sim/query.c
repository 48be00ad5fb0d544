/* query.c - filters and pages of the simulated REST API. */
#include "sim.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum op { EQ, NOTEQ, GT, GTE, LT, LTE, BEGINS, ENDS, CONTAINS, EXIST, NOTEXIST, IN, NOTIN, AND, OR, OPS };
static const char *const op_names[OPS] = { "eq", "noteq", "gt", "gte", "lt", "lte", "beginsWith", "endsWith",
	"contains", "exist", "notExist", "in", "notIn", "and", "or" };

static enum op op_of(const cJSON *filter)
{
	enum op op = EQ;

	while (op < OPS && strcasecmp(text_of(filter, "op"), op_names[op]) != 0)
		op++;
	return op;
}

/* Numbers also when they come as text, times by the moment they name, everything else by its text. */
static int compare(const cJSON *a, const cJSON *b)
{
	char left[64], right[64];
	const char *l = cJSON_GetStringValue(a), *r = cJSON_GetStringValue(b);
	int64_t left_ms, right_ms;

	if (cJSON_IsNumber(a) && (cJSON_IsNumber(b) || r)) {
		double other = r ? strtod(r, NULL) : b->valuedouble;

		return (a->valuedouble > other) - (a->valuedouble < other);
	}
	if (cJSON_IsBool(a) && cJSON_IsBool(b))
		return cJSON_IsTrue(a) - cJSON_IsTrue(b);
	if (l && r && time_of(l, &left_ms) && time_of(r, &right_ms))
		return (left_ms > right_ms) - (left_ms < right_ms);
	snprintf(left, sizeof(left), "%s", cJSON_IsBool(a) ? (cJSON_IsTrue(a) ? "true" : "false") : "");
	snprintf(right, sizeof(right), "%.15g", cJSON_IsNumber(b) ? b->valuedouble : 0);
	return strcasecmp(l ? l : left, r ? r : right);
}

static bool within(const cJSON *item, const cJSON *list)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, list)
		if (!compare(item, one))
			return true;
	return false;
}

static bool text_fits(enum op op, const char *text, const char *part)
{
	size_t all = strlen(text), some = strlen(part);

	switch (op) {
	case BEGINS: return !strncasecmp(text, part, some);
	case ENDS: return all >= some && !strcasecmp(text + all - some, part);
	default: return strcasestr(text, part) != NULL;
	}
}

static bool value_fits(enum op op, const cJSON *item, const cJSON *value)
{
	bool there = item && !cJSON_IsNull(item);

	if (op == EXIST || op == NOTEXIST)
		return there == (op == EXIST);
	if (!there)
		return op == NOTEQ || op == NOTIN;
	switch (op) {
	case EQ: return !compare(item, value);
	case NOTEQ: return compare(item, value);
	case GT: return compare(item, value) > 0;
	case GTE: return compare(item, value) >= 0;
	case LT: return compare(item, value) < 0;
	case LTE: return compare(item, value) <= 0;
	case IN: return within(item, value);
	case NOTIN: return !within(item, value);
	default: return cJSON_IsString(item) && cJSON_IsString(value) &&
		text_fits(op, item->valuestring, value->valuestring);
	}
}

static const cJSON *item_of(const cJSON *row, const cJSON *filter)
{
	const cJSON *udf;

	if (!is_true(filter, "udf"))
		return cJSON_GetObjectItem(row, text_of(filter, "field"));
	cJSON_ArrayForEach(udf, cJSON_GetObjectItem(row, "userDefinedFields"))
		if (!strcasecmp(text_of(udf, "name"), text_of(filter, "field")))
			return cJSON_GetObjectItem(udf, "value");
	return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as cJSON allowed when it parsed
static bool fits(const cJSON *row, const cJSON *filter)
{
	enum op op = op_of(filter);
	const cJSON *part;

	if (op != AND && op != OR)
		return value_fits(op, item_of(row, filter), cJSON_GetObjectItem(filter, "value"));
	cJSON_ArrayForEach(part, cJSON_GetObjectItem(filter, "items"))
		if (fits(row, part) == (op == OR))
			return op == OR;
	return op == AND;
}

/* What is wrong with a list of filters, or NULL. */
// NOLINTNEXTLINE(misc-no-recursion): as above
static const char *wrong(const cJSON *filters)
{
	const cJSON *filter;
	const char *text;

	if (!cJSON_IsArray(filters) || !filters->child)
		return "a query needs a filter: {\"filter\":[{\"op\":\"eq\",\"field\":\"id\",\"value\":1}]}";
	cJSON_ArrayForEach(filter, filters) {
		enum op op = op_of(filter);

		if (op == OPS)
			return "the operator of a filter is not known";
		if (op == AND || op == OR) {
			if ((text = wrong(cJSON_GetObjectItem(filter, "items"))))
				return text;
		} else if (!*text_of(filter, "field")) {
			return "a filter needs a field";
		} else if (op != EXIST && op != NOTEXIST && !cJSON_HasObjectItem(filter, "value")) {
			return "a filter needs a value";
		}
	}
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	double left = number_of(*(cJSON *const *)a, "id"), right = number_of(*(cJSON *const *)b, "id");

	return (left > right) - (left < right);
}

/* The rows that fit, sorted by id; the caller frees the list, not the rows. */
static cJSON **select_rows(cJSON *rows, const cJSON *query, size_t *ret_count)
{
	cJSON **list = calloc((size_t)cJSON_GetArraySize(rows) + 1, sizeof(void *));
	AUTO_JSON all = cJSON_CreateObject();
	cJSON *row;

	if (!list)
		abort();
	cJSON_AddStringToObject(all, "op", "and");
	cJSON_AddItemReferenceToObject(all, "items", cJSON_GetObjectItem(query, "filter"));
	*ret_count = 0;
	cJSON_ArrayForEach(row, rows)
		if (fits(row, all))
			list[(*ret_count)++] = row;
	qsort(list, *ret_count, sizeof(void *), by_id);
	return list;
}

static void add_page_url(struct sim *sim, cJSON *details, const char *name, const char *table, const cJSON *query, unsigned page)
{
	char *text, *escaped, *url = NULL;

	if (!page) {
		cJSON_AddNullToObject(details, name);
		return;
	}
	text = cJSON_PrintUnformatted(query);
	escaped = curl_easy_escape(NULL, text, 0);
	if (asprintf(&url, "http://127.0.0.1:%u/ATServicesRest/V1.0/%s/query/next?search=%s&page=%u",
		     sim->opt.port, table, escaped, page) < 0)
		abort();
	cJSON_AddStringToObject(details, name, url);
	free(url);
	curl_free(escaped);
	free(text);
}

static cJSON *shown(const cJSON *row, const cJSON *only)
{
	cJSON *copy, *item, *next;

	copy = cJSON_Duplicate(row, true);
	if (!cJSON_IsArray(only) || !only->child)
		return copy;
	for (item = copy->child; item; item = next) {
		const cJSON *name;
		bool wanted = !strcmp(item->string, "id");

		next = item->next;
		cJSON_ArrayForEach(name, only)
			wanted |= cJSON_IsString(name) && !strcasecmp(name->valuestring, item->string);
		if (!wanted)
			cJSON_Delete(cJSON_DetachItemViaPointer(copy, item));
	}
	return copy;
}

static void answer_page(struct sim *sim, const struct request *req, const char *table, const cJSON *query, struct reply *ret)
{
	size_t n, rows = sim->opt.page_rows, page = req->page ? req->page : 1;
	double asked = number_of(query, "maxRecords");
	cJSON **list = select_rows(table_rows(sim, table), query, &n);
	cJSON *items, *details;

	if (asked >= 1 && asked < (double)rows)
		rows = (size_t)asked;
	ret->body = cJSON_CreateObject();
	items = cJSON_AddArrayToObject(ret->body, "items");
	for (size_t i = (page - 1) * rows; i < n && i < page * rows; i++)
		cJSON_AddItemToArray(items, shown(list[i], cJSON_GetObjectItem(query, "includeFields")));
	details = cJSON_AddObjectToObject(ret->body, "pageDetails");
	cJSON_AddNumberToObject(details, "count", cJSON_GetArraySize(items));
	cJSON_AddNumberToObject(details, "requestCount", (double)rows);
	add_page_url(sim, details, "prevPageUrl", table, query, (unsigned)page - 1);
	add_page_url(sim, details, "nextPageUrl", table, query, n > page * rows ? (unsigned)page + 1 : 0);
	free(list);
}

void query_run(struct sim *sim, const struct request *req, const char *table, bool count_only, struct reply *ret)
{
	AUTO_JSON parsed = req->search ? cJSON_Parse(req->search) : NULL;
	const cJSON *query = req->search ? parsed : req->body;
	const char *text = wrong(cJSON_GetObjectItem(query, "filter"));
	size_t n;

	if (text) {
		fail_with(sim, ret, 500, "%s", text);
	} else if (count_only) {
		free(select_rows(table_rows(sim, table), query, &n));
		ret->body = cJSON_CreateObject();
		cJSON_AddNumberToObject(ret->body, "queryCount", (double)n);
	} else {
		answer_page(sim, req, table, query, ret);
	}
}
