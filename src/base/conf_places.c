/* conf_places.c - where state and sockets are: the configuration, else the environment, else a default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"

/* Of systemd's directories, which colons separate, the first. */
static size_t from_environment(const char *variable, const char **ret)
{
	*ret = getenv(variable);
	return *ret ? strcspn(*ret, ":") : 0;
}

const char *conf_state_directory(const struct conf *c, char *dst, size_t cap)
{
	const char *directory;
	size_t len = from_environment("STATE_DIRECTORY", &directory);

	if (c && c->state_directory)
		(void)snprintf(dst, cap, "%s", c->state_directory);
	else if (len)
		(void)snprintf(dst, cap, "%.*s", (int)len, directory);
	else
		(void)snprintf(dst, cap, "/var/lib/calloutd");
	return dst;
}

const char *conf_admin_socket(const struct conf *c, char *dst, size_t cap)
{
	const char *directory;
	size_t len = from_environment("RUNTIME_DIRECTORY", &directory);

	if (c && c->admin_socket)
		(void)snprintf(dst, cap, "%s", c->admin_socket);
	else if (len)
		(void)snprintf(dst, cap, "%.*s/admin.sock", (int)len, directory);
	else
		(void)snprintf(dst, cap, "/run/calloutd/admin.sock");
	return dst;
}

const char *conf_deactivated_file(const struct conf *c, char *dst, size_t cap)
{
	const char *directory;
	size_t len = from_environment("RUNTIME_DIRECTORY", &directory);
	char *slash;

	if (len) {
		(void)snprintf(dst, cap, "%.*s/deactivated", (int)len, directory);
		return dst;
	}
	(void)conf_admin_socket(c, dst, cap);
	slash = strrchr(dst, '/');
	len = slash ? (size_t)(slash + 1 - dst) : 0;
	(void)snprintf(dst + len, cap - len, "deactivated");
	return dst;
}

const char *conf_runner_directory(const struct conf *c, char *dst, size_t cap)
{
	const char *directory = getenv("CALLOUTD_RUNNERS");

	if (c && c->runner_directory)
		directory = c->runner_directory;
	if (!directory || !*directory)
		return NULL;
	(void)snprintf(dst, cap, "%s", directory);
	return dst;
}
