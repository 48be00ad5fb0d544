/*
 * endpoint.c - a request's life.
 *
 *   endpoint_begin()  its first line is there: the request is made
 *   endpoint_call()   1st call, the header is whole: who calls, which webhook; what is to be
 *                     refused is decided here, but answered now only if nothing more may
 *                     be read (else the body is read and forgotten, so that the answer is
 *                     not lost in a connection reset under a client that still sends)
 *   endpoint_call()   body calls: append up to max-body; beyond, the connection is cut
 *   endpoint_call()   the body is whole: judge() decides; what is to be stored goes to the
 *                     journal and the connection is suspended
 *   (journal thread)  the event is durable or it is not: the connection is resumed
 *   endpoint_call()   once more: the answer
 *   endpoint_end()    always, whatever happened: the request is released
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define FORGET_MAX (4UL * 1024 * 1024)  /* a refused body up to this is read and forgotten */

static struct conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void *endpoint_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct listener *l = cls;
	struct conn *conn = conn_of(connection);
	struct request *q = conn ? calloc(1, sizeof(*q)) : NULL;
	const char *query = strchr(uri, '?');

	if (!q)
		return NULL;
	if (query)
		q->query = strdup(query + 1);
	if (query && !q->query) {
		free(q);
		return NULL;
	}
	q->in = l->in;
	q->connection = connection;
	q->conn = conn;
	atomic_fetch_add(&l->in->in_flight, 1);
	conn_enter(conn, CONN_READING);
	conn_begin(conn, q);
	return q;
}

static void request_free(struct request *q)
{
	if (q->counted)
		clients_leave(q->in->clients, q->client);
	if (q->suspended)
		atomic_fetch_sub(&q->in->suspended, 1);
	buf_free(&q->body);
	buf_free(&q->headers);
	capture_release(q);
	draft_release(&q->draft);
	free(q->query);
	(void)view_unref(q->view);
	atomic_fetch_sub(&q->in->in_flight, 1);
	free(q);
}

void endpoint_end(void *cls, struct MHD_Connection *connection, void **context,
		  enum MHD_RequestTerminationCode how)
{
	struct request *q = *context;

	(void)cls;
	(void)connection;
	if (!q)
		return;
	conn_begin(q->conn, NULL);
	/* The client went away before it could be told: the verdict stands all the same. */
	if (q->verdict != VERDICT_NONE && q->tally)
		report(q);
	capture_end(q);
	if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		conn_enter(q->conn, CONN_IDLE);
	request_free(q);
	*context = NULL;
}

/* ---- the header is whole ---- */

