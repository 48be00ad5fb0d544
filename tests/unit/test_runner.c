/* test_runner.c - the runner in this process, with a scripted daemon at the other end. */
#include "test_runner_world.h"

static void a_start_gives_one_result(void **state)
{
	struct world *w = *state;
	AUTO(free) char *body = NULL;
	char version[32];
	struct wire_field f;
	size_t pos = 0, len;

	begin_stream(w);
	hear_hello(w, 0);
	assert_int_equal(wire_get_text(&w->in, WIRE_VERSION, version, sizeof(version)), 0);
	assert_string_equal(version, CALLOUTD_VERSION);
	start(w, "ok", 1, 1);
	hear_result(w, "ok", 1, 1, WIRE_EXITED, 0);
	while (wire_next(&w->in, &pos, &f)) {
		if (f.tag == WIRE_STDOUT)
			assert_true(f.len == 4 && memcmp(f.data, "out\n", 4) == 0);
		if (f.tag == WIRE_STDERR)
			assert_true(f.len == 4 && memcmp(f.data, "err\n", 4) == 0);
	}
	assert_int_equal(file_read(path_in(w, "body.1"), 100, &body, &len), 0);
	assert_string_equal(body, "the body");
	ack(w, "ok", 1, 1);
	start(w, "fail", 1, 7);
	hear_result(w, "fail", 1, 7, WIRE_EXITED, 3);
}

static void refusals_name_their_reason(void **state)
{
	struct world *w = *state;

	begin_stream(w);
	hear_hello(w, 0);
	start(w, "nobody", 1, 1);
	hear_refused(w, "nobody", 1, 1, WIRE_UNKNOWN_HANDLER);
	start(w, "wait", 2, 1);
	wait_file(w, "up.2");
	start(w, "wait", 2, 1);
	hear_refused(w, "wait", 2, 1, WIRE_ALREADY);
	start(w, "wait", 2, 2);         /* another attempt of what still runs */
	hear_refused(w, "wait", 2, 2, WIRE_ALREADY);
	write_text(path_in(w, "go"), 0600, "x");
	hear_result(w, "wait", 2, 1, WIRE_EXITED, 4);
	start(w, "wait", 2, 1);         /* has run: told again, not run again */
	hear_refused(w, "wait", 2, 1, WIRE_ALREADY);
	hear_result(w, "wait", 2, 1, WIRE_EXITED, 4);
	start(w, "wait", 2, 2);         /* a retry may overtake the acknowledgement */
	hear_result(w, "wait", 2, 2, WIRE_EXITED, 4);
	ack(w, "wait", 2, 1);
	start(w, "wait", 2, 1);         /* acknowledged is forgotten */
	hear_result(w, "wait", 2, 1, WIRE_EXITED, 4);
}

static void a_named_runner_runs_its_own_only(void **state)
{
	struct world *w = *state;

	begin_listening(w, "other");
	w->daemon = dial(w);
	hear_hello(w, 0);
	start(w, "ok", 1, 1);
	hear_refused(w, "ok", 1, 1, WIRE_UNKNOWN_HANDLER);
	start(w, "elsewhere", 1, 1);
	hear_result(w, "elsewhere", 1, 1, WIRE_EXITED, 5);
}

static void an_unnamed_one_runs_all(void **state)
{
	struct world *w = *state;

	begin_stream(w);
	hear_hello(w, 0);
	start(w, "elsewhere", 1, 1);
	hear_result(w, "elsewhere", 1, 1, WIRE_EXITED, 5);
}

static void what_cannot_be_run_is_a_result(void **state)
{
	struct world *w = *state;
	struct wire_field f;
	size_t pos = 0;
	bool said = false;

	begin_stream(w);
	hear_hello(w, 0);
	assert_int_equal(unlink(path_in(w, "ok")), 0);  /* deleted while the runner runs */
	start(w, "ok", 1, 1);
	hear_result(w, "ok", 1, 1, WIRE_NOT_STARTED, 127);
	while (wire_next(&w->in, &pos, &f))
		if (f.tag == WIRE_STDERR)
			said = memmem(f.data, f.len, "does not exist", 14) != NULL;
	assert_true(said);
	assert_int_equal(chmod(path_in(w, "fail"), 0644), 0);
	start(w, "fail", 2, 1);
	hear_result(w, "fail", 2, 1, WIRE_NOT_STARTED, 126);
	start(w, "fail", 2, 1);
	hear_refused(w, "fail", 2, 1, WIRE_ALREADY);
	hear_result(w, "fail", 2, 1, WIRE_NOT_STARTED, 126);
	ack(w, "fail", 2, 1);
	write_text(path_in(w, "fail"), 0755, "exit 0\n");
	start(w, "fail", 2, 2);
	hear_result(w, "fail", 2, 2, WIRE_NOT_STARTED, 126);
}

