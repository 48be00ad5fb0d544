/*
 * test_guard.c - what guard remembers, its rules about it, and gaps in numbers.
 *
 * The tool's own files are in no library, so they are included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/calloutctl/answer.c"
#include "../../src/calloutctl/guard_gaps.c"
#include "../../src/calloutctl/guard_state.c"
#include "../../src/calloutctl/text.c"
#include "../../src/calloutctl/when.c"

#define NOW INT64_C(1757948270123)
#define MINUTE INT64_C(60000)

static void three_in_a_day(void **state)
{
	struct guard_webhook w = { .owner = 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(guard_reactivations(&w, NOW + i), i);
		guard_reactivated(&w, NOW + i);
	}
	assert_int_equal(guard_reactivations(&w, NOW + 60 * MINUTE), 3);
	assert_int_equal(guard_reactivations(&w, NOW + GUARD_DAY_MS - 1), 3);
	assert_int_equal(guard_reactivations(&w, NOW + GUARD_DAY_MS), 2);
	assert_int_equal(guard_reactivations(&w, NOW + GUARD_DAY_MS + 2), 0);
	/* A clock that was set back makes no more of them. */
	assert_int_equal(guard_reactivations(&w, NOW - 60 * MINUTE), 3);
	/* But one that was years ahead does not forbid them for years. */
	assert_int_equal(guard_reactivations(&w, NOW - 3 * GUARD_DAY_MS), 0);
}

static void rows_are_read_again(void **state)
{
	struct guard_state s = { .started_ms = NOW };

	(void)state;
	guard_log_read(&s, 100);
	assert_int_equal(s.log_row, 0);
	s.started_ms = NOW + 5 * MINUTE;
	guard_log_read(&s, 120);
	assert_int_equal(s.log_row, 0);
	s.started_ms = NOW + 15 * MINUTE;
	guard_log_read(&s, 130);
	assert_int_equal(s.log_row, 100);
	s.started_ms = NOW + 30 * MINUTE;
	guard_log_read(&s, 0);
	assert_int_equal(s.log_row, 130);
	assert_int_equal(s.log_known, 130);
	guard_log_forget(&s);
	assert_int_equal(s.log_row, 0);
	assert_int_equal(s.log_known, 0);
}

static void moments_to_come(void **state)
{
	struct guard_webhook w = { .active_ms = INT64_MAX, .off_since_ms = NOW + 1, .on_ms = NOW + 1 };
	struct guard_state s = { .started_ms = INT64_MAX, .webhooks = &w, .count = 1 };

	(void)state;
	guard_state_correct(&s, NOW);
	assert_int_equal(s.started_ms, 0);
	assert_int_equal(w.active_ms, NOW - GUARD_DAY_MS);
	assert_int_equal(w.off_since_ms, NOW - GUARD_DAY_MS);
	assert_int_equal(w.on_ms, 0);
	w = (struct guard_webhook){ .active_ms = NOW, .off_since_ms = 0, .on_ms = NOW - 1 };
	s.started_ms = NOW;
	guard_state_correct(&s, NOW);
	assert_int_equal(s.started_ms, NOW);
	assert_int_equal(w.active_ms, NOW);
	assert_int_equal(w.off_since_ms, 0);
	assert_int_equal(w.on_ms, NOW - 1);
}

static void not_too_often(void **state)
{
	struct guard_state s = { .started_ms = 0 };

	(void)state;
	assert_int_equal(guard_wait_ms(&s, 5 * MINUTE, NOW), 0);
	s.started_ms = NOW;
	assert_int_equal(guard_wait_ms(&s, 5 * MINUTE, NOW), 5 * MINUTE);
	assert_int_equal(guard_wait_ms(&s, 5 * MINUTE, NOW + 4 * MINUTE), MINUTE);
	assert_int_equal(guard_wait_ms(&s, 5 * MINUTE, NOW + 5 * MINUTE), 0);
	assert_int_equal(guard_wait_ms(&s, 0, NOW), 0);
	assert_int_equal(guard_wait_ms(&s, 5 * MINUTE, NOW - MINUTE), 0);
}

static void failures(void **state)
{
	struct guard_webhook w = { .owner = 0 };

	(void)state;
	for (int64_t n = 40; n > 0; n--)
		guard_failed(&w, n * 10, 0);
	guard_failed(&w, 400, 0);
	assert_int_equal(guard_failures(&w), GUARD_LIMIT);
	assert_int_equal(w.failed[0], 160);
	assert_int_equal(w.failed[GUARD_LIMIT - 1], 400);
	guard_failed(&w, 5, 0);
	assert_int_equal(w.failed[0], 160);
	guard_failed(&w, 395, 0);
	assert_int_equal(w.failed[0], 170);
	assert_int_equal(w.failed[GUARD_LIMIT - 2], 395);
	/* The last one received: what failed before it is over. */
	w.sequence = 380;
	assert_int_equal(guard_failures(&w), 3);
	guard_switched_on(&w, NOW);
	assert_int_equal(guard_failures(&w), 0);
	guard_failed(&w, 500, NOW - MINUTE);
	guard_failed(&w, 501, NOW + MINUTE);
	assert_int_equal(guard_failures(&w), 0);
	guard_failed(&w, 502, NOW + 6 * MINUTE);
	guard_failed(&w, 503, 0);
	assert_int_equal(guard_failures(&w), 2);
}

