/* early.c - requests that are refused before anybody looks at what they ask. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "private.h"

#define TARGET_MAX 8192         /* bytes of path and query: what is known fills half of it, escaped */
#define PARAMETERS_MAX 64       /* each may be given once, and there are fewer */

/* ---- the request line ---- */

static unsigned parameters(const char *target)
{
	const char *at = strchr(target, '?');
	unsigned n = 0;

	for (; at; at = strchr(at + 1, '&'))
		n++;
	return n;
}

/*
 * libmicrohttpd 0.9.75 keeps a record of each parameter in the connection's memory, before it
 * asks anybody. Once that is full it neither answers nor closes until something else happens
 * on the connection, or it has been idle for long enough. So we answer in its stead; the
 * client's going is what happens next.
 */
static void answer_line(const struct guest *g)
{
	static const char why[] = "{\"error\": \"the path with its query is too long, or has too many parameters\"}";
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 414 URI Too Long\r\nContent-Type: application/json\r\n"
			 "Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
			 sizeof(why) - 1, why);

	(void)send(g->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(g->fd, SHUT_WR);
}

void *early_line(void *cls, const char *target, struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct guest *g = info ? info->socket_context : NULL;

	(void)cls;
	if (g && (strlen(target) > TARGET_MAX || parameters(target) > PARAMETERS_MAX)) {
		g->refused = true;
		answer_line(g);
	}
	return NULL;            /* its request is made at the first call */
}

/* ---- where the body ends ---- */

struct framing {
	unsigned lengths, encodings;
	bool strange;           /* an encoding whose end nobody knows */
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = cls;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
		f->lengths++;
	} else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
		f->encodings++;
		f->strange |= !value || strcasecmp(value, "chunked") != 0;
	}
	return MHD_YES;
}

const char *early_framing(struct MHD_Connection *conn)
{
	struct framing f = { 0 };

	(void)MHD_get_connection_values(conn, MHD_HEADER_KIND, on_header, &f);
	if (f.lengths > 1)
		return "more than one Content-Length";
	if (f.lengths && f.encodings)
		return "both Content-Length and Transfer-Encoding";
	if (f.encodings > 1 || f.strange)
		return "a Transfer-Encoding other than one \"chunked\"";
	return NULL;
}
