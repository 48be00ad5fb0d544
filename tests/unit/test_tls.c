/* test_tls.c - real certificates: what is refused, and a swap seen by real handshakes. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "intake/tls.h"
#include "openssl_run.h"

static char home[] = "/tmp/calloutd-test.XXXXXX";

static const char *at(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, 128, "%s/%s", home, name);
	return path;
}

/* NAME.pem and NAME.key: a certificate of its own for CN=NAME, valid for two days. */
static void certificate(const char *name)
{
	char subject[64], pem[32], key[32];

	(void)snprintf(subject, sizeof(subject), "/CN=%s", name);
	(void)snprintf(pem, sizeof(pem), "%s.pem", name);
	(void)snprintf(key, sizeof(key), "%s.key", name);
	openssl((const char *const[]){ "req", "-x509", "-newkey", "ec", "-pkeyopt",
				       "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
				       subject, "-keyout", at(key), "-out", at(pem), NULL });
}

static int group_setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(home));
	certificate("first");
	certificate("second");
	openssl((const char *const[]){ "ec", "-in", at("first.key"), "-aes128", "-passout", "pass:abcd",
				       "-out", at("locked.key"), NULL });
	return 0;
}

static int group_teardown(void **state)
{
	static const char *const files[] = { "first.pem", "first.key", "second.pem", "second.key",
					     "locked.key", "junk", "unsorted" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		(void)unlink(at(files[i]));
	return rmdir(home);
}

static void refusals(void **state)
{
	static const struct {
		const char *certificate, *key, *says;
		int result;
	} rows[] = {
		{ "first.pem", "second.key", "does not belong to", -EBADMSG },
		{ "nothing", "first.key", "cannot read tls-certificate", -ENOENT },
		{ "first.pem", "nothing", "cannot read tls-key", -ENOENT },
		{ "junk", "first.key", "no usable PEM certificate", -EBADMSG },
		{ "first.key", "first.key", "no usable PEM certificate", -EBADMSG },
		{ "first.pem", "junk", "no usable PEM private key", -EBADMSG },
		{ "first.pem", "first.pem", "no usable PEM private key", -EBADMSG },
		{ "first.pem", "locked.key", "encrypted", -EBADMSG },
		{ "unsorted", "first.key", "not in order", -EBADMSG },
	};
	AUTO(free) char *one = NULL, *two = NULL;
	size_t one_len, two_len;
	char both[8192];

	(void)state;
	assert_int_equal(file_replace(at("junk"), 0600, "junk\n", 5), 0);
	assert_int_equal(file_read(at("first.pem"), 4096, &one, &one_len), 0);
	assert_int_equal(file_read(at("second.pem"), 4096, &two, &two_len), 0);
	(void)snprintf(both, sizeof(both), "%s%s", one, two);
	assert_int_equal(file_replace(at("unsorted"), 0600, both, strlen(both)), 0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls *t = NULL;
		struct error err = { "" };

		assert_int_equal(tls_new(at(rows[i].certificate), at(rows[i].key), &t, &err), rows[i].result);
		assert_null(t);
		assert_non_null(strstr(err.text, rows[i].says));
	}
	assert_null(tls_free(NULL));
}

static void expiry(void **state)
{
	const int64_t two_days_ms = 2LL * 24 * 3600 * 1000;
	struct tls *t = NULL;

	(void)state;
	assert_int_equal(tls_new(at("first.pem"), at("first.key"), &t, NULL), 0);
	assert_in_range(tls_expiry_ms(t), clock_now_ms() + two_days_ms - 300000, clock_now_ms() + two_days_ms);
	assert_null(tls_free(t));
}

/* One end of a handshake over a socket pair. */
struct end {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	bool done;
};

static void end_open(struct end *e, unsigned flags, const char *priorities, int fd)
{
	assert_int_equal(gnutls_init(&e->session, flags | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&e->credentials), 0);
	assert_int_equal(gnutls_priority_set_direct(e->session, priorities, NULL), 0);
	assert_int_equal(gnutls_credentials_set(e->session, GNUTLS_CRD_CERTIFICATE, e->credentials), 0);
	gnutls_transport_set_int(e->session, fd);
	e->done = false;
}

static void end_close(struct end *e)
{
	gnutls_deinit(e->session);
	gnutls_certificate_free_credentials(e->credentials);
}

/* 0, or the error of the end that gave up first. */
static int end_step(struct end *e)
{
	int r = e->done ? 0 : gnutls_handshake(e->session);

	e->done = r == 0;
	return r < 0 && gnutls_error_is_fatal(r) ? r : 0;
}

static void common_name(gnutls_session_t session, char *dst, size_t cap)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t crt;

	assert_int_equal(count, 1);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, dst, &cap), 0);
	gnutls_x509_crt_deinit(crt);
}

