/* test_admin_route.c - paths with numbers and names, other methods, and what is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "admin/route.h"
#include "base/auto.h"

static const struct route table[] = {
	{ .method = "GET", .pattern = "/health", .metrics = true },
	{ .method = "GET", .pattern = "/v1/events" },
	{ .method = "GET", .pattern = "/v1/events/ID" },
	{ .method = "GET", .pattern = "/v1/events/ID/body" },
	{ .method = "POST", .pattern = "/v1/handlers/NAME/hold" },
	{ .method = "POST", .pattern = "/v1/both" },
	{ .method = "GET", .pattern = "/v1/both" },
};

#define NAME_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void rows(void **state)
{
	static const struct {
		bool metrics;
		const char *method, *path;
		int result;             /* index of the row, or -errno */
		int64_t id;
		const char *name, *allow;
	} cases[] = {
		{ false, "GET", "/health", 0, 0, "", "" },
		{ true, "GET", "/health", 0, 0, "", "" },
		{ true, "GET", "/v1/events", -ENOENT, 0, "", "" },
		{ true, "POST", "/v1/handlers/a/hold", -ENOENT, 0, "", "" },
		{ false, "HEAD", "/health", 0, 0, "", "" },
		{ false, "GET", "/health/", -ENOENT, 0, "", "" },
		{ false, "GET", "//health", -ENOENT, 0, "", "" },
		{ false, "GET", "", -ENOENT, 0, "", "" },
		{ false, "GET", "/", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events", 1, 0, "", "" },
		{ false, "GET", "/v1/events/17", 2, 17, "", "" },
		{ false, "GET", "/v1/events/9223372036854775807", 2, INT64_MAX, "", "" },
		{ false, "GET", "/v1/events/9223372036854775808", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/99999999999999999999999", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/0", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/017", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/-1", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/+1", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/ID", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/17/body", 3, 17, "", "" },
		{ false, "GET", "/v1/events/17/bod", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/events/17/body/x", -ENOENT, 0, "", "" },
		{ false, "POST", "/v1/handlers/page-on.call_1/hold", 4, 0, "page-on.call_1", "" },
		{ false, "POST", "/v1/handlers/" NAME_64 "/hold", 4, 0, NAME_64, "" },
		{ false, "POST", "/v1/handlers/" NAME_64 "a/hold", -ENOENT, 0, "", "" },
		{ false, "POST", "/v1/handlers//hold", -ENOENT, 0, "", "" },
		{ false, "POST", "/v1/handlers/a b/hold", -ENOENT, 0, "", "" },
		{ false, "POST", "/v1/handlers/a%2fb/hold", -ENOENT, 0, "", "" },
		{ false, "GET", "/v1/handlers/a/hold", -EPERM, 0, "a", "POST" },
		{ false, "HEAD", "/v1/handlers/a/hold", -EPERM, 0, "a", "POST" },
		{ false, "POST", "/v1/events/17", -EPERM, 17, "", "GET, HEAD" },
		{ false, "get", "/v1/events/17", -EPERM, 17, "", "GET, HEAD" },
		{ false, "POST", "/v1/both", 5, 0, "", "" },
		{ false, "GET", "/v1/both", 6, 0, "", "" },
		{ false, "DELETE", "/v1/both", -EPERM, 0, "", "POST, GET, HEAD" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct route_match m = { .id = 4711 };
		int r = route_find(table, ARRAY_LEN(table), cases[i].metrics, cases[i].method,
				   cases[i].path, &m);

		print_message("%s %s\n", cases[i].method, cases[i].path);
		assert_int_equal(r, cases[i].result < 0 ? cases[i].result : 0);
		if (r == -ENOENT) {
			assert_int_equal(m.id, 4711);   /* untouched */
			continue;
		}
		if (r == 0)
			assert_ptr_equal(m.route, &table[cases[i].result]);
		assert_int_equal(m.id, cases[i].id);
		assert_string_equal(m.name, cases[i].name);
		assert_string_equal(m.allow, cases[i].allow);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests_name("admin_route", tests, NULL, NULL);
}
