/* callout.c - what one callout says. */
#include "callout/callout.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/digest.h"
#include "callout/entity.h"

/* ---- members ---- */

/*
 * Each taker forgets what an earlier member of that name said, since the last one counts, and
 * returns false when the member says something that has no place here. null is absence.
 */

/* Longer than its place, or with a NUL inside, is not taken: a cut name would be another name. */
static bool take_text(const struct json_value *v, char *dst, size_t cap)
{
	size_t len;

	if (json_string(v, dst, cap, &len) == 0 && !memchr(dst, '\0', len))
		return true;
	dst[0] = '\0';
	return v->kind == JSON_NULL;
}

static bool take_integer(const struct json_value *v, int64_t *ret, bool *ret_has)
{
	*ret = 0;
	*ret_has = json_integer(v, ret) == 0;
	return *ret_has || v->kind == JSON_NULL;
}

static bool on_action(struct callout *c, const struct json_value *v)
{
	bool taken = take_text(v, c->action_raw, sizeof(c->action_raw));
	size_t i = 0;

	/* ASCII only, whatever the locale. */
	for (; c->action_raw[i]; i++) {
		char one = c->action_raw[i];

		c->action[i] = one >= 'A' && one <= 'Z' ? (char)(one | 0x20) : one;
	}
	c->action[i] = '\0';
	return taken;
}

static bool on_entity(struct callout *c, const struct json_value *v)
{
	bool taken = take_text(v, c->entity_raw, sizeof(c->entity_raw));
	const char *canonical = entity_canonical(c->entity_raw, strlen(c->entity_raw));

	(void)snprintf(c->entity, sizeof(c->entity), "%s", canonical ? canonical : c->entity_raw);
	return taken;
}

static bool on_guid(struct callout *c, const struct json_value *v)
{
	return take_text(v, c->guid, sizeof(c->guid));
}

static bool on_time(struct callout *c, const struct json_value *v)
{
	bool taken = take_text(v, c->time, sizeof(c->time));

	c->time_ms = 0;
	c->has_time = clock_parse(c->time, strlen(c->time), &c->time_ms) == 0;
	return taken;
}

static bool on_id(struct callout *c, const struct json_value *v)
{
	return take_integer(v, &c->id, &c->has_id);
}

static bool on_sequence(struct callout *c, const struct json_value *v)
{
	return take_integer(v, &c->sequence, &c->has_sequence);
}

static bool on_person(struct callout *c, const struct json_value *v)
{
	(void)take_integer(v, &c->person, &c->has_person);
	return true;
}

static bool on_fields(struct callout *c, const struct json_value *v)
{
	bool usable = v->kind == JSON_OBJECT || v->kind == JSON_ARRAY;

	c->fields = usable ? *v : (struct json_value){ .at = NULL };
	return true;
}

/* PersonID and PersonId are one name without regard to case. */
static const struct member {
	const char *name;
	bool (*take)(struct callout *c, const struct json_value *v);
} members[] = {
	{ "Action", on_action },
	{ "Guid", on_guid },
	{ "EntityType", on_entity },
	{ "Id", on_id },
	{ "Fields", on_fields },
	{ "EventTime", on_time },
	{ "SequenceNumber", on_sequence },
	{ "PersonID", on_person },
};

static void take_member(struct callout *c, const struct json_value *name, const struct json_value *v,
			unsigned *untaken)
{
	for (unsigned i = 0; i < ARRAY_LEN(members); i++) {
		if (!json_string_is(name, members[i].name, true))
			continue;
		*untaken &= ~(1U << i);
		if (!members[i].take(c, v))
			*untaken |= 1U << i;
		return;
	}
}

static int refuse(int code, const char **ret_why, const char *why)
{
	*ret_why = why;
	return -code;
}

int callout_parse(const char *body, size_t len, struct callout *ret, const char **ret_why)
{
	struct json_value root, name, value;
	struct json_cursor at = { NULL };
	struct json_fault fault = { 0, "not JSON" };
	unsigned untaken = 0;

	memset(ret, 0, sizeof(*ret));
	if (json_read(body, len, JSON_DEPTH_MAX, &root, &fault) < 0)
		return refuse(EBADMSG, ret_why, fault.why);
	if (root.kind != JSON_OBJECT)
		return refuse(EBADMSG, ret_why, "not an object");
	while (json_next_member(&root, &at, &name, &value))
		take_member(ret, &name, &value, &untaken);
	ret->partial = untaken != 0;
	if (!ret->action[0])
		return refuse(EINVAL, ret_why, "no Action, or not a text of 1 to 64 bytes");
	if (!ret->has_id && strcmp(ret->action, "deactivated") != 0)
		return refuse(EINVAL, ret_why, "no Id, or not a 64-bit integer");
	return 0;
}

