/*
 * test_ctl_text.c - what calloutctl lets through to a terminal, and how it reads moments.
 *
 * The tool's own files are in no library, so they are included.
 */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../src/calloutctl/text.c"
#include "../../src/calloutctl/when.c"

static void escaping(void **state)
{
	static const struct {
		const char *in, *out;
		size_t len;             /* 0: strlen(in) */
	} rows[] = {
		{ "", "", 0 },
		{ "plain ~ text \\x1b", "plain ~ text \\x1b", 0 },
		{ "R\xc3\xa9my \xe2\x82\xac \xf0\x9f\x98\x80", "R\xc3\xa9my \xe2\x82\xac \xf0\x9f\x98\x80", 0 },
		{ "\x1b[31m\x07\x7f", "\\x1b[31m\\x07\\x7f", 0 },
		{ "a\nb\tc\r", "a\\nb\\tc\\r", 0 },
		{ "a\0b", "a\\x00b", 3 },
		{ "\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0", 0 },
		{ "\xe2\x80\xae\xe2\x80\x8f\xe2\x81\xa6\xef\xbb\xbf\xd8\x9c", "\\u202e\\u200f\\u2066\\ufeff\\u061c", 0 },
		{ "\xe2\x80\xa8\xf3\xa0\x81\x81", "\\u2028\\ue0041", 0 },
		{ "\xff\xc3", "\\xff\\xc3", 0 },
		{ "\xc0\x9b\xed\xa0\x80\xf5\x80\x80\x80", "\\xc0\\x9b\\xed\\xa0\\x80\\xf5\\x80\\x80\\x80", 0 },
		{ "\xe0\x80\x9b", "\\xe0\\x80\\x9b", 0 },        /* overlong ESC-like */
		{ "\xe2\x80", "\\xe2\\x80", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);

		text_escape(&out, rows[i].in, rows[i].len ? rows[i].len : strlen(rows[i].in));
		assert_string_equal(out.data ? out.data : "", rows[i].out);
	}
}

static void widths(void **state)
{
	static const struct {
		const char *text;
		size_t width, fit_3;    /* columns; bytes that fit into three of them */
	} rows[] = {
		{ "", 0, 0 },
		{ "abc", 3, 3 },
		{ "abcd", 4, 3 },
		{ "R\xc3\xa9my", 4, 4 },
		{ "\xe6\xbc\xa2\xe5\xad\x97", 4, 3 },            /* two columns each */
		{ "e\xcc\x81tude", 5, 5 },                       /* a combining accent takes none */
		{ "\xf0\x9f\x98\x80", 2, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(text_width(rows[i].text), rows[i].width);
		assert_int_equal(text_fit(rows[i].text, 3), rows[i].fit_3);
	}
}

static void lines(void **state)
{
	static const struct {
		const char *in, *out;
		size_t len;
	} rows[] = {
		{ "", "", 0 },
		{ "one", "> one\n", 0 },
		{ "one\ntwo\n", "> one\n> two\n", 0 },
		{ "one\r\n\ntwo", "> one\n> \n> two\n", 0 },
		{ "a\rb\n", "> a\\rb\n", 0 },
		{ "a\tb\t", "> a\tb\t\n", 0 },
		{ "a\0\tb\0", "> a\\x00\tb\\x00\n", 5 },
		{ "\x1b]0;x\x07", "> \\x1b]0;x\\x07\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		assert_non_null(f);
		print_lines(f, "> ", rows[i].in, rows[i].len ? rows[i].len : strlen(rows[i].in));
		assert_int_equal(fclose(f), 0);
		assert_string_equal(text, rows[i].out);
		free(text);
	}
}

static void moments(void **state)
{
	/* 2025-09-15T14:57:50Z; New York is four hours behind in September, five in January. */
	static const int64_t noon = 1757948270000;
	static const struct {
		const char *text;
		int64_t ms;             /* -1: no moment */
	} rows[] = {
		{ "2h", 1757948270000 - 7200000 },
		{ "0", 1757948270000 },
		{ "1d", 1757948270000 - 86400000 },
		{ "2025-09-15T14:57:50Z", 1757948270000 },
		{ "2025-09-15T14:57:50.5z", 1757948270500 },
		{ "2025-09-15 10:57:50", 1757948270000 },
		{ "2025-09-15 10:57:50.250", 1757948270250 },
		{ "2025-09-15 10:57", 1757948220000 },
		{ "2025-09-15T10:57", 1757948220000 },
		{ "2025-09-15", 1757908800000 },
		{ "2025-01-15", 1736917200000 },
		{ "2025-09-15T16:57:50+02:00", 1757948270000 },
		{ "2025-09-15T10:57:50-04:00", 1757948270000 },
		{ "", -1 }, { "now", -1 }, { "2", -1 }, { "-2h", -1 }, { "2025-13-01", -1 }, { "2025-09-15 25:00", -1 },
		{ "15.09.2025", -1 }, { "2025-09-15 10:57:50 and much more text than a moment ever has, on and on", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = 7;
		int r = when_parse(rows[i].text, noon, &ms);

		if (rows[i].ms < 0) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(ms, 7);
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(ms, rows[i].ms);
		}
	}
}

static void shown_times(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} spans[] = {
		{ 0, "0 ms" }, { 999, "999 ms" }, { 1000, "1.0 s" }, { 59999, "59.9 s" }, { 60000, "1 min 0 s" },
		{ 3661000, "1 h 1 min" }, { 90000000, "1 d 1 h" },
	};
	char text[WHEN_LEN];

	(void)state;
	assert_string_equal(when_text(1757948270999, text), "2025-09-15 10:57:50");
	for (size_t i = 0; i < ARRAY_LEN(spans); i++)
		assert_string_equal(span_text(spans[i].ms, text), spans[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escaping),
		cmocka_unit_test(widths),
		cmocka_unit_test(lines),
		cmocka_unit_test(moments),
		cmocka_unit_test(shown_times),
	};

	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	assert_int_equal(setenv("TZ", "America/New_York", 1), 0);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
