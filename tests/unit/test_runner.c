/* test_runner.c - the whole runner in this process, with a scripted daemon at the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wire.h"
#include "runner/runner.h"

#define PATIENCE_MS 20000

struct world {
	char dir[64], conf[128], home[128], socket[128];
	struct loop *loop;
	struct runner *runner;
	int daemon;                     /* the daemon's end */
	int listener;
	struct wire_message out, in;
};

/* ---- the world ---- */

static void write_text(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *path_in(const struct world *w, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

/* A handler of the configuration, and its program. $D is the test's directory. */
static void handler(struct world *w, const char *name, const char *setting, const char *text)
{
	char whole[1024], path[128];
	FILE *f = fopen(w->conf, "a");

	assert_non_null(f);
	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	(void)snprintf(whole, sizeof(whole), "#!/bin/sh\nD='%s'\n%s\n", w->dir, text);
	write_text(path, 0755, whole);
	fprintf(f, "handler \"%s\" {\n webhooks = { \"t\" }\n command = { \"%s\" }\n log-output = \"none\"\n%s\n}\n",
		name, path, setting);
	assert_int_equal(fclose(f), 0);
}

static void conf_top(struct world *w)
{
	write_text(w->conf, 0600, "log-level = \"error\"\nwebhook \"t\" {\n path = \"/autotask/0123456789abcdef0123456789abcdef\"\n"
		   " secrets = { \"file:/etc/calloutd/secrets/t\" }\n}\n");
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	strcpy(w->dir, "/tmp/calloutd-runner.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->conf, sizeof(w->conf), "%s/calloutd.conf", w->dir);
	(void)snprintf(w->home, sizeof(w->home), "%s/home", w->dir);
	(void)snprintf(w->socket, sizeof(w->socket), "%s/socket", w->dir);
	conf_top(w);
	handler(w, "ok", "", "cat >\"$D/body.$CALLOUT_EVENT\"; echo out; echo err >&2");
	handler(w, "fail", "", "exit 3");
	handler(w, "wait", "", "echo $$ >\"$D/up.$CALLOUT_EVENT\"; while [ ! -e \"$D/go\" ]; do sleep 0.02; done; exit 4");
	handler(w, "stubborn", "", "trap '' TERM; echo $$ >\"$D/up.$CALLOUT_EVENT\"; while :; do sleep 600; done");
	handler(w, "elsewhere", "runner = \"other\"", "exit 5");
	assert_int_equal(loop_new(&w->loop), 0);
	w->daemon = w->listener = -1;
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

	runner_free(w->runner);
	loop_free(w->loop);
	if (w->daemon >= 0)
		close(w->daemon);
	if (w->listener >= 0)
		close(w->listener);
	assert_int_equal(nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);       /* no child is left */
	free(w);
	return 0;
}

static int try_begin(struct world *w, const char *name, int stream, struct error *err)
{
	return runner_new(&(struct runner_options){ .loop = w->loop, .conf_path = w->conf, .name = name,
						    .home = w->home, .listen_fd = w->listener,
						    .stream_fd = stream, .grace_ms = 300 },
			  &w->runner, err);
}

/* As the daemon's child. */
static void begin_stream(struct world *w)
{
	struct error err = { "" };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	w->daemon = pair[0];
	if (try_begin(w, NULL, pair[1], &err) < 0)
		fail_msg("%s", err.text);
}

/* As under systemd. */
static void begin_listening(struct world *w, const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct error err = { "" };

	strcpy(sa.sun_path, w->socket);
	w->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(w->listener, 8), 0);
	if (try_begin(w, name, -1, &err) < 0)
		fail_msg("%s", err.text);
}

static int dial(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, w->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static bool has_ended(struct world *w)
{
	return sd_event_get_state(loop_event(w->loop)) == SD_EVENT_FINISHED;
}

static void turn(struct world *w)
{
	if (!has_ended(w))
		assert_true(sd_event_run(loop_event(w->loop), 10000) >= 0);
}

/* ---- the daemon's side ---- */

/* The next message on fd: its verb, 0 at the end of the connection. */
static int hear_on(struct world *w, int fd)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	int passed = -1, n;

	while ((n = wire_receive(fd, &w->in, &passed)) == -EAGAIN) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
	assert_int_equal(passed, -1);
	assert_true(n >= 0 || n == -ECONNRESET);
	return n > 0 ? w->in.verb : 0;
}

static int hear(struct world *w)
{
	return hear_on(w, w->daemon);
}

static int64_t number(const struct world *w, enum wire_tag tag)
{
	int64_t n = -1;

	assert_int_equal(wire_get_int(&w->in, tag, &n), 0);
	return n;
}

static bool about(const struct world *w, const char *title, int64_t event, int64_t attempt)
{
	char name[80];

	assert_int_equal(wire_get_text(&w->in, WIRE_HANDLER, name, sizeof(name)), 0);
	return strcmp(name, title) == 0 && number(w, WIRE_EVENT) == event &&
	       number(w, WIRE_ATTEMPT) == attempt;
}

static void say(struct world *w, int fd)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	int r;

	while ((r = wire_send(w->daemon, &w->out, fd)) == -EAGAIN) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
	assert_int_equal(r, 0);
}

static void subject(struct world *w, enum wire_verb verb, const char *title, int64_t event, int64_t attempt)
{
	wire_begin(&w->out, verb);
	assert_int_equal(wire_put_text(&w->out, WIRE_HANDLER, title), 0);
	assert_int_equal(wire_put_int(&w->out, WIRE_EVENT, event), 0);
	assert_int_equal(wire_put_int(&w->out, WIRE_ATTEMPT, attempt), 0);
}

static void start(struct world *w, const char *title, int64_t event, int64_t attempt)
{
	AUTO(fd) int fd = wire_memfd("the body", 8);
	char env[64];

	subject(w, WIRE_START, title, event, attempt);
	(void)snprintf(env, sizeof(env), "CALLOUT_EVENT=%lld", (long long)event);
	assert_int_equal(wire_put_text(&w->out, WIRE_ENV, env), 0);
	say(w, fd);
}

static void ack(struct world *w, const char *title, int64_t event, int64_t attempt)
{
	subject(w, WIRE_ACK, title, event, attempt);
	say(w, -1);
}

static void hear_hello(struct world *w, int64_t count)
{
	assert_int_equal(hear(w), WIRE_HELLO);
	assert_int_equal(number(w, WIRE_COUNT), count);
}

static void hear_result(struct world *w, const char *title, int64_t event, int64_t attempt, int outcome,
			int status)
{
	assert_int_equal(hear(w), WIRE_RESULT);
	assert_true(about(w, title, event, attempt));
	assert_int_equal(number(w, WIRE_OUTCOME), outcome);
	assert_int_equal(number(w, WIRE_STATUS), status);
}

static void hear_refused(struct world *w, const char *title, int64_t event, int64_t attempt, int why)
{
	char text[512] = "";

	assert_int_equal(hear(w), WIRE_REFUSED);
	assert_true(about(w, title, event, attempt));
	assert_int_equal(number(w, WIRE_REASON), why);
	assert_int_equal(wire_get_text(&w->in, WIRE_TEXT, text, sizeof(text)), 0);
	assert_true(strlen(text) > 5);
}

static void wait_file(struct world *w, const char *name)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	while (stat(path, &st) < 0 || st.st_size == 0) {
		assert_true(clock_mono_ms() < until);
		assert_true(sd_event_run(loop_event(w->loop), 10000) >= 0);
	}
}

