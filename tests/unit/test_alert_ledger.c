/* test_alert_ledger.c - what is raised is counted, limited, tried again, given up; on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/alert/private.h"

#define T0 INT64_C(1757948270000)
#define MINUTE_MS INT64_C(60000)
#define ALL (~0U)

static const struct conf_rate quarter = { 1, 15 * MINUTE_MS };
static int64_t delays[] = { 10000, 60000 };
static const struct conf_handler program = { .retry_ms = delays, .retry_count = 2 };

/* A ledger and a clock. */
struct desk {
	struct ledger l;
	int64_t now;
};

static int set_up(void **state)
{
	struct desk *d = calloc(1, sizeof(*d));

	if (!d)
		return -1;
	d->now = T0;
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void raise_some(struct desk *d, enum alert_kind kind, const char *object, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		(void)ledger_raise(&d->l, kind, object, 0, "a sentence", d->now);
}

/* What is due now, or NULL; *ret_ms when to look again. */
static struct entry *next(struct desk *d, struct conf_rate at_most, int64_t *ret_ms)
{
	int64_t ms;
	struct entry *e = ledger_next(&d->l, at_most, d->now, ret_ms ? ret_ms : &ms);

	ledger_tidy(&d->l, ALL, at_most, d->now);
	return e;
}

/* Let it come to the next alert, tell it, return how much it counted. */
static uint64_t tell(struct desk *d, struct conf_rate at_most)
{
	struct entry *e;
	int64_t at_ms;
	uint64_t count;

	(void)next(d, at_most, &at_ms);
	assert_true(at_ms != FOREVER);
	if (at_ms > d->now) {
		d->now = at_ms - 1;
		assert_null(next(d, at_most, NULL));
		d->now = at_ms;
	}
	e = next(d, at_most, NULL);
	assert_non_null(e);
	ledger_begin(e);
	count = e->running;
	ledger_told(&d->l, e, at_most, d->now);
	return count;
}

static void a_storm_is_one_alert(void **state)
{
	struct desk *d = *state;
	int64_t at_ms;

	assert_true(ledger_raise(&d->l, ALERT_SIGNATURE, "tickets", 0, "first", d->now));
	d->now += GATHER_MS - 1;
	assert_null(next(d, quarter, &at_ms));
	assert_true(at_ms == T0 + GATHER_MS);
	for (unsigned i = 1; i < 1000; i++)
		assert_false(ledger_raise(&d->l, ALERT_SIGNATURE, "tickets", 0, "last", d->now));
	assert_int_equal(ledger_untold(&d->l), 1);
	d->now++;
	assert_string_equal(next(d, quarter, NULL)->row.text, "last");
	assert_true(d->l.entries[0].row.since_ms == T0 && d->l.entries[0].row.last_ms == d->now - 1);
	assert_int_equal(tell(d, quarter), 1000);
	assert_int_equal(ledger_untold(&d->l), 0);
}

static void the_rest_is_counted_in_the_next(void **state)
{
	struct desk *d = *state;
	int64_t told, at_ms;

	raise_some(d, ALERT_FAILED, "page", 1);
	assert_int_equal(tell(d, quarter), 1);
	told = d->now;
	for (unsigned i = 0; i < 40; i++) {
		d->now += 10000;
		raise_some(d, ALERT_FAILED, "page", 2);
		assert_null(next(d, quarter, &at_ms));
		assert_true(at_ms == told + quarter.per_ms);
	}
	assert_int_equal(tell(d, quarter), 80);
	assert_true(d->now == told + quarter.per_ms);
	/* Nothing since: it may be told at once again when a quarter of an hour is over. */
	d->now += quarter.per_ms;
	raise_some(d, ALERT_FAILED, "page", 1);
	(void)next(d, quarter, &at_ms);
	assert_true(at_ms == d->now + GATHER_MS);
}

static void kinds_objects_and_levels_are_apart(void **state)
{
	struct desk *d = *state;

	raise_some(d, ALERT_FAILED, "page", 1);
	raise_some(d, ALERT_FAILED, "other", 2);
	raise_some(d, ALERT_PAUSED, "page", 3);
	(void)ledger_raise(&d->l, ALERT_UNAVAILABLE, "tickets", 50, "half", d->now);
	assert_true(ledger_raise(&d->l, ALERT_UNAVAILABLE, "tickets", 70, "more", d->now));
	assert_int_equal(ledger_untold(&d->l), 5);
	d->now += GATHER_MS;
	assert_int_equal(tell(d, quarter), 1);
	assert_int_equal(tell(d, quarter), 2);
	assert_int_equal(tell(d, quarter), 3);
	assert_int_equal(tell(d, quarter), 1);
	assert_int_equal(tell(d, quarter), 1);
	assert_true(d->now == T0 + GATHER_MS);          /* none waited for another */
}

static void at_most_may_be_several(void **state)
{
	const struct conf_rate three = { 3, MINUTE_MS };
	struct desk *d = *state;
	int64_t first = 0;

	for (unsigned i = 0; i < 10; i++) {
		raise_some(d, ALERT_DISK, "store", 1);
		assert_int_equal(tell(d, three), 1);
		if (i % 3 == 0) {
			assert_true(i == 0 || d->now - first >= three.per_ms);
			first = d->now;
		} else {
			assert_true(d->now - first < three.per_ms);
		}
	}
}

static void what_comes_during_a_run_is_told_after_it(void **state)
{
	const struct conf_rate open = { 1000, 100 };
	struct desk *d = *state;
	struct entry *e;

	raise_some(d, ALERT_FAILED, "page", 5);
	d->now += GATHER_MS;
	e = next(d, open, NULL);
	ledger_begin(e);
	d->now += 500;
	raise_some(d, ALERT_FAILED, "page", 3);
	d->now += 500;
	raise_some(d, ALERT_FAILED, "page", 1);
	ledger_told(&d->l, e, open, d->now);
	assert_true(e->row.count == 4 && e->row.since_ms == T0 + GATHER_MS + 500);
	assert_int_equal(tell(d, open), 4);
}

static void a_run_that_fails_is_tried_on_the_schedule_then_given_up(void **state)
{
	struct desk *d = *state;
	struct entry *e;
	int64_t at_ms;

	raise_some(d, ALERT_FAILED, "page", 2);
	d->now += GATHER_MS;
	for (unsigned i = 0; i < 3; i++) {
		e = next(d, quarter, NULL);
		assert_non_null(e);
		ledger_begin(e);
		raise_some(d, ALERT_FAILED, "page", i < 2);      /* told with the next try */
		assert_int_equal(ledger_failed(&d->l, e, &program, ALERT_FAILED_TO_TELL, d->now), i == 2);
		if (i == 2)
			break;
		assert_true(e->row.count == 3 + i);
		assert_null(next(d, quarter, &at_ms));
		assert_true(at_ms == d->now + delays[i]);
		d->now = at_ms;
	}
	assert_int_equal(ledger_untold(&d->l), 0);
	/* What comes then has all its tries again, and is not held back by what was never told. */
	raise_some(d, ALERT_FAILED, "page", 1);
	(void)next(d, quarter, &at_ms);
	assert_true(at_ms == d->now + GATHER_MS);
	assert_int_equal(d->l.entries[0].attempts, 0);
}

static void what_cannot_be_run_uses_no_try_up(void **state)
{
	struct desk *d = *state;
	int64_t waited = 0, at_ms;

	raise_some(d, ALERT_FAILED, "page", 1);
	d->now += GATHER_MS;
	for (unsigned i = 0; i < 100; i++) {
		struct entry *e = next(d, quarter, NULL);

		assert_non_null(e);
		ledger_begin(e);
		assert_false(ledger_failed(&d->l, e, &program, ALERT_NOT_RUN, d->now));
		(void)next(d, quarter, &at_ms);
		assert_true(at_ms - d->now >= waited && at_ms - d->now <= 300000);
		waited = at_ms - d->now;
		d->now = at_ms;
	}
	assert_true(waited == 300000);
	assert_int_equal(d->l.entries[0].attempts, 0);
}

static void giving_up_and_no_program(void **state)
{
	struct desk *d = *state;
	struct entry *e;

	raise_some(d, ALERT_FAILED, "page", 1);
	d->now += GATHER_MS;
	e = next(d, quarter, NULL);
	ledger_begin(e);
	assert_true(ledger_failed(&d->l, e, &program, ALERT_GIVEN_UP, d->now));
	raise_some(d, ALERT_FAILED, "page", 1);
	d->now += GATHER_MS;
	e = next(d, quarter, NULL);
	ledger_begin(e);
	assert_true(ledger_failed(&d->l, e, NULL, ALERT_NOT_RUN, d->now));
	assert_int_equal(ledger_untold(&d->l), 0);
}

static void only_wanted_kinds_stay(void **state)
{
	struct desk *d = *state;

	raise_some(d, ALERT_FAILED, "page", 1);
	raise_some(d, ALERT_DISK, "store", 1);
	ledger_tidy(&d->l, 1U << ALERT_DISK, quarter, d->now);
	assert_int_equal(ledger_untold(&d->l), 1);
	d->now += GATHER_MS;
	assert_int_equal(next(d, quarter, NULL)->row.kind, ALERT_DISK);
	ledger_tidy(&d->l, 0, quarter, d->now);
	assert_int_equal(d->l.count, 0);
}

static void memory_has_an_end(void **state)
{
	struct desk *d = *state;
	uint64_t others = 0;
	char object[32];

	for (unsigned i = 0; i < 10000; i++) {
		(void)snprintf(object, sizeof(object), "Ticket/%u", i);
		raise_some(d, i % 2 ? ALERT_LOOP : ALERT_FAILED, object, 1);
	}
	assert_true(d->l.count <= ALERTS_MAX + ALERT_KIND_COUNT_);
	for (size_t i = 0; i < d->l.count; i++)
		if (strcmp(d->l.entries[i].row.object, "*") == 0)
			others += d->l.entries[i].row.count;
	assert_int_equal(others, 10000 - ALERTS_MAX);
	d->now += GATHER_MS;
	while (ledger_untold(&d->l))
		(void)tell(d, quarter);
	/* When at-most's time is over, nothing is left of all that. */
	d->now += quarter.per_ms;
	(void)next(d, quarter, NULL);
	assert_int_equal(d->l.count, 0);
}

static void texts_are_cut_between_characters(void **state)
{
	struct desk *d = *state;
	char text[ALERT_TEXT_MAX + 100];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text + ALERT_TEXT_MAX - 2, "\xc3\xa4", 2);
	(void)ledger_raise(&d->l, ALERT_FAILED, "", 0, text, d->now);
	assert_int_equal(strlen(d->l.entries[0].row.text), ALERT_TEXT_MAX - 2);
	assert_string_equal(d->l.entries[0].row.object, "calloutd");
}