static void said_again(struct world *w, const struct wire_delivery *others, size_t count)
{
	struct wire_delivery heard[WIRE_OTHERS_MAX];
	size_t n = 0;

	assert_int_equal(wire_get_others(&w->in, heard, &n), 0);
	assert_int_equal(n, count);
	for (size_t i = 0; i < n; i++) {
		assert_true(heard[i].event == others[i].event);
		assert_int_equal(heard[i].attempt, others[i].attempt);
	}
}

/* A daemon that was restarted must learn for which events a run is. */
static void others_of_a_collected_run_are_said_again(void **state)
{
	static const struct wire_delivery others[] = { { 3, 1 }, { INT64_C(1) << 40, 70000 } };
	struct world *w = *state;
	AUTO(fd) int one = wire_memfd("[]", 2), two = wire_memfd("[]", 2);

	begin_listening(w, NULL);
	w->daemon = dial(w);
	hear_hello(w, 0);
	subject(w, WIRE_START, "wait", 2, 5);
	assert_int_equal(wire_put_text(&w->out, WIRE_ENV, "CALLOUT_EVENT=2"), 0);
	assert_int_equal(wire_put_others(&w->out, others, ARRAY_LEN(others)), 0);
	say(w, one);
	wait_file(w, "up.2");
	reconnect(w);
	hear_hello(w, 1);
	assert_int_equal(hear(w), WIRE_RUNNING);
	said_again(w, others, ARRAY_LEN(others));
	subject(w, WIRE_START, "fail", 7, 1);
	assert_int_equal(wire_put_others(&w->out, others, 1), 0);
	say(w, two);
	hear_result(w, "fail", 7, 1, WIRE_EXITED, 3);
	said_again(w, others, 1);
	start(w, "ok", 9, 1);
	hear_result(w, "ok", 9, 1, WIRE_EXITED, 0);
	said_again(w, NULL, 0);
}

/* The daemon restarts: nothing is interrupted, nothing lost, and it is told all of it first. */
static void a_new_connection_is_told_everything(void **state)
{
	struct world *w = *state;
	int64_t started;

	begin_listening(w, NULL);
	w->daemon = dial(w);
	hear_hello(w, 0);
	start(w, "fail", 1, 1);
	hear_result(w, "fail", 1, 1, WIRE_EXITED, 3);           /* not acknowledged */
	start(w, "wait", 2, 5);
	start(w, "ok", 3, 1);
	hear_result(w, "ok", 3, 1, WIRE_EXITED, 0);
	ack(w, "ok", 3, 1);
	wait_file(w, "up.2");
	reconnect(w);
	hear_hello(w, 2);
	hear_result(w, "fail", 1, 1, WIRE_EXITED, 3);
	assert_int_equal(hear(w), WIRE_RUNNING);
	assert_true(about(w, "wait", 2, 5));
	started = number(w, WIRE_STARTED_MS);
	assert_true(started > 0 && started <= clock_now_ms());
	close(w->daemon);                                       /* ends while nobody is connected */
	write_text(path_in(w, "go"), 0600, "x");
	for (int64_t until = clock_mono_ms() + PATIENCE_MS;;) {
		assert_true(clock_mono_ms() < until);
		w->daemon = dial(w);
		hear_hello(w, 2);
		hear_result(w, "fail", 1, 1, WIRE_EXITED, 3);
		if (hear(w) == WIRE_RESULT)
			break;
		assert_true(about(w, "wait", 2, 5));
		close(w->daemon);
	}
	assert_true(about(w, "wait", 2, 5));
	assert_int_equal(number(w, WIRE_STATUS), 4);
	assert_int_equal(number(w, WIRE_STARTED_MS), started);
	ack(w, "fail", 1, 1);
	ack(w, "wait", 2, 5);
	start(w, "ok", 9, 1);           /* so that the acknowledgements have been read */
	hear_result(w, "ok", 9, 1, WIRE_EXITED, 0);
	ack(w, "ok", 9, 1);
	reconnect(w);
	hear_hello(w, 0);
}

static void a_newer_connection_replaces_the_older(void **state)
{
	struct world *w = *state;
	int older;

	begin_listening(w, NULL);
	w->daemon = older = dial(w);
	hear_hello(w, 0);
	start(w, "wait", 1, 1);
	wait_file(w, "up.1");
	w->daemon = dial(w);
	hear_hello(w, 1);
	assert_int_equal(hear(w), WIRE_RUNNING);
	assert_int_equal(hear_on(w, older), 0);
	close(older);
	write_text(path_in(w, "go"), 0600, "x");
	hear_result(w, "wait", 1, 1, WIRE_EXITED, 4);
}

