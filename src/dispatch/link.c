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

#include "base/conf.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define RECEIVE_AT_ONCE 32      /* messages per wake-up: the loop has others to serve */
#define MOMENT_MAX_MS INT64_C(253402300799999)  /* the end of the year 9999 */

enum phase {
	PHASE_IDLE,
	PHASE_GREETING,         /* connected; HELLO has not come */
	PHASE_TELLING,          /* `left` messages to come */
	PHASE_READY,
};

struct waiting {                /* a small message the full socket did not take */
	struct waiting *next;
	enum wire_verb verb;
	int64_t event;
	unsigned attempt;
	char handler[CONF_NAME_MAX + 1];
};

struct link {
	sd_event *event;
	char *name, *path;
	bool is_pair;           /* a socketpair: lost once, lost for good */
	struct link_callbacks cb;
	int fd;
	sd_event_source *io, *timer;
	enum phase phase;
	int64_t left;
	bool wanted;
	bool full;              /* a START did not go out: ready() when there is room */
	int64_t backoff_ms;
	uint64_t generation;    /* of the connection: a callback may have ended it */
	struct waiting *first, **last;
	char status[256];
	struct wire_message in, out;
};

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
		(void)snprintf(l->status, sizeof(l->status), "waiting for %s: %s", l->path, strerror(-r));
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

/* ---- what the runner says ---- */

struct subject {
	char handler[CONF_NAME_MAX + 1];
	int64_t event, attempt;
};

static bool read_subject(const struct wire_message *m, struct subject *s)
{
	return wire_get_text(m, WIRE_HANDLER, s->handler, sizeof(s->handler)) == 0 &&
	       wire_get_int(m, WIRE_EVENT, &s->event) == 0 &&
	       wire_get_int(m, WIRE_ATTEMPT, &s->attempt) == 0 &&
	       s->attempt >= 0 && s->attempt <= UINT32_MAX;
}

static int64_t number_or(const struct wire_message *m, enum wire_tag tag, int64_t otherwise)
{
	int64_t n;

	return wire_get_int(m, tag, &n) == 0 ? n : otherwise;
}

/* Runners run beside strangers' programs: what they say is computed with only within bounds. */
static int64_t number_within(const struct wire_message *m, enum wire_tag tag, int64_t min, int64_t max,
			     int64_t otherwise)
{
	int64_t n = number_or(m, tag, otherwise);

	return n >= min && n <= max ? n : otherwise;
}

static int64_t moment_or(const struct wire_message *m, enum wire_tag tag, int64_t otherwise)
{
	return number_within(m, tag, 0, MOMENT_MAX_MS, otherwise);
}

static void read_text(const struct wire_message *m, enum wire_tag tag, char *dst, size_t cap)
{
	if (wire_get_text(m, tag, dst, cap) < 0)
		dst[0] = '\0';
}

static void becomes_ready(struct link *l)
{
	l->phase = PHASE_READY;
	l->backoff_ms = BACKOFF_FIRST_MS;
	l->wanted = false;
	(void)snprintf(l->status, sizeof(l->status), "connected");
	l->cb.ready(l->cb.arg);
}

static int on_hello(struct link *l)
{
	int64_t count = number_or(&l->in, WIRE_COUNT, -1);

	if (l->phase != PHASE_GREETING || count < 0)
		return -EBADMSG;
	l->phase = PHASE_TELLING;
	l->left = count;
	if (count == 0)
		becomes_ready(l);
	return 0;
}

/* One of those HELLO counted, or news after that. */
static void told(struct link *l, uint64_t generation)
{
	if (generation == l->generation && l->phase == PHASE_TELLING && --l->left == 0)
		becomes_ready(l);
}

static int on_running(struct link *l)
{
	uint64_t generation = l->generation;
	struct subject s;

	if (l->phase < PHASE_TELLING || !read_subject(&l->in, &s))
		return -EBADMSG;
	l->cb.running(l->cb.arg, s.handler, s.event, (unsigned)s.attempt,
		      moment_or(&l->in, WIRE_STARTED_MS, 0));
	told(l, generation);
	return 0;
}

