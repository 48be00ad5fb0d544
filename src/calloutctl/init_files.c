/*
 * init_files.c - `calloutctl init`: files with their modes from the first moment on, all or none.
 *
 * The configuration is written first, under a name nobody reads, and gets its own name last. It lists what was made
 * with it, so whatever a killed run has left can be found and removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "init.h"

#define MADE_MAX 32             /* files and directories of one run */
#define CONF_SIZE_MAX (1UL << 20)

/* Paths of one run, in the order in which they were made. */
struct made {
	char *items[MADE_MAX];
	size_t count;
};

static void made_add(struct made *m, const char *path)
{
	if (m->count < MADE_MAX)
		m->items[m->count++] = need(strdup(path));
}

static void made_free(struct made *m)
{
	while (m->count)
		free(m->items[--m->count]);
}

static inline void auto_made(struct made *m)
{
	made_free(m);
}

/* The last one first; a directory that somebody else has put something into stays. */
static void undo(const struct made *m)
{
	for (size_t i = m->count; i-- > 0;)
		if (unlink(m->items[i]) < 0 && errno == EISDIR)
			(void)rmdir(m->items[i]);
}

static int failed_at(const char *path, int r, struct error *err)
{
	bool standard = strncmp(path, CALLOUTD_SYSCONFDIR "/", strlen(CALLOUTD_SYSCONFDIR "/")) == 0;

	if (r == -EEXIST)
		return error_set(err, EEXIST, "%s exists and stays as it is; move it away first", path);
	return error_set(err, -r, "cannot make %s: %s%s", path, strerror(-r),
			 (r == -EACCES || r == -EPERM) && standard ? " (use sudo, or --directory DIR to look first)" : "");
}

/* ---- rights ---- */

/* The group by its name, with its mode; where there is none, or this user may not use it: the user's alone. */
struct rights {
	const char *group;
	mode_t shared, alone;
};

static int set_rights(int fd, const struct rights *r)
{
	const struct group *g = r->group ? getgrnam(r->group) : NULL;
	mode_t mode = r->alone;

	/* In this order: a change of group may take bits of the mode away. */
	if (!r->group || (g && fchown(fd, (uid_t)-1, g->gr_gid) == 0))
		mode = r->shared;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* ---- one file, one directory ---- */

/* Nobody else may look while it is not yet whole; there is none unless 0 is returned. */
static int write_whole(const char *path, const struct rights *rights, const void *data, size_t len)
{
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = set_rights(fd, rights);
	if (r == 0)
		r = file_finish(TAKE_FD(fd), data, len);
	if (r < 0)
		(void)unlink(path);
	return r;
}

/* -EEXIST rather than anybody's file gone. Some file systems cannot promise that, so it is looked first there. */
static int rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (access(to, F_OK) == 0)
		return -EEXIST;
	return rename(from, to) < 0 ? -errno : 0;
}

static void aside_of(const char *path, char dst[static PATH_MAX])
{
	const char *name = strrchr(path, '/') + 1;

	(void)snprintf(dst, PATH_MAX, "%.*s.%s.unfinished", (int)(name - path), path, name);
}

static int make_file(struct made *m, const char *path, const struct rights *rights, const void *data, size_t len,
		     struct error *err)
{
	char aside[PATH_MAX];
	int r;

	aside_of(path, aside);
	r = write_whole(aside, rights, data, len);
	if (r == 0) {
		r = rename_new(aside, path);
		if (r == 0)
			made_add(m, path);
		else
			(void)unlink(aside);
	}
	return r < 0 ? failed_at(path, r, err) : 0;
}

static int make_directory(struct made *m, const char *path, const struct rights *rights, struct error *err)
{
	AUTO(fd) int fd = -1;
	struct stat st;
	int r = 0;

	if (mkdir(path, 0700) < 0) {
		if (errno != EEXIST)
			return failed_at(path, -errno, err);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return 0;
		return error_set(err, ENOTDIR, "%s is in the way: it is no directory", path);
	}
	made_add(m, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : set_rights(fd, rights);
	return r < 0 ? failed_at(path, r, err) : 0;
}

/* ---- the directories: as systemd/calloutd.tmpfiles has them ---- */

static bool always(const struct init *in)
{
	(void)in;
	return true;
}

static bool with_api(const struct init *in)
{
	return *in->username;
}

static bool adding(const struct init *in)
{
	return in->add;
}

static const struct {
	const char *name;
	struct rights rights;
	bool (*wanted)(const struct init *in);
} directories[] = {
	{ "", { NULL, 0755, 0755 }, always },
	{ "/secrets", { "calloutd", 0750, 0700 }, always },
	{ "/handlers", { NULL, 0755, 0755 }, always },
	{ "/api", { "calloutd-guard", 0750, 0700 }, with_api },
	{ "/conf.d", { "calloutd-conf", 0750, 0700 }, adding },
};

static int make_directories(const struct init *in, struct made *m, struct error *err)
{
	char path[PATH_MAX + 16];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(directories); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", in->directory, directories[i].name);
		if (directories[i].wanted(in))
			r = make_directory(m, path, &directories[i].rights, err);
	}
	return r;
}

/* Names are on disk only once their directory is. */
static int sync_directories(const struct init *in, struct error *err)
{
	char path[PATH_MAX + 16];

	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		int r;

		(void)snprintf(path, sizeof(path), "%s%s", in->directory, directories[i].name);
		if (!directories[i].wanted(in))
			continue;
		r = file_sync(path);
		if (r < 0)
			return failed_at(path, r, err);
	}
	return 0;
}

