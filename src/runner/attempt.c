/*
 * attempt.c - one run of one handler: spawn, feed, watch, capture, report.
 *
 * Life of a struct attempt_run:
 *   run_start()      scratch directory, pipes, process, sources
 *   on_timer()       first the time-out (SIGTERM), then the grace (SIGKILL)
 *   on_leader_end()  the rest of the group is killed; it is still a zombie here, so the group's
 *                    number cannot be somebody else's
 *   finish()         when both outputs have ended, or RUN_DRAIN_MS later: ended() is called
 *   run_free()       at any time; kills and reaps what still runs
 */
#include "runner/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "private.h"

#define TIMER_SLACK_USEC 10000  /* sd-event's own idea is a quarter of a second */

enum { OUT, ERR };

struct run_shared {
	char *home;
	struct spawner spawner;
	struct scratches scratches;
};

struct attempt_run {
	struct run_shared *shared;
	char handler[CONF_NAME_MAX + 1];
	int64_t event_id;
	unsigned attempt;
	int64_t started_ms, ended_ms, grace_ms;
	pid_t pid;
	sd_event_source *leader, *timer;
	struct capture captures[2];
	struct log_ctx about, contexts[2];      /* contexts: with the stream's name */
	char *scratch;
	enum wire_outcome outcome;      /* 0 until known; TIMED_OUT or STOPPED once we began to end it */
	int status;
	bool killed, leader_ended, finished;
	void (*ended)(void *arg, struct attempt_run *a);
	void *arg;
};

/* Never after the leader has been reaped: the number might be another's by then. */
static void signal_group(const struct attempt_run *a, int sig)
{
	(void)kill(-a->pid, sig);
}

