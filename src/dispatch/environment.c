/*
 * environment.c - the CALLOUT_* and FIELD_* variables of one attempt.
 *
 * Everything must fit one message to the runner. What CALLOUT_* needs is bounded and small;
 * fields are added while there is room for them and for the names of all that might still
 * have to be left out.
 */
#include "dispatch/environment.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/wire.h"

#define VALUE_MAX 256                   /* bytes of a field's value */
#define BUDGET (WIRE_MAX - 4096)        /* the message has a handler, numbers and a header too */
#define PER_VARIABLE 16                 /* the wire's field header, "FIELD_", "=", NUL */
#define VARIABLES_MAX 500               /* the runner takes 512 */
#define NAME_MAX_BYTES 1024             /* longer field names are never set */

struct builder {
	struct buf text;                /* "NAME=value\0NAME=value\0" */
	struct buf omitted;             /* "Title,Description" */
	size_t count;
	size_t cost;                    /* bytes on the wire so far */
	int result;
};

static void add(struct builder *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct builder *b, const char *fmt, ...)
{
	AUTO(free) char *line = NULL;
	va_list args;
	int n;

	if (b->result < 0)
		return;
	va_start(args, fmt);
	n = vasprintf(&line, fmt, args);
	va_end(args);
	if (n < 0) {
		line = NULL;
		b->result = -ENOMEM;
		return;
	}
	b->result = buf_append(&b->text, line, (size_t)n + 1);
	b->cost += (size_t)n + PER_VARIABLE;
	b->count++;
}

static void add_text(struct builder *b, const char *name, const char *value)
{
	if (value[0])
		add(b, "%s=%s", name, value);
}

static void add_number(struct builder *b, const char *name, bool has, int64_t value)
{
	if (has)
		add(b, "%s=%" PRId64, name, value);
}

/* What the callout says, and where it came in. */
static void add_said(struct builder *b, const struct event *e)
{
	add_text(b, "CALLOUT_WEBHOOK", e->webhook);
	add_text(b, "CALLOUT_ACTION", e->action);
	add_text(b, "CALLOUT_ENTITY", e->entity);
	add_text(b, "CALLOUT_ENTITY_RAW", e->entity_raw);
	add_number(b, "CALLOUT_ID", e->has_id, e->record_id);
	add_text(b, "CALLOUT_GUID", e->guid);
	add_number(b, "CALLOUT_SEQUENCE", e->has_sequence, e->sequence);
	add_number(b, "CALLOUT_PERSON", e->has_person, e->person);
	add_text(b, "CALLOUT_TIME", e->time);
}

static void add_event(struct builder *b, const struct event *e)
{
	add_number(b, "CALLOUT_EVENT", true, e->id);
	add_text(b, "CALLOUT_SOURCE", event_source_name(e->source));
	add_said(b, e);
	add_number(b, "CALLOUT_VERIFIED", true, e->verified);
}

/* ---- fields ---- */

