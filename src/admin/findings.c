/* findings.c - what `calloutctl guard` found, read from its report. */
#include "admin/findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#define DEPTH_MAX 8

const char *finding_level_name(enum finding_level l)
{
	static const char *const names[] = {
		[FINDING_INFO] = "info",
		[FINDING_WARNING] = "warning",
		[FINDING_ERROR] = "error",
	};

	_Static_assert(ARRAY_LEN(names) == FINDING_LEVEL_COUNT_, "every level needs a name");
	return (unsigned)l < FINDING_LEVEL_COUNT_ ? names[l] : "?";
}

/* ---- objects by their members ---- */

struct taker {
	const char *name;
	bool needed;
	int (*take)(void *into, const struct json_value *v, struct error *err);
};

/* Which row has this name; count if none. */
static size_t taker_of(const struct taker *rows, size_t count, const struct json_value *name)
{
	size_t i = 0;

	while (i < count && !json_string_is(name, rows[i].name, false))
		i++;
	return i;
}

static int missing(const struct taker *rows, size_t count, unsigned given, struct error *err)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].needed && !(given & 1U << i))
			return error_set(err, EINVAL, "\"%s\" is missing", rows[i].name);
	return 0;
}

static int take_object(const struct taker *rows, size_t count, void *into, const struct json_value *object,
		       struct error *err)
{
	struct json_cursor at = { NULL };
	struct json_value name, value;
	unsigned given = 0;
	int r = 0;

	if (object->kind != JSON_OBJECT)
		return error_set(err, EINVAL, "must be an object");
	while (r == 0 && json_next_member(object, &at, &name, &value)) {
		size_t i = taker_of(rows, count, &name);

		if (i == count)
			return error_set(err, EINVAL, "%.*s is not known here", name.len > 64 ? 64 : (int)name.len,
					 name.at);
		if (given & 1U << i)
			return error_set(err, EINVAL, "\"%s\" is given twice", rows[i].name);
		given |= 1U << i;
		r = rows[i].take(into, &value, err);
		if (r < 0)
			error_prefix(err, "%s", rows[i].name);
	}
	return r < 0 ? r : missing(rows, count, given, err);
}

/* ---- values ---- */

static int take_bool(bool *to, const struct json_value *v, struct error *err)
{
	if (v->kind != JSON_TRUE && v->kind != JSON_FALSE)
		return error_set(err, EINVAL, "must be true or false");
	*to = v->kind == JSON_TRUE;
	return 0;
}

/* Decoded, without NUL, cut between characters; *ret is the caller's. */
static int take_text(char **ret, size_t max, const struct json_value *v, struct error *err)
{
	AUTO(free) char *text = NULL;
	size_t len = 0;

	if (v->kind != JSON_STRING)
		return error_set(err, EINVAL, "must be a text");
	text = malloc(3 * v->len + 1);
	if (!text)
		return error_no_memory(err);
	(void)json_string(v, text, 3 * v->len + 1, &len);
	if (memchr(text, '\0', len))
		return error_set(err, EINVAL, "holds a NUL");
	if (len > max)
		len = utf8_cut(text, max);
	*ret = strndup(text, len);
	return *ret ? 0 : error_no_memory(err);
}

static int take_name(char to[static CONF_NAME_MAX + 1], const struct json_value *v, struct error *err)
{
	AUTO(free) char *text = NULL;
	int r = take_text(&text, CONF_NAME_MAX + 4, v, err);    /* too long also when cut at a character */

	if (r < 0 || !text)
		return r;
	if (!*text || strlen(text) > CONF_NAME_MAX)
		return error_set(err, EINVAL, "must be a text of 1 to %d bytes", CONF_NAME_MAX);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

/* ---- a finding ---- */

static int finding_webhook(void *into, const struct json_value *v, struct error *err)
{
	return v->kind == JSON_NULL ? 0 : take_name(((struct finding *)into)->webhook, v, err);
}

static int finding_level(void *into, const struct json_value *v, struct error *err)
{
	for (unsigned l = 0; l < FINDING_LEVEL_COUNT_; l++) {
		if (json_string_is(v, finding_level_name((enum finding_level)l), false)) {
			((struct finding *)into)->level = (enum finding_level)l;
			return 0;
		}
	}
	return error_set(err, EINVAL, "must be info, warning or error");
}

static int finding_text(void *into, const struct json_value *v, struct error *err)
{
	return take_text(&((struct finding *)into)->text, FINDINGS_TEXT_MAX, v, err);
}

static const struct taker of_finding[] = {
	{ "webhook", false, finding_webhook },
	{ "level", true, finding_level },
	{ "text", true, finding_text },
};

static struct finding *add_finding(struct findings *f)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		struct finding *more = realloc(f->items, cap * sizeof(*more));

		if (!more)
			return NULL;
		f->items = more;
		f->cap = cap;
	}
	f->items[f->count] = (struct finding){ .text = NULL };
	return &f->items[f->count++];
}

