/*
 * log.h - one line for people, fields for machines, and never a blocked caller.
 *
 * log_open() starts one writer thread with a bounded ring: a stalled journald
 * blocks that thread, nobody else; what does not fit is counted and the count is
 * logged once there is room. Before log_open() and after log_close(), lines go
 * straight to standard error (that is how the tools' few lines come out).
 *
 * Under journald (stderr's device and inode match $JOURNAL_STREAM, or
 * CALLOUTD_LOG=journal) a line is one structured entry: MESSAGE, PRIORITY, and
 * CALLOUT_EVENT, CALLOUT_WEBHOOK, ... from the context. Elsewhere it is a line on
 * stderr: "<LEVEL> message [event=17 webhook=tickets reason=signature]".
 * Control characters in the message are escaped as \xNN; lines are cut at 2 KiB.
 *
 * Never pass secrets, signatures, unguessable paths, field values or bodies.
 *
 * Levels: error = somebody must act; warning = we coped, it may get worse;
 * info = a life event of the daemon or one verdict; debug = for us.
 *
 * The log is the one process-wide object of this house (as errno is): passing
 * it through every signature would say nothing.
 */
#ifndef CALLOUTD_BASE_LOG_H
#define CALLOUTD_BASE_LOG_H

#include <stdint.h>
#include <syslog.h>

#include "base/error.h"

/* What a line is about. Everything is optional; strings are copied. */
struct log_ctx {
	int64_t event;          /* CALLOUT_EVENT=; 0: none */
	const char *webhook;    /* CALLOUT_WEBHOOK= */
	const char *handler;    /* CALLOUT_HANDLER= */
	const char *entity;     /* CALLOUT_ENTITY= */
	int64_t record;         /* CALLOUT_ID= (only with entity) */
	unsigned attempt;       /* CALLOUT_ATTEMPT=; 0: none */
	const char *reason;     /* CALLOUT_REASON= a short code: "signature", "stored", "duplicate", ... */
	const char *client;     /* CALLOUT_CLIENT= the resolved address */
	const char *stream;     /* CALLOUT_STREAM= stdout or stderr of a handler */
	int64_t uid;            /* CALLOUT_UID= who asked (admin API); 0 with uid_set false: none */
	int uid_set;
};

/*
 * identifier: SYSLOG_IDENTIFIER, borrowed for ever. level: LOG_ERR .. LOG_DEBUG.
 * 0 or a negative errno. Call once, from main, after signals are blocked.
 */
int log_open(const char *identifier, int level, struct error *err);

/* Write what is queued (at most deadline_ms), stop the thread. */
void log_close(int64_t deadline_ms);

void log_level(int level);              /* any time, any thread */
int log_level_parse(const char *name);  /* "error" "warning" "info" "debug"; -EINVAL */
uint64_t log_dropped(void);             /* lines lost since the start */

#define log_debug(ctx, ...) log_write(LOG_DEBUG, (ctx), __VA_ARGS__)
#define log_info(ctx, ...) log_write(LOG_INFO, (ctx), __VA_ARGS__)
#define log_warn(ctx, ...) log_write(LOG_WARNING, (ctx), __VA_ARGS__)
#define log_err(ctx, ...) log_write(LOG_ERR, (ctx), __VA_ARGS__)

/* Any thread; keeps errno; never blocks (drops and counts instead). */
void log_write(int priority, const struct log_ctx *ctx, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
