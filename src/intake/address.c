/* address.c - what to listen on, and who is calling. */
#include "intake/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"

#define GRAMMAR "write \"127.0.0.1:9080\", \"[::1]:9080\", \"[::]:9080\" or \"unix:/path\""

static const struct sockaddr *generic(const struct address *a)
{
	return (const struct sockaddr *)&a->sa;
}

static const struct sockaddr_in *inet4(const struct sockaddr *sa)
{
	return (const struct sockaddr_in *)(const void *)sa;
}

static const struct sockaddr_in6 *inet6(const struct sockaddr *sa)
{
	return (const struct sockaddr_in6 *)(const void *)sa;
}

static const struct sockaddr_un *local(const struct address *a)
{
	return (const struct sockaddr_un *)(const void *)&a->sa;
}

/* ---- reading ---- */

static int parse_local(const char *text, struct address *ret, struct error *err)
{
	const char *path = text + strlen("unix:");
	struct address a = { .len = sizeof(struct sockaddr_un) };
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a.sa;

	if (path[0] != '/')
		return error_set(err, EINVAL, "'%s': the path of a UNIX socket must be absolute: " GRAMMAR,
				 text);
	if (strlen(path) >= sizeof(un->sun_path))
		return error_set(err, EINVAL, "'%s': the path of a UNIX socket has at most %zu characters",
				 text, sizeof(un->sun_path) - 1);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	*ret = a;
	return 0;
}

/* "HOST:PORT" or "PORT" into its parts; brackets are taken off. False: has another shape. */
static bool split(const char *text, char *host, size_t cap, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len;

	if (!colon) {
		host[0] = '\0';
		*ret_port = text;
		return true;
	}
	len = (size_t)(colon - text);
	*ret_port = colon + 1;
	if (text[0] == '[') {
		if (len < 2 || text[len - 1] != ']')
			return false;
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return false;           /* an IPv6 address without brackets: where would its port begin? */
	}
	if (!len || len >= cap)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	return true;
}

static bool is_port(const char *text)
{
	unsigned value = 0;

	if (!*text || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	return value > 0 && value <= 65535;
}

int address_parse(const char *text, struct address *ret, struct error *err)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found = NULL;
	char host[ADDRESS_TEXT_LEN];
	const char *port;

	if (strncmp(text, "unix:", 5) == 0)
		return parse_local(text, ret, err);
	if (!split(text, host, sizeof(host), &port))
		return error_set(err, EINVAL, "'%s' is not an address to listen on: " GRAMMAR, text);
	if (!is_port(port))
		return error_set(err, EINVAL, "'%s' needs a port from 1 to 65535: " GRAMMAR, text);
	if (getaddrinfo(host[0] ? host : "::", port, &hints, &found) != 0 || !found)
		return error_set(err, EINVAL, "'%s': a numeric address is needed, not a name: " GRAMMAR, text);
	*ret = (struct address){ .len = found->ai_addrlen };
	memcpy(&ret->sa, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

/* ---- what it is ---- */

static bool is_loopback4(struct in_addr a)
{
	return ntohl(a.s_addr) >> 24 == 127;
}

bool address_is_loopback(const struct address *a)
{
	const struct in6_addr *six;
	struct in_addr four;

	if (a->sa.ss_family == AF_UNIX)
		return true;
	if (a->sa.ss_family == AF_INET)
		return is_loopback4(inet4(generic(a))->sin_addr);
	if (a->sa.ss_family != AF_INET6)
		return false;
	six = &inet6(generic(a))->sin6_addr;
	memcpy(&four, six->s6_addr + 12, sizeof(four));
	return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && is_loopback4(four));
}

const char *address_client_text(const struct sockaddr *sa, socklen_t len,
				char dst[static ADDRESS_TEXT_LEN])
{
	const void *raw = NULL;
	int family = len ? sa->sa_family : AF_UNSPEC;

	if (family == AF_INET) {
		raw = &inet4(sa)->sin_addr;
	} else if (family == AF_INET6) {
		raw = &inet6(sa)->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&inet6(sa)->sin6_addr)) {
			raw = inet6(sa)->sin6_addr.s6_addr + 12;
			family = AF_INET;
		}
	}
	if (!raw || !inet_ntop(family, raw, dst, ADDRESS_TEXT_LEN))
		memcpy(dst, "unix", sizeof("unix"));
	return dst;
}

