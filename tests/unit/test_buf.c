/* test_buf.c - appending, the maximum, taking and clearing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"

static void begins_empty(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(10);
	size_t len = 99;

	(void)state;
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_null(buf_take(&b, &len));
	assert_int_equal(len, 0);
	buf_clear(&b);                  /* of nothing */
	assert_null(b.data);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_string_equal(b.data, "");
}

static void grows_to_its_maximum_and_no_further(void **state)
{
	static const size_t maxima[] = { 0, 1, 5, 63, 64, 65, 1000, 4096 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
		AUTO(buf) struct buf b = BUF_INIT(maxima[i]);

		for (size_t n = 0; n < maxima[i]; n++) {
			assert_int_equal(buf_append(&b, "x", 1), 0);
			assert_int_equal(b.len, n + 1);
			assert_int_equal(b.data[b.len], '\0');
		}
		assert_int_equal(buf_append(&b, "y", 1), -ENOBUFS);
		assert_int_equal(buf_printf(&b, "%d", 7), -ENOBUFS);
		assert_int_equal(buf_append(&b, NULL, 0), 0);
		assert_int_equal(b.len, maxima[i]);
		assert_true(strspn(b.data, "x") == maxima[i]);
		assert_true(b.cap <= maxima[i] + 1);
	}
}

static void a_failed_append_changes_nothing(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(8);

	(void)state;
	assert_int_equal(buf_append_text(&b, "12345"), 0);
	assert_int_equal(buf_append_text(&b, "6789"), -ENOBUFS);
	assert_int_equal(buf_printf(&b, "%s", "6789"), -ENOBUFS);
	assert_string_equal(b.data, "12345");
	assert_int_equal(buf_append_text(&b, "678"), 0);
	assert_string_equal(b.data, "12345678");
}

static void lengths_that_would_overflow_are_refused(void **state)
{
	static const size_t lengths[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4, SIZE_MAX / 2, SIZE_MAX / 2 - 4 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		AUTO(buf) struct buf b = BUF_INIT(SIZE_MAX);

		assert_int_equal(buf_append_text(&b, "1234"), 0);
		assert_int_equal(buf_append(&b, "x", lengths[i]), -ENOBUFS);
		assert_string_equal(b.data, "1234");
	}
}

static void holds_nul_bytes(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(buf_append(&b, "a\0b", 3), 0);
	assert_int_equal(buf_printf(&b, "%c%d", 0, 5), 0);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "a\0b\0" "5", 6);
}

static void taken_and_used_again(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);
	char *taken;
	size_t len;

	(void)state;
	assert_int_equal(buf_printf(&b, "%s-%05d", "abc", 42), 0);
	taken = buf_take(&b, &len);
	assert_int_equal(len, 9);
	assert_string_equal(taken, "abc-00042");
	free(taken);
	assert_null(b.data);
	assert_int_equal(buf_append_text(&b, "again"), 0);
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_append_text(&b, "more"), 0);
	assert_string_equal(b.data, "more");
	buf_free(&b);
	buf_free(&b);
	taken = buf_take(&b, NULL);
	assert_null(taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_empty),
		cmocka_unit_test(grows_to_its_maximum_and_no_further),
		cmocka_unit_test(a_failed_append_changes_nothing),
		cmocka_unit_test(lengths_that_would_overflow_are_refused),
		cmocka_unit_test(holds_nul_bytes),
		cmocka_unit_test(taken_and_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
