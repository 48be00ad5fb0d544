/* test_clock.c - dates, durations and sizes, read and written. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"

static void dates_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2025-09-15T14:57:50Z", INT64_C(1757948270000) },
		{ "2025-09-15T14:57:50", INT64_C(1757948270000) },
		{ "2025-09-15 14:57:50z", INT64_C(1757948270000) },
		{ "2025-09-15t14:57:50.1", INT64_C(1757948270100) },
		{ "2025-09-15T14:57:50.12Z", INT64_C(1757948270120) },
		{ "2025-09-15T14:57:50.123Z", INT64_C(1757948270123) },
		{ "2025-09-15T14:57:50,123Z", INT64_C(1757948270123) },
		{ "2025-09-15T14:57:50.1239999999999999999999999Z", INT64_C(1757948270123) },
		{ "2025-09-15T16:57:50+02:00", INT64_C(1757948270000) },
		{ "2025-09-15T16:57:50+0200", INT64_C(1757948270000) },
		{ "2025-09-15T09:27:50.5-05:30", INT64_C(1757948270500) },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
		{ "2000-02-29T12:00:00Z", INT64_C(951825600000) },
		/* A leap second is the next minute's first, also where a month ends. */
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800000) },
		{ "9999-12-31T23:59:59Z", INT64_C(253402300799000) },
		{ "1900-01-01T00:00:00Z", INT64_C(-2208988800000) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = -7;

		assert_int_equal(clock_parse(rows[i].text, strlen(rows[i].text), &ms), 0);
		if (ms != rows[i].ms)
			fail_msg("%s: %" PRId64, rows[i].text, ms);
	}
}

static void what_is_no_date_is_refused(void **state)
{
	static const char *const rows[] = {
		"", "2025", "2025-09-15", "2025-09-15T14:57", "2025-9-15T14:57:50Z", "25-09-15T14:57:50Z",
		"2025-09-15T14:57:50ZZ", "2025-09-15T14:57:50Z ", " 2025-09-15T14:57:50Z",
		"2025-09-15T14:57:50.", "2025-09-15T14:57:50.Z", "2025-09-15T14:57:50+2:00",
		"2025-09-15T14:57:50+02", "2025-09-15T14:57:50+24:00", "2025-09-15T14:57:50+02:60",
		"2025-09-15T24:00:00Z", "2025-09-15T14:60:00Z", "2025-09-15T14:57:61Z",
		"2025-13-15T14:57:50Z", "2025-00-15T14:57:50Z", "2025-09-31T14:57:50Z", "2025-09-00T14:57:50Z",
		"2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2025/09/15T14:57:50Z",
		"1899-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "-025-09-15T14:57:50Z",
		"2025-09-15x14:57:50Z", "2025-09-15T14-57-50Z", "2025-09-15T+4:57:50Z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = -7;

		if (clock_parse(rows[i], strlen(rows[i]), &ms) != -EINVAL || ms != -7)
			fail_msg("'%s' was taken", rows[i]);
	}
}

static void a_length_ends_the_text(void **state)
{
	static const char text[] = "2025-09-15T14:57:50Z2025";
	int64_t ms = -7;

	(void)state;
	assert_int_equal(clock_parse(text, 20, &ms), 0);
	assert_int_equal(ms, INT64_C(1757948270000));
	assert_int_equal(clock_parse("2025-09-15T14:57:50\0", 20, &ms), -EINVAL);
	assert_int_equal(clock_parse("2025-09-15\0" "14:57:50Z", 20, &ms), -EINVAL);
}

