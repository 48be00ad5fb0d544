/*
 * private.h - what the files of this room share.
 *
 *   intake.c    the room as others see it: start, reload, stop, what it knows
 *   view.c      one configuration as requests see it, swapped at a reload
 *   listener.c  listening sockets, and the libmicrohttpd daemon that serves each one's connections
 *   conns.c     every open connection, its deadline, and who must go first
 *   endpoint.c  a request's life
 *   malformed.c answers where libmicrohttpd's own would be wrong
 *   heads.c     what a request's header says, and which shapes are refused
 *   judge.c     from a whole request to a verdict
 *   draft.c     from a body to what the store accepts (admin/ uses it too)
 *   record.c    from a verdict to the journal, and back
 *   report.c    a verdict's answer, its log line and its counter
 *   captures.c, capture_file.c, capture_take.c  requests written down for an operator
 *   probe.c     test callouts of calloutctl doctor
 *   alarm.c     what of it somebody should be told
 *   clients.c   requests in flight per client
 *   tally.c     counters, notices and log lines per webhook
 *
 * Locks, none held while another is taken: intake.lock, intake.stored_lock, conns.lock,
 * clients.lock, tallies.lock, probes.lock. (journal_try() is called under intake.lock: the journal calls
 * nothing of ours with a lock of its own held.)
 */
#ifndef CALLOUTD_INTAKE_PRIVATE_H
#define CALLOUTD_INTAKE_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/door.h"
#include "base/error.h"
#include "callout/callout.h"
#include "callout/signature.h"
#include "callout/site.h"
#include "intake/address.h"
#include "intake/captures.h"
#include "intake/draft.h"
#include "intake/intake.h"
#include "intake/tls.h"
#include "store/journal.h"

/* ---- tally.c ---- */

#define TALLY_LOG_WINDOW_MS 10000
#define TALLY_LOG_LINES 10      /* lines about refused requests per window and webhook */
#define TALLY_NOTICE_MS 60000   /* unverified deactivation notices: one per so long and webhook */

/* Of one webhook by title, or of "" (no webhook's path). Lives as long as intake. */
struct request;

struct tally {
	struct tally *next;
	char title[CONF_NAME_MAX + 1];
	_Atomic uint64_t results[INTAKE_RESULT_COUNT_];
	_Atomic int64_t last_callout_ms;
	_Atomic int64_t noted_until_ms; /* CLOCK_MONOTONIC: an unverified notice is durable and fresh until then */
	_Atomic unsigned failing;       /* callouts in a row that were answered 5xx */
	const void *noting;             /* journal thread only: the request whose notice is being written */
	_Atomic uint64_t guid_mark;     /* of the registered Guid; 0: none */
	_Atomic uint64_t strangers;     /* callouts with another one */
	_Atomic int64_t stranger_ms;    /* CLOCK_MONOTONIC: when a line said so last; 0: never */
	int64_t window_ms;              /* under tallies.lock, with what follows */
	unsigned lines, left_out;
	struct registration registered;
};

struct tallies {
	pthread_mutex_t lock;
	struct tally *first;
};

void tallies_init(struct tallies *t);
void tallies_free(struct tallies *t);
/* Find, or make. NULL: no memory. */
struct tally *tallies_get(struct tallies *t, const char *title);
struct tally *tallies_find(struct tallies *t, const char *title);
/* May a line about a refused request be logged now? If not, it is counted. */
bool tallies_may_log(struct tallies *t, struct tally *y, int64_t now_ms);
/* What the webhook is at Autotask. */
void tallies_register(struct tallies *t, struct tally *y, const struct registration *n);
struct registration tallies_registered(struct tallies *t, const struct tally *y);
/* A verified callout was accepted: has it the registered Guid? If not, it is counted and, now and then, logged. */
void tallies_compare(struct tallies *t, struct tally *y, const char *guid, int64_t now_ms);
/* Log how many lines were left out in windows that are over. Ms until it wants to be called again, -1: not. */
int64_t tallies_flush(struct tallies *t, int64_t now_ms);

/* ---- alarm.c ---- */

/* After a verdict was counted. */
void alarm_verdict(const struct request *q);

/* ---- probe.c ---- */