static void acks_of_others_change_nothing(void **state)
{
	struct world *w = *state;

	begin_listening(w, NULL);
	w->daemon = dial(w);
	hear_hello(w, 0);
	start(w, "fail", 1, 1);
	hear_result(w, "fail", 1, 1, WIRE_EXITED, 3);
	start(w, "wait", 1, 1);
	wait_file(w, "up.1");
	ack(w, "fail", 2, 1);
	ack(w, "fail", 1, 2);
	ack(w, "ok", 1, 1);
	ack(w, "wait", 1, 1);           /* runs still */
	start(w, "nobody", 1, 1);
	hear_refused(w, "nobody", 1, 1, WIRE_UNKNOWN_HANDLER);
	reconnect(w);
	hear_hello(w, 2);
}

/* ---- what a subverted daemon may try ---- */

static void hostile_fill(struct world *w, unsigned kind, int *ret_fd)
{
	static const char nul[] = "CALLOUT_A=\0b";
	char big[CONF_NAME_MAX + 2];

	*ret_fd = wire_memfd("x", 1);
	subject(w, WIRE_START, "ok", 1, 1);
	switch (kind) {
	case 0: wire_begin(&w->out, WIRE_START); break;                         /* about nothing */
	case 1: w->out.bytes[0] = 'X'; break;
	case 2: w->out.len -= 3; break;
	case 3: subject(w, WIRE_HELLO, "ok", 1, 1); break;                      /* a runner's word */
	case 4: subject(w, WIRE_RESULT, "ok", 1, 1); break;
	case 5: close(*ret_fd); *ret_fd = -1; break;                            /* no body */
	case 6: close(*ret_fd); *ret_fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING); break;
	case 7: close(*ret_fd); *ret_fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC); break;
	case 8: (void)wire_put(&w->out, WIRE_ENV, nul, sizeof(nul)); break;
	case 9: (void)wire_put_text(&w->out, WIRE_ENV, "CALLOUT_NO_VALUE"); break;
	case 10:
		for (int i = 0; i < 513; i++)
			(void)wire_put_text(&w->out, WIRE_ENV, "CALLOUT_A=b");
		break;
	case 11: subject(w, WIRE_START, "ok", 1, -1); break;
	case 12: subject(w, WIRE_START, "ok", 1, 1LL << 32); break;
	case 13:
		memset(big, 'x', sizeof(big) - 1);
		big[sizeof(big) - 1] = '\0';
		subject(w, WIRE_START, big, 1, 1);
		break;
	case 14: wire_begin(&w->out, WIRE_ACK); break;
	case 15: wire_begin(&w->out, WIRE_STOP); break;
	case 16:
		wire_begin(&w->out, WIRE_START);
		(void)wire_put(&w->out, WIRE_HANDLER, "o\0k", 3);
		(void)wire_put_int(&w->out, WIRE_EVENT, 1);
		(void)wire_put_int(&w->out, WIRE_ATTEMPT, 1);
		break;
	default:
		wire_begin(&w->out, WIRE_START);
		(void)wire_put_text(&w->out, WIRE_HANDLER, "ok");
		(void)wire_put_text(&w->out, WIRE_EVENT, "1");
		(void)wire_put_int(&w->out, WIRE_ATTEMPT, 1);
		break;
	}
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void hostile_messages_end_the_connection(void **state)
{
	struct world *w = *state;
	unsigned before;

	log_level(LOG_ALERT);
	begin_listening(w, NULL);
	log_level(LOG_ALERT);
	before = descriptors();
	for (unsigned kind = 0; kind <= 17; kind++) {
		int fd;

		w->daemon = dial(w);
		hear_hello(w, 0);
		hostile_fill(w, kind, &fd);
		say(w, fd);
		if (fd >= 0)
			close(fd);
		if (hear(w) != 0)
			fail_msg("hostile message %u was answered", kind);
		close(w->daemon);
		w->daemon = -1;
		assert_int_equal(descriptors(), before);
	}
	/* A command in place of a name is a name that does not exist. */
	w->daemon = dial(w);
	hear_hello(w, 0);
	start(w, "/bin/sh", 1, 1);
	hear_refused(w, "/bin/sh", 1, 1, WIRE_UNKNOWN_HANDLER);
	start(w, "../ok", 1, 1);
	hear_refused(w, "../ok", 1, 1, WIRE_UNKNOWN_HANDLER);
	assert_int_equal(access(path_in(w, "body.1"), F_OK), -1);
	assert_int_equal(access(path_in(w, "home/handlers"), F_OK), -1);
	log_level(LOG_ERR);
}