/* ---- what a killed run has left ---- */

static void remove_listed(const struct init *in, const char *line, size_t len)
{
	AUTO(free) char *path = need(strndup(line, len));
	size_t own = strlen(in->directory);
	char aside[PATH_MAX];

	/* Nothing but what such a run makes. */
	if (strncmp(path, in->directory, own) != 0 || strstr(path, "/../") ||
	    (strncmp(path + own, "/secrets/", 9) != 0 && strncmp(path + own, "/handlers/", 10) != 0))
		return;
	aside_of(path, aside);
	(void)unlink(aside);
	(void)unlink(path);
}

static int clear_one(const struct init *in, const char *aside, struct error *err)
{
	AUTO(free) char *text = NULL;
	const char *at;
	size_t len = 0;
	int r = file_read(aside, CONF_SIZE_MAX, &text, &len);

	if (r < 0)
		return error_set(err, -r, "cannot read %s, which an interrupted run has left: %s", aside, strerror(-r));
	at = strstr(text, INIT_MADE);
	for (at = at ? at + strlen(INIT_MADE) : ""; strncmp(at, INIT_MADE_LINE, strlen(INIT_MADE_LINE)) == 0;) {
		size_t span = strcspn(at, "\n");

		/* A line that was cut is of a run that had made nothing yet. */
		if (at[span])
			remove_listed(in, at + strlen(INIT_MADE_LINE), span - strlen(INIT_MADE_LINE));
		at += span + (at[span] != '\0');
	}
	return unlink(aside) < 0 ? failed_at(aside, -errno, err) : 1;
}

/* Configurations that never got their names. 1 when there was one, 0 when not, or -errno with a sentence. */
static int clear(const struct init *in, struct error *err)
{
	char pattern[PATH_MAX + 64];
	glob_t found = { .gl_pathc = 0 };
	int r = 0;

	(void)snprintf(pattern, sizeof(pattern), "%s/.calloutd.conf.unfinished", in->directory);
	(void)glob(pattern, GLOB_NOSORT, NULL, &found);
	(void)snprintf(pattern, sizeof(pattern), "%s/conf.d/.*.conf.unfinished", in->directory);
	(void)glob(pattern, GLOB_NOSORT | GLOB_APPEND, NULL, &found);
	for (size_t i = 0; r >= 0 && i < found.gl_pathc; i++)
		r = clear_one(in, found.gl_pathv[i], err);
	globfree(&found);
	return r;
}

/* The directory itself is the lock. -ENOENT: there is none yet. */
static int lock(const struct init *in, int *ret_fd, struct error *err)
{
	*ret_fd = open(in->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return error_set(err, errno, "cannot open %s: %s", in->directory, strerror(errno));
	if (flock(*ret_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, EBUSY, "another `calloutctl init` is at work in %s just now", in->directory);
	return 0;
}

int init_clear(const struct init *in, struct error *err)
{
	AUTO(fd) int fd = -1;
	int r = lock(in, &fd, err);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : clear(in, err);
}

/* ---- all of it ---- */

static int make_contents(const struct init *in, struct made *m, struct error *err)
{
	static const struct rights secret = { "calloutd", 0640, 0600 }, program = { NULL, 0755, 0755 };
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	int r = 0;

	for (size_t i = 0; r == 0 && i < in->count; i++)
		r = make_file(m, in->webhooks[i].secret_file, &secret, in->webhooks[i].secret, INIT_SECRET_LEN, err);
	if (r < 0 || in->keep_program)
		return r;
	init_program(&text);
	return make_file(m, in->program, &program, text.data, text.len, err);
}

/* Read as the daemon will, before it has its name; what is in conf.d is read along. */
static int check(const char *path, struct error *err)
{
	struct conf *c = NULL;
	int r = conf_load(path, &c, err);

	(void)conf_free(c);
	return r;
}

static int make_all(const struct init *in, const char *aside, struct made *m, struct error *err)
{
	static const struct rights rights = { "calloutd-conf", 0640, 0600 };
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	AUTO(fd) int fd = -1;
	int r = make_directories(in, m, err);

	if (r == 0)
		r = lock(in, &fd, err);
	if (r < 0)
		return r;
	if (access(in->file, F_OK) == 0)
		return failed_at(in->file, -EEXIST, err);
	init_configuration(in, &text);
	r = write_whole(aside, &rights, text.data, text.len);
	if (r < 0)
		return failed_at(aside, r, err);
	made_add(m, aside);
	if (!in->add)
		r = check(aside, err);
	if (r == 0)
		r = sync_directories(in, err);
	if (r == 0)
		r = make_contents(in, m, err);
	if (r == 0)
		r = sync_directories(in, err);
	if (r < 0)
		return r;
	r = rename_new(aside, in->file);
	if (r < 0)
		return failed_at(in->file, r, err);
	made_add(m, in->file);
	r = sync_directories(in, err);
	return r == 0 && in->add ? check(in->main, err) : r;
}

int init_make(const struct init *in, struct error *err)
{
	AUTO(made) struct made m = { .count = 0 };
	char aside[PATH_MAX];
	int r;

	aside_of(in->file, aside);
	r = make_all(in, aside, &m, err);
	if (r < 0)
		undo(&m);
	return r;
}
