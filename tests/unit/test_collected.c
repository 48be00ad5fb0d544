/* test_collected.c - the array a collecting handler gets, and the variables beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dispatch/collected.h"
#include "dispatch/environment.h"

static int add(struct collected *c, int64_t id, const char *body, size_t len)
{
	struct event e = { .id = id, .source = SOURCE_LIVE, .webhook = "tickets" };

	return collected_add(c, &e, 2, id == 7, body, len);
}

static void bodies_are_byte_for_byte(void **state)
{
	static const char odd[] = "\xef\xbb\xbf {\"Id\" :\r\n 7,\"T\":\"\\u0000 \xff\"}\r\n";
	struct collected c = COLLECTED_INIT;
	struct json_value root;

	(void)state;
	assert_int_equal(add(&c, 5, "{\"Id\":9007199254740993}", 23), 0);
	assert_int_equal(add(&c, 7, odd, sizeof(odd) - 1), 0);
	assert_int_equal(add(&c, 9, "", 0), 0);
	assert_int_equal(add(&c, 11, "a=1&b\0c", 7), 0);
	assert_int_equal(collected_end(&c), 0);
	assert_string_equal(c.text.data,
		"[\n{\"event\":5,\"source\":\"live\",\"attempt\":2,\"late\":false,\"webhook\":\"tickets\",\"callout\":{\"Id\":9007199254740993}},\n"
		"{\"event\":7,\"source\":\"live\",\"attempt\":2,\"late\":true,\"webhook\":\"tickets\",\"callout\":{\"Id\" :\r\n 7,\"T\":\"\\u0000 \xff\"}},\n"
		"{\"event\":9,\"source\":\"live\",\"attempt\":2,\"late\":false,\"webhook\":\"tickets\",\"callout\":null,\"body_base64\":\"\"},\n"
		"{\"event\":11,\"source\":\"live\",\"attempt\":2,\"late\":false,\"webhook\":\"tickets\",\"callout\":null,\"body_base64\":\"YT0xJmIAYw==\"}\n]\n");
	assert_int_equal(json_read(c.text.data, c.text.len, JSON_DEPTH_MAX, &root, NULL), 0);
	collected_free(&c);
}

/* Base64 in pieces is Base64 as a whole, and what has no room leaves no trace. */
static void the_array_is_bounded(void **state)
{
	size_t big = 6 * 1024 * 1024, before;
	struct collected c = COLLECTED_INIT;
	char *body = malloc(4 * big);

	(void)state;
	assert_non_null(body);
	memset(body, '1', 4 * big);
	assert_int_equal(add(&c, 1, body, big), 0);
	assert_int_equal(add(&c, 2, body, big), 0);
	before = c.text.len;
	assert_int_equal(add(&c, 3, body, big), -ENOBUFS);
	assert_int_equal(c.text.len, before);
	memset(body, 'x', 3 * 1024 * 1024 + 500 * 1024);        /* no JSON: a third more */
	assert_int_equal(add(&c, 3, body, 3 * 1024 * 1024 + 500 * 1024), -ENOBUFS);
	assert_int_equal(c.text.len, before);
	assert_int_equal(c.count, 2);
	assert_int_equal(add(&c, 3, "{}", 2), 0);
	assert_int_equal(collected_end(&c), 0);
	collected_free(&c);
	memset(body, '1', 4 * big);
	assert_int_equal(add(&c, 1, body, 4 * big), 0);         /* alone it may be larger */
	assert_int_equal(add(&c, 2, "{}", 2), -ENOBUFS);
	assert_int_equal(collected_end(&c), 0);
	collected_free(&c);
	free(body);
}

static void base64_goes_on_over_its_pieces(void **state)
{
	struct collected c = COLLECTED_INIT;
	char body[7001];

	(void)state;
	memset(body, 'M', sizeof(body));
	assert_int_equal(add(&c, 1, body, sizeof(body)), 0);
	assert_int_equal(collected_end(&c), 0);
	for (size_t i = 0; i + 4 < 7001 / 3 * 4; i += 4)
		assert_memory_equal(strstr(c.text.data, "base64\":\"") + 9 + i, "TU1N", 4);
	assert_non_null(strstr(c.text.data, "TU1NTU0=\"}"));
	collected_free(&c);
}

static bool has(char **env, const char *text)
{
	for (; *env; env++)
		if (strcmp(*env, text) == 0)
			return true;
	return false;
}

static bool is_set(char **env, const char *name)
{
	for (; *env; env++)
		if (strncmp(*env, name, strlen(name)) == 0 && (*env)[strlen(name)] == '=')
			return true;
	return false;
}

static void what_is_the_same_is_set(void **state)
{
	const struct conf_handler h = { .title = (char[]){ "batch" } };
	struct event a = { .id = 5, .source = SOURCE_LIVE, .webhook = "tickets", .action = "update", .entity = "Ticket",
			   .entity_raw = "Tickets", .guid = "g", .time = "t1", .record_id = 3, .has_id = true,
			   .sequence = 1, .has_sequence = true, .verified = true };
	struct event b = a;
	struct environment_common c = { .count = 0 };
	char **env = NULL;

	(void)state;
	environment_merge(&c, &a, 1, false);
	assert_int_equal(environment_collected(&h, &c, &env), 0);
	assert_true(has(env, "CALLOUT_COUNT=1"));
	assert_true(has(env, "CALLOUT_EVENT=5"));
	assert_true(has(env, "CALLOUT_ID=3"));
	assert_true(has(env, "CALLOUT_LATE=0"));
	assert_true(has(env, "CALLOUT_TIME=t1"));
	free(env);
	b.id = 6;
	b.sequence = 2;
	(void)strcpy(b.time, "t2");
	environment_merge(&c, &b, 1, false);
	b.has_id = false;
	environment_merge(&c, &b, 1, true);
	assert_int_equal(environment_collected(&h, &c, &env), 0);
	assert_true(has(env, "CALLOUT_COUNT=3"));
	assert_true(has(env, "CALLOUT_HANDLER=batch"));
	assert_true(has(env, "CALLOUT_WEBHOOK=tickets"));
	assert_true(has(env, "CALLOUT_ENTITY=Ticket"));
	assert_true(has(env, "CALLOUT_SOURCE=live"));
	assert_true(has(env, "CALLOUT_VERIFIED=1"));
	assert_true(has(env, "CALLOUT_ATTEMPT=1"));
	assert_false(is_set(env, "CALLOUT_EVENT"));
	assert_false(is_set(env, "CALLOUT_ID"));
	assert_false(is_set(env, "CALLOUT_TIME"));
	assert_false(is_set(env, "CALLOUT_SEQUENCE"));
	assert_false(is_set(env, "CALLOUT_LATE"));
	free(env);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_are_byte_for_byte),
		cmocka_unit_test(the_array_is_bounded),
		cmocka_unit_test(base64_goes_on_over_its_pieces),
		cmocka_unit_test(what_is_the_same_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
