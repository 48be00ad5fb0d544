/* test_intake_reload.c - reloads while connections live, HTTPS, IPv6, and what is refused. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "intake_house.h"
#include "openssl_run.h"

#define TICKET(id) "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":" #id "}"

static struct house house;

static int setup(void **state)
{
	(void)state;
	house_open(&house, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	house_close(&house);
	return 0;
}

/* Put a new configuration in force; extra may hold another webhook. 0 or -errno. */
static int reload(const char *extra, char note[static 512], struct error *err)
{
	struct site *site;
	int r;

	house_configure(&house, extra);
	site = house_site(&house);
	note[0] = '\0';
	r = intake_reload(house.intake, site, note, 512, err);
	if (r == 0) {
		(void)site_unref(house.site);
		house.site = site;
	} else {
		(void)site_unref(site);
	}
	return r;
}

/* chain.pem and key.pem for CN=name. */
static void certificate(const char *name)
{
	char subject[64], pem[128], key[128];

	(void)snprintf(subject, sizeof(subject), "/CN=%s", name);
	openssl((const char *const[]){ "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
				       "-nodes", "-days", "2", "-subj", subject, "-keyout",
				       house_path(&house, "key.pem", key), "-out", house_path(&house, "chain.pem", pem), NULL });
}

/* ---- plain ---- */

static void counts_survive_and_paths_change(void **state)
{
	static const char more[] = "webhook \"more\" {\n path = \"/hooks/0123456789abcdef0123456789abcdef\"\n secrets = { \"file:%s/second\" }\n}\n";
	char extra[512], note[512], signature[SIGNATURE_TEXT_LEN], request[1024];
	struct error err = { "" };
	struct client *kept = client_open(&house);
	size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(1));

	(void)state;
	assert_true(client_send(kept, request, len));
	assert_int_equal(client_answer(&house, kept, NULL, 0), 200);
	(void)snprintf(extra, sizeof(extra), more, house.home);
	assert_int_equal(reload(extra, note, &err), 0);
	assert_string_equal(note, "");
	assert_true(client_send(kept, request, len));
	assert_int_equal(client_answer(&house, kept, NULL, 0), 200);
	client_close(kept);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_STORED], 1);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DUPLICATE], 1);

	sign(SECOND, TICKET(2), signature);
	(void)snprintf(request, sizeof(request), "POST /hooks/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: x\r\n" JSON
		       "X-Hook-Signature: %s\r\nContent-Length: %zu\r\n\r\n" TICKET(2), signature, strlen(TICKET(2)));
	assert_int_equal(ask(&house, request, strlen(request), NULL, 0), 200);
	assert_int_equal(house_counts(&house, "more").results[INTAKE_STORED], 1);
	assert_int_equal(reload("", note, &err), 0);
	assert_int_equal(ask(&house, request, strlen(request), NULL, 0), 404);
}

/* The site a request began with is the one that judges it. */
static void request_in_the_midst_of_a_reload(void **state)
{
	char request[4096], note[512], body[2001];
	struct client *c = client_open(&house);
	size_t len;
	struct error err = { "" };

	(void)state;
	(void)snprintf(body, sizeof(body), "%-2000s", TICKET(1));
	len = callout_request(request, sizeof(request), HOOK, "", body);
	assert_true(client_send(c, request, len - 5));
	UNTIL(&house, house_status(&house).in_flight == 1);
	house_write(&house, "secret", "another secret");
	assert_int_equal(reload("max-body = \"1K\"\n", note, &err), 0);
	assert_true(client_say(c, request + len - 5));
	assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	client_close(c);
	assert_int_equal(post(&house, HOOK, "", body), 413);
	assert_int_equal(reload("", note, &err), 0);
	assert_int_equal(post(&house, HOOK, "", body), 401);
}

static void what_needs_a_restart_is_said(void **state)
{
	char note[512], extra[512];
	struct error err = { "" };

	(void)state;
	certificate("localhost");
	(void)snprintf(extra, sizeof(extra), "max-header = \"64K\"\ntls-certificate = \"%s/chain.pem\"\ntls-key = \"%s/key.pem\"\n",
		       house.home, house.home);
	assert_int_equal(reload(extra, note, &err), 0);
	assert_non_null(strstr(note, "HTTPS was switched on: needs a restart"));
	assert_non_null(strstr(note, "max-header was raised: needs a restart"));
	assert_null(strstr(note, "listen"));    /* passed by systemd: not in use */

	house_write(&house, "key.pem", "junk");
	assert_int_equal(intake_check(house.intake, site_conf(house.site), &err), -EBADMSG);
	assert_int_equal(reload(extra, note, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "key.pem"));
	assert_int_equal(post(&house, HOOK, "", TICKET(1)), 200);
}

