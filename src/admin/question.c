/* question.c - what a caller asks: query parameters and members of a body, one table for both. */
#include "admin/question.h"

#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "intake/captures.h"
#include "store/store.h"

enum form { FORM_INTEGER, FORM_MOMENT, FORM_TEXT, FORM_BOOL, FORM_KIND, FORM_STATE, FORM_SOURCE };

static const struct parameter {
	const char *name;
	enum form form;
	size_t at;              /* in struct question */
	int64_t min, max;       /* of integers; max also of a text's bytes, 0: CALLOUT_NAME_MAX */
} parameters[] = {
#define AT(field) offsetof(struct question, field)
	[ASK_BEFORE] = { "before", FORM_INTEGER, AT(before), 1, INT64_MAX },
	[ASK_AFTER] = { "after", FORM_INTEGER, AT(after), 0, INT64_MAX },
	[ASK_SINCE] = { "since", FORM_MOMENT, AT(since_ms), 0, 0 },
	[ASK_UNTIL] = { "until", FORM_MOMENT, AT(until_ms), 0, 0 },
	[ASK_WEBHOOK] = { "webhook", FORM_TEXT, AT(webhook), 0, 0 },
	[ASK_ENTITY] = { "entity", FORM_TEXT, AT(entity), 0, 0 },
	[ASK_ACTION] = { "action", FORM_TEXT, AT(action), 0, 0 },
	[ASK_HANDLER] = { "handler", FORM_TEXT, AT(handler), 0, 0 },
	[ASK_ID] = { "id", FORM_INTEGER, AT(id), INT64_MIN, INT64_MAX },
	[ASK_KIND] = { "kind", FORM_KIND, AT(kind), 0, 0 },
	[ASK_STATE] = { "state", FORM_STATE, AT(state), 0, 0 },
	[ASK_LIMIT] = { "limit", FORM_INTEGER, AT(limit), 1, 1000 },
	[ASK_EVENT] = { "event", FORM_INTEGER, AT(event), 1, INT64_MAX },
	[ASK_FAILED] = { "failed", FORM_BOOL, AT(failed), 0, 0 },
	[ASK_RECORD] = { "record", FORM_TEXT, AT(record), 0, CALLOUT_RECORD_MAX - 1 },
	[ASK_SOURCE] = { "source", FORM_SOURCE, AT(source), 0, 0 },
	[ASK_SEQUENCE] = { "sequence", FORM_INTEGER, AT(sequence), INT64_MIN, INT64_MAX },
	[ASK_GUID] = { "guid", FORM_TEXT, AT(guid), 0, CALLOUT_GUID_MAX },
	[ASK_AGAIN] = { "again", FORM_BOOL, AT(again), 0, 0 },
	[ASK_SKIP_LATE] = { "skip_late", FORM_BOOL, AT(skip_late), 0, 0 },
	[ASK_DRY_RUN] = { "dry_run", FORM_BOOL, AT(dry_run), 0, 0 },
	[ASK_DROP_WAITING] = { "drop_waiting", FORM_BOOL, AT(drop_waiting), 0, 0 },
	[ASK_NEXT] = { "next", FORM_INTEGER, AT(next), 1, CAPTURE_NEXT_MAX },
#undef AT
};
_Static_assert(ARRAY_LEN(parameters) == ASK_COUNT_, "every parameter needs a row");

/* A value with its kind: of a query everything is JSON_STRING. */
struct given {
	enum json_kind kind;
	bool query;
	const char *text;       /* decoded; ends with a NUL that len does not count */
	size_t len;
	const struct json_value *value;
};

static int64_t *number_at(struct question *q, const struct parameter *p)
{
	return (int64_t *)(void *)((char *)q + p->at);
}

static int take_integer(struct question *q, const struct parameter *p, const struct given *g,
			struct error *err)
{
	struct json_value digits = { JSON_NUMBER, g->text, g->len };
	int64_t n;

	/* json_integer() trusts what json_read() has checked; a query's text it has not seen. */
	if (g->query && json_read(g->text, g->len, 1, &digits, NULL) < 0)
		digits.kind = JSON_NULL;
	if (!g->query)
		digits = *g->value;
	if (digits.kind != JSON_NUMBER || json_integer(&digits, &n) < 0)
		return error_set(err, EINVAL, "%s must be an integer", p->name);
	if (n < p->min || n > p->max)
		return error_set(err, EINVAL, "%s must be from %lld to %lld", p->name,
				 (long long)p->min, (long long)p->max);
	*number_at(q, p) = n;
	return 0;
}

static int take_moment(struct question *q, const struct parameter *p, const struct given *g,
		       struct error *err)
{
	if (g->kind != JSON_STRING || clock_parse(g->text, g->len, number_at(q, p)) < 0)
		return error_set(err, EINVAL,
				 "%s must be a moment like \"2025-09-15T14:57:50Z\"", p->name);
	return 0;
}

static int take_text(struct question *q, const struct parameter *p, const struct given *g,
		     struct error *err)
{
	size_t max = p->max ? (size_t)p->max : CALLOUT_NAME_MAX;

