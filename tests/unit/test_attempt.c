/* test_attempt.c - the handler's contract, line by line, with real programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runner/attempt.h"

#define PATIENCE_MS 20000       /* for things that take milliseconds unless the machine is busy */

struct world {
	char dir[64];
	sd_event *event;
	struct conf_handler handler;
	char *argv[8], *environment[8];
	char title[16], path[256];      /* of the script */
	const char *const *sent;
	int64_t grace_ms;
	unsigned running;
	struct wire_message message;    /* the RESULT of the attempt that ended last */
	int64_t outcome, status;
	char out[WIRE_OUTPUT_MAX + 1], err[WIRE_OUTPUT_MAX + 1];
	size_t out_len, err_len;
};

/* ---- the world ---- */

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	strcpy(w->dir, "/tmp/calloutd-attempt.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_true(sd_event_new(&w->event) >= 0);
	strcpy(w->title, "page");
	w->handler.title = w->title;
	w->handler.timeout_ms = PATIENCE_MS;
	w->handler.command.items = w->argv;
	w->handler.environment.items = w->environment;
	*state = w;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)st;
	(void)kind;
	(void)f;
	return remove(path);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	sd_event_unref(w->event);
	assert_int_equal(nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(w);
	return 0;
}

static const char *path_in(const struct world *w, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

static void write_file(const char *path, mode_t mode, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* The handler is this text; $D in it is the test's directory. */
static void script(struct world *w, const char *text)
{
	char whole[2048];
	int n = snprintf(whole, sizeof(whole), "#!/bin/sh\nD='%s'\n%s\n", w->dir, text);

	assert_true(n > 0 && (size_t)n < sizeof(whole));
	(void)snprintf(w->path, sizeof(w->path), "%s/handler", w->dir);
	write_file(w->path, 0755, whole, (size_t)n);
	w->argv[0] = w->path;
	w->handler.command.count = 1;
}

static void get_output(struct world *w, enum wire_tag tag, char *dst, size_t *ret_len)
{
	struct wire_field f;
	size_t pos = 0;

	while (wire_next(&w->message, &pos, &f)) {
		if (f.tag != tag)
			continue;
		assert_true(f.len <= WIRE_OUTPUT_MAX);
		memcpy(dst, f.data, f.len);
		dst[f.len] = '\0';
		*ret_len = f.len;
		return;
	}
	fail_msg("no field %d", tag);
}

static int64_t number(const struct world *w, enum wire_tag tag)
{
	int64_t n = -1;

	assert_int_equal(wire_get_int(&w->message, tag, &n), 0);
	return n;
}

static void on_ended(void *arg, struct attempt_run *a)
{
	struct world *w = arg;

	run_result(a, &w->message);
	assert_int_equal(wire_check(&w->message), 0);
	w->outcome = number(w, WIRE_OUTCOME);
	w->status = number(w, WIRE_STATUS);
	get_output(w, WIRE_STDOUT, w->out, &w->out_len);
	get_output(w, WIRE_STDERR, w->err, &w->err_len);
	(void)run_free(a);
	w->running--;
}

static int begin_with(struct world *w, int body, struct attempt_run **ret, struct error *err)
{
	static const char *const none[] = { NULL };
	char home[128];
	int r;

	(void)snprintf(home, sizeof(home), "%s/home", w->dir);
	r = run_start(&(struct run_options){ .event = w->event, .handler = &w->handler, .home = home,
					     .env = w->sent ? w->sent : none, .body_fd = body,
					     .event_id = 17, .attempt = 2, .grace_ms = w->grace_ms,
					     .ended = on_ended, .arg = w }, ret, err);
	w->running += r == 0;
	return r;
}

static int begin(struct world *w, struct attempt_run **ret, struct error *err)
{
	int body = wire_memfd("{}", 2), r;

	assert_true(body >= 0);
	r = begin_with(w, body, ret, err);
	close(body);
	return r;
}

static void turn(struct world *w)
{
	assert_true(sd_event_run(w->event, 20000) >= 0);
}

static void wait_ended(struct world *w)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (w->running > 0) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
	turn(w);        /* what the last callback left to the loop */
}

static void run_it(struct world *w)
{
	struct attempt_run *a = NULL;
	struct error err = { "" };

	if (begin(w, &a, &err) < 0)
		fail_msg("%s", err.text);
	wait_ended(w);
}

static void wait_file(struct world *w, const char *name)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	char path[512];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	while (stat(path, &st) < 0 || st.st_size == 0) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
}

