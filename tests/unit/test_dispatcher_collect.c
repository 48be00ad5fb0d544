/* test_dispatcher_collect.c - runs of several events: when, for which, and what follows from their end. */
#include "dispatch_house.h"

#include "dispatch/collected.h"

static void restart(struct house *h)
{
	h->dispatcher = dispatcher_free(h->dispatcher);
	UNTIL(h, h->actor.fd < 0);
	house_dispatch(h);
}

/* "1 2 3 ": the sequences of one START. Returns dst. */
static const char *parts(const struct house *h, size_t start, char *dst, size_t cap)
{
	const struct start *s = &h->actor.starts[start];
	size_t n = 0;

	dst[0] = '\0';
	assert_true(start < h->actor.start_count);
	for (size_t i = 0; i < s->part_count && n < cap; i++)
		n += (size_t)snprintf(dst + n, cap - n, "%" PRId64 " ", s->parts[i].sequence);
	return dst;
}

#define ASSERT_PARTS(h, start, wanted)                                  \
	do {                                                            \
		char text_[512];                                        \
		assert_string_equal(parts(h, start, text_, sizeof(text_)), wanted); \
	} while (0)

/* ---- when, and for which ---- */

static void events_are_collected_in_order(void **state)
{
	struct house h;
	int64_t begun;

	(void)state;
	house_begin(&h, ONE("collect = \"300ms\""), NULL);
	begun = clock_mono_ms();
	accept_many(&h, "h", 1, 3, 5);          /* 1 2 3 1 2 */
	quiet(&h, 100);
	assert_int_equal(h.actor.start_count, 0);
	assert_true(view_of(&h, "h").next_ms > 0);
	accept_one(&h, "h", 9);                 /* younger: does not wait for itself */
	UNTIL(&h, done_of(&h, "h") == 6);
	assert_int_equal(h.actor.start_count, 1);
	assert_true(h.actor.starts[0].at_ms - begun >= 290);
	ASSERT_PARTS(&h, 0, "1 2 3 4 5 6 ");
	accept_one(&h, "h", 1);                 /* one alone is an array too */
	UNTIL(&h, done_of(&h, "h") == 7);
	ASSERT_PARTS(&h, 1, "7 ");
	for (int64_t event = 1; event <= 7; event++)
		assert_int_equal(attempts_of(&h, event).count, 1);
	assert_true(view_of(&h, "h").next_ms == 0);
	house_close(&h);
}

static void by_record(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"100ms\"\n collect-by = \"record\""), NULL);
	accept_many(&h, "h", 1, 3, 8);          /* 1 2 3 1 2 3 1 2 */
	UNTIL(&h, done_of(&h, "h") == 8);
	assert_int_equal(h.actor.start_count, 3);
	ASSERT_PARTS(&h, 0, "1 4 7 ");
	ASSERT_PARTS(&h, 1, "2 5 8 ");
	ASSERT_PARTS(&h, 2, "3 6 ");
	house_close(&h);
}

/* Its events stand far apart, further than is read ahead. */
static void by_record_beyond_the_window(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"100ms\"\n collect-by = \"record\"\n collect-max = 20\n concurrency = 4"),
		    NULL);
	accept_many(&h, "h", 1, 300, 1500);
	UNTIL(&h, done_of(&h, "h") == 1500);
	assert_int_equal(h.actor.start_count, 300);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(h.actor.starts[i].part_count, 5);
	house_close(&h);
}

static void as_many_as_there_may_be_do_not_wait(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"1h\"\n collect-max = 100"), NULL);
	accept_many(&h, "h", 1, 1000, 250);
	UNTIL(&h, done_of(&h, "h") == 200);
	quiet(&h, 150);
	assert_int_equal(h.actor.start_count, 2);
	assert_int_equal(h.actor.starts[0].part_count, 100);
	assert_int_equal(h.actor.starts[1].part_count, 100);
	assert_int_equal(view_of(&h, "h").running, 0);
	house_close(&h);
}