/* A restart: what waited is told, what was told lately is not told again so soon. */
static void restored_rows_keep_their_limits(void **state)
{
	const struct alert_row waits = { .kind = ALERT_FAILED, .object = "page", .since_ms = T0 - 60000, .last_ms = T0 - 1,
					 .count = 7, .text = "old" };
	const struct alert_row told = { .kind = ALERT_DISK, .object = "store", .window_ms = T0 - 60000, .told = 1 };
	const struct alert_row strange = { .kind = ALERT_KIND_COUNT_, .object = "x", .count = 1 };
	struct desk *d = *state;
	int64_t at_ms;

	raise_some(d, ALERT_FAILED, "page", 1);         /* while the store could not be read */
	ledger_restore(&d->l, &waits, d->now);
	ledger_restore(&d->l, &told, d->now);
	ledger_restore(&d->l, &strange, d->now);
	assert_true(d->l.entries[0].row.since_ms == T0 - 60000);
	assert_string_equal(d->l.entries[0].row.text, "a sentence");
	raise_some(d, ALERT_DISK, "store", 1);
	assert_int_equal(tell(d, quarter), 8);
	assert_null(next(d, quarter, &at_ms));
	assert_true(at_ms == T0 - 60000 + quarter.per_ms);
}

static void a_clock_set_back_holds_nothing_up(void **state)
{
	struct desk *d = *state;
	int64_t at_ms;

	raise_some(d, ALERT_FAILED, "page", 1);
	(void)tell(d, quarter);
	d->now -= 24 * 60 * MINUTE_MS;
	raise_some(d, ALERT_FAILED, "page", 1);
	(void)next(d, quarter, &at_ms);
	assert_true(at_ms == d->now + GATHER_MS);
}

