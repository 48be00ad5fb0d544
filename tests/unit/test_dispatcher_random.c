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
	unsigned done, runs;
	size_t largest;                 /* events of one run */
	bool quick;                     /* no more failing */
};

static unsigned dice(struct history *t, unsigned sides)
{
	return (unsigned)rand_r(&t->seed) % sides;
}

/* Of what was done, a record's next must be its very next, and never one again. */
static void note_one(struct history *t, int64_t id, int64_t sequence)
{
	int64_t *last = &t->last[id - 1];

	if (sequence != (*last ? *last + RECORDS : id))
		fail_msg("record %" PRId64 ": %" PRId64 " was done after %" PRId64, id, sequence, *last);
	*last = sequence;
	t->done++;
}

static void note_done(struct history *t, const struct start *s)
{
	for (size_t i = 0; i < s->part_count; i++)
		note_one(t, s->parts[i].id, s->parts[i].sequence);
	if (!s->parts)
		note_one(t, s->id, s->sequence);
	t->runs++;
	if (s->part_count > t->largest)
		t->largest = s->part_count;
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

#define SETTINGS                                                                                \
	"loop-limit = \"none\"\n concurrency = 5\n retry = { \"10ms\", \"10ms\", \"20ms\", \"10ms\", \"10ms\", \"10ms\"," \
	    " \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\" }"

#define ALONE ONE(SETTINGS)
#define TOGETHER ONE(SETTINGS "\n collect = \"20ms\"\n collect-max = 9")
#define FEW_TOGETHER ONE(SETTINGS "\n collect = \"20ms\"\n collect-max = 3")
#define BY_RECORD ONE(SETTINGS "\n collect = \"20ms\"\n collect-max = 9\n collect-by = \"record\"")

/* The dispatcher goes and comes, connections break; the journal lives on. */
static void random_restarts(const char *conf, struct history *ret)
{
	struct history t = { .seed = (unsigned)clock_now_ms() };
	struct house h;
	int64_t end = clock_mono_ms() + 4 * DEADLINE_MS;

	print_message("seed %u\n", t.seed);
	house_begin(&h, conf, by_dice);
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
	*ret = t;
}

static void random_restarts_keep_every_order(void **state)
{
	struct history t;

	(void)state;
	random_restarts(ALONE, &t);
	assert_int_equal(t.runs, t.done);
}

static void random_restarts_with_collect(void **state)
{
	struct history t;

	(void)state;
	random_restarts(TOGETHER, &t);
	print_message("%u events in %u runs, at most %zu in one\n", t.done, t.runs, t.largest);
	assert_in_range(t.largest, 2, 9);
	assert_true(t.runs < t.done);
}

static void random_restarts_with_collect_by_record(void **state)
{
	struct history t;

	(void)state;
	random_restarts(BY_RECORD, &t);
	print_message("%u events in %u runs, at most %zu in one\n", t.done, t.runs, t.largest);
	assert_in_range(t.largest, 2, 9);
	assert_true(t.runs < t.done);
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

/* A life ends at random, and after few events also where all is done in no time. */
static void killed(const char *conf)
{
	struct history t = { .seed = (unsigned)clock_now_ms() };
	struct house h;
	int64_t end;
	unsigned kills = 0;
	pid_t pid;

	print_message("seed %u\n", t.seed);
	house_open(&h, conf);
	h.arg = &t;
	h.actor.answer = by_dice;
	accept_many(&h, "h", 1, RECORDS, EVENTS / RECORDS * RECORDS);
	h.journal = journal_stop(h.journal);
	actor_listen(&h, "default");
	end = clock_mono_ms() + 6 * DEADLINE_MS;
	while (t.done < h.events) {
		int64_t until = clock_mono_ms() + 10 + dice(&t, 150);
		unsigned enough = t.done + 1 + dice(&t, 50);

		pid = spawn_daemon(&h);
		while (clock_mono_ms() < until && t.done < enough && t.done < h.events) {
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

static void killed_at_any_instruction(void **state)
{
	(void)state;
	killed(ALONE);
}

static void killed_at_any_instruction_with_collect(void **state)
{
	(void)state;
	killed(FEW_TOGETHER);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_restarts_keep_every_order),
		cmocka_unit_test(random_restarts_with_collect),
		cmocka_unit_test(random_restarts_with_collect_by_record),
		cmocka_unit_test(killed_at_any_instruction),
		cmocka_unit_test(killed_at_any_instruction_with_collect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