static void read_output(const struct wire_message *m, struct link_result *r)
{
	struct wire_field f;
	size_t pos = 0;

	while (wire_next(m, &pos, &f)) {
		size_t len = f.len < WIRE_OUTPUT_MAX ? f.len : WIRE_OUTPUT_MAX;

		if (f.tag == WIRE_STDOUT) {
			r->out = f.data;
			r->out_len = len;
		} else if (f.tag == WIRE_STDERR) {
			r->err = f.data;
			r->err_len = len;
		}
	}
	r->out_total = (uint64_t)number_within(m, WIRE_STDOUT_TOTAL, (int64_t)r->out_len, INT64_MAX, (int64_t)r->out_len);
	r->err_total = (uint64_t)number_within(m, WIRE_STDERR_TOTAL, (int64_t)r->err_len, INT64_MAX, (int64_t)r->err_len);
}

static int on_result(struct link *l)
{
	uint64_t generation = l->generation;
	int64_t outcome = number_or(&l->in, WIRE_OUTCOME, 0);
	struct link_result r = { .handler = NULL };
	struct subject s;

	if (l->phase < PHASE_TELLING || !read_subject(&l->in, &s) || outcome <= 0 || outcome > INT32_MAX)
		return -EBADMSG;
	r.handler = s.handler;
	r.event = s.event;
	r.attempt = (unsigned)s.attempt;
	r.started_ms = moment_or(&l->in, WIRE_STARTED_MS, 0);
	r.ended_ms = moment_or(&l->in, WIRE_ENDED_MS, r.started_ms);
	r.outcome = (enum wire_outcome)outcome;
	r.status = (int)number_within(&l->in, WIRE_STATUS, 0, INT32_MAX, -1);
	read_output(&l->in, &r);
	l->cb.result(l->cb.arg, &r);
	told(l, generation);
	return 0;
}

static int on_refused(struct link *l)
{
	char text[256];
	struct subject s;

	if (!read_subject(&l->in, &s))
		return -EBADMSG;
	read_text(&l->in, WIRE_TEXT, text, sizeof(text));
	l->cb.refused(l->cb.arg, s.handler, s.event, (unsigned)s.attempt,
		      (enum wire_refusal)number_or(&l->in, WIRE_REASON, WIRE_BUSY), text);
	return 0;
}

static int on_reloaded(struct link *l)
{
	char text[512];

	read_text(&l->in, WIRE_TEXT, text, sizeof(text));
	l->cb.reloaded(l->cb.arg, number_or(&l->in, WIRE_OK, 0) == 1, text);
	return 0;
}

static int take_message(struct link *l)
{
	switch (l->in.verb) {
	case WIRE_HELLO:
		return on_hello(l);
	case WIRE_RUNNING:
		return on_running(l);
	case WIRE_RESULT:
		return on_result(l);
	case WIRE_REFUSED:
		return on_refused(l);
	case WIRE_RELOADED:
		return on_reloaded(l);
	default:
		return -EBADMSG;        /* a verb of our own */
	}
}

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
		r = take_message(l);
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
		       const char *const *env)
{
	int r;

	wire_begin(&l->out, WIRE_START);
	r = wire_put_text(&l->out, WIRE_HANDLER, handler);
	if (r == 0)
		r = wire_put_int(&l->out, WIRE_EVENT, event);
	if (r == 0)
		r = wire_put_int(&l->out, WIRE_ATTEMPT, attempt);
	for (; r == 0 && *env; env++)
		r = wire_put_text(&l->out, WIRE_ENV, *env);
	return r;
}

int link_start(struct link *l, const char *handler, int64_t event, unsigned attempt,
	       const char *const *env, const void *body, size_t len)
{
	AUTO(fd) int fd = -1;
	int r;

	if (l->phase != PHASE_READY)
		return -ENOTCONN;
	if (l->first || l->full)
		return -EAGAIN;         /* in order: an ACK may have to come before */
	r = build_start(l, handler, event, attempt, env);
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