static pid_t pid_in(struct world *w, const char *name)
{
	AUTO(free) char *text = NULL;
	size_t len;

	wait_file(w, name);
	assert_int_equal(file_read(path_in(w, name), 32, &text, &len), 0);
	return (pid_t)strtol(text, NULL, 10);
}

/* Gone, or a zombie whose parent has not looked yet. */
static bool is_dead(pid_t pid)
{
	AUTO(free) char *text = NULL;
	char path[64];
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return file_read(path, 4096, &text, &len) < 0 || strstr(text, ") Z ") || strstr(text, ") X ");
}

static void wait_dead(pid_t pid)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	assert_true(pid > 1);
	while (!is_dead(pid)) {
		assert_true(clock_mono_ms() < until);
		sched_yield();
	}
}

static unsigned entries_in(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	closedir(d);
	return n;
}

static void no_child_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

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
			write_file(w->path, cases[i].mode, cases[i].text, strlen(cases[i].text));
		assert_int_equal(begin(w, &a, &err), cases[i].code);
		if (!strstr(err.text, cases[i].why) || !strstr(err.text, w->path))
			fail_msg("'%s' does not say '%s'", err.text, cases[i].why);
		assert_null(a);
		assert_int_equal(entries_in(path_in(w, "home/tmp")), 0);
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
	write_file(path_in(w, "home"), 0600, "", 0);
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

/* ---- environment ---- */

static bool has_variable(const struct world *w, const char *item)
{
	for (const char *at = w->out; at < w->out + w->out_len; at += strlen(at) + 1)
		if (strcmp(at, item) == 0)
			return true;
	return false;
}

static unsigned variables(const struct world *w)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->out_len; i++)
		n += w->out[i] == '\0';
	return n;
}

static void run_env(struct world *w)
{
	w->argv[0] = (char[]){ "/usr/bin/env" };
	w->argv[1] = (char[]){ "-0" };
	w->handler.command.count = 2;
	run_it(w);
	assert_int_equal(w->status, 0);
}

static void environment_is_what_was_promised(void **state)
{
	static const char *const sent[] = {
		"CALLOUT_EVENT=17", "FIELD_STATUS=In Progress", "FIELD_EMPTY=", "CALLOUT_TWICE=a",
		"CALLOUT_TWICE=b", "PATH=/evil", "LD_PRELOAD=/evil.so", "CALLOUT_=x", "FIELD_A-B=x",
		"CALLOUTX=1", "XFIELD_Y=1", "CALLOUT_NOTHING", "=x", "", NULL,
	};
	struct world *w = *state;
	char item[128];

	assert_int_equal(setenv("OF_THE_RUNNER", "secret", 1), 0);
	w->sent = sent;
	run_env(w);
	assert_true(has_variable(w, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	assert_true(has_variable(w, "LANG=C.UTF-8"));
	(void)snprintf(item, sizeof(item), "HOME=%s/home/handlers/page", w->dir);
	assert_true(has_variable(w, item));
	(void)snprintf(item, sizeof(item), "TMPDIR=%s/home/tmp/", w->dir);
	assert_non_null(memmem(w->out, w->out_len, item, strlen(item)));
	assert_true(has_variable(w, "CALLOUT_EVENT=17"));
	assert_true(has_variable(w, "FIELD_STATUS=In Progress"));
	assert_true(has_variable(w, "FIELD_EMPTY="));
	assert_true(has_variable(w, "CALLOUT_TWICE=b"));
	assert_int_equal(variables(w), 8);
}

static void configured_variables_are_set(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} files[] = {
#define ROW(text, want) { text, sizeof(text) - 1, want }
		ROW("https://example.net/x", "https://example.net/x"),
		ROW("value\n", "value"),
		ROW("value\r\n", "value"),
		ROW("two\n\n", "two\n"),
		ROW("", ""),
		ROW("\n", ""),
#undef ROW
	};
	static const char *const sent[] = { "CALLOUT_EVENT=17", NULL };
	struct world *w = *state;
	char url[128], want[128];

	(void)snprintf(url, sizeof(url), "URL=file:%s/value", w->dir);
	w->environment[0] = (char[]){ "CHANNEL=noc=1" };
	w->environment[1] = url;
	w->environment[2] = (char[]){ "LANG=de_DE.UTF-8" };
	w->environment[3] = (char[]){ "CALLOUT_EVENT=forged" };
	w->handler.environment.count = 4;
	w->sent = sent;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		write_file(path_in(w, "value"), 0600, files[i].bytes, files[i].len);
		run_env(w);
		(void)snprintf(want, sizeof(want), "URL=%s", files[i].want);
		assert_true(has_variable(w, want));
		assert_true(has_variable(w, "CHANNEL=noc=1"));
		assert_true(has_variable(w, "LANG=de_DE.UTF-8"));
		assert_true(has_variable(w, "CALLOUT_EVENT=17"));
		assert_int_equal(variables(w), 7);
	}
}