static void as_many_of_one_record(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"1h\"\n collect-max = 4\n collect-by = \"record\"\n loop-limit = \"none\""), NULL);
	accept_many(&h, "h", 1, 7, 7);
	accept_many(&h, "h", 3, 1, 5);
	UNTIL(&h, done_of(&h, "h") == 4);
	quiet(&h, 150);
	assert_int_equal(h.actor.start_count, 1);
	ASSERT_PARTS(&h, 0, "3 8 9 10 ");
	house_close(&h);
}

static void others_of_a_record_wait_for_the_run(void **state)
{
	struct house h;
	char text[64];

	(void)state;
	house_begin(&h, ONE("collect = \"50ms\"\n concurrency = 4"), keep);
	accept_many(&h, "h", 1, 2, 3);          /* 1 2 1 */
	UNTIL(&h, h.actor.running == 1);
	ASSERT_PARTS(&h, 0, "1 2 3 ");
	accept_one(&h, "h", 2);
	accept_one(&h, "h", 5);
	UNTIL(&h, h.actor.running == 2);
	ASSERT_PARTS(&h, 1, "5 ");
	quiet(&h, 150);
	assert_int_equal(h.actor.running, 2);
	assert_int_equal(view_of(&h, "h").running, 4);
	h.actor.answer = NULL;
	actor_end(&h.actor, "h", 1, 0);
	UNTIL(&h, h.actor.start_count == 3);
	assert_string_equal(parts(&h, 2, text, sizeof(text)), "4 ");
	actor_end(&h.actor, "h", 5, 0);
	UNTIL(&h, done_of(&h, "h") == 5);
	house_close(&h);
}

/* ---- what follows ---- */

static int fails_with_2(struct house *h, const struct start *s)
{
	(void)h;
	return is_for(s, 2) ? 1 : 0;
}

/* Twice together, then one by one: the bad one fails, and only it. */
static void one_bad_event_fails_alone(void **state)
{
	struct attempt_list list;
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"50ms\"\n retry = { \"30ms\", \"30ms\", \"30ms\" }"), fails_with_2);
	accept_many(&h, "h", 1, 4, 5);          /* 1 2 3 4 1 */
	UNTIL(&h, done_of(&h, "h") == 4 && failed_of(&h, "h") == 1);
	ASSERT_PARTS(&h, 0, "1 2 3 4 5 ");
	ASSERT_PARTS(&h, 1, "1 2 3 4 5 ");
	assert_int_equal(h.actor.starts[1].parts[4].attempt, 2);
	assert_int_equal(h.actor.start_count, 2 + 5 + 1);       /* and its fourth and last */
	for (size_t i = 2; i < h.actor.start_count; i++)
		assert_int_equal(h.actor.starts[i].part_count, 1);
	list = attempts_of(&h, 5);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.results[1], ATTEMPT_RETRY);
	assert_int_equal(list.results[2], ATTEMPT_DONE);
	list = attempts_of(&h, 2);
	assert_int_equal(list.count, 4);
	assert_int_equal(list.numbers[3], 4);
	house_close(&h);
}

/* With a short schedule the last attempt is one alone. */
static void nothing_is_given_up_in_company(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"50ms\"\n retry = { \"30ms\" }"), fails_with_2);
	accept_many(&h, "h", 1, 3, 3);
	UNTIL(&h, done_of(&h, "h") == 2 && failed_of(&h, "h") == 1);
	assert_int_equal(h.actor.start_count, 4);
	house_close(&h);
}

static int gives_up(struct house *h, const struct start *s)
{
	(void)h;
	(void)s;
	return EXIT_GIVE_UP;
}

static void giving_up_is_for_all(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"30ms\""), gives_up);
	accept_many(&h, "h", 1, 2, 5);
	UNTIL(&h, failed_of(&h, "h") == 5);
	assert_int_equal(h.actor.start_count, 1);
	assert_int_equal(attempts_of(&h, 5).results[0], ATTEMPT_GAVE_UP);
	house_close(&h);
}

