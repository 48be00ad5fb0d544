/* secret.c - secrets from files and systemd credentials, wiped where they die. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"

/* The name in "credential:NAME", or NULL. */
static const char *credential_named(const char *reference)
{
	static const char prefix[] = "credential:";

	return strncmp(reference, prefix, sizeof(prefix) - 1) == 0 ? reference + sizeof(prefix) - 1 : NULL;
}

/* A credential's name is a file's name (systemd.exec(5)). */
static bool credential_name_good(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

bool secret_is_reference(const char *reference)
{
	const char *path = file_named(reference);
	const char *name = credential_named(reference);

	return (path && path[0] == '/') || (name && credential_name_good(name));
}

struct secret *secret_free(struct secret *s)
{
	if (s) {
		explicit_bzero(s, sizeof(*s));
		free(s);
	}
	return NULL;
}

AUTO_DEFINE(secret, struct secret *, secret_free)

static int check_rights(const char *path, const struct stat *st, struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, EPERM, "secret %s is not a regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return error_set(err, EPERM, "secret %s belongs to user %u: chown root %s", path,
				 (unsigned)st->st_uid, path);
	if (st->st_mode & (S_IRWXO | S_IWGRP))
		return error_set(err, EPERM, "secret %s has mode %04o, so others could read or change it: chmod 0640 %s",
				 path, (unsigned)(st->st_mode & 07777), path);
	return 0;
}

/* One byte more than fits tells a longer file apart. */
static int read_bytes(int fd, unsigned char *dst, size_t cap, size_t *ret_len)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, dst + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

static int fill(struct secret *s, int fd, const char *path, struct error *err)
{
	unsigned char bytes[SECRET_MAX + 3];            /* and CR, LF, one too many */
	size_t len = 0;
	int r;

	r = read_bytes(fd, bytes, sizeof(bytes), &len);
	if (r < 0) {
		r = error_set(err, -r, "cannot read secret %s: %s", path, strerror(-r));
		goto out;
	}
	len = file_without_newline(bytes, len);
	if (len == 0)
		r = error_set(err, ENODATA, "secret %s is empty", path);
	else if (len > SECRET_MAX)
		r = error_set(err, EFBIG, "secret %s is longer than %d bytes", path, SECRET_MAX);
	else if (memchr(bytes, '\0', len))
		r = error_set(err, EINVAL, "secret %s holds a NUL byte", path);
	if (r == 0) {
		memcpy(s->bytes, bytes, len);
		s->len = len;
	}
out:
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}

int secret_load(const char *reference, struct secret **ret_secret, struct error *err)
{
	AUTO(secret) struct secret *s = NULL;
	AUTO(fd) int fd = -1;
	const char *path = file_named(reference);
	const char *name = credential_named(reference);
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char credential[PATH_MAX];
	struct stat st;
	int r;

	if (!secret_is_reference(reference))
		return error_set(err, EINVAL, "a secret is written as \"file:/path\" or \"credential:NAME\", never literally");
	if (!path) {
		if (!directory)
			return error_set(err, ENOENT, "credential '%s': systemd passes none (LoadCredential=%s:/path in the unit)", name, name);
		r = snprintf(credential, sizeof(credential), "%s/%s", directory, name);
		if (r < 0 || (size_t)r >= sizeof(credential))
			return error_set(err, ENAMETOOLONG, "credential '%s': its path is too long", name);
		path = credential;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot read secret %s: %s%s", path, strerror(errno),
				 errno == EACCES ? " (chmod 0640 and chgrp it to the reader's group: calloutd for webhooks' secrets, calloutd-guard for Autotask's credentials)" : "");
	/* systemd itself sees to a credential's rights. */
	r = path == credential ? 0 : check_rights(path, &st, err);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_no_memory(err);
	r = fill(s, fd, path, err);
	if (r < 0)
		return r;
	*ret_secret = TAKE(s);
	return 0;
}
