/*
 * runner.c - calloutd-runner's whole: connections in, attempts run, results kept.
 *
 * Begin: lock the home (an older runner may still be ending its handlers), clear what a killed
 * one left, read the configuration, listen or talk. End: begun by a signal or by the stream's end;
 * over when nothing runs any more and the daemon has been told.
 */
#include "runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "private.h"

#define LOCK_WAIT_MS 10000      /* an old runner's handlers get 5 s after SIGTERM */
#define LOCK_POLL_MS 20
#define LAST_WORDS_MS 1000      /* for a daemon that does not read, at the end */
#define FDS_OURS 40             /* loop, log, connection, one START under way */
#define FDS_PER_RUN 3           /* two pipes and a pidfd */
#define ACCEPTS_PER_SECOND 50

static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = 0 };

	/* fd -1 is never ready: that is a pause. */
	return poll(&p, 1, LOCK_POLL_MS) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/*
 * Two runners in one home could run the same event at the same time: the new one waits until
 * the old one is gone, which by then has lost its daemon and ends its handlers.
 */
static int lock_home(struct runner *r, int stream_fd, struct error *err)
{
	int64_t until = clock_mono_ms() + LOCK_WAIT_MS;
	char path[PATH_MAX];
	bool told = false;
	int n = snprintf(path, sizeof(path), "%s/lock", r->home);

	if (n < 0 || (size_t)n >= sizeof(path))
		return error_set(err, ENAMETOOLONG, "the path '%s' is too long", r->home);
	r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock_fd < 0)
		return error_set(err, errno, "cannot open '%s': %s", path, strerror(errno));
	while (flock(r->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, errno, "cannot lock '%s': %s", path, strerror(errno));
		if (!told)
			log_info(NULL, "waiting for an older runner in '%s' to end", r->home);
		told = true;
		if (clock_mono_ms() >= until)
			return error_set(err, EBUSY, "another calloutd-runner uses '%s': give this one its own --home",
					 r->home);
		if (hung_up(stream_fd))
			return error_set(err, EPIPE, "the daemon has gone");
	}
	return 0;
}

/* A descriptor that cannot be received would end the connection: refuse before that. */
static unsigned running_max(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > FDS_OURS + RUNNER_KEEP_MAX * FDS_PER_RUN)
		return RUNNER_KEEP_MAX;
	if (files.rlim_cur < FDS_OURS + FDS_PER_RUN)
		return 1;
	return (unsigned)((files.rlim_cur - FDS_OURS) / FDS_PER_RUN);
}

static int on_connect(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct runner *r = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), t;

	(void)s;
	(void)events;
	if (conn < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			log_warn(NULL, "cannot accept the daemon's connection: %s", strerror(errno));
		return 0;
	}
	t = talk_begin(r, conn);
	if (t < 0)
		log_warn(NULL, "cannot serve the daemon's connection: %s", strerror(-t));
	return 0;
}

static int listen_on(struct runner *r, int fd, struct error *err)
{
	int s;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, errno, "cannot use the listening socket: %s", strerror(errno));
	s = sd_event_add_io(r->event, &r->listener, fd, EPOLLIN, on_connect, r);
	if (s >= 0)
		s = sd_event_source_set_ratelimit(r->listener, 1000000, ACCEPTS_PER_SECOND);
	if (s < 0)
		return error_set(err, -s, "cannot watch the listening socket: %s", strerror(-s));
	return 0;
}

static int talk_on(struct runner *r, int fd, struct error *err)
{
	int s;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, errno, "cannot use the stream: %s", strerror(errno));
	r->stream = true;
	s = talk_begin(r, fd);
	if (s < 0)
		return error_set(err, -s, "cannot watch the stream: %s", strerror(-s));
	return 0;
}

/*
 * For a start with an invalid configuration: as the daemon does, go on with what was good. The
 * handlers' user could change that file, which gives it nothing that it cannot do already.
 */
static void keep(const struct runner *r)
{
	int s = conf_keep(r->conf, r->home);

	if (s < 0)
		log_warn(NULL, "cannot keep the configuration in %s: %s", r->home, strerror(-s));
}

static int load(struct runner *r, struct error *err)
{
	AUTO(free) char *kept = NULL;
	int s = conf_load(r->conf_path, &r->conf, err);

	if (s == 0)
		return 0;
	if (asprintf(&kept, "%s/" CONF_LAST_GOOD, r->home) < 0) {
		kept = NULL;
		return s;
	}
	if (conf_load(kept, &r->conf, NULL) < 0)
		return s;
	r->degraded = true;
	log_err(&(struct log_ctx){ .reason = "config" },
		"the configuration is not valid, the last good one is in force%s%s", err ? ": " : "",
		err ? err->text : "");
	return 0;
}