static void dates_are_written(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59.000Z" },
		{ INT64_C(1757948270123), "2025-09-15T14:57:50.123Z" },
		{ INT64_C(253402300799999), "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "292278994-08-17T07:12:55.807Z" },
		{ INT64_MIN, "-292275055-05-16T16:47:04.192Z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[CLOCK_TEXT_LEN];

		assert_ptr_equal(clock_text(rows[i].ms, text), text);
		assert_string_equal(text, rows[i].text);
	}
}

/* Any moment of these centuries, written and read again, is itself. */
static void written_and_read_again(void **state)
{
	char text[CLOCK_TEXT_LEN];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		int64_t ms = (int64_t)(((uint64_t)random_u32() << 32 | random_u32()) % UINT64_C(253402300800000)), back;

		(void)clock_text(ms, text);
		assert_int_equal(clock_parse(text, strlen(text), &back), 0);
		assert_int_equal(back, ms);
	}
}

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t ms;
	} rows[] = {
		{ "0", 0, 0 }, { "0s", 0, 0 }, { "1ms", 0, 1 }, { "90s", 0, 90000 }, { "1h30m", 0, 5400000 },
		{ "1m1ms", 0, 60001 }, { "7d", 0, INT64_C(604800000) }, { "1w", 0, INT64_C(604800000) },
		{ "1w1d1h1m1s1ms", 0, INT64_C(694861001) }, { "05s", 0, 5000 }, { "1s1s", 0, 2000 },
		{ "36525d", 0, INT64_C(3155760000000) },
		{ "36525d1ms", -ERANGE, 0 }, { "36526d", -ERANGE, 0 }, { "9223372036854775807ms", -ERANGE, 0 },
		{ "9223372036854775808ms", -ERANGE, 0 }, { "99999999999999999999999w", -ERANGE, 0 },
		{ "9223372036854775807w", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "5", -EINVAL, 0 }, { "00", -EINVAL, 0 }, { "s", -EINVAL, 0 },
		{ "1h30", -EINVAL, 0 }, { "1 h", -EINVAL, 0 }, { "1h ", -EINVAL, 0 }, { " 1h", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 }, { "+1s", -EINVAL, 0 }, { "1.5h", -EINVAL, 0 }, { "1H", -EINVAL, 0 },
		{ "1y", -EINVAL, 0 }, { "1min", -EINVAL, 0 }, { "1sec", -EINVAL, 0 }, { "0x1s", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = -7;
		int r = duration_parse(rows[i].text, &ms);

		if (r != rows[i].r || ms != (r ? -7 : rows[i].ms))
			fail_msg("'%s': %d, %" PRId64, rows[i].text, r, ms);
	}
}

static void durations_are_written(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0s" }, { -5, "0s" }, { INT64_MIN, "0s" }, { 1, "1ms" }, { 250, "250ms" }, { 1000, "1s" },
		{ 5400000, "1h30m" }, { 90000, "1m30s" }, { INT64_C(604800000), "7d" },
		{ INT64_C(90061001), "1d1h1m1s1ms" }, { INT64_MAX, "106751991167d7h12m55s807ms" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[CLOCK_TEXT_LEN];

		assert_string_equal(duration_text(rows[i].ms, text), rows[i].text);
	}
	for (int i = 0; i < 20000; i++) {
		char text[CLOCK_TEXT_LEN];
		int64_t ms = (int64_t)(((uint64_t)random_u32() << 32 | random_u32()) % UINT64_C(3155760000001)), back;

		assert_int_equal(duration_parse(duration_text(ms, text), &back), 0);
		assert_int_equal(back, ms);
	}
}

static void sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} rows[] = {
		{ "0", 0, 0 }, { "1", 0, 1 }, { "1K", 0, 1024 }, { "64M", 0, UINT64_C(67108864) },
		{ "4G", 0, UINT64_C(4294967296) }, { "2T", 0, UINT64_C(2199023255552) },
		{ "9223372036854775807", 0, UINT64_C(9223372036854775807) },
		{ "8388607T", 0, UINT64_C(9223370937343148032) },
		{ "8388608T", -ERANGE, 0 }, { "9223372036854775808", -ERANGE, 0 },
		{ "99999999999999999999K", -ERANGE, 0 }, { "9223372036854775807K", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "K", -EINVAL, 0 }, { "1k", -EINVAL, 0 }, { "1KB", -EINVAL, 0 },
		{ "1KK", -EINVAL, 0 }, { "1 K", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "1.5M", -EINVAL, 0 },
		{ "1P", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t bytes = 77;
		int r = size_parse(rows[i].text, &bytes);

		if (r != rows[i].r || bytes != (r ? 77 : rows[i].bytes))
			fail_msg("'%s': %d, %" PRIu64, rows[i].text, r, bytes);
	}
}

static void clocks_go_on(void **state)
{
	int64_t now = clock_now_ms(), mono = clock_mono_ms();
	uint64_t usec = clock_mono_usec();

	(void)state;
	assert_true(now / 1000 >= (int64_t)time(NULL) - 1 && now / 1000 <= (int64_t)time(NULL));
	assert_true(clock_mono_ms() >= mono);
	assert_true(usec / 1000 >= (uint64_t)mono && clock_mono_usec() >= usec);
}

static void dice_have_32_sides(void **state)
{
	uint32_t ones = 0, zeros = UINT32_MAX;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint32_t value = random_u32();

		ones |= value;
		zeros &= value;
	}
	assert_int_equal(ones, UINT32_MAX);
	assert_int_equal(zeros, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_read),
		cmocka_unit_test(what_is_no_date_is_refused),
		cmocka_unit_test(a_length_ends_the_text),
		cmocka_unit_test(dates_are_written),
		cmocka_unit_test(written_and_read_again),
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(durations_are_written),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(clocks_go_on),
		cmocka_unit_test(dice_have_32_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