static void plain_http_needs_leave(void **state)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct intake_socket s = { socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), "web" };
	struct intake_options o = { .sockets = &s, .socket_count = 1 };
	struct intake *in = NULL;
	socklen_t len = sizeof(any);
	struct error err = { "" };
	char note[512];

	(void)state;
	assert_int_equal(bind(s.fd, (struct sockaddr *)&any, len), 0);
	assert_int_equal(listen(s.fd, 8), 0);
	assert_int_equal(getsockname(s.fd, (struct sockaddr *)&any, &len), 0);
	o.site = house.site;
	assert_int_equal(house_intake(&o, house.journal, &in, &err), -EPERM);
	assert_null(in);
	assert_non_null(strstr(err.text, "allow-plain-http"));
	assert_non_null(strstr(err.text, "in clear"));
	assert_non_null(strstr(err.text, "web"));

	house_configure(&house, "allow-plain-http = true\n");
	house.intake = intake_stop(house.intake, WAIT_MS);
	(void)site_unref(house.site);
	o.site = house.site = house_site(&house);
	assert_int_equal(house_intake(&o, house.journal, &house.intake, &err), 0);
	house.port = ntohs(any.sin6_port);
	/* Dual stack: the client comes by IPv4, and is shown so. */
	assert_int_equal(post(&house, HOOK, "", TICKET(1)), 200);
	assert_string_equal(house_event(&house, 1).client, "127.0.0.1");
	/* Leave is not taken back while the socket is open. */
	assert_int_equal(reload("", note, &err), -EPERM);
	assert_int_equal(post(&house, HOOK, "", TICKET(2)), 200);
}

static void other_sockets_are_refused(void **state)
{
	struct intake_socket s = { socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "odd" };
	struct intake_options o = { .site = house.site, .sockets = &s, .socket_count = 1 };
	struct intake *in = NULL;
	struct error err = { "" };

	(void)state;
	assert_int_equal(house_intake(&o, house.journal, &in, &err), -EINVAL);
	assert_non_null(strstr(err.text, "odd"));
	assert_int_equal(close(s.fd), 0);
}

static void several_sockets_share_limits_and_counts(void **state)
{
	struct intake_socket s[2] = { { -1, "one" }, { -1, "two" } };
	struct intake_options o = { .sockets = s, .socket_count = 2 };
	struct error err = { "" };
	int ports[2];

	(void)state;
	house.intake = intake_stop(house.intake, WAIT_MS);
	for (size_t i = 0; i < 2; i++)
		s[i].fd = house_socket(AF_INET, &ports[i]);
	o.site = house.site;
	assert_int_equal(house_intake(&o, house.journal, &house.intake, &err), 0);
	for (size_t i = 0; i < 2; i++) {
		house.port = ports[i];
		assert_int_equal(post(&house, HOOK, "", TICKET(1)), 200);
	}
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_STORED], 1);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DUPLICATE], 1);
	assert_non_null(strstr(house_status(&house).listening, "from systemd: one"));
	assert_non_null(strstr(house_status(&house).listening, "from systemd: two"));
}

/* ---- HTTPS ---- */

struct secure {
	struct client *plain;
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
};

static bool secure_open(struct secure *s, const char *priorities)
{
	int r;

	s->plain = client_open(&house);
	assert_int_equal(gnutls_init(&s->session, GNUTLS_CLIENT), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&s->credentials), 0);
	assert_int_equal(gnutls_priority_set_direct(s->session, priorities, NULL), 0);
	assert_int_equal(gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, s->credentials), 0);
	gnutls_transport_set_int(s->session, s->plain->fd);
	gnutls_handshake_set_timeout(s->session, WAIT_MS);
	do
		r = gnutls_handshake(s->session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return r == 0;
}

static void secure_close(struct secure *s)
{
	gnutls_deinit(s->session);
	gnutls_certificate_free_credentials(s->credentials);
	client_close(s->plain);
}

static int secure_ask(struct secure *s, const char *request, char *answer, size_t cap)
{
	struct client *c = s->plain;

	assert_true(gnutls_record_send(s->session, request, strlen(request)) > 0);
	c->len = 0;
	c->text[0] = '\0';
	gnutls_record_set_timeout(s->session, WAIT_MS);
	while (!client_whole(c)) {
		ssize_t n = gnutls_record_recv(s->session, c->text + c->len, sizeof(c->text) - 1 - c->len);

		if (n <= 0)
			break;
		c->len += (size_t)n;
		c->text[c->len] = '\0';
	}
	(void)snprintf(answer, cap, "%.*s", (int)c->len, c->text);
	return status_of(c->text);
}

