/* test_json.c - what is JSON, what is not, and nothing lost on the way; cJSON as the second opinion. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cJSON.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/json.h"

AUTO_DEFINE(cJSON, cJSON *, cJSON_Delete)

/* On the heap and exactly as long as it is, so that the sanitizer sees every byte too many. */
static int read_exact(const char *text, size_t len, unsigned depth, struct json_value *root,
		      struct json_fault *fault, char **ret_copy)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	*ret_copy = copy;
	return json_read(copy, len, depth, root, fault);
}

static void what_is_json(void **state)
{
	static const char *const rows[] = {
		"{}", "[]", " { } ", "\t[\r\n]", "null", "true", "false", "\"\"", "0", "-0", "1.5", "-1.5e+10", "1E5",
		"0.0", "1e-400", "123456789012345678901234567890", "{\"a\":1}", "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
		"[1 , 2]", "{\"\":\"\"}", "{\"a\":1,\"a\":2}", "\xef\xbb\xbf{\"a\":1}", "\xef\xbb\xbf 1",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\\ud800\"",
		"\"\xff\xfe\"", "\"\x7f\"", "\"\xe2\x82\"", "[[[[[[]]]]]]", "{\"a\":[],\"b\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(free) char *copy = NULL;
		struct json_value root;
		struct json_fault fault = { 0, "?" };

		if (read_exact(rows[i], strlen(rows[i]), 64, &root, &fault, &copy) != 0)
			fail_msg("'%s': %s at %zu", rows[i], fault.why, fault.offset);
	}
}

static void what_is_not(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		const char *why;
	} rows[] = {
		{ "", 0, "early" }, { "  ", 2, "early" }, { "\xef\xbb\xbf", 3, "early" },
		{ "{", 1, "name" }, { "[", 1, "early" }, { "{\"a\"", 4, "colon" }, { "{\"a\":", 5, "early" },
		{ "{\"a\":1", 6, "early" }, { "[1", 2, "early" }, { "[1,", 3, "early" },
		{ "{} x", 3, "after the value" }, { "{}{}", 2, "after the value" }, { "1 2", 2, "after the value" },
		{ "{\"a\":1}]", 7, "after the value" }, { "nullx", 4, "after the value" },
		{ "{\"a\":1,}", 7, "name" }, { "[1,]", 3, "value" }, { "[,1]", 1, "value" }, { "[1 2]", 3, "comma" },
		{ "{\"a\" 1}", 5, "colon" }, { "{a:1}", 1, "name" }, { "{'a':1}", 1, "name" }, { "{1:1}", 1, "name" },
		{ "[1}", 2, "bracket" }, { "{\"a\":1]", 6, "bracket" }, { "]", 0, "value" }, { "}", 0, "value" },
		{ "01", 1, "leading zero" }, { "-01", 2, "leading zero" }, { "00", 1, "leading zero" },
		{ "-", 1, "number" }, { "+1", 0, "value" }, { ".5", 0, "value" }, { "1.", 2, "number" },
		{ "1.e5", 2, "number" }, { "1e", 2, "number" }, { "1e+", 3, "number" }, { "--1", 1, "number" },
		{ "0x10", 1, "after the value" }, { "NaN", 0, "value" }, { "Infinity", 0, "value" },
		{ "nul", 0, "value" }, { "True", 0, "value" }, { "tru", 0, "value" }, { "undefined", 0, "value" },
		{ "\"a", 2, "does not end" }, { "\"a\\", 3, "does not end" }, { "\"a\\\"", 4, "does not end" },
		{ "\"\\x\"", 2, "escape" }, { "\"\\U0041\"", 2, "escape" }, { "\"\\u12\"", 5, "\\u" },
		{ "\"\\u12G4\"", 5, "\\u" }, { "\"\\u", 3, "\\u" }, { "\"\\'\"", 2, "escape" },
		{ "\"a\nb\"", 2, "control" }, { "\"a\tb\"", 2, "control" }, { "\"\x1f\"", 1, "control" },
		{ "/**/1", 0, "value" }, { "1 // x", 2, "after the value" }, { "\xa0" "1", 0, "value" },
		{ "\x0c" "1", 0, "value" }, { "\xef\xbb\xbf\xef\xbb\xbf{}", 3, "value" }, { "{}\xef\xbb\xbf", 2, "after" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(free) char *copy = NULL;
		struct json_value root = { .at = NULL };
		struct json_fault fault = { 99, "?" };
		int r = read_exact(rows[i].text, strlen(rows[i].text), 64, &root, &fault, &copy);

		if (r != -EBADMSG || fault.offset != rows[i].offset || !strstr(fault.why, rows[i].why))
			fail_msg("'%s': %d, %s at %zu", rows[i].text, r, fault.why, fault.offset);
		assert_null(root.at);
	}
}

