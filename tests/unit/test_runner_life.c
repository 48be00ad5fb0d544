/* test_runner_life.c - how a runner begins, reloads and ends. */
#include "test_runner_world.h"

#include <spawn.h>

/* ---- ending and reloading ---- */

static void stop_ends_one_attempt(void **state)
{
	struct world *w = *state;

	begin_stream(w);
	hear_hello(w, 0);
	start(w, "wait", 1, 1);
	start(w, "wait", 2, 1);
	wait_file(w, "up.1");
	wait_file(w, "up.2");
	subject(w, WIRE_STOP, "wait", 3, 1);    /* nothing of that name */
	say(w, -1);
	subject(w, WIRE_STOP, "wait", 1, 1);
	say(w, -1);
	hear_result(w, "wait", 1, 1, WIRE_STOPPED, SIGTERM);
	write_text(path_in(w, "go"), 0600, "x");
	hear_result(w, "wait", 2, 1, WIRE_EXITED, 4);
}

static void an_end_is_told_before_it(void **state)
{
	struct world *w = *state;

	begin_listening(w, NULL);
	w->daemon = dial(w);
	hear_hello(w, 0);
	start(w, "wait", 1, 1);
	start(w, "stubborn", 2, 1);
	wait_file(w, "up.1");
	wait_file(w, "up.2");
	runner_end(w->runner);
	start(w, "ok", 3, 1);
	hear_refused(w, "ok", 3, 1, WIRE_ENDING);
	hear_result(w, "wait", 1, 1, WIRE_STOPPED, SIGTERM);
	hear_result(w, "stubborn", 2, 1, WIRE_STOPPED, SIGKILL);
	finish(w);
	w->runner = runner_free(w->runner);
	assert_int_equal(hear(w), 0);
}

static void an_idle_runner_ends_at_once(void **state)
{
	struct world *w = *state;

	begin_listening(w, NULL);
	runner_end(w->runner);
	finish(w);
}

/* Without systemd the daemon's death must not leave handlers behind. */
static void the_end_of_the_stream_ends_everything(void **state)
{
	struct world *w = *state;
	AUTO(free) char *text = NULL;
	size_t len;
	int code = 1;

	begin_stream(w);
	hear_hello(w, 0);
	start(w, "stubborn", 1, 1);
	wait_file(w, "up.1");
	close(w->daemon);
	w->daemon = -1;
	finish(w);
	assert_true(sd_event_get_exit_code(loop_event(w->loop), &code) >= 0);
	assert_int_equal(code, 0);
	assert_int_equal(file_read(path_in(w, "up.1"), 100, &text, &len), 0);
	assert_int_equal(kill((pid_t)strtol(text, NULL, 10), 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* A daemon that does not read cannot keep a runner from ending. */
static void last_words_are_not_waited_for_long(void **state)
{
	struct world *w = *state;
	int64_t before;
	int fd = wire_memfd("x", 1);

	begin_stream(w);
	log_level(LOG_ALERT);
	for (;;) {              /* fill its side */
		subject(w, WIRE_START, "nobody", 1, 1);
		if (wire_send(w->daemon, &w->out, fd) == -EAGAIN &&
		    sd_event_run(loop_event(w->loop), 0) == 0)
			break;
		(void)sd_event_run(loop_event(w->loop), 0);
	}
	close(fd);
	before = clock_mono_ms();
	runner_end(w->runner);
	finish(w);
	assert_true(clock_mono_ms() - before >= 900);
	assert_true(clock_mono_ms() - before < 5000);
	log_level(LOG_ERR);
}

static void ask_reload(struct world *w, bool ok, const char *want)
{
	char text[600];

	wire_begin(&w->out, WIRE_RELOAD);
	say(w, -1);
	assert_int_equal(hear(w), WIRE_RELOADED);
	assert_int_equal(number(w, WIRE_OK), ok);
	assert_int_equal(wire_get_text(&w->in, WIRE_TEXT, text, sizeof(text)), 0);
	assert_non_null(strstr(text, want));
}

static void reload_is_all_or_nothing(void **state)
{
	struct world *w = *state;
	struct error err = { "" };

	begin_stream(w);
	hear_hello(w, 0);
	start(w, "wait", 1, 1);
	wait_file(w, "up.1");
	conf_top(w);
	handler(w, "fresh", "", "exit 6");
	ask_reload(w, true, "");
	start(w, "fresh", 1, 1);
	hear_result(w, "fresh", 1, 1, WIRE_EXITED, 6);
	start(w, "ok", 1, 1);
	hear_refused(w, "ok", 1, 1, WIRE_UNKNOWN_HANDLER);
	log_level(LOG_ALERT);
	write_text(w->conf, 0600, "nonsense = 1\n");
	ask_reload(w, false, "nonsense");
	assert_true(runner_reload(w->runner, &err) < 0);
	assert_non_null(strstr(err.text, "calloutd.conf:1"));
	assert_true(runner_reload(w->runner, NULL) < 0);
	start(w, "fresh", 2, 1);        /* the old one is in force */
	hear_result(w, "fresh", 2, 1, WIRE_EXITED, 6);
	write_text(path_in(w, "go"), 0600, "x");
	hear_result(w, "wait", 1, 1, WIRE_EXITED, 4);   /* its handler was removed meanwhile */
	log_level(LOG_ERR);
}

static void an_invalid_configuration_is_no_start(void **state)
{
	struct world *w = *state;
	struct error err = { "" };

	write_text(w->conf, 0600, "nonsense = 1\n");
	assert_true(try_begin(w, NULL, -1, &err) < 0);
	assert_non_null(strstr(err.text, "nonsense"));
	assert_null(w->runner);
	assert_int_equal(unlink(w->conf), 0);
	assert_true(try_begin(w, NULL, -1, &err) < 0);
}

/* ---- one home, one runner ---- */

static void what_a_killed_runner_left_is_removed(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(w->home, 0700), 0);
	assert_int_equal(mkdir(path_in(w, "home/tmp"), 0700), 0);
	assert_int_equal(mkdir(path_in(w, "home/tmp/abcdef"), 0700), 0);
	assert_int_equal(mkdir(path_in(w, "home/tmp/abcdef/d"), 0700), 0);
	write_text(path_in(w, "home/tmp/abcdef/d/f"), 0600, "x");
	begin_stream(w);
	assert_int_equal(rmdir(path_in(w, "home/tmp")), 0);
}

static pid_t sleeper(const struct world *w, const char *scratch)
{
	char variable[256];
	char *argv[] = { (char[]){ "/bin/sleep" }, (char[]){ "600" }, NULL };
	char *envp[] = { (char[]){ "A=b" }, variable, NULL };
	pid_t pid;

	(void)snprintf(variable, sizeof(variable), "TMPDIR=%s/%s", w->dir, scratch);
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, envp), 0);
	return pid;
}

