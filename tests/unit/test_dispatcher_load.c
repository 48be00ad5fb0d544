/* test_dispatcher_load.c - a hundred thousand waiting cost neither time nor memory. */
#include "dispatch_house.h"

#include <malloc.h>

#define MANY 100000
#define STUCK 1                         /* the record that never gets through */

static int stuck_fails(struct house *h, const struct start *s)
{
	(void)h;
	return s->id == STUCK ? 1 : 0;
}

static int stuck_runs(struct house *h, const struct start *s)
{
	(void)h;
	return s->id == STUCK ? KEEP_RUNNING : 0;
}

static size_t heap(void)
{
	return mallinfo2().uordblks;
}

/* From accepted and awake to started. */
static int64_t claim_ms(struct house *h, const char *handler, int64_t id)
{
	int64_t begun;

	accept_one(h, handler, id);
	begun = clock_mono_ms();
	while (h->actor.start_count == 0 || h->actor.starts[h->actor.start_count - 1].id != id) {
		assert_true(clock_mono_ms() - begun < DEADLINE_MS);
		turn(h);
	}
	return clock_mono_ms() - begun;
}

/* All of one record: its head fails (or hangs), the others of the handler go on behind it. */
static void one_record(const char *what, unsigned many,
		       int (*answer)(struct house *, const struct start *))
{
	struct house h;
	size_t before;
	int64_t begun, ms;

	house_ready(&h, ONE("retry = { \"1h\" }\n concurrency = 8") TWO(""), answer);
	accept_many(&h, "h", STUCK, 1, many);
	accept_many(&h, "h", 1000, 50, 50);
	before = heap();
	begun = clock_mono_ms();
	house_dispatch(&h);
	UNTIL(&h, done_of(&h, "h") == 50);
	ms = clock_mono_ms() - begun;
	print_message("%s: past %u waiting of one record in %lld ms, heap grew by %zd KiB\n", what, many,
		      (long long)ms, (ssize_t)(heap() - before) / 1024);
	assert_true((ssize_t)(heap() - before) < 1024 * 1024 * 4);
	ms = claim_ms(&h, "h", 5000);
	print_message("%s: another record is claimed in %lld ms\n", what, (long long)ms);
	assert_true(ms < 200);
	ms = claim_ms(&h, "g", 6000);
	assert_true(ms < 200);
	assert_int_equal(h.actor.start_count, 53);
	h.dispatcher = dispatcher_free(h.dispatcher);
	UNTIL(&h, h.actor.fd < 0);
	begun = clock_mono_ms();
	house_dispatch(&h);
	ms = claim_ms(&h, "h", 5001);
	print_message("%s: after a restart in %lld ms\n", what, (long long)ms);
	assert_true(ms < 500);
	assert_true(clock_mono_ms() - begun < 2000);
	house_close(&h);
}

static void one_record_fails(void **state)
{
	(void)state;
	one_record("failing head", MANY, stuck_fails);
}

static void one_record_hangs(void **state)
{
	(void)state;
	one_record("hanging head", MANY / 10, stuck_runs);
}

static void a_held_handler_costs_nothing(void **state)
{
	struct house h;
	size_t before;
	int64_t ms;

	(void)state;
	house_ready(&h, ONE("concurrency = 8") TWO(""), NULL);
	accept_many(&h, "h", 1, 1000, MANY);
	house_dispatch(&h);
	assert_int_equal(dispatcher_hold(h.dispatcher, "h", 0), 0);
	quiet(&h, 20);
	before = heap();
	ms = claim_ms(&h, "g", 7);
	assert_true(ms < 100);
	for (int64_t id = 1; id <= 100; id++)
		(void)claim_ms(&h, "g", id);
	assert_true((ssize_t)(heap() - before) < 1024 * 1024);
	house_close(&h);
}

static void thousands_of_records(void **state)
{
	struct house h;
	int64_t begun, ms;
	unsigned count = 4000;

	(void)state;
	house_ready(&h, ONE("concurrency = 8"), NULL);
	accept_many(&h, "h", 1, 3000, count);
	begun = clock_mono_ms();
	house_dispatch(&h);
	UNTIL(&h, h.actor.acks == count);
	ms = clock_mono_ms() - begun;
	print_message("%u attempts in %lld ms, %lld a second\n", count, (long long)ms,
		      (long long)count * 1000 / ms);
	for (size_t i = 0; i < count; i++)      /* the few records that come twice are in order */
		for (size_t k = i + 1; h.actor.starts[i].id <= 1000 && k < count; k++)
			if (h.actor.starts[k].id == h.actor.starts[i].id)
				assert_true(h.actor.starts[k].sequence > h.actor.starts[i].sequence);
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(thousands_of_records),
		cmocka_unit_test(one_record_fails),
		cmocka_unit_test(one_record_hangs),
		cmocka_unit_test(a_held_handler_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