const char *callout_loggable(const char *text)
{
	for (const char *c = text; *c; c++) {
		bool word = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');

		if (!word && !strchr("_-./{}", *c))
			return "(not a word)";
	}
	return text;
}

const char *callout_record(const struct callout *c, const char *webhook,
			   char dst[static CALLOUT_RECORD_MAX])
{
	if (c->has_id && strcmp(c->action, "deactivated") != 0)
		(void)snprintf(dst, CALLOUT_RECORD_MAX, "%s/%lld", c->entity, (long long)c->id);
	else
		(void)snprintf(dst, CALLOUT_RECORD_MAX, "Webhook/%s", webhook);
	return dst;
}

/* ---- fields ---- */

static bool is_name_key(const struct json_value *key)
{
	return json_string_is(key, "name", true) || json_string_is(key, "field", true);
}

/* {"name": "Site Code", "value": "x"}: one element of the array shape. */
static bool read_pair(const struct json_value *element, struct json_value *ret_name,
		      struct json_value *ret_value)
{
	struct json_cursor at = { NULL };
	struct json_value key, value;
	bool has_name = false, has_value = false;

	while (json_next_member(element, &at, &key, &value)) {
		if (is_name_key(&key) && value.kind == JSON_STRING) {
			*ret_name = value;
			has_name = true;
		} else if (json_string_is(&key, "value", true)) {
			*ret_value = value;
			has_value = true;
		}
	}
	return has_name && has_value;
}

typedef int each_fn(void *arg, const struct json_value *name, const struct json_value *value);

static int each_pair(const struct json_value *array, each_fn *fn, void *arg)
{
	struct json_cursor at = { NULL };
	struct json_value element, name, value;
	int r = 0;

	while (r == 0 && json_next_element(array, &at, &element))
		if (read_pair(&element, &name, &value))
			r = fn(arg, &name, &value);
	return r;
}

int callout_each_field(const struct callout *c, each_fn *fn, void *arg)
{
	struct json_cursor at = { NULL };
	struct json_value name, value;
	int r = 0;

	if (!c->fields.at)
		return 0;
	if (c->fields.kind == JSON_ARRAY)
		return each_pair(&c->fields, fn, arg);
	while (r == 0 && json_next_member(&c->fields, &at, &name, &value)) {
		r = fn(arg, &name, &value);
		if (r == 0 && value.kind == JSON_ARRAY)
			r = each_pair(&value, fn, arg);
	}
	return r;
}

struct search {
	const char *name;
	struct json_value *ret;
	bool found;
};

static int compare_name(void *arg, const struct json_value *name, const struct json_value *value)
{
	struct search *s = arg;

	if (json_string_is(name, s->name, true)) {
		*s->ret = *value;
		s->found = true;
	}
	return 0;
}

bool callout_field(const struct callout *c, const char *name, struct json_value *ret_value)
{
	struct search s = { name, ret_value, false };

	(void)callout_each_field(c, compare_name, &s);
	return s.found;
}

/* ---- the duplicate key ---- */

static struct digest_piece piece(const char *text)
{
	return (struct digest_piece){ text, strlen(text) };
}

int callout_key(const struct callout *c, const char *webhook, bool verified,
		const void *body, size_t len,
		uint8_t ret_key[static CALLOUT_KEY_LEN], int64_t *ret_time_ms)
{
	/* What is not held here cannot be compared here: then only equal bytes are equal. */
	bool by_members = c->has_sequence && c->has_time && !c->partial;
	const uint8_t is_verified = verified, has_id = c->has_id;
	const uint64_t id = htole64((uint64_t)c->id), sequence = htole64((uint64_t)c->sequence);
	const struct digest_piece by_member[] = {
		piece(webhook), { &is_verified, 1 }, piece(c->guid), piece(c->entity), { &has_id, 1 },
		{ &id, sizeof(id) }, piece(c->action), { &sequence, sizeof(sequence) }, piece(c->time),
	};
	const struct digest_piece by_body[] = { piece(webhook), { &is_verified, 1 }, { body, len } };
	uint8_t digest[DIGEST_LEN];
	int r;

	r = by_members ? digest_pieces(by_member, ARRAY_LEN(by_member), digest) :
			 digest_pieces(by_body, ARRAY_LEN(by_body), digest);
	if (r < 0)
		return r;
	memcpy(ret_key, digest, CALLOUT_KEY_LEN);
	*ret_time_ms = by_members ? c->time_ms : 0;
	return 0;
}
