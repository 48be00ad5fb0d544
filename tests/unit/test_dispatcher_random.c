/*
 * test_dispatcher_random.c - hundreds of events of a few records with random ends: whatever
 * restarts, breaks or is killed, each is done once, in its record's order.
 */
#include "dispatch_house.h"

#include <sys/wait.h>

#define RECORDS 7
#define EVENTS 400

struct history {
	unsigned seed;
	int64_t last[RECORDS];          /* sequence of the last one done, per record */
	unsigned done;
	bool quick;                     /* no more failing */
};

static unsigned dice(struct history *t, unsigned sides)
{
	return (unsigned)rand_r(&t->seed) % sides;
}

/* Of what was done, a record's next must be its very next, and never one again. */
static void note_done(struct history *t, const struct start *s)
{
	int64_t *last = &t->last[s->id - 1];

	if (s->sequence != (*last ? *last + RECORDS : s->id))
		fail_msg("record %" PRId64 ": %" PRId64 " was done after %" PRId64, s->id, s->sequence, *last);
	*last = s->sequence;
	t->done++;
}

static int by_dice(struct house *h, const struct start *s)
{
	struct history *t = h->arg;

	switch (t->quick ? 9 : dice(t, 10)) {
	case 0:
		return 1;
	case 1:
		return dice(t, 12) ? 2 : EXIT_PAUSE;
	case 2:
	case 3:
	case 4:
		return KEEP_RUNNING;
	default:
		note_done(t, s);
		return 0;
	}
}

static void end_some(struct house *h)
{
	struct history *t = h->arg;

	for (struct run *r = h->actor.runs; r; r = r->next) {
		if (r->ended || (dice(t, 3) && !t->quick))
			continue;
		if (t->quick || dice(t, 4)) {
			note_done(t, &r->s);
			actor_end_as(&h->actor, r, WIRE_EXITED, 0);
		} else {
			actor_end_as(&h->actor, r, WIRE_SIGNALLED, 11);
		}
	}
}

#define RANDOM_CONF                                                                             \
	ONE("concurrency = 5\n retry = { \"10ms\", \"10ms\", \"20ms\", \"10ms\", \"10ms\", \"10ms\"," \
	    " \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\" }")

/* The dispatcher goes and comes, connections break; the journal lives on. */
static void random_restarts_keep_every_order(void **state)
{
	struct history t = { .seed = (unsigned)clock_now_ms() };
	struct house h;
	int64_t end = clock_mono_ms() + 4 * DEADLINE_MS;

	(void)state;
	print_message("seed %u\n", t.seed);
	house_begin(&h, RANDOM_CONF, by_dice);
	h.arg = &t;
	accept_many(&h, "h", 1, RECORDS, EVENTS / 2 / RECORDS * RECORDS);
	while (t.done < h.events || h.events < EVENTS / RECORDS * RECORDS) {
		assert_true(clock_mono_ms() < end);
		switch (dice(&t, 90)) {
		case 0:
			h.dispatcher = dispatcher_free(h.dispatcher);
			house_dispatch(&h);
			break;
		case 1:
			actor_hang_up(&h.actor);
			break;
		case 2:
			(void)dispatcher_release(h.dispatcher, "h");
			break;
		case 3 ... 12:
			if (h.events < EVENTS / RECORDS * RECORDS)
				accept_many(&h, "h", 1, RECORDS, RECORDS);
			break;
		default:
			end_some(&h);
		}
		t.quick = h.events >= EVENTS / RECORDS * RECORDS && t.done > h.events - 50;
		turn(&h);
	}
	UNTIL(&h, done_of(&h, "h") == t.done);
	house_close(&h);
}

/* ---- killed ---- */

/* A daemon in a process of its own, until it is killed. */
static void daemon_life(struct house *parent)
{
	struct house h = *parent;

	h.loop = NULL;
	if (loop_new(&h.loop) < 0)
		_exit(3);
	house_open_journal(&h);
	house_dispatch(&h);
	(void)loop_run(h.loop);
	_exit(4);
}

static pid_t spawn_daemon(struct house *h)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		daemon_life(h);
	return pid;
}

static void kill_daemon(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void killed_at_any_instruction(void **state)
{
	struct history t = { .seed = (unsigned)clock_now_ms() };
	struct house h;
	int64_t end;
	unsigned kills = 0;
	pid_t pid;

	(void)state;
	print_message("seed %u\n", t.seed);
	house_open(&h, RANDOM_CONF);
	h.arg = &t;
	h.actor.answer = by_dice;
	accept_many(&h, "h", 1, RECORDS, EVENTS / RECORDS * RECORDS);
	h.journal = journal_stop(h.journal);
	actor_listen(&h, "default");
	end = clock_mono_ms() + 6 * DEADLINE_MS;
	while (t.done < h.events) {
		int64_t until = clock_mono_ms() + 10 + dice(&t, 150);

		pid = spawn_daemon(&h);
		while (clock_mono_ms() < until && t.done < h.events) {
			assert_true(clock_mono_ms() < end);
			t.quick = t.done > h.events - 50;
			end_some(&h);
			turn(&h);
		}
		kill_daemon(pid);
		kills++;
	}
	print_message("%u kills\n", kills);
	assert_true(kills > 3);
	UNTIL(&h, h.actor.fd < 0);
	house_open_journal(&h);
	house_dispatch(&h);
	UNTIL(&h, done_of(&h, "h") == t.done);
	UNTIL(&h, !h.actor.runs);
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_restarts_keep_every_order),
		cmocka_unit_test(killed_at_any_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
