/* digest.c - SHA-256 over pieces, and bytes as text. */
#include "base/digest.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>

#include "base/auto.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX *, EVP_MD_CTX_free)

int digest_pieces(const struct digest_piece *pieces, size_t count,
		  uint8_t ret_digest[static DIGEST_LEN])
{
	AUTO(EVP_MD_CTX) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned len = 0;

	if (!ctx)
		return -ENOMEM;
	if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		return -EIO;
	for (size_t i = 0; i < count; i++) {
		/* Digests are kept on disk: the same bytes on every machine. */
		uint64_t n = htole64(pieces[i].len);

		if (EVP_DigestUpdate(ctx, &n, sizeof(n)) != 1 ||
		    EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) != 1)
			return -EIO;
	}
	if (EVP_DigestFinal_ex(ctx, ret_digest, &len) != 1 || len != DIGEST_LEN)
		return -EIO;
	return 0;
}

char *hex_text(const uint8_t *data, size_t len, char *dst)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		dst[2 * i] = digits[data[i] >> 4];
		dst[2 * i + 1] = digits[data[i] & 15];
	}
	dst[2 * len] = '\0';
	return dst;
}

char *base64_text(const uint8_t *data, size_t len, char *dst)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *at = dst;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t group = (uint32_t)data[i] << 16;

		if (left > 1)
			group |= (uint32_t)data[i + 1] << 8;
		if (left > 2)
			group |= data[i + 2];
		*at++ = letters[group >> 18];
		*at++ = letters[group >> 12 & 63];
		*at++ = left > 1 ? letters[group >> 6 & 63] : '=';
		*at++ = left > 2 ? letters[group & 63] : '=';
	}
	*at = '\0';
	return dst;
}

int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}
