/* signature.c - is this body really from Autotask? */
#include "callout/signature.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"

static const char prefix[] = "sha1=";
#define BASE64_LEN 28           /* of 20 bytes, with one '=' */

const char *signature_form_name(enum signature_form f)
{
	return f == SIGNATURE_ESCAPED ? "escaped" : "raw";
}

/* ---- the header ---- */

/* 27 digits are 162 bits; the last two of them must be zero, or the text is not canonical. */
static int decode(const char *text, uint8_t mac[static SIGNATURE_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0, out = 0;

	for (int i = 0; i < BASE64_LEN - 1; i++) {
		int digit = base64_digit(text[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			mac[out++] = (uint8_t)(bits >> have);
		}
	}
	if (text[BASE64_LEN - 1] != '=' || (bits & 3))
		return -EINVAL;
	return 0;
}

int signature_parse(const char *value, uint8_t ret_mac[static SIGNATURE_LEN])
{
	uint8_t mac[SIGNATURE_LEN];

	if (strncasecmp(value, prefix, strlen(prefix)) != 0)
		return -EINVAL;
	value += strlen(prefix);
	if (strlen(value) != BASE64_LEN || decode(value, mac) < 0)
		return -EINVAL;
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}

/* ---- keys ---- */

struct keyring {
	size_t count;
	EVP_MAC_CTX *keys[];    /* initialised with their secret, never used themselves: copied per body */
};

AUTO_DEFINE(EVP_MAC_CTX, EVP_MAC_CTX *, EVP_MAC_CTX_free)

struct keyring *keyring_free(struct keyring *k)
{
	if (k) {
		for (size_t i = 0; i < k->count; i++)
			EVP_MAC_CTX_free(k->keys[i]);   /* OpenSSL wipes the key */
		free(k);
	}
	return NULL;
}

static EVP_MAC_CTX *key_new(EVP_MAC *mac, const struct secret *s)
{
	char digest[] = "SHA1";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

	if (ctx && EVP_MAC_init(ctx, s->bytes, s->len, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int keyring_new(const struct secret *const *secrets, size_t count, struct keyring **ret)
{
	AUTO(keyring) struct keyring *k = calloc(1, sizeof(*k) + count * sizeof(EVP_MAC_CTX *));
	EVP_MAC *mac;

	if (!k)
		return -ENOMEM;
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!mac)
		return -EIO;
	for (; k->count < count; k->count++) {
		k->keys[k->count] = key_new(mac, secrets[k->count]);
		if (!k->keys[k->count])
			break;
	}
	EVP_MAC_free(mac);
	if (k->count < count)
		return -EIO;
	*ret = TAKE(k);
	return 0;
}

static int compute(const EVP_MAC_CTX *key, const void *body, size_t len,
		   uint8_t ret_mac[static SIGNATURE_LEN])
{
	AUTO(EVP_MAC_CTX) EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(key);
	size_t mac_len = 0;

	if (!ctx)
		return -ENOMEM;
	if (EVP_MAC_update(ctx, body, len) != 1 ||
	    EVP_MAC_final(ctx, ret_mac, &mac_len, SIGNATURE_LEN) != 1 || mac_len != SIGNATURE_LEN)
		return -EIO;
	return 0;
}

/* ---- verdicts ---- */

/* Every secret is tried, so that the time does not tell which one matched. */
static int verify_form(const struct keyring *k, const uint8_t mac[static SIGNATURE_LEN],
		       const void *body, size_t len, unsigned *ret_position)
{
	uint8_t ours[SIGNATURE_LEN];
	unsigned position = 0;

	int r = 0;

	for (size_t i = 0; r == 0 && i < k->count; i++) {
		r = compute(k->keys[i], body, len, ours);
		if (r == 0 && CRYPTO_memcmp(ours, mac, SIGNATURE_LEN) == 0 && !position)
			position = (unsigned)i + 1;
	}
	/* Whoever read it here could sign this body. */
	OPENSSL_cleanse(ours, sizeof(ours));
	if (r < 0)
		return r;
	*ret_position = position;
	return position != 0;
}

int signature_verify(const struct keyring *k, const uint8_t mac[static SIGNATURE_LEN],
		     const void *body, size_t len, struct signature_match *ret_match)
{
	AUTO(buf) struct buf escaped = BUF_INIT(len > SIZE_MAX / 6 ? SIZE_MAX : len * 6);
	unsigned position;
	int r;

	if (!k->count)
		return -ENOKEY;
	r = verify_form(k, mac, body, len, &position);
	if (r == 1)
		*ret_match = (struct signature_match){ position, SIGNATURE_RAW };
	if (r != 0)
		return r;
	r = signature_escape(body, len, &escaped);
	if (r == -EBADMSG || (r == 0 && escaped.len == len))
		return 0;       /* escaping only lengthens: this is the raw form again */
	if (r < 0)
		return r;
	r = verify_form(k, mac, escaped.data, escaped.len, &position);
	if (r == 1)
		*ret_match = (struct signature_match){ position, SIGNATURE_ESCAPED };
	return r;
}

int signature_make(const struct keyring *k, const void *body, size_t len,
		   char ret_text[static SIGNATURE_TEXT_LEN])
{
	uint8_t mac[SIGNATURE_LEN];
	int r = k->count ? compute(k->keys[0], body, len, mac) : -ENOKEY;

	if (r < 0)
		return r;
	memcpy(ret_text, prefix, sizeof(prefix));
	(void)base64_text(mac, sizeof(mac), ret_text + strlen(prefix));
	return 0;
}
