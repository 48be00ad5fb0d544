/* test_attempt.c - the handler's contract, with real programs: input, output, exit status, leaks. */
#include "test_attempt_world.h"

/* ---- standard input ---- */

static void body_arrives_byte_for_byte(void **state)
{
	static const size_t lengths[] = { 0, 1, 4096, 65536, 65537, 1 << 20, (4 << 20) + 3 };
	struct world *w = *state;
	AUTO(free) char *body = malloc((4 << 20) + 3);
	struct attempt_run *a;

	assert_non_null(body);
	for (size_t i = 0; i < (4 << 20) + 3; i++)
		body[i] = (char)(i * 7 + (i >> 8));
	script(w, "exec cat >\"$D/got\"");
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		AUTO(free) char *got = NULL;
		AUTO(fd) int fd = wire_memfd(body, lengths[i]);
		size_t len;

		assert_int_equal(begin_with(w, fd, &a, NULL), 0);
		wait_ended(w);
		assert_int_equal(w->status, 0);
		assert_int_equal(file_read(path_in(w, "got"), 8 << 20, &got, &len), 0);
		assert_int_equal(len, lengths[i]);
		assert_memory_equal(got, body, len);
	}
	/* One that never reads holds up nobody. */
	AUTO(fd) int fd = wire_memfd(body, 4 << 20);

	script(w, "exit 0");
	assert_int_equal(begin_with(w, fd, &a, NULL), 0);
	wait_ended(w);
	assert_int_equal(w->status, 0);
}

/* A descriptor's position belongs to everybody who has it: each handler gets its own. */
static void one_body_serves_several(void **state)
{
	struct world *w = *state;
	AUTO(fd) int fd = wire_memfd("the whole body", 14);
	struct attempt_run *a;

	script(w, "cat >\"$D/got.$$\"; echo x >&0 && exit 9; exit 0");
	assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(begin_with(w, fd, &a, NULL), 0);
	wait_ended(w);
	assert_int_equal(w->status, 0);
	script(w, "for f in \"$D\"/got.*; do [ \"$(cat \"$f\")\" = 'the whole body' ] || exit 8; echo; done");
	run_it(w);
	assert_int_equal(w->status, 0);
	assert_int_equal(w->out_len, 5);
}

/* ---- how it ends ---- */

static void ends_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		int outcome, status;
	} cases[] = {
		{ "exit 0", WIRE_EXITED, 0 },
		{ "exit 1", WIRE_EXITED, 1 },
		{ "exit 75", WIRE_EXITED, 75 },
		{ "exit 100", WIRE_EXITED, 100 },
		{ "exit 126", WIRE_EXITED, 126 },
		{ "exit 127", WIRE_EXITED, 127 },
		{ "exit 255", WIRE_EXITED, 255 },
		{ "kill -KILL $$", WIRE_SIGNALLED, SIGKILL },
		{ "kill -TERM $$", WIRE_SIGNALLED, SIGTERM },
		{ "kill -SEGV $$", WIRE_SIGNALLED, SIGSEGV },
	};
	struct world *w = *state;
	char name[32];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t before = clock_now_ms();

		script(w, cases[i].text);
		run_it(w);
		assert_int_equal(w->outcome, cases[i].outcome);
		assert_int_equal(w->status, cases[i].status);
		assert_int_equal(w->message.verb, WIRE_RESULT);
		assert_int_equal(number(w, WIRE_EVENT), 17);
		assert_int_equal(number(w, WIRE_ATTEMPT), 2);
		assert_int_equal(wire_get_text(&w->message, WIRE_HANDLER, name, sizeof(name)), 0);
		assert_string_equal(name, "page");
		assert_true(number(w, WIRE_STARTED_MS) >= before);
		assert_true(number(w, WIRE_ENDED_MS) >= number(w, WIRE_STARTED_MS));
		assert_true(number(w, WIRE_ENDED_MS) <= clock_now_ms());
	}
	no_child_is_left();
}