const char *address_text(const struct address *a, char dst[static ADDRESS_TEXT_LEN])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->sa.ss_family == AF_INET) {
		const struct sockaddr_in *in = inet4(generic(a));

		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		(void)snprintf(dst, ADDRESS_TEXT_LEN, "%s:%u", host, (unsigned)ntohs(in->sin_port));
	} else if (a->sa.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = inet6(generic(a));

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		(void)snprintf(dst, ADDRESS_TEXT_LEN, "[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
	} else {
		/* The kernel does not promise a NUL at the end of a path. */
		(void)snprintf(dst, ADDRESS_TEXT_LEN, "unix:%.*s",
			       (int)(a->len - offsetof(struct sockaddr_un, sun_path)), local(a)->sun_path);
	}
	return dst;
}

/* ---- listening ---- */

/* A file left by a process that is gone refuses connections; one that answers is somebody's. */
static int remove_stale(const struct address *a, struct error *err)
{
	const char *path = local(a)->sun_path;
	AUTO(fd) int probe = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot look at %s: %s", path,
						       strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, EEXIST, "cannot listen on unix:%s: something that is not a socket is there: "
				 "move it away or choose another path", path);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return error_set(err, errno, "cannot make a socket: %s", strerror(errno));
	if (connect(probe, generic(a), a->len) == 0 || errno == EAGAIN)
		return error_set(err, EADDRINUSE, "cannot listen on unix:%s: another process listens there", path);
	if (errno != ECONNREFUSED)
		return error_set(err, errno, "cannot listen on unix:%s: %s", path, strerror(errno));
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, errno, "cannot remove the old socket %s: %s", path, strerror(errno));
	return 0;
}

static const char *advice(int code)
{
	switch (code) {
	case EADDRINUSE: return ": another process listens there";
	case EADDRNOTAVAIL: return ": this machine does not have that address";
	case EACCES: return ": ports below 1024 need CAP_NET_BIND_SERVICE, or let systemd pass the socket";
	default: return "";
	}
}

static int prepare(int fd, const struct address *a)
{
	const int on = 1;
	const int only_six = a->sa.ss_family == AF_INET6 &&
			     !IN6_IS_ADDR_UNSPECIFIED(&inet6(generic(a))->sin6_addr);

	if (a->sa.ss_family == AF_UNIX)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (a->sa.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_six, sizeof(only_six)) < 0)
		return -errno;
	return 0;
}

int address_listen(const struct address *a, int mode, struct error *err)
{
	AUTO(fd) int fd = -1;
	char text[ADDRESS_TEXT_LEN];
	int r;

	(void)address_text(a, text);
	if (a->sa.ss_family == AF_UNIX) {
		r = remove_stale(a, err);
		if (r < 0)
			return r;
	}
	fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, "cannot make a socket for %s: %s", text, strerror(errno));
	r = prepare(fd, a);
	if (r == 0 && bind(fd, generic(a), a->len) < 0)
		r = -errno;
	/* Nobody can connect between bind() and listen(), so the mode is right from the first moment. */
	if (r == 0 && a->sa.ss_family == AF_UNIX && chmod(local(a)->sun_path, (mode_t)mode) < 0)
		r = -errno;
	if (r == 0 && listen(fd, SOMAXCONN) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, -r, "cannot listen on %s: %s%s", text, strerror(-r), advice(-r));
	return TAKE_FD(fd);
}