static int pauses_twice(struct house *h, const struct start *s)
{
	(void)s;
	return h->actor.start_count <= 2 ? EXIT_PAUSE : 0;
}

/* The far side is down: one event probes, then all go on together, with no attempt used up. */
static void a_pause_is_for_all_and_one_probes(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"30ms\"\n retry = { \"100ms\" }"), pauses_twice);
	accept_many(&h, "h", 1, 3, 6);
	UNTIL(&h, done_of(&h, "h") == 6);
	ASSERT_PARTS(&h, 0, "1 2 3 4 5 6 ");
	assert_int_equal(h.actor.starts[1].part_count, 1);
	assert_int_equal(h.actor.starts[2].part_count, 1);
	/* The next of the probe's record may come by itself, when the probe's end is durable. */
	assert_in_range(h.actor.starts[3].part_count, 4, 5);
	assert_in_range(h.actor.start_count, 4, 5);
	for (size_t i = 0; i < h.actor.start_count; i++)
		assert_int_equal(h.actor.starts[i].attempt, 1);
	house_close(&h);
}

/* Many records, but one run that failed: no reason to pause. */
static int fails_twice(struct house *h, const struct start *s)
{
	(void)s;
	return h->actor.start_count <= 2;
}

static void a_failed_run_counts_once(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"30ms\"\n retry = { \"20ms\", \"20ms\", \"20ms\" }"), fails_twice);
	accept_many(&h, "h", 1, 50, 50);
	UNTIL(&h, h.actor.start_count >= 2);
	assert_int_equal(view_of(&h, "h").state.pause_until_ms, 0);
	UNTIL(&h, done_of(&h, "h") == 50);
	assert_int_equal(h.actor.start_count, 52);
	house_close(&h);
}

struct words {
	unsigned count;
	char text[256];
};

static int take_words(void *arg, const struct attempt *a)
{
	struct words *w = arg;

	w->count++;
	(void)snprintf(w->text, sizeof(w->text), "%.*s", (int)a->a.err_len, a->a.err ? (const char *)a->a.err : "");
	return 0;
}

static void output_is_kept_with_the_first(void **state)
{
	struct reader *r = NULL;
	struct error err;
	struct words w[2] = { { 0, "" }, { 0, "" } };
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"30ms\""), NULL);
	accept_many(&h, "h", 1, 5, 5);
	UNTIL(&h, done_of(&h, "h") == 5);
	assert_int_equal(reader_open(h.directory, &r, &err), 0);
	assert_int_equal(reader_attempts(r, 1, take_words, &w[0]), 0);
	assert_int_equal(reader_attempts(r, 5, take_words, &w[1]), 0);
	(void)reader_close(r);
	assert_string_equal(w[0].text, "said");
	assert_string_equal(w[1].text, "(one run of 5 events: its output is with event 1)\n");
	house_close(&h);
}

/* ---- when something goes away ---- */

static void a_run_goes_on_through_a_restart(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"50ms\"\n concurrency = 4"), keep);
	accept_many(&h, "h", 1, 3, 6);
	UNTIL(&h, h.actor.running == 1);
	restart(&h);
	UNTIL(&h, view_of(&h, "h").running == 6);
	accept_many(&h, "h", 1, 3, 3);
	quiet(&h, 200);
	assert_int_equal(h.actor.start_count, 1);
	h.actor.answer = NULL;
	actor_end(&h.actor, "h", 3, 0);
	UNTIL(&h, done_of(&h, "h") == 9);
	ASSERT_PARTS(&h, 1, "7 8 9 ");
	for (int64_t event = 1; event <= 9; event++)
		assert_int_equal(attempts_of(&h, event).count, 1);
	house_close(&h);
}

