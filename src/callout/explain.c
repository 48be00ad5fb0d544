/*
 * explain.c - which secret, which form of the body, which mistake made this signature.
 *
 * The search: every form the body may have had (as it is, with a newline more or less, written
 * anew by another program, ...), each also in the escaped form, under every secret; then the body
 * as it is under every secret as it may have been mistyped. The first that fits is the answer.
 */
#include "callout/explain.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "explain_private.h"

#define BOM "\xef\xbb\xbf"
#define GROWTH_MAX (32UL * 1024 * 1024) /* bytes a form may be longer than the body */

/* ---- the body as it may have been when it was signed ---- */

struct body {
	const char *data;
	size_t len;
};

/*
 * One form: fill out with it. 0, -ENOENT when the body here gives no such form, else -errno.
 * text: what happened on the way from that form to the body here.
 */
struct form {
	const char *code;
	int (*make)(const struct body *here, const struct form *f, struct buf *out);
	const char *text;
	enum reserialise_layout layout;
	enum reserialise_texts texts;
	const char *piece;
};

static int as_is(const struct body *here, const struct form *f, struct buf *out)
{
	(void)f;
	return buf_append(out, here->data, here->len);
}

static int with_end(const struct body *here, const struct form *f, struct buf *out)
{
	int r = buf_append(out, here->data, here->len);

	return r < 0 ? r : buf_append_text(out, f->piece);
}

static int without_end(const struct body *here, const struct form *f, struct buf *out)
{
	size_t n = strlen(f->piece);

	if (here->len < n || memcmp(here->data + here->len - n, f->piece, n) != 0)
		return -ENOENT;
	return buf_append(out, here->data, here->len - n);
}

static int with_start(const struct body *here, const struct form *f, struct buf *out)
{
	int r = buf_append_text(out, f->piece);

	return r < 0 ? r : buf_append(out, here->data, here->len);
}

static int without_start(const struct body *here, const struct form *f, struct buf *out)
{
	size_t n = strlen(f->piece);

	if (here->len < n || memcmp(here->data, f->piece, n) != 0)
		return -ENOENT;
	return buf_append(out, here->data + n, here->len - n);
}

/* LF -> CRLF; what is CRLF already stays. */
static int with_crlf(const struct body *here, const struct form *f, struct buf *out)
{
	int r = 0;

	(void)f;
	for (size_t i = 0; r == 0 && i < here->len; i++) {
		if (here->data[i] == '\n' && (i == 0 || here->data[i - 1] != '\r'))
			r = buf_append(out, "\r", 1);
		if (r == 0)
			r = buf_append(out, here->data + i, 1);
	}
	return r == 0 && out->len == here->len ? -ENOENT : r;
}

static int with_lf(const struct body *here, const struct form *f, struct buf *out)
{
	int r = 0;

	(void)f;
	for (size_t i = 0; r == 0 && i < here->len; i++)
		if (here->data[i] != '\r' || i + 1 == here->len || here->data[i + 1] != '\n')
			r = buf_append(out, here->data + i, 1);
	return r == 0 && out->len == here->len ? -ENOENT : r;
}

static int rewritten(const struct body *here, const struct form *f, struct buf *out)
{
	int r = reserialise(here->data, here->len, f->layout, f->texts, out);

	return r == -EBADMSG ? -ENOENT : r;
}

#define REWRITTEN(layout_, texts_, text_) \
	{ "reserialised", rewritten, \
	  "The body was read and written anew on the way; what was signed is " text_ ".", \
	  layout_, texts_, NULL }
#define PLAIN "with its characters unescaped"
#define ASCII "with everything beyond ASCII as \\uxxxx"
#define SLASH "with \\uxxxx and \\/ (as PHP writes)"