static void a_variable_that_cannot_be_read_stops_the_attempt(void **state)
{
	static char big[16 * 1024 + 1];
	struct world *w = *state;
	struct attempt_run *a = NULL;
	struct error err = { "" };
	char url[128];

	script(w, "touch \"$D/ran\"");
	(void)snprintf(url, sizeof(url), "URL=file:%s/value", w->dir);
	w->environment[0] = url;
	w->handler.environment.count = 1;
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "environment URL of handler 'page'"));
	assert_non_null(strstr(err.text, "No such file"));
	memset(big, 's', sizeof(big));
	write_file(path_in(w, "value"), 0600, big, sizeof(big));
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "longer than 16384 bytes"));
	write_file(path_in(w, "value"), 0600, "hid\0den", 7);
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "NUL"));
	assert_null(strstr(err.text, "hid"));
	assert_int_equal(unlink(path_in(w, "value")), 0);
	assert_int_equal(mkfifo(path_in(w, "value"), 0600), 0);
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "is not a file"));
	assert_int_equal(access(path_in(w, "ran"), F_OK), -1);
	write_file(path_in(w, "other"), 0600, big, sizeof(big) - 1);
	(void)snprintf(url, sizeof(url), "URL=file:%s/other", w->dir);
	run_it(w);
	assert_int_equal(w->status, 0);
}

/* ---- directories ---- */

