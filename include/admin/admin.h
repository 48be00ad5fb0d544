/*
 * admin.h - the JSON API on the UNIX socket, and metrics. Documented in docs/admin-api.md.
 *
 * Threads: its own (one libmicrohttpd thread for both sockets is enough: pages are LIMITed and
 * statements end after 1 s). What belongs to the main thread is asked there through
 * loop_call(); what must be durable goes through the journal and is waited for.
 * Every operator's action and every view of a payload is logged with the caller's uid.
 */
#ifndef CALLOUTD_ADMIN_ADMIN_H
#define CALLOUTD_ADMIN_ADMIN_H

#include "alert/alerts.h"
#include "base/auto.h"
#include "base/error.h"
#include "base/loop.h"
#include "dispatch/dispatcher.h"
#include "intake/intake.h"
#include "store/journal.h"

struct admin;

/* What the admin room asks of the daemon as a whole; called on the main thread. */
struct admin_daemon {
	/* All or nothing; err: the verdict's sentence when refused; note: remarks when accepted. */
	int (*reload)(void *arg, char *note, size_t note_cap, struct error *err);
	struct site *(*site)(void *arg);        /* a new reference */
	const char *(*degraded)(void *arg);     /* NULL, or why: "last good configuration of ...: FILE:LINE: ..." */
	int64_t started_ms;
	int64_t (*last_reload_ms)(void *arg, bool *ret_ok);
	void (*deactivated)(void *arg);         /* a notice of deactivation was handed over and stored */
	void *arg;
};

struct admin_options {
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	struct intake *intake;
	struct alerts *alerts;          /* to be shown; outlives the room */
	struct captures *captures;      /* outlives the room */
	struct admin_daemon daemon;
	const char *state_directory;
	const char *socket_path;        /* opened 0660; or */
	int socket_fd;                  /* passed by systemd, else -1 */
	const char *metrics_listen;     /* NULL: none; loopback or allow-plain-http */
	int metrics_fd;                 /* passed by systemd, else -1 */
};

int admin_start(const struct admin_options *o, struct admin **ret, struct error *err);
struct admin *admin_stop(struct admin *a);
AUTO_DEFINE(admin, struct admin *, admin_stop)

#endif
