/*
 * http.c - one request's life, and the sockets it comes in by.
 *
 *   on_request()  1st call: find the route, read the query, refuse what can be refused early
 *   on_request()  body calls: append, up to the route's limit
 *   on_request()  last call: route->answer() sets an answer, or puts the request to sleep;
 *                 then libmicrohttpd calls once more when it was woken
 *   on_over()     always: release the request, whatever happened
 *
 * A client that stalls is closed after 30 s without a byte. One that drips bytes is not idle:
 * when three quarters of the places are taken, the oldest connection that does not sleep goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "private.h"

#define FORGET_MAX (4UL * 1024 * 1024)  /* bytes of a refused body that are read and forgotten */
#define CROWDED (CONNECTIONS_MAX * 3 / 4)
#define TYPE_JSON "application/json"

/* ---- answers ---- */

void answer_release(struct answer *a)
{
	free(a->data);
	if (a->file)
		(void)close(a->fd);
	*a = (struct answer){ .status = 0 };
}

void answer_bytes(struct answer *a, const char *type, char *data, size_t len)
{
	answer_release(a);
	*a = (struct answer){ .status = MHD_HTTP_OK, .type = type, .data = data, .len = len };
}

void answer_file(struct answer *a, const char *type, int fd, size_t len)
{
	answer_release(a);
	*a = (struct answer){ .status = MHD_HTTP_OK, .type = type, .file = true, .fd = fd, .len = len };
}

void answer_error(struct answer *a, unsigned status, const char *fmt, ...)
{
	AUTO(writer) struct writer w = WRITER_INIT(16 * sizeof(struct error));
	struct error e;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(e.text, sizeof(e.text), fmt, args);
	va_end(args);
	writer_object(&w, NULL);
	writer_text(&w, "error", e.text);
	writer_end(&w);
	answer_release(a);
	a->status = status;
	a->type = TYPE_JSON;
	(void)writer_take(&w, &a->data, &a->len);       /* without memory: the status alone */
}

static void answer_too_long(struct answer *a)
{
	answer_error(a, MHD_HTTP_BAD_REQUEST,
		     "the answer would be longer than %d MiB: narrow the question",
		     ANSWER_MAX >> 20);
}

void answer_no_memory(struct answer *a)
{
	answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory: try again");
}

void answer_json(struct answer *a, struct writer *w)
{
	char *text = NULL;
	size_t len = 0;
	int r = writer_take(w, &text, &len);

	if (r == 0)
		answer_bytes(a, TYPE_JSON, text, len);
	else if (r == -ENOBUFS)
		answer_too_long(a);
	else
		answer_no_memory(a);
}

const char *unstored_why(struct journal *j, int result, struct journal_status *room)
{
	journal_status(j, room);
	return room->sentence[0] ? room->sentence : strerror(-result);
}

void request_failed(struct request *q, int result)
{
	struct journal_status store;

	switch (result) {
	case -ETIME:
		answer_error(&q->answer, MHD_HTTP_GATEWAY_TIMEOUT,
			     "it took longer than a second: narrow the question");
		return;
	case -ETIMEDOUT:
		answer_error(&q->answer, MHD_HTTP_SERVICE_UNAVAILABLE,
			     "calloutd is busy or stopping: try again");
		return;
	case -ENOBUFS:
		answer_too_long(&q->answer);
		return;
	case -ENOMEM:
		answer_no_memory(&q->answer);
		return;
	default:
		break;
	}
	answer_error(&q->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is not available: %s",
		     unstored_why(q->admin->journal, result, &store));
}

/* What it holds is the response's from then on. */
static struct MHD_Response *response_of(struct answer *a)
{
	struct MHD_Response *response = a->file ? MHD_create_response_from_fd64(a->len, a->fd)
						: MHD_create_response_from_buffer(a->len, a->data, MHD_RESPMEM_MUST_FREE);

	if (!response)
		return NULL;
	a->data = NULL;
	a->file = false;
	return response;
}

static enum MHD_Result send_answer(struct request *q)
{
	struct answer *a = &q->answer;
	struct MHD_Response *response = response_of(a);
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	if (a->type)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (a->allow[0])
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, a->allow);
	if (a->close || atomic_load(&q->admin->stopping))
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	r = MHD_queue_response(q->conn, a->status, response);
	MHD_destroy_response(response);
	return r;
}

/* ---- the first call ---- */

static int64_t peer_uid(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -1;
	return (int64_t)peer.uid;
}

