/* test_environment.c - the variables of one attempt, also for hostile values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/wire.h"
#include "dispatch/environment.h"

static const struct event full = {
	.id = 4711,
	.source = SOURCE_REPLAY,
	.webhook = "tickets",
	.action = "update",
	.action_raw = "Update",
	.entity = "Company",
	.entity_raw = "Account",
	.guid = "8a1c",
	.time = "2025-09-15T14:57:50Z",
	.has_id = true,
	.record_id = -9223372036854775807LL - 1,
	.has_sequence = true,
	.sequence = 0,
	.has_person = true,
	.person = 29682885,
	.verified = true,
};

static char **build(char **fields, size_t count, const struct event *e, const char *body, size_t len)
{
	char title[] = "page-on-call";
	const struct conf_handler h = { .title = title, .env_fields = { fields, count } };
	char **env = NULL;

	assert_int_equal(environment_build(&h, e, 3, true, body, len, &env), 0);
	assert_non_null(env);
	return env;
}

/* The value, or NULL when it is not set; set twice is a failure. */
static const char *value(char **env, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name);

	for (; *env; env++) {
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
			assert_null(found);
			found = *env + n + 1;
		}
	}
	return found;
}

static void everything_the_callout_says(void **state)
{
	static const char *const want[] = {
		"CALLOUT_EVENT=4711", "CALLOUT_SOURCE=replay", "CALLOUT_WEBHOOK=tickets",
		"CALLOUT_ACTION=update", "CALLOUT_ENTITY=Company", "CALLOUT_ENTITY_RAW=Account",
		"CALLOUT_ID=-9223372036854775808", "CALLOUT_GUID=8a1c", "CALLOUT_SEQUENCE=0",
		"CALLOUT_PERSON=29682885", "CALLOUT_TIME=2025-09-15T14:57:50Z", "CALLOUT_VERIFIED=1",
		"CALLOUT_ATTEMPT=3", "CALLOUT_LATE=1", "CALLOUT_HANDLER=page-on-call",
	};
	AUTO(free) char **env = build(NULL, 0, &full, "{}", 2);
	size_t i = 0;

	(void)state;
	for (; i < ARRAY_LEN(want); i++) {
		assert_non_null(env[i]);
		assert_string_equal(env[i], want[i]);
	}
	assert_null(env[i]);
}

static void nothing_it_does_not_say(void **state)
{
	static const struct event bare = { .id = 1, .webhook = "w" };
	static const char *const set[] = { "EVENT", "SOURCE", "WEBHOOK", "VERIFIED", "ATTEMPT", "LATE",
					   "HANDLER" };
	AUTO(free) char **env = build(NULL, 0, &bare, "", 0);
	size_t n = 0;

	(void)state;
	while (env[n])
		n++;
	assert_int_equal(n, ARRAY_LEN(set));
	for (size_t i = 0; i < ARRAY_LEN(set); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "CALLOUT_%s", set[i]);
		assert_non_null(value(env, name));
	}
	assert_string_equal(value(env, "CALLOUT_VERIFIED"), "0");
}

static void fields_one_by_one(void **state)
{
#define B256 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" \
	"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" \
	"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
	static const struct {
		const char *json, *want;        /* want NULL: omitted */
	} rows[] = {
		{ "\"plain\"", "plain" },
		{ "\"Az09 _.:@/+-\"", "Az09 _.:@/+-" },
		{ "5", "5" },
		{ "-1.5e+3", "-1.5e+3" },
		{ "9007199254740993", "9007199254740993" },
		{ "true", "true" },
		{ "null", "" },
		{ "\"\"", "" },
		{ "\"\\u0041\"", "A" },
		{ "\"" B256 "\"", B256 },
		{ "\"" B256 "e\"", NULL },
		{ "\"a $(touch /tmp/x) b\"", NULL },
		{ "\"`id`\"", NULL },
		{ "\"a;b\"", NULL },
		{ "\"a'b\"", NULL },
		{ "\"a\\\"b\"", NULL },
		{ "\"a\\\\b\"", NULL },
		{ "\"a\\nb\"", NULL },
		{ "\"a\\u0000b\"", NULL },
		{ "\"a\\tb\"", NULL },
		{ "\"() { :;}\"", NULL },
		{ "\"*\"", NULL },
		{ "\"~root\"", NULL },
		{ "\"a=b\"", NULL },
		{ "\"a,b\"", NULL },
		{ "\"50%\"", NULL },
		{ "\"M\xc3\xbcller\"", NULL },
		{ "\"\xff\"", NULL },
		{ "\"\x7f\"", NULL },
		{ "{\"a\":1}", NULL },
		{ "[1]", NULL },
	};
	char name[] = "Site Code-\xc3\xa4", *names[] = { name };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char body[1024];
		int n = snprintf(body, sizeof(body),
				 "{\"Action\":\"Update\",\"Id\":1,\"Fields\":{\"%s\":%s}}", name, rows[i].json);
		AUTO(free) char **env = build(names, 1, &full, body, (size_t)n);
		const char *got = value(env, "FIELD_SITE_CODE___");

		if (rows[i].want) {
			assert_non_null(got);
			assert_string_equal(got, rows[i].want);
			assert_null(value(env, "CALLOUT_OMITTED"));
		} else {
			assert_null(got);
			assert_string_equal(value(env, "CALLOUT_OMITTED"), name);
		}
	}
}