static void a_hostile_stream_ends_the_runner(void **state)
{
	struct world *w = *state;
	int code = 0;

	begin_stream(w);
	log_level(LOG_ALERT);
	hear_hello(w, 0);
	start(w, "wait", 1, 1);
	wait_file(w, "up.1");
	assert_int_equal(send(w->daemon, "nonsense", 8, 0), 8);
	finish(w);
	assert_true(sd_event_get_exit_code(loop_event(w->loop), &code) >= 0);
	assert_int_equal(code, -EBADMSG);
	log_level(LOG_ERR);
}

/* ---- limits ---- */

static void kept_results_are_bounded(void **state)
{
	struct world *w = *state;

	begin_listening(w, NULL);
	log_level(LOG_ALERT);
	w->daemon = dial(w);
	hear_hello(w, 0);
	assert_int_equal(unlink(path_in(w, "fail")), 0);        /* ends at once, and is kept */
	for (int i = 1; i <= RUNNER_KEEP_MAX; i++) {
		start(w, "fail", i, 1);
		hear_result(w, "fail", i, 1, WIRE_NOT_STARTED, 127);
	}
	start(w, "ok", 5000, 1);
	hear_refused(w, "ok", 5000, 1, WIRE_BUSY);
	ack(w, "fail", 700, 1);
	start(w, "ok", 5000, 1);
	hear_result(w, "ok", 5000, 1, WIRE_EXITED, 0);
	/* A daemon that reads slowly is told all of it nevertheless. */
	reconnect(w);
	hear_hello(w, RUNNER_KEEP_MAX);
	for (int i = 1; i <= RUNNER_KEEP_MAX; i++) {
		if (i == 700)
			continue;
		hear_result(w, "fail", i, 1, WIRE_NOT_STARTED, 127);
	}
	hear_result(w, "ok", 5000, 1, WIRE_EXITED, 0);
	log_level(LOG_ERR);
}

/* It writes and does not read: what it cannot be told waits, and it is not listened to meanwhile. */
static void a_daemon_that_does_not_read_costs_nothing(void **state)
{
	struct world *w = *state;
	unsigned sent = 0, refused = 0;
	int fd = wire_memfd("x", 1), passed, quiet = 0;

	begin_stream(w);
	hear_hello(w, 0);
	subject(w, WIRE_START, "nobody", 1, 1);
	while (quiet < 3) {
		int r = wire_send(w->daemon, &w->out, fd);

		assert_true(r == 0 || r == -EAGAIN);
		sent += r == 0;
		quiet = r == 0 ? 0 : quiet + 1;
		assert_true(sd_event_run(loop_event(w->loop), 10000) >= 0);
		assert_true(sent < 100000);
	}
	/* Room for one at a time: each is answered, none is forgotten over the next. */
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; refused < sent;) {
		int n = wire_receive(w->daemon, &w->in, &passed);

		assert_true(n == 1 || n == -EAGAIN);
		assert_true(clock_mono_ms() < until);
		refused += n == 1;
		assert_true(sd_event_run(loop_event(w->loop), 0) >= 0);
	}
	close(fd);
	start(w, "fail", 1, 1);
	hear_result(w, "fail", 1, 1, WIRE_EXITED, 3);
}

static void few_descriptors_mean_few_handlers(void **state)
{
	struct world *w = *state;
	struct rlimit files, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = files;
	few.rlim_cur = 49;      /* 40 for the runner itself, 3 for each handler */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	begin_stream(w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	hear_hello(w, 0);
	for (int i = 1; i <= 4; i++)
		start(w, "wait", i, 1);
	hear_refused(w, "wait", 4, 1, WIRE_BUSY);
	write_text(path_in(w, "go"), 0600, "x");
	for (int i = 0; i < 3; i++)
		assert_int_equal(hear(w), WIRE_RESULT);
	start(w, "wait", 4, 1);
	hear_result(w, "wait", 4, 1, WIRE_EXITED, 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_start_gives_one_result),
		TEST(refusals_name_their_reason),
		TEST(a_named_runner_runs_its_own_only),
		TEST(an_unnamed_one_runs_all),
		TEST(what_cannot_be_run_is_a_result),
		TEST(a_new_connection_is_told_everything),
		TEST(others_of_a_collected_run_are_said_again),
		TEST(a_newer_connection_replaces_the_older),
		TEST(acks_of_others_change_nothing),
		TEST(hostile_messages_end_the_connection),
		TEST(a_hostile_stream_ends_the_runner),
		TEST(kept_results_are_bounded),
		TEST(a_daemon_that_does_not_read_costs_nothing),
		TEST(few_descriptors_mean_few_handlers),
	};

	block_sigchld();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
