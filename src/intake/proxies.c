/* proxies.c - whose X-Forwarded-For is believed, and what it says. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "intake/address.h"

/* Everything is compared as IPv6; IPv4 as ::ffff:a.b.c.d, with 96 more bits of prefix. */
struct block {
	struct in6_addr at;
	unsigned bits;
};

struct proxies {
	size_t count;
	struct block blocks[];
};

#define MAPPED_BITS 96

static void map(const struct in_addr *four, struct in6_addr *ret)
{
	*ret = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(ret->s6_addr + 12, four, sizeof(*four));
}

static bool read_address(const char *text, struct in6_addr *ret, bool *ret_four)
{
	struct in_addr four;

	*ret_four = inet_pton(AF_INET, text, &four) == 1;
	if (!*ret_four)
		return inet_pton(AF_INET6, text, ret) == 1;
	map(&four, ret);
	return true;
}

/* ---- trusted-proxies ---- */

static void clear_host_bits(struct block *b)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = b->bits <= i * 8 ? 0 : b->bits - i * 8;

		if (keep < 8)
			b->at.s6_addr[i] &= (uint8_t)(0xff00U >> keep);
	}
}

static bool read_bits(const char *text, bool four, unsigned *ret)
{
	unsigned value = 0, most = four ? 32 : 128;

	if (!*text || strlen(text) > 3)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*ret = four ? value + MAPPED_BITS : value;
	return value <= most;
}

static void block_text(const struct block *b, bool four, char *dst, size_t cap)
{
	char host[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(four ? AF_INET : AF_INET6, b->at.s6_addr + (four ? 12 : 0), host, sizeof(host));
	(void)snprintf(dst, cap, "%s/%u", host, four ? b->bits - MAPPED_BITS : b->bits);
}

static int read_block(const char *text, struct block *ret, struct error *err)
{
	char host[INET6_ADDRSTRLEN], right[INET6_ADDRSTRLEN + 8];
	const char *slash = strchrnul(text, '/');
	struct block b, cleared;
	bool four = false;

	if ((size_t)(slash - text) >= sizeof(host))
		return error_set(err, EINVAL, "trusted-proxies: '%s' is not an address or a block", text);
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (!read_address(host, &b.at, &four))
		return error_set(err, EINVAL, "trusted-proxies: '%s' is not an address or a block: "
				 "write \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\"", text);
	b.bits = 128;
	if (*slash && !read_bits(slash + 1, four, &b.bits))
		return error_set(err, EINVAL, "trusted-proxies: '%s': after the slash stands a number from 0 to %d",
				 text, four ? 32 : 128);
	cleared = b;
	clear_host_bits(&cleared);
	if (memcmp(&cleared.at, &b.at, sizeof(b.at)) != 0) {
		block_text(&cleared, four, right, sizeof(right));
		return error_set(err, EINVAL, "trusted-proxies: '%s' has bits set behind its prefix: write \"%s\" "
				 "for the block, or the address alone", text, right);
	}
	*ret = b;
	return 0;
}

int proxies_new(const struct conf_list *blocks, struct proxies **ret, struct error *err)
{
	struct proxies *p = calloc(1, sizeof(*p) + blocks->count * sizeof(p->blocks[0]));
	int r = 0;

	if (!p)
		return error_no_memory(err);
	for (; r == 0 && p->count < blocks->count; p->count++)
		r = read_block(blocks->items[p->count], &p->blocks[p->count], err);
	if (r < 0) {
		(void)proxies_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct proxies *proxies_free(struct proxies *p)
{
	free(p);
	return NULL;
}

static bool block_has(const struct block *b, const struct in6_addr *a)
{
	struct block cut = { *a, b->bits };

	clear_host_bits(&cut);
	return memcmp(&cut.at, &b->at, sizeof(b->at)) == 0;
}

static bool is_trusted(const struct proxies *p, const struct in6_addr *a)
{
	for (size_t i = 0; i < p->count; i++)
		if (block_has(&p->blocks[i], a))
			return true;
	return false;
}

/* ---- X-Forwarded-For ---- */

/* One element: an address, with or without port: "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711". */
static bool read_element(const char *from, size_t len, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN + 8];
	char *end;
	bool four;

	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, from, len);
	text[len] = '\0';
	if (memchr(text, '\0', len))
		return false;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*end = '\0';
		return inet_pton(AF_INET6, text + 1, ret) == 1;
	}
	end = strchr(text, ':');
	if (end && !strchr(end + 1, ':'))
		*end = '\0';
	return read_address(text, ret, &four);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * From the right: the first address that is no trusted proxy; if all are, the leftmost.
 * False: an element on the way is malformed, or there is none.
 */
static bool read_forwarded(const struct proxies *p, const char *list, struct in6_addr *ret)
{
	const char *end = list + strlen(list);

	for (;;) {
		const char *from = end, *to = end;

		while (from > list && from[-1] != ',')
			from--;
		end = from > list ? from - 1 : NULL;
		while (from < to && is_blank(*from))
			from++;
		while (to > from && is_blank(to[-1]))
			to--;
		if (!read_element(from, (size_t)(to - from), ret))
			return false;
		if (!end || !is_trusted(p, ret))
			return true;
	}
}

static bool peer_address(const struct sockaddr *peer, socklen_t len, struct in6_addr *ret)
{
	if (len >= sizeof(struct sockaddr_in) && peer->sa_family == AF_INET) {
		map(&((const struct sockaddr_in *)(const void *)peer)->sin_addr, ret);
		return true;
	}
	if (len >= sizeof(struct sockaddr_in6) && peer->sa_family == AF_INET6) {
		*ret = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
		return true;
	}
	return false;           /* a UNIX peer */
}

static bool is_loopback(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

bool proxies_believe(const struct proxies *p, const struct sockaddr *peer, socklen_t len)
{
	struct in6_addr address;

	return !peer_address(peer, len, &address) || is_trusted(p, &address);
}

const char *proxies_client(const struct proxies *p, const struct sockaddr *peer, socklen_t len,
			   const char *forwarded, char dst[static ADDRESS_TEXT_LEN],
			   bool *ret_exempt)
{
	struct sockaddr_in6 client = { .sin6_family = AF_INET6 };
	struct in6_addr address, named;
	bool inet = peer_address(peer, len, &address);

	if ((!inet || is_trusted(p, &address)) && forwarded && read_forwarded(p, forwarded, &named)) {
		address = named;
		inet = true;
	}
	if (!inet) {
		*ret_exempt = true;
		memcpy(dst, "unix", sizeof("unix"));
		return dst;
	}
	*ret_exempt = is_loopback(&address) || is_trusted(p, &address);
	client.sin6_addr = address;
	return address_client_text((const struct sockaddr *)(const void *)&client, sizeof(client), dst);
}
