/* test_attempt_end.c - the handler's contract: time-outs, stops, and what the program leaves behind. */
#include "test_attempt_world.h"

/* ---- ending ---- */

static void time_out_ends_the_whole_group(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;
	pid_t child;

	w->handler.timeout_ms = 300;
	script(w, "(trap '' HUP; sleep 600; sleep 600) & echo $! >\"$D/child\"; sleep 600");
	assert_int_equal(begin(w, &a, NULL), 0);
	child = pid_in(w, "child");
	wait_ended(w);
	assert_int_equal(w->outcome, WIRE_TIMED_OUT);
	assert_int_equal(w->status, SIGTERM);
	wait_dead(child);
	no_child_is_left();
}

static void who_ignores_sigterm_is_killed(void **state)
{
	struct world *w = *state;
	int64_t before = clock_mono_ms(), took;

	assert_int_equal(RUN_GRACE_MS, 5000);
	w->handler.timeout_ms = 100;
	w->grace_ms = 400;
	script(w, "trap '' TERM; while :; do sleep 600; done");
	run_it(w);
	took = clock_mono_ms() - before;
	assert_int_equal(w->outcome, WIRE_TIMED_OUT);
	assert_int_equal(w->status, SIGKILL);
	assert_true(took >= 500 && took < 5000);
}

static void a_stopped_one_hears_the_time_out(void **state)
{
	struct world *w = *state;

	w->handler.timeout_ms = 200;
	script(w, "trap 'exit 7' TERM; kill -STOP $$; while :; do sleep 0.05; done");
	run_it(w);
	assert_int_equal(w->outcome, WIRE_TIMED_OUT);
	assert_int_equal(w->status, 7);
}

static void what_the_leader_leaves_is_killed(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;
	int64_t before = clock_mono_ms();

	script(w, "sleep 600 & echo $! >\"$D/child\"; echo done; exit 5");
	assert_int_equal(begin(w, &a, NULL), 0);
	wait_ended(w);
	assert_true(clock_mono_ms() - before < 900);
	assert_int_equal(w->outcome, WIRE_EXITED);
	assert_int_equal(w->status, 5);
	assert_string_equal(w->out, "done\n");
	wait_dead(pid_in(w, "child"));
}

/* It left the group on purpose, with our pipes: the attempt does not wait for it. */
static void a_daemon_does_not_hold_the_attempt(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;
	int64_t before = clock_mono_ms(), took;
	pid_t child;

	script(w, "setsid sh -c 'echo $$ >\"$1/child\"; exec sleep 600' sh \"$D\" &\n"
		  "while [ ! -s \"$D/child\" ]; do :; done; echo done");
	assert_int_equal(begin(w, &a, NULL), 0);
	wait_ended(w);
	took = clock_mono_ms() - before;
	assert_true(took >= RUN_DRAIN_MS && took < 1800);
	assert_int_equal(w->outcome, WIRE_EXITED);
	assert_int_equal(w->status, 0);
	assert_string_equal(w->out, "done\n");
	assert_true(number(w, WIRE_ENDED_MS) - number(w, WIRE_STARTED_MS) < RUN_DRAIN_MS);
	child = pid_in(w, "child");
	assert_false(is_dead(child));
	assert_int_equal(kill(child, SIGKILL), 0);
	wait_dead(child);
}

static void stop_ends_it_as_stopped(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;

	script(w, "trap 'echo told; exit 0' TERM; echo up >\"$D/up\"; while :; do sleep 0.05; done");
	assert_int_equal(begin(w, &a, NULL), 0);
	wait_file(w, "up");
	run_stop(a);
	run_stop(a);
	wait_ended(w);
	assert_int_equal(w->outcome, WIRE_STOPPED);
	assert_int_equal(w->status, 0);
	assert_string_equal(w->out, "told\n");
}

static void free_kills_and_cleans(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;
	pid_t pid;

	script(w, "touch \"$TMPDIR/x\"; echo $$ >\"$D/pid\"; sleep 600");
	assert_int_equal(begin(w, &a, NULL), 0);
	pid = pid_in(w, "pid");
	assert_string_equal(run_handler(a), "page");
	assert_int_equal(run_event(a), 17);
	assert_int_equal(run_attempt(a), 2);
	assert_true(run_started_ms(a) <= clock_now_ms());
	assert_null(run_free(a));
	assert_null(run_free(NULL));
	assert_true(is_dead(pid));
	no_child_is_left();
	assert_int_equal(entries_in(path_in(w, "home/tmp")), 0);
}

/* The runner is killed and can do nothing: the kernel takes the handler along. */
static void the_handler_dies_with_its_runner(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;
	pid_t runner, handler;

	script(w, "echo $$ >\"$D/pid\"; exec sleep 600");
	runner = fork();
	assert_true(runner >= 0);
	if (runner == 0) {
		/* A loop of its own: sd-event refuses one that came through a fork. */
		if (sd_event_new(&w->event) < 0 || begin(w, &a, NULL) < 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	handler = pid_in(w, "pid");
	assert_false(is_dead(handler));
	assert_int_equal(kill(runner, SIGKILL), 0);
	wait_dead(handler);
	assert_int_equal(waitpid(runner, NULL, 0), runner);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(time_out_ends_the_whole_group),
		TEST(who_ignores_sigterm_is_killed),
		TEST(a_stopped_one_hears_the_time_out),
		TEST(what_the_leader_leaves_is_killed),
		TEST(a_daemon_does_not_hold_the_attempt),
		TEST(stop_ends_it_as_stopped),
		TEST(free_kills_and_cleans),
		TEST(the_handler_dies_with_its_runner),
	};

	block_sigchld();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
