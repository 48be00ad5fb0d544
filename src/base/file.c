/* file.c - read whole, replace atomically, make directories, look at space. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/auto.h"

int file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO(free) char *data = NULL;
	size_t len = 0, cap = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (len == cap) {
			char *more;

			if (cap > max)
				return -EFBIG;
			cap = cap ? cap * 2 : 4096;
			if (cap > max + 1)
				cap = max + 1;
			more = realloc(data, cap + 1);
			if (!more)
				return -ENOMEM;
			data = more;
		}
		n = read(fd, data + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret_data = TAKE(data);
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The name is on disk only once its directory is. */
static int sync_directory_of(const char *path)
{
	AUTO(free) char *copy = strdup(path);
	AUTO(fd) int fd = -1;
	char *slash;

	if (!copy)
		return -ENOMEM;
	slash = strrchr(copy, '/');
	if (slash == copy)
		slash[1] = '\0';
	else if (slash)
		*slash = '\0';
	fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_aside(const char *aside, mode_t mode, const void *data, size_t len)
{
	AUTO(fd) int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = fchmod(fd, mode) < 0 ? -errno : 0;
	if (r == 0)
		r = write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(TAKE_FD(fd)) < 0 && r == 0)
		r = -errno;
	return r;
}

int file_replace(const char *path, mode_t mode, const void *data, size_t len)
{
	char aside[PATH_MAX];
	int r, n;

	n = snprintf(aside, sizeof(aside), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(aside))
		return -ENAMETOOLONG;
	if (unlink(aside) < 0 && errno != ENOENT)
		return -errno;
	r = write_aside(aside, mode, data, len);
	if (r == 0 && rename(aside, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(aside);
		return r;
	}
	return sync_directory_of(path);
}

int directory_make(const char *path, mode_t mode, struct error *err)
{
	AUTO(free) char *copy = strdup(path);
	struct stat st;

	if (!copy || !*copy)
		return error_set(err, copy ? EINVAL : ENOMEM, "cannot make directory '%s'", path);
	for (char *at = copy + 1;; at++) {
		char was = *at;

		if (was && was != '/')
			continue;
		*at = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST && !(stat(copy, &st) == 0 && S_ISDIR(st.st_mode)))
			return error_set(err, errno, "cannot make directory '%s': %s", copy, strerror(errno));
		*at = was;
		if (!was)
			break;
	}
	if (stat(path, &st) < 0)
		return error_set(err, errno, "cannot look at '%s': %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "'%s' is not a directory", path);
	return 0;
}

int file_space(const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs vfs;

	if (statvfs(path, &vfs) < 0)
		return -errno;
	*ret_free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	*ret_total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	return 0;
}
