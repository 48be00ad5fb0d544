/*
 * secret.h - secrets from files and systemd credentials, wiped where they die.
 *
 * A reference is "file:/absolute/path" or "credential:NAME" (a file of that
 * name below $CREDENTIALS_DIRECTORY). Anything else is refused with a sentence
 * that says what would be right and does not repeat the text: it may be the
 * secret itself. One trailing newline (LF or CRLF) of the file is not part of
 * the secret. 1 to 256 bytes; no NUL (Autotask allows 64 characters, vendor help).
 *
 * A file: must be a regular file that others (mode & 0007) cannot read or write
 * and that group cannot write; owner is root or the reader itself. The error of
 * a loose one names the path, the mode found and the chmod that mends it.
 */
#ifndef CALLOUTD_BASE_SECRET_H
#define CALLOUTD_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define SECRET_MAX 256

struct secret {
	size_t len;
	unsigned char bytes[SECRET_MAX + 1];    /* a NUL follows */
};

/* True if the text has the shape of a reference. Does no I/O. */
bool secret_is_reference(const char *reference);

/*
 * Allocates. -EINVAL not a reference or a NUL in it, -EPERM too loose, -EFBIG, -ENODATA empty,
 * -ENOENT no credentials passed, or open's errno. A credential's rights are systemd's affair.
 */
int secret_load(const char *reference, struct secret **ret_secret, struct error *err);

/* Wipes and frees. NULL is fine. Always returns NULL. */
struct secret *secret_free(struct secret *s);

#endif