	if (g->kind != JSON_STRING || g->len == 0 || g->len > max || memchr(g->text, '\0', g->len))
		return error_set(err, EINVAL, "%s must be a text of 1 to %zu bytes", p->name, max);
	memcpy((char *)q + p->at, g->text, g->len + 1);
	return 0;
}

static int take_bool(struct question *q, const struct parameter *p, const struct given *g,
		     struct error *err)
{
	bool *at = (bool *)((char *)q + p->at);

	if (g->kind == JSON_TRUE || (g->query && strcmp(g->text, "true") == 0))
		*at = true;
	else if (g->kind == JSON_FALSE || (g->query && strcmp(g->text, "false") == 0))
		*at = false;
	else
		return error_set(err, EINVAL, "%s must be true or false", p->name);
	return 0;
}

static int take_kind(struct question *q, const struct parameter *p, const struct given *g,
		     struct error *err)
{
	for (unsigned k = 0; g->kind == JSON_STRING && k < EVENT_KIND_COUNT_; k++) {
		if (strcmp(event_kind_name((enum event_kind)k), g->text) == 0) {
			*number_at(q, p) = k;
			return 0;
		}
	}
	return error_set(err, EINVAL, "%s must be event, quarantined or deactivated", p->name);
}

/* "waiting" is the name of two states; the first of them stands for both. */
static int take_state(struct question *q, const struct parameter *p, const struct given *g,
		      struct error *err)
{
	for (unsigned s = 0; g->kind == JSON_STRING && s < DELIVERY_STATE_COUNT_; s++) {
		if (strcmp(delivery_state_name((enum delivery_state)s), g->text) == 0) {
			*number_at(q, p) = s;
			return 0;
		}
	}
	return error_set(err, EINVAL, "%s must be waiting, done, failed or dropped", p->name);
}

/* What may be handed over; everything else is made by calloutd itself. */
static int take_source(struct question *q, const struct parameter *p, const struct given *g,
		       struct error *err)
{
	static const enum event_source sources[] = { SOURCE_RECOVERED, SOURCE_REFETCHED };

	for (size_t i = 0; g->kind == JSON_STRING && i < ARRAY_LEN(sources); i++) {
		if (strcmp(event_source_name(sources[i]), g->text) == 0) {
			*number_at(q, p) = sources[i];
			return 0;
		}
	}
	return error_set(err, EINVAL, "%s must be recovered or refetched", p->name);
}

static int (*const takers[])(struct question *, const struct parameter *, const struct given *,
			     struct error *) = {
	[FORM_INTEGER] = take_integer,
	[FORM_MOMENT] = take_moment,
	[FORM_TEXT] = take_text,
	[FORM_BOOL] = take_bool,
	[FORM_KIND] = take_kind,
	[FORM_STATE] = take_state,
	[FORM_SOURCE] = take_source,
};

static int take(struct question *q, unsigned allowed, const char *name, const struct given *g,
		struct error *err)
{
	for (unsigned i = 0; i < ASK_COUNT_; i++) {
		int r;

		if (!(allowed & 1U << i) || strcmp(parameters[i].name, name) != 0)
			continue;
		if (q->given & 1U << i)
			return error_set(err, EINVAL, "%s is given twice", name);
		r = takers[parameters[i].form](q, &parameters[i], g, err);
		if (r == 0)
			q->given |= 1U << i;
		return r;
	}
	return error_set(err, EINVAL, "\"%.64s\" is not known here", name);
}

int question_parameter(struct question *q, unsigned allowed, const char *name,
		       const char *value, size_t len, struct error *err)
{
	const struct given g = { .kind = JSON_STRING, .query = true, .text = value, .len = len };

	return take(q, allowed, name, &g, err);
}

static int take_member(struct question *q, unsigned allowed, const struct json_value *name,
		       const struct json_value *value, struct error *err)
{
	AUTO(free) char *name_text = malloc(3 * name->len + 1);
	AUTO(free) char *text = malloc(3 * value->len + 1);
	struct given g = { .kind = value->kind, .text = text, .value = value };
	size_t len = 0;

	if (!name_text || !text)
		return error_no_memory(err);
	text[0] = '\0';
	(void)json_string(name, name_text, 3 * name->len + 1, &len);
	if (value->kind == JSON_STRING)
		(void)json_string(value, text, 3 * value->len + 1, &g.len);
	if (strlen(name_text) != len || strlen(text) != g.len)
		return error_set(err, EINVAL, "a text holds a NUL");
	return take(q, allowed, name_text, &g, err);
}

int question_body(struct question *q, unsigned allowed, const char *text, size_t len,
		  struct error *err)
{
	struct json_value root, name, value;
	struct json_cursor c = { NULL };
	struct json_fault fault;
	int r = 0;

	if (len == 0)
		return 0;
	if (json_read(text, len, 4, &root, &fault) < 0)
		return error_set(err, EINVAL, "the body is not JSON: %s at byte %zu", fault.why,
				 fault.offset);
	if (root.kind != JSON_OBJECT)
		return error_set(err, EINVAL, "the body must be a JSON object");
	while (r == 0 && json_next_member(&root, &c, &name, &value))
		r = take_member(q, allowed, &name, &value, err);
	return r;
}
