/*
 * private.h - the admin room's inside.
 *
 * Threads: each socket has one libmicrohttpd thread, which runs everything about its requests.
 * A route that acts hands its work over and lets the connection sleep (later.c): what the main
 * or the journal thread takes its time for keeps no other request waiting.
 *
 * Whoever works for a sleeping request may outlive the room: after admin_stop() the main thread
 * may still find such work in the loop's mailbox. So that work holds no pointer to struct admin,
 * and touches dispatcher and journal only while later_wanted().
 */
#ifndef CALLOUTD_ADMIN_PRIVATE_H
#define CALLOUTD_ADMIN_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/admin.h"
#include "admin/findings.h"
#include "admin/question.h"
#include "admin/route.h"
#include "base/buf.h"
#include "base/door.h"
#include "base/log.h"
#include "base/writer.h"
#include "intake/captures.h"

#define CONNECTIONS_MAX 64      /* of each socket */
#define IDLE_SECONDS 30         /* a connection on which nothing moves is closed */
#define QUESTION_MAX (64 * 1024)        /* bytes of a body that is a question */
#define ANSWER_MAX (32 * 1024 * 1024)   /* bytes of an answer, built in memory */
#define LATER_MAX 16            /* requests asleep at once */
#define MAIN_WAIT_MS 2000       /* for the main thread to begin what we ask */
#define STATEMENT_MS 1000       /* a statement is interrupted after that */

struct admin;
struct later;

/* ---- http.c: one request's life ---- */

struct answer {
	unsigned status;        /* 0: none yet */
	const char *type;       /* a literal */
	char *data;             /* malloc()ed */
	size_t len;
	bool file;              /* fd is what to send, not data; it is the answer's */
	int fd;
	char allow[32];         /* of a 405 */
	bool close;             /* what follows on the connection is not to be trusted */
};

struct guest {                  /* one connection; belongs to its socket's thread */
	struct guest *next;
	int fd;
	bool asleep;            /* its request sleeps: not one that stalls */
	bool refused;           /* answered in libmicrohttpd's stead: nothing more of it counts */
	bool leaving;           /* shut down by us; libmicrohttpd will notice */
};

struct face {                   /* one listening socket with its threads */
	struct admin *admin;
	struct MHD_Daemon *mhd;
	struct door *door;
	int fd;                 /* the listening socket, else -1 */
	_Atomic unsigned inside;        /* connections let in and not yet over */
	bool metrics;           /* metrics-listen: no operators here */
	struct guest *guests;   /* newest first */
};

struct request {
	struct face *face;
	struct admin *admin;
	struct MHD_Connection *conn;
	struct guest *guest;
	struct route_match match;
	struct question question;
	struct buf body;
	struct site *site;      /* in force when the request began; only with BODY_CALLOUT */
	int64_t uid;            /* who asks; -1: the kernel does not tell */
	bool begun;             /* the route's function was called */
	struct answer answer;
	struct later *later;    /* asleep, or awake again */
};

/* Takes fd over if it succeeds. 0 or -errno. */
int face_start(struct face *f, struct admin *a, int fd, bool metrics);
void face_shut(struct face *f);         /* let nobody in any more */
void face_stop(struct face *f);         /* no request may be asleep */