static void reconnect(struct world *w)
{
	close(w->daemon);
	w->daemon = dial(w);
}

static void finish(struct world *w)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (!has_ended(w)) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
}

/* ---- tests ---- */

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
	while (refused < sent) {
		int n = wire_receive(w->daemon, &w->in, &passed);

		assert_true(n == 1 || n == -EAGAIN);
		refused += n == 1;
		if (n == -EAGAIN)
			turn(w);
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
		TEST(a_start_gives_one_result),
		TEST(refusals_name_their_reason),
		TEST(a_named_runner_runs_its_own_only),
		TEST(an_unnamed_one_runs_all),
		TEST(what_cannot_be_run_is_a_result),
		TEST(a_new_connection_is_told_everything),
		TEST(a_newer_connection_replaces_the_older),
		TEST(acks_of_others_change_nothing),
		TEST(hostile_messages_end_the_connection),
		TEST(a_hostile_stream_ends_the_runner),
		TEST(kept_results_are_bounded),
		TEST(a_daemon_that_does_not_read_costs_nothing),
		TEST(few_descriptors_mean_few_handlers),
		TEST(stop_ends_one_attempt),
		TEST(an_end_is_told_before_it),
		TEST(an_idle_runner_ends_at_once),
		TEST(the_end_of_the_stream_ends_everything),
		TEST(last_words_are_not_waited_for_long),
		TEST(reload_is_all_or_nothing),
		TEST(an_invalid_configuration_is_no_start),
		TEST(what_a_killed_runner_left_is_removed),
		TEST(a_new_runner_waits_for_the_old_one),
		TEST(waiting_ends_when_the_daemon_goes),
	};

	block_signals();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
