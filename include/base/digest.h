/*
 * digest.h - SHA-256 over pieces, each counted in with its length, and bytes as text. Pure.
 *
 * A length is digested before its piece, as 64 bits in little-endian order, so ("ab","c")
 * and ("a","bc") differ.
 */
#ifndef CALLOUTD_BASE_DIGEST_H
#define CALLOUTD_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 32

struct digest_piece {
	const void *data;
	size_t len;
};

/* 0, or -ENOMEM / -EIO when OpenSSL refuses. */
int digest_pieces(const struct digest_piece *pieces, size_t count,
		  uint8_t ret_digest[static DIGEST_LEN]);

/* Lower-case hexadecimal; dst has room for 2 * len + 1. Returns dst. */
char *hex_text(const uint8_t *data, size_t len, char *dst);

/* Standard Base64 with padding; dst has room for 4 * ((len + 2) / 3) + 1. Returns dst. */
char *base64_text(const uint8_t *data, size_t len, char *dst);

/* What a character of standard Base64 stands for, 0 to 63; -1: it is none (nor is the padding). */
int base64_digit(char c);

#endif
