/* test_utf8.c - which bytes are characters, and where a text may be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/utf8.h"

/* RFC 3629: every code point there is goes out and comes back; surrogates are none. */
static void every_code_point(void **state)
{
	char text[4];

	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		size_t n = utf8_encode(c, text);

		assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
		if (c >= 0xd800 && c <= 0xdfff) {
			assert_int_equal(utf8_length(text, n), 0);
			continue;
		}
		assert_int_equal(utf8_length(text, n), n);
		assert_int_equal(utf8_length(text, n - 1), 0);
		assert_int_equal(utf8_decode(text, n), c);
	}
}

static void what_is_no_character(void **state)
{
	static const char *const rows[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
		"\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff",
		"\xc3" "a", "\xe2\x82" "a", "\xe2" "a\xac", "\xf0\x9f\x98" "a", "\xf0\x9f" "aa",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf8\x88\x80\x80\x80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(utf8_length(rows[i], strlen(rows[i])), 0);
	assert_int_equal(utf8_length("", 0), 0);
	assert_int_equal(utf8_length("", 1), 1);        /* NUL is a character */
}

static void cut(void **state)
{
	static const struct {
		const char *text;
		size_t len, keep;
	} rows[] = {
		{ "", 0, 0 }, { "a", 1, 1 }, { "ab", 2, 2 },
		{ "a\xc3\xa9", 3, 3 }, { "a\xc3", 2, 1 }, { "\xc3", 1, 0 },
		{ "a\xe2\x82\xac", 4, 4 }, { "a\xe2\x82", 3, 1 }, { "a\xe2", 2, 1 },
		{ "\xf0\x9f\x98\x80", 4, 4 }, { "x\xf0\x9f\x98", 4, 1 }, { "x\xf0\x9f", 3, 1 }, { "x\xf0", 2, 1 },
		/* Never was UTF-8: left alone. */
		{ "a\xff", 2, 2 }, { "a\x80\x80\x80\x80", 5, 5 }, { "\x80", 1, 1 }, { "\xc3\xa9\xa9", 3, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(utf8_cut(rows[i].text, rows[i].len), rows[i].keep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point),
		cmocka_unit_test(what_is_no_character),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
