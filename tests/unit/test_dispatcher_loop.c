/* test_dispatcher_loop.c - a record whose events come too often is held, alone, until somebody lets it go. */
#include "dispatch_house.h"

#include "../../src/dispatch/private.h"

static void restart(struct house *h)
{
	h->dispatcher = dispatcher_free(h->dispatcher);
	UNTIL(h, h->actor.fd < 0);
	house_dispatch(h);
}

/* "Ticket/1@5 ": what is held, from which event on. Returns dst. */
static const char *held(struct house *h, char *dst, size_t cap)
{
	AUTO(free) struct held_record *list = NULL;
	size_t count = 0, n = 0;

	dst[0] = '\0';
	assert_int_equal(dispatcher_held_records(h->dispatcher, &list, &count), 0);
	for (size_t i = 0; i < count && n < cap; i++) {
		assert_string_equal(list[i].handler, "h");
		n += (size_t)snprintf(dst + n, cap - n, "%s@%" PRId64 " ", list[i].record, list[i].event);
	}
	return dst;
}

static bool holds(struct house *h, const char *wanted)
{
	char text[512];

	return strcmp(held(h, text, sizeof(text)), wanted) == 0;
}

struct going {
	const char *record;
	unsigned count;
};

static int write_let_go(struct store *s, void *arg)
{
	struct going *g = arg;

	return store_let_go(s, "h", g->record, clock_now_ms(), &g->count);
}

/* As admin does it. */
static unsigned let_go(struct house *h, const char *record)
{
	struct going g = { .record = record };

	assert_int_equal(dispatcher_let_go(h->dispatcher, "h", record), 0);
	assert_int_equal(house_write(h, write_let_go, &g), 0);
	dispatcher_store_changed(h->dispatcher);
	return g.count;
}

static int take_why(void *arg, const struct delivery *d)
{
	assert_int_equal(d->state, DELIVERY_PARKED);
	*(enum park_why *)arg = d->why;
	return 0;
}

static enum park_why why_of(struct house *h, int64_t event)
{
	enum park_why why = PARK_RETRY;
	struct reader *r = NULL;
	struct error err;

	assert_int_equal(reader_open(h->directory, &r, &err), 0);
	assert_int_equal(reader_deliveries(r, event, take_why, &why), 0);
	(void)reader_close(r);
	return why;
}

static void a_record_with_too_many_is_held_alone(void **state)
{
	struct house h;
	char text[128];

	(void)state;
	house_begin(&h, ONE("loop-limit = \"3/1h\""), NULL);
	accept_many(&h, "h", 1, 2, 6);          /* 1 2 1 2 1 2: three each are fine */
	UNTIL(&h, done_of(&h, "h") == 6);
	assert_true(holds(&h, ""));
	accept_many(&h, "h", 1, 1, 3);          /* events 7 8 9 */
	accept_many(&h, "h", 3, 1, 3);
	UNTIL(&h, done_of(&h, "h") == 9);
	UNTIL(&h, holds(&h, "Ticket/1@7 "));
	quiet(&h, 200);
	assert_string_equal(started(&h, 1, text, sizeof(text)), "1 3 5 ");
	assert_string_equal(started(&h, 3, text, sizeof(text)), "10 11 12 ");
	assert_int_equal(why_of(&h, 7), PARK_HELD);
	assert_int_equal(why_of(&h, 9), PARK_BLOCKED);
	assert_int_equal(attempts_of(&h, 7).count, 0);
	/* A restart changes nothing, though counting begins anew. */
	restart(&h);
	accept_one(&h, "h", 1);
	accept_one(&h, "h", 4);
	UNTIL(&h, done_of(&h, "h") == 10);
	quiet(&h, 150);
	assert_true(holds(&h, "Ticket/1@7 "));
	/* Let go, all that waits runs, in order; what comes later is counted again. */
	assert_int_equal(let_go(&h, "Ticket/2"), 0);
	assert_int_equal(let_go(&h, "Ticket/1"), 1);
	UNTIL(&h, done_of(&h, "h") == 14);
	assert_string_equal(started(&h, 1, text, sizeof(text)), "1 3 5 7 8 9 13 ");
	assert_true(holds(&h, ""));
	accept_many(&h, "h", 1, 1, 4);
	UNTIL(&h, holds(&h, "Ticket/1@18 "));
	UNTIL(&h, done_of(&h, "h") == 17);
	house_close(&h);
}

static void none_means_none(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("loop-limit = \"none\""), NULL);
	accept_many(&h, "h", 1, 1, 100);
	UNTIL(&h, done_of(&h, "h") == 100);
	assert_true(holds(&h, ""));
	house_close(&h);
}

static int fails_often(struct house *h, const struct start *s)
{
	(void)h;
	return s->attempt < 6;
}