static void find_client(struct request *q, const struct heads *h)
{
	const struct conf *c = q->view->conf;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(q->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *peer = info ? info->client_addr : NULL;
	bool local = !peer || q->conn->listener->address.sa.ss_family == AF_UNIX;
	bool exempt;

	if (q->probe[0])
		q->believed = proxies_believe(q->view->proxies, peer, local ? 0 : sizeof(struct sockaddr_storage));
	(void)proxies_client(q->view->proxies, peer, local ? 0 : sizeof(struct sockaddr_storage),
			     h->forwarded.len ? h->forwarded.data : NULL, q->client, &exempt);
	if (exempt)
		return;
	q->counted = clients_enter(q->in->clients, q->client, c->max_per_client);
	if (!q->counted) {
		atomic_fetch_add(&q->in->limited, 1);
		q->verdict = VERDICT_BUSY;
		q->detail = "max-per-client requests of this client are in flight";
	}
}

static bool is_allowed(enum hook_path path, const char *method)
{
	static const char *const notice[] = { "POST", "PUT", "GET" };
	size_t count = path == HOOK_DEACTIVATION ? ARRAY_LEN(notice) : 1;

	for (size_t i = 0; i < count; i++)
		if (strcmp(method, notice[i]) == 0)
			return true;
	return false;
}

/* In the order of what is the most telling. */
static enum verdict refuse(struct request *q, const struct heads *h, const char *method)
{
	const struct conf *c = q->view->conf;

	if (q->path == HOOK_NONE) {
		q->detail = "no webhook has this path";
		return VERDICT_PATH;
	}
	if (!is_allowed(q->path, method)) {
		q->detail = "another method than this path takes";
		return VERDICT_METHOD;
	}
	if (h->has_length && h->length > c->max_body) {
		q->detail = "the body is larger than max-body";
		return VERDICT_LARGE;
	}
	if (q->path == HOOK_CALLOUT && !(h->type && heads_is_json(h->type))) {
		q->detail = "not JSON; if it is a form: Extension Callouts are no webhooks";
		return VERDICT_TYPE;
	}
	return VERDICT_NONE;
}

/* Whoever may not go on reading must close: what follows could be anything. */
static void look(struct request *q, const struct heads *h, const char *url, const char *method)
{
	q->path = site_find(q->view->site, url, &q->hook);
	q->tally = q->path == HOOK_NONE ? q->view->nowhere : q->view->tallies[q->hook->index];
	q->signatures = h->signatures;
	q->signature = h->signature;
	q->forwarded = h->forwarded.len > 0;
	if (h->probe && probes_know(&q->in->probes, h->probe))
		(void)snprintf(q->probe, sizeof(q->probe), "%s", h->probe);
	q->body.max = q->view->conf->max_body;
	if (h->ambiguous) {
		q->verdict = VERDICT_AMBIGUOUS;
		q->detail = h->ambiguous;
		q->close = true;
	} else if (h->bytes > q->view->conf->max_header) {
		q->verdict = VERDICT_HEADER;
		q->detail = "the header is larger than max-header";
		q->close = true;
	} else {
		find_client(q, h);
		if (q->verdict == VERDICT_NONE)
			q->verdict = refuse(q, h, method);
	}
	if (q->verdict != VERDICT_NONE && (h->expects || h->length > FORGET_MAX))
		q->close = true;
	q->last = strcmp(method, "GET") != 0;
}

static enum MHD_Result first_call(struct request *q, const char *url, const char *method, const char *version)
{
	struct heads h;
	int r;

	conn_begin(q->conn, NULL);
	q->view = intake_view(q->in);
	r = heads_read(q->connection, &h);
	look(q, &h, url, method);
	buf_free(&h.forwarded);
	capture_begin(q, method, version);
	if (r < 0) {
		q->verdict = VERDICT_UNAVAILABLE;
		q->result = r;
		q->close = true;
	}
	return q->close ? report_answer(q) : MHD_YES;
}

/* ---- the body, and its end ---- */

static enum MHD_Result body_call(struct request *q, const char *data, size_t *data_len)
{
	size_t len = *data_len;
	int r = 0;

	*data_len = 0;
	if (q->verdict != VERDICT_NONE) {
		q->forgotten += len;
		capture_body(q, data, len);
		return q->forgotten <= FORGET_MAX ? MHD_YES : MHD_NO;
	}
	r = buf_append(&q->body, data, len);
	if (r == 0)
		return MHD_YES;
	/* libmicrohttpd takes no answer in the middle of a body. */
	q->verdict = r == -ENOBUFS ? VERDICT_LARGE : VERDICT_UNAVAILABLE;
	q->result = r;
	q->detail = "the body is larger than max-body and was cut off";
	return MHD_NO;
}

static enum MHD_Result last_call(struct request *q, const char *method)
{
	if (q->suspended) {
		atomic_fetch_sub(&q->in->suspended, 1);
		q->suspended = false;
		return report_answer(q);
	}
	if (q->verdict == VERDICT_NONE) {
		conn_enter(q->conn, CONN_WORKING);
		q->verdict = judge(q, method);
		if (q->verdict == VERDICT_NONE && record_submit(q))
			return MHD_YES;
	}
	return report_answer(q);
}

static enum MHD_Result dispatch(struct request *q, const char *url, const char *method, const char *version,
				const char *data, size_t *data_len)
{
	if (!q->view)
		return first_call(q, url, method, version);
	if (*data_len)
		return body_call(q, data, data_len);
	return last_call(q, method);
}

enum MHD_Result endpoint_call(void *cls, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *data_len, void **context)
{
	struct request *q = *context;
	struct conn *conn;
	enum MHD_Result result;

	(void)cls;
	(void)connection;
	if (!q)
		return MHD_NO;
	conn = q->conn;
	atomic_store_explicit(&conn->handler_since_ms, clock_mono_ms(), memory_order_relaxed);
	result = dispatch(q, url, method, version, data, data_len);
	atomic_store_explicit(&conn->handler_since_ms, 0, memory_order_relaxed);
	return result;
}