/*
 * A whole handshake. swap: exchange the pair in the middle of it, as often as the ring
 * is long less one. True and the name the client saw, or false when it failed.
 */
static bool handshake_with(struct tls *t, const char *ours, const char *priorities, unsigned swaps,
			   char *name, size_t cap)
{
	struct end server, client;
	int pair[2], r = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	end_open(&server, GNUTLS_SERVER, ours, pair[0]);
	end_open(&client, GNUTLS_CLIENT, priorities, pair[1]);
	gnutls_certificate_set_retrieve_function3(server.credentials,
						  (gnutls_certificate_retrieve_function3 *)tls_callback(t));
	tls_attach(t, server.session);
	for (int step = 0; r == 0 && !(server.done && client.done) && step < 50; step++) {
		r = end_step(&client);
		if (r == 0)
			r = end_step(&server);
		for (; step == 0 && swaps; swaps--)
			assert_int_equal(tls_reload(t, at("second.pem"), at("second.key"), NULL), 0);
	}
	if (r == 0)
		common_name(client.session, name, cap);
	end_close(&server);
	end_close(&client);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return r == 0;
}

static bool handshake(struct tls *t, const char *priorities, unsigned swaps, char *name, size_t cap)
{
	return handshake_with(t, TLS_PRIORITIES, priorities, swaps, name, cap);
}

static void swap_between_and_within_handshakes(void **state)
{
	static const char *const versions[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct tls *t = NULL;
		struct error err = { "" };
		char name[64];

		assert_int_equal(tls_new(at("first.pem"), at("first.key"), &t, &err), 0);
		assert_true(handshake(t, versions[i], 0, name, sizeof(name)));
		assert_string_equal(name, "first");

		/* A pair that does not fit leaves the old one in force. */
		assert_int_equal(tls_reload(t, at("first.pem"), at("second.key"), &err), -EBADMSG);
		assert_true(handshake(t, versions[i], 0, name, sizeof(name)));
		assert_string_equal(name, "first");

		/* The server has chosen "first" before the swaps; it must still live afterwards. */
		assert_true(handshake(t, versions[i], 63, name, sizeof(name)));
		assert_string_equal(name, "first");
		assert_true(handshake(t, versions[i], 0, name, sizeof(name)));
		assert_string_equal(name, "second");
		assert_null(tls_free(t));
	}
}

static void old_versions_are_refused(void **state)
{
	static const char *const old[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT",
					   "NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT" };
	struct tls *t = NULL;
	char name[64];

	(void)state;
	assert_int_equal(tls_new(at("first.pem"), at("first.key"), &t, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(old); i++) {
		/* This client could, with a server that would. */
		assert_true(handshake_with(t, old[i], old[i], 0, name, sizeof(name)));
		assert_false(handshake(t, old[i], 0, name, sizeof(name)));
	}
	assert_null(tls_free(t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(expiry),
		cmocka_unit_test(swap_between_and_within_handshakes),
		cmocka_unit_test(old_versions_are_refused),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