static enum MHD_Result on_parameter(void *cls, enum MHD_ValueKind kind, const char *key,
				    size_t key_len, const char *value, size_t len)
{
	struct request *q = cls;
	struct error err = { "" };

	(void)kind;
	if (strlen(key) != key_len || (value && strlen(value) != len)) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "the query holds a NUL");
		return MHD_NO;
	}
	if (question_parameter(&q->question, q->match.route->query, key, value ? value : "", len,
			       &err) < 0) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "%s", err.text);
		return MHD_NO;
	}
	return MHD_YES;
}

static size_t content_length(struct MHD_Connection *conn)
{
	const char *text = MHD_lookup_connection_value(conn, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text ? strtoull(text, NULL, 10) : 0;
}

/*
 * Who still sends a body when the connection is closed loses the answer in the reset. So a refused one is
 * read and forgotten first, up to a bound, unless its end is in doubt or the client waits for leave to send it.
 */
static bool is_to_be_forgotten(struct request *q)
{
	size_t len = content_length(q->conn);

	return len > 0 && len <= FORGET_MAX && !q->answer.close &&
	       !MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
}

static void too_long(struct request *q)
{
	answer_error(&q->answer, MHD_HTTP_CONTENT_TOO_LARGE, "the body is longer than %zu bytes",
		     q->body.max);
}

static int limit_body(struct request *q)
{
	int r;

	if (q->match.route->body == BODY_REPORT)
		q->body.max = FINDINGS_BODY_MAX;
	if (q->match.route->body != BODY_CALLOUT)
		return 0;
	r = admin_site(q->admin, &q->site);
	if (r == 0)
		q->body.max = site_conf(q->site)->max_body;
	return r;
}

/* Everything that can be decided before the body is here. */
static void look_at(struct request *q, const char *url, const char *method)
{
	int r = route_find(routes, route_count, q->face->metrics, method, url, &q->match);
	const char *ambiguous = early_framing(q->conn);

	if (ambiguous) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "the request is ambiguous: %s", ambiguous);
		q->answer.close = true;
		return;
	}
	if (atomic_load(&q->admin->stopping)) {
		request_failed(q, -ETIMEDOUT);
		return;
	}
	if (r == -ENOENT) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND,
			     "no such path: see docs/admin-api.md for those there are");
		return;
	}
	if (r < 0) {
		answer_error(&q->answer, MHD_HTTP_METHOD_NOT_ALLOWED, "this path answers to %s",
			     q->match.allow);
		memcpy(q->answer.allow, q->match.allow, sizeof(q->answer.allow));
		return;
	}
	(void)MHD_get_connection_values_n(q->conn, MHD_GET_ARGUMENT_KIND, on_parameter, q);
	if (q->answer.status)
		return;
	r = limit_body(q);
	if (r < 0)
		request_failed(q, r);
	else if (content_length(q->conn) > q->body.max)
		too_long(q);
}

static struct request *request_new(struct face *f, struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct request *q = calloc(1, sizeof(*q));

	if (!q || !info || !info->socket_context || ((struct guest *)info->socket_context)->refused) {
		free(q);
		return NULL;
	}
	q->face = f;
	q->admin = f->admin;
	q->conn = conn;
	q->guest = info->socket_context;
	q->uid = f->metrics ? -1 : peer_uid(conn);
	q->body = (struct buf)BUF_INIT(QUESTION_MAX);
	return q;
}

/* ---- the other calls ---- */

/* The whole request is here. */
static void begin(struct request *q)
{
	const struct route *route = q->match.route;
	struct error err = { "" };

	q->begun = true;
	(void)pthread_mutex_lock(&q->admin->mutex);
	q->admin->answering++;
	(void)pthread_mutex_unlock(&q->admin->mutex);
	if (route->body == BODY_QUESTION && question_body(&q->question, route->members, q->body.data,
					     q->body.len, &err) < 0) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "%s", err.text);
		return;
	}
	route->answer(q);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **con_cls)
{
	struct request *q = *con_cls;

	(void)version;
	if (!q) {
		q = *con_cls = request_new(cls, conn);
		if (!q)
			return MHD_NO;
		look_at(q, url, method);
		return q->answer.status && !is_to_be_forgotten(q) ? send_answer(q) : MHD_YES;
	}
	if (*data_len) {
		/* Now no answer can be sent: of an over-long one without a length the connection goes. */
		if (!q->answer.status && buf_append(&q->body, data, *data_len) < 0)
			return MHD_NO;
		*data_len = 0;
		return MHD_YES;
	}
	if (!q->begun && !q->answer.status)
		begin(q);
	if (q->later && !later_take(q))
		return MHD_YES;         /* asleep */
	return q->answer.status ? send_answer(q) : MHD_NO;
}

