/* test_writer.c - JSON as written: digits, escapes, bytes that are not UTF-8, brackets, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/writer.h"
#include "base/auto.h"
#include "base/json.h"

static void texts(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *want;
	} cases[] = {
		{ "", 0, "\"\"" },
		{ "a/b", 3, "\"a/b\"" },
		{ "\"\\", 2, "\"\\\"\\\\\"" },
		{ "a\n\r\tb", 5, "\"a\\n\\r\\tb\"" },
		{ "\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xff", 1, "\"\xef\xbf\xbd\"" },
		{ "a\x80z", 3, "\"a\xef\xbf\xbdz\"" },
		{ "\xc3", 1, "\"\xef\xbf\xbd\"" },                      /* cut in a character */
		{ "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },      /* overlong */
		{ "\xe0\x9f\xbf", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf0\x8f\xbf\xbf", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },      /* a surrogate */
		{ "\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82" "A", 3, "\"\xef\xbf\xbd\xef\xbf\xbd" "A\"" },
		{ "\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(writer) struct writer w = WRITER_INIT(1000);
		AUTO(free) char *text = NULL;
		struct json_value root;
		size_t len = 0;

		writer_bytes(&w, NULL, cases[i].in, cases[i].len);
		assert_int_equal(writer_take(&w, &text, &len), 0);
		assert_int_equal(text[len - 1], '\n');
		text[len - 1] = '\0';
		assert_string_equal(text, cases[i].want);
		assert_int_equal(json_read(text, len - 1, 1, &root, NULL), 0);
	}
}

static void values_and_brackets(void **state)
{
	AUTO(writer) struct writer w = WRITER_INIT(10000);
	AUTO(free) char *text = NULL;
	size_t len = 0;

	(void)state;
	writer_object(&w, NULL);
	writer_int(&w, "least", INT64_MIN);
	writer_int(&w, "most", INT64_MAX);
	writer_uint(&w, "whole", UINT64_MAX);
	writer_int(&w, "beyond", INT64_C(9007199254740993));
	writer_array(&w, "list");
	writer_object(&w, NULL);
	writer_end(&w);
	writer_bool(&w, NULL, true);
	writer_bool(&w, NULL, false);
	writer_text(&w, NULL, NULL);
	writer_array(&w, NULL);
	writer_end(&w);
	writer_end(&w);
	writer_moment(&w, "when", INT64_C(1757948270123));
	writer_moment(&w, "never", 0);
	writer_null(&w, "nothing");
	writer_end(&w);
	assert_int_equal(writer_take(&w, &text, &len), 0);
	assert_string_equal(text,
			    "{\"least\":-9223372036854775808,\"most\":9223372036854775807,"
			    "\"whole\":18446744073709551615,\"beyond\":9007199254740993,"
			    "\"list\":[{},true,false,null,[]],"
			    "\"when\":\"2025-09-15T14:57:50.123Z\",\"never\":null,\"nothing\":null}\n");
}

static void errors_stick(void **state)
{
	AUTO(writer) struct writer full = WRITER_INIT(10), open = WRITER_INIT(100);
	struct writer shut = WRITER_INIT(100), deep = WRITER_INIT(1000);
	char *text = NULL;
	size_t len = 7;

	(void)state;
	writer_array(&full, NULL);
	writer_text(&full, NULL, "0123456789");
	writer_end(&full);
	assert_int_equal(writer_take(&full, &text, &len), -ENOBUFS);

	writer_object(&open, NULL);
	assert_int_equal(writer_take(&open, &text, &len), -EINVAL);

	writer_end(&shut);
	assert_int_equal(writer_take(&shut, &text, &len), -EINVAL);
	writer_free(&shut);

	for (int i = 0; i <= WRITER_DEPTH_MAX; i++)
		writer_array(&deep, NULL);
	assert_int_equal(writer_take(&deep, &text, &len), -EINVAL);
	writer_free(&deep);
	assert_null(text);
	assert_int_equal(len, 7);
}

/* The newline counts too: exactly as long as allowed, and one byte more. */
static void limit_is_exact(void **state)
{
	(void)state;
	for (size_t max = 5; max <= 6; max++) {
		AUTO(writer) struct writer w = WRITER_INIT(max);
		AUTO(free) char *text = NULL;
		size_t len;

		writer_text(&w, NULL, "abc");
		assert_int_equal(writer_take(&w, &text, &len), max == 6 ? 0 : -ENOBUFS);
	}
}

/* Names of any bytes, and values taken over from another text: texts anew, numbers with all their digits. */
static void names_and_values_of_others(void **state)
{
	static const char from[] = "[\"R\\u00e9my \\u0026 \\/\",1.50,9007199254740993,null,true,{\"a\": [1]}]";
	AUTO(writer) struct writer w = WRITER_INIT(1000);
	AUTO(free) char *text = NULL;
	struct json_cursor c = { .at = NULL };
	struct json_value root, v;
	size_t len = 0;

	(void)state;
	assert_int_equal(json_read(from, strlen(from), 8, &root, NULL), 0);
	writer_object(&w, NULL);
	writer_name(&w, "a \"b\"\n");
	writer_int(&w, NULL, 1);
	while (json_next_element(&root, &c, &v)) {
		writer_name(&w, "x");
		writer_value(&w, NULL, &v);
	}
	writer_name(&w, "o");
	writer_object(&w, NULL);
	writer_int(&w, "i", 2);
	writer_end(&w);
	writer_end(&w);
	assert_int_equal(writer_take(&w, &text, &len), 0);
	assert_string_equal(text, "{\"a \\\"b\\\"\\n\":1,\"x\":\"R\xc3\xa9my & /\",\"x\":1.50,\"x\":9007199254740993,\"x\":null,\"x\":true,"
			    "\"x\":{\"a\": [1]},\"o\":{\"i\":2}}\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_values_of_others),
		cmocka_unit_test(texts),
		cmocka_unit_test(values_and_brackets),
		cmocka_unit_test(errors_stick),
		cmocka_unit_test(limit_is_exact),
	};

	return cmocka_run_group_tests_name("admin_writer", tests, NULL, NULL);
}