void answer_error(struct answer *a, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void answer_no_memory(struct answer *a);
/* Takes the writer's text; its error becomes the answer. */
void answer_json(struct answer *a, struct writer *w);
void answer_bytes(struct answer *a, const char *type, char *data, size_t len);
/* A file of this length, from its beginning. Takes fd. */
void answer_file(struct answer *a, const char *type, int fd, size_t len);
void answer_release(struct answer *a);

/* An errno of the store, of asking main, or of memory as an answer; in words. */
void request_failed(struct request *q, int result);
/* Why the journal did not do it: its own sentence if it has one (in *room), else the errno's. */
const char *unstored_why(struct journal *j, int result, struct journal_status *room);
/* A line of the log that says who did it. */
#define request_log(q, event_, handler_, ...)                                           \
	log_info((&(struct log_ctx){ .event = (event_), .handler = (handler_),          \
				     .reason = "operator", .uid = (q)->uid, .uid_set = 1 }), \
		 __VA_ARGS__)

/* ---- early.c: what is refused before anybody looks at what it asks ---- */

/* MHD_OPTION_URI_LOG_CALLBACK: a request line is there; answers one that is too long. NULL. */
void *early_line(void *cls, const char *target, struct MHD_Connection *conn);
/* Why it is not certain where the body ends, or NULL. */
const char *early_framing(struct MHD_Connection *conn);

/* ---- later.c: requests that are answered from another thread ---- */

/*
 * Puts the request to sleep. The caller of later_begin() owns one reference (besides the
 * request's) and must answer. -EAGAIN: too many are asleep, -ENOMEM; answered already then.
 */
int later_begin(struct request *q, struct later **ret);
/* Any thread. The first answer counts and wakes the request; a later one is released. */
void later_answer(struct later *l, struct answer *a);
/*
 * Hand arg to fn on the main thread. False: there is no memory for that, and the request is answered so; arg is
 * still the caller's.
 */
bool later_post(struct later *l, struct loop *loop, void (*fn)(void *arg), void *arg);
/* False once answered, by whomever: the room may be gone. */
bool later_wanted(struct later *l);
struct later *later_unref(struct later *l);
AUTO_DEFINE(later, struct later *, later_unref)
/* On the request's thread: true and q->answer is set if there is an answer. */
bool later_take(struct request *q);
/* The request's own reference, when it is over. */
void later_leave(struct request *q);
/* At the end: answer all that sleep, wait until they are over (at most for wait_ms). */
void later_stop(struct admin *a, int64_t wait_ms);

/* ---- guard.c: what `calloutctl guard` found last ---- */

struct guard {
	pthread_mutex_t mutex;
	struct findings *last;          /* NULL: it has not run since the start */
};
void guard_init(struct guard *g);
void guard_release(struct guard *g);
void guard_write(struct guard *g, struct writer *w);    /* the member "guard" of the status */
/* add() for each warning and error, as a sentence. */
void guard_problems(struct guard *g, void (*add)(void *arg, const char *text), void *arg);
/* False: it has not run since the start. */
bool guard_last(struct guard *g, int64_t *ret_ended_ms, bool *ret_ok);
/* False: not looked at. */
bool guard_webhook(struct guard *g, const char *webhook, struct guarded *ret);

/* ---- backup.c: one copy of the store at a time ---- */

struct backup {
	pthread_mutex_t mutex;          /* of running */
	pthread_t thread;
	bool running, joinable;
	atomic_bool stop;
};
void backup_init(struct backup *b);
/* Break it off and wait for its end. No more request may come. */
void backup_stop(struct backup *b);

/* ---- admin.c ---- */

struct admin {
	struct loop *loop;
	struct journal *journal;
	struct dispatcher *dispatcher;
	struct intake *intake;
	struct alerts *alerts;
	struct captures *captures;
	struct admin_daemon daemon;
	char *state_directory;
	char *socket_path;              /* ours to remove; NULL: passed */
	struct face operators, metrics;
	struct guard guard;
	struct backup backup;
	char metrics_trouble[600];      /* why metrics-listen is not open; "" */

	atomic_bool stopping;
	pthread_mutex_t mutex;          /* of what follows */
	pthread_cond_t over;            /* a request is over */
	struct later *sleeping;
	unsigned sleeping_count;
	unsigned answering;             /* requests begun and not over */
};

/* Run fn(arg) on the main thread. 0, or -ETIMEDOUT: it was not begun and never will be. */
int admin_ask(struct admin *a, void (*fn)(void *arg), void *arg);
/* The configuration in force: a new reference. 0 or -ETIMEDOUT. */
int admin_site(struct admin *a, struct site **ret);
/* Our own view of the store, opened for one request: what was moved away or mended is seen at once. */
int admin_reader(struct admin *a, struct reader **ret);

/* ---- picture.c: what only the main thread knows, copied ---- */

struct picture {
	struct admin *admin;
	bool attempts_wanted;
	int result;
	struct site *site;
	struct handler_view *handlers;
	struct running_view *running;
	struct held_record *held;
	struct runner_view *runners;
	struct attempt_counts *attempts;        /* for metrics */
	size_t handler_count, running_count, held_count, runner_count, attempts_count;
	struct intake_status intake;
	struct alerts_status alerts;
	struct intake_counts *webhooks;         /* of each configured one, then of none */
	char degraded[600];
	int64_t last_reload_ms;
	bool last_reload_ok;
};

int picture_take(struct admin *a, bool attempts, struct picture *ret);
void picture_release(struct picture *p);
static inline void auto_picture(struct picture *p)
{
	picture_release(p);
}

/* Deliveries that are neither settled nor running. */
uint64_t handler_waiting(const struct handler_view *h);
/* "ready", "held", "paused", "unusable", "removed" */
const char *handler_condition(const struct handler_view *h);
/* Removed, and nothing of it waits: of no interest. */
bool handler_gone(const struct handler_view *h);

/* ---- problems.c ---- */

/* A sentence for each thing that is wrong, as elements of the writer's array. Returns how many. */
unsigned problems_write(struct admin *a, const struct picture *p,
			const struct journal_status *store, struct writer *w);

/* ---- acting.c ---- */

/*
 * The event that the question names; ret->id is 0 if it names none. False: there is none of that number, or
 * it cannot be read; that is q's answer then. ret may be NULL.
 */
bool request_event(struct request *q, struct event *ret);

/* ---- again.c ---- */

/* One step of a retry, drop or replay of what the question picks out. Answers or puts q to sleep. */
void again_step(struct request *q, enum again what);

/* ---- capture.c ---- */

/* The array "captures": what is armed, or also the last ones that have ended. */
void captures_write(struct admin *a, struct writer *w, bool all);

/* ---- events.c ---- */

/* Names as they are stored: canonical where known, actions in lower case. */
void question_normalise(struct question *q);

/* An event with its body (free() it). A failure is q's answer already. */
int request_body(struct request *q, int64_t id, struct event *ret, void **ret_body,
		 size_t *ret_len);

/* ---- the routes; each sets q->answer or puts q to sleep ---- */

extern const struct route routes[];
extern const size_t route_count;

void post_forget(struct request *q);
void get_captures(struct request *q);
void get_capture(struct request *q);
void post_capture(struct request *q);
void post_capture_end(struct request *q);
void get_status(struct request *q);
void get_health(struct request *q);
void get_config(struct request *q);
void get_metrics(struct request *q);
void get_events(struct request *q);
void get_event(struct request *q);
void get_body(struct request *q);
void get_look(struct request *q);
void get_probe(struct request *q);
void post_probe(struct request *q);
void post_reload(struct request *q);
void post_retry(struct request *q);
void post_drop(struct request *q);
void post_replay(struct request *q);
void post_quarantined(struct request *q);
void post_hold(struct request *q);
void post_release(struct request *q);
void post_try(struct request *q);
void post_handed(struct request *q);
void post_registration(struct request *q);
void post_guard(struct request *q);
void post_alert_test(struct request *q);
void post_backup(struct request *q);

#endif