static void nul_bytes_are_nowhere(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = { { "\0", 1 }, { "{}\0", 3 }, { "\"a\0b\"", 5 }, { "[1\0]", 4 }, { "1\0", 2 }, { "\"\\\0\"", 4 },
		     { "[tru\0]", 6 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(free) char *copy = NULL;
		struct json_value root;

		assert_int_equal(read_exact(rows[i].text, rows[i].len, 64, &root, NULL, &copy), -EBADMSG);
	}
}

static void depth(void **state)
{
	(void)state;
	for (unsigned max = 0; max <= 70; max++) {
		unsigned limit = max < JSON_DEPTH_MAX ? max : JSON_DEPTH_MAX;

		for (unsigned levels = 0; levels <= 70; levels++) {
			AUTO(buf) struct buf b = BUF_INIT(1000);
			struct json_value root;
			struct json_fault fault = { 0, "" };
			int r;

			for (unsigned i = 0; i < levels; i++)
				(void)buf_append_text(&b, i % 3 ? "[" : "{\"k\":");
			(void)buf_append_text(&b, "7");
			for (unsigned i = levels; i > 0; i--)
				(void)buf_append_text(&b, (i - 1) % 3 ? "]" : "}");
			r = json_read(b.data, b.len, max, &root, &fault);
			assert_int_equal(r, levels <= limit ? 0 : -E2BIG);
			if (r < 0)
				assert_string_equal(fault.why, "nested too deeply");
		}
	}
}

static void assert_span(const struct json_value *v, enum json_kind kind, const char *text)
{
	assert_int_equal(v->kind, kind);
	assert_int_equal(v->len, strlen(text));
	assert_memory_equal(v->at, text, v->len);
}

static void walked(void **state)
{
	static const char text[] = " { \"a\" : 1 ,\"b\":[ true,null , \"x]\\\"}\" ,{} ] , \"c\":{\"d\":-1.5e3,\"e\":[]}\n} ";
	struct json_value root, name, value, item;
	struct json_cursor at = { NULL }, in = { NULL };

	(void)state;
	assert_int_equal(json_read(text, strlen(text), 8, &root, NULL), 0);
	assert_int_equal(root.len, strlen(text) - 2);
	assert_false(json_next_element(&root, &in, &value));
	assert_true(json_next_member(&root, &at, &name, &value));
	assert_span(&name, JSON_STRING, "\"a\"");
	assert_span(&value, JSON_NUMBER, "1");
	assert_true(json_next_member(&root, &at, &name, &value));
	assert_span(&name, JSON_STRING, "\"b\"");
	assert_span(&value, JSON_ARRAY, "[ true,null , \"x]\\\"}\" ,{} ]");
	assert_true(json_next_element(&value, &in, &item));
	assert_span(&item, JSON_TRUE, "true");
	assert_true(json_next_element(&value, &in, &item));
	assert_span(&item, JSON_NULL, "null");
	assert_true(json_next_element(&value, &in, &item));
	assert_span(&item, JSON_STRING, "\"x]\\\"}\"");
	assert_true(json_next_element(&value, &in, &item));
	assert_span(&item, JSON_OBJECT, "{}");
	assert_false(json_next_element(&value, &in, &item));
	assert_false(json_next_element(&value, &in, &item));
	assert_true(json_next_member(&root, &at, &name, &value));
	assert_span(&name, JSON_STRING, "\"c\"");
	assert_span(&value, JSON_OBJECT, "{\"d\":-1.5e3,\"e\":[]}");
	in.at = NULL;
	assert_true(json_next_member(&value, &in, &name, &item));
	assert_span(&item, JSON_NUMBER, "-1.5e3");
	assert_true(json_next_member(&value, &in, &name, &item));
	assert_span(&item, JSON_ARRAY, "[]");
	assert_false(json_next_member(&value, &in, &name, &item));
	assert_false(json_next_member(&root, &at, &name, &value));
	assert_false(json_next_member(&root, &at, &name, &value));
	in.at = NULL;
	assert_false(json_next_member(&item, &in, &name, &value));
	assert_false(json_next_element(&item, &in, &value));
}

static void strings(void **state)
{
	static const struct {
		const char *json, *text;
		size_t len;
	} rows[] = {
		{ "\"\"", "", 0 }, { "\"abc\"", "abc", 3 }, { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8 },
		{ "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6 },
		{ "\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80", 4 }, { "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!", 5 },
		{ "\"\xc3\xa9\xf0\x9f\x98\x80\"", "\xc3\xa9\xf0\x9f\x98\x80", 6 },
		{ "\"a\\u0000b\"", "a\0b", 3 },
		/* Half a pair, each way, and what follows it is kept. */
		{ "\"\\uD83D\"", "\xef\xbf\xbd", 3 }, { "\"\\uDE00x\"", "\xef\xbf\xbdx", 4 },
		{ "\"\\uD83Dx\"", "\xef\xbf\xbdx", 4 }, { "\"\\uD83D\\n\"", "\xef\xbf\xbd\n", 4 },
		{ "\"\\uD83D\\u0041\"", "\xef\xbf\xbd" "A", 4 },
		{ "\"\\uD83D\\uD83D\\uDE00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7 },
		/* Bytes that are no UTF-8: one U+FFFD each. */
		{ "\"\xff\"", "\xef\xbf\xbd", 3 }, { "\"a\xe2\x82\"", "a\xef\xbf\xbd\xef\xbf\xbd", 7 },
		{ "\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 9 },
		{ "\"\xc0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd", 6 }, { "\"\xc3\"", "\xef\xbf\xbd", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(free) char *copy = NULL;
		struct json_value root;
		char text[64];
		size_t len = 99;

		assert_int_equal(read_exact(rows[i].json, strlen(rows[i].json), 1, &root, NULL, &copy), 0);
		assert_int_equal(json_string(&root, text, 3 * root.len, &len), 0);
		assert_int_equal(len, rows[i].len);
		assert_memory_equal(text, rows[i].text, len + 1);
		/* Exactly enough, and one byte too few. */
		assert_int_equal(json_string(&root, text, rows[i].len + 1, NULL), 0);
		if (rows[i].len)
			assert_int_equal(json_string(&root, text, rows[i].len, NULL), -ENOBUFS);
		assert_int_equal(json_string(&root, text, 0, NULL), -EINVAL);
		if (!memchr(rows[i].text, '\0', rows[i].len))
			assert_true(json_string_is(&root, rows[i].text, false));
	}
}

static void only_strings_are_strings(void **state)
{
	static const char *const rows[] = { "1", "{}", "[]", "null", "true", "false" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_value root;
		char text[8];

		assert_int_equal(json_read(rows[i], strlen(rows[i]), 1, &root, NULL), 0);
		assert_int_equal(json_string(&root, text, sizeof(text), NULL), -EINVAL);
		assert_false(json_string_is(&root, "", true));
	}
}

static void compared(void **state)
{
	static const struct {
		const char *json, *text;
		bool exact, folded;
	} rows[] = {
		{ "\"Id\"", "Id", true, true }, { "\"ID\"", "Id", false, true }, { "\"\\u0049d\"", "iD", false, true },
		{ "\"Id\"", "I", false, false }, { "\"I\"", "Id", false, false }, { "\"\"", "", true, true },
		{ "\"Id\\u0000\"", "Id", false, false }, { "\"\xc3\xa9\"", "\xc3\xa9", true, true },
		{ "\"\\u00E9\"", "\xc3\xa9", true, true }, { "\"\xc3\x89\"", "\xc3\xa9", false, false },
		{ "\"[\"", "{", false, false }, { "\"@\"", "`", false, false },
		{ "\"\\u212A\"", "k", false, false },   /* the Kelvin sign is no K here */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_value root;

		assert_int_equal(json_read(rows[i].json, strlen(rows[i].json), 1, &root, NULL), 0);
		assert_true(json_string_is(&root, rows[i].text, false) == rows[i].exact);
		assert_true(json_string_is(&root, rows[i].text, true) == rows[i].folded);
	}
}

static void integers(void **state)
{
	static const struct {
		const char *json;
		int r;
		int64_t value;
	} rows[] = {
		{ "0", 0, 0 }, { "-0", 0, 0 }, { "7", 0, 7 }, { "-7", 0, -7 }, { "\"42\"", 0, 42 }, { "\"-42\"", 0, -42 },
		{ "9007199254740993", 0, INT64_C(9007199254740993) },   /* 2^53 + 1: no double holds it */
		{ "9223372036854775807", 0, INT64_MAX }, { "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -ERANGE, 0 }, { "-9223372036854775809", -ERANGE, 0 },
		{ "\"9223372036854775808\"", -ERANGE, 0 }, { "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "1.0", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "1E3", -EINVAL, 0 }, { "0.5", -EINVAL, 0 },
		{ "\"\"", -EINVAL, 0 }, { "\"-\"", -EINVAL, 0 }, { "\"+1\"", -EINVAL, 0 }, { "\" 1\"", -EINVAL, 0 },
		{ "\"1 \"", -EINVAL, 0 }, { "\"01\"", -EINVAL, 0 }, { "\"-01\"", -EINVAL, 0 }, { "\"0x1\"", -EINVAL, 0 },
		{ "\"1.0\"", -EINVAL, 0 }, { "\"\\u0031\"", -EINVAL, 0 }, { "\"--1\"", -EINVAL, 0 },
		{ "true", -EINVAL, 0 }, { "null", -EINVAL, 0 }, { "[]", -EINVAL, 0 }, { "{}", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_value root;
		int64_t value = -77;
		int r;

		assert_int_equal(json_read(rows[i].json, strlen(rows[i].json), 1, &root, NULL), 0);
		r = json_integer(&root, &value);
		if (r != rows[i].r || value != (r ? -77 : rows[i].value))
			fail_msg("%s: %d, %" PRId64, rows[i].json, r, value);
	}
}

/* ---- cJSON's opinion on random documents ---- */

static uint32_t dice(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % sides;
}

static void add_blanks(struct buf *b, uint64_t *seed)
{
	while (dice(seed, 4) == 0)
		(void)buf_append(b, &" \t\r\n"[dice(seed, 4)], 1);
}

static void add_string(struct buf *b, uint64_t *seed)
{
	static const char *const pieces[] = {
		"a", "Z", "0", " ", "\\\"", "\\\\", "\\/", "\\n", "\\t", "\\b", "\\f", "\\r", "{", "}", "[", "]", ",", ":",
		"\\u0041", "\\u00e9", "\\u20AC", "\\uD83D\\uDE00", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f",
	};

	(void)buf_append_text(b, "\"");
	for (uint32_t n = dice(seed, 8); n > 0; n--)
		(void)buf_append_text(b, pieces[dice(seed, ARRAY_LEN(pieces))]);
	(void)buf_append_text(b, "\"");
}

static void add_scalar(struct buf *b, uint64_t *seed)
{
	static const char *const words[] = { "true", "false", "null", "0", "-0", "1e5", "-2.5E-3" };
	uint32_t kind = dice(seed, 4);

	if (kind == 0)
		(void)buf_append_text(b, words[dice(seed, ARRAY_LEN(words))]);
	else if (kind == 1)
		(void)buf_printf(b, "%s%u", dice(seed, 2) ? "-" : "", dice(seed, 1000000));
	else
		add_string(b, seed);
}

static void add_value(struct buf *b, uint64_t *seed, unsigned levels)
{
	bool object = dice(seed, 2);
	uint32_t count = dice(seed, 4);

	add_blanks(b, seed);
	if (!levels || dice(seed, 3) == 0) {
		add_scalar(b, seed);
		add_blanks(b, seed);
		return;
	}
	(void)buf_append_text(b, object ? "{" : "[");
	add_blanks(b, seed);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			(void)buf_append_text(b, ",");
		if (object) {
			add_blanks(b, seed);
			add_string(b, seed);
			add_blanks(b, seed);
			(void)buf_append_text(b, ":");
		}
		add_value(b, seed, levels - 1);
	}
	(void)buf_append_text(b, object ? "}" : "]");
	add_blanks(b, seed);
}

static void same_string(const struct json_value *v, const char *theirs)
{
	AUTO(free) char *text = malloc(3 * v->len);
	size_t len;

	assert_non_null(text);
	assert_int_equal(json_string(v, text, 3 * v->len, &len), 0);
	assert_string_equal(text, theirs);
	assert_int_equal(len, strlen(theirs));
}

static void same_value(const struct json_value *v, const cJSON *theirs)
{
	struct json_cursor at = { NULL };
	struct json_value name, value;
	const cJSON *child = theirs->child;

	switch (v->kind) {
	case JSON_OBJECT:
		assert_true(cJSON_IsObject(theirs));
		for (; json_next_member(v, &at, &name, &value); child = child->next) {
			assert_non_null(child);
			same_string(&name, child->string);
			same_value(&value, child);
		}
		assert_null(child);
		break;
	case JSON_ARRAY:
		assert_true(cJSON_IsArray(theirs));
		for (; json_next_element(v, &at, &value); child = child->next) {
			assert_non_null(child);
			same_value(&value, child);
		}
		assert_null(child);
		break;
	case JSON_STRING:
		assert_true(cJSON_IsString(theirs));
		same_string(v, theirs->valuestring);
		break;
	case JSON_NUMBER:
		assert_true(cJSON_IsNumber(theirs));
		assert_true(strtod(v->at, NULL) == theirs->valuedouble);
		break;
	case JSON_TRUE: assert_true(cJSON_IsTrue(theirs)); break;
	case JSON_FALSE: assert_true(cJSON_IsFalse(theirs)); break;
	case JSON_NULL: assert_true(cJSON_IsNull(theirs)); break;
	}
}

static void agrees_with_cjson(void **state)
{
	uint64_t seed = 20260915;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		AUTO(buf) struct buf b = BUF_INIT(1 << 20);
		AUTO(cJSON) cJSON *theirs = NULL;
		struct json_value root;
		struct json_fault fault;

		add_value(&b, &seed, 5);
		if (json_read(b.data, b.len, JSON_DEPTH_MAX, &root, &fault) != 0)
			fail_msg("%s: %s at %zu", b.data, fault.why, fault.offset);
		theirs = cJSON_ParseWithLength(b.data, b.len);
		assert_non_null(theirs);
		same_value(&root, theirs);
	}
}

/*
 * Broken at random: never a byte read beyond the end, and whatever is taken all the same cJSON,
 * which takes much more, takes too. (It refuses half a surrogate pair, which we accept on purpose.)
 */
static void broken_at_random(void **state)
{
	uint64_t seed = 7;
	unsigned taken = 0, refused = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		AUTO(buf) struct buf b = BUF_INIT(1 << 20);
		AUTO(free) char *copy = NULL;
		struct json_value root;
		size_t len;

		add_value(&b, &seed, 4);
		len = dice(&seed, 3) ? b.len : dice(&seed, (uint32_t)b.len + 1);
		for (uint32_t n = dice(&seed, 3); n > 0 && b.len; n--)
			b.data[dice(&seed, (uint32_t)b.len)] = (char)dice(&seed, 256);
		if (read_exact(b.data, len, JSON_DEPTH_MAX, &root, NULL, &copy) != 0) {
			refused++;
			continue;
		}
		taken++;
		if (!memmem(copy, len, "\\u", 2)) {
			AUTO(cJSON) cJSON *theirs = cJSON_ParseWithLength(copy, len);

			assert_non_null(theirs);
		}
	}
	assert_true(taken > 1000 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_json),
		cmocka_unit_test(what_is_not),
		cmocka_unit_test(nul_bytes_are_nowhere),
		cmocka_unit_test(depth),
		cmocka_unit_test(walked),
		cmocka_unit_test(strings),
		cmocka_unit_test(only_strings_are_strings),
		cmocka_unit_test(compared),
		cmocka_unit_test(integers),
		cmocka_unit_test(agrees_with_cjson),
		cmocka_unit_test(broken_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
