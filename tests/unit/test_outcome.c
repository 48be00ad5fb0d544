/* test_outcome.c - what an attempt's end means: every row of the handler's contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch/outcome.h"

static int64_t schedule[] = { 10000, 60000, 300000 };

static const struct conf_handler usual = { .retry_ms = schedule, .retry_count = 3 };
static const struct conf_handler never = { .retry_count = 0 };

static void results(void **state)
{
	static const struct {
		int outcome, status;
		enum attempt_result want;
	} rows[] = {
		{ WIRE_EXITED, 0, ATTEMPT_DONE },
		{ WIRE_EXITED, 1, ATTEMPT_RETRY },
		{ WIRE_EXITED, 74, ATTEMPT_RETRY },
		{ WIRE_EXITED, 75, ATTEMPT_PAUSED },
		{ WIRE_EXITED, 76, ATTEMPT_RETRY },
		{ WIRE_EXITED, 100, ATTEMPT_GAVE_UP },
		{ WIRE_EXITED, 126, ATTEMPT_NOT_STARTED },
		{ WIRE_EXITED, 127, ATTEMPT_NOT_STARTED },
		{ WIRE_EXITED, 255, ATTEMPT_RETRY },
		{ WIRE_EXITED, -1, ATTEMPT_RETRY },
		{ WIRE_SIGNALLED, 9, ATTEMPT_SIGNALLED },
		{ WIRE_SIGNALLED, 0, ATTEMPT_SIGNALLED },
		{ WIRE_TIMED_OUT, 0, ATTEMPT_TIMEOUT },
		{ WIRE_STOPPED, 0, ATTEMPT_INTERRUPTED },
		{ WIRE_NOT_STARTED, 127, ATTEMPT_NOT_STARTED },
		{ 99, 0, ATTEMPT_RETRY },       /* a newer runner's word is no success */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(attempt_result_of((enum wire_outcome)rows[i].outcome, rows[i].status),
				 rows[i].want);
}

static void decisions(void **state)
{
	static const struct {
		const struct conf_handler *h;
		enum attempt_result result;
		unsigned attempts;
		enum delivery_state state;
		unsigned used;
		int64_t least, most;    /* delay_ms */
		bool pause, failure;
	} rows[] = {
		{ &usual, ATTEMPT_DONE, 0, DELIVERY_DONE, 1, 0, 0, false, false },
		{ &usual, ATTEMPT_DONE, 3, DELIVERY_DONE, 4, 0, 0, false, false },
		{ &usual, ATTEMPT_RETRY, 0, DELIVERY_PARKED, 1, 9000, 11000, false, true },
		{ &usual, ATTEMPT_RETRY, 1, DELIVERY_PARKED, 2, 54000, 66000, false, true },
		{ &usual, ATTEMPT_RETRY, 2, DELIVERY_PARKED, 3, 270000, 330000, false, true },
		{ &usual, ATTEMPT_RETRY, 3, DELIVERY_FAILED, 4, 0, 0, false, true },
		{ &usual, ATTEMPT_RETRY, UINT32_MAX, DELIVERY_FAILED, UINT32_MAX, 0, 0, false, true },
		{ &usual, ATTEMPT_SIGNALLED, 0, DELIVERY_PARKED, 1, 9000, 11000, false, true },
		{ &usual, ATTEMPT_TIMEOUT, 0, DELIVERY_PARKED, 1, 9000, 11000, false, true },
		{ &usual, ATTEMPT_NOT_STARTED, 0, DELIVERY_PARKED, 1, 9000, 11000, false, true },
		{ &usual, ATTEMPT_GAVE_UP, 0, DELIVERY_FAILED, 1, 0, 0, false, false },
		{ &usual, ATTEMPT_PAUSED, 0, DELIVERY_PARKED, 0, 9000, 11000, true, false },
		{ &usual, ATTEMPT_PAUSED, 3, DELIVERY_PARKED, 3, 9000, 11000, true, false },
		{ &usual, ATTEMPT_INTERRUPTED, 3, DELIVERY_PARKED, 3, 1000, 1000, false, false },
		{ &never, ATTEMPT_RETRY, 0, DELIVERY_FAILED, 1, 0, 0, false, true },
		{ &never, ATTEMPT_PAUSED, 0, DELIVERY_PARKED, 0, 54000, 66000, true, false },
		{ NULL, ATTEMPT_RETRY, 50, DELIVERY_PARKED, 51, 54000, 66000, false, true },
		{ NULL, ATTEMPT_DONE, 0, DELIVERY_DONE, 1, 0, 0, false, false },
	};
	static const uint32_t dice[] = { 0, 1, 0x7fffffff, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < ARRAY_LEN(dice); k++) {
			struct decision d = decide(rows[i].h, rows[i].result, rows[i].attempts, dice[k]);

			assert_int_equal(d.state, rows[i].state);
			assert_int_equal(d.attempts, rows[i].used);
			assert_in_range(d.delay_ms, rows[i].least, rows[i].most);
			assert_int_equal(d.pause, rows[i].pause);
			assert_int_equal(d.counts_as_failure, rows[i].failure);
		}
	}
}

static void jitter_spreads_both_ways(void **state)
{
	static int64_t century[] = { 100LL * 366 * 86400 * 1000 };
	const struct conf_handler far = { .retry_ms = century, .retry_count = 1 };
	int64_t low = pause_ms(&far, 0, 0), high = pause_ms(&far, 0, UINT32_MAX);

	(void)state;
	assert_true(low == century[0] - century[0] / 10);
	assert_true(high > century[0] + century[0] / 11 && high <= century[0] + century[0] / 10);
	assert_int_equal(pause_ms(&usual, 0, 0x80000000), 10000);
}

static void pauses_follow_the_schedule(void **state)
{
	static int64_t zero[] = { 0 };
	const struct conf_handler eager = { .retry_ms = zero, .retry_count = 1 };

	(void)state;
	assert_int_equal(pause_ms(&usual, 1, 0), 54000);
	assert_int_equal(pause_ms(&usual, 2, 0), 270000);
	assert_int_equal(pause_ms(&usual, 3, 0), 270000);
	assert_int_equal(pause_ms(&usual, UINT32_MAX, 0), 270000);
	assert_int_equal(pause_ms(&never, 7, 0), 54000);
	assert_int_equal(pause_ms(NULL, 0, 0), 54000);
	assert_true(pause_ms(&eager, 0, 0) >= 90);      /* never spins */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(results),
		cmocka_unit_test(decisions),
		cmocka_unit_test(jitter_spreads_both_ways),
		cmocka_unit_test(pauses_follow_the_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
