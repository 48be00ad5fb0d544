/*
 * address.h - what to listen on, and who is calling.
 *
 * Grammar of `listen` and `metrics-listen`: "127.0.0.1:9080", "[::1]:9080", "[::]:9080"
 * (dual stack), "*:9080" (the same), "9080" (the same), "unix:/path".
 * IPv4 addresses seen through a dual-stack socket (::ffff:a.b.c.d) are normalised.
 */
#ifndef CALLOUTD_INTAKE_ADDRESS_H
#define CALLOUTD_INTAKE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/conf.h"
#include "base/error.h"

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

int address_parse(const char *text, struct address *ret, struct error *err);
bool address_is_loopback(const struct address *a);      /* UNIX sockets too */

#define ADDRESS_TEXT_LEN 128
/* "127.0.0.1:9080", "[::]:9080", "unix:/path": the grammar above again. Returns dst. */
const char *address_text(const struct address *a, char dst[static ADDRESS_TEXT_LEN]);

/* "192.0.2.1" / "2001:db8::1" / "unix": without port, normalised. Returns dst. */
const char *address_client_text(const struct sockaddr *sa, socklen_t len,
				char dst[static ADDRESS_TEXT_LEN]);

/*
 * A bound, listening, close-on-exec, non-blocking socket; removes a stale UNIX socket
 * nobody listens on. mode: of a UNIX socket's file. fd or -errno.
 */
int address_listen(const struct address *a, int mode, struct error *err);

/* trusted-proxies, compiled. */
struct proxies;
int proxies_new(const struct conf_list *blocks, struct proxies **ret, struct error *err);
struct proxies *proxies_free(struct proxies *p);
AUTO_DEFINE(proxies, struct proxies *, proxies_free)

/*
 * The client's address: the peer's, unless the peer is a trusted proxy (or a UNIX
 * peer): then the rightmost address of X-Forwarded-For that is not itself a trusted
 * proxy. forwarded: the header's value (several lines: joined by commas) or NULL.
 * A list is read from the right only as far as needed, since what stands further left
 * is whatever the client wrote; if that part is malformed, the list counts as absent.
 * *ret_exempt: the address is a proxy, loopback or UNIX peer without usable header.
 */
const char *proxies_client(const struct proxies *p, const struct sockaddr *peer, socklen_t len,
			   const char *forwarded, char dst[static ADDRESS_TEXT_LEN],
			   bool *ret_exempt);
/* Is what this peer says in X-Forwarded-For believed? */
bool proxies_believe(const struct proxies *p, const struct sockaddr *peer, socklen_t len);

#endif