static const struct form forms[] = {
	{ .code = NULL, .make = as_is },
	{ .code = "newline-added", .make = without_end, .piece = "\r\n",
	  .text = "A line end (CRLF) was added behind the body after it was signed." },
	{ .code = "newline-added", .make = without_end, .piece = "\n",
	  .text = "A newline was added behind the body after it was signed." },
	{ .code = "newline-lost", .make = with_end, .piece = "\n",
	  .text = "The body was signed with a newline at its end, which got lost." },
	{ .code = "newline-lost", .make = with_end, .piece = "\r\n",
	  .text = "The body was signed with a line end (CRLF) behind it, which got lost." },
	{ .code = "byte-order-mark-added", .make = without_start, .piece = BOM,
	  .text = "A byte order mark (EF BB BF) was put before the body after it was signed." },
	{ .code = "byte-order-mark-lost", .make = with_start, .piece = BOM,
	  .text = "The body was signed with a byte order mark (EF BB BF), which got lost." },
	{ .code = "crlf-to-lf", .make = with_crlf,
	  .text = "The body's line ends were CRLF when it was signed and are LF here." },
	{ .code = "lf-to-crlf", .make = with_lf,
	  .text = "The body's line ends were LF when it was signed and are CRLF here." },
	REWRITTEN(LAYOUT_COMPACT, TEXTS_PLAIN, "compact, " PLAIN),
	REWRITTEN(LAYOUT_COMPACT, TEXTS_ASCII, "compact, " ASCII),
	REWRITTEN(LAYOUT_COMPACT, TEXTS_ASCII_SLASH, "compact, " SLASH),
	REWRITTEN(LAYOUT_SPACED, TEXTS_PLAIN, "with a blank behind ':' and ',', " PLAIN),
	REWRITTEN(LAYOUT_SPACED, TEXTS_ASCII, "with a blank behind ':' and ',', " ASCII),
	REWRITTEN(LAYOUT_SPACED, TEXTS_ASCII_SLASH, "with a blank behind ':' and ',', " SLASH),
	REWRITTEN(LAYOUT_INDENT_2, TEXTS_PLAIN, "indented by two, " PLAIN),
	REWRITTEN(LAYOUT_INDENT_2, TEXTS_ASCII, "indented by two, " ASCII),
	REWRITTEN(LAYOUT_INDENT_2, TEXTS_ASCII_SLASH, "indented by two, " SLASH),
	REWRITTEN(LAYOUT_INDENT_4, TEXTS_PLAIN, "indented by four, " PLAIN),
	REWRITTEN(LAYOUT_INDENT_4, TEXTS_ASCII, "indented by four, " ASCII),
	REWRITTEN(LAYOUT_INDENT_4, TEXTS_ASCII_SLASH, "indented by four, " SLASH),
};

/* ---- the secret as it may have been on the other side ---- */

struct slip {
	const char *code;
	/* False when the secret gives no such variant; dst has room. */
	bool (*make)(const struct secret *s, const struct slip *v, struct secret *dst);
	const char *text;
	const char *piece;
};

static bool add(const struct secret *s, const struct slip *v, struct secret *dst)
{
	size_t n = strlen(v->piece);

	if (s->len + n > SECRET_MAX)
		return false;
	memcpy(dst->bytes, s->bytes, s->len);
	memcpy(dst->bytes + s->len, v->piece, n);
	dst->len = s->len + n;
	return true;
}

static bool trim(const struct secret *s, const struct slip *v, struct secret *dst)
{
	size_t from = 0, to = s->len;

	while (to > from && strchr(v->piece, s->bytes[to - 1]))
		to--;
	while (from < to && strchr(v->piece, s->bytes[from]))
		from++;
	memcpy(dst->bytes, s->bytes + from, to - from);
	dst->len = to - from;
	return dst->len && dst->len < s->len;
}

static bool unmark(const struct secret *s, const struct slip *v, struct secret *dst)
{
	size_t n = strlen(v->piece);

	if (s->len <= n || memcmp(s->bytes, v->piece, n) != 0)
		return false;
	memcpy(dst->bytes, s->bytes + n, s->len - n);
	dst->len = s->len - n;
	return true;
}

