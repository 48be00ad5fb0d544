/*
 * Sudden deaths in the middle of forgetting: the store is whole, what was to be kept is there, and who forgets
 * once more finds nothing left in any file.
 */
#include "test_store_marks.h"

#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 8
#define EACH 40                 /* records a round at most, before others are forgotten */
#define RECORDS_MAX 100000

static uint32_t roll(uint32_t *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 17;
	*dice ^= *dice << 5;
	return *dice;
}

/* Said through the pipe: id is stored; -id: it is about to be forgotten. */
static void say(int out, int64_t id)
{
	if (write(out, &id, sizeof(id)) != (ssize_t)sizeof(id))
		_exit(6);
}

static void forget_one(struct home *h, int64_t id, uint32_t *dice)
{
	struct forget f = { .entity = "Ticket", .id = id, .now_ms = T0 };

	forget_all(h->s, &f);
	forget_release(&f);
	/* Now and then it begins anew before it was done, as a second `calloutctl forget` would have it. */
	store_scrub(h->s);
	for (unsigned steps = roll(dice) % 3 ? 100000 : 1; steps && store_scrubbing(h->s); steps--)
		if (store_scrub_step(h->s) != 0)
			_exit(7);
}

/* Accept, settle, forget and scrub for ever, beside whoever reads. */
static void write_until_killed(struct home *h, int64_t next, uint32_t dice, int out)
{
	static const size_t sizes[] = { 50, 300, 700, 3000, 9000, 20000 };
	int64_t page, first = next;

	if (store_open(&(struct store_options){ .directory = h->dir }, &h->s, NULL) != 0)
		_exit(1);
	page = handler_number(h->s, "page");
	for (;; next++) {
		put(h, page, next, sizes[roll(&dice) % ARRAY_LEN(sizes)]);
		say(out, next);
		if (next - first < 5 || roll(&dice) % 3)
			continue;

		int64_t old = first + roll(&dice) % (uint32_t)(next - first);

		say(out, -old);
		forget_one(h, old, &dice);
		if (next - first >= EACH)
			first++;
	}
}

struct told {
	bool stored[RECORDS_MAX + 1], forgotten[RECORDS_MAX + 1];
	int64_t newest;
};

static void take(struct told *t, int64_t value)
{
	int64_t id = value < 0 ? -value : value;

	assert_true(id > 0 && id <= RECORDS_MAX);
	if (value < 0)
		t->forgotten[id] = true;
	else
		t->stored[t->newest = id] = true;
}

/* A reader that comes and goes, and now and then keeps what it sees for a while. */
static void look_around(struct home *h, unsigned times)
{
	struct reader *r = NULL;
	struct event e;

	if (reader_open(h->dir, &r, NULL) != 0)
		return;
	for (unsigned i = 0; i < times; i++) {
		void *body = NULL;
		size_t len = 0;

		if (reader_event(r, 1 + i % 50, &e) == 0)
			(void)reader_body(r, 1 + i % 50, &body, &len, NULL);
		free(body);
	}
	(void)reader_close(r);
}

static void round_until_killed(struct home *h, struct told *t, uint32_t *dice)
{
	int pipe_fd[2], status = 0;
	int64_t value;
	unsigned more;
	pid_t child;

	assert_int_equal(pipe(pipe_fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(pipe_fd[0]);
		write_until_killed(h, t->newest + 1, *dice, pipe_fd[1]);
		_exit(9);
	}
	(void)close(pipe_fd[1]);
	/* Until it has begun to forget, then some words more: it may be in the middle of anything. */
	for (more = 1 + roll(dice) % 12; more; ) {
		assert_int_equal(read(pipe_fd[0], &value, sizeof(value)), sizeof(value));
		take(t, value);
		look_around(h, roll(dice) % 20);
		more -= value < 0;
	}
	(void)usleep(roll(dice) >> 17);         /* up to 33 ms */
	assert_int_equal(kill(child, SIGKILL), 0);
	while (read(pipe_fd[0], &value, sizeof(value)) == (ssize_t)sizeof(value))
		take(t, value);
	(void)close(pipe_fd[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/* What it was about to forget is forgotten once more, by whoever finds the store. */
static void forget_again(struct home *h, const struct told *t)
{
	assert_int_equal(store_begin(h->s), 0);
	for (int64_t id = 1; id <= t->newest; id++) {
		struct forget f = { .entity = "Ticket", .id = id, .now_ms = T0 };

		if (t->forgotten[id])
			forget_steps(h->s, &f);
		forget_release(&f);
	}
	assert_int_equal(store_commit(h->s), 0);
	(void)scrub_all(h->s);
}

static void killed_in_the_middle_of_forgetting(void **state)
{
	static struct told told;
	static bool found[RECORDS_MAX + 1];
	struct home *h = *state;
	unsigned forgotten = 0, kept = 0;
	uint32_t dice = 20261125;

	for (unsigned round = 0; round < ROUNDS; round++) {
		round_until_killed(h, &told, &dice);
		home_open(h);
		forget_again(h, &told);
		(void)marked(h, found, told.newest);
		home_close(h);
		whole(h);
		for (int64_t id = 1; id <= told.newest; id++) {
			if (told.forgotten[id] && found[id])
				fail_msg("round %u: record %lld was forgotten and is still there", round, (long long)id);
			if (told.stored[id] && !told.forgotten[id] && !found[id])
				fail_msg("round %u: record %lld is lost", round, (long long)id);
		}
	}
	for (int64_t id = 1; id <= told.newest; id++) {
		forgotten += told.forgotten[id];
		kept += told.stored[id] && !told.forgotten[id];
	}
	print_message("killed %d times, %u records forgotten, %u kept\n", ROUNDS, forgotten, kept);
	assert_true(forgotten > ROUNDS && kept > ROUNDS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_in_the_middle_of_forgetting, home_setup_closed, home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
