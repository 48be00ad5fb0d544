/* test_address.c - listening addresses, stale sockets, and who is calling behind proxies. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "intake/address.h"

static void parsing(void **state)
{
	static const struct {
		const char *text, *shown;       /* shown NULL: refused */
		bool loopback;
	} rows[] = {
		{ "127.0.0.1:9080", "127.0.0.1:9080", true },
		{ "127.9.8.7:1", "127.9.8.7:1", true },
		{ "192.0.2.1:65535", "192.0.2.1:65535", false },
		{ "0.0.0.0:80", "0.0.0.0:80", false },
		{ "[::1]:9080", "[::1]:9080", true },
		{ "[::]:9080", "[::]:9080", false },
		{ "[::ffff:127.0.0.1]:9080", "[::ffff:127.0.0.1]:9080", true },
		{ "[::ffff:192.0.2.1]:9080", "[::ffff:192.0.2.1]:9080", false },
		{ "[2001:db8::1]:443", "[2001:db8::1]:443", false },
		{ "*:9080", "[::]:9080", false },
		{ "9080", "[::]:9080", false },
		{ "unix:/run/x.sock", "unix:/run/x.sock", true },
		{ "", NULL, false },
		{ ":9080", NULL, false },
		{ "127.0.0.1", NULL, false },
		{ "127.0.0.1:", NULL, false },
		{ "127.0.0.1:0", NULL, false },
		{ "127.0.0.1:65536", NULL, false },
		{ "127.0.0.1:+80", NULL, false },
		{ "127.0.0.1:80x", NULL, false },
		{ "localhost:9080", NULL, false },
		{ "::1:9080", NULL, false },
		{ "[::1]", NULL, false },
		{ "[::1:9080", NULL, false },
		{ "[]:9080", NULL, false },
		{ "[127.0.0.1]:x", NULL, false },
		{ "unix:relative", NULL, false },
		{ "unix:", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct address a;
		struct error err = { "" };
		char text[ADDRESS_TEXT_LEN];
		int r = address_parse(rows[i].text, &a, &err);

		if (!rows[i].shown) {
			assert_int_equal(r, -EINVAL);
			assert_non_null(strstr(err.text, "write \""));
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(address_text(&a, text), rows[i].shown);
		assert_int_equal(address_is_loopback(&a), rows[i].loopback);
	}
}

static void longest_path(void **state)
{
	char text[200] = "unix:/";
	struct address a;
	struct error err = { "" };

	(void)state;
	memset(text + 6, 'x', 106);             /* with the slash 107: sun_path holds 108 with its NUL */
	assert_int_equal(address_parse(text, &a, &err), 0);
	text[112] = 'x';
	assert_int_equal(address_parse(text, &a, &err), -EINVAL);
	assert_non_null(strstr(err.text, "107"));
}

static socklen_t peer(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (void *)ret;
	struct sockaddr_in6 *in6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (strcmp(text, "unix") == 0) {
		ret->ss_family = AF_UNIX;
		return sizeof(sa_family_t);
	}
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		return sizeof(*in);
	}
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	return sizeof(*in6);
}

static void client_texts(void **state)
{
	static const char *const rows[][2] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "unix", "unix" },
	};
	struct sockaddr_storage sa;
	char text[ADDRESS_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		socklen_t len = peer(rows[i][0], &sa);

		assert_string_equal(address_client_text((const struct sockaddr *)&sa, len, text), rows[i][1]);
	}
	assert_string_equal(address_client_text((const struct sockaddr *)&sa, 0, text), "unix");
}