static void set_timer(struct attempt_run *a, int64_t ms)
{
	(void)sd_event_source_set_time_relative(a->timer, (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

/* ---- the end ---- */

static void stop_sources(struct attempt_run *a)
{
	a->leader = sd_event_source_disable_unref(a->leader);
	a->timer = sd_event_source_disable_unref(a->timer);
	capture_close(&a->captures[OUT]);
	capture_close(&a->captures[ERR]);
}

static void remove_scratch(struct attempt_run *a)
{
	int r = scratch_done(&a->shared->scratches, TAKE(a->scratch));

	if (r < 0)
		log_warn(&a->about, "the attempt's TMPDIR could not be removed, it goes at the runner's "
			 "next start: %s", strerror(-r));
}

static void finish(struct attempt_run *a)
{
	if (a->finished)
		return;
	a->finished = true;
	stop_sources(a);
	remove_scratch(a);
	a->ended(a->arg, a);
}

static void finish_if_done(void *arg)
{
	struct attempt_run *a = arg;

	if (a->leader_ended && a->captures[OUT].fd < 0 && a->captures[ERR].fd < 0)
		finish(a);
}

static int on_leader_end(sd_event_source *s, const siginfo_t *si, void *arg)
{
	struct attempt_run *a = arg;

	(void)s;
	a->leader_ended = true;
	a->ended_ms = clock_now_ms();
	a->status = si->si_status;
	if (!a->outcome)
		a->outcome = si->si_code == CLD_EXITED ? WIRE_EXITED : WIRE_SIGNALLED;
	signal_group(a, SIGKILL);
	set_timer(a, RUN_DRAIN_MS);
	finish_if_done(a);
	return 0;
}

/* SIGTERM now, SIGKILL after the grace; a stopped one has to be continued to hear either. */
static void begin_end(struct attempt_run *a, enum wire_outcome why)
{
	if (a->outcome || a->leader_ended)
		return;
	a->outcome = why;
	signal_group(a, SIGTERM);
	signal_group(a, SIGCONT);
	set_timer(a, a->grace_ms);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct attempt_run *a = arg;

	(void)s;
	(void)usec;
	if (a->leader_ended)
		finish(a);
	else if (!a->outcome)
		begin_end(a, WIRE_TIMED_OUT);
	else if (!a->killed) {
		a->killed = true;
		signal_group(a, SIGKILL);
	}
	return 0;
}

/* ---- what attempts share ---- */

int run_shared_new(const char *home, struct run_shared **ret)
{
	AUTO(run_shared) struct run_shared *s = calloc(1, sizeof(*s));
	int r;

	if (!s || !(s->home = strdup(home)))
		return -ENOMEM;
	r = spawner_begin(&s->spawner);
	if (r < 0)
		return r;
	*ret = TAKE(s);
	return 0;
}

struct run_shared *run_shared_free(struct run_shared *s)
{
	if (!s)
		return NULL;
	scratches_end(&s->scratches);
	spawner_end(&s->spawner);
	free(s->home);
	free(s);
	return NULL;
}

/* ---- the beginning ---- */

/* -ENOENT is for the command alone. */
static int only_command(int r)
{
	return r == -ENOENT ? -EACCES : r;
}

/* HOME/handlers/TITLE, made at the first run. */
static int work_directory(const struct run_options *o, char dst[static PATH_MAX], struct error *err)
{
	int n = snprintf(dst, PATH_MAX, "%s/handlers/%s", o->shared->home, o->handler->title);

	if (n < 0 || n >= PATH_MAX)
		return error_set(err, ENAMETOOLONG, "the path '%s' is too long", o->shared->home);
	if (strspn(o->handler->title, ".") == strlen(o->handler->title) || strchr(o->handler->title, '/'))
		return error_set(err, EINVAL, "handler '%s' cannot have a directory of that name",
				 o->handler->title);
	if (mkdir(dst, 0700) == 0 || errno == EEXIST)
		return 0;
	return only_command(directory_make(dst, 0700, err));
}

/*
 * The sender and other attempts share the descriptor's position, so the handler is given
 * a description of its own, which also cannot be written to.
 */
static int open_body(int fd)
{
	char path[40];
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	if (own >= 0)
		return own;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return -errno;
	own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);    /* no /proc here */
	if (own < 0)
		return -errno;
	return lseek(own, 0, SEEK_SET) < 0 ? -errno : own;
}

static int spawn_failed(const struct run_options *o, int r, enum spawn_step step, const char *home,
			struct error *err)
{
	const char *program = o->handler->command.items[0];

	if (step == SPAWN_PROGRAM)
		return reason_of(program, -r, err);
	if (step == SPAWN_DIRECTORY)
		return only_command(error_set(err, -r, "cannot enter '%s': %s", home, strerror(-r)));
	return error_set(err, -r, "cannot start a process for '%s': %s", program, strerror(-r));
}

/* Spawns with the writing ends of two pipes; the reading ends go to the captures. */
static int spawn_with(struct attempt_run *a, const struct run_options *o, int out[2], int errors[2],
		      struct error *err)
{
	AUTO(fd) int body = open_body(o->body_fd);
	char home[PATH_MAX];
	char **variables = NULL;
	enum spawn_step step;
	int r;

	if (body < 0)
		return error_set(err, -body, "cannot open the event's body: %s", strerror(-body));
	r = work_directory(o, home, err);
	if (r < 0)
		return r;
	r = variables_make(o->handler, home, a->scratch, o->env, &variables, err);
	if (r < 0)
		return r;
	r = spawn(&o->shared->spawner,
		  &(struct spawn_plan){ .argv = o->handler->command.items, .envp = variables, .directory = home,
					.in = body, .out = out[1], .err = errors[1] }, &a->pid, &step);
	(void)variables_free(variables);
	return r < 0 ? spawn_failed(o, r, step, home, err) : 0;
}

static int make_pipe(int ends[2], struct error *err)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe: %s", strerror(errno));
	return 0;
}

static int watch(struct attempt_run *a, const struct run_options *o, int out, int errors)
{
	uint64_t timeout_usec = (uint64_t)o->handler->timeout_ms * 1000;
	int r, s;

	/* Both take their descriptor over, whatever happens. */
	r = capture_start(&a->captures[OUT], o->event, out);
	s = capture_start(&a->captures[ERR], o->event, errors);
	if (r == 0)
		r = s;
	if (r >= 0)
		r = sd_event_add_time_relative(o->event, &a->timer, CLOCK_MONOTONIC, timeout_usec,
					       TIMER_SLACK_USEC, on_timer, a);
	if (r >= 0)
		r = sd_event_add_child(o->event, &a->leader, a->pid, WEXITED, on_leader_end, a);
	return r < 0 ? r : 0;
}

static int launch(struct attempt_run *a, const struct run_options *o, struct error *err)
{
	int out[2] = { -1, -1 }, errors[2] = { -1, -1 };
	int r;

	r = make_pipe(out, err);
	if (r == 0)
		r = make_pipe(errors, err);
	if (r == 0)
		r = spawn_with(a, o, out, errors, err);
	if (r == 0) {
		r = watch(a, o, TAKE_FD(out[0]), TAKE_FD(errors[0]));
		if (r < 0)
			(void)error_set(err, -r, "cannot watch a process: %s", strerror(-r));
	}
	auto_fd(&out[0]);
	auto_fd(&out[1]);
	auto_fd(&errors[0]);
	auto_fd(&errors[1]);
	return r;
}

static struct attempt_run *run_new(const struct run_options *o)
{
	static const char *const streams[] = { [OUT] = "stdout", [ERR] = "stderr" };
	struct attempt_run *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->shared = o->shared;
	(void)snprintf(a->handler, sizeof(a->handler), "%s", o->handler->title);
	a->event_id = o->event_id;
	a->attempt = o->attempt;
	a->grace_ms = o->grace_ms ? o->grace_ms : RUN_GRACE_MS;
	a->ended = o->ended;
	a->arg = o->arg;
	a->started_ms = clock_now_ms();
	a->about.handler = a->handler;
	/* Below 0 are what daemon and runner call tries and alerts: no event, and nobody could look it up. */
	a->about.event = a->event_id > 0 ? a->event_id : 0;
	a->about.attempt = a->attempt;
	for (int i = OUT; i <= ERR; i++) {
		a->contexts[i] = a->about;
		a->contexts[i].stream = streams[i];
		a->captures[i] = (struct capture){ .fd = -1, .ended = finish_if_done, .arg = a,
						   .log = o->handler->log_output ? &a->contexts[i] : NULL };
	}
	return a;
}

int run_start(const struct run_options *o, struct attempt_run **ret, struct error *err)
{
	struct attempt_run *a = run_new(o);
	int r;

	if (!a)
		return error_set(err, ENOMEM, "no memory for an attempt");
	r = only_command(scratch_make(&o->shared->scratches, o->shared->home, &a->scratch, err));
	if (r == 0)
		r = launch(a, o, err);
	if (r < 0) {
		(void)run_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void run_stop(struct attempt_run *a)
{
	begin_end(a, WIRE_STOPPED);
}

struct attempt_run *run_free(struct attempt_run *a)
{
	if (!a)
		return NULL;
	stop_sources(a);
	if (a->pid > 0 && !a->leader_ended) {
		signal_group(a, SIGKILL);
		while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (a->scratch)
		remove_scratch(a);
	capture_free(&a->captures[OUT]);
	capture_free(&a->captures[ERR]);
	free(a);
	return NULL;
}

/* ---- looking at one ---- */

const char *run_handler(const struct attempt_run *a)
{
	return a->handler;
}

int64_t run_event(const struct attempt_run *a)
{
	return a->event_id;
}

unsigned run_attempt(const struct attempt_run *a)
{
	return a->attempt;
}

int64_t run_started_ms(const struct attempt_run *a)
{
	return a->started_ms;
}

static void put_output(const struct capture *c, struct wire_message *m, enum wire_tag tag,
		       enum wire_tag total)
{
	char bytes[WIRE_OUTPUT_MAX];

	(void)wire_put(m, tag, bytes, capture_copy(c, bytes));
	(void)wire_put_int(m, total, (int64_t)c->total);
}

/* All of it together is far below WIRE_MAX, so nothing can fail to fit. */
void run_result(const struct attempt_run *a, struct wire_message *m)
{
	wire_begin(m, WIRE_RESULT);
	(void)wire_put_int(m, WIRE_EVENT, a->event_id);
	(void)wire_put_text(m, WIRE_HANDLER, a->handler);
	(void)wire_put_int(m, WIRE_ATTEMPT, a->attempt);
	(void)wire_put_int(m, WIRE_STARTED_MS, a->started_ms);
	(void)wire_put_int(m, WIRE_ENDED_MS, a->ended_ms);
	(void)wire_put_int(m, WIRE_OUTCOME, a->outcome);
	(void)wire_put_int(m, WIRE_STATUS, a->status);
	put_output(&a->captures[OUT], m, WIRE_STDOUT, WIRE_STDOUT_TOTAL);
	put_output(&a->captures[ERR], m, WIRE_STDERR, WIRE_STDERR_TOTAL);
}
