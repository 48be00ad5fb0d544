/*
 * loop.h - a main loop (sd-event) that other threads may hand work to.
 *
 * Threads: loop_run() and everything on sd-event belong to the thread that
 * called loop_new(); loop_post() and loop_call() are for any other thread.
 */
#ifndef CALLOUTD_BASE_LOOP_H
#define CALLOUTD_BASE_LOOP_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/auto.h"

struct loop;

/*
 * Block the signals that arrive through a main loop only: SIGTERM, SIGINT, SIGHUP, SIGCHLD.
 * Before the first thread of a program. SIGPIPE is ignored from here on; SIGCHLD is not, whoever
 * started us: ignored, it would take our children away.
 */
void loop_block_signals(void);

/* After loop_block_signals(). 0 or -errno. */
int loop_new(struct loop **ret_loop);
struct loop *loop_free(struct loop *l);
AUTO_DEFINE(loop, struct loop *, loop_free)

/* The sd-event loop inside; borrowed. */
sd_event *loop_event(struct loop *l);

/* Run until loop_quit(). 0 or the value given to it. Once in a loop's life. */
int loop_run(struct loop *l);
void loop_quit(struct loop *l, int value);

/*
 * Run fn(arg) soon on the loop's thread. Never blocks; in order per caller;
 * what fn itself posts has its turn after the other sources. 0 or -ENOMEM. After the loop ended, what is left is run by loop_free().
 */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/*
 * Run fn(arg) on the loop's thread and wait until it has returned. 0; or, and then fn was not
 * started and never will be: -ETIMEDOUT it had no turn in time, -ECANCELED the loop has ended.
 * On the loop's own thread fn is called at once.
 */
int loop_call(struct loop *l, void (*fn)(void *arg), void *arg, int64_t timeout_ms);

#endif