static int take_finding(struct findings *f, const struct json_value *v, struct error *err)
{
	struct finding *item;

	if (f->count == FINDINGS_MAX) {
		f->left_out++;
		return 0;
	}
	item = add_finding(f);
	if (!item)
		return error_no_memory(err);
	return take_object(of_finding, ARRAY_LEN(of_finding), item, v, err);
}

/* ---- a webhook ---- */

static int guarded_webhook(void *into, const struct json_value *v, struct error *err)
{
	return take_name(((struct guarded *)into)->webhook, v, err);
}

static int guarded_active(void *into, const struct json_value *v, struct error *err)
{
	return take_bool(&((struct guarded *)into)->active, v, err);
}

static int guarded_ready(void *into, const struct json_value *v, struct error *err)
{
	return take_bool(&((struct guarded *)into)->ready, v, err);
}

static int guarded_failures(void *into, const struct json_value *v, struct error *err)
{
	struct guarded *g = into;

	if (v->kind == JSON_NULL)
		return 0;
	if (v->kind != JSON_NUMBER || json_integer(v, &g->failures) < 0 || g->failures < 0)
		return error_set(err, EINVAL, "must be an integer from 0, or null");
	g->has_failures = true;
	return 0;
}

static const struct taker of_webhook[] = {
	{ "webhook", true, guarded_webhook },
	{ "active", true, guarded_active },
	{ "ready", true, guarded_ready },
	{ "failures", false, guarded_failures },
};

static int take_webhook(struct findings *f, const struct json_value *v, struct error *err)
{
	struct guarded g = { .failures = 0 };
	int r;

	if (f->webhook_count == CONF_WEBHOOKS_MAX)
		return error_set(err, EINVAL, "more than %d", CONF_WEBHOOKS_MAX);
	r = take_object(of_webhook, ARRAY_LEN(of_webhook), &g, v, err);
	if (r < 0)
		return r;
	if (findings_webhook(f, g.webhook))
		return error_set(err, EINVAL, "%s is given twice", g.webhook);
	f->webhooks[f->webhook_count++] = g;
	return 0;
}

/* ---- the report ---- */

static int each(struct findings *f, const struct json_value *array,
		int (*take)(struct findings *f, const struct json_value *v, struct error *err), struct error *err)
{
	struct json_cursor at = { NULL };
	struct json_value v;
	unsigned n = 0;
	int r = 0;

	if (array->kind != JSON_ARRAY)
		return error_set(err, EINVAL, "must be an array");
	for (; r == 0 && json_next_element(array, &at, &v); n++)
		r = take(f, &v, err);
	if (r < 0)
		error_prefix(err, "number %u", n);
	return r;
}

static int report_ended(void *into, const struct json_value *v, struct error *err)
{
	AUTO(free) char *text = NULL;
	int r = take_text(&text, 2 * CLOCK_TEXT_LEN, v, err);

	if (r < 0 || !text)
		return r;
	if (clock_parse(text, strlen(text), &((struct findings *)into)->ended_ms) < 0)
		return error_set(err, EINVAL, "must be a moment like \"2025-09-15T14:57:50Z\"");
	return 0;
}

static int report_ok(void *into, const struct json_value *v, struct error *err)
{
	return take_bool(&((struct findings *)into)->ok, v, err);
}

static int report_findings(void *into, const struct json_value *v, struct error *err)
{
	return each(into, v, take_finding, err);
}

static int report_webhooks(void *into, const struct json_value *v, struct error *err)
{
	return each(into, v, take_webhook, err);
}

static const struct taker of_report[] = {
	{ "ended", true, report_ended },
	{ "ok", true, report_ok },
	{ "findings", false, report_findings },
	{ "webhooks", false, report_webhooks },
};

int findings_read(const char *text, size_t len, struct findings **ret, struct error *err)
{
	AUTO(findings) struct findings *f = calloc(1, sizeof(*f));
	struct json_value root;
	struct json_fault fault;
	int r;

	if (f)
		f->webhooks = calloc(CONF_WEBHOOKS_MAX, sizeof(*f->webhooks));
	if (!f || !f->webhooks)
		return error_no_memory(err);
	if (json_read(text, len, DEPTH_MAX, &root, &fault) < 0)
		return error_set(err, EINVAL, "the body is not JSON: %s at byte %zu", fault.why, fault.offset);
	if (root.kind != JSON_OBJECT)
		return error_set(err, EINVAL, "the body must be a JSON object");
	r = take_object(of_report, ARRAY_LEN(of_report), f, &root, err);
	if (r < 0)
		return r;
	*ret = TAKE(f);
	return 0;
}

struct findings *findings_free(struct findings *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; i < f->count; i++)
		free(f->items[i].text);
	free(f->items);
	free(f->webhooks);
	free(f);
	return NULL;
}

const struct guarded *findings_webhook(const struct findings *f, const char *webhook)
{
	for (size_t i = 0; i < f->webhook_count; i++)
		if (strcmp(f->webhooks[i].webhook, webhook) == 0)
			return &f->webhooks[i];
	return NULL;
}
