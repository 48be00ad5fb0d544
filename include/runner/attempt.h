/*
 * attempt.h - one run of one handler: spawn, feed, watch, capture, report.
 *
 * Spawned without a shell, in its own session and process group, with default signal
 * dispositions and an empty mask, nothing open but 0, 1 and 2. stdin is the body's memfd
 * at offset 0: a handler that never reads cannot block anyone. Both outputs are read as
 * they come; the last 16 KiB of each is kept, every line may be logged.
 *
 * Time-out: SIGTERM to the group, 5 s, SIGKILL. When the leader has ended, the rest of its
 * group is killed, and the outputs are read until they end (at most 1 s more).
 *
 * The leader gets SIGKILL when the runner's thread ends, however it ends; what it has started
 * itself is taken along by the control group (systemd), or killed by the next runner_new() on
 * the same home.
 *
 * Threads: the runner's one thread (sd-event; SIGCHLD blocked).
 */
#ifndef CALLOUTD_RUNNER_ATTEMPT_H
#define CALLOUTD_RUNNER_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/wire.h"

#define RUN_GRACE_MS 5000               /* from SIGTERM to SIGKILL */
#define RUN_DRAIN_MS 1000               /* for outputs after the leader's end */

struct attempt_run;

/*
 * What attempts share, and what is kept from one to the next, because it costs more than the
 * rest of starting one. Working directories live below: HOME/handlers/TITLE. The process's
 * dispositions of signals are looked at here, once. 0 or -errno. It outlives its attempts.
 */
struct run_shared;
int run_shared_new(const char *home, struct run_shared **ret);
struct run_shared *run_shared_free(struct run_shared *s);      /* NULL is fine. Returns NULL. */
AUTO_DEFINE(run_shared, struct run_shared *, run_shared_free)

struct run_options {
	sd_event *event;
	const struct conf_handler *handler;     /* command, environment, timeout, log_output; borrowed for the call */
	struct run_shared *shared;
	const char *const *env;         /* CALLOUT_* and FIELD_* as the daemon sent them */
	int body_fd;                    /* sealed memfd; borrowed for the call */
	int64_t event_id;
	unsigned attempt;
	int64_t grace_ms;               /* 0: RUN_GRACE_MS */
	void (*ended)(void *arg, struct attempt_run *a);        /* once; then run_result(), run_free() */
	void *arg;
};

/*
 * 0 and a running attempt; or -errno with a sentence: -EAGAIN/-ENOMEM/-EMFILE/-ENFILE (try
 * later); -ENOENT: the command or its interpreter does not exist (exit 127 to the daemon);
 * anything else: it cannot be run (126), for example -EACCES, -ENOEXEC, a directory that
 * cannot be made, or a file: variable that cannot be read.
 * Only NAME=VALUE pairs beginning CALLOUT_ or FIELD_ are taken from env.
 */
int run_start(const struct run_options *o, struct attempt_run **ret, struct error *err);

void run_stop(struct attempt_run *a);   /* as a time-out, but the outcome is WIRE_STOPPED */
struct attempt_run *run_free(struct attempt_run *a);    /* kills the group if it still runs */

const char *run_handler(const struct attempt_run *a);
int64_t run_event(const struct attempt_run *a);
unsigned run_attempt(const struct attempt_run *a);
int64_t run_started_ms(const struct attempt_run *a);

/* The RESULT message of an ended attempt. */
void run_result(const struct attempt_run *a, struct wire_message *m);

#endif
