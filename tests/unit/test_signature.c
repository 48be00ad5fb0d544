/* test_signature.c - the vectors, the fallback, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "callout/signature.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define GUID "\"Guid\":\"11111111-2222-3333-4444-555555555555\""
#define BODY_A "{\"Action\":\"Create\"," GUID ",\"EntityType\":\"Ticket\",\"Id\":351181,\"Fields\":" \
	"{\"TicketNumber\":\"T20250915.0001\"},\"EventTime\":\"2025-09-15T14:57:50Z\",\"SequenceNumber\":1," \
	"\"PersonID\":30691780}"
#define BODY_B(name) "{\"Action\":\"Update\"," GUID ",\"EntityType\":\"Account\",\"Id\":174,\"Fields\":" \
	"{\"CompanyName\":\"" name "\"},\"EventTime\":\"2025-09-15T15:10:00Z\",\"SequenceNumber\":2," \
	"\"PersonID\":30691780}"
#define BODY_C "{\"Action\":\"Delete\"," GUID ",\"EntityType\":\"Contact\",\"Id\":42,\"Fields\":{}," \
	"\"EventTime\":\"2025-09-15T16:00:00Z\",\"SequenceNumber\":3,\"PersonID\":30691780}"
#define B_ESCAPED BODY_B("R\\u00E9my \\u0026 Sons \\u002B Co")
#define B_PLAIN BODY_B("R\xc3\xa9my & Sons + Co")

static struct keyring *ring(const char *const *texts, size_t count)
{
	struct secret secrets[4];
	const struct secret *list[4];
	struct keyring *k = NULL;

	for (size_t i = 0; i < count; i++) {
		secrets[i].len = strlen(texts[i]);
		memcpy(secrets[i].bytes, texts[i], secrets[i].len);
		list[i] = &secrets[i];
	}
	assert_int_equal(keyring_new(list, count, &k), 0);
	return k;
}

static int verify(const char *secret, const char *header, const char *body, struct signature_match *m)
{
	struct keyring *k = ring(&secret, 1);
	uint8_t mac[SIGNATURE_LEN];
	int r;

	assert_int_equal(signature_parse(header, mac), 0);
	r = signature_verify(k, mac, body, strlen(body), m);
	(void)keyring_free(k);
	return r;
}

static void vectors(void **state)
{
	static const struct {
		const char *secret, *body, *header;
		enum signature_form form;
	} rows[] = {
		{ SECRET, BODY_A, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", SIGNATURE_RAW },
		{ SECRET, B_ESCAPED, "sha1=BF76kT6eJ6GfPqCRqFQzzysR8bw=", SIGNATURE_RAW },
		{ SECRET, B_PLAIN, "sha1=BF76kT6eJ6GfPqCRqFQzzysR8bw=", SIGNATURE_ESCAPED },
		{ SECRET, B_PLAIN, "sha1=8wE2KeLgGmQ9QkVwzb6QpvGEjUY=", SIGNATURE_RAW },
		{ SECRET, BODY_C, "sha1=JKhiDUWydvaayr/08mCWafU7BMw=", SIGNATURE_RAW },
		{ SECRET, "", "sha1=iiJwjPDd5wsOderZV15lnc5qhbI=", SIGNATURE_RAW },
		{ "enkmoj676nwh8", BODY_A, "sha1=HMToe/FxvIaA37896yo+txgePxY=", SIGNATURE_RAW },
		{ "Jefe", "what do ya want for nothing?", "SHA1=7/zfauXrL6LSdBbV8YTfnCWafHk=", SIGNATURE_RAW },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct signature_match m = { 0, SIGNATURE_RAW };

		assert_int_equal(verify(rows[i].secret, rows[i].header, rows[i].body, &m), 1);
		assert_int_equal(m.position, 1);
		assert_int_equal(m.form, rows[i].form);
	}
}

static void made_as_verified(void **state)
{
	const char *secret = SECRET;
	struct keyring *k = ring(&secret, 1);
	char text[SIGNATURE_TEXT_LEN];

	(void)state;
	assert_int_equal(signature_make(k, BODY_A, strlen(BODY_A), text), 0);
	assert_string_equal(text, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=");
	(void)keyring_free(k);
}

static void refused_headers(void **state)
{
	static const char *const rows[] = {
		"", "sha1=", "sha1", "d1url/ZAJc8hwpkez5aSoXBL0CI=",
		"sha256=d1url/ZAJc8hwpkez5aSoXBL0CI=",
		"sha1=775baf9bf6402 5cf21c2991ecf9692a1704bd022",
		"sha1=775baf9bf64025cf21c2991ecf9692a1704bd022",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CI",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CI==",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CI= ",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=x",
		" sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=",
		"sha1= d1url/ZAJc8hwpkez5aSoXBL0CI=",
		"sha1=d1url_ZAJc8hwpkez5aSoXBL0CI=",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CJ=",    /* bits behind the last byte */
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0C=I",
		"sha1=d1url/ZAJc8h,sha1=d1url/ZAJc",
	};
	uint8_t mac[SIGNATURE_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(signature_parse(rows[i], mac), -EINVAL);
}

static void refused_bodies(void **state)
{
	struct signature_match m;

	(void)state;
	assert_int_equal(verify(SECRET, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", BODY_C, &m), 0);
	assert_int_equal(verify(SECRET, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", BODY_A "\n", &m), 0);
	assert_int_equal(verify("another", "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", BODY_A, &m), 0);
	assert_int_equal(verify(SECRET, "sha1=BF76kT6eJ6GfPqCRqFQzzysR8bw=",
				BODY_B("R\xc3my & Sons + Co"), &m), 0);
}

static void several_secrets(void **state)
{
	static const char *const texts[] = { "first", "second", SECRET };
	struct keyring *k = ring(texts, 3);
	struct signature_match m;
	uint8_t mac[SIGNATURE_LEN];

	(void)state;
	assert_int_equal(signature_parse("sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", mac), 0);
	assert_int_equal(signature_verify(k, mac, BODY_A, strlen(BODY_A), &m), 1);
	assert_int_equal(m.position, 3);
	(void)keyring_free(k);
}

static void escaped_forms(void **state)
{
	static const struct {
		const char *in, *out;   /* out NULL: there is none */
	} rows[] = {
		{ "{\"a\":1}", "{\"a\":1}" },
		{ "\"a&b<c>d'e+f`g\x7f\"", "\"a\\u0026b\\u003Cc\\u003Ed\\u0027e\\u002Bf\\u0060g\\u007F\"" },
		{ "\"\\\"\\\\\\/\\n\\u00e9\"", "\"\\u0022\\\\\\/\\n\\u00e9\"" },
		{ "& \"&\" '", "& \"\\u0026\" '" },
		{ "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\\u00E9\\u20AC\\uD83D\\uDE00\"" },
		{ "\"abc", NULL }, { "\"a\\", NULL }, { "\"\xff\"", NULL }, { "\"\xed\xa0\x80\"", NULL },
		{ "\"\xc0\xaf\"", NULL }, { "\"\xe2\x82\"", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(1024);
		int r = signature_escape(rows[i].in, strlen(rows[i].in), &out);

		assert_int_equal(r, rows[i].out ? 0 : -EBADMSG);
		if (rows[i].out)
			assert_string_equal(out.data, rows[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(made_as_verified),
		cmocka_unit_test(refused_headers),
		cmocka_unit_test(refused_bodies),
		cmocka_unit_test(several_secrets),
		cmocka_unit_test(escaped_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
