/*
 * leftover.c - what a runner that was killed left behind: processes, then directories.
 *
 * The kernel has killed its handlers; what those had started lives on where no control group took
 * it along, and would work beside the next attempt of the same event. It is known by its TMPDIR:
 * a directory of ours that is there still, so one of an attempt that did not end.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "private.h"

#define ROUNDS_MAX 10           /* they may fork while we look */
#define DEATH_MS 1000
#define ENVIRON_MAX (1 << 20)   /* bytes */

AUTO_DEFINE(DIR, DIR *, closedir)

/* One "NAME=value" after the other, each with its NUL. */
static const char *find_variable(const char *environment, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *at = environment; at < environment + len; at += strlen(at) + 1)
		if (strncmp(at, name, name_len) == 0)
			return at + name_len;
	return NULL;
}

static bool is_leftover(pid_t pid, const char *parent)
{
	AUTO(free) char *environment = NULL;
	size_t len = 0, parent_len = strlen(parent);
	const char *scratch;
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (file_read(path, ENVIRON_MAX, &environment, &len) < 0)
		return false;   /* another user's, or gone */
	scratch = find_variable(environment, len, "TMPDIR=");
	return scratch && strncmp(scratch, parent, parent_len) == 0 && scratch[parent_len] == '/' &&
	       lstat(scratch, &st) == 0;
}

/* The descriptor comes first: after it the number cannot become another's unnoticed. */
static bool kill_leftover(pid_t pid, const char *parent)
{
	AUTO(fd) int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd < 0 || !is_leftover(pid, parent) || pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0)
		return false;
	(void)poll(&p, 1, DEATH_MS);
	return true;
}

static unsigned kill_round(const char *parent)
{
	AUTO(DIR) DIR *d = opendir("/proc");
	struct dirent *e;
	unsigned killed = 0;

	while (d && (e = readdir(d)) != NULL) {
		long pid = isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;

		if (pid > 1 && pid != getpid())
			killed += kill_leftover((pid_t)pid, parent);
	}
	return killed;
}

static bool is_empty(const char *path)
{
	AUTO(DIR) DIR *d = opendir(path);
	unsigned entries = 0;

	while (d && entries <= 2 && readdir(d))
		entries++;
	return entries <= 2;
}

void leftovers_clear(const char *home)
{
	char parent[PATH_MAX];
	int n = snprintf(parent, sizeof(parent), "%s/tmp", home);
	unsigned killed, all = 0;

	if (n < 0 || (size_t)n >= sizeof(parent) || is_empty(parent))
		return;
	for (unsigned round = 0; round < ROUNDS_MAX && (killed = kill_round(parent)) > 0; round++)
		all += killed;
	if (all > 0)
		log_warn(NULL, "killed what handlers of a killed runner had left running: %u processes", all);
	scratch_clear(parent);
}
