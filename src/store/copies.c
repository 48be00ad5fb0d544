/* copies.c - what becomes of the copies that bringing the tables up to date has left (calloutd.db.vN). */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

AUTO_DEFINE(DIR, DIR *, closedir)

#define COPY_PREFIX STORE_FILE ".v"

static bool is_copy(const char *name)
{
	size_t len = strlen(COPY_PREFIX), digits;

	if (strncmp(name, COPY_PREFIX, len) != 0)
		return false;
	digits = strspn(name + len, "0123456789");
	return digits && !name[len + digits];
}

static DIR *open_directory_of(const char *path)
{
	AUTO(free) char *copy = strdup(path);
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (!slash)
		return NULL;
	slash[slash == copy] = '\0';
	return opendir(copy);
}

int64_t store_copies_prune(struct store *s, int64_t keep_ms, int64_t now_ms)
{
	AUTO(DIR) DIR *d = open_directory_of(s->path);
	int64_t next_ms = INT64_MAX;
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		int64_t due_ms;

		if (!is_copy(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
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
