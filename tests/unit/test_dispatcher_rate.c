/* test_dispatcher_rate.c - in no span of time more starts than allowed, and nearly as many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/dispatch/private.h"

#define STARTS 20000

/* Start whenever it is allowed; returns how long STARTS took. */
static int64_t run(struct rate *r, int64_t *at_ms, int64_t now)
{
	for (unsigned i = 0; i < STARTS; i++) {
		int64_t wait = rate_wait_ms(r, now);

		assert_true(wait >= 0);
		now += wait;
		assert_int_equal(rate_wait_ms(r, now), 0);      /* the wait was neither too short ... */
		rate_take(r, now);
		at_ms[i] = now;
	}
	return now - at_ms[0];
}

static void limits_are_kept(void **state)
{
	static const struct conf_rate rows[] = {
		{ 1, 10 }, { 5, 300 }, { 30, 60000 }, { 1023, 1000 }, { 1024, 1000 }, { 1025, 1000 },
		{ 2000, 1000 }, { 5000, 100 }, { 15000, 60000 },
	};
	static int64_t at_ms[STARTS];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rate r = { .limit = { 0, 0 } };
		unsigned count = rows[i].count;
		int64_t took, ideal = (int64_t)(STARTS / count - 1) * rows[i].per_ms;

		rate_set(&r, rows[i]);
		took = run(&r, at_ms, 1000);
		for (unsigned k = count; k < STARTS; k++)
			assert_true(at_ms[k] - at_ms[k - count] >= rows[i].per_ms);
		assert_true(took <= ideal * 2 + rows[i].per_ms * 2);    /* ... nor much too long */
		rate_free(&r);
	}
}

static void none_and_changed(void **state)
{
	struct rate r = { .limit = { 0, 0 } };

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(rate_wait_ms(&r, 5), 0);
		rate_take(&r, 5);
	}
	rate_set(&r, (struct conf_rate){ 2, 100 });
	rate_take(&r, 10);
	rate_take(&r, 20);
	assert_int_equal(rate_wait_ms(&r, 30), 80);
	rate_set(&r, (struct conf_rate){ 2, 100 });     /* the same: remembered */
	assert_int_equal(rate_wait_ms(&r, 30), 80);
	rate_set(&r, (struct conf_rate){ 3, 100 });     /* another: begins anew */
	assert_int_equal(rate_wait_ms(&r, 30), 0);
	rate_set(&r, (struct conf_rate){ 0, 0 });
	assert_int_equal(rate_wait_ms(&r, 30), 0);
	rate_free(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(none_and_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