/* One event tried often is one event. */
static void retries_do_not_count(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("loop-limit = \"2/1h\"\n retry = { \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\" }"), fails_often);
	accept_many(&h, "h", 1, 1, 2);
	UNTIL(&h, done_of(&h, "h") == 2);
	assert_int_equal(h.actor.start_count, 12);
	house_close(&h);
}

static void time_passes(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("loop-limit = \"2/300ms\""), NULL);
	accept_many(&h, "h", 1, 1, 2);
	UNTIL(&h, done_of(&h, "h") == 2);
	quiet(&h, 320);
	accept_many(&h, "h", 1, 1, 2);
	UNTIL(&h, done_of(&h, "h") == 4);
	assert_true(holds(&h, ""));
	house_close(&h);
}

/* A run may be for some of a record's events, when the next one is too many. */
static void collected_runs_go_without(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("loop-limit = \"2/1h\"\n collect = \"150ms\""), keep);
	accept_many(&h, "h", 1, 2, 3);          /* 1 2 1 */
	accept_many(&h, "h", 1, 1, 3);          /* 1 1 1: one too many, and those behind */
	UNTIL(&h, h.actor.running == 1);
	assert_int_equal(h.actor.starts[0].part_count, 3);
	UNTIL(&h, h.actor.running == 1 && view_of(&h, "h").running == 3);
	h.actor.answer = NULL;
	actor_end(&h.actor, "h", 1, 0);
	UNTIL(&h, holds(&h, "Ticket/1@4 "));
	quiet(&h, 200);
	assert_int_equal(done_of(&h, "h"), 3);
	assert_int_equal(h.actor.start_count, 1);
	assert_int_equal(let_go(&h, NULL), 1);
	UNTIL(&h, done_of(&h, "h") == 6);
	assert_int_equal(h.actor.start_count, 2);
	assert_int_equal(h.actor.starts[1].part_count, 3);
	house_close(&h);
}

/* ---- the brake by itself ---- */

static void counts_are_exact(void **state)
{
	struct brake b = { .limit = { 0, 0 } };
	int64_t event = 0;

	(void)state;
	assert_true(brake_lets(&b, 1, 1, 1));
	brake_set(&b, (struct conf_rate){ 20, 600000 });
	for (int i = 0; i < 20; i++)
		assert_true(brake_lets(&b, 7, ++event, 1000 + i * 25000));
	assert_true(brake_lets(&b, 7, event, 1000000));         /* counted already */
	assert_false(brake_lets(&b, 7, event + 1, 600999));
	assert_false(brake_lets(&b, 7, event + 1, 600999));     /* asked again, the same */
	assert_true(brake_lets(&b, 8, event + 1, 600999));      /* another record */
	assert_true(brake_lets(&b, 7, event + 1, 601000));      /* the first is 10 minutes old */
	assert_false(brake_lets(&b, 7, event + 2, 601001));
	brake_set(&b, (struct conf_rate){ 20, 600000 });        /* the same: remembered */
	assert_false(brake_lets(&b, 7, event + 2, 601001));
	brake_forgive(&b, NULL, event + 2);
	assert_true(brake_lets(&b, 7, event + 2, 601001));
	assert_false(brake_lets(&b, 7, event + 3, 601001));
	assert_true(brake_lets(&b, 7, event + 3, 500));         /* the clock was set back */
	brake_set(&b, (struct conf_rate){ 1, 100 });
	assert_true(brake_lets(&b, 7, event + 4, 601001));
	assert_false(brake_lets(&b, 7, event + 5, 601001));
	brake_free(&b);
}

/* Many records: the table stays small, and the busy one is not forgotten. */
static void memory_is_bounded(void **state)
{
	struct brake b = { .limit = { 0, 0 } };
	int64_t event = 0;
	bool lets = true;

	(void)state;
	brake_set(&b, (struct conf_rate){ 20, 600000 });
	for (uint64_t i = 0; i < 200000; i++) {
		assert_true(brake_lets(&b, 0x9e3779b97f4a7c15 * (i + 1), ++event, 5));
		if (i % 5000 == 0 && i < 100000)
			assert_true(brake_lets(&b, 7, ++event, 5));
		else if (i == 104000)
			lets = brake_lets(&b, 7, ++event, 5);
	}
	assert_false(lets);
	assert_true(b.count <= b.most);
	assert_in_range(b.most, 8000, 20000);
	brake_free(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_with_too_many_is_held_alone),
		cmocka_unit_test(none_means_none),
		cmocka_unit_test(retries_do_not_count),
		cmocka_unit_test(time_passes),
		cmocka_unit_test(collected_runs_go_without),
		cmocka_unit_test(counts_are_exact),
		cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