static void its_result_waits_for_the_daemon(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"50ms\""), keep);
	accept_many(&h, "h", 1, 3, 6);
	UNTIL(&h, h.actor.running == 1);
	h.dispatcher = dispatcher_free(h.dispatcher);
	UNTIL(&h, h.actor.fd < 0);
	actor_end(&h.actor, "h", 1, 0);
	h.actor.keeps_all = true;
	house_dispatch(&h);
	UNTIL(&h, h.actor.acks == 1);
	assert_int_equal(done_of(&h, "h"), 6);
	h.actor.answer = NULL;
	restart(&h);                            /* told again, it changes nothing */
	accept_one(&h, "h", 9);
	UNTIL(&h, done_of(&h, "h") == 7 && h.actor.acks == 3);
	assert_int_equal(attempts_of(&h, 6).count, 1);
	assert_int_equal(h.actor.start_count, 2);
	house_close(&h);
}

static void a_crashed_runner_interrupts_all(void **state)
{
	struct attempt_list list;
	struct house h;

	(void)state;
	house_begin(&h, ONE("collect = \"50ms\""), keep);
	accept_many(&h, "h", 1, 2, 6);
	UNTIL(&h, h.actor.running == 1);
	h.actor.answer = NULL;
	actor_crash(&h.actor);
	UNTIL(&h, done_of(&h, "h") == 6);
	assert_int_equal(h.actor.start_count, 2);
	ASSERT_PARTS(&h, 1, "1 2 3 4 5 6 ");    /* the blocked ones too */
	for (int64_t event = 1; event <= 6; event++) {
		list = attempts_of(&h, event);
		assert_int_equal(list.count, 2);
		assert_int_equal(list.results[0], ATTEMPT_INTERRUPTED);
		assert_int_equal(list.results[1], ATTEMPT_DONE);
		assert_int_equal(list.numbers[1], 1);
	}
	house_close(&h);
}

static void a_refused_run_is_started_again(void **state)
{
	struct house h;

	(void)state;
	house_ready(&h, ONE("collect = \"50ms\""), NULL);
	h.actor.refuse = WIRE_BUSY;
	house_dispatch(&h);
	accept_many(&h, "h", 1, 2, 6);
	quiet(&h, 200);
	assert_int_equal(h.actor.start_count, 0);
	h.actor.refuse = 0;
	UNTIL(&h, done_of(&h, "h") == 6);
	ASSERT_PARTS(&h, 0, "1 2 3 4 5 6 ");
	house_close(&h);
}

/* Nothing waits: nobody is woken. While something waits: once, when it is time. */
static void waiting_costs_no_turns(void **state)
{
	struct house h;
	unsigned turns = 0;
	int64_t end;

	(void)state;
	house_begin(&h, ONE("collect = \"700ms\""), NULL);
	accept_many(&h, "h", 1, 20, 20);
	quiet(&h, 250);
	end = clock_mono_ms() + 300;
	while (clock_mono_ms() < end) {
		assert_true(sd_event_run(loop_event(h.loop), 20000) >= 0);
		turns++;
	}
	assert_in_range(turns, 10, 16);         /* our own time-outs of 20 ms */
	UNTIL(&h, done_of(&h, "h") == 20);
	assert_int_equal(h.actor.start_count, 1);
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_collected_in_order),
		cmocka_unit_test(by_record),
		cmocka_unit_test(by_record_beyond_the_window),
		cmocka_unit_test(as_many_as_there_may_be_do_not_wait),
		cmocka_unit_test(as_many_of_one_record),
		cmocka_unit_test(others_of_a_record_wait_for_the_run),
		cmocka_unit_test(one_bad_event_fails_alone),
		cmocka_unit_test(nothing_is_given_up_in_company),
		cmocka_unit_test(giving_up_is_for_all),
		cmocka_unit_test(a_pause_is_for_all_and_one_probes),
		cmocka_unit_test(a_failed_run_counts_once),
		cmocka_unit_test(output_is_kept_with_the_first),
		cmocka_unit_test(a_run_goes_on_through_a_restart),
		cmocka_unit_test(its_result_waits_for_the_daemon),
		cmocka_unit_test(a_crashed_runner_interrupts_all),
		cmocka_unit_test(a_refused_run_is_started_again),
		cmocka_unit_test(waiting_costs_no_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
