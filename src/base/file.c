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
#include "base/buf.h"

int file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO(buf) struct buf b = BUF_INIT(max);
	char piece[8192];
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno != EINTR)
			return -errno;
		/* The end appends nothing, but a NUL to an empty file. */
		r = n < 0 ? 0 : buf_append(&b, piece, (size_t)n);
		if (r < 0)
			return r == -ENOBUFS ? -EFBIG : r;
	} while (n != 0);
	*ret_data = buf_take(&b, ret_len);
	return 0;
}

int file_write(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_finish(int fd, const void *data, size_t len)
{
	int r = file_write(fd, data, len);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int stdio_fill(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

int file_sync(const char *path)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

int file_sync_directory_of(const char *path)
{
	AUTO(free) char *copy = strdup(path);
	char *slash;

	if (!copy)
		return -ENOMEM;
	slash = strrchr(copy, '/');
	if (slash == copy)
		slash[1] = '\0';
	else if (slash)
		*slash = '\0';
	return file_sync(slash ? copy : ".");
}

/* Who may do what with a new file; owner and group -1: as they come. */
struct rights {
	mode_t mode;
	uid_t owner;
	gid_t group;
};

/* Nobody else may look while it is not yet whole. */
static int write_aside(const char *aside, const struct rights *rights, const void *data, size_t len)
{
	AUTO(fd) int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	/*
	 * In this order: a change of owner may take bits of the mode away. Not called in vain: our units'
	 * system-call filters refuse it.
	 */
	if (rights->owner != (uid_t)-1 && fchown(fd, rights->owner, rights->group) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, rights->mode) < 0)
		r = -errno;
	return r < 0 ? r : file_finish(TAKE_FD(fd), data, len);
}

static int replace(const char *path, const struct rights *rights, const void *data, size_t len)
{
	char aside[PATH_MAX];
	int r, n;

	n = snprintf(aside, sizeof(aside), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(aside))
		return -ENAMETOOLONG;
	if (unlink(aside) < 0 && errno != ENOENT)
		return -errno;
	r = write_aside(aside, rights, data, len);
	if (r == 0 && rename(aside, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(aside);
		return r;
	}
	return file_sync_directory_of(path);
}

int file_replace(const char *path, mode_t mode, const void *data, size_t len)
{
	const struct rights rights = { mode, (uid_t)-1, (gid_t)-1 };

	return replace(path, &rights, data, len);
}

int file_replace_like(const char *path, const char *like, const void *data, size_t len)
{
	struct rights rights;
	struct stat st;

	if (stat(like, &st) < 0)
		return -errno;
	rights = (struct rights){ st.st_mode & 07777, st.st_uid, st.st_gid };
	return replace(path, &rights, data, len);
}

/* 0, or the errno that tells most: mkdir's, unless a directory is there already. */
static int make_one(const char *path, mode_t mode)
{
	struct stat st;
	int r;

	if (mkdir(path, mode) == 0)
		return 0;
	r = -errno;
	if (stat(path, &st) < 0)
		return r;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int directory_make(const char *path, mode_t mode, struct error *err)
{
	AUTO(free) char *copy = strdup(path);
	int r;

	if (!copy)
		return error_no_memory(err);
	if (!*path)
		return error_set(err, EINVAL, "a directory's name is empty");
	for (char *at = copy + 1;; at++) {
		char was = *at;

		if (was && was != '/')
			continue;
		*at = '\0';
		r = make_one(copy, mode);
		if (r < 0)
			return error_set(err, -r, "cannot make directory '%s': %s", copy, strerror(-r));
		*at = was;
		if (!was)
			return 0;
	}
}

const char *file_named(const char *reference)
{
	static const char prefix[] = "file:";

	return strncmp(reference, prefix, sizeof(prefix) - 1) == 0 ? reference + sizeof(prefix) - 1 : NULL;
}

size_t file_without_newline(const void *bytes, size_t len)
{
	const char *at = bytes;

	if (!len || at[len - 1] != '\n')
		return len;
	len--;
	return len && at[len - 1] == '\r' ? len - 1 : len;
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
