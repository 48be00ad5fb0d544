/*
 * test_runner_world.h - what tests of the runner share: a configuration, a runner, and the daemon's side.
 */
#ifndef CALLOUTD_TEST_RUNNER_WORLD_H
#define CALLOUTD_TEST_RUNNER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include "test_tree.h"

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

static inline void write_text(const char *path, mode_t mode, const char *text)
{
	write_path(path, mode, text, strlen(text));
}

static inline const char *path_in(const struct world *w, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

/* A handler of the configuration, and its program. $D is the test's directory. */
static inline void handler(struct world *w, const char *name, const char *setting, const char *text)
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

static inline void conf_top(struct world *w)
{
	write_text(w->conf, 0600, "log-level = \"error\"\nwebhook \"t\" {\n path = \"/autotask/0123456789abcdef0123456789abcdef\"\n"
		   " secrets = { \"file:/etc/calloutd/secrets/t\" }\n}\n");
}

static inline int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/calloutd-runner.XXXXXX");
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

static inline int tear_down(void **state)
{
	struct world *w = *state;

	runner_free(w->runner);
	loop_free(w->loop);
	if (w->daemon >= 0)
		close(w->daemon);
	if (w->listener >= 0)
		close(w->listener);
	assert_int_equal(remove_tree(w->dir), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);       /* no child is left */
	free(w);
	return 0;
}

static inline int try_begin(struct world *w, const char *name, int stream, struct error *err)
{
	return runner_new(&(struct runner_options){ .loop = w->loop, .conf_path = w->conf, .name = name,
						    .home = w->home, .listen_fd = w->listener,
						    .stream_fd = stream, .grace_ms = 300 },
			  &w->runner, err);
}

/* As the daemon's child. */
static inline void begin_stream(struct world *w)
{
	struct error err = { "" };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	w->daemon = pair[0];
	if (try_begin(w, NULL, pair[1], &err) < 0)
		fail_msg("%s", err.text);
}

/* As under systemd. */
static inline void begin_listening(struct world *w, const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct error err = { "" };

	memcpy(sa.sun_path, w->socket, strlen(w->socket) + 1);
	w->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(w->listener, 8), 0);
	if (try_begin(w, name, -1, &err) < 0)
		fail_msg("%s", err.text);
}

static inline int dial(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, w->socket, strlen(w->socket) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static inline bool has_ended(struct world *w)
{
	return sd_event_get_state(loop_event(w->loop)) == SD_EVENT_FINISHED;
}

static inline void turn(struct world *w)
{
	if (!has_ended(w))
		assert_true(sd_event_run(loop_event(w->loop), 10000) >= 0);
}

/* ---- the daemon's side ---- */

/* The next message on fd: its verb, 0 at the end of the connection. */
static inline int hear_on(struct world *w, int fd)
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

static inline int hear(struct world *w)
{
	return hear_on(w, w->daemon);
}

static inline int64_t number(const struct world *w, enum wire_tag tag)
{
	int64_t n = -1;

	assert_int_equal(wire_get_int(&w->in, tag, &n), 0);
	return n;
}

static inline bool about(const struct world *w, const char *title, int64_t event, int64_t attempt)
{
	char name[80];

	assert_int_equal(wire_get_text(&w->in, WIRE_HANDLER, name, sizeof(name)), 0);
	return strcmp(name, title) == 0 && number(w, WIRE_EVENT) == event &&
	       number(w, WIRE_ATTEMPT) == attempt;
}

static inline void say(struct world *w, int fd)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	int r;

	while ((r = wire_send(w->daemon, &w->out, fd)) == -EAGAIN) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
	assert_int_equal(r, 0);
}

static inline void subject(struct world *w, enum wire_verb verb, const char *title, int64_t event, int64_t attempt)
{
	wire_begin(&w->out, verb);
	assert_int_equal(wire_put_text(&w->out, WIRE_HANDLER, title), 0);
	assert_int_equal(wire_put_int(&w->out, WIRE_EVENT, event), 0);
	assert_int_equal(wire_put_int(&w->out, WIRE_ATTEMPT, attempt), 0);
}

static inline void start(struct world *w, const char *title, int64_t event, int64_t attempt)
{
	AUTO(fd) int fd = wire_memfd("the body", 8);
	char env[64];

	subject(w, WIRE_START, title, event, attempt);
	(void)snprintf(env, sizeof(env), "CALLOUT_EVENT=%lld", (long long)event);
	assert_int_equal(wire_put_text(&w->out, WIRE_ENV, env), 0);
	say(w, fd);
}

static inline void ack(struct world *w, const char *title, int64_t event, int64_t attempt)
{
	subject(w, WIRE_ACK, title, event, attempt);
	say(w, -1);
}

static inline void hear_hello(struct world *w, int64_t count)
{
	assert_int_equal(hear(w), WIRE_HELLO);
	assert_int_equal(number(w, WIRE_COUNT), count);
}

static inline void hear_result(struct world *w, const char *title, int64_t event, int64_t attempt, int outcome,
			int status)
{
	assert_int_equal(hear(w), WIRE_RESULT);
	assert_true(about(w, title, event, attempt));
	assert_int_equal(number(w, WIRE_OUTCOME), outcome);
	assert_int_equal(number(w, WIRE_STATUS), status);
}

static inline void hear_refused(struct world *w, const char *title, int64_t event, int64_t attempt, int why)
{
	char text[512] = "";

	assert_int_equal(hear(w), WIRE_REFUSED);
	assert_true(about(w, title, event, attempt));
	assert_int_equal(number(w, WIRE_REASON), why);
	assert_int_equal(wire_get_text(&w->in, WIRE_TEXT, text, sizeof(text)), 0);
	assert_true(strlen(text) > 5);
}

static inline void wait_file(struct world *w, const char *name)
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

static inline void reconnect(struct world *w)
{
	close(w->daemon);
	w->daemon = dial(w);
}

static inline void finish(struct world *w)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (!has_ended(w)) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
}

/* ---- for main() ---- */

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline void block_sigchld(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

#endif
