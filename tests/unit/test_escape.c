/* test_escape.c - the escaped form: what changes, what stays, and that once is enough. */
#include <errno.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/utf8.h"
#include "callout/signature.h"

static void forms(void **state)
{
	static const struct {
		const char *in, *out;   /* out NULL: there is none */
	} rows[] = {
		{ "", "" }, { "{\"a\":1}", "{\"a\":1}" },
		{ "\"a&b<c>d'e+f`g\x7f\"", "\"a\\u0026b\\u003Cc\\u003Ed\\u0027e\\u002Bf\\u0060g\\u007F\"" },
		/* Escapes that are there stay as they are, but \" */
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u0026\"", "\"\\u0022\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u0026\"" },
		{ "\"\\\\\"", "\"\\\\\"" }, { "\"\\\\\\\"\"", "\"\\\\\\u0022\"" },
		{ "\"\\\\u00e9\"", "\"\\\\u00e9\"" }, { "\"\\\\&\"", "\"\\\\\\u0026\"" },
		/* Outside of strings nothing is touched. */
		{ "& \"&\" '", "& \"\\u0026\" '" }, { "{ \"a\" : [ 1 , +2 ] }\r\n", "{ \"a\" : [ 1 , +2 ] }\r\n" },
		{ "\xc3\xa9 \"x\" \xff", "\xc3\xa9 \"x\" \xff" },
		/* Names of members are strings too. */
		{ "{\"R&D\":\"\xc3\xa9\"}", "{\"R\\u0026D\":\"\\u00E9\"}" },
		{ "\"\xc2\x80\xc3\xa9\xe2\x82\xac\xef\xbf\xbf\"", "\"\\u0080\\u00E9\\u20AC\\uFFFF\"" },
		{ "\"\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"", "\"\\uD800\\uDC00\\uD83D\\uDE00\\uDBFF\\uDFFF\"" },
		{ "\"ab\x01\"", "\"ab\x01\"" },
		{ "\"abc", NULL }, { "\"", NULL }, { "\"a\\", NULL }, { "\"a\\\"", NULL }, { "\"a\" \"", NULL },
		{ "\"\xff\"", NULL }, { "\"\xed\xa0\x80\"", NULL }, { "\"\xc0\xaf\"", NULL }, { "\"\xe2\x82\"", NULL },
		{ "\"\x80\"", NULL }, { "\"\xf4\x90\x80\x80\"", NULL }, { "\"\xc3", NULL }, { "\"\\\xc3\xa9\"", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(1024);
		int r = signature_escape(rows[i].in, strlen(rows[i].in), &out);

		if (r != (rows[i].out ? 0 : -EBADMSG))
			fail_msg("%s: %d", rows[i].in, r);
		if (rows[i].out && *rows[i].out)
			assert_string_equal(out.data, rows[i].out);
	}
}

static void a_nul_is_a_byte(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(64);

	(void)state;
	assert_int_equal(signature_escape("\0\"a\0&\"\0", 7, &out), 0);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.data, "\0\"a\0\\u0026\"\0", 12);
}

/* Every code point comes out as .NET's default encoder writes it: only these 87 stay, besides escapes. */
static void every_code_point(void **state)
{
	unsigned plain = 0;

	(void)state;
	for (uint32_t c = 0x20; c <= 0x10ffff; c++) {
		AUTO(buf) struct buf out = BUF_INIT(64);
		char in[8] = "\"", text[32];
		size_t n;

		if ((c >= 0xd800 && c <= 0xdfff) || c == '"' || c == '\\')
			continue;
		n = utf8_encode(c, in + 1);
		in[n + 1] = '"';
		assert_int_equal(signature_escape(in, n + 2, &out), 0);
		if (out.len == 3) {
			assert_memory_equal(out.data, in, 3);
			plain++;
			continue;
		}
		if (c < 0x10000)
			(void)snprintf(text, sizeof(text), "\"\\u%04X\"", c);
		else
			(void)snprintf(text, sizeof(text), "\"\\u%04X\\u%04X\"", 0xd800 + ((c - 0x10000) >> 10),
				       0xdc00 + (c & 0x3ff));
		assert_string_equal(out.data, text);
	}
	/* 0x20..0x7e are 95; less " \ and & < > ' + ` */
	assert_int_equal(plain, 95 - 2 - 6);
}

static uint32_t dice(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % sides;
}

/* Escaping the escaped changes nothing, and means the same text. */
static void once_is_enough(void **state)
{
	static const char *const pieces[] = {
		"\\\"", "\\\\", "\\n", "\\u00e9", "&", "<", "'", "+", "`", "\x7f", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "a", "{", ":", " ", "1",
	};
	uint64_t seed = 3;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		AUTO(buf) struct buf in = BUF_INIT(1000), once = BUF_INIT(6000), twice = BUF_INIT(6000);
		struct json_value before, after;
		char text[1000], same[1000];

		(void)buf_append_text(&in, "\"");
		for (uint32_t n = dice(&seed, 30); n > 0; n--)
			(void)buf_append_text(&in, pieces[dice(&seed, ARRAY_LEN(pieces))]);
		(void)buf_append_text(&in, "\"");
		assert_int_equal(signature_escape(in.data, in.len, &once), 0);
		assert_true(once.len >= in.len);
		assert_int_equal(signature_escape(once.data, once.len, &twice), 0);
		assert_int_equal(once.len, twice.len);
		assert_memory_equal(once.data, twice.data, once.len);
		assert_int_equal(json_read(in.data, in.len, 4, &before, NULL), 0);
		assert_int_equal(json_read(once.data, once.len, 4, &after, NULL), 0);
		assert_int_equal(json_string(&before, text, sizeof(text), NULL), 0);
		assert_int_equal(json_string(&after, same, sizeof(same), NULL), 0);
		assert_string_equal(text, same);
	}
}

static void a_full_buffer(void **state)
{
	static const char in[] = "{\"a\":\"\xc3\xa9&\xf0\x9f\x98\x80\\\"\"} ";
	AUTO(buf) struct buf whole = BUF_INIT(1000);

	(void)state;
	assert_int_equal(signature_escape(in, strlen(in), &whole), 0);
	for (size_t max = 0; max < whole.len; max++) {
		AUTO(buf) struct buf out = BUF_INIT(max);

		assert_int_equal(signature_escape(in, strlen(in), &out), -ENOBUFS);
	}
	assert_true(whole.len <= 6 * strlen(in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(a_nul_is_a_byte),
		cmocka_unit_test(every_code_point),
		cmocka_unit_test(once_is_enough),
		cmocka_unit_test(a_full_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
