/*
 * private.h - the daemon as a whole: what main() wires together.
 *
 * Everything here belongs to the main thread.
 */
#ifndef CALLOUTD_CALLOUTD_PRIVATE_H
#define CALLOUTD_CALLOUTD_PRIVATE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "admin/admin.h"
#include "alert/alerts.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/loop.h"
#include "callout/site.h"
#include "dispatch/dispatcher.h"
#include "intake/intake.h"
#include "store/journal.h"

#define SOCKETS_MAX 32          /* listening sockets systemd may pass */

/* Sockets passed by systemd, sorted by what they are for. */
struct passed {
	struct intake_socket intake[SOCKETS_MAX];
	size_t intake_count;
	int admin_fd, metrics_fd;       /* -1: none */
	char **names;                   /* what intake[].name points into */
};

/* Adopt what sd_listen_fds() hands over: the names "admin" and "metrics" are for the admin
 * room, every other one is for callouts. 0 or -errno with a sentence. */
int passed_adopt(struct passed *p, struct error *err);
void passed_release(struct passed *p);

struct vigil;

struct daemon {
	const char *conf_path;          /* borrowed from the command line */
	char state[PATH_MAX];           /* the state directory */
	char last_good[PATH_MAX];       /* the configuration accepted last, as conf_print() wrote it */
	char admin_path[PATH_MAX], runner_directory[PATH_MAX];
	char signal_path[PATH_MAX];     /* touched when a deactivation was stored */
	bool has_runner_directory;

	struct loop *loop;
	struct journal *journal;
	struct site *site;
	struct dispatcher *dispatcher;
	struct dispatcher *_Atomic to_wake;     /* the same for the journal's thread; NULL: nobody yet */
	struct intake *intake;
	struct admin *admin;
	struct alerts *alerts;
	struct captures *captures;
	struct vigil *vigil;
	struct vigil *_Atomic to_arm;   /* the same for the journal's thread; NULL: nobody (yet) */
	char store_trouble[512];        /* the sentence about the store that was alerted last; "": none */
	struct passed passed;

	pid_t child;                    /* the runner we started, 0: none */
	int child_fd;                   /* our end of its socketpair until the dispatcher has it */
	sd_event_source *child_source, *child_limit, *child_again;
	int64_t child_since_ms;         /* when it was started (CLOCK_MONOTONIC) */
	int64_t child_wait_ms;          /* how long the next one waits; 0: none has ended yet */
	bool ending;                    /* told to stop; waiting for the child */

	sd_event_source *signals[3], *watchdog, *sweep, *sweep_wake;
	uint64_t watchdog_usec;         /* 0: none wanted */

	char degraded[600];             /* "" or why the configuration in force is not the one on disk, or not whole */
	char unheard[600];              /* "" or why operators cannot reach us */
	bool disk_in_force;             /* the file on disk said what is in force when it was read last */
	int64_t started_ms, reloaded_ms;
	bool reload_ok;
	char told[900];                 /* the STATUS= systemd heard last */
};

/* daemon.c: start in order, stop in reverse. daemon_stop() takes a half-started one. */
int daemon_start(struct daemon *d, struct error *err);
void daemon_stop(struct daemon *d);
/* All or nothing; note gets remarks ("listen changed: needs a restart"). */
int daemon_reload(struct daemon *d, char *note, size_t note_cap, struct error *err);
/* Tell systemd how we are (only when it changed). */
void daemon_tell(struct daemon *d);

/* outside.c: what others outside need to hear of, and what intake needs to know from the store. */
/* A notice of deactivation was stored: touch the file that calloutd-guard.path watches. On main. */
void outside_deactivated(struct daemon *d);
/* Give intake what is registered about webhooks: at a start, after a reload, when the store is back. */
void outside_register(struct daemon *d);

/* settings.c: the configuration on disk, or the last good one. Sets degraded, disk_in_force, last_good. */
int settings_load(struct daemon *d, struct site **ret_site, struct error *err);
/*
 * Secrets and certificate too: what `--check`, start and reload want of a conf, which is taken
 * over on success. Leniency is for a start: the certificate kept last instead of one that cannot
 * be used; webhooks whose secrets cannot be read get 503 (their number is returned).
 */
#define LENIENT_CERTIFICATE 1U
#define LENIENT_SECRETS 2U
int settings_site(struct conf *conf, unsigned leniency, struct site **ret_site, struct error *err);
/* Append to note what has changed and needs a restart. */
void settings_notes(const struct conf *old, const struct conf *new, char *note, size_t cap);
/* Keep this configuration as the last good one. Failing is logged, not fatal. */
int settings_keep(struct daemon *d, const struct conf *c);

/* child.c: calloutd-runner as our child, without systemd. */
int child_start(struct daemon *d, struct error *err);
/* Hear of its end: while we do not stop, another one is started. 0 or -errno. */
int child_watch(struct daemon *d);
/* Ask it to end its handlers and itself, killing it if it takes too long or is asked twice. watch.c
 * hears of its end. False: there is no child. */
bool child_end(struct daemon *d);
void child_stop(struct daemon *d);      /* blocks until it has ended */

/* alerting.c: alerts and who runs their program. Raising works between open and free. */
int alerting_open(struct daemon *d);
int alerting_start(struct daemon *d);   /* when all rooms are there; tells what was wrong at the start */
void alerting_reload(struct daemon *d); /* another site is in force */
void alerting_store(struct daemon *d);  /* look at the store's condition */
void alerting_config(struct daemon *d); /* say why the configuration in force is not the one on disk */
void alerting_stop(struct daemon *d);   /* after the dispatcher, before the journal */

/*
 * vigil.c: what no event tells: a webhook that is silent, deliveries that wait too long, a certificate that
 * expires. One timer, far away while all is well.
 */
int vigil_new(struct daemon *d, struct vigil **ret);
struct vigil *vigil_free(struct vigil *v);
void vigil_reload(struct vigil *v);
/* Something with deliveries was stored. Any thread, cheap. */
void vigil_stored(struct vigil *v);

/* watch.c: signals, watchdog, sweeping of intake's connections. */
int watch_start(struct daemon *d);
void watch_stop(struct daemon *d);

#endif