static int start(struct runner *r, const struct runner_options *o, struct error *err)
{
	int s;

	r->conf_path = strdup(o->conf_path);
	r->home = strdup(o->home);
	r->name = o->name ? strdup(o->name) : NULL;
	if (!r->conf_path || !r->home || (o->name && !r->name))
		return error_set(err, ENOMEM, "no memory");
	s = load(r, err);
	if (s < 0)
		return s;
	log_level(r->conf->log_level);
	s = directory_make(r->home, 0700, err);
	if (s == 0)
		s = lock_home(r, o->stream_fd, err);
	if (s < 0)
		return s;
	if (!r->degraded)
		keep(r);
	leftovers_clear(r->home);
	s = run_shared_new(r->home, &r->shared);
	if (s < 0)
		return error_set(err, -s, "cannot prepare to start programs: %s", strerror(-s));
	if (o->listen_fd >= 0)
		s = listen_on(r, o->listen_fd, err);
	if (s == 0 && o->stream_fd >= 0)
		s = talk_on(r, o->stream_fd, err);
	return s;
}

int runner_new(const struct runner_options *o, struct runner **ret, struct error *err)
{
	struct runner *r = calloc(1, sizeof(*r));
	int s;

	if (!r)
		return error_set(err, ENOMEM, "no memory");
	r->loop = o->loop;
	r->event = loop_event(o->loop);
	r->grace_ms = o->grace_ms;
	r->lock_fd = -1;
	r->talk.fd = -1;
	r->running_max = running_max();
	s = start(r, o, err);
	if (s < 0) {
		(void)runner_free(r);
		return s;
	}
	*ret = r;
	return 0;
}

struct runner *runner_free(struct runner *r)
{
	if (!r)
		return NULL;
	r->listener = sd_event_source_disable_unref(r->listener);
	r->last_words = sd_event_source_disable_unref(r->last_words);
	talk_close(r);
	jobs_free(r);
	(void)run_shared_free(r->shared);
	(void)conf_free(r->conf);
	if (r->lock_fd >= 0)
		(void)close(r->lock_fd);
	free(r->conf_path);
	free(r->name);
	free(r->home);
	free(r);
	return NULL;
}

/* ---- the end ---- */

static void quit(struct runner *r)
{
	if (r->quit)
		return;
	r->quit = true;
	if (r->job_count > 0 && r->talk.fd < 0)
		log_warn(NULL, "results that could not be told: %u; the daemon has these attempts run again",
			 r->job_count);
	loop_quit(r->loop, r->verdict);
}

static int on_last_words(sd_event_source *s, uint64_t usec, void *arg)
{
	(void)s;
	(void)usec;
	quit(arg);
	return 0;
}

static bool wait_for_last_words(struct runner *r)
{
	return r->last_words ||
	       sd_event_add_time_relative(r->event, &r->last_words, CLOCK_MONOTONIC,
					  (uint64_t)LAST_WORDS_MS * 1000, 0, on_last_words, r) >= 0;
}

void runner_changed(struct runner *r)
{
	talk_flush(r);
	if (!r->ending || r->running > 0)
		return;
	if (!talk_owes(r) || !wait_for_last_words(r))
		quit(r);
}

void runner_end(struct runner *r)
{
	r->ending = true;
	r->listener = sd_event_source_disable_unref(r->listener);
	jobs_stop(r, NULL, 0);
	runner_changed(r);
}

void runner_stream_ended(struct runner *r, int verdict)
{
	if (!r->ending)
		log_info(NULL, "the daemon has gone: ending%s", r->running > 0 ? " the handlers" : "");
	r->verdict = verdict;
	runner_end(r);
}

/* ---- the configuration ---- */

int runner_reload(struct runner *r, struct error *err)
{
	struct error own = { "" };
	struct conf *fresh = NULL;
	int s = conf_load(r->conf_path, &fresh, &own);

	if (s < 0) {
		log_err(&(struct log_ctx){ .reason = "config" },
			"the configuration is not valid, the old one stays in force: %s", own.text);
		if (err)
			*err = own;
		return s;
	}
	(void)conf_free(r->conf);
	r->conf = fresh;
	r->degraded = false;
	keep(r);
	log_level(fresh->log_level);
	log_info(&(struct log_ctx){ .reason = "reloaded" }, "configuration reloaded");
	return 0;
}