/* ---- what the program gets ---- */

static void the_body_is_json_whatever_the_texts_are(void **state)
{
	struct alert_row r = { .kind = ALERT_FAILED, .object = "x\"y $(id)", .since_ms = T0, .last_ms = T0 + 5, .count = 3,
			       .text = "line\nbreak \"quoted\" \\ \xff" };
	char *body = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(alert_body(&r, false, &body, &len), 0);
	assert_int_equal(strlen(body), len);
	assert_non_null(strstr(body, "\"kind\":\"failed\""));
	assert_non_null(strstr(body, "\"object\":\"x\\\"y $(id)\""));
	assert_non_null(strstr(body, "\"text\":\"line\\nbreak \\\"quoted\\\" \\\\ \xef\xbf\xbd\""));
	assert_non_null(strstr(body, "\"count\":3"));
	/* No command about an object that nobody should type. */
	assert_non_null(strstr(body, "\"commands\":[]"));
	assert_non_null(strstr(body, "\"test\":false"));
	free(body);
	(void)snprintf(r.object, sizeof(r.object), "page");
	assert_int_equal(alert_body(&r, true, &body, &len), 0);
	assert_non_null(strstr(body, "\"calloutctl retry --failed --handler page\""));
	free(body);
}

static void kinds_have_names(void **state)
{
	char list[256] = "";

	(void)state;
	for (int k = 0; k < ALERT_KIND_COUNT_; k++) {
		char *body = NULL;
		size_t len, at = strlen(list);

		assert_int_equal(alert_kind_parse(alert_kind_name((enum alert_kind)k)), k);
		(void)snprintf(list + at, sizeof(list) - at, "%s%s", k ? " " : "", alert_kind_name((enum alert_kind)k));
		assert_int_equal(alerts_test_body((enum alert_kind)k, &body, &len), 0);
		assert_non_null(strstr(body, "\"test\":true"));
		free(body);
	}
	/* The configuration's words are these, in this order. */
	assert_string_equal(list, CONF_ALERT_KINDS);
	assert_true(alert_kind_parse("nonsense") < 0);
}

int main(void)
{
#define AT_DESK(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		AT_DESK(a_storm_is_one_alert),
		AT_DESK(the_rest_is_counted_in_the_next),
		AT_DESK(kinds_objects_and_levels_are_apart),
		AT_DESK(at_most_may_be_several),
		AT_DESK(what_comes_during_a_run_is_told_after_it),
		AT_DESK(a_run_that_fails_is_tried_on_the_schedule_then_given_up),
		AT_DESK(what_cannot_be_run_uses_no_try_up),
		AT_DESK(giving_up_and_no_program),
		AT_DESK(only_wanted_kinds_stay),
		AT_DESK(memory_has_an_end),
		AT_DESK(texts_are_cut_between_characters),
		AT_DESK(restored_rows_keep_their_limits),
		AT_DESK(a_clock_set_back_holds_nothing_up),
		cmocka_unit_test(the_body_is_json_whatever_the_texts_are),
		cmocka_unit_test(kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