static bool swap_case(const struct secret *s, const struct slip *v, struct secret *dst)
{
	char from = *v->piece;

	for (size_t i = 0; i < s->len; i++) {
		unsigned char c = s->bytes[i];

		dst->bytes[i] = c >= from && c < from + 26 ? c ^ 0x20 : c;
	}
	dst->len = s->len;
	return memcmp(dst->bytes, s->bytes, s->len) != 0;
}

static const struct slip slips[] = {
	{ "secret-newline", add, "The signer's secret ends with a newline that is not part of the one here.", "\n" },
	{ "secret-newline", add, "The signer's secret ends with CRLF that is not part of the one here.", "\r\n" },
	{ "secret-blank", add, "The signer's secret ends with a blank that is not part of the one here.", " " },
	{ "secret-blank", trim, "The secret here has blanks or newlines around it that the signer's has not.", " \t\r\n" },
	{ "secret-byte-order-mark", unmark, "The secret's file here begins with a byte order mark (EF BB BF).", BOM },
	{ "secret-case", swap_case, "The signer's secret is the one here in lower case.", "A" },
	{ "secret-case", swap_case, "The signer's secret is the one here in upper case.", "a" },
};

/* ---- the search ---- */

struct search {
	struct explanation *e;
	const struct explain_key *keys;
	size_t key_count;
	struct claim claim;
};

/* 1 if this secret's HMAC of the bytes is what the header claims, 0 if not, or -EIO. */
static int fits(const struct search *s, const struct secret *secret, const void *data, size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t mac_len = 0;
	bool same;

	if (!EVP_Q_mac(NULL, "HMAC", NULL, s->claim.digest, NULL, secret->bytes, secret->len,
		       data ? data : "", len, mac, sizeof(mac), &mac_len))
		return -EIO;
	same = mac_len == s->claim.len && CRYPTO_memcmp(mac, s->claim.mac, mac_len) == 0;
	OPENSSL_cleanse(mac, sizeof(mac));
	return same;
}

/* The expected keys first. 1 and *ret, 0, or -errno. */
static int try_keys(const struct search *s, const void *data, size_t len,
		    const struct explain_key **ret)
{
	for (int expected = 1; expected >= 0; expected--) {
		for (size_t i = 0; i < s->key_count; i++) {
			int r = 0;

			if (s->keys[i].expected == (expected == 1))
				r = fits(s, s->keys[i].secret, data, len);
			if (r == 1)
				*ret = &s->keys[i];
			if (r != 0)
				return r;
		}
	}
	return 0;
}

/* The bytes as they are, then in the escaped form. */
static int try_bytes(const struct search *s, const struct buf *bytes, const struct explain_key **ret,
		     enum signature_form *ret_form)
{
	AUTO(buf) struct buf escaped = BUF_INIT(bytes->len * 6 + 16);
	int r;

	*ret_form = SIGNATURE_RAW;
	r = try_keys(s, bytes->data, bytes->len, ret);
	if (r != 0)
		return r;
	*ret_form = SIGNATURE_ESCAPED;
	r = signature_escape(bytes->data ? bytes->data : "", bytes->len, &escaped);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	return try_keys(s, escaped.data, escaped.len, ret);
}

static void tell_form(struct explanation *e, const struct form *f, enum signature_form form)
{
	e->form = form;
	if (!f->code)
		return;
	if (form == SIGNATURE_RAW)
		explain_add(e, f->code, "%s", f->text);
	else if (f->make != rewritten)
		explain_add(e, f->code, "%s (Characters were written as \\uXXXX then.)", f->text);
	else
		explain_add(e, f->code, "The body was read and written anew on the way; what was signed is %s, "
			    "with \\uXXXX as .NET writes it.",
			    f->layout == LAYOUT_COMPACT ? "compact" :
			    f->layout == LAYOUT_SPACED ? "with a blank behind ':' and ','" : "indented");
}