#define PROBES_MAX 16

struct probe {
	int64_t until_ms;               /* CLOCK_MONOTONIC; 0: free */
	char nonce[INTAKE_PROBE_LEN + 1];
	struct intake_arrival arrival;
};

struct probes {
	pthread_mutex_t lock;
	struct probe items[PROBES_MAX];
	unsigned next;
};

void probes_init(struct probes *p);
void probes_release(struct probes *p);
bool probes_know(struct probes *p, const char *nonce);
bool probe_is_body(const char *nonce, const char *body, size_t len);
void probes_note(struct probes *p, const struct request *q, unsigned status);

/* ---- clients.c ---- */

struct clients;
struct clients *clients_new(void);
struct clients *clients_free(struct clients *c);
/* One more request of this client; false: it has max already, or there is no memory. */
bool clients_enter(struct clients *c, const char *client, unsigned max);
void clients_leave(struct clients *c, const char *client);

/* ---- conns.c ---- */

#define CONNS_FILES_BESIDE 256  /* descriptors for everything that is no connection */
#define CONNS_ENDED_MAX 256     /* shut down, beyond max-connections: descriptors until libmicrohttpd closes them */

enum conn_state {
	CONN_FRESH,             /* accepted; TLS handshake, nothing understood yet */
	CONN_READING,           /* a request has begun */
	CONN_WORKING,           /* it is whole; the journal has it */
	CONN_ANSWERING,         /* the answer is on its way */
	CONN_IDLE,              /* kept alive between requests */
};

struct listener;

struct conn {
	struct conn *prev, *next;       /* oldest first */
	struct conns *owner;
	const struct listener *listener;
	void *session;                  /* GnuTLS's; NULL: plain */
	struct request *beginning;      /* its header is not whole yet; NULL: none */
	pthread_t thread;               /* that it is read by */
	int fd;                         /* libmicrohttpd's; open as long as this is in the list */
	enum conn_state state;
	int64_t since_ms;               /* what the deadline counts from */
	int64_t accepted_ms;
	uint64_t bytes_at_idle;
	bool ended;                     /* shut down by us; libmicrohttpd will notice */
	_Atomic int64_t handler_since_ms;       /* a call of ours runs for this connection; 0: none */
};

struct conns {
	pthread_mutex_t lock;
	struct conn *oldest, *newest;
	unsigned count, ended;
	unsigned max;                   /* of the configuration in force, as far as the descriptors go */
	int64_t request_timeout_ms;
	int64_t whole_by_ms;            /* at a stop: what is not whole by then is ended; else INT64_MAX */
	bool asleep;                    /* nobody will sweep until wake_fd fires */
	int wake_fd;
	unsigned arriving;              /* let in, and not in the list yet */
	int64_t arrived_ms;             /* when the last one was let in */
	uint64_t added;                 /* how many came into the list, ever */
	uint64_t standing;              /* conns_turning(): `added` when it last looked, */
	int64_t standing_since_ms;      /* and since when it is that */
	uint64_t evicted, timed_out;
	_Atomic uint64_t accepts;       /* the door's questions, for intake_alive() */
};

int conns_init(struct conns *c);
void conns_free(struct conns *c);
/* files: how many descriptors the process may have. How many connections there may be at once. */
unsigned conns_limits(struct conns *c, const struct conf *conf, uint64_t files);
/* May one more come in, who is waiting? Makes room at the limit where it can. Counts the question. */
bool conns_room(struct conns *c);
/* One comes in: on its way to libmicrohttpd's threads, until conns_add() or conns_lost(). */
void conns_arriving(struct conns *c);
void conns_lost(struct conns *c);
/* A new connection. Above 80 % of the limit others make room, as far as they can. NULL: no memory. */
struct conn *conns_add(struct conns *c, int fd, const struct listener *listener, void *session);
void conns_remove(struct conn *conn);
void conn_enter(struct conn *conn, enum conn_state state);
/* request: whose header is being read by this thread; NULL: it is whole. */
void conn_begin(struct conn *conn, struct request *request);
/* End what is past its deadline. Ms until the next one may be, -1: no connection is open. */
int64_t conns_sweep(struct conns *c, int64_t now_ms);
/* Nobody may hold a stop up for as long as a request may take. */
void conns_stopping(struct conns *c, int64_t now_ms);
/* No request is begun or about to be: the moment to stop libmicrohttpd. */
bool conns_quiet(struct conns *c, int64_t now_ms);
/* The one connection of the calling thread whose request's header is being read; NULL: none, or not the only one. */
struct conn *conns_sole_beginning(struct conns *c);
/* No call of ours has been running for longer than limit_ms, and nobody let in has waited so long to be read. */
bool conns_turning(struct conns *c, int64_t now_ms, int64_t limit_ms);

