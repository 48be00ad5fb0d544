/* copies.c - what becomes of copies beside the store: those that upgrades left, and stores that a restore moved aside. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

AUTO_DEFINE(DIR, DIR *, closedir)

static bool begins(const char *name, const char *start)
{
	return strncmp(name, start, strlen(start)) == 0;
}

/* What follows the digits of "calloutd.db.v3", or NULL: another name. */
static const char *behind_version(const char *name)
{
	static const char start[] = STORE_FILE ".v";
	size_t digits;

	if (!begins(name, start))
		return NULL;
	name += strlen(start);
	digits = strspn(name, "0123456789");
	return digits ? name + digits : NULL;
}

/* A whole one, of an upgrade. */
static bool is_of_upgrade(const char *name)
{
	const char *end = behind_version(name);

	return end && !*end;
}

/* Also one that was not finished, and what was the store before a restore, with its WAL. */
static bool is_any(const char *name)
{
	const char *end = behind_version(name);

	return (end && (!*end || strcmp(end, ".new") == 0)) || begins(name, STORE_FILE ".before-restore-");
}

/* The store's directory. NULL and errno. */
static DIR *open_directory(const struct store *s)
{
	AUTO(free) char *copy = strdup(s->path);
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (!slash)
		return NULL;
	slash[slash == copy] = '\0';
	return opendir(copy);
}

int64_t store_copies_prune(struct store *s, int64_t keep_ms, int64_t now_ms)
{
	AUTO(DIR) DIR *d = open_directory(s);
	int64_t next_ms = INT64_MAX;
	const struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		int64_t due_ms;

		if (!is_of_upgrade(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (__builtin_add_overflow((int64_t)st.st_mtim.tv_sec * 1000, keep_ms, &due_ms))
			continue;
		if (due_ms <= now_ms)
			(void)unlinkat(dirfd(d), e->d_name, 0);
		else if (due_ms < next_ms)
			next_ms = due_ms;
	}
	return next_ms;
}

int store_copies_forget(struct store *s, bool dry, unsigned *ret_count)
{
	AUTO(DIR) DIR *d = open_directory(s);
	const struct dirent *e;

	*ret_count = 0;
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (!is_any(e->d_name))
			continue;
		if (!dry && unlinkat(dirfd(d), e->d_name, 0) < 0)
			return -errno;
		(*ret_count)++;
	}
	return 0;
}
