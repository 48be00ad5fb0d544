/*
 * test_attempt_world.h - what tests of attempts share: a directory, a loop, a handler, and its RESULT.
 */
#ifndef CALLOUTD_TEST_ATTEMPT_WORLD_H
#define CALLOUTD_TEST_ATTEMPT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include "test_tree.h"

#define PATIENCE_MS 20000       /* for things that take milliseconds unless the machine is busy */

struct world {
	char dir[64];
	sd_event *event;
	struct run_shared *shared;      /* from the first attempt on */
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

static inline int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/calloutd-attempt.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_true(sd_event_new(&w->event) >= 0);
	(void)snprintf(w->title, sizeof(w->title), "page");
	w->handler.title = w->title;
	w->handler.timeout_ms = PATIENCE_MS;
	w->handler.command.items = w->argv;
	w->handler.environment.items = w->environment;
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	(void)run_shared_free(w->shared);
	sd_event_unref(w->event);
	assert_int_equal(remove_tree(w->dir), 0);
	free(w);
	return 0;
}

static inline unsigned entries_in(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	closedir(d);
	return n;
}

/* Below DIR/home/tmp is nothing but empty directories that wait for the next attempts; how many. */
static inline unsigned scratches_kept(const struct world *w)
{
	char tmp[128], path[512];
	struct dirent *e;
	unsigned count = 0;
	struct stat st;
	DIR *d;

	(void)snprintf(tmp, sizeof(tmp), "%s/home/tmp", w->dir);
	d = opendir(tmp);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", tmp, e->d_name);
		assert_int_equal(lstat(path, &st), 0);
		if (!S_ISDIR(st.st_mode) || (st.st_mode & 07777) != 0700 || entries_in(path) != 0)
			fail_msg("%s was left behind", path);
		count++;
	}
	closedir(d);
	return count;
}

/* What attempts share ends: then there are none. */
static inline void shared_ends(struct world *w)
{
	char tmp[128];

	w->shared = run_shared_free(w->shared);
	(void)snprintf(tmp, sizeof(tmp), "%s/home/tmp", w->dir);
	assert_int_equal(entries_in(tmp), 0);
}

static inline const char *path_in(const struct world *w, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

/* The handler is this text; $D in it is the test's directory. */
static inline void script(struct world *w, const char *text)
{
	char whole[2048];
	int n = snprintf(whole, sizeof(whole), "#!/bin/sh\nD='%s'\n%s\n", w->dir, text);

	assert_true(n > 0 && (size_t)n < sizeof(whole));
	(void)snprintf(w->path, sizeof(w->path), "%s/handler", w->dir);
	write_path(w->path, 0755, whole, (size_t)n);
	w->argv[0] = w->path;
	w->handler.command.count = 1;
}

static inline void get_output(struct world *w, enum wire_tag tag, char *dst, size_t *ret_len)
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

static inline int64_t number(const struct world *w, enum wire_tag tag)
{
	int64_t n = -1;

	assert_int_equal(wire_get_int(&w->message, tag, &n), 0);
	return n;
}

static inline void on_ended(void *arg, struct attempt_run *a)
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

static inline int begin_with(struct world *w, int body, struct attempt_run **ret, struct error *err)
{
	static const char *const none[] = { NULL };
	char home[128];
	int r;

	(void)snprintf(home, sizeof(home), "%s/home", w->dir);
	if (!w->shared)
		assert_int_equal(run_shared_new(home, &w->shared), 0);
	r = run_start(&(struct run_options){ .event = w->event, .handler = &w->handler, .shared = w->shared,
					     .env = w->sent ? w->sent : none, .body_fd = body,
					     .event_id = 17, .attempt = 2, .grace_ms = w->grace_ms,
					     .ended = on_ended, .arg = w }, ret, err);
	w->running += r == 0;
	return r;
}

static inline int begin(struct world *w, struct attempt_run **ret, struct error *err)
{
	int body = wire_memfd("{}", 2), r;

	assert_true(body >= 0);
	r = begin_with(w, body, ret, err);
	close(body);
	return r;
}

static inline void turn(struct world *w)
{
	assert_true(sd_event_run(w->event, 20000) >= 0);
}

static inline void wait_ended(struct world *w)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (w->running > 0) {
		assert_true(clock_mono_ms() < until);
		turn(w);
	}
	turn(w);        /* what the last callback left to the loop */
}

static inline void run_it(struct world *w)
{
	struct attempt_run *a = NULL;
	struct error err = { "" };

	if (begin(w, &a, &err) < 0)
		fail_msg("%s", err.text);
	wait_ended(w);
}

static inline void wait_file(struct world *w, const char *name)
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

static inline pid_t pid_in(struct world *w, const char *name)
{
	AUTO(free) char *text = NULL;
	size_t len;

	wait_file(w, name);
	assert_int_equal(file_read(path_in(w, name), 32, &text, &len), 0);
	return (pid_t)strtol(text, NULL, 10);
}

/* Gone, or a zombie whose parent has not looked yet. */
static inline bool is_dead(pid_t pid)
{
	AUTO(free) char *text = NULL;
	char path[64];
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return file_read(path, 4096, &text, &len) < 0 || strstr(text, ") Z ") || strstr(text, ") X ");
}

static inline void wait_dead(pid_t pid)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	assert_true(pid > 1);
	while (!is_dead(pid)) {
		assert_true(clock_mono_ms() < until);
		sched_yield();
	}
}

static inline void no_child_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
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