static void what_cannot_be_run_says_why(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		int code;
		const char *why;
	} cases[] = {
		{ NULL, 0, -ENOENT, "does not exist" },
		{ "#!/bin/sh\nexit 0\n", 0644, -EACCES, "not executable for the runner's user (mode 0644)" },
		{ "#!/no/such/thing -x\n", 0755, -ENOENT, "its interpreter '/no/such/thing' does not" },
		{ "#!/bin/sh\r\nexit 0\r\n", 0755, -ENOENT, "carriage return" },
		{ "#!/etc/passwd\n", 0755, -EACCES, "the interpreter '/etc/passwd' of" },
		{ "echo hello\n", 0755, -ENOEXEC, "#!/bin/sh" },
		{ "", 0755, -ENOEXEC, "#!/bin/sh" },
		{ "#!\n", 0755, -ENOEXEC, "names no interpreter" },
	};
	struct world *w = *state;
	struct attempt_run *a = NULL;

	script(w, "exit 0");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = { "" };

		(void)unlink(w->path);
		if (cases[i].text)
			write_path(w->path, cases[i].mode, cases[i].text, strlen(cases[i].text));
		assert_int_equal(begin(w, &a, &err), cases[i].code);
		if (!strstr(err.text, cases[i].why) || !strstr(err.text, w->path))
			fail_msg("'%s' does not say '%s'", err.text, cases[i].why);
		assert_null(a);
		assert_in_range(scratches_kept(w), 0, 1);
	}
	no_child_is_left();

	struct error err = { "" };

	w->argv[0] = w->dir;
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "is not a file"));
	w->argv[0] = (char[]){ "/dev/null/x" };
	assert_int_equal(begin(w, &a, &err), -ENOTDIR);
}

static void places_that_cannot_be_made_are_no_missing_command(void **state)
{
	struct world *w = *state;
	struct attempt_run *a = NULL;
	struct error err = { "" };

	script(w, "exit 0");
	write_path(path_in(w, "home"), 0600, "", 0);
	assert_int_equal(begin(w, &a, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "/home"));
	assert_int_equal(unlink(path_in(w, "home")), 0);
	w->handler.title = (char[]){ ".." };
	assert_int_equal(begin(w, &a, &err), -EINVAL);
	w->handler.title = (char[]){ "a/b" };
	assert_int_equal(begin(w, &a, &err), -EINVAL);
	w->handler.title = w->title;
	run_it(w);
	assert_int_equal(rmdir(path_in(w, "home/handlers/page")), 0);
	assert_int_equal(symlink("nowhere", path_in(w, "home/handlers/page")), 0);
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "cannot enter"));
	no_child_is_left();
}

static void lack_of_descriptors_passes(void **state)
{
	struct world *w = *state;
	struct rlimit files, few;
	struct attempt_run *a = NULL;
	struct error err = { "" };
	int body = wire_memfd("{}", 2);
	unsigned before, refused = 0;

	w->argv[0] = (char[]){ "/bin/true" };   /* it lives with the same limit, a shell would not */
	run_it(w);
	before = entries_in("/proc/self/fd");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = files;
	for (few.rlim_cur = (rlim_t)body + 1; refused == 0 || w->running == 0; few.rlim_cur++) {
		int r;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		r = begin_with(w, body, &a, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
		if (r == 0)
			break;
		assert_int_equal(r, -EMFILE);
		assert_int_equal(entries_in("/proc/self/fd"), before);
		refused++;
	}
	assert_true(refused >= 4);
	wait_ended(w);
	assert_int_equal(w->status, 0);
	close(body);
	no_child_is_left();
}

/* ---- output ---- */

static void outputs_are_kept_apart(void **state)
{
	struct world *w = *state;

	script(w, "printf 'to out\\n\\377\\0x'; printf 'to err' >&2; exit 3");
	run_it(w);
	assert_int_equal(w->out_len, 10);
	assert_memory_equal(w->out, "to out\n\377\0x", 10);
	assert_string_equal(w->err, "to err");
	assert_int_equal(number(w, WIRE_STDOUT_TOTAL), 10);
	assert_int_equal(number(w, WIRE_STDERR_TOTAL), 6);
	script(w, "exit 0");
	run_it(w);
	assert_int_equal(w->out_len + w->err_len, 0);
}

/* Numbered lines of 8 bytes: what is kept has to be the last of them, in order. */
static void the_end_of_long_output_is_kept(void **state)
{
	static const unsigned lines[] = { 2047, 2048, 2049, 4096, 5000, 100000 };
	struct world *w = *state;
	char text[128], line[16];

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		unsigned n = lines[i], first = n > 2048 ? n - 2048 : 0;

		(void)snprintf(text, sizeof(text), "seq -f %%07.0f 1 %u; printf err >&2", n);
		script(w, text);
		run_it(w);
		assert_int_equal(number(w, WIRE_STDOUT_TOTAL), n * 8);
		assert_int_equal(w->out_len, (n - first) * 8);
		for (unsigned k = first; k < n; k++) {
			(void)snprintf(line, sizeof(line), "%07u\n", k + 1);
			assert_memory_equal(w->out + (k - first) * 8, line, 8);
		}
		assert_string_equal(w->err, "err");
	}
}