static int search_forms(struct search *s, const struct body *here)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		AUTO(buf) struct buf bytes = BUF_INIT(here->len + GROWTH_MAX);
		enum signature_form form = SIGNATURE_RAW;
		int r;

		r = forms[i].make(here, &forms[i], &bytes);
		if (r == -ENOENT || r == -ENOBUFS)      /* no such form, or one of absurd size */
			continue;
		if (r == 0)
			r = try_bytes(s, &bytes, &s->e->key, &form);
		if (r < 0)
			return r;
		if (r == 1) {
			tell_form(s->e, &forms[i], form);
			return 1;
		}
	}
	return 0;
}

static int try_slip(struct search *s, const struct slip *v, const struct explain_key *key,
		    const struct body *here)
{
	struct secret *variant = calloc(1, sizeof(*variant));
	AUTO(buf) struct buf escaped = BUF_INIT(here->len * 6 + 16);
	int r = 0;

	if (!variant)
		return -ENOMEM;
	if (v->make(key->secret, v, variant)) {
		r = fits(s, variant, here->data, here->len);
		if (r == 0 && signature_escape(here->data, here->len, &escaped) == 0)
			r = fits(s, variant, escaped.data, escaped.len);
	}
	(void)secret_free(variant);
	return r;
}

static int search_slips(struct search *s, const struct body *here)
{
	for (size_t k = 0; k < s->key_count; k++) {
		for (size_t i = 0; i < ARRAY_LEN(slips); i++) {
			int r = try_slip(s, &slips[i], &s->keys[k], here);

			if (r == 1) {
				s->e->key = &s->keys[k];
				explain_add(s->e, slips[i].code, "%s", slips[i].text);
			}
			if (r != 0)
				return r;
		}
	}
	return 0;
}

static bool any_expected(const struct search *s)
{
	for (size_t i = 0; i < s->key_count; i++)
		if (s->keys[i].expected)
			return true;
	return false;
}

/* header: whether it is exactly right, too, is asked of who verifies in earnest. */
static void conclude(struct search *s, const char *header, bool found)
{
	struct explanation *e = s->e;
	uint8_t mac[SIGNATURE_LEN];

	if (!found) {
		explain_add(e, "unknown", "No secret known here made it, for this body or any form of it tried "
			    "(newlines, byte order mark, line ends, JSON written anew). Most likely the secret at "
			    "Autotask is another one: set it again on both sides. Else something on the way changes the body.");
		return;
	}
	if (!e->key->expected && any_expected(s))
		explain_add(e, "other-webhook", "It was made with the secret of another webhook, \"%s\".",
			    e->key->webhook ? e->key->webhook : "?");
	if (e->count)
		return;
	e->valid = signature_parse(header, mac) == 0;
	if (!e->valid)
		explain_add(e, "malformed", "The header's value means the right signature, but is not written exactly "
			    "as it must be: sha1= and 28 characters of Base64, the last one '='.");
}

int explain_signature(const char *header, const void *body, size_t len,
		      const struct explain_key *keys, size_t key_count, struct explanation *ret)
{
	const struct body here = { body ? body : "", len };
	struct explanation e = { .valid = false };
	struct search s = { .e = &e, .keys = keys, .key_count = key_count };
	int r;

	if (!key_count)
		return -EINVAL;
	if (!header) {
		explain_add(&e, "no-header", "There is no " SIGNATURE_HEADER " header: Autotask sends one with every "
			    "callout of a webhook that has a secret key.");
		*ret = e;
		return 0;
	}
	if (explain_claim(&e, header, &s.claim) == 0) {
		r = search_forms(&s, &here);
		if (r == 0)
			r = search_slips(&s, &here);
		if (r < 0)
			return r;
		conclude(&s, header, r == 1);
	}
	*ret = e;
	return 0;
}
