/*
 * test_threshold.c - ranges as monitoring plug-ins have them, and what is refused.
 *
 * The tool's own files are in no library, so they are included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "../../src/calloutctl/threshold.c"

static void test_judge(void **state)
{
	static const struct {
		const char *text;
		enum measure measure;
		bool low;
		int64_t value;
		enum health want;
	} cases[] = {
		{ "10,20", MEASURE_COUNT, false, 0, HEALTH_OK },
		{ "10,20", MEASURE_COUNT, false, 10, HEALTH_OK },
		{ "10,20", MEASURE_COUNT, false, 11, HEALTH_WARNING },
		{ "10,20", MEASURE_COUNT, false, 20, HEALTH_WARNING },
		{ "10,20", MEASURE_COUNT, false, 21, HEALTH_CRITICAL },
		{ "10,20", MEASURE_COUNT, false, -1, HEALTH_CRITICAL },
		{ "10", MEASURE_COUNT, false, 1000, HEALTH_WARNING },
		{ ",20", MEASURE_COUNT, false, 19, HEALTH_OK },
		{ ",20", MEASURE_COUNT, false, 21, HEALTH_CRITICAL },
		{ "", MEASURE_COUNT, false, 1000000, HEALTH_OK },
		{ ",", MEASURE_COUNT, false, 1000000, HEALTH_OK },
		{ "10:", MEASURE_COUNT, false, 9, HEALTH_WARNING },
		{ "10:", MEASURE_COUNT, false, 10, HEALTH_OK },
		{ "~:10", MEASURE_COUNT, false, -5, HEALTH_OK },
		{ "~:10", MEASURE_COUNT, false, 11, HEALTH_WARNING },
		{ "10:20", MEASURE_COUNT, false, 9, HEALTH_WARNING },
		{ "10:20", MEASURE_COUNT, false, 15, HEALTH_OK },
		{ "@1:5", MEASURE_COUNT, false, 0, HEALTH_OK },
		{ "@1:5", MEASURE_COUNT, false, 1, HEALTH_WARNING },
		{ "@1:5", MEASURE_COUNT, false, 5, HEALTH_WARNING },
		{ "@1:5,@3:4", MEASURE_COUNT, false, 3, HEALTH_CRITICAL },
		{ "@10", MEASURE_COUNT, false, 4, HEALTH_WARNING },
		{ ":10", MEASURE_COUNT, false, 11, HEALTH_WARNING },
		/* What is bad when low: a number alone is the least. */
		{ "14,3", MEASURE_COUNT, true, 15, HEALTH_OK },
		{ "14,3", MEASURE_COUNT, true, 14, HEALTH_OK },
		{ "14,3", MEASURE_COUNT, true, 13, HEALTH_WARNING },
		{ "14,3", MEASURE_COUNT, true, 2, HEALTH_CRITICAL },
		{ "14,3", MEASURE_COUNT, true, -1, HEALTH_CRITICAL },
		{ "1G,256M", MEASURE_SIZE, true, INT64_C(1) << 30, HEALTH_OK },
		{ "1G,256M", MEASURE_SIZE, true, (INT64_C(1) << 30) - 1, HEALTH_WARNING },
		{ "1G,256M", MEASURE_SIZE, true, 1024, HEALTH_CRITICAL },
		{ "10m,1h", MEASURE_SPAN, false, 600, HEALTH_OK },
		{ "10m,1h", MEASURE_SPAN, false, 601, HEALTH_WARNING },
		{ "10m,1h", MEASURE_SPAN, false, 3601, HEALTH_CRITICAL },
		{ "1m:2m", MEASURE_SPAN, false, 59, HEALTH_WARNING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct threshold t;
		struct error err = { "" };

		if (threshold_parse(cases[i].text, cases[i].measure, cases[i].low, &t, &err) < 0)
			fail_msg("'%s': %s", cases[i].text, err.text);
		if (threshold_judge(&t, cases[i].value) != cases[i].want)
			fail_msg("'%s' of %lld: %d", cases[i].text, (long long)cases[i].value,
				 threshold_judge(&t, cases[i].value));
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		enum measure measure;
		const char *want;
	} cases[] = {
		{ "x", MEASURE_COUNT, "'x' is no whole number" },
		{ "1.5", MEASURE_COUNT, "'1.5' is no whole number" },
		{ "10,y", MEASURE_COUNT, "'y' is no whole number" },
		{ "99999999999999999999", MEASURE_COUNT, "is no whole number" },
		{ "@", MEASURE_COUNT, "is no whole number" },
		{ ":", MEASURE_COUNT, "is no whole number" },
		{ "10:5", MEASURE_COUNT, "begins above its end" },
		{ "1:2:3", MEASURE_COUNT, "'2:3' is no whole number" },
		{ "1,2,3", MEASURE_COUNT, "more than one comma" },
		{ "10", MEASURE_SPAN, "'10' is no time: write it like 10m" },
		{ "10x", MEASURE_SIZE, "'10x' is no size: write it like 512M" },
		{ "0000000000000000000000000000000000000000000000000000000000000000000", MEASURE_COUNT, "is too long" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct threshold t;
		struct error err = { "" };

		if (threshold_parse(cases[i].text, cases[i].measure, false, &t, &err) != -EINVAL)
			fail_msg("'%s' was taken", cases[i].text);
		if (!strstr(err.text, cases[i].want))
			fail_msg("'%s': %s", cases[i].text, err.text);
	}
}

static void test_text(void **state)
{
	static const struct {
		const char *text;
		bool low;
		const char *want;
	} cases[] = {
		{ "", false, "" }, { "10", false, "10" }, { "10:", false, "10:" }, { "~:10", false, "~:10" },
		{ "@1:5", false, "@1:5" }, { "10", true, "10:" }, { "0:", false, "0:" }, { "@~:3", false, "@~:3" },
		{ "5:9", false, "5:9" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct threshold t;
		char text[RANGE_TEXT_LEN];

		assert_int_equal(threshold_parse(cases[i].text, MEASURE_COUNT, cases[i].low, &t, NULL), 0);
		assert_string_equal(range_text(&t.warning, text), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
