/* listener.c - listening sockets, and for each the libmicrohttpd daemon that serves who comes in. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define SOCKET_MODE 0666        /* who may come is for the directory, and for the signature */
#define MHD_CONNECTIONS (1U << 20)      /* no limit: ours counts over all listeners */
#define WAITING_MAX 4096        /* who is let in from a socket of ours that closes, at most */

const char *listener_text(const struct listener *l, char *dst, size_t cap)
{
	char address[ADDRESS_TEXT_LEN];

	(void)snprintf(dst, cap, "%s (%s%s%s)", address_text(&l->address, address), l->secure ? "https" : "http",
		       *l->name ? ", from systemd: " : "", l->name);
	return dst;
}

/* ---- sockets ---- */

static int take(struct intake *in, int fd, const struct address *a, const char *name, bool passed)
{
	struct listener *l = &in->listeners[in->listener_count++];

	l->in = in;
	l->fd = fd;
	l->address = *a;
	l->passed = passed;
	/* A UNIX socket leads to a proxy on this machine: it has done TLS already. */
	l->secure = in->tls && a->sa.ss_family != AF_UNIX;
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	return 0;
}

static int adopt(struct intake *in, const struct intake_socket *s, struct error *err)
{
	struct address a = { .len = sizeof(a.sa) };
	int listening = 0, type = 0;
	socklen_t len = sizeof(listening);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
	    getsockopt(s->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return error_set(err, EINVAL, "the socket \"%s\" that systemd passes is no listening stream socket: "
				 "use ListenStream= and Accept=no", s->name);
	if (getsockname(s->fd, (struct sockaddr *)&a.sa, &a.len) < 0 ||
	    fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK) < 0 ||
	    fcntl(s->fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, errno, "cannot use the socket \"%s\" that systemd passes: %s", s->name,
				 strerror(errno));
	return take(in, s->fd, &a, s->name, true);
}

static int open_own(struct intake *in, const char *text, struct error *err)
{
	struct address a;
	int r = address_parse(text, &a, err);

	if (r < 0)
		return r;
	r = address_listen(&a, SOCKET_MODE, err);
	if (r < 0)
		return r;
	return take(in, r, &a, "", false);
}

/* What would be plain HTTP for anybody to read on the way. */
static int check_plain(const char *what, const struct address *a, const struct conf *c, struct error *err)
{
	if (c->tls_certificate || c->allow_plain_http || address_is_loopback(a))
		return 0;
	return error_set(err, EPERM, "%s would be plain HTTP on an address that is not loopback: webhook paths, which are "
			 "half a secret, and customers' data would cross the network in clear. Set tls-certificate "
			 "and tls-key, or listen on loopback behind a proxy, or set allow-plain-http = true", what);
}

int listeners_check_plain(const struct intake *in, const struct conf *c, struct error *err)
{
	char text[ADDRESS_TEXT_LEN + 96];

	for (size_t i = 0; i < in->listener_count; i++) {
		const struct listener *l = &in->listeners[i];
		int r = l->secure ? 0 : check_plain(listener_text(l, text, sizeof(text)), &l->address, c, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int listeners_open(struct intake *in, const struct intake_options *o, struct error *err)
{
	const struct conf *c = site_conf(o->site);
	size_t count = o->socket_count ? o->socket_count : c->listen.count;
	int r;

	in->adopted = o->socket_count > 0;
	if (count > LISTENERS_MAX)
		return error_set(err, E2BIG, "at most %d addresses can be listened on", LISTENERS_MAX);
	if (!count)
		return error_set(err, EINVAL, "there is nothing to listen on: listen is empty");
	for (size_t i = 0; i < count; i++) {
		r = in->adopted ? adopt(in, &o->sockets[i], err) : open_own(in, c->listen.items[i], err);
		if (r < 0)
			return r;
	}
	return listeners_check_plain(in, c, err);
}

/* ---- who comes in ---- */

/* On the door's thread. Nobody is turned away: there is room in a moment, and in the socket one can wait. */
static bool has_room(void *arg)
{
	return conns_room(&((struct listener *)arg)->in->conns);
}

/* libmicrohttpd closes what it does not take. */
static void enter(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct listener *l = arg;

	conns_arriving(&l->in->conns);
	if (MHD_add_connection(l->daemon, fd, peer, len) != MHD_YES)
		conns_lost(&l->in->conns);
}

struct door_socket listener_door(struct listener *l)
{
	return (struct door_socket){ .fd = l->fd, .arg = l, .room = has_room, .enter = enter };
}

/* ---- libmicrohttpd's callbacks ---- */

static void connection_started(struct listener *l, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int fd = info ? info->connect_fd : -1;
	void *session = NULL;

	if (l->secure) {
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
		session = info ? info->tls_session : NULL;
		if (session)
			tls_attach(l->in->tls, session);
	}
	*context = conns_add(&l->in->conns, fd, l, session);
	if (!*context)
		(void)shutdown(fd, SHUT_RDWR);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		connection_started(cls, connection, context);
	} else if (*context) {
		conns_remove(*context);
		*context = NULL;
	}
}

/* Paths are compared as they came: "%61" is not "a". */
static size_t on_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls;
	(void)connection;
	return strlen(text);
}

static void on_log(void *cls, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *fmt, va_list args)
{
	char text[256];

	(void)vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug(NULL, "libmicrohttpd: %s", text);
	malformed_noticed(cls, text);
}

/* ---- its life ---- */

int listener_start(struct listener *l, struct error *err)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG |
			 MHD_USE_NO_LISTEN_SOCKET;
	unsigned threads = l->in->listener_count > 4 ? 1 : 2;
	char text[ADDRESS_TEXT_LEN + 96];
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_log, l },
		{ MHD_OPTION_CONNECTION_LIMIT, MHD_CONNECTIONS, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)l->in->pool_bytes, NULL },
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, l },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)endpoint_end, l },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)endpoint_begin, l },
		{ MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)on_unescape, l },
		{ threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, l->secure ? tls_callback(l->in->tls) : NULL },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (!l->secure)
		tls[0].option = MHD_OPTION_END;
	else
		flags |= MHD_USE_TLS;
	l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, endpoint_call, l, MHD_OPTION_ARRAY, options,
				     MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!l->daemon)
		return error_set(err, EIO, "cannot start answering on %s", listener_text(l, text, sizeof(text)));
	return 0;
}

