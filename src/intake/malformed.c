/*
 * malformed.c - answers where libmicrohttpd's own would be wrong.
 *
 * libmicrohttpd 0.9.75 refuses a Content-Length that is no number, and HTTP/1.1 without Host,
 * before it asks anybody, and sends the head of its answer twice: whoever reads it takes the
 * second for a second answer. It says so in its log first, on the connection's own
 * thread; that is the only place where one can answer in its stead. The log does not say
 * which connection it is about: it is one of this thread's whose header is not whole. If that
 * could be several, its own answer goes out: ugly, but the connection ends all the same.
 */
#include <string.h>

#include "private.h"

static const char answer[] =
	"HTTP/1.1 400 Bad Request\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Connection: close\r\n"
	"Content-Length: 25\r\n"
	"\r\n"
	"the request is ambiguous\n";

static const char *reason(const char *text)
{
	if (!strstr(text, "Error processing request"))
		return NULL;
	if (strstr(text, "Content-Length"))
		return "Content-Length is not a number";
	return strstr(text, "Host:&quot; header required") ? "no Host" : NULL;
}

void malformed_noticed(struct listener *l, const char *text)
{
	const char *why = reason(text);
	struct conn *conn = why ? conns_sole_beginning(&l->in->conns) : NULL;
	struct request *q;

	if (!conn)
		return;
	if (conn->session)
		tls_last_words(conn->session, answer);
	else
		(void)send(conn->fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(conn->fd, SHUT_WR);
	/* Counted and logged when libmicrohttpd, which can write nothing any more, ends the request. */
	q = conn->beginning;
	q->view = intake_view(l->in);
	q->tally = q->view->nowhere;
	q->verdict = VERDICT_AMBIGUOUS;
	q->detail = why;
}
