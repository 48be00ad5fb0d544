/* test_admin_question.c - queries and bodies: what is taken, and what each refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "admin/question.h"
#include "base/auto.h"
#include "store/store.h"

#define ALL (~0U)
#define NAME_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void bodies_refused(void **state)
{
	static const struct {
		unsigned allowed;
		const char *body, *want;
	} cases[] = {
		{ ALL, "x", "not JSON" },
		{ ALL, " ", "not JSON" },
		{ ALL, "{} {}", "text after the value" },
		{ ALL, "[]", "must be a JSON object" },
		{ ALL, "17", "must be a JSON object" },
		{ ALL, "{\"evnt\":17}", "\"evnt\" is not known here" },
		{ ALL, "{\"Event\":17}", "\"Event\" is not known here" },
		{ ASKS(FAILED), "{\"event\":17}", "\"event\" is not known here" },
		{ ALL, "{\"event\\u0000\":17}", "NUL" },
		{ ALL, "{\"event\":17,\"event\":18}", "event is given twice" },
		{ ALL, "{\"event\":\"17\"}", "event must be an integer" },
		{ ALL, "{\"event\":1.0}", "event must be an integer" },
		{ ALL, "{\"event\":1e3}", "event must be an integer" },
		{ ALL, "{\"event\":null}", "event must be an integer" },
		{ ALL, "{\"event\":[1]}", "event must be an integer" },
		{ ALL, "{\"event\":9223372036854775808}", "event must be an integer" },
		{ ALL, "{\"event\":0}", "event must be from 1 to" },
		{ ALL, "{\"event\":-1}", "event must be from 1 to" },
		{ ALL, "{\"limit\":1001}", "limit must be from 1 to 1000" },
		{ ALL, "{\"failed\":1}", "failed must be true or false" },
		{ ALL, "{\"failed\":\"true\"}", "failed must be true or false" },
		{ ALL, "{\"failed\":null}", "failed must be true or false" },
		{ ALL, "{\"since\":1757948270}", "since must be a moment" },
		{ ALL, "{\"since\":\"yesterday\"}", "since must be a moment" },
		{ ALL, "{\"until\":null}", "until must be a moment" },
		{ ALL, "{\"handler\":\"\"}", "handler must be a text of 1 to 64 bytes" },
		{ ALL, "{\"handler\":\"" NAME_64 "a\"}", "handler must be a text" },
		{ ALL, "{\"handler\":\"a\\u0000b\"}", "NUL" },
		{ ALL, "{\"handler\":7}", "handler must be a text" },
		{ ALL, "{\"state\":\"lost\"}", "state must be waiting, done, failed or dropped" },
		{ ALL, "{\"kind\":\"events\"}", "kind must be event, quarantined or deactivated" },
		{ ALL, "{\"a\":[[[[1]]]]}", "nested too deeply" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct question q = { .given = 0 };
		struct error err = { "" };

		print_message("%s\n", cases[i].body);
		assert_int_equal(question_body(&q, cases[i].allowed, cases[i].body,
					       strlen(cases[i].body), &err), -EINVAL);
		assert_non_null(strstr(err.text, cases[i].want));
	}
}

static void bodies_taken(void **state)
{
	static const char text[] =
		"{\"event\":9223372036854775807,\"handler\":\"" NAME_64 "\",\"failed\":true,"
		"\"since\":\"2025-09-15T14:57:50.123Z\",\"id\":-9007199254740993,\"limit\":1000,"
		"\"state\":\"waiting\",\"kind\":\"deactivated\",\"action\":\"\\u0075pdate\"}";
	struct question q = { .given = 0 }, none = { .given = 0 };
	struct error err = { "" };

	(void)state;
	assert_int_equal(question_body(&q, ALL, text, strlen(text), &err), 0);
	assert_true(q.event == INT64_MAX);
	assert_string_equal(q.handler, NAME_64);
	assert_true(q.failed);
	assert_true(q.since_ms == INT64_C(1757948270123));
	assert_true(q.id == -INT64_C(9007199254740993));
	assert_int_equal(q.limit, 1000);
	assert_int_equal(q.state, DELIVERY_WAITING);
	assert_int_equal(q.kind, EVENT_DEACTIVATED);
	assert_string_equal(q.action, "update");
	assert_true(asked(&q, ASKS(EVENT)));
	assert_false(asked(&q, ASKS(UNTIL) | ASKS(WEBHOOK)));

	assert_int_equal(question_body(&none, 0, NULL, 0, &err), 0);
	assert_int_equal(question_body(&none, 0, " { } ", 5, &err), 0);
	assert_int_equal(none.given, 0);
}

static void parameters(void **state)
{
	static const struct {
		const char *name, *value, *want;        /* want: NULL for success */
	} cases[] = {
		{ "before", "17", NULL },
		{ "before", "0", "before must be from 1" },
		{ "after", "0", NULL },
		{ "after", "-1", "after must be from 0" },
		{ "id", "-17", NULL },
		{ "limit", "1", NULL },
		{ "limit", "0", "limit must be from 1 to 1000" },
		{ "limit", "", "limit must be an integer" },
		{ "limit", "ten", "limit must be an integer" },
		{ "limit", "0x10", "limit must be an integer" },
		{ "limit", "010", "limit must be an integer" },
		{ "limit", "1 2", "limit must be an integer" },
		{ "limit", "\"1\"", "limit must be an integer" },
		{ "limit", "[1]", "limit must be an integer" },
		{ "limit", "true", "limit must be an integer" },
		{ "since", "2025-09-15T14:57:50Z", NULL },
		{ "until", "2025-09-15", "until must be a moment" },
		{ "state", "dropped", NULL },
		{ "state", "parked", "state must be" },
		{ "kind", "quarantined", NULL },
		{ "failed", "true", NULL },
		{ "failed", "false", NULL },
		{ "failed", "yes", "failed must be true or false" },
		{ "entity", "Ticket", NULL },
		{ "entity", "", "entity must be a text" },
		{ "nonsense", "1", "\"nonsense\" is not known here" },
		{ "", "1", "\"\" is not known here" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct question q = { .given = 0 };
		struct error err = { "" };
		int r = question_parameter(&q, ALL, cases[i].name, cases[i].value,
					   strlen(cases[i].value), &err);

		print_message("%s=%s\n", cases[i].name, cases[i].value);
		assert_int_equal(r, cases[i].want ? -EINVAL : 0);
		if (cases[i].want)
			assert_non_null(strstr(err.text, cases[i].want));
		assert_int_equal(q.given != 0, r == 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_refused),
		cmocka_unit_test(bodies_taken),
		cmocka_unit_test(parameters),
	};

	return cmocka_run_group_tests_name("admin_question", tests, NULL, NULL);
}