void listener_stop(struct listener *l)
{
	if (l->daemon)
		MHD_stop_daemon(l->daemon);
	l->daemon = NULL;
}

void listener_close(struct listener *l)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&l->address.sa;
	struct door_socket waiting = listener_door(l);

	if (l->fd < 0)
		return;
	if (!l->passed && l->address.sa.ss_family == AF_UNIX)
		(void)unlink(un->sun_path);
	/* Who waits in a socket of ours would be reset with it; in one that was passed the next daemon finds them. */
	if (!l->passed && l->daemon)
		door_let_in(&waiting, WAITING_MAX);
	(void)close(TAKE_FD(l->fd));
}

/* A heartbeat would wake the door for nothing. But a door that turns takes who waits at once. */
bool listener_stuck(struct listener *l, int64_t now_ms, int64_t limit_ms)
{
	struct pollfd waits = { .fd = l->fd, .events = POLLIN };
	uint64_t accepts = atomic_load(&l->in->conns.accepts);
	bool same = accepts == l->accepts_seen;

	l->accepts_seen = accepts;
	if (l->fd < 0 || poll(&waits, 1, 0) <= 0 || !same) {
		l->waiting_since_ms = 0;
		return false;
	}
	if (!l->waiting_since_ms)
		l->waiting_since_ms = now_ms;
	return now_ms - l->waiting_since_ms > limit_ms;
}
