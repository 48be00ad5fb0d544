/* test_url.c - URLs taken apart, compared, escaped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/url.h"

static void good_ones(void **state)
{
	static const struct {
		const char *text, *host, *path, *origin;
		unsigned port;
		bool secure, loopback;
	} rows[] = {
		{ "https://a.example.net", "a.example.net", "", "https://a.example.net", 443, true, false },
		{ "HTTPS://A.example.net:8443/x?y=%20", "A.example.net", "/x?y=%20", "https://A.example.net:8443", 8443, true, false },
		{ "http://127.9.8.7/", "127.9.8.7", "/", "http://127.9.8.7", 80, false, true },
		{ "http://localhost:80?q", "localhost", "?q", "http://localhost", 80, false, true },
		{ "http://LocalHost:443/", "LocalHost", "/", "http://LocalHost:443", 443, false, true },
		{ "https://[::1]:9/x", "::1", "/x", "https://[::1]:9", 9, true, true },
		{ "http://[2001:db8::1]/", "2001:db8::1", "/", "http://[2001:db8::1]", 80, false, false },
		{ "http://128.0.0.1/", "128.0.0.1", "/", "http://128.0.0.1", 80, false, false },
		{ "http://127.0.0.1.example.net/", "127.0.0.1.example.net", "/", "http://127.0.0.1.example.net", 80, false, false },
		{ "http://localhost.example.net/", "localhost.example.net", "/", "http://localhost.example.net", 80, false, false },
		{ "http://127.1/", "127.1", "/", "http://127.1", 80, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf origin = BUF_INIT(1000);
		struct url u;

		assert_int_equal(url_parse(rows[i].text, &u), 0);
		assert_int_equal(u.host_len, strlen(rows[i].host));
		assert_memory_equal(u.host, rows[i].host, u.host_len);
		assert_string_equal(u.path, rows[i].path);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.secure, rows[i].secure);
		assert_int_equal(url_is_loopback(&u), rows[i].loopback);
		assert_int_equal(url_is_private(&u), rows[i].secure || rows[i].loopback);
		assert_int_equal(url_put_origin(&origin, &u), 0);
		assert_string_equal(origin.data, rows[i].origin);
	}
}

static void bad_ones(void **state)
{
	static const char *const rows[] = {
		"", "x", "https:", "https:/x", "https://", "https:///x", "ftp://x/", "https://:1/", "https://a:/", "https://a:0/",
		"https://a:65536/", "https://a:123456/", "https://a:1x/", "https://a@b/", "https://a:b@c/", "https://[::1", "https://[]/",
		"https://[::g]/", "https://[::1]x/", "https://[127.0.0.1]/", "https://a b/", "https://a/\tb", "https://a/\n", "https://a\\b/",
		"https://a/#f", "https://\xc3\xa9/", "https://a/\xc3\xa9", "https://a%2eb/", "//a/", "/a", "https://a/\"", "https://a/\x7f",
	};
	struct url u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (url_parse(rows[i], &u) != -EINVAL)
			fail_msg("taken: %s", rows[i]);
}

static void origins(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "https://a.net/x", "https://A.NET:443/y?z", true },
		{ "https://a.net/x", "http://a.net/x", false },
		{ "https://a.net/x", "http://a.net:443/x", false },
		{ "https://a.net/x", "https://a.net:444/x", false },
		{ "https://a.net/x", "https://a.net.evil/x", false },
		{ "https://a.net/x", "https://b.net/x", false },
	};
	struct url a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(url_parse(rows[i].a, &a), 0);
		assert_int_equal(url_parse(rows[i].b, &b), 0);
		assert_int_equal(url_same_origin(&a, &b), rows[i].same);
		assert_int_equal(url_same_origin(&b, &a), rows[i].same);
	}
}

static void escapes(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(60);

	(void)state;
	assert_int_equal(url_put_escaped(&b, ""), 0);
	assert_string_equal(b.data, "");
	assert_int_equal(url_put_escaped(&b, "aZ09-._~ +&=%/\xc3\xa9\n"), 0);
	assert_string_equal(b.data, "aZ09-._~%20%2B%26%3D%25%2F%C3%A9%0A");
	assert_int_equal(url_put_escaped(&b, "                         "), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(origins),
		cmocka_unit_test(escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
