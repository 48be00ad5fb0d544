/* test_store_crash.c - sudden deaths: what was said to be committed is there, and whole. */
#include "test_store.h"

#include <signal.h>
#include <sys/wait.h>

/* Accept for ever in groups, and say after each commit how far it got. */
static void write_until_killed(const struct home *h, int out)
{
	struct store *s = NULL;
	int64_t last = 0;

	if (store_open(&(struct store_options){ .directory = h->dir }, &s, NULL) != 0)
		_exit(1);
	for (unsigned round = 0;; round++) {
		if (store_begin(s) != 0)
			_exit(2);
		for (unsigned i = 0; i < 1 + round % 30; i++) {
			struct accepted a;
			struct sample m;

			sample_make(&m, 1 + i % 5, T0);
			m.e.body_len = 20;
			if (store_accept(s, &m.e, &a) != 0)
				_exit(3);
			last = a.event;
			if (i % 3 == 0) {
				bool behind;
				const struct settle t = { .handler = 1, .event = last, .now_ms = T0,
							  .state = DELIVERY_DONE };

				if (store_settle(s, &t, &behind) != 0)
					_exit(4);
			}
		}
		if (store_commit(s) != 0)
			_exit(5);
		if (write(out, &last, sizeof(last)) != (ssize_t)sizeof(last))
			_exit(6);
		if (round % 7 == 6 && store_checkpoint(s, true) != 0)
			_exit(7);
	}
}

static void all_is_there(struct home *h, int64_t said)
{
	struct handler_state c;
	struct delivery_ref ref;
	struct event e;
	size_t n = 0;
	int64_t waiting = 0, cursor = 0;

	home_open(h);
	for (int64_t i = 1; i <= said; i++)
		assert_int_equal(reader_event(h->r, i, &e), 0);
	while (reader_next(h->r, 1, cursor, &ref, 1, &n) == 0 && n == 1) {
		cursor = ref.event;
		waiting++;
	}
	/* What is there is whole: counters, deliveries and events agree. */
	c = handler_of(h->r, "page");
	assert_int_equal((int64_t)(c.accepted - c.done), waiting);
	assert_int_equal(reader_event(h->r, (int64_t)c.accepted, &e), 0);
	assert_int_equal(reader_event(h->r, (int64_t)c.accepted + 1, &e), -ENOENT);
	assert_true((int64_t)c.accepted >= said);
	home_close(h);
}

static void killed_at_any_moment(void **state)
{
	struct home *h = *state;
	uint32_t dice = 12345;
	int64_t said = 0;

	for (int round = 0; round < 25; round++) {
		int pipe_fd[2], status = 0;
		int64_t value;
		pid_t child;

		assert_int_equal(pipe(pipe_fd), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			(void)close(pipe_fd[0]);
			write_until_killed(h, pipe_fd[1]);
			_exit(9);
		}
		(void)close(pipe_fd[1]);
		/* Once it writes, some microseconds later: in the middle of anything. */
		assert_int_equal(read(pipe_fd[0], &value, sizeof(value)), sizeof(value));
		said = value;
		dice = dice * 1664525 + 1013904223;
		(void)usleep(dice >> 15);       /* up to 131 ms */
		assert_int_equal(kill(child, SIGKILL), 0);
		while (read(pipe_fd[0], &value, sizeof(value)) == (ssize_t)sizeof(value))
			said = value;
		(void)close(pipe_fd[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		all_is_there(h, said);
	}
	assert_true(said > 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_at_any_moment, home_setup_closed, home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