static void gaps(void **state)
{
	static const struct {
		int64_t own[8], all[8];         /* 0 ends them */
		size_t count;
		int64_t missing, first, last;
	} rows[] = {
		{ { 0 }, { 0 }, 0, 0, 0, 0 },
		{ { 5 }, { 5 }, 0, 0, 0, 0 },
		{ { 5, 6, 7 }, { 5, 6, 7 }, 0, 0, 0, 0 },
		{ { 5, 5, 6 }, { 5, 5, 6 }, 0, 0, 0, 0 },
		{ { 5, 9 }, { 5, 9 }, 1, 3, 6, 8 },
		{ { 5, 9 }, { 5, 7, 9 }, 2, 2, 6, 6 },
		{ { 5, 9 }, { 1, 5, 6, 7, 8, 9, 11 }, 0, 0, 0, 0 },
		{ { 5, 9, 20 }, { 5, 6, 9, 19, 20 }, 2, 11, 7, 8 },
		/* The number before this look is own's first; all need not have it. */
		{ { 5, 9 }, { 8, 9 }, 1, 2, 6, 7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t own = 0, all = 0;
		struct gaps g;

		while (rows[i].own[own])
			own++;
		while (rows[i].all[all])
			all++;
		gaps_find(rows[i].own, own, rows[i].all, all, &g);
		assert_int_equal(g.count, rows[i].count);
		assert_int_equal(g.missing, rows[i].missing);
		if (g.count) {
			assert_int_equal(g.shown[0].first, rows[i].first);
			assert_int_equal(g.shown[0].last, rows[i].last);
		}
	}
}

static void many_gaps(void **state)
{
	int64_t own[100];
	struct gaps g;

	(void)state;
	for (int64_t i = 0; i < 100; i++)
		own[i] = 2 * i + 1;
	gaps_find(own, 100, own, 100, &g);
	assert_int_equal(g.count, 99);
	assert_int_equal(g.missing, 99);
	assert_int_equal(g.shown[GAPS_SHOWN - 1].first, 10);
}

static void kept(void **state)
{
	char directory[] = "/tmp/test_guard.XXXXXX", path[64];
	struct guard_state s, again;
	struct guard_webhook *w;
	struct error err = { "" };

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/guard.json", directory);
	assert_int_equal(guard_state_read(path, &s, &err), 0);
	assert_int_equal(s.count, 0);
	s.started_ms = NOW;
	s.log_row = INT64_C(9007199254740993);
	s.event = 12;
	s.notice = 11;
	w = guard_state_webhook(&s, "tickets");
	(void)snprintf(w->guid, sizeof(w->guid), "g");
	w->owner = 5;
	w->active_ms = NOW - 1;
	w->off_since_ms = NOW - 2;
	w->sequence = 77;
	w->gaps_to = 76;
	guard_switched_on(w, NOW - 3);
	guard_reactivated(w, NOW);
	guard_failed(w, 78, 0);
	(void)guard_state_webhook(&s, "contacts");
	assert_int_equal(guard_state_write(path, &s, &err), 0);
	assert_int_equal(guard_state_read(path, &again, &err), 0);
	assert_int_equal(again.started_ms, s.started_ms);
	assert_true(again.log_row == s.log_row && again.event == 12 && again.notice == 11);
	assert_int_equal(again.count, 2);
	assert_memory_equal(guard_state_webhook(&again, "tickets"), guard_state_webhook(&s, "tickets"), sizeof(*w));
	guard_state_free(&s);
	guard_state_free(&again);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

static void damaged(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "{\"webhooks\":[{\"webhook\":\"t\"}]} x" };
	char path[] = "/tmp/test_guard.XXXXXX";
	int fd = mkstemp(path);
	struct guard_state s;

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct error err = { "" };

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, texts[i], strlen(texts[i]), 0), (ssize_t)strlen(texts[i]));
		assert_int_equal(guard_state_read(path, &s, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "damaged"));
		assert_int_equal(s.count, 0);
	}
	close(fd);
	assert_int_equal(unlink(path), 0);
}

/* What came after the copy is to be fetched again, whatever was known; what was to be fetched since earlier stays so. */
static void a_restored_store_is_caught_up_with(void **state)
{
	const char *const titles[] = { "tickets", "companies" };
	struct guard_state s = { .log_row = 7, .log_known = 9, .log_seen = 8, .event = 50 };

	(void)state;
	guard_state_webhook(&s, "companies")->off_since_ms = 1000;
	guard_state_webhook(&s, "others")->off_since_ms = 0;
	guard_restored(&s, 60, 5000, 2000, titles, 2);
	assert_int_equal(s.restored, 60);
	assert_int_equal(s.restored_ms, 5000);
	assert_true(s.log_row == 0 && s.log_known == 0 && s.log_seen == 0);
	assert_int_equal(guard_state_webhook(&s, "tickets")->off_since_ms, 2000);
	assert_int_equal(guard_state_webhook(&s, "companies")->off_since_ms, 1000);
	assert_int_equal(guard_state_webhook(&s, "others")->off_since_ms, 0);
	assert_int_equal(s.event, 50);
	guard_state_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_in_a_day),
		cmocka_unit_test(moments_to_come),
		cmocka_unit_test(rows_are_read_again), cmocka_unit_test(not_too_often), cmocka_unit_test(failures),
		cmocka_unit_test(gaps), cmocka_unit_test(many_gaps), cmocka_unit_test(kept), cmocka_unit_test(a_restored_store_is_caught_up_with),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
