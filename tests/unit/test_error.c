/* test_error.c - sentences: filled in, put in context, cut between characters. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/error.h"

static void returns_the_negative(void **state)
{
	struct error e = { "" };

	(void)state;
	assert_int_equal(error_set(&e, EINVAL, "line %d: %s", 3, "no"), -EINVAL);
	assert_string_equal(e.text, "line 3: no");
	assert_int_equal(error_set(NULL, ENOENT, "nobody hears %s", "this"), -ENOENT);
	error_prefix(NULL, "nor this");
}

static void context_comes_first(void **state)
{
	struct error e = { "" };

	(void)state;
	(void)error_set(&e, EIO, "no such key");
	error_prefix(&e, "file:%d", 7);
	error_prefix(&e, "start");
	assert_string_equal(e.text, "start: file:7: no such key");
}

static void arguments_may_be_its_own_text(void **state)
{
	struct error e = { "inner" };

	(void)state;
	(void)error_set(&e, EIO, "outer: %s (%s)", e.text, e.text);
	assert_string_equal(e.text, "outer: inner (inner)");
	error_prefix(&e, "%s", e.text);
	assert_string_equal(e.text, "outer: inner (inner): outer: inner (inner)");
}

/* Whatever the character at the end, it is whole or not there. */
static void cut_between_characters(void **state)
{
	static const struct {
		const char *one;
		size_t len;
	} rows[] = { { "x", 1 }, { "\xc3\xa9", 2 }, { "\xe2\x82\xac", 3 }, { "\xf0\x9f\x98\x80", 4 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char longer[1024] = "";
		struct error e = { "" };

		for (size_t n = 0; n + rows[i].len < sizeof(longer); n += rows[i].len)
			memcpy(longer + n, rows[i].one, rows[i].len + 1);
		(void)error_set(&e, EIO, "%s", longer);
		assert_int_equal(strlen(e.text), 511 / rows[i].len * rows[i].len);
		assert_memory_equal(e.text, longer, strlen(e.text));

		/* A long context leaves room for the sentence. */
		(void)error_set(&e, EIO, "the sentence");
		error_prefix(&e, "%s", longer);
		assert_string_equal(e.text + 200 / rows[i].len * rows[i].len, ": the sentence");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_the_negative),
		cmocka_unit_test(context_comes_first),
		cmocka_unit_test(arguments_may_be_its_own_text),
		cmocka_unit_test(cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
