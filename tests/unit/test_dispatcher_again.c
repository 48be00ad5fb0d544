/* test_dispatcher_again.c - what is replayed: told as such at every attempt, in order, and nothing before it is laid out. */
#include "dispatch_house.h"

struct replay {
	const char *handler;
	int64_t first, last;
	unsigned made;
};

static int write_replay(struct store *s, void *arg)
{
	struct replay *p = arg;
	struct delivery_key keys[64] = { { 0 } };
	bool acted[64] = { false };
	size_t count = (size_t)(p->last - p->first + 1), seen = 0;
	int r;

	assert_true(count <= ARRAY_LEN(keys));
	for (size_t i = 0; i < count; i++)
		keys[i].event = p->first + (int64_t)i;
	r = store_again(s, &(struct again_step){ .what = AGAIN_REPLAY, .handler = p->handler, .keys = keys, .count = count,
						 .now_ms = clock_now_ms() }, acted, &seen);
	p->made = 0;
	for (size_t i = 0; i < seen; i++)
		p->made += acted[i];
	return r;
}

/* As admin does it. */
static unsigned replay(struct house *h, const char *handler, int64_t first, int64_t last)
{
	struct replay p = { .handler = handler, .first = first, .last = last };

	assert_int_equal(house_write(h, write_replay, &p), 0);
	dispatcher_store_changed(h->dispatcher);
	return p.made;
}

static int fail_first(struct house *h, const struct start *s)
{
	(void)h;
	return s->attempt == 1 ? 1 : 0;
}

/* A first attempt fails, the dispatcher is made anew, the second is told the same. */
static void a_replay_is_told_at_every_attempt(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"100ms\" }"), fail_first);
	accept_many(&h, "other", 1, 1, 2);
	assert_int_equal(replay(&h, "h", 1, 2), 2);
	UNTIL(&h, h.actor.start_count >= 1);
	h.dispatcher = dispatcher_free(h.dispatcher);
	UNTIL(&h, h.actor.fd < 0);
	house_dispatch(&h);
	UNTIL(&h, done_of(&h, "h") == 2);
	assert_true(h.actor.start_count >= 4);
	for (size_t i = 0; i < h.actor.start_count; i++) {
		assert_string_equal(h.actor.starts[i].source, "replay");
		assert_int_equal(h.actor.starts[i].event, i < h.actor.start_count - 2 ? 1 : 2);
		assert_false(h.actor.starts[i].late);
	}
	accept_one(&h, "h", 1);
	UNTIL(&h, done_of(&h, "h") == 3);
	assert_string_equal(h.actor.starts[h.actor.start_count - 1].source, "live");
	house_close(&h);
}

/* What runs while it is laid out makes the rest late; what comes meanwhile waits. */
static void nothing_starts_while_it_is_laid_out(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE(""), NULL);
	accept_many(&h, "other", 1, 1, 4);
	assert_int_equal(dispatcher_replaying(h.dispatcher, "nobody", 1000), -ENOENT);
	assert_int_equal(dispatcher_replaying(h.dispatcher, "h", 60000), 0);
	assert_int_equal(replay(&h, "h", 1, 2), 2);
	accept_one(&h, "h", 1);         /* 5, live */
	accept_one(&h, "h", 2);         /* 6, of another record */
	quiet(&h, 200);
	assert_int_equal(h.actor.start_count, 0);
	assert_int_equal(replay(&h, "h", 3, 4), 2);
	quiet(&h, 100);
	assert_int_equal(h.actor.start_count, 0);
	assert_int_equal(dispatcher_replaying(h.dispatcher, "h", 0), 0);
	UNTIL(&h, done_of(&h, "h") == 6);
	for (size_t i = 0, before = 0; i < h.actor.start_count; i++) {
		if (h.actor.starts[i].event == 6)
			continue;
		assert_int_equal(h.actor.starts[i].event, (int64_t)++before);
		assert_string_equal(h.actor.starts[i].source, before == 5 ? "live" : "replay");
		assert_false(h.actor.starts[i].late);
	}
	/* Whoever lays it out may die. */
	assert_int_equal(dispatcher_replaying(h.dispatcher, "h", 100), 0);
	accept_one(&h, "h", 3);
	UNTIL(&h, done_of(&h, "h") == 7);
	house_close(&h);
}

static void what_is_overtaken_is_late(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE(""), NULL);
	accept_one(&h, "other", 1);     /* 1 */
	accept_one(&h, "h", 1);         /* 2 */
	accept_one(&h, "other", 1);     /* 3 */
	UNTIL(&h, done_of(&h, "h") == 1);
	assert_int_equal(replay(&h, "h", 1, 3), 2);
	UNTIL(&h, done_of(&h, "h") == 3);
	assert_true(h.actor.starts[1].event == 1 && h.actor.starts[1].late);
	assert_true(h.actor.starts[2].event == 3 && !h.actor.starts[2].late);
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replay_is_told_at_every_attempt),
		cmocka_unit_test(nothing_starts_while_it_is_laid_out),
		cmocka_unit_test(what_is_overtaken_is_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
