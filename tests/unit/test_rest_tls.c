/* test_rest_tls.c - whom the REST client trusts, against `openssl s_server`. */
#include "rest_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>

#include "openssl_run.h"

static char *in(const struct world *w, const char *name, char *dst)
{
	(void)snprintf(dst, 200, "%s/%s", w->directory, name);
	return dst;
}

/* NAME.pem and NAME.key, signed by itself; days may be over. */
static void make_certificate(const struct world *w, const char *name, const char *host, const char *days)
{
	char key[200], request[200], certificate[200], subject[100], extension[200];

	(void)snprintf(subject, sizeof(subject), "/CN=%s", host);
	(void)snprintf(certificate, sizeof(certificate), "subjectAltName=DNS:%s", host);
	put_file(w->directory, "extension", certificate);
	openssl((const char *[]){ "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
				  "-keyout", in(w, "key", key), "-out", in(w, "request", request), NULL });
	openssl((const char *[]){ "x509", "-req", "-in", request, "-signkey", key, "-days", days, "-extfile",
				  in(w, "extension", extension), "-out", in(w, name, certificate), NULL });
}

/* Serves files of the directory, with the headers that they hold. */
static void start_server(struct world *w, const char *certificate)
{
	char cert[200], key[200], line[128], base[64], *argv[] = { (char[]){ "openssl" }, (char[]){ "s_server" }, (char[]){ "-accept" },
		(char[]){ "127.0.0.1:0" }, (char[]){ "-HTTP" }, (char[]){ "-cert" }, in(w, certificate, cert), (char[]){ "-key" },
		in(w, "key", key), NULL };
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->process = fork();
	assert_true(w->process >= 0);
	if (w->process == 0) {
		int null = open("/dev/null", O_RDWR);

		if (chdir(w->directory) == 0 && dup2(null, 0) == 0 && dup2(out[1], 1) == 1 && dup2(null, 2) == 2)
			(void)execvp("openssl", argv);
		_exit(127);
	}
	(void)close(out[1]);
	do
		first_line(out[0], line, sizeof(line));
	while (strncmp(line, "ACCEPT ", 7) != 0);
	(void)close(out[0]);
	(void)snprintf(base, sizeof(base), "https://localhost%s", strrchr(line, ':'));
	world_point_to(w, base);
}

static void put_zone(const struct world *w)
{
	char directory[200], text[300];

	assert_int_equal(directory_make(in(w, "atservicesrest/v1.0", directory), 0700, NULL), 0);
	(void)snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"url\":\"%s/ATServicesRest/\"}", w->base);
	put_file(directory, "zoneInformation?user=api%40example.com", text);
}

static void refused(struct world *w, const char *words, const char *advice)
{
	struct rest *r = NULL;

	assert_int_equal(rest_open(&w->options, &r, &w->err), -ECONNREFUSED);
	assert_null(r);
	assert_said(w, "GET zoneInformation: no trust in https://localhost:");
	assert_said(w, words);
	assert_said(w, advice);
}

/* A server that shows this certificate for a name, valid for so many days. */
static void offer(struct world *w, const char *certificate, const char *name, const char *days)
{
	make_certificate(w, certificate, name, days);
	start_server(w, certificate);
	put_zone(w);
}

static void an_unknown_authority(void **state)
{
	struct world *w = *state;

	offer(w, "good.pem", "localhost", "2");
	refused(w, "self-signed", "name its certificate with ca-file in autotask { }");
}

static void an_expired_certificate(void **state)
{
	struct world *w = *state;
	char ca[200];

	offer(w, "old.pem", "localhost", "-1");
	w->autotask.ca_file = in(w, "old.pem", ca);
	refused(w, "expired", "the other side must renew it");
}

static void another_hosts_certificate(void **state)
{
	struct world *w = *state;
	char ca[200];

	offer(w, "other.pem", "other.example.net", "2");
	w->autotask.ca_file = in(w, "other.pem", ca);
	refused(w, "host name", "the certificate is another host's");
}

static void a_file_of_authorities_that_is_none(void **state)
{
	struct world *w = *state;
	char ca[200];

	offer(w, "good.pem", "localhost", "2");
	w->autotask.ca_file = in(w, "none.pem", ca);
	refused(w, "certificate file", "check ca-file in autotask { }");
}

static void a_private_authority(void **state)
{
	struct world *w = *state;
	char ca[200];

	make_certificate(w, "good.pem", "localhost", "2");
	start_server(w, "good.pem");
	put_zone(w);
	w->autotask.ca_file = in(w, "good.pem", ca);
	AUTO(rest) struct rest *r = opened(w);
	assert_non_null(strstr(rest_base(r), "https://localhost:"));
}

/* s_server waits for a GET: what was posted is there, so that it may have been done. */
static void silence_after_the_handshake(void **state)
{
	struct world *w = *state;
	char ca[200];

	make_certificate(w, "good.pem", "localhost", "2");
	start_server(w, "good.pem");
	put_zone(w);
	w->autotask.ca_file = in(w, "good.pem", ca);
	w->options.whole_ms = 2000;
	AUTO(rest) struct rest *r = opened(w);
	assert_int_equal(rest_post(r, "TicketWebhooks", "{}", NULL, &w->err), -ECONNREFUSED);
	assert_said(w, "POST TicketWebhooks: no answer from https://localhost:");
	assert_said(w, "whether it was done is unknown");
}

/* A server that answers whatever comes with plain text, until it is ended. */
static void start_plain(struct world *w)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static const char text[] = "HTTP/1.0 400 Bad Request\r\n\r\n";
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	socklen_t len = sizeof(at);
	char base[64], bytes[4096];

	assert_int_equal(bind(listening, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listening, 4), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
	w->process = fork();
	assert_true(w->process >= 0);
	while (w->process == 0 && (fd = accept(listening, NULL, NULL)) >= 0) {
		if (read(fd, bytes, sizeof(bytes)) > 0 && send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) > 0)
			while (read(fd, bytes, sizeof(bytes)) > 0)
				;
		(void)close(fd);
	}
	(void)close(listening);
	(void)snprintf(base, sizeof(base), "https://localhost:%u", ntohs(at.sin_port));
	world_point_to(w, base);
}

static void a_server_without_tls(void **state)
{
	struct world *w = *state;

	start_plain(w);
	refused(w, "wrong version", "speaks no TLS");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_authority), TEST(an_expired_certificate), TEST(another_hosts_certificate),
		TEST(a_file_of_authorities_that_is_none), TEST(a_private_authority),
		TEST(silence_after_the_handshake), TEST(a_server_without_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