/* It would work beside the next attempt of the same event. */
static void what_its_handlers_had_started_is_killed(void **state)
{
	struct world *w = *state;
	pid_t unfinished, finished, stranger;
	int status = 0;

	assert_int_equal(mkdir(w->home, 0700), 0);
	assert_int_equal(mkdir(path_in(w, "home/tmp"), 0700), 0);
	assert_int_equal(mkdir(path_in(w, "home/tmp/abcdef"), 0700), 0);
	assert_int_equal(mkdir(path_in(w, "home/tmpother"), 0700), 0);
	unfinished = sleeper(w, "home/tmp/abcdef");
	finished = sleeper(w, "home/tmp/gone");         /* a daemon that an ended attempt left on purpose */
	stranger = sleeper(w, "home/tmpother");
	begin_stream(w);
	assert_int_equal(waitpid(unfinished, &status, WNOHANG), unfinished);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(waitpid(finished, &status, WNOHANG), 0);
	assert_int_equal(waitpid(stranger, &status, WNOHANG), 0);
	assert_int_equal(kill(finished, SIGKILL), 0);
	assert_int_equal(kill(stranger, SIGKILL), 0);
	assert_int_equal(waitpid(finished, NULL, 0), finished);
	assert_int_equal(waitpid(stranger, NULL, 0), stranger);
	assert_int_equal(access(path_in(w, "home/tmp/abcdef"), F_OK), -1);
}

/* The old one has lost its daemon and ends its handlers; only then the new one says hello. */
static void a_new_runner_waits_for_the_old_one(void **state)
{
	struct world *w = *state;
	int64_t before = clock_mono_ms();
	int ready[2];
	char byte;
	pid_t old;

	assert_int_equal(mkdir(w->home, 0700), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	old = fork();
	assert_true(old >= 0);
	if (old == 0) {
		int fd = open(path_in(w, "home/lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)poll(NULL, 0, 400);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	begin_stream(w);
	assert_true(clock_mono_ms() - before >= 380);
	hear_hello(w, 0);
	assert_int_equal(waitpid(old, NULL, 0), old);
	close(ready[0]);
	close(ready[1]);
}

static void waiting_ends_when_the_daemon_goes(void **state)
{
	struct world *w = *state;
	struct error err = { "" };
	int64_t before = clock_mono_ms();
	int pair[2], fd;

	assert_int_equal(mkdir(w->home, 0700), 0);
	fd = open(path_in(w, "home/lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	close(pair[0]);
	assert_int_equal(try_begin(w, NULL, pair[1], &err), -EPIPE);
	assert_true(clock_mono_ms() - before < 5000);
	close(pair[1]);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(stop_ends_one_attempt),
		TEST(an_end_is_told_before_it),
		TEST(an_idle_runner_ends_at_once),
		TEST(the_end_of_the_stream_ends_everything),
		TEST(last_words_are_not_waited_for_long),
		TEST(reload_is_all_or_nothing),
		TEST(an_invalid_configuration_is_no_start),
		TEST(what_a_killed_runner_left_is_removed),
		TEST(what_its_handlers_had_started_is_killed),
		TEST(a_new_runner_waits_for_the_old_one),
		TEST(waiting_ends_when_the_daemon_goes),
	};

	block_sigchld();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
