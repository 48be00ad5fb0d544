/* child.c - calloutd-runner as our child: how handlers run without systemd. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define CHILD_STREAM_FD 3
#define CHILD_WAIT_MS 1000      /* before another one is started; doubled up to ... */
#define CHILD_WAIT_MAX_MS 30000
#define CHILD_STEADY_MS 60000   /* one that lived so long was in order */
#define CHILD_END_MS 12000      /* its handlers get 5 s after SIGTERM, then SIGKILL */

/* Beside our own program: build/ has both, and so has /usr/sbin. */
static int runner_path(char *dst, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", dst, cap - 1);
	char *slash;

	if (n < 0)
		return -errno;
	dst[n] = '\0';
	slash = strrchr(dst, '/');
	if (!slash || (size_t)(slash + 1 - dst) + sizeof("calloutd-runner") > cap)
		return -ENAMETOOLONG;
	memcpy(slash + 1, "calloutd-runner", sizeof("calloutd-runner"));
	return access(dst, X_OK) == 0 ? 0 : -errno;
}

/* Our environment without what systemd meant for us alone. */
static char **environment_for_child(void)
{
	static const char *const ours[] = {
		"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID=",
		"LISTEN_FDNAMES=", "CREDENTIALS_DIRECTORY=",
	};
	size_t count = 0, n = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 1, sizeof(char *));
	for (size_t i = 0; copy && i < count; i++) {
		bool keep = true;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			keep = keep && strncmp(environ[i], ours[k], strlen(ours[k])) != 0;
		if (keep)
			copy[n++] = environ[i];
	}
	return copy;
}

/* Its own group: a Ctrl-C in a terminal is for us; the runner hears of it from us. */
static void set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t set;

	(void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				       POSIX_SPAWN_SETPGROUP);
	sigemptyset(&set);
	(void)posix_spawnattr_setsigmask(attributes, &set);
	sigaddset(&set, SIGPIPE);
	(void)posix_spawnattr_setsigdefault(attributes, &set);
	(void)posix_spawnattr_setpgroup(attributes, 0);
}

static int spawn(const char *path, char *const argv[], int stream, pid_t *ret_pid)
{
	AUTO(free) char **environment = environment_for_child();
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	if (!environment)
		return -ENOMEM;
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	set_attributes(&attributes);
	r = posix_spawn_file_actions_adddup2(&actions, stream, CHILD_STREAM_FD);
	if (r == 0)
		r = posix_spawn(ret_pid, path, &actions, &attributes, argv, environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* dup2() onto itself would keep close-on-exec set: stay away from the target number. */
static int move_away(int fd)
{
	int moved;

	if (fd != CHILD_STREAM_FD)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_STREAM_FD + 1);
	(void)close(fd);
	return moved;
}

int child_start(struct daemon *d, struct error *err)
{
	char path[PATH_MAX], home[PATH_MAX + 16], stream[16];
	/* The same as we: handlers of a broken file are nobody's. */
	const char *conf = d->disk_in_force ? d->conf_path : d->last_good;
	char *argv[] = { path, (char[]){ "--config" }, strdupa(conf), (char[]){ "--home" }, home,
			 (char[]){ "--stream" }, stream, NULL };
	int pair[2];
	int r;

	r = runner_path(path, sizeof(path));
	if (r < 0)
		return error_set(err, -r, "calloutd-runner is not beside calloutd: %s", strerror(-r));
	(void)snprintf(home, sizeof(home), "%s/runner", d->state);
	(void)snprintf(stream, sizeof(stream), "%d", CHILD_STREAM_FD);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return error_set(err, errno, "cannot make a socket pair: %s", strerror(errno));
	pair[1] = move_away(pair[1]);
	r = pair[1] < 0 ? -EMFILE : spawn(path, argv, pair[1], &d->child);
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		d->child = 0;
		return error_set(err, -r, "cannot start %s: %s", path, strerror(-r));
	}
	d->child_fd = pair[0];
	d->child_since_ms = clock_mono_ms();
	return 0;
}

/* ---- its end, and another one ---- */