/* FIELD_<NAME>=; dst holds the name as a variable. */
static bool variable_name(const char *field, char *dst, size_t cap)
{
	size_t n = strlen(field);

	if (n == 0 || n >= cap)
		return false;
	for (size_t i = 0; i <= n; i++) {
		unsigned char c = (unsigned char)field[i];

		dst[i] = (char)(c == '\0' ? '\0' :
				c >= 'a' && c <= 'z' ? c - 'a' + 'A' :
				(c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_');
	}
	return true;
}

/* The locale is never asked: what is harmless must not depend on it. */
static bool harmless(const char *value, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				  " _.:@/+-";

	return len <= VALUE_MAX && !memchr(value, '\0', len) && strspn(value, set) == len;
}

/* Text as a person would write it: strings decoded, the rest as it stands, null as nothing. */
static bool value_text(const struct json_value *v, char dst[static VALUE_MAX + 1])
{
	size_t len;

	if (v->kind == JSON_OBJECT || v->kind == JSON_ARRAY)
		return false;
	if (v->kind == JSON_STRING)
		return json_string(v, dst, VALUE_MAX + 1, &len) == 0 && harmless(dst, len);
	len = v->kind == JSON_NULL ? 0 : v->len;
	if (len > VALUE_MAX)
		return false;
	memcpy(dst, v->at, len);
	dst[len] = '\0';
	return harmless(dst, len);
}

/* Two names that become one variable: the first has it. */
static bool is_set(const struct builder *b, const char *variable)
{
	size_t n = strlen(variable);

	for (size_t at = 0; at < b->text.len; at += strlen(b->text.data + at) + 1) {
		const char *line = b->text.data + at;

		if (strncmp(line, "FIELD_", 6) == 0 && strncmp(line + 6, variable, n) == 0 &&
		    line[6 + n] == '=')
			return true;
	}
	return false;
}

static bool set_field(struct builder *b, const char *name, const struct json_value *v, size_t room)
{
	char variable[NAME_MAX_BYTES], value[VALUE_MAX + 1];

	if (b->count >= VARIABLES_MAX - 1 || !variable_name(name, variable, sizeof(variable)) ||
	    !value_text(v, value) ||
	    is_set(b, variable) || strlen(variable) + strlen(value) + PER_VARIABLE > room)
		return false;
	add(b, "FIELD_%s=%s", variable, value);
	return true;
}

static void omit(struct builder *b, const char *name)
{
	int r = 0;

	if (b->omitted.len > 0)
		r = buf_append(&b->omitted, ",", 1);
	if (r == 0)
		r = buf_append_text(&b->omitted, name);
	if (r == -ENOMEM)
		b->result = r;  /* -ENOBUFS: more names than one message holds; the rest goes unnamed */
}

/* Bytes that CALLOUT_OMITTED would take if everything from here on had to be left out. */
static size_t names_cost(const struct conf_handler *h)
{
	size_t sum = 0;

	for (size_t i = 0; i < h->env_fields.count; i++)
		sum += strlen(h->env_fields.items[i]) + 1;
	return sum;
}

static void add_fields(struct builder *b, const struct conf_handler *h, const void *body, size_t len)
{
	size_t reserved = names_cost(h) + sizeof("CALLOUT_OMITTED=") + PER_VARIABLE;
	struct callout c = { .has_id = false };
	const char *why = NULL;

	if (h->env_fields.count == 0)
		return;
	(void)callout_parse(body, len, &c, &why);       /* what could be read is filled in */
	for (size_t i = 0; i < h->env_fields.count && b->result == 0; i++) {
		const char *name = h->env_fields.items[i];
		size_t used = b->cost + reserved;
		struct json_value v;

		if (callout_field(&c, name, &v) &&
		    !set_field(b, name, &v, used < BUDGET ? BUDGET - used : 0))
			omit(b, name);
	}
	if (b->omitted.len > 0)
		add(b, "CALLOUT_OMITTED=%s", b->omitted.data);
}

/* ---- the whole ---- */

static int pack(struct builder *b, char ***ret)
{
	size_t table = (b->count + 1) * sizeof(char *);
	char **env = malloc(table + b->text.len);
	char *at;

	if (!env)
		return -ENOMEM;
	at = (char *)env + table;
	memcpy(at, b->text.data, b->text.len);
	for (size_t i = 0; i < b->count; i++) {
		env[i] = at;
		at += strlen(at) + 1;
	}
	env[b->count] = NULL;
	*ret = env;
	return 0;
}

int environment_build(const struct conf_handler *h, const struct event *e, unsigned attempt,
		      bool late, const void *body, size_t len, char ***ret)
{
	struct builder b = { .text = BUF_INIT(WIRE_MAX), .omitted = BUF_INIT(BUDGET - 8192) };

	add_event(&b, e);
	add_number(&b, "CALLOUT_ATTEMPT", true, attempt);
	add_number(&b, "CALLOUT_LATE", true, late);
	add_text(&b, "CALLOUT_HANDLER", h->title);
	add_fields(&b, h, body, len);
	if (b.result == 0)
		b.result = pack(&b, ret);
	buf_free(&b.text);
	buf_free(&b.omitted);
	return b.result;
}

/* ---- several events ---- */

static void common_text(char *mine, const char *other)
{
	if (strcmp(mine, other) != 0)
		mine[0] = '\0';
}

static void common_number(bool *has, int64_t mine, bool other_has, int64_t other)
{
	*has &= other_has && mine == other;
}

void environment_merge(struct environment_common *c, const struct event *e, unsigned attempt, bool late)
{
	struct event *m = &c->event;

	if (c->count++ == 0) {
		*c = (struct environment_common){
			.event = *e, .attempt = attempt, .late = late, .count = 1, .same_event = true,
			.same_source = true, .same_verified = true, .same_attempt = true, .same_late = true,
		};
		return;
	}
	c->same_event = false;
	c->same_source &= m->source == e->source;
	c->same_verified &= m->verified == e->verified;
	c->same_attempt &= c->attempt == attempt;
	c->same_late &= c->late == late;
	common_text(m->webhook, e->webhook);
	common_text(m->action, e->action);
	common_text(m->entity, e->entity);
	common_text(m->entity_raw, e->entity_raw);
	common_text(m->guid, e->guid);
	common_text(m->time, e->time);
	common_number(&m->has_id, m->record_id, e->has_id, e->record_id);
	common_number(&m->has_sequence, m->sequence, e->has_sequence, e->sequence);
	common_number(&m->has_person, m->person, e->has_person, e->person);
}

int environment_collected(const struct conf_handler *h, const struct environment_common *c, char ***ret)
{
	struct builder b = { .text = BUF_INIT(WIRE_MAX), .omitted = BUF_INIT(1) };

	add_number(&b, "CALLOUT_COUNT", true, c->count);
	add_number(&b, "CALLOUT_EVENT", c->same_event, c->event.id);
	if (c->same_source)
		add_text(&b, "CALLOUT_SOURCE", event_source_name(c->event.source));
	add_said(&b, &c->event);
	add_number(&b, "CALLOUT_VERIFIED", c->same_verified, c->event.verified);
	add_number(&b, "CALLOUT_ATTEMPT", c->same_attempt, c->attempt);
	add_number(&b, "CALLOUT_LATE", c->same_late, c->late);
	add_text(&b, "CALLOUT_HANDLER", h->title);
	if (b.result == 0)
		b.result = pack(&b, ret);
	buf_free(&b.text);
	return b.result;
}