/* ---- view.c ---- */

struct view {
	atomic_uint refs;
	struct site *site;
	const struct conf *conf;        /* the site's */
	struct proxies *proxies;
	struct tally *nowhere;          /* requests to no webhook's path */
	struct tally *tallies[CONF_WEBHOOKS_MAX];       /* by hook's index */
};

int view_new(struct site *site, struct tallies *tallies, struct view **ret, struct error *err);
struct view *view_ref(struct view *v);
struct view *view_unref(struct view *v);
AUTO_DEFINE(view, struct view *, view_unref)

/* ---- listener.c ---- */

struct listener {
	struct intake *in;
	struct address address;
	char name[64];                  /* systemd's FileDescriptorName, or "" */
	int fd;                         /* -1 once closed */
	bool passed, secure;            /* handed over by systemd; HTTPS */
	struct MHD_Daemon *daemon;
	/* For intake_alive(), under intake.lock. */
	uint64_t accepts_seen;
	int64_t waiting_since_ms;       /* connections wait and the door has not moved since; 0: no */
};

/* Opens the conf's sockets, or adopts those passed. On failure whatever was opened is in the list to be closed. */
int listeners_open(struct intake *in, const struct intake_options *o, struct error *err);
/* Plain HTTP on an address that is not loopback, without leave to do so? */
int listeners_check_plain(const struct intake *in, const struct conf *c, struct error *err);
int listener_start(struct listener *l, struct error *err);
/* How connections come in; after listener_start(). */
struct door_socket listener_door(struct listener *l);
/* Closes the socket; no door may be using it. While the daemon runs, those that wait in a socket of our own are served first. */
void listener_close(struct listener *l);
void listener_stop(struct listener *l);
/* Connections wait, and the door has not asked for room for limit_ms. */
bool listener_stuck(struct listener *l, int64_t now_ms, int64_t limit_ms);
const char *listener_text(const struct listener *l, char *dst, size_t cap);

/* ---- heads.c ---- */

struct heads {
	const char *ambiguous;          /* why the request's end is in doubt; NULL: it is not */
	bool chunked, has_length, expects;
	uint64_t length;
	const char *type;               /* Content-Type; NULL: none */
	unsigned signatures;            /* how many signature headers */
	const char *signature;          /* the first; borrowed until the request ends */
	const char *probe;              /* INTAKE_PROBE_HEADER, likewise; NULL: none */
	size_t bytes;                   /* of the whole header */
	struct buf forwarded;           /* X-Forwarded-For, lines joined by commas */
};

/* -ENOMEM. Call buf_free(&ret->forwarded) afterwards, in any case. */
int heads_read(struct MHD_Connection *connection, struct heads *ret);
/* application/json, text/json, or anything ending in +json; parameters are allowed. */
bool heads_is_json(const char *type);
/* ":method: POST", ":query: ...", then every header as "Name: value"; a signature's value is left out. */
int heads_text(struct MHD_Connection *connection, const char *method, const char *query, struct buf *out);

/* ---- malformed.c ---- */

/* What libmicrohttpd says in its log. */
void malformed_noticed(struct listener *l, const char *text);

/* ---- a request ---- */

enum verdict {
	VERDICT_NONE,
	VERDICT_STORED,
	VERDICT_DUPLICATE,
	VERDICT_QUARANTINED,
	VERDICT_DEACTIVATED,
	VERDICT_NOTED,          /* an unverified notice while another is fresh */
	VERDICT_SIGNATURE,
	VERDICT_PATH,
	VERDICT_METHOD,
	VERDICT_LARGE,
	VERDICT_TYPE,
	VERDICT_AMBIGUOUS,
	VERDICT_HEADER,
	VERDICT_BUSY,
	VERDICT_UNAVAILABLE,
	VERDICT_PROBE,          /* a test callout as it should be */
	VERDICT_COUNT_
};

