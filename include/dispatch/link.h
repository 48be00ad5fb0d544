/*
 * link.h - the conversation with one runner.
 *
 * Connects when asked, reconnects with backoff (100 ms .. 10 s) only while somebody
 * wants it, and reports through callbacks on the main thread. After a connection is
 * made, `ready` comes only when the runner has told all that runs and all that it has
 * kept (HELLO's COUNT), so nothing is started twice.
 *
 * Acknowledgements and the like queue up when the socket is full, so they are never lost while
 * the connection lives; a result whose ACK was lost with it is told again.
 *
 * A callback may call anything here but link_free() of its own link.
 */
#ifndef CALLOUTD_DISPATCH_LINK_H
#define CALLOUTD_DISPATCH_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/auto.h"
#include "base/wire.h"

struct link;

struct link_result {                    /* borrowed for the call */
	const char *handler;
	int64_t event;
	unsigned attempt;
	const struct wire_delivery *others;     /* of a collected run */
	size_t other_count;
	int64_t started_ms, ended_ms;
	enum wire_outcome outcome;
	int status;
	const void *out, *err;
	size_t out_len, err_len;
	uint64_t out_total, err_total;
};

struct link_running {                   /* borrowed for the call */
	const char *handler;
	int64_t event;
	unsigned attempt;
	const struct wire_delivery *others;
	size_t other_count;
	int64_t started_ms;
};

struct link_looked {                    /* borrowed for the call; a stranger's word: bounded, and nothing more */
	const char *handler;
	int64_t number, uid;            /* uid: whom handlers run as */
	const struct wire_found *found;
	size_t count;
};

struct link_callbacks {
	void (*running)(void *arg, const struct link_running *r);
	void (*result)(void *arg, const struct link_result *r);
	void (*refused)(void *arg, const char *handler, int64_t event, unsigned attempt,
			enum wire_refusal why, const char *text);
	void (*ready)(void *arg);               /* everything is told; or there is room again */
	void (*lost)(void *arg, const char *why);       /* what ran there is interrupted unless it is told again */
	void (*reloaded)(void *arg, bool ok, const char *text);
	void (*looked)(void *arg, const struct link_looked *l);         /* NULL: nobody asks */
	void *arg;
};

/*
 * path: the runner's socket; or fd >= 0: a connected socketpair (taken over; path is
 * then only a name, and a lost connection stays lost until link_adopt()). name is copied.
 */
int link_new(sd_event *e, const char *name, const char *path, int fd,
	     const struct link_callbacks *cb, struct link **ret);
struct link *link_free(struct link *l);
AUTO_DEFINE(link, struct link *, link_free)

/*
 * Another socketpair, to the runner that was started in place of one that ended. Taken over
 * (closed on failure too); what is still connected is lost first. 0 or -errno.
 */
int link_adopt(struct link *l, int fd);

/* Somebody wants to run something: connect if not connected. Idempotent, cheap. */
void link_want(struct link *l);
/* Drop the connection and make it again, to be told everything anew (with lost()). Nothing with a socketpair. */
void link_again(struct link *l);
bool link_ready(const struct link *l);
/* "connected", "waiting for /run/...: No such file or directory", ... borrowed */
const char *link_status(const struct link *l);

/* 0; -EAGAIN the socket is full (ready() is called when there is room); -ENOTCONN not ready; -EMSGSIZE
 * env does not fit; or why there is no memfd (-EMFILE, -ENOMEM). env ends with NULL. */
int link_start(struct link *l, const char *handler, int64_t event, unsigned attempt,
	       const char *const *env, const void *body, size_t len);
/* A collected run: for these events too. */
int link_start_collected(struct link *l, const char *handler, int64_t event, unsigned attempt,
			 const struct wire_delivery *others, size_t other_count,
			 const char *const *env, const void *body, size_t len);
void link_ack(struct link *l, const char *handler, int64_t event, unsigned attempt);
void link_stop(struct link *l, const char *handler, int64_t event);
int link_reload(struct link *l);
/* Ask whether this handler could run: looked() comes. -ENOTCONN; -EOPNOTSUPP: a runner of an earlier version. */
int link_look(struct link *l, const char *handler, int64_t number);

#endif
