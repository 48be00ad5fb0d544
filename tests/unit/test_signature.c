/* test_signature.c - the vectors, the fallback, and what is refused. */
#include <errno.h>
#include <pthread.h>
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
		"sha1:d1url/ZAJc8hwpkez5aSoXBL0CI=", "sha1 d1url/ZAJc8hwpkez5aSoXBL0CI=",
		"sha-1=d1url/ZAJc8hwpkez5aSoXBL0CI=", "hmac-sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=",
		"sha1==d1url/ZAJc8hwpkez5aSoXBL0CI=", "sha1=\"d1url/ZAJc8hwpkez5aSoXBL0CI=\"",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CI\xff", "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=\n",
		"sha1=d1url/ZAJc8hwpkez5aSoXBL0CK=", "sha1=============================",
		"sha256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"sha1=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",   /* 32 bytes */
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

/* A stranger's empty body, and one whose escaped form is its raw form. */
static void nothing_to_escape(void **state)
{
	struct signature_match m;

	(void)state;
	assert_int_equal(verify(SECRET, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", "", &m), 0);
	assert_int_equal(verify(SECRET, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", "{\"a\":\"b\"}", &m), 0);
	/* Not UTF-8: there is no other form, so the raw one decides. */
	assert_int_equal(verify(SECRET, "sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", "\"\xff\"", &m), 0);
}

/* Unable to decide is neither yes nor no. */
static void an_empty_ring_decides_nothing(void **state)
{
	struct signature_match m;
	struct keyring *k = NULL;
	uint8_t mac[SIGNATURE_LEN] = { 0 };
	char text[SIGNATURE_TEXT_LEN];

	(void)state;
	assert_int_equal(keyring_new(NULL, 0, &k), 0);
	assert_int_equal(signature_verify(k, mac, BODY_A, strlen(BODY_A), &m), -ENOKEY);
	assert_int_equal(signature_make(k, BODY_A, strlen(BODY_A), text), -ENOKEY);
	assert_null(keyring_free(k));
	assert_null(keyring_free(NULL));
}

static void every_position(void **state)
{
	static const char *const texts[] = { "first", "second", "third", "first" };
	struct keyring *all = ring(texts, 4);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct keyring *one = ring(&texts[i], 1);
		struct signature_match m = { 0, SIGNATURE_ESCAPED };
		char text[SIGNATURE_TEXT_LEN];
		uint8_t mac[SIGNATURE_LEN];

		/* Signed over the escaped form: the fallback tries every secret too. */
		assert_int_equal(signature_make(one, B_ESCAPED, strlen(B_ESCAPED), text), 0);
		assert_int_equal(signature_parse(text, mac), 0);
		assert_int_equal(signature_verify(all, mac, B_ESCAPED, strlen(B_ESCAPED), &m), 1);
		assert_int_equal(m.position, i + 1);
		assert_int_equal(m.form, SIGNATURE_RAW);
		assert_int_equal(signature_verify(all, mac, B_PLAIN, strlen(B_PLAIN), &m), 1);
		assert_int_equal(m.position, i + 1);
		assert_int_equal(m.form, SIGNATURE_ESCAPED);
		(void)keyring_free(one);
	}
	(void)keyring_free(all);
	assert_string_equal(signature_form_name(SIGNATURE_RAW), "raw");
	assert_string_equal(signature_form_name(SIGNATURE_ESCAPED), "escaped");
}

/* Any one bit of the signature or of the body wrong is all wrong. */
static void every_bit_counts(void **state)
{
	const char *secret = SECRET;
	struct keyring *k = ring(&secret, 1);
	char body[] = BODY_A;
	struct signature_match m;
	uint8_t mac[SIGNATURE_LEN];

	(void)state;
	assert_int_equal(signature_parse("sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=", mac), 0);
	for (unsigned bit = 0; bit < 8 * SIGNATURE_LEN; bit++) {
		mac[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(signature_verify(k, mac, body, strlen(body), &m), 0);
		mac[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t i = 0; i < strlen(BODY_A); i++) {
		body[i] ^= 1;
		assert_int_equal(signature_verify(k, mac, body, strlen(BODY_A), &m), 0);
		body[i] ^= 1;
	}
	assert_int_equal(signature_verify(k, mac, body, strlen(body) - 1, &m), 0);
	assert_int_equal(signature_verify(k, mac, body, strlen(body), &m), 1);
	(void)keyring_free(k);
}

static void *verify_often(void *arg)
{
	uint8_t mac[SIGNATURE_LEN];
	struct signature_match m;

	if (signature_parse("sha1=BF76kT6eJ6GfPqCRqFQzzysR8bw=", mac) < 0)
		return arg;
	for (int i = 0; i < 500; i++)
		if (signature_verify(arg, mac, B_PLAIN, strlen(B_PLAIN), &m) != 1 ||
		    m.form != SIGNATURE_ESCAPED)
			return arg;
	return NULL;
}

static void one_ring_for_many_threads(void **state)
{
	const char *secret = SECRET;
	struct keyring *k = ring(&secret, 1);
	pthread_t threads[4];
	void *wrong;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, verify_often, k), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	(void)keyring_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(made_as_verified),
		cmocka_unit_test(refused_headers),
		cmocka_unit_test(refused_bodies),
		cmocka_unit_test(several_secrets),
		cmocka_unit_test(nothing_to_escape),
		cmocka_unit_test(an_empty_ring_decides_nothing),
		cmocka_unit_test(every_position),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(one_ring_for_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
