/*
 * link.c - the conversation with one runner.
 *
 *   IDLE ──link_want()──▶ connected, greeting ──HELLO──▶ telling ──COUNT told──▶ READY
 *    ▲                                                                            │
 *    └────────────── the connection ended, or spoke another protocol ◀────────────┘
 *
 * A connection that fails is tried again after 100 ms, doubling up to 10 s, while somebody
 * wants it. An idle connection costs no wake-up.
 */
#include "dispatch/link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "link_private.h"

#define BACKOFF_MAX_MS 10000
#define RECEIVE_AT_ONCE 32      /* messages per wake-up: the loop has others to serve */

static int on_io(sd_event_source *s, int fd, uint32_t events, void *arg);

/* ---- the connection ---- */

static void forget_waiting(struct link *l)
{
	while (l->first) {
		struct waiting *w = l->first;

		l->first = w->next;
		free(w);
	}
	l->last = &l->first;
}

static void disconnect(struct link *l)
{
	l->io = sd_event_source_disable_unref(l->io);
	if (l->fd >= 0)
		(void)close(TAKE_FD(l->fd));
	l->phase = PHASE_IDLE;
	l->full = false;
	l->generation++;
	forget_waiting(l);
}

static void try_later(struct link *l)
{
	uint64_t usec = (uint64_t)l->backoff_ms * 1000;

	l->backoff_ms = l->backoff_ms * 2 < BACKOFF_MAX_MS ? l->backoff_ms * 2 : BACKOFF_MAX_MS;
	(void)sd_event_source_set_time_relative(l->timer, usec);
	(void)sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

static void lose(struct link *l, const char *why)
{
	disconnect(l);
	(void)snprintf(l->status, sizeof(l->status), "%s", why);
	if (!l->is_pair)
		try_later(l);
	l->cb.lost(l->cb.arg, l->status);
}

static int adopt(struct link *l, int fd)
{
	int r = sd_event_add_io(l->event, &l->io, fd, EPOLLIN, on_io, l);

	if (r < 0)
		return r;
	l->fd = fd;
	l->phase = PHASE_GREETING;
	(void)snprintf(l->status, sizeof(l->status), "connected, the runner is starting%s%s",
		       l->is_pair ? "" : "; if it stays so: systemctl status calloutd-runner@",
		       l->is_pair ? "" : l->name);
	return 0;
}

static int dial(struct link *l)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = -1;
	int r;

	if (strlen(l->path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, l->path, strlen(l->path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	r = adopt(l, fd);
	if (r < 0)
		return r;
	(void)TAKE_FD(fd);
	return 0;
}

static void connect_now(struct link *l)
{
	int r = dial(l);

	if (r < 0) {
		/* Dialled, so not our child: systemd's, as a rule. */
		(void)snprintf(l->status, sizeof(l->status), "waiting for %s: %s: systemctl status calloutd-runner@%s.socket",
			       l->path, strerror(-r), l->name);
		try_later(l);
	}
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct link *l = arg;

	(void)s;
	(void)usec;
	if (l->phase == PHASE_IDLE && l->wanted)
		connect_now(l);
	return 0;
}

/* ---- the conversation ---- */

/* False when the connection is gone or has nothing more to say now. */
static bool receive_one(struct link *l)
{
	uint64_t generation = l->generation;
	AUTO(fd) int passed = -1;
	char why[128];
	int r = wire_receive(l->fd, &l->in, &passed);

	if (r == -EAGAIN || r == -EINTR)
		return false;
	if (r == 0) {
		lose(l, "the runner ended the connection");
		return false;
	}
	if (r > 0)
		r = link_hear(l);
	if (generation != l->generation)
		return false;
	if (r == -EBADMSG) {
		lose(l, "the runner sent what is not our protocol: is it of another version?");
		return false;
	}
	if (r < 0) {
		(void)snprintf(why, sizeof(why), "cannot receive from the runner: %s", strerror(-r));
		lose(l, why);
		return false;
	}
	return true;
}

/* ---- what we say ---- */

static void watch_room(struct link *l)
{
	uint32_t events = EPOLLIN | (l->full || l->first ? EPOLLOUT : 0u);

	(void)sd_event_source_set_io_events(l->io, events);
}

static int send_out(struct link *l, int fd)
{
	int r = wire_send(l->fd, &l->out, fd);

	return r == -ENOBUFS || r == -EINTR ? -EAGAIN : r;
}

static int send_small(struct link *l, const struct waiting *w)
{
	wire_begin(&l->out, w->verb);
	if (w->verb != WIRE_RELOAD) {
		(void)wire_put_text(&l->out, WIRE_HANDLER, w->handler);
		(void)wire_put_int(&l->out, WIRE_EVENT, w->event);
	}
	if (w->verb == WIRE_ACK)
		(void)wire_put_int(&l->out, WIRE_ATTEMPT, w->attempt);
	return send_out(l, -1);
}

/* True when nothing waits any more. Other failures show as the end of the connection. */
static bool flush(struct link *l)
{
	while (l->first) {
		struct waiting *w = l->first;

		if (send_small(l, w) == -EAGAIN)
			return false;
		l->first = w->next;
		if (!l->first)
			l->last = &l->first;
		free(w);
	}
	return true;
}

static int say(struct link *l, enum wire_verb verb, const char *handler, int64_t event, unsigned attempt)
{
	struct waiting one = { .verb = verb, .event = event, .attempt = attempt }, *w;
	int r = -EAGAIN;

	if (l->phase < PHASE_TELLING)
		return -ENOTCONN;
	(void)snprintf(one.handler, sizeof(one.handler), "%s", handler);
	if (!l->first)
		r = send_small(l, &one);
	if (r != -EAGAIN)
		return r;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = one;
	w->next = NULL;
	*l->last = w;
	l->last = &w->next;
	watch_room(l);
	return 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct link *l = arg;
	uint64_t generation = l->generation;

	(void)s;
	(void)fd;
	if ((events & EPOLLOUT) && flush(l)) {
		bool was_full = l->full;

		l->full = false;
		watch_room(l);
		if (was_full && l->phase == PHASE_READY)
			l->cb.ready(l->cb.arg);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || generation != l->generation)
		return 0;
	for (unsigned i = 0; i < RECEIVE_AT_ONCE; i++)
		if (!receive_one(l))
			break;
	return 0;
}

static int build_start(struct link *l, const char *handler, int64_t event, unsigned attempt,
		       const struct wire_delivery *others, size_t other_count, const char *const *env)
{
	int r;

	wire_begin(&l->out, WIRE_START);
	r = wire_put_text(&l->out, WIRE_HANDLER, handler);
	if (r == 0)
		r = wire_put_int(&l->out, WIRE_EVENT, event);
	if (r == 0)
		r = wire_put_int(&l->out, WIRE_ATTEMPT, attempt);
	if (r == 0)
		r = wire_put_others(&l->out, others, other_count);
	for (; r == 0 && *env; env++)
		r = wire_put_text(&l->out, WIRE_ENV, *env);
	return r;
}

int link_start(struct link *l, const char *handler, int64_t event, unsigned attempt,
	       const char *const *env, const void *body, size_t len)
{
	return link_start_collected(l, handler, event, attempt, NULL, 0, env, body, len);
}

int link_start_collected(struct link *l, const char *handler, int64_t event, unsigned attempt,
			 const struct wire_delivery *others, size_t other_count,
			 const char *const *env, const void *body, size_t len)
{
	AUTO(fd) int fd = -1;
	int r;

	if (l->phase != PHASE_READY)
		return -ENOTCONN;
	if (l->first || l->full)
		return -EAGAIN;         /* in order: an ACK may have to come before */
	r = build_start(l, handler, event, attempt, others, other_count, env);
	if (r < 0)
		return r;
	fd = wire_memfd(body, len);
	if (fd < 0)
		return fd;
	r = send_out(l, fd);
	if (r == -EAGAIN) {
		l->full = true;
		watch_room(l);
		return r;
	}
	return r < 0 ? -ENOTCONN : 0;   /* its end will be told by on_io() */
}

void link_ack(struct link *l, const char *handler, int64_t event, unsigned attempt)
{
	(void)say(l, WIRE_ACK, handler, event, attempt);
}

void link_stop(struct link *l, const char *handler, int64_t event)
{
	(void)say(l, WIRE_STOP, handler, event, 0);
}

int link_reload(struct link *l)
{
	return say(l, WIRE_RELOAD, "", 0, 0);
}

int link_look(struct link *l, const char *handler, int64_t number)
{
	if (l->phase != PHASE_READY)
		return -ENOTCONN;
	return l->looks ? say(l, WIRE_LOOK, handler, number, 0) : -EOPNOTSUPP;
}

/* ---- the link ---- */

static int start_link(struct link *l, const char *name, const char *path, int *fd)
{
	int r;

	l->name = strdup(name);
	l->path = strdup(path ? path : "");
	if (!l->name || !l->path)
		return -ENOMEM;
	r = sd_event_add_time_relative(l->event, &l->timer, CLOCK_MONOTONIC, 0, 0, on_timer, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
	(void)snprintf(l->status, sizeof(l->status), "not connected: nothing to run yet");
	if (*fd < 0)
		return 0;
	l->is_pair = true;
	r = adopt(l, *fd);
	if (r == 0)
		*fd = -1;
	return r;
}

int link_new(sd_event *e, const char *name, const char *path, int fd,
	     const struct link_callbacks *cb, struct link **ret)
{
	AUTO(fd) int own = fd;
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->event = sd_event_ref(e);
	l->cb = *cb;
	l->fd = -1;
	l->last = &l->first;
	l->backoff_ms = BACKOFF_FIRST_MS;
	r = start_link(l, name, path, &own);
	if (r < 0) {
		(void)link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct link *link_free(struct link *l)
{
	if (!l)
		return NULL;
	disconnect(l);
	(void)sd_event_source_disable_unref(l->timer);
	(void)sd_event_unref(l->event);
	free(l->name);
	free(l->path);
	free(l);
	return NULL;
}

int link_adopt(struct link *l, int fd)
{
	AUTO(fd) int own = fd;
	int r;

	if (l->phase != PHASE_IDLE)
		lose(l, "another runner was started in its place");
	r = adopt(l, own);
	if (r == 0)
		(void)TAKE_FD(own);
	return r;
}

void link_want(struct link *l)
{
	int enabled = SD_EVENT_OFF;

	if (l->is_pair || l->phase != PHASE_IDLE)
		return;
	l->wanted = true;
	(void)sd_event_source_get_enabled(l->timer, &enabled);
	if (enabled == SD_EVENT_OFF)
		connect_now(l);
}

void link_again(struct link *l)
{
	if (l->is_pair || l->phase == PHASE_IDLE)
		return;
	l->wanted = true;
	lose(l, "connecting anew");
}

bool link_ready(const struct link *l)
{
	return l->phase == PHASE_READY;
}

const char *link_status(const struct link *l)
{
	return l->status;
}
