/*
 * signature.h - is this body really from Autotask?
 *
 * X-Hook-Signature: sha1=<padded standard Base64 of HMAC-SHA1(secretKey, body)>
 * (vendor help). The prefix may be in any case; nothing else is lenient. Only the
 * body is signed. The raw bytes are tried first; if no secret matches, one fallback
 * is tried: the text as .NET's System.Text.Json would have escaped it (that wire
 * bytes equal signed bytes is strongly inferred, not published: tolerated both ways).
 *
 * Pure; comparisons take constant time; nothing here logs.
 */
#ifndef CALLOUTD_CALLOUT_SIGNATURE_H
#define CALLOUTD_CALLOUT_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"

#define SIGNATURE_HEADER "X-Hook-Signature"
#define SIGNATURE_LEN 20        /* bytes of an HMAC-SHA1 */
#define SIGNATURE_TEXT_LEN 34   /* "sha1=" + 28 Base64 characters + NUL */

/* Read the header's value. 0, or -EINVAL and ret_mac is untouched. */
int signature_parse(const char *value, uint8_t ret_mac[static SIGNATURE_LEN]);

enum signature_form {
	SIGNATURE_RAW,          /* the bytes as received */
	SIGNATURE_ESCAPED,      /* the escaped form, see signature_escape() */
};
const char *signature_form_name(enum signature_form f);        /* "raw", "escaped" */

/* The secrets of one webhook, keyed once. Immutable: any number of threads. */
struct keyring;

/*
 * Copies what it needs from the secrets. -ENOMEM or -EIO. With count 0 the ring can verify
 * nothing: a webhook whose secrets could not be loaded, see site.h.
 */
int keyring_new(const struct secret *const *secrets, size_t count, struct keyring **ret);
/* Wipes. NULL is fine. Always returns NULL. */
struct keyring *keyring_free(struct keyring *k);
AUTO_DEFINE(keyring, struct keyring *, keyring_free)

/* Which secret matched, counting from 1 in the order given, and which form. */
struct signature_match {
	unsigned position;
	enum signature_form form;
};

/*
 * 1 and *ret_match if a secret's HMAC of the body equals mac; 0 if none does;
 * -ENOMEM / -EIO / -ENOKEY (empty ring) when it could not be decided (answer 503, not 401).
 * Every secret is tried, matching or not.
 */
int signature_verify(const struct keyring *k, const uint8_t mac[static SIGNATURE_LEN],
		     const void *body, size_t len, struct signature_match *ret_match);

/* Write the header value for a body, signed with the keyring's first secret. 0 or -errno. */
int signature_make(const struct keyring *k, const void *body, size_t len,
		   char ret_text[static SIGNATURE_TEXT_LEN]);

/*
 * Append body to out with & < > ' " + ` U+007F and all non-ASCII inside JSON
 * strings written as upper-case \uXXXX (surrogate pairs for astral characters);
 * existing \uXXXX stay as they are, \" becomes \u0022, every other escape stays.
 * 0; -EBADMSG if strings do not end or hold invalid UTF-8 (there is no such form
 * then); -ENOBUFS, -ENOMEM. After an error out holds a part. Six bytes for one suffice.
 */
int signature_escape(const void *body, size_t len, struct buf *out);

#endif