static void on_over(void *cls, struct MHD_Connection *conn, void **con_cls,
		    enum MHD_RequestTerminationCode code)
{
	struct request *q = *con_cls;
	struct admin *a;

	(void)cls;
	(void)conn;
	(void)code;
	if (!q)
		return;
	a = q->admin;
	later_leave(q);
	if (q->begun) {
		(void)pthread_mutex_lock(&a->mutex);
		a->answering--;
		(void)pthread_cond_broadcast(&a->over);
		(void)pthread_mutex_unlock(&a->mutex);
	}
	answer_release(&q->answer);
	buf_free(&q->body);
	(void)site_unref(q->site);
	free(q);
	*con_cls = NULL;
}

/* ---- connections ---- */

/* The oldest goes; those shown out already are over as soon as libmicrohttpd gets round to them. */
static void make_room(struct face *f)
{
	struct guest *oldest = NULL;
	unsigned staying = 0;

	for (struct guest *g = f->guests; g; g = g->next) {
		staying += !g->leaving;
		if (!g->asleep && !g->leaving)
			oldest = g;
	}
	if (!oldest || staying < CROWDED)
		return;
	oldest->leaving = true;
	(void)shutdown(oldest->fd, SHUT_RDWR);
}

static void welcome(struct face *f, struct MHD_Connection *conn, void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct guest *g = calloc(1, sizeof(*g));

	if (!g || !info) {
		free(g);
		return;         /* its requests are refused: request_new() */
	}
	make_room(f);
	g->fd = info->connect_fd;
	g->next = f->guests;
	f->guests = g;
	*socket_context = g;
}

static void farewell(struct face *f, struct guest *g)
{
	struct guest **at = &f->guests;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	free(g);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct face *f = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		welcome(f, conn, socket_context);
		return;
	}
	if (*socket_context)
		farewell(f, *socket_context);
	atomic_fetch_sub(&f->inside, 1);
}

/* On the door's thread. */
static bool has_room(void *arg)
{
	struct face *f = arg;

	return atomic_load(&f->inside) < CONNECTIONS_MAX;
}

/* Likewise; libmicrohttpd closes what it does not take. */
static void enter(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct face *f = arg;

	atomic_fetch_add(&f->inside, 1);
	if (MHD_add_connection(f->mhd, fd, peer, len) != MHD_YES)
		atomic_fetch_sub(&f->inside, 1);
}

static void on_library_log(void *cls, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));
static void on_library_log(void *cls, const char *fmt, va_list args)
{
	char text[256];

	(void)cls;
	(void)vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug(NULL, "admin: libmicrohttpd: %s", text);
}

static int open_door(struct face *f)
{
	const struct door_socket s = { .fd = f->fd, .arg = f, .room = has_room, .enter = enter };
	int flags = fcntl(f->fd, F_GETFL);

	/* A client that is gone before accept() must not make us wait for the next one. */
	if (flags < 0 || fcntl(f->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return door_open(&s, 1, &f->door);
}

int face_start(struct face *f, struct admin *a, int fd, bool metrics)
{
	int r;

	f->admin = a;
	f->metrics = metrics;
	atomic_init(&f->inside, 0);
	errno = 0;
	f->mhd = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
				  MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG,
				  0, NULL, NULL, on_request, f,
				  MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
				  /* Ours is the door's; beyond it are those just over. */
				  MHD_OPTION_CONNECTION_LIMIT, 2U * CONNECTIONS_MAX,
				  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
				  MHD_OPTION_STRICT_FOR_CLIENT, 1,
				  MHD_OPTION_URI_LOG_CALLBACK, early_line, NULL,
				  MHD_OPTION_NOTIFY_COMPLETED, on_over, NULL,
				  MHD_OPTION_NOTIFY_CONNECTION, on_connection, f,
				  MHD_OPTION_END);
	if (!f->mhd)
		return errno ? -errno : -EIO;
	f->fd = fd;
	r = open_door(f);
	if (r < 0) {
		f->fd = -1;     /* still the caller's */
		face_stop(f);
	}
	return r;
}

void face_shut(struct face *f)
{
	f->door = door_close(f->door);
	if (f->fd >= 0)
		(void)close(TAKE_FD(f->fd));
}

void face_stop(struct face *f)
{
	face_shut(f);
	if (f->mhd)
		MHD_stop_daemon(f->mhd);
	f->mhd = NULL;
}
