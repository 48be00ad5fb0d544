/*
 * test_conf_fuzz.c - a good configuration cut short and changed in thousands of ways.
 *
 * None crashes or leaks (run it under SAN=address,undefined), every refusal says file and
 * line, and what is accepted is the same configuration when printed and read again: so
 * libconfuse understood what our scanner did.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "conf_test.h"

#define ROUNDS 6000

static void check_accepted(struct conf *c)
{
	AUTO(free) char *first = printed(c);
	struct conf *again = load_good(first);
	AUTO(free) char *second = printed(again);

	assert_string_equal(first, second);
	conf_free(again);
	conf_free(c);
}

static unsigned lines_of(const char *text, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/* "HOME/fuzz.conf:LINE: sentence", the line being one the file has. */
static void check_refusal(const struct error *err, const char *text, size_t len)
{
	const char *at = err->text;
	size_t n = strlen(at_home("fuzz.conf"));
	unsigned long line;
	char *end;

	if (strncmp(at, at_home("fuzz.conf"), n) != 0 || at[n] != ':')
		fail_msg("no file: %s", at);
	line = strtoul(at + n + 1, &end, 10);
	if (line < 1 || line > lines_of(text, len) || strncmp(end, ": ", 2) != 0 || strlen(end) < 12)
		fail_msg("no line: %s\n%.*s", at, (int)len, text);
	for (const char *c = end; *c; c++)
		if ((unsigned char)*c < 0x20)
			fail_msg("control character in: %s", at);
	for (size_t i = 0, all = strlen(at), one; i < all; i += one) {
		one = utf8_length(at + i, all - i);
		if (!one && all < sizeof(err->text) - 1)
			fail_msg("not UTF-8: %s", at);
		one += !one;
	}
}

/* True if it was accepted. */
static bool try(const char *text, size_t len)
{
	struct error err = { "" };
	struct conf *c = NULL;

	write_bytes("fuzz.conf", text, len);
	if (conf_load(at_home("fuzz.conf"), &c, &err) < 0) {
		assert_null(c);
		check_refusal(&err, text, len);
		return false;
	}
	check_accepted(c);
	return true;
}

static void cut_short_everywhere(void **state)
{
	unsigned accepted = 0;

	(void)state;
	for (size_t len = 0; len < strlen(everything); len++)
		accepted += try(everything, len);
	assert_in_range(accepted, 5, strlen(everything) / 2);
}

static void one_byte_missing_everywhere(void **state)
{
	size_t len = strlen(everything);
	AUTO(free) char *text = malloc(len);
	unsigned accepted = 0;

	(void)state;
	for (size_t at = 0; at < len; at++) {
		memcpy(text, everything, at);
		memcpy(text + at, everything + at + 1, len - at - 1);
		accepted += try(text, len - 1);
	}
	assert_in_range(accepted, 100, len - 100);
}

struct dice {
	uint64_t state;
};

static unsigned roll(struct dice *d, size_t sides)
{
	d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((d->state >> 33) % sides);
}

/* Signs the grammar knows, things libconfuse does on its own, and rubbish. */
static const char *const pieces[] = {
	"{", "}", "\"", "'", "=", "+=", ",", "#", "//", "/*", "*/", "\n", "\r\n", "\\", "\\\"", "\\0", "\\x41", "\\400",
	"${HOME}", "${", "(", ")", "include(\"/etc/passwd\")", "\"\"", "''", " ", "\t", "\xff", "\xc3\xa9", "\x01", ";",
	"keep = \"1d\"", "webhook", "handler \"x\" {", "subscribe {", "autotask {", "1", "-", "99999999999999999999",
	"true", "\"a\",", "|", "a|b", "webhook|path = \"/x\"", "\xef\xbb\xbf", "$", ":-", "__unknown", "root",
};

static void changed_at_random(void **state)
{
	struct dice d = { 351181 };
	size_t whole = strlen(everything), cap = whole + 1024;
	AUTO(free) char *text = malloc(cap);
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t len = whole;

		memcpy(text, everything, whole);
		for (unsigned changes = 1 + roll(&d, 3); changes > 0; changes--) {
			const char *piece = pieces[roll(&d, ARRAY_LEN(pieces))];
			size_t at = roll(&d, len), put = strlen(piece), away = roll(&d, 3) * roll(&d, 12);

			away = away < len - at ? away : len - at;
			memmove(text + at + put, text + at + away, len - at - away);
			memcpy(text + at, piece, put);
			len += put - away;
		}
		accepted += try(text, len);
	}
	assert_in_range(accepted, 10, ROUNDS - 1000);
}

/* Whole parts moved about: sections inside sections, lists without ends, endings without beginnings. */
static void parts_moved_about(void **state)
{
	struct dice d = { 29682885 };
	size_t whole = strlen(everything);
	AUTO(free) char *text = malloc(4 * whole);

	(void)state;
	for (unsigned i = 0; i < ROUNDS / 3; i++) {
		size_t len = 0;

		for (unsigned parts = 1 + roll(&d, 4); parts > 0; parts--) {
			size_t from = roll(&d, whole), count = roll(&d, whole - from);

			memcpy(text + len, everything + from, count);
			len += count;
		}
		(void)try(text, len);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_short_everywhere),
		cmocka_unit_test(one_byte_missing_everywhere),
		cmocka_unit_test(changed_at_random),
		cmocka_unit_test(parts_moved_about),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