/* Deliveries wait meanwhile; callouts are received as ever. */
static void start_later(struct daemon *d)
{
	if (clock_mono_ms() - d->child_since_ms > CHILD_STEADY_MS)
		d->child_wait_ms = 0;
	d->child_wait_ms = d->child_wait_ms ? 2 * d->child_wait_ms : CHILD_WAIT_MS;
	if (d->child_wait_ms > CHILD_WAIT_MAX_MS)
		d->child_wait_ms = CHILD_WAIT_MAX_MS;
	(void)sd_event_source_set_time_relative(d->child_again, (uint64_t)d->child_wait_ms * 1000);
	(void)sd_event_source_set_enabled(d->child_again, SD_EVENT_ONESHOT);
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *arg)
{
	struct daemon *d = arg;

	(void)s;
	d->child = 0;
	if (d->ending) {
		loop_quit(d->loop, 0);
		return 0;
	}
	start_later(d);
	log_err(NULL, "calloutd-runner ended (%s %d): deliveries wait, another one is started in %lld s",
		si->si_code == CLD_EXITED ? "exit status" : "signal", si->si_status,
		(long long)d->child_wait_ms / 1000);
	return 0;
}

static int on_again(sd_event_source *s, uint64_t usec, void *arg)
{
	struct daemon *d = arg;
	struct error err = { "" };
	int r = d->ending ? -ECANCELED : child_start(d, &err);

	(void)s;
	(void)usec;
	if (r == 0)
		r = dispatcher_child(d->dispatcher, TAKE_FD(d->child_fd));
	if (r == 0)
		r = child_watch(d);
	if (r < 0 && !d->ending) {
		log_err(NULL, "%s", err.text[0] ? err.text : strerror(-r));
		start_later(d);
	}
	return 0;
}

int child_watch(struct daemon *d)
{
	sd_event *e = loop_event(d->loop);
	int r = 0;

	d->child_source = sd_event_source_disable_unref(d->child_source);
	if (!d->child_again) {
		r = sd_event_add_time_relative(e, &d->child_again, CLOCK_MONOTONIC, 0, 0, on_again, d);
		if (r >= 0)
			r = sd_event_source_set_enabled(d->child_again, SD_EVENT_OFF);
	}
	if (r >= 0)
		r = sd_event_add_child(e, &d->child_source, d->child, WEXITED, on_child, d);
	return r < 0 ? r : 0;
}

static int on_limit(sd_event_source *s, uint64_t usec, void *arg)
{
	struct daemon *d = arg;

	(void)s;
	(void)usec;
	log_warn(NULL, "calloutd-runner did not end in time: killed");
	if (d->child > 0)
		(void)kill(d->child, SIGKILL);
	return 0;
}

bool child_end(struct daemon *d)
{
	if (d->child <= 0 || !d->child_source)
		return false;
	if (d->child_limit) {
		(void)kill(d->child, SIGKILL);
		return true;
	}
	(void)kill(d->child, SIGTERM);
	return sd_event_add_time_relative(loop_event(d->loop), &d->child_limit, CLOCK_MONOTONIC,
					  CHILD_END_MS * UINT64_C(1000), 0, on_limit, d) >= 0;
}

/* After child_end() there is nobody left; after a failed start there may be. */
void child_stop(struct daemon *d)
{
	int64_t until = clock_mono_ms() + CHILD_END_MS;
	int status;

	d->child_again = sd_event_source_disable_unref(d->child_again);
	d->child_limit = sd_event_source_disable_unref(d->child_limit);
	d->child_source = sd_event_source_disable_unref(d->child_source);
	if (d->child_fd >= 0)
		(void)close(TAKE_FD(d->child_fd));
	if (d->child <= 0)
		return;
	(void)kill(d->child, SIGTERM);
	while (waitpid(d->child, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > until) {
			log_warn(NULL, "calloutd-runner did not end in time: killed");
			(void)kill(d->child, SIGKILL);
			(void)waitpid(d->child, &status, 0);
			break;
		}
		(void)usleep(5000);
	}
	d->child = 0;
}
