/* capture_file.c - the files of captures: written whole, listed, and gone after a day. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "callout/callout.h"
#include "capture_private.h"

#define UNFINISHED ".new"       /* a file that is being written */
#define FUTURE_MS 60000         /* a file time beyond: the clock was set back, and nobody knows its age */

AUTO_DEFINE(DIR, DIR *, closedir)

bool capture_file_name(const char *name)
{
	size_t len = strspn(name, "0123456789TZ-");

	return len > 0 && len < CAPTURE_NAME_MAX && name[len] == '\0' && name[0] != '-';
}

static bool is_unfinished(const char *name)
{
	size_t len = strlen(name), tail = strlen(UNFINISHED);

	return len > tail && strcmp(name + len - tail, UNFINISHED) == 0;
}

int capture_file_write(const char *directory, const char *name, const struct capture_entry *e)
{
	char path[PATH_MAX], aside[PATH_MAX + 8];
	int fd, r;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	(void)snprintf(aside, sizeof(aside), "%s" UNFINISHED, path);
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = file_write(fd, e->head, e->head_len);
	if (r == 0)
		r = file_write(fd, e->body ? e->body : "", e->len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(aside, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(aside);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int capture_file_names(const char *directory, char (**ret)[CAPTURE_NAME_MAX], size_t *ret_count)
{
	AUTO(DIR) DIR *dir = opendir(directory);
	char (*names)[CAPTURE_NAME_MAX] = NULL;
	const struct dirent *d;
	size_t count = 0;

	*ret = NULL;
	*ret_count = 0;
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((d = readdir(dir)) && count < 2 * (size_t)CAPTURES_FILES_MAX) {
		char (*more)[CAPTURE_NAME_MAX];

		if (!capture_file_name(d->d_name))
			continue;
		more = reallocarray(names, count + 1, sizeof(*names));
		if (!more) {
			free(names);
			return -ENOMEM;
		}
		names = more;
		(void)snprintf(names[count++], sizeof(*names), "%s", d->d_name);
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*ret = names;
	*ret_count = count;
	return 0;
}

static int64_t written_ms(const struct stat *st)
{
	return st->st_mtim.tv_sec * 1000LL + st->st_mtim.tv_nsec / 1000000;
}

int64_t capture_file_sweep(const char *directory, int64_t now_ms)
{
	AUTO(DIR) DIR *dir = opendir(directory);
	int64_t next_ms = INT64_MAX;
	const struct dirent *d;

	while (dir && (d = readdir(dir))) {
		struct stat st;
		int64_t end_ms;

		if (!capture_file_name(d->d_name) && !is_unfinished(d->d_name))
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		end_ms = written_ms(&st) + CAPTURE_LIFE_MS;
		if (is_unfinished(d->d_name) || end_ms <= now_ms || written_ms(&st) > now_ms + FUTURE_MS)
			(void)unlinkat(dirfd(dir), d->d_name, 0);
		else if (end_ms < next_ms)
			next_ms = end_ms;
	}
	return next_ms;
}

void capture_file_sum(const char *directory, size_t *ret_count, uint64_t *ret_bytes)
{
	AUTO(DIR) DIR *dir = opendir(directory);
	const struct dirent *d;

	*ret_count = 0;
	*ret_bytes = 0;
	while (dir && (d = readdir(dir))) {
		struct stat st;

		if (!capture_file_name(d->d_name) || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		(*ret_count)++;
		*ret_bytes += (uint64_t)st.st_size;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number stands there by itself, not within a longer one. */
static bool has_number(const char *body, size_t len, int64_t id)
{
	char text[24];
	size_t n = (size_t)snprintf(text, sizeof(text), "%" PRId64, id);
	const char *at = body, *end = body + len;

	while ((at = memmem(at, (size_t)(end - at), text, n))) {
		if ((at == body || !is_digit(at[-1])) && (at + n == end || !is_digit(at[n])))
			return true;
		at++;
	}
	return false;
}

bool capture_body_is_of(const char *body, size_t len, const char *entity, int64_t id)
{
	struct callout c;
	const char *why;
	int r = callout_parse(body, len, &c, &why);

	if (r == -EBADMSG || !c.has_id || !c.entity[0])
		return has_number(body, len, id);
	return c.id == id && strcmp(c.entity, entity) == 0;
}
