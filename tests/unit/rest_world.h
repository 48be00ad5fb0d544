/*
 * rest_world.h - what tests of the REST client share: a directory with credentials, options for a
 * client, the simulator as a process.
 */
#ifndef TESTS_UNIT_REST_WORLD_H
#define TESTS_UNIT_REST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autotask/rest.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"

#define USER "api@example.com"
#define SECRET "s3cret-Xyzzy-Plugh"
#define CODE "C0DE-Frobnicate-1"
#define DEADLINE_MS 10000

struct world {
	char directory[64];
	char user[64], secret[100], code[100];  /* the latter two are references */
	char cache[100];
	char base[64], information[128];        /* "http://127.0.0.1:PORT" */
	struct conf_autotask autotask;
	struct rest_options options;
	struct error err;
	pid_t process;                          /* the simulator or another server; 0: none */
	unsigned waits;
	char why[128];
};

static inline void put_file(const char *directory, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(file_replace(path, 0600, text, strlen(text)), 0);
}

static inline void on_waiting(void *arg, const char *why, int64_t ms)
{
	struct world *w = arg;

	assert_true(ms > 0);
	w->waits++;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
}

static inline void world_point_to(struct world *w, const char *base)
{
	(void)snprintf(w->base, sizeof(w->base), "%s", base);
	(void)snprintf(w->information, sizeof(w->information), "%s/atservicesrest/v1.0/zoneInformation", base);
}

static inline void world_begin(struct world *w)
{
	static const char *const proxies[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" };

	for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
		(void)unsetenv(proxies[i]);
	*w = (struct world){ .waits = 0 };
	(void)snprintf(w->directory, sizeof(w->directory), "/tmp/calloutd-test.XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	put_file(w->directory, "secret", SECRET "\n");
	put_file(w->directory, "code", CODE "\n");
	(void)snprintf(w->secret, sizeof(w->secret), "file:%s/secret", w->directory);
	(void)snprintf(w->code, sizeof(w->code), "file:%s/code", w->directory);
	(void)snprintf(w->cache, sizeof(w->cache), "%s/cache", w->directory);
	(void)snprintf(w->user, sizeof(w->user), USER);
	w->autotask = (struct conf_autotask){ .username = w->user, .secret = w->secret, .integration_code = w->code,
					      .zone_information = w->information };
	w->options = (struct rest_options){ .autotask = &w->autotask, .cache_directory = w->cache, .waiting = on_waiting,
					    .first_wait_ms = 5 };
	w->options.arg = w;
}

static inline void stop_process(struct world *w)
{
	int status;

	if (!w->process)
		return;
	(void)kill(w->process, SIGTERM);
	assert_int_equal(waitpid(w->process, &status, 0), w->process);
	w->process = 0;
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0);
}

static inline int drop_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline void world_end(struct world *w)
{
	stop_process(w);
	assert_int_equal(nftw(w->directory, drop_file, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The first line that a process writes to fd. */
static inline void first_line(int fd, char *dst, size_t cap)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n + 1 < cap && (!n || dst[n - 1] != '\n')) {
		assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
		assert_int_equal(read(fd, dst + n, 1), 1);
		n++;
	}
	dst[n - 1] = '\0';
}

/* For cmocka: the test's state is a world. */
static inline int world_set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_begin(w);
	*state = w;
	return 0;
}

static inline int world_tear_down(void **state)
{
	world_end(*state);
	free(*state);
	return 0;
}

/* build/autotask-sim beside this test's directory, with these arguments (NULL at the end). */
static inline void start_simulator(struct world *w, const char *const *arguments)
{
	char self[256], program[300], line[128], *argv[16] = { (char[]){ "autotask-sim" } };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int out[2];

	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	(void)snprintf(program, sizeof(program), "%s/../autotask-sim", self);
	for (size_t i = 0; arguments[i]; i++)
		argv[i + 1] = strdupa(arguments[i]);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->process = fork();
	assert_true(w->process >= 0);
	if (w->process == 0) {
		(void)dup2(out[1], 1);
		(void)execv(program, argv);
		_exit(127);
	}
	(void)close(out[1]);
	first_line(out[0], line, sizeof(line));
	(void)close(out[0]);
	assert_memory_equal(line, "listening on ", 13);
	world_point_to(w, line + 13);
}

/* A client, which must come up. */
static inline struct rest *opened(struct world *w)
{
	struct rest *r = NULL;
	int result = rest_open(&w->options, &r, &w->err);

	if (result < 0)
		print_error("%s\n", w->err.text);
	assert_int_equal(result, 0);
	return r;
}

static inline void assert_said(const struct world *w, const char *words)
{
	if (!strstr(w->err.text, words))
		print_error("\"%s\" is not in: %s\n", words, w->err.text);
	assert_non_null(strstr(w->err.text, words));
	assert_null(strstr(w->err.text, SECRET));
	assert_null(strstr(w->err.text, CODE));
}

#endif
