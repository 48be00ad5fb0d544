/*
 * runner.h - calloutd-runner's whole: connections in, attempts run, results kept.
 *
 * Results are kept in memory until acknowledged; at most RUNNER_KEEP_MAX of them: beyond
 * that, STARTs are refused as WIRE_BUSY. One daemon connection at a time; a newer one
 * replaces an older one (the daemon restarted).
 */
#ifndef CALLOUTD_RUNNER_RUNNER_H
#define CALLOUTD_RUNNER_RUNNER_H

#include <stdbool.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/loop.h"

#define RUNNER_KEEP_MAX 1024

struct runner;

struct runner_options {
	struct loop *loop;
	const char *conf_path;          /* copied */
	const char *name;               /* which handlers: those with runner = NAME; NULL: all (child of the daemon) */
	const char *home;               /* copied; handlers' working directories */
	int listen_fd;                  /* listening SEQPACKET socket, or -1 */
	int stream_fd;                  /* connected socketpair, or -1: the runner ends when it closes */
	int64_t grace_ms;               /* handlers' time from SIGTERM to SIGKILL; 0: RUN_GRACE_MS */
};

/* Reads the configuration: an invalid one is an error at the start and keeps the old one later. */
int runner_new(const struct runner_options *o, struct runner **ret, struct error *err);
struct runner *runner_free(struct runner *r);
AUTO_DEFINE(runner, struct runner *, runner_free)

/* Begin to end: refuse new attempts, stop what runs (TERM, 5 s, KILL), then quit the loop. */
void runner_end(struct runner *r);

int runner_reload(struct runner *r, struct error *err);

#endif
