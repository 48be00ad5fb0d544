/* route.c - which function answers: a table of method and path. */
#include "admin/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool match_name(const char *at, size_t len, struct route_match *m)
{
	if (len == 0 || len > CONF_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!name_character(at[i]))
			return false;
	memcpy(m->name, at, len);
	m->name[len] = '\0';
	return true;
}

static bool match_id(const char *at, size_t len, struct route_match *m)
{
	int64_t id = 0;

	if (len == 0 || at[0] == '0')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (at[i] < '0' || at[i] > '9' || __builtin_mul_overflow(id, 10, &id) ||
		    __builtin_add_overflow(id, at[i] - '0', &id))
			return false;
	}
	m->id = id;
	return true;
}

static bool match_part(const char *pattern, size_t pattern_len, const char *at, size_t len,
		       struct route_match *m)
{
	if (pattern_len == 2 && memcmp(pattern, "ID", 2) == 0)
		return match_id(at, len, m);
	if (pattern_len == 4 && memcmp(pattern, "NAME", 4) == 0)
		return match_name(at, len, m);
	return pattern_len == len && memcmp(pattern, at, len) == 0;
}

static bool match_path(const char *pattern, const char *path, struct route_match *m)
{
	while (*pattern == '/' && *path == '/') {
		size_t pattern_len = strcspn(++pattern, "/"), len = strcspn(++path, "/");

		if (!match_part(pattern, pattern_len, path, len, m))
			return false;
		pattern += pattern_len;
		path += len;
	}
	return *pattern == '\0' && *path == '\0';
}

static bool match_method(const struct route *r, const char *method)
{
	return strcmp(r->method, method) == 0 ||
	       (strcmp(r->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void allow(struct route_match *m, const struct route *r)
{
	const char *methods = strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method;
	size_t len = strlen(m->allow);

	(void)snprintf(m->allow + len, sizeof(m->allow) - len, "%s%s", len ? ", " : "", methods);
}

int route_find(const struct route *routes, size_t count, bool metrics, const char *method,
	       const char *path, struct route_match *ret)
{
	struct route_match m = { .route = NULL };

	for (size_t i = 0; i < count; i++) {
		const struct route *r = &routes[i];

		if ((metrics && !r->metrics) || !match_path(r->pattern, path, &m))
			continue;
		if (match_method(r, method)) {
			m.route = r;
			m.allow[0] = '\0';
			*ret = m;
			return 0;
		}
		allow(&m, r);
	}
	if (!m.allow[0])
		return -ENOENT;
	*ret = m;
	return -EPERM;
}
