/* copy.c - a database page by page, in steps, and whether it came over whole. */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "private.h"
#include "reader.h"

#define STEP_PAGES 256          /* of 4 KiB: how much is copied between two looks around */
#define FLUSH_STEPS 8           /* so that a callout's fsync never waits for more than this of ours */
#define PROGRESS_STEPS 100000   /* of SQLite's machine between two looks around: some ms */

void copy_remove(const char *path)
{
	static const char *const ends[] = { "-journal", "-wal", "-shm", "" };
	char name[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		(void)snprintf(name, sizeof(name), "%.3800s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static bool goes_on(const struct backup_watch *w, uint64_t done, uint64_t total)
{
	return !w || !w->go_on || w->go_on(w->arg, done, total);
}

static int open_for_copy(const char *path, int flags, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL);

	if (rc != SQLITE_OK)
		return sql_errno(*ret, rc);
	(void)sqlite3_extended_result_codes(*ret, 1);
	return 0;
}

/* ---- page by page ---- */

struct copying {
	sqlite3_backup *b;
	sqlite3 *to;
	const char *path;
	int fd;                         /* of the file, to have it written out */
	uint64_t page_bytes, leave;
	const struct backup_watch *watch;
};

static int look_around(const struct copying *c, unsigned step)
{
	uint64_t total = (uint64_t)sqlite3_backup_pagecount(c->b) * c->page_bytes;
	uint64_t left = (uint64_t)sqlite3_backup_remaining(c->b) * c->page_bytes;
	uint64_t room = 0, all = 0;

	if (!goes_on(c->watch, total - left, total))
		return -ECANCELED;
	if (step % FLUSH_STEPS == FLUSH_STEPS - 1)
		(void)fdatasync(c->fd);         /* what it says counts at the end */
	if (c->leave && file_space(c->path, &room, &all) == 0 && room < c->leave)
		return -ENOSPC;
	return 0;
}

static int run_steps(struct copying *c)
{
	int rc, r = 0;

	for (unsigned step = 0; r == 0; step++) {
		rc = sqlite3_backup_step(c->b, STEP_PAGES);
		if (rc == SQLITE_DONE)
			return 0;
		r = rc == SQLITE_OK ? look_around(c, step) : sql_errno(c->to, rc);
	}
	return r;
}

static int fill(sqlite3 *from, struct copying *c)
{
	int64_t page_bytes = 0;
	int r = sql_int(from, "PRAGMA page_size", &page_bytes);

	if (r == 0)
		r = open_for_copy(c->path, 0, &c->to);
	if (r == 0)
		r = sql_exec(c->to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;");
	if (r < 0)
		return r;
	c->page_bytes = (uint64_t)page_bytes;
	c->b = sqlite3_backup_init(c->to, "main", from, "main");
	if (!c->b)
		return sql_errno(c->to, sqlite3_extended_errcode(c->to));
	r = run_steps(c);
	(void)sqlite3_backup_finish(c->b);
	return r;
}

int copy_pages(sqlite3 *from, const char *to, uint64_t leave, const struct backup_watch *watch)
{
	/* First opened, last closed: closing any drops SQLite's locks, which nobody else asks for. */
	AUTO(fd) int fd = open(to, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct copying c = { .path = to, .fd = fd, .leave = leave, .watch = watch };
	int r;

	if (fd < 0)
		return -errno;
	r = fill(from, &c);
	(void)sqlite3_close(c.to);
	if (r < 0)
		copy_remove(to);
	return r;
}

/* ---- when it is there ---- */

int copy_open(const char *path, sqlite3 **ret)
{
	AUTO(sqlite3) sqlite3 *db = NULL;
	int r = open_for_copy(path, 0, &db);

	/* The pages say WAL, as the original's do. */
	if (r == 0)
		r = sql_exec(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"
				 "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA journal_mode = DELETE;"
				 "PRAGMA journal_mode = MEMORY;");
	if (r == 0)
		*ret = TAKE(db);
	return r;
}

int copy_open_still(const char *path, sqlite3 **ret)
{
	AUTO(free) char *uri = reader_uri(path, "?immutable=1");
	AUTO(sqlite3) sqlite3 *db = NULL;
	int rc;

	if (!uri)
		return -ENOMEM;
	rc = sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
	if (rc != SQLITE_OK)
		return sql_errno(db, rc);
	(void)sqlite3_extended_result_codes(db, 1);
	rc = sqlite3_exec(db, "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return sql_errno(db, rc);
	*ret = TAKE(db);
	return 0;
}

static int on_progress(void *arg)
{
	return !goes_on(arg, 0, 0);
}

static int ask_check(sqlite3 *db, char *detail, size_t cap)
{
	sqlite3_stmt *st = NULL;
	int r, rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL);

	if (rc != SQLITE_OK)
		return sql_errno(db, rc);
	r = sql_step(st);
	if (r > 0) {
		column_text(st, 0, detail, cap);
		r = strcmp(detail, "ok") == 0 ? 0 : -EUCLEAN;
	}
	(void)sqlite3_finalize(st);
	return r;
}

int copy_check(sqlite3 *db, const struct backup_watch *watch, char *detail, size_t cap)
{
	struct backup_watch w = watch ? *watch : (struct backup_watch){ .go_on = NULL };
	int r;

	sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, &w);
	r = ask_check(db, detail, cap);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	return r == -ETIME ? -ECANCELED : r;
}