static void absent_and_colliding_fields(void **state)
{
	char a[] = "Status", b[] = "Site Code", c[] = "site-code", d[] = "Absent", e[] = "Title", f[] = "Sta";
	char *names[] = { f, a, b, c, d, e };
	static const char body[] = "{\"Action\":\"Update\",\"Id\":1,\"Fields\":{\"status\":5,\"Sta\":7,"
				   "\"Site Code\":\"one\",\"site-code\":\"two\",\"Title\":\"a\\\"b\"}}";
	AUTO(free) char **env = build(names, ARRAY_LEN(names), &full, body, sizeof(body) - 1);

	(void)state;
	assert_string_equal(value(env, "FIELD_STATUS"), "5");
	assert_string_equal(value(env, "FIELD_STA"), "7");
	assert_string_equal(value(env, "FIELD_SITE_CODE"), "one");
	assert_null(value(env, "FIELD_ABSENT"));
	assert_string_equal(value(env, "CALLOUT_OMITTED"), "site-code,Title");
}

static void bodies_that_are_none(void **state)
{
	char a[] = "Status", *names[] = { a };
	static const char *const bodies[] = { "", "{", "[]", "null", "{\"Fields\":5}", "{\"Fields\":null}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		AUTO(free) char **env = build(names, 1, &full, bodies[i], strlen(bodies[i]));

		assert_null(value(env, "FIELD_STATUS"));
		assert_null(value(env, "CALLOUT_OMITTED"));
	}
}

static size_t wire_cost(char **env)
{
	size_t sum = 0;

	for (; *env; env++)
		sum += strlen(*env) + 6;
	return sum;
}

/* More fields than a message holds: as many as fit, the others are named. */
static void always_fits_a_message(void **state)
{
	enum { COUNT = 1000 };
	static char names[COUNT][64], *list[COUNT];
	AUTO(free) char *body = malloc(COUNT * 400);
	AUTO(free) char **env = NULL;
	size_t at = 0, set = 0, omitted = 1;
	const char *left_out;

	(void)state;
	assert_non_null(body);
	for (unsigned i = 0; i < COUNT; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "Some rather long name of field %u", i);
		list[i] = names[i];
		at += (size_t)snprintf(body + at, 400, "%s\"%s\":\"%s\"",
				       i ? "," : "{\"Action\":\"Update\",\"Id\":1,\"Fields\":{",
				       names[i], B256);
	}
	at += (size_t)snprintf(body + at, 400, "}}");
	env = build(list, COUNT, &full, body, at);
	for (char **e = env; *e; e++)
		set += strncmp(*e, "FIELD_", 6) == 0;
	left_out = value(env, "CALLOUT_OMITTED");
	assert_non_null(left_out);
	for (const char *c = left_out; *c; c++)
		omitted += *c == ',';
	assert_int_equal(set + omitted, COUNT);
	assert_true(set > 200);
	assert_true(wire_cost(env) <= WIRE_MAX - 4096);
}

/* The runner takes 512 variables. */
static void never_too_many(void **state)
{
	enum { COUNT = 1000 };
	static char names[COUNT][8], *list[COUNT];
	AUTO(free) char *body = malloc(COUNT * 32);
	AUTO(free) char **env = NULL;
	size_t at = 0, n = 0;

	(void)state;
	assert_non_null(body);
	for (unsigned i = 0; i < COUNT; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "f%u", i);
		list[i] = names[i];
		at += (size_t)snprintf(body + at, 64, "%s\"f%u\":%u",
				       i ? "," : "{\"Action\":\"Update\",\"Id\":1,\"Fields\":{", i, i);
	}
	at += (size_t)snprintf(body + at, 8, "}}");
	env = build(list, COUNT, &full, body, at);
	while (env[n])
		n++;
	assert_int_equal(n, 500);
	assert_non_null(strstr(value(env, "CALLOUT_OMITTED"), "f999"));
}

/* Names alone that would not fit are cut, never the message. */
static void endless_names_are_cut(void **state)
{
	enum { COUNT = 200 };
	static char names[COUNT][1500], *list[COUNT];
	AUTO(free) char *body = malloc(COUNT * 1600);
	AUTO(free) char **env = NULL;
	size_t at = 0;

	(void)state;
	assert_non_null(body);
	for (unsigned i = 0; i < COUNT; i++) {
		memset(names[i], 'x', sizeof(names[i]) - 1);
		(void)snprintf(names[i], 8, "N%06u", i);
		names[i][7] = 'x';
		list[i] = names[i];
		at += (size_t)snprintf(body + at, 1600, "%s\"%s\":1",
				       i ? "," : "{\"Action\":\"Update\",\"Id\":1,\"Fields\":{", names[i]);
	}
	at += (size_t)snprintf(body + at, 1600, "}}");
	env = build(list, COUNT, &full, body, at);
	assert_non_null(value(env, "CALLOUT_OMITTED"));
	assert_true(wire_cost(env) <= WIRE_MAX - 4096);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_the_callout_says),
		cmocka_unit_test(nothing_it_does_not_say),
		cmocka_unit_test(fields_one_by_one),
		cmocka_unit_test(absent_and_colliding_fields),
		cmocka_unit_test(bodies_that_are_none),
		cmocka_unit_test(always_fits_a_message),
		cmocka_unit_test(never_too_many),
		cmocka_unit_test(endless_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