static void shown_name(struct secure *s, char *dst, size_t cap)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(s->session, &count);
	gnutls_x509_crt_t crt;

	assert_true(count > 0);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, dst, &cap), 0);
	gnutls_x509_crt_deinit(crt);
}

static int setup_secure(void **state)
{
	char extra[512];

	(void)state;
	house_make(&house);
	certificate("first");
	(void)snprintf(extra, sizeof(extra), "request-timeout = \"2s\"\ntls-certificate = \"%s/chain.pem\"\n"
		       "tls-key = \"%s/key.pem\"\n", house.home, house.home);
	house_configure(&house, extra);
	house.site = house_site(&house);
	house_journal(&house);
	house_start(&house);
	return 0;
}

static void https_swaps_its_certificate_while_connections_live(void **state)
{
	static const char *const versions[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3" };
	char request[1024], answer[1024], note[512], name[64], path[128], extra[512];
	struct secure old[2], fresh;
	struct error err = { "" };

	(void)state;
	(void)callout_request(request, sizeof(request), HOOK, "", TICKET(1));
	for (size_t i = 0; i < 2; i++) {
		assert_true(secure_open(&old[i], versions[i]));
		shown_name(&old[i], name, sizeof(name));
		assert_string_equal(name, "first");
		assert_int_equal(secure_ask(&old[i], request, answer, sizeof(answer)), 200);
	}
	assert_in_range(house_status(&house).certificate_expiry_ms, clock_now_ms(), clock_now_ms() + 3 * 86400000LL);
	assert_non_null(strstr(house_status(&house).listening, "(https"));

	certificate("second");
	(void)snprintf(extra, sizeof(extra), "request-timeout = \"2s\"\ntls-certificate = \"%s/chain.pem\"\ntls-key = \"%s/key.pem\"\n",
		       house.home, house.home);
	assert_int_equal(reload(extra, note, &err), 0);
	assert_string_equal(note, "");
	for (size_t i = 0; i < 2; i++) {
		assert_true(secure_open(&fresh, versions[i]));
		shown_name(&fresh, name, sizeof(name));
		assert_string_equal(name, "second");
		secure_close(&fresh);
		assert_int_equal(secure_ask(&old[i], request, answer, sizeof(answer)), 200);
		secure_close(&old[i]);
	}
	/* A pair that does not belong together changes nothing. */
	openssl((const char *const[]){ "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
				       house_path(&house, "key.pem", path), NULL });
	assert_int_equal(reload(extra, note, &err), -EBADMSG);
	assert_true(secure_open(&fresh, versions[0]));
	shown_name(&fresh, name, sizeof(name));
	assert_string_equal(name, "second");
	secure_close(&fresh);
}

static void old_tls_and_plain_http_get_nothing(void **state)
{
	struct secure s;

	(void)state;
	assert_false(secure_open(&s, "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"));
	secure_close(&s);
	assert_int_equal(post(&house, HOOK, "", TICKET(1)), 0);
}

/* Half a handshake is an incomplete request too. */
static void handshakes_have_a_deadline(void **state)
{
	struct client *c = client_open(&house);

	(void)state;
	assert_true(client_send(c, "\x16\x03\x01\x02\x00\x01", 6));
	client_gone(&house, c);
	client_close(c);
	assert_int_equal(house_status(&house).timed_out, 1);
}

static void ambiguous_over_https(void **state)
{
	char answer[1024];
	struct secure s;

	(void)state;
	assert_true(secure_open(&s, "NORMAL"));
	assert_int_equal(secure_ask(&s, "POST " HOOK " HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n", answer, sizeof(answer)),
			 400);
	assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
	assert_null(strstr(answer + 1, "HTTP/1."));
	secure_close(&s);
	UNTIL(&house, house_counts(&house, "").results[INTAKE_REFUSED] == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define SECURE(test) cmocka_unit_test_setup_teardown(test, setup_secure, teardown)
		EACH(counts_survive_and_paths_change),
		EACH(request_in_the_midst_of_a_reload),
		EACH(what_needs_a_restart_is_said),
		EACH(plain_http_needs_leave),
		EACH(other_sockets_are_refused),
		EACH(several_sockets_share_limits_and_counts),
		SECURE(https_swaps_its_certificate_while_connections_live),
		SECURE(old_tls_and_plain_http_get_nothing),
		SECURE(handshakes_have_a_deadline),
		SECURE(ambiguous_over_https),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