static void working_directory_is_kept(void **state)
{
	struct world *w = *state;
	struct stat st;

	script(w, "pwd; [ \"$PWD\" = \"$HOME\" ] || exit 9; ls; touch kept");
	run_it(w);
	assert_int_equal(w->status, 0);
	assert_non_null(strstr(w->out, "/home/handlers/page\n"));
	assert_null(strstr(w->out, "kept"));
	run_it(w);
	assert_non_null(strstr(w->out, "/home/handlers/page\nkept\n"));
	assert_int_equal(stat(path_in(w, "home/handlers/page"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void temporary_directory_is_removed(void **state)
{
	static const char *const deeds[] = {
		":",
		"touch \"$TMPDIR/a\" \"$TMPDIR/.hidden\" \"$TMPDIR/-f\"",
		"cd \"$TMPDIR\" && i=0; while [ $i -lt 300 ]; do mkdir d f && touch f/x && cd d; i=$((i+1)); done",
		"mkdir -p \"$TMPDIR/a/b/c\" && touch \"$TMPDIR/a/b/c/x\" && chmod 0 \"$TMPDIR/a/b/c\" \"$TMPDIR/a/b\" \"$TMPDIR/a\"",
		"mkdir \"$TMPDIR/a\" && ln -s \"$D/outside\" \"$TMPDIR/a/link\" && ln -s \"$D/outside\" \"$TMPDIR/link\"",
		"mkdir -p \"$TMPDIR/.removed-0/.removed-1/x\" \"$TMPDIR/a/b/c\" \"$TMPDIR/a/.removed-0/y\"",
		"mkfifo \"$TMPDIR/pipe\"",
		"rmdir \"$TMPDIR\"",
		"rmdir \"$TMPDIR\" && ln -s \"$D/outside\" \"$TMPDIR\"",
		"rmdir \"$TMPDIR\" && touch \"$TMPDIR\"",
		"touch \"$TMPDIR/a\" && chmod 0 \"$TMPDIR\"",
	};
	struct world *w = *state;
	struct stat st;
	char text[512];

	assert_int_equal(mkdir(path_in(w, "outside"), 0700), 0);
	write_file(path_in(w, "outside/precious"), 0600, "x", 1);
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
		(void)snprintf(text, sizeof(text), "stat -c %%a \"$TMPDIR\"; ls -A \"$TMPDIR\"; %s", deeds[i]);
		script(w, text);
		run_it(w);
		assert_int_equal(w->status, 0);
		assert_string_equal(w->out, "700\n");
		if (entries_in(path_in(w, "home/tmp")) != 0)
			fail_msg("left after: %s", deeds[i]);
		assert_int_equal(stat(path_in(w, "outside/precious"), &st), 0);
	}
}

/* ---- nothing of ours ---- */

static void nothing_of_ours_is_open(void **state)
{
	struct world *w = *state;
	int leak = open("/dev/null", O_RDONLY);         /* without O_CLOEXEC, as a library might */

	assert_true(leak > 2);
	w->argv[0] = (char[]){ "/bin/ls" };
	w->argv[1] = (char[]){ "/proc/self/fd" };
	run_it(w);
	assert_string_equal(w->out, "0\n1\n2\n3\n");    /* 3: ls reads the directory */
	close(leak);
}

static void signals_are_as_usual(void **state)
{
	struct world *w = *state;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	w->argv[0] = (char[]){ "/bin/cat" };
	w->argv[1] = (char[]){ "/proc/self/status" };
	run_it(w);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	assert_non_null(strstr(w->out, "SigBlk:\t0000000000000000"));
	/* 32 and 33 are the C library's own, and nobody ignores them but a tracer. */
	assert_non_null(strstr(w->out, "SigIgn:\t0000000000000000"));
}

static void it_leads_a_session_of_its_own(void **state)
{
	struct world *w = *state;

	script(w, "ps -o pid=,pgid=,sid= -p $$ | { read -r a b c; [ $a = $b ] && [ $b = $c ]; }");
	run_it(w);
	assert_int_equal(w->status, 0);
}

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
	assert_true(took >= RUN_DRAIN_MS && took < 5000);
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
	assert_int_equal(entries_in(path_in(w, "home/tmp")), 0);
	no_child_is_left();
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
		TEST(environment_is_what_was_promised),
		TEST(configured_variables_are_set),
		TEST(a_variable_that_cannot_be_read_stops_the_attempt),
		TEST(working_directory_is_kept),
		TEST(temporary_directory_is_removed),
		TEST(nothing_of_ours_is_open),
		TEST(signals_are_as_usual),
		TEST(it_leads_a_session_of_its_own),
		TEST(time_out_ends_the_whole_group),
		TEST(who_ignores_sigterm_is_killed),
		TEST(a_stopped_one_hears_the_time_out),
		TEST(what_the_leader_leaves_is_killed),
		TEST(a_daemon_does_not_hold_the_attempt),
		TEST(stop_ends_it_as_stopped),
		TEST(free_kills_and_cleans),
		TEST(the_handler_dies_with_its_runner),
		TEST(many_runs_leave_nothing),
	};

	block_signals();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
