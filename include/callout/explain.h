/*
 * explain.h - why a signature does not match, in words somebody can act on.
 *
 * Takes a captured header and body and every secret this machine knows, and looks for
 * the pair (secret, form of the body) that makes the same signature: the right one, or
 * the one a known mistake would have made. The answer names the mistakes; it never
 * holds a secret, nor the signature that would have been right.
 *
 * Pure: no I/O. Nothing here takes constant time: it is for the operator's own terminal.
 */
#ifndef CALLOUTD_CALLOUT_EXPLAIN_H
#define CALLOUTD_CALLOUT_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/secret.h"
#include "callout/signature.h"

/* A secret and where it comes from. Everything is borrowed. */
struct explain_key {
	const char *webhook;            /* title; NULL: a file named on the command line */
	unsigned position;              /* among its webhook's secrets, from 1 */
	bool expected;                  /* this callout should be signed with it */
	const struct secret *secret;
};

struct explain_cause {
	const char *code;               /* a static word: "hex", "sha256", "reserialised", ... */
	char text[320];                 /* a sentence */
};

#define EXPLAIN_CAUSES_MAX 8

struct explanation {
	bool valid;                     /* calloutd would accept it */
	const struct explain_key *key;  /* whose secret made the signature; NULL: unknown */
	enum signature_form form;       /* if valid */
	size_t count;                   /* causes; none if valid */
	struct explain_cause causes[EXPLAIN_CAUSES_MAX];
};

/*
 * header: the value of X-Hook-Signature, NULL if there was none. When no key is
 * expected, all are. 0 and *ret; -EINVAL without any key; -ENOMEM, -EIO.
 */
int explain_signature(const char *header, const void *body, size_t len,
		      const struct explain_key *keys, size_t key_count, struct explanation *ret);

/*
 * The codes, in the order they are looked for:
 *   header     no-header quoted no-prefix other-prefix hex url-safe unpadded sha256 md5 sha384
 *              sha512 malformed
 *   secret     other-webhook secret-newline secret-blank secret-byte-order-mark secret-case
 *   body       newline-added newline-lost byte-order-mark-added byte-order-mark-lost
 *              crlf-to-lf lf-to-crlf reserialised escaped
 *   otherwise  unknown
 */

/* ---- a request as captured ---- */

struct captured {
	char *path;                     /* of the request line, without its query; NULL: no request line */
	char *signature;                /* NULL: no such header */
	char *body;                     /* chunks put together; NULL: empty */
	size_t len;
	unsigned signatures;            /* how many such headers */
	bool cut;                       /* fewer bytes than Content-Length says */
	size_t surplus;                 /* bytes behind the end that Content-Length says; not in the body */
};

/*
 * Read the head and body of an HTTP/1 request as a file holds it, line ends CRLF or LF.
 * 0, -EBADMSG without an empty line between head and body or with broken chunks, -ENOMEM.
 * Release with captured_free().
 */
int captured_read(const char *data, size_t len, struct captured *ret);
void captured_free(struct captured *c);

static inline void auto_captured(struct captured *c)
{
	captured_free(c);
}

/* ---- JSON written anew ---- */

enum reserialise_layout {
	LAYOUT_COMPACT,                 /* {"a":1,"b":2} */
	LAYOUT_SPACED,                  /* {"a": 1, "b": 2} */
	LAYOUT_INDENT_2,                /* a member a line */
	LAYOUT_INDENT_4,
	LAYOUT_COUNT_
};

enum reserialise_texts {
	TEXTS_PLAIN,                    /* UTF-8, only what must be escaped is */
	TEXTS_ASCII,                    /* everything beyond ASCII as \uxxxx, lower case (Python) */
	TEXTS_ASCII_SLASH,              /* and / as \/ (PHP) */
	TEXTS_COUNT_
};

/*
 * Append the JSON text of body as another program would write it after reading it;
 * numbers and the members' order stay. 0; -EBADMSG not JSON; -ENOBUFS, -ENOMEM.
 */
int reserialise(const void *body, size_t len, enum reserialise_layout layout,
		enum reserialise_texts texts, struct buf *out);

#endif