static void clients(void **state)
{
	static const struct {
		const char *peer, *forwarded, *client;
		bool exempt;
	} rows[] = {
		/* Not a proxy: the header is whatever the client likes to write. */
		{ "198.51.100.1", NULL, "198.51.100.1", false },
		{ "198.51.100.1", "203.0.113.9", "198.51.100.1", false },
		{ "127.0.0.1", "203.0.113.9", "127.0.0.1", true },
		{ "::1", NULL, "::1", true },
		/* Trusted. */
		{ "192.0.2.7", "203.0.113.9", "203.0.113.9", false },
		{ "192.0.2.7", NULL, "192.0.2.7", true },
		{ "::ffff:192.0.2.7", "203.0.113.9", "203.0.113.9", false },
		{ "10.1.2.3", "203.0.113.9", "203.0.113.9", false },
		{ "11.1.2.3", "203.0.113.9", "11.1.2.3", false },
		{ "2001:db8:0:1::5", "203.0.113.9", "203.0.113.9", false },
		{ "2001:db8:1::5", "203.0.113.9", "2001:db8:1::5", false },
		{ "unix", "203.0.113.9", "203.0.113.9", false },
		{ "unix", NULL, "unix", true },
		/* The rightmost that is no proxy of ours. */
		{ "10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9", false },
		{ "10.0.0.1", "1.2.3.4,203.0.113.9 ,\t10.0.0.2", "203.0.113.9", false },
		{ "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", true },
		{ "10.0.0.1", "junk, 203.0.113.9", "203.0.113.9", false },
		{ "10.0.0.1", ",,, 203.0.113.9", "203.0.113.9", false },
		/* With ports, and IPv6. */
		{ "10.0.0.1", "203.0.113.9:4711", "203.0.113.9", false },
		{ "10.0.0.1", "[2001:db9::9]:4711", "2001:db9::9", false },
		{ "10.0.0.1", "2001:db9::9", "2001:db9::9", false },
		{ "10.0.0.1", "[2001:db9::9]", "2001:db9::9", false },
		{ "10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9", false },
		/* Malformed on the way: absent. */
		{ "10.0.0.1", "", "10.0.0.1", true },
		{ "10.0.0.1", "unknown", "10.0.0.1", true },
		{ "10.0.0.1", "203.0.113.9,", "10.0.0.1", true },
		{ "10.0.0.1", "203.0.113.9, junk", "10.0.0.1", true },
		{ "10.0.0.1", "203.0.113.9, junk, 10.0.0.2", "10.0.0.1", true },
		{ "10.0.0.1", "203.0.113.999", "10.0.0.1", true },
		{ "10.0.0.1", "[2001:db9::9", "10.0.0.1", true },
		{ "10.0.0.1", "[2001:db9::9]x", "10.0.0.1", true },
		{ "10.0.0.1", "203.0.113.9203.0.113.9203.0.113.9203.0.113.9203.0.113.9203.0.113.9", "10.0.0.1", true },
		{ "unix", "junk", "unix", true },
	};
	char *items[] = { (char[]){ "192.0.2.7" }, (char[]){ "10.0.0.0/8" }, (char[]){ "2001:db8::/48" },
			  NULL };
	const struct conf_list list = { items, 3 };
	struct proxies *p = NULL;
	struct error err = { "" };

	(void)state;
	assert_int_equal(proxies_new(&list, &p, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockaddr_storage sa;
		socklen_t len = peer(rows[i].peer, &sa);
		char text[ADDRESS_TEXT_LEN];
		bool exempt = !rows[i].exempt;

		assert_string_equal(proxies_client(p, (const struct sockaddr *)&sa, len, rows[i].forwarded,
						   text, &exempt), rows[i].client);
		assert_int_equal(exempt, rows[i].exempt);
	}
	assert_null(proxies_free(p));
	assert_null(proxies_free(NULL));
}

static void who_is_believed(void **state)
{
	static const struct {
		const char *peer;
		bool believed;
	} rows[] = { { "10.1.2.3", true }, { "::ffff:10.1.2.3", true }, { "11.1.2.3", false }, { "127.0.0.1", false } };
	char block[] = "10.0.0.0/8", *items[] = { block, NULL };
	const struct conf_list list = { items, 1 };
	AUTO(proxies) struct proxies *p = NULL;

	(void)state;
	assert_int_equal(proxies_new(&list, &p, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockaddr_storage sa;
		socklen_t len = peer(rows[i].peer, &sa);

		assert_int_equal(proxies_believe(p, (const struct sockaddr *)&sa, len), rows[i].believed);
	}
	assert_true(proxies_believe(p, NULL, 0));       /* through a UNIX socket: a proxy on this machine */
}

static void blocks(void **state)
{
	static const struct {
		const char *text, *says;        /* says NULL: fine */
	} rows[] = {
		{ "0.0.0.0/0", NULL }, { "::/0", NULL }, { "192.0.2.1/32", NULL }, { "::1/128", NULL },
		{ "10.0.0.0/33", "0 to 32" }, { "::/129", "0 to 128" }, { "10.0.0.0/", "0 to 32" },
		{ "10.0.0.0/-1", "0 to 32" }, { "10.0.0.0/8x", "0 to 32" }, { "10.0.0.0/0008", "0 to 32" },
		{ "10.0.0.1/8", "\"10.0.0.0/8\"" }, { "2001:db8::1/32", "\"2001:db8::/32\"" },
		{ "localhost", "write" }, { "", "write" }, { "10.0.0", "write" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "not an address" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *items[] = { strdupa(rows[i].text), NULL };
		const struct conf_list list = { items, 1 };
		struct proxies *p = NULL;
		struct error err = { "" };
		int r = proxies_new(&list, &p, &err);

		assert_int_equal(r, rows[i].says ? -EINVAL : 0);
		if (rows[i].says)
			assert_non_null(strstr(err.text, rows[i].says));
		(void)proxies_free(p);
	}
}

struct place {
	char directory[64], path[96];
	struct address address;
};

static struct place place_new(void)
{
	struct place p = { .directory = "/tmp/calloutd-test.XXXXXX" };
	char text[128];

	assert_non_null(mkdtemp(p.directory));
	(void)snprintf(p.path, sizeof(p.path), "%s/in.sock", p.directory);
	(void)snprintf(text, sizeof(text), "unix:%s", p.path);
	assert_int_equal(address_parse(text, &p.address, NULL), 0);
	return p;
}

static void place_remove(const struct place *p)
{
	(void)unlink(p->path);
	assert_int_equal(rmdir(p->directory), 0);
}

static void stale_socket_is_removed_living_one_is_not(void **state)
{
	struct place p = place_new();
	struct error err = { "" };
	struct stat st;
	int fd, again;

	(void)state;
	fd = address_listen(&p.address, 0640, &err);
	assert_true(fd >= 0);
	assert_int_equal(stat(p.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);

	assert_int_equal(address_listen(&p.address, 0640, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another process"));
	assert_int_equal(close(fd), 0);

	again = address_listen(&p.address, 0666, &err);
	assert_true(again >= 0);
	assert_int_equal(close(again), 0);
	place_remove(&p);
}

static void other_files_are_left_alone(void **state)
{
	struct place p = place_new();
	struct error err = { "" };
	int fd;

	(void)state;
	fd = open(p.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(address_listen(&p.address, 0600, &err), -EEXIST);
	assert_int_equal(access(p.path, F_OK), 0);
	place_remove(&p);

	memcpy(((struct sockaddr_un *)(void *)&p.address.sa)->sun_path, "/nowhere/x", sizeof("/nowhere/x"));
	assert_int_equal(address_listen(&p.address, 0600, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/x"));
}

static void taken_port(void **state)
{
	struct address any = { .len = sizeof(struct sockaddr_in) };
	struct sockaddr_in *in = (void *)&any.sa;
	struct error err = { "" };
	int fd;

	(void)state;
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = address_listen(&any, 0, &err);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any.sa, &any.len), 0);
	assert_int_equal(address_listen(&any, 0, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "127.0.0.1:"));
	assert_non_null(strstr(err.text, "another process"));
	assert_int_equal(close(fd), 0);

	in->sin_addr.s_addr = htonl(0xc0000201);        /* 192.0.2.1: nobody has it (RFC 5737) */
	assert_int_equal(address_listen(&any, 0, &err), -EADDRNOTAVAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(longest_path),
		cmocka_unit_test(client_texts),
		cmocka_unit_test(clients),
		cmocka_unit_test(who_is_believed),
		cmocka_unit_test(blocks),
		cmocka_unit_test(stale_socket_is_removed_living_one_is_not),
		cmocka_unit_test(other_files_are_left_alone),
		cmocka_unit_test(taken_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
