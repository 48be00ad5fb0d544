/*
 * scratch.c - a private temporary directory per attempt, and its removal or use by the next.
 *
 * A handler may leave anything: trees of any depth, directories it cannot enter itself, links to
 * elsewhere. So no link is followed, and a directory that is not empty gives its subdirectories
 * to the top before it goes: a few open descriptors are enough whatever the depth.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "private.h"

#define REMOVE_MS 3000          /* other attempts wait meanwhile; the rest goes at the next start */
#define CLEAR_MS 30000
#define RENAMES_MAX 100         /* names tried for a directory that comes up */

AUTO_DEFINE(DIR, DIR *, closedir)

struct removal {
	int top;                /* the directory that is emptied */
	unsigned long name;     /* of the next directory that comes up */
	unsigned long done;     /* entries removed or brought up */
	int64_t until_ms;
};

static int try_make(const char *home, char **ret_path)
{
	AUTO(free) char *path = NULL;

	if (asprintf(&path, "%s/tmp/XXXXXX", home) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(path))
		return -errno;
	*ret_path = TAKE(path);
	return 0;
}

static int make_parent(const char *home, struct error *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/tmp", home);

	if (n < 0 || (size_t)n >= sizeof(path))
		return error_set(err, ENAMETOOLONG, "the path '%s' is too long", home);
	return directory_make(path, 0700, err);
}

int scratch_make(struct scratches *s, const char *home, char **ret_path, struct error *err)
{
	int r;

	while (s->count) {
		*ret_path = s->paths[--s->count];
		if (access(*ret_path, W_OK | X_OK) == 0)
			return 0;
		free(*ret_path);        /* somebody cleaned up here */
	}
	r = try_make(home, ret_path);
	if (r == -ENOENT) {
		r = make_parent(home, err);
		if (r < 0)
			return r;
		r = try_make(home, ret_path);
	}
	if (r < 0)
		return error_set(err, -r, "cannot make a temporary directory below '%s/tmp': %s", home,
				 strerror(-r));
	return 0;
}

static DIR *open_at(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		(void)close(fd);
	return d;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool remove_entry(struct removal *x, int at, const char *name)
{
	if (unlinkat(at, name, 0) < 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
		return false;
	x->done++;
	return true;
}

/* A directory inside a directory: to the top, where the next round finds it. */
static void bring_up(struct removal *x, int at, const char *name)
{
	char fresh[40];

	if (fchmodat(at, name, 0700, 0) < 0)    /* a new ".." is written into it */
		return;
	for (unsigned i = 0; i < RENAMES_MAX; i++) {
		(void)snprintf(fresh, sizeof(fresh), ".removed-%lu", x->name++);
		if (renameat2(at, name, x->top, fresh, RENAME_NOREPLACE) == 0) {
			x->done++;
			return;
		}
		if (errno != EEXIST)
			return;
	}
}

static void flatten(struct removal *x, int at, const char *name)
{
	AUTO(DIR) DIR *d = NULL;
	struct dirent *e;

	if (fchmodat(at, name, 0700, 0) < 0)
		return;
	d = open_at(at, name);
	while (d && clock_mono_ms() < x->until_ms && (e = readdir(d)) != NULL)
		if (!is_dots(e->d_name) && !remove_entry(x, dirfd(d), e->d_name))
			bring_up(x, dirfd(d), e->d_name);
}

/* One round over the top. 0 when it is empty, -EAGAIN after progress, or why there was none. */
static int empty_once(struct removal *x, DIR *top)
{
	unsigned long before = x->done;
	bool left = false;
	struct dirent *e;

	rewinddir(top);
	while (clock_mono_ms() < x->until_ms && (e = readdir(top)) != NULL) {
		if (is_dots(e->d_name) || remove_entry(x, x->top, e->d_name))
			continue;
		flatten(x, x->top, e->d_name);
		(void)remove_entry(x, x->top, e->d_name);
		left = true;
	}
	if (clock_mono_ms() >= x->until_ms)
		return -ETIMEDOUT;
	if (!left)
		return 0;
	return x->done > before ? -EAGAIN : -ENOTEMPTY;
}

/* What is inside path; path itself stays. */
static int empty(const char *path, int64_t for_ms)
{
	AUTO(DIR) DIR *d = open_at(AT_FDCWD, path);
	struct removal x = { .until_ms = clock_mono_ms() + for_ms };
	struct stat st;
	int r;

	if (!d && errno == EACCES && lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)chmod(path, 0700);
		d = open_at(AT_FDCWD, path);
	}
	if (!d)
		return -errno;
	(void)fchmod(dirfd(d), 0700);
	x.top = dirfd(d);
	do
		r = empty_once(&x, d);
	while (r == -EAGAIN);
	return r;
}

/* Nothing in it, nothing done to it: one look costs a twentieth of removing it and making another. */
static bool is_fresh(const char *path)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char entries[512];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 07777) != 0700 || st.st_uid != geteuid())
		return false;
	while ((n = getdents64(fd, entries, sizeof(entries))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(entries + at);

			if (!is_dots(e->d_name))
				return false;
			at += e->d_reclen;
		}
	return n == 0;
}

static int scratch_remove(char *path)
{
	int r = 0;

	/* Usually nothing was put there. */
	if (rmdir(path) < 0 && errno != ENOENT) {
		if (errno == ENOTDIR) {
			r = unlink(path) < 0 ? -errno : 0;
		} else {
			r = empty(path, REMOVE_MS);
			if (rmdir(path) < 0 && r == 0)
				r = -errno;
		}
	}
	free(path);
	return r;
}

int scratch_done(struct scratches *s, char *path)
{
	if (!path)
		return 0;
	if (s->count < SCRATCHES_KEPT && is_fresh(path)) {
		s->paths[s->count++] = path;
		return 0;
	}
	return scratch_remove(path);
}

void scratches_end(struct scratches *s)
{
	while (s->count)
		(void)scratch_remove(s->paths[--s->count]);
}

void scratch_clear(const char *parent)
{
	int r = empty(parent, CLEAR_MS);

	if (r < 0 && r != -ENOENT)
		log_warn(NULL, "cannot remove what is left in '%s': %s", parent, strerror(-r));
}
