/* explain_header.c - what a signature header claims, and how it departs from the right form. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "explain_private.h"

#define RIGHT_FORM "sha1= and the Base64 of an HMAC-SHA1, 28 characters"
#define HEADER_MAX 256

void explain_add(struct explanation *e, const char *code, const char *fmt, ...)
{
	struct explain_cause *c;
	va_list args;

	if (e->count == EXPLAIN_CAUSES_MAX)
		return;
	c = &e->causes[e->count++];
	c->code = code;
	va_start(args, fmt);
	(void)vsnprintf(c->text, sizeof(c->text), fmt, args);
	va_end(args);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Both alphabets of RFC 4648. */
static int either_digit(char c)
{
	return base64_digit(c == '-' ? '+' : c == '_' ? '/' : c);
}

static const char *digest_of(size_t len)
{
	switch (len) {
	case 16: return "MD5";
	case 20: return "SHA1";
	case 32: return "SHA256";
	case 48: return "SHA384";
	case 64: return "SHA512";
	default: return NULL;
	}
}

static int read_hex(const char *text, size_t len, struct claim *c)
{
	if (len % 2 || len / 2 > CLAIM_MAX || !digest_of(len / 2))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			return -EINVAL;
		c->mac[i / 2] = (uint8_t)(i % 2 ? c->mac[i / 2] << 4 | digit : digit);
	}
	c->len = len / 2;
	return 0;
}

static int read_base64(const char *text, size_t len, struct claim *c)
{
	size_t digits = len, out = 0;
	unsigned have = 0;
	uint32_t bits = 0;

	while (digits && text[digits - 1] == '=')
		digits--;
	if (digits * 6 / 8 > CLAIM_MAX)
		return -EINVAL;
	for (size_t i = 0; i < digits; i++) {
		int digit = either_digit(text[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			c->mac[out++] = (uint8_t)(bits >> have);
		}
	}
	c->len = out;
	return digest_of(out) ? 0 : -EINVAL;
}

/* Blanks and quotes around the value. */
static void strip(struct explanation *e, const char **value, size_t *len)
{
	const char *text = *value;
	size_t n = *len;

	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	for (; n && isspace((unsigned char)*text); n--)
		text++;
	if (n >= 2 && (*text == '"' || *text == '\'') && text[n - 1] == *text) {
		explain_add(e, "quoted", "The header's value is in quotes; they do not belong there.");
		text++;
		n -= 2;
	}
	*value = text;
	*len = n;
}

/* "NAME=" in front: a short word, with something longer behind it (padding is not). */
static size_t prefix_length(const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len);
	size_t n = equals ? (size_t)(equals - text) + 1 : 0;

	return n && n <= 16 && len - n >= 16 ? n : 0;
}

static void judge_prefix(struct explanation *e, const char *text, size_t n)
{
	if (!n)
		explain_add(e, "no-prefix", "The header's value lacks the 'sha1=' in front.");
	else if (n != 5 || strncasecmp(text, "sha1=", 5) != 0)
		explain_add(e, "other-prefix", "The header's value begins with another word than 'sha1='.");
}

static void judge_digest(struct explanation *e, const struct claim *c)
{
	static const struct {
		const char *digest, *code, *text;
	} rows[] = {
		{ "MD5", "md5", "MD5" },
		{ "SHA256", "sha256", "SHA-256" },
		{ "SHA384", "sha384", "SHA-384" },
		{ "SHA512", "sha512", "SHA-512" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].digest, c->digest) == 0)
			explain_add(e, rows[i].code, "The value is as long as an HMAC-%s; Autotask signs with HMAC-SHA1.",
				    rows[i].text);
}

static void judge_base64(struct explanation *e, const char *text, size_t len)
{
	if (memchr(text, '-', len) || memchr(text, '_', len))
		explain_add(e, "url-safe", "The Base64 is of the URL-safe kind (- and _); Autotask uses + and /.");
	if (len % 4)
		explain_add(e, "unpadded", "The Base64 is not padded with '=' to 28 characters.");
}

int explain_claim(struct explanation *e, const char *header, struct claim *ret)
{
	size_t len = strlen(header), n;
	const char *text = header;
	struct claim c = { .len = 0 };
	size_t before;

	strip(e, &text, &len);
	before = e->count;
	n = len <= HEADER_MAX ? prefix_length(text, len) : 0;
	judge_prefix(e, text, n);
	text += n;
	len -= n;
	if (len <= HEADER_MAX && read_hex(text, len, &c) == 0) {
		explain_add(e, "hex", "The value is written in hexadecimal; Autotask writes Base64.");
	} else if (len <= HEADER_MAX && read_base64(text, len, &c) == 0) {
		judge_base64(e, text, len);
	} else {
		e->count = before;
		explain_add(e, "malformed", "The header's value is no signature: right is " RIGHT_FORM ".");
		return -EINVAL;
	}
	c.digest = digest_of(c.len);
	judge_digest(e, &c);
	*ret = c;
	return 0;
}
