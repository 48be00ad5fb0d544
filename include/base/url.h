/*
 * url.h - http and https URLs taken apart, as strictly as credentials deserve that are sent to them.
 *
 * Pure: no allocation but in buffers given. Any thread.
 */
#ifndef CALLOUTD_BASE_URL_H
#define CALLOUTD_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Spans of the text that was parsed. */
struct url {
	bool secure;            /* https */
	const char *host;       /* a name, an IPv4 address, or an IPv6 address without its brackets */
	size_t host_len;
	unsigned port;          /* the scheme's own unless written */
	const char *path;       /* the rest of the text, with its query; begins with '/' or '?', or is "" */
};

/*
 * 0, or -EINVAL: another scheme, no host, a user name, a bad port, a fragment, or blanks, control
 * characters, backslashes or bytes that are not ASCII anywhere.
 */
int url_parse(const char *text, struct url *ret);

/* "localhost", 127.0.0.0/8 or ::1, as written: no name is looked up. */
bool url_is_loopback(const struct url *u);

/* https, or http to a loopback address: what may carry credentials. */
bool url_is_private(const struct url *u);

/* The same scheme, host and port. */
bool url_same_origin(const struct url *a, const struct url *b);

/* "https://host:port", the port only if it is not the scheme's own. As buf_append(). */
int url_put_origin(struct buf *b, const struct url *u);

/* Append text as a part of a query: all but unreserved characters (RFC 3986) as %XX. As buf_append(). */
int url_put_escaped(struct buf *b, const char *text);

#endif
