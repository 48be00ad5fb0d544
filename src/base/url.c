/* url.c - http and https URLs taken apart. */
#include "base/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define PORT_HTTPS 443U
#define PORT_HTTP 80U
#define HOST_MAX 253    /* characters of a name (RFC 1035) */

static const char *after_scheme(const char *text, bool *ret_secure)
{
	*ret_secure = strncasecmp(text, "https://", 8) == 0;
	if (*ret_secure)
		return text + 8;
	return strncasecmp(text, "http://", 7) == 0 ? text + 7 : NULL;
}

/* Visible ASCII, and nothing that some reader of URLs takes for something else. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("\\\"<>#", *text))
			return false;
	return true;
}

/* At a host: its end, or NULL. */
static const char *take_host(const char *at, struct url *u)
{
	const char *close = *at == '[' ? strchr(at, ']') : NULL;
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];

	if (*at == '[') {
		u->host = at + 1;
		u->host_len = close ? (size_t)(close - u->host) : 0;
		if (!u->host_len || u->host_len >= sizeof(text))
			return NULL;
		memcpy(text, u->host, u->host_len);
		text[u->host_len] = '\0';
		return inet_pton(AF_INET6, text, &address) == 1 ? close + 1 : NULL;
	}
	u->host = at;
	u->host_len = strspn(at, LETTERS DIGITS "-._");
	return u->host_len && u->host_len <= HOST_MAX ? at + u->host_len : NULL;
}

/* At what follows the host: its end, or NULL. */
static const char *take_port(const char *at, struct url *u)
{
	size_t digits;

	u->port = u->secure ? PORT_HTTPS : PORT_HTTP;
	if (*at != ':')
		return at;
	digits = strspn(++at, DIGITS);
	if (!digits || digits > 5)
		return NULL;
	u->port = 0;
	while (digits--)
		u->port = u->port * 10 + (unsigned)(*at++ - '0');
	return u->port && u->port <= 65535 ? at : NULL;
}

int url_parse(const char *text, struct url *ret)
{
	struct url u = { .host = NULL };
	const char *at = after_scheme(text, &u.secure);

	if (!at || !is_plain(text))
		return -EINVAL;
	at = take_host(at, &u);
	at = at ? take_port(at, &u) : NULL;
	if (!at || (*at && *at != '/' && *at != '?'))
		return -EINVAL;
	u.path = at;
	*ret = u;
	return 0;
}

bool url_is_loopback(const struct url *u)
{
	char host[HOST_MAX + 1];
	struct in6_addr six;
	struct in_addr four;

	memcpy(host, u->host, u->host_len);
	host[u->host_len] = '\0';
	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool url_is_private(const struct url *u)
{
	return u->secure || url_is_loopback(u);
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->secure == b->secure && a->port == b->port && a->host_len == b->host_len &&
	       strncasecmp(a->host, b->host, a->host_len) == 0;
}

int url_put_origin(struct buf *b, const struct url *u)
{
	bool six = memchr(u->host, ':', u->host_len) != NULL;
	int r = buf_printf(b, "%s://%s%.*s%s", u->secure ? "https" : "http", six ? "[" : "", (int)u->host_len,
			   u->host, six ? "]" : "");

	if (r < 0 || u->port == (u->secure ? PORT_HTTPS : PORT_HTTP))
		return r;
	return buf_printf(b, ":%u", u->port);
}

int url_put_escaped(struct buf *b, const char *text)
{
	int r = buf_append(b, "", 0);

	for (; r == 0 && *text; text++) {
		if (strchr(LETTERS DIGITS "-._~", *text))
			r = buf_append(b, text, 1);
		else
			r = buf_printf(b, "%%%02X", (unsigned)(unsigned char)*text);
	}
	return r;
}