static void ten_megabytes_on_both_do_not_hang(void **state)
{
	struct world *w = *state;

	script(w, "head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait\n"
		  "printf end; printf END >&2");
	run_it(w);
	assert_int_equal(w->outcome, WIRE_EXITED);
	assert_int_equal(w->status, 0);
	assert_int_equal(number(w, WIRE_STDOUT_TOTAL), 10485763);
	assert_int_equal(number(w, WIRE_STDERR_TOTAL), 10485763);
	assert_int_equal(w->out_len, WIRE_OUTPUT_MAX);
	assert_int_equal(w->err_len, WIRE_OUTPUT_MAX);
	assert_memory_equal(w->out + WIRE_OUTPUT_MAX - 4, "\0end", 4);
	assert_memory_equal(w->err + WIRE_OUTPUT_MAX - 4, "\0END", 4);
}

/* What the log wrote to standard error while the handler ran. */
static char *log_of_run(struct world *w)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	int file = open(path_in(w, "log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *text = NULL;
	size_t len;

	assert_true(saved >= 0 && file >= 0);
	assert_true(dup2(file, STDERR_FILENO) >= 0);
	run_it(w);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(file);
	assert_int_equal(file_read(path_in(w, "log"), 1 << 20, &text, &len), 0);
	return text;
}

static void lines_are_logged_with_fields(void **state)
{
	struct world *w = *state;
	AUTO(free) char *text = NULL, *none = NULL;
	char long_line[1025];

	log_level(LOG_INFO);
	script(w, "printf 'one\\ntwo\\r\\n\\nthr\\033ee\\0!\\n'; printf 'from err' >&2\n"
		  "head -c 2500 /dev/zero | tr '\\0' x");
	w->handler.log_output = true;
	text = log_of_run(w);
	assert_non_null(strstr(text, "info: one [event=17 handler=page attempt=2 stream=stdout]\n"));
	assert_non_null(strstr(text, "info: two [event="));
	assert_non_null(strstr(text, "info: thr\\x1bee\\x00! [event="));
	assert_non_null(strstr(text, "info: from err [event=17 handler=page attempt=2 stream=stderr]\n"));
	assert_null(strstr(text, "info:  ["));
	memset(long_line, 'x', 1024);
	long_line[1024] = '\0';
	assert_non_null(strstr(text, long_line));
	assert_non_null(strstr(text, "xxx [event="));
	w->handler.log_output = false;
	none = log_of_run(w);
	assert_string_equal(none, "");
	assert_int_equal(number(w, WIRE_STDOUT_TOTAL), 4 + 5 + 1 + 9 + 2500);
	log_level(LOG_ERR);
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned n = 0;

	for (text = strstr(text, what); text; text = strstr(text + 1, what))
		n++;
	return n;
}

/* The journal is everybody's; the output's end is kept all the same. */
static void lines_without_end_are_left_out(void **state)
{
	struct world *w = *state;
	AUTO(free) char *text = NULL;

	log_level(LOG_INFO);
	script(w, "seq -f 'line %g' 5000; seq -f 'error %g' 7 >&2");
	w->handler.log_output = true;
	text = log_of_run(w);
	assert_int_equal(count_of(text, "info: line "), 1000);
	assert_int_equal(count_of(text, "info: error "), 7);
	assert_non_null(strstr(text, "info: line 1000 [event="));
	assert_int_equal(count_of(text, "left out"), 1);
	assert_non_null(strstr(text, "warning: 4000 more lines were left out: "));
	assert_non_null(strstr(text, "of each output [event=17 handler=page attempt=2 stream=stdout]\n"));
	assert_memory_equal(w->out + w->out_len - 10, "line 5000\n", 10);
	log_level(LOG_ERR);
}

/* ---- many ---- */

static void many_runs_leave_nothing(void **state)
{
	struct world *w = *state;
	struct attempt_run *a;
	unsigned before, started = 0;

	w->argv[0] = (char[]){ "/bin/true" };
	w->handler.log_output = true;
	run_it(w);
	before = entries_in("/proc/self/fd");
	while (started < 2000) {
		while (w->running < 8 && started < 2000) {
			assert_int_equal(begin(w, &a, NULL), 0);
			started++;
		}
		turn(w);
	}
	wait_ended(w);
	assert_int_equal(entries_in("/proc/self/fd"), before);
	assert_in_range(scratches_kept(w), 1, 8);
	no_child_is_left();
	shared_ends(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(body_arrives_byte_for_byte),
		TEST(one_body_serves_several),
		TEST(ends_are_told_apart),
		TEST(what_cannot_be_run_says_why),
		TEST(places_that_cannot_be_made_are_no_missing_command),
		TEST(lack_of_descriptors_passes),
		TEST(outputs_are_kept_apart),
		TEST(the_end_of_long_output_is_kept),
		TEST(ten_megabytes_on_both_do_not_hang),
		TEST(lines_are_logged_with_fields),
		TEST(lines_without_end_are_left_out),
		TEST(many_runs_leave_nothing),
	};

	block_sigchld();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