struct request {
	struct journal_job job;
	struct intake *in;
	struct MHD_Connection *connection;
	struct conn *conn;
	struct view *view;              /* NULL before the header is whole */
	const struct hook *hook;        /* NULL: no webhook's path */
	struct tally *tally;
	enum hook_path path;
	char *query;                    /* NULL: none */
	char client[ADDRESS_TEXT_LEN];
	bool counted;                   /* in clients */
	bool suspended;                 /* from submitting until libmicrohttpd calls again */
	bool close;                     /* answered at once: nothing more may be read from this connection */
	bool last;                      /* the last request of its connection */
	bool reported, answered;
	enum verdict verdict;
	const char *detail;             /* for the log: a static text, or NULL */
	unsigned signatures;
	const char *signature;
	struct buf body;
	size_t forgotten;               /* bytes of a refused body, read and not kept */
	char probe[INTAKE_PROBE_LEN + 1];       /* of a test callout that was announced; "" */
	bool forwarded, believed;       /* with X-Forwarded-For; a test's peer is a trusted proxy */
	struct buf headers;             /* of deactivation notices */
	struct taking *taking;          /* for an armed capture; NULL: not captured */
	struct signature_match match;
	struct draft draft;             /* what the journal is given */
	/* what it answered */
	struct accepted accepted;
	int result;
};

/* judge.c: the whole request is there. VERDICT_NONE: the journal has the next word. */
enum verdict judge(struct request *q, const char *method);

/* record.c */
void record_prepare(struct request *q); /* sets the job's functions */
/* Suspends the connection and queues the job; false: not possible, the verdict is set. */
bool record_submit(struct request *q);

/* report.c */
enum MHD_Result report_answer(struct request *q);
/* Count and log the verdict, once. */
void report(struct request *q);
unsigned report_status(enum verdict v);
const char *report_reason(enum verdict v);

/* capture_take.c: each does nothing unless a capture of the webhook was armed when the request began */
void capture_begin(struct request *q, const char *method, const char *version);
void capture_body(struct request *q, const char *data, size_t len);     /* of a refused request */
void capture_end(struct request *q);    /* after the answer; takes the body away */
void capture_release(struct request *q);

/* endpoint.c: the callbacks of libmicrohttpd; cls is the listener. */
void *endpoint_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result endpoint_call(void *cls, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *data_len, void **context);
void endpoint_end(void *cls, struct MHD_Connection *connection, void **context,
		  enum MHD_RequestTerminationCode how);

/* ---- intake.c ---- */

#define LISTENERS_MAX DOOR_SOCKETS_MAX

struct intake {
	pthread_mutex_t lock;           /* view, journal, accepts_seen, waiting_since_ms */
	struct view *view;
	struct journal *journal;        /* NULL: no more jobs */
	pthread_mutex_t stored_lock;
	void (*stored)(void *arg);      /* NULL: nobody listens any more */
	void (*deactivated)(void *arg);
	void *arg;
	struct alerts *_Atomic alerts;  /* NULL: nobody is told (any more) */
	struct captures *_Atomic captures;      /* NULL: none can be armed */
	struct tls *tls;                /* NULL: no HTTPS */
	struct tallies tallies;
	struct probes probes;
	struct clients *clients;
	struct conns conns;
	struct listener listeners[LISTENERS_MAX];
	struct door *door;              /* NULL: not open */
	size_t listener_count;
	bool adopted;                   /* sockets were passed: `listen` is not used */
	size_t pool_bytes;              /* memory per connection, as libmicrohttpd was started */
	_Atomic unsigned in_flight;     /* requests begun and not ended */
	_Atomic unsigned suspended;     /* of those, in the journal or on their way back */
	_Atomic uint64_t limited;       /* answered 429 */
	atomic_bool stopping;
};

/* The view in force, referenced. */
struct view *intake_view(struct intake *in);

#endif
