/* conf_address.c - addresses as `listen`, `metrics-listen` and `trusted-proxies` write them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "conf_private.h"

static int bad_address(struct error *err)
{
	return error_set(err, EINVAL, "is not an address; write \"127.0.0.1:9080\", \"[::1]:9080\", \"[::]:9080\" or \"unix:/path\"");
}

static int port_parse(const char *text, in_port_t *ret)
{
	unsigned port = 0;

	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned)(*text - '0');
	}
	if (port > 65535)
		return -EINVAL;
	*ret = htons((in_port_t)port);
	return 0;
}

static int unix_parse(const char *path, struct sockaddr_storage *ret, socklen_t *ret_len,
		      struct error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (*path != '/')
		return error_set(err, EINVAL, "names no absolute path; write \"unix:/path\"");
	if (strlen(path) >= sizeof(un.sun_path))
		return error_set(err, EINVAL, "has a path longer than %zu bytes, which a UNIX socket cannot have",
				 sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, &un, sizeof(un));
	*ret_len = sizeof(un);
	return 0;
}

/* host: what stands before the port, without brackets; "" and "*" are every address. */
static int host_parse(const char *host, bool bracketed, in_port_t port,
		      struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = port };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = port };

	if (!bracketed && inet_pton(AF_INET, host, &in.sin_addr) == 1) {
		memset(ret, 0, sizeof(*ret));
		memcpy(ret, &in, sizeof(in));
		*ret_len = sizeof(in);
		return 0;
	}
	if (bracketed ? inet_pton(AF_INET6, host, &in6.sin6_addr) != 1 : strcmp(host, "*") != 0)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, &in6, sizeof(in6));
	*ret_len = sizeof(in6);
	return 0;
}

int conf_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		       struct error *err)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2] = "*";
	bool bracketed = *text == '[';
	size_t len = colon ? (size_t)(colon - text) : 0;
	in_port_t port;

	if (strncmp(text, "unix:", 5) == 0)
		return unix_parse(text + 5, ret, ret_len, err);
	if (port_parse(colon ? colon + 1 : text, &port) < 0)
		return bad_address(err);
	if (bracketed && (len < 2 || text[len - 1] != ']'))
		return bad_address(err);
	len -= bracketed ? 2 : 0;
	if (len >= sizeof(host) || (colon && !len))
		return bad_address(err);
	if (colon) {
		memcpy(host, text + bracketed, len);
		host[len] = '\0';
	}
	return host_parse(host, bracketed, port, ret, ret_len) < 0 ? bad_address(err) : 0;
}

bool conf_address_is_loopback(const struct sockaddr_storage *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->ss_family == AF_UNIX)
		return true;
	if (sa->ss_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->ss_family != AF_INET6)
		return false;
	memcpy(&in6, sa, sizeof(in6));
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && in6.sin6_addr.s6_addr[12] == 127);
}

int conf_text_address(const char *text, size_t index, struct error *err)
{
	struct sockaddr_storage sa;
	socklen_t len;

	(void)index;
	return conf_address_parse(text, &sa, &len, err);
}

/* ---- blocks ---- */

static int bad_block(struct error *err)
{
	return error_set(err, EINVAL, "is neither an address nor a block; write \"192.0.2.1\", \"10.0.0.0/8\" or \"2001:db8::/32\"");
}

int conf_block_parse(const char *text, struct in6_addr *ret_address, unsigned *ret_bits,
		     struct error *err)
{
	const char *slash = strchr(text, '/');
	struct in6_addr six = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN + 1];
	unsigned most, bits;
	in_port_t number = 0;

	if (len >= sizeof(host))
		return bad_block(err);
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &six.s6_addr[12]) == 1)
		most = 32;
	else if (inet_pton(AF_INET6, host, &six) == 1)
		most = 128;
	else
		return bad_block(err);
	bits = most;
	if (slash) {
		if (port_parse(slash + 1, &number) < 0 || ntohs(number) > most)
			return error_set(err, EINVAL, "has no good number of bits; behind the / stands 0 to %u", most);
		bits = ntohs(number);
	}
	for (unsigned i = 128 - most + bits; i < 128; i++)
		if (six.s6_addr[i / 8] & (0x80 >> (i % 8)))
			return error_set(err, EINVAL, "has bits set behind the first %u; write the block's first address", bits);
	*ret_address = six;
	*ret_bits = 128 - most + bits;
	return 0;
}

int conf_text_block(const char *text, size_t index, struct error *err)
{
	struct in6_addr address;
	unsigned bits;

	(void)index;
	return conf_block_parse(text, &address, &bits, err);
}
