/* test_explain.c - every cause a signature may fail by is named, and nothing secret is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/digest.h"
#include "callout/explain.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "enkmoj676nwh8"
#define BODY "{\"Action\":\"Update\",\"Id\":174,\"Fields\":{\"Name\":\"R\\u00E9my \\u0026 Sons\",\"Note\":\"a/b\"," \
	"\"Tags\":[],\"More\":{ }}}"
#define PLAIN "{\"Action\":\"Update\",\"Id\":174,\"Fields\":{\"Name\":\"R\xc3\xa9my & Sons\",\"Note\":\"a/b\"," \
	"\"Tags\":[],\"More\":{}}}"
#define SPACED "{\"Action\": \"Update\", \"Id\": 174, \"Fields\": {\"Name\": \"R\\u00e9my & Sons\", \"Note\": \"a/b\", " \
	"\"Tags\": [], \"More\": {}}}"
#define PHP "{\"Action\":\"Update\",\"Id\":174,\"Fields\":{\"Name\":\"R\\u00e9my & Sons\",\"Note\":\"a\\/b\"," \
	"\"Tags\":[],\"More\":{}}}"
#define DOTNET "{\"Action\":\"Update\",\"Id\":174,\"Fields\":{\"Name\":\"R\\u00E9my \\u0026 Sons\",\"Note\":\"a/b\"," \
	"\"Tags\":[],\"More\":{}}}"
#define INDENTED "{\n  \"Action\": \"Update\",\n  \"Id\": 174,\n  \"Fields\": {\n    \"Name\": \"R\xc3\xa9my & Sons\",\n" \
	"    \"Note\": \"a/b\",\n    \"Tags\": [],\n    \"More\": {}\n  }\n}"

enum style { BASE64, HEX, URL, BARE };

static void secret_set(struct secret *s, const char *text)
{
	memset(s, 0, sizeof(*s));
	s->len = strlen(text);
	memcpy(s->bytes, text, s->len);
}

/* A header's value as a sender with this secret, digest and habit would write it. */
static void header_make(char *dst, size_t cap, const char *secret, const char *body,
			const char *digest, const char *prefix, enum style style)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1];
	size_t len = 0;

	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, secret, strlen(secret),
				  (const unsigned char *)body, strlen(body), mac, sizeof(mac), &len));
	if (style == HEX)
		(void)hex_text(mac, len, text);
	else
		(void)base64_text(mac, len, text);
	for (char *c = text; style == URL && *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	if (style == BARE)
		text[strcspn(text, "=")] = '\0';
	(void)snprintf(dst, cap, "%s%s", prefix, text);
}

static bool has(const struct explanation *e, const char *code)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->causes[i].code, code) == 0)
			return true;
	return false;
}

/* No sentence holds a secret, or the signature that would be right. */
static void tells_nothing(const struct explanation *e, const char *body)
{
	char right[256];

	header_make(right, sizeof(right), SECRET, body, "SHA1", "", BARE);
	for (size_t i = 0; i < e->count; i++) {
		assert_null(strstr(e->causes[i].text, SECRET));
		assert_null(strstr(e->causes[i].text, OTHER));
		assert_null(strstr(e->causes[i].text, right));
		assert_true(strlen(e->causes[i].text) > 20);
		assert_true(strlen(e->causes[i].text) < sizeof(e->causes[i].text) - 1);
	}
}

static void explain(const char *header, const char *body, const char *ours, struct explanation *ret)
{
	struct secret secrets[3];
	const struct explain_key keys[] = {
		{ "assets", 1, false, &secrets[0] },
		{ "tickets", 1, true, &secrets[1] },
		{ "tickets", 2, true, &secrets[2] },
	};

	secret_set(&secrets[0], OTHER);
	secret_set(&secrets[1], "the-new-one");
	secret_set(&secrets[2], ours);
	assert_int_equal(explain_signature(header, body, strlen(body), keys, 3, ret), 0);
	tells_nothing(ret, body);
	/* The keys are gone when this returns; what a caller looks at is copied here. */
	if (ret->key)
		assert_string_equal(ret->key->webhook, ret->key == &keys[0] ? "assets" : "tickets");
}

