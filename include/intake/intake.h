/*
 * intake.h - sockets, TLS, limits, one request's verdict, and an orderly end.
 *
 * A request's life is written at the top of endpoint.c. Threads: intake runs
 * libmicrohttpd's own pool; the functions below belong to the main thread unless
 * said otherwise.
 */
#ifndef CALLOUTD_INTAKE_INTAKE_H
#define CALLOUTD_INTAKE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "alert/alerts.h"
#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"
#include "callout/site.h"
#include "intake/captures.h"
#include "store/journal.h"

struct intake;

enum intake_result {            /* calloutd_callouts_total{result} */
	INTAKE_STORED,
	INTAKE_DUPLICATE,
	INTAKE_QUARANTINED,
	INTAKE_DEACTIVATED,
	INTAKE_SIGNATURE,       /* 401 */
	INTAKE_REFUSED,         /* 400, 405, 413, 415 */
	INTAKE_UNAVAILABLE,     /* 503 */
	INTAKE_RESULT_COUNT_
};
const char *intake_result_name(enum intake_result r);

struct intake_socket {          /* a listening socket handed over (by systemd) */
	int fd;
	const char *name;       /* FileDescriptorName=; for the log */
};

struct intake_options {
	struct site *site;              /* intake takes its own reference */
	const struct intake_socket *sockets;    /* passed ones; count 0: open conf's `listen` */
	size_t socket_count;
	/* Called on the journal thread after events with deliveries were committed. */
	void (*stored)(void *arg);
	/* Likewise after a notice of deactivation was: of those not verified, one a minute and webhook. NULL: nobody. */
	void (*deactivated)(void *arg);
	void *arg;
	struct alerts *alerts;          /* borrowed until intake_stop(); NULL: nobody is told */
	struct captures *captures;      /* likewise; NULL: requests cannot be captured */
};

/*
 * Opens or adopts sockets (plain HTTP on an address that is not loopback needs
 * allow-plain-http; adopted ones too); who connects waits in them until intake_start(). With a
 * certificate, TCP is HTTPS; UNIX sockets stay plain HTTP, since a proxy on this machine has done TLS.
 * Passed sockets belong to intake once this has succeeded. Raises the soft limit of open
 * files to what max-connections needs. End it with intake_stop(), started or not.
 */
int intake_open(const struct intake_options *o, struct intake **ret, struct error *err);

/* Starts accepting and answering. The journal is borrowed until intake_stop(). */
int intake_start(struct intake *in, struct journal *journal, struct error *err);

/* Swap site and limits, reread the certificate. What sockets are open does not change
 * (a changed `listen`, HTTPS switched on or off, a raised max-header are reported in ret_note:
 * they need a restart). All or nothing. */
int intake_reload(struct intake *in, struct site *site, char *ret_note, size_t note_cap,
		  struct error *err);

/*
 * The certificate must be good before a reload is accepted: checks without changing.
 */
int intake_check(struct intake *in, const struct conf *c, struct error *err);

/*
 * Orderly end: answers `Connection: close`, stops accepting, waits until every request
 * begun has been answered (the journal must be running; at most deadline_ms) or, where it
 * does not come to an end within 2 s, been ended, stops libmicrohttpd. Sockets passed by systemd stay open in systemd: connections wait there;
 * what waits in a socket of our own is taken in before that is closed, and our UNIX
 * sockets are removed. If the journal answers nothing until the deadline, libmicrohttpd is left
 * running (it would abort the process) and this returns all the same: the process is about to end.
 */
struct intake *intake_stop(struct intake *in, int64_t deadline_ms);

/* A timer on main calls this while connections are open: ends what is past its deadline, and logs how
 * many lines about refused requests were left out. Returns ms until it wants to be called
 * again (50 to 10,000), or -1: not until intake_wake_fd() is readable. */
int64_t intake_sweep(struct intake *in);
/* An eventfd that becomes readable when sweeping is needed again. Borrowed. */
int intake_wake_fd(struct intake *in);

struct intake_counts {          /* since the start; any thread */
	uint64_t results[INTAKE_RESULT_COUNT_];
	int64_t last_callout_ms;        /* last stored or duplicate; 0: none yet */
	unsigned failing;               /* callouts in a row that were answered 503; 25 switch the webhook off */
	uint64_t strangers;             /* accepted callouts with another Guid than the registered one */
	struct registration registered; /* guid "": not known */
};
/* Of one webhook by title ("" counts requests to no webhook's path). -ENOENT. */
int intake_counts(struct intake *in, const char *webhook, struct intake_counts *ret);

/*
 * What a webhook is at Autotask, from now on: a verified callout at its path with another Guid is
 * accepted, counted, and warned of, at most once in 10 s. Nothing is compared where nothing is registered or
 * the callout has none. Any thread. -ENOENT: no such webhook is configured, or has been since the start.
 */
int intake_register(struct intake *in, const struct registration *n);

/*
 * Test callouts (calloutctl doctor). One is announced, sent to a webhook's path with its number in the header and
 * this body, signed as any callout; intake answers it as any callout, and remembers how it came, but stores nothing.
 * It is valid for a minute; of more than 16 the oldest are forgotten. Any thread.
 */
#define INTAKE_PROBE_HEADER "X-Calloutd-Probe"
#define INTAKE_PROBE_LEN 32             /* hexadecimal digits */
#define INTAKE_PROBE_BODY_LEN 128       /* with its NUL */
struct intake_arrival {
	bool arrived;                   /* false: not yet, and nothing below is known */
	unsigned status;                /* what it was answered */
	char detail[128];               /* why it was refused; "" */
	char webhook[CONF_NAME_MAX + 1];        /* whose path it had; "": no webhook's */
	char client[64];                /* whom it counts for; "unix": through a UNIX socket */
	bool secure, forwarded;         /* over HTTPS; with X-Forwarded-For */
	bool believed;                  /* which counts only from trusted-proxies */
	size_t body_len;
};
void intake_probe_new(struct intake *in, char ret[static INTAKE_PROBE_LEN + 1]);
void intake_probe_body(const char *nonce, char dst[static INTAKE_PROBE_BODY_LEN]);
/* -ENOENT: not announced, or its minute is over. */
int intake_probe_arrival(struct intake *in, const char *nonce, struct intake_arrival *ret);

struct intake_status {
	unsigned connections, in_flight;
	uint64_t evicted, timed_out, limited;
	int64_t certificate_expiry_ms;  /* 0: no TLS */
	char listening[512];            /* "127.0.0.1:9080 (http), ..." */
};
void intake_status(struct intake *in, struct intake_status *ret);

/*
 * The watchdog's question, any thread: do the door and libmicrohttpd's threads still turn? They tell nothing, and a
 * heartbeat would wake them when idle. So: false when a call of ours has been running in one for
 * more than limit_ms, when somebody who was let in has not been taken by then, or when connections wait and
 * the door has not even asked for room (as seen from question to question). Idle is alive; so is waiting for the journal.
 */
bool intake_alive(struct intake *in, int64_t limit_ms);

#endif