static void valid(void **state)
{
	static const struct {
		const char *signed_with, *signed_body, *body;
		enum signature_form form;
	} rows[] = {
		{ SECRET, BODY, BODY, SIGNATURE_RAW },
		{ "the-new-one", BODY, BODY, SIGNATURE_RAW },
		{ SECRET, DOTNET, PLAIN, SIGNATURE_ESCAPED },
		{ SECRET, "", "", SIGNATURE_RAW },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char header[256];
		struct explanation e;

		header_make(header, sizeof(header), rows[i].signed_with, rows[i].signed_body, "SHA1", "sha1=", BASE64);
		explain(header, rows[i].body, SECRET, &e);
		assert_true(e.valid);
		assert_int_equal(e.count, 0);
		assert_int_equal(e.form, rows[i].form);
		assert_non_null(e.key);
	}
}

static void headers(void **state)
{
	static const struct {
		const char *digest, *prefix;
		enum style style;
		const char *codes[3];
	} rows[] = {
		{ "SHA1", "", BASE64, { "no-prefix" } },
		{ "SHA1", "sha1=", HEX, { "hex" } },
		{ "SHA1", "", HEX, { "no-prefix", "hex" } },
		{ "SHA1", "sha1=", URL, { "url-safe" } },
		{ "SHA1", "sha1=", BARE, { "unpadded" } },
		{ "SHA256", "sha256=", BASE64, { "other-prefix", "sha256" } },
		{ "SHA256", "sha256=", HEX, { "other-prefix", "hex", "sha256" } },
		{ "SHA256", "", BASE64, { "no-prefix", "sha256" } },
		{ "SHA256", "sha1=", BASE64, { "sha256" } },
		{ "MD5", "sha1=", HEX, { "md5", "hex" } },
		{ "SHA384", "", BASE64, { "sha384" } },
		{ "SHA512", "sha512=", HEX, { "sha512", "hex", "other-prefix" } },
		{ "SHA1", "hmac-sha1=", BASE64, { "other-prefix" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char header[256];
		struct explanation e;

		/* This body's HMAC-SHA1 has both '+' and '/' in Base64. */
		header_make(header, sizeof(header), SECRET, BODY "6", rows[i].digest, rows[i].prefix, rows[i].style);
		explain(header, BODY "6", SECRET, &e);
		assert_false(e.valid);
		assert_non_null(e.key);         /* the secret was found all the same */
		for (size_t k = 0; k < 3 && rows[i].codes[k]; k++)
			assert_true(has(&e, rows[i].codes[k]));
		assert_false(has(&e, "unknown"));
	}
}

static void header_forms(void **state)
{
	static const struct {
		const char *before, *behind, *code;
	} rows[] = {
		{ "\"", "\"", "quoted" },
		{ "'", "'", "quoted" },
		{ "", "=", "unpadded" },
		{ " ", "", "malformed" },
	};
	char value[64], header[128];
	struct explanation e;

	(void)state;
	header_make(value, sizeof(value), SECRET, BODY, "SHA1", "sha1=", BASE64);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(header, sizeof(header), "%s%s%s", rows[i].before, value, rows[i].behind);
		explain(header, BODY, SECRET, &e);
		assert_false(e.valid);
		assert_true(has(&e, rows[i].code));
	}
}

static void header_nonsense(void **state)
{
	static const char *const rows[] = {
		"", "sha1=", "x", "sha1=!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "sha1=abcd", "Bearer abcdef",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0C\xff=",
	};
	char longest[1000];
	struct explanation e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		explain(rows[i], BODY, SECRET, &e);
		assert_false(e.valid);
		assert_int_equal(e.count, 1);
		assert_string_equal(e.causes[0].code, "malformed");
		assert_null(e.key);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	explain(longest, BODY, SECRET, &e);
	assert_true(has(&e, "malformed"));
	explain(NULL, BODY, SECRET, &e);
	assert_true(!e.valid && has(&e, "no-header"));
}

static void bodies(void **state)
{
	static const struct {
		const char *signed_body, *body, *code;
	} rows[] = {
		{ BODY, BODY "\n", "newline-added" },
		{ BODY, BODY "\r\n", "newline-added" },
		{ BODY "\n", BODY, "newline-lost" },
		{ BODY "\r\n", BODY, "newline-lost" },
		{ BODY, "\xef\xbb\xbf" BODY, "byte-order-mark-added" },
		{ "\xef\xbb\xbf" BODY, BODY, "byte-order-mark-lost" },
		{ "{\r\n\"Id\":1\r\n}", "{\n\"Id\":1\n}", "crlf-to-lf" },
		{ "{\n\"Id\":1\n}", "{\r\n\"Id\":1\r\n}", "lf-to-crlf" },
		{ DOTNET, SPACED, "reserialised" },
		{ DOTNET, INDENTED, "reserialised" },
		{ DOTNET, PHP, "reserialised" },
		{ PLAIN, SPACED, "reserialised" },
		{ PHP, INDENTED, "reserialised" },
		{ SPACED, PLAIN, "reserialised" },
		{ INDENTED, DOTNET, "reserialised" },
		{ DOTNET, PLAIN "\n", "newline-added" },        /* and escaped */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char header[256];
		struct explanation e;

		header_make(header, sizeof(header), SECRET, rows[i].signed_body, "SHA1", "sha1=", BASE64);
		explain(header, rows[i].body, SECRET, &e);
		assert_false(e.valid);
		assert_int_equal(e.count, 1);
		assert_string_equal(e.causes[0].code, rows[i].code);
		assert_non_null(e.key);
	}
}

static void secrets(void **state)
{
	static const struct {
		const char *theirs, *ours, *code;
	} rows[] = {
		{ OTHER, SECRET, "other-webhook" },
		{ SECRET "\n", SECRET, "secret-newline" },
		{ SECRET "\r\n", SECRET, "secret-newline" },
		{ SECRET " ", SECRET, "secret-blank" },
		{ SECRET, SECRET " ", "secret-blank" },
		{ SECRET, "\t" SECRET, "secret-blank" },
		{ SECRET, SECRET "\n", "secret-blank" },
		{ SECRET, "\xef\xbb\xbf" SECRET, "secret-byte-order-mark" },
		{ SECRET, "0123456789ABCDEF0123456789ABCDEF", "secret-case" },
		{ "0123456789ABCDEF0123456789ABCDEF", SECRET, "secret-case" },
		{ "nobody-knows-it", SECRET, "unknown" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char header[256];
		struct explanation e;

		header_make(header, sizeof(header), rows[i].theirs, BODY, "SHA1", "sha1=", BASE64);
		explain(header, BODY, rows[i].ours, &e);
		assert_false(e.valid);
		assert_int_equal(e.count, 1);
		assert_string_equal(e.causes[0].code, rows[i].code);
	}
}

static void several_at_once(void **state)
{
	char header[256];
	struct explanation e;

	(void)state;
	header_make(header, sizeof(header), OTHER, DOTNET, "SHA256", "", HEX);
	explain(header, SPACED, SECRET, &e);
	assert_false(e.valid);
	assert_true(has(&e, "hex") && has(&e, "sha256") && has(&e, "no-prefix"));
	assert_true(has(&e, "reserialised") && has(&e, "other-webhook"));
}

static void without_keys(void **state)
{
	struct explanation e;

	(void)state;
	assert_int_equal(explain_signature("sha1=x", BODY, strlen(BODY), NULL, 0, &e), -EINVAL);
}

/* A body at the daemon's limit, and one that is no JSON: bounded, no cause invented. */
static void large(void **state)
{
	size_t len = 1024 * 1024;
	struct secret secret;
	const struct explain_key key = { "tickets", 1, true, &secret };
	struct explanation e;
	char *body = malloc(len);

	(void)state;
	assert_non_null(body);
	secret_set(&secret, SECRET);
	memset(body, '"', len);
	assert_int_equal(explain_signature("sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", body, len, &key, 1, &e), 0);
	assert_true(has(&e, "unknown"));
	memset(body, '[', len);
	assert_int_equal(explain_signature("sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", body, len, &key, 1, &e), 0);
	assert_true(has(&e, "unknown"));
	free(body);
}

static void rewriting(void **state)
{
	static const struct {
		const char *in;
		enum reserialise_layout layout;
		enum reserialise_texts texts;
		const char *out;        /* NULL: not JSON */
	} rows[] = {
		{ BODY, LAYOUT_COMPACT, TEXTS_PLAIN, PLAIN },
		{ BODY, LAYOUT_SPACED, TEXTS_ASCII, SPACED },
		{ BODY, LAYOUT_COMPACT, TEXTS_ASCII_SLASH, PHP },
		{ BODY, LAYOUT_INDENT_2, TEXTS_PLAIN, INDENTED },
		{ " [ 1.50 , -2e3,true , null ] ", LAYOUT_COMPACT, TEXTS_PLAIN, "[1.50,-2e3,true,null]" },
		{ "[[],{},[1]]", LAYOUT_INDENT_4, TEXTS_PLAIN, "[\n    [],\n    {},\n    [\n        1\n    ]\n]" },
		{ "\"\\ud83d\\ude00\"", LAYOUT_COMPACT, TEXTS_PLAIN, "\"\xf0\x9f\x98\x80\"" },
		{ "\"\xf0\x9f\x98\x80\"", LAYOUT_COMPACT, TEXTS_ASCII, "\"\\ud83d\\ude00\"" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001b\"", LAYOUT_COMPACT, TEXTS_PLAIN,
		  "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001b\"" },
		{ "\"\xff\"", LAYOUT_COMPACT, TEXTS_PLAIN, "\"\xef\xbf\xbd\"" },
		{ "{", LAYOUT_COMPACT, TEXTS_PLAIN, NULL },
		{ "", LAYOUT_COMPACT, TEXTS_PLAIN, NULL },
		{ "{} x", LAYOUT_COMPACT, TEXTS_PLAIN, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(4096);
		int r = reserialise(rows[i].in, strlen(rows[i].in), rows[i].layout, rows[i].texts, &out);

		assert_int_equal(r, rows[i].out ? 0 : -EBADMSG);
		if (rows[i].out)
			assert_string_equal(out.data, rows[i].out);
	}
}

static void rewriting_is_bounded(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(10);

	(void)state;
	assert_int_equal(reserialise(BODY, strlen(BODY), LAYOUT_COMPACT, TEXTS_PLAIN, &out), -ENOBUFS);
}

static void requests(void **state)
{
#define HEAD "POST /autotask/x?y=1 HTTP/1.1\r\nHost: h\r\nx-hook-signature:  sha1=abc \r\n"
	static const struct {
		const char *in, *path, *signature, *body;
		bool cut;
		size_t surplus;
	} rows[] = {
		{ HEAD "\r\n{}", "/autotask/x", "sha1=abc", "{}", false, 0 },
		{ HEAD "Content-Length: 2\r\n\r\n{}\n", "/autotask/x", "sha1=abc", "{}", false, 1 },
		{ HEAD "Content-Length: 9\r\n\r\n{}", "/autotask/x", "sha1=abc", "{}", true, 0 },
		{ HEAD "Content-Length: x\r\n\r\n{}", "/autotask/x", "sha1=abc", "{}", false, 0 },
		{ "POST /p HTTP/1.1\nX-Hook-Signature: s\n\n{\n}\n", "/p", "s", "{\n}\n", false, 0 },
		{ "X-Hook-Signature: s\n\n{}", NULL, "s", "{}", false, 0 },
		{ "POST /p HTTP/1.1\r\nHost: h\r\n\r\n", "/p", NULL, "", false, 0 },
		{ HEAD "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{\"\r\nA\r\na\":\"bcdef\"\r\n1\r\n}\r\n0\r\n\r\n",
		  "/autotask/x", "sha1=abc", "{\"a\":\"bcdef\"}", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(captured) struct captured c = { .path = NULL };

		assert_int_equal(captured_read(rows[i].in, strlen(rows[i].in), &c), 0);
		assert_true(rows[i].path ? c.path && strcmp(c.path, rows[i].path) == 0 : !c.path);
		assert_true(rows[i].signature ? c.signature && strcmp(c.signature, rows[i].signature) == 0
					      : !c.signature);
		assert_int_equal(c.len, strlen(rows[i].body));
		assert_memory_equal(c.body ? c.body : "", rows[i].body, c.len);
		assert_int_equal(c.cut, rows[i].cut);
		assert_int_equal(c.surplus, rows[i].surplus);
		assert_int_equal(c.signatures, rows[i].signature ? 1 : 0);
	}
}

static void bad_requests(void **state)
{
	static const char *const rows[] = {
		"", "POST / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: x",
		HEAD "Transfer-Encoding: chunked\r\n\r\n",
		HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n",
		HEAD "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
		HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
	};
	struct captured c = { .path = NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(captured_read(rows[i], strlen(rows[i]), &c), -EBADMSG);
}

static void repeated_header(void **state)
{
	AUTO(captured) struct captured c = { .path = NULL };
	const char *text = HEAD "X-Hook-Signature: second\r\n\r\n{}";

	(void)state;
	assert_int_equal(captured_read(text, strlen(text), &c), 0);
	assert_int_equal(c.signatures, 2);
	assert_string_equal(c.signature, "sha1=abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid),
		cmocka_unit_test(headers),
		cmocka_unit_test(header_forms),
		cmocka_unit_test(header_nonsense),
		cmocka_unit_test(bodies),
		cmocka_unit_test(secrets),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(without_keys),
		cmocka_unit_test(large),
		cmocka_unit_test(rewriting),
		cmocka_unit_test(rewriting_is_bounded),
		cmocka_unit_test(requests),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(repeated_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
