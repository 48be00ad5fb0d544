/* open.c - opening and closing the one writer: lock, checks, tables, recovery. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "copy.h"
#include "private.h"
#include "store/backup.h"

/*
 * Checkpoints are ours alone: the fsync of an automatic one can fail unseen, as can that of
 * SQLite's own at closing. Freed content is overwritten (secure_delete): it was customers'.
 */
static const char settings[] =
	"PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = ON;"
	"PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 33554432;"
	"PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";

#define LARGE_WAL (256 * 1024 * 1024)   /* bytes that take a slow disk some time */

static int make_paths(struct store *s, const char *directory)
{
	if (asprintf(&s->path, "%s/" STORE_FILE, directory) < 0) {
		s->path = NULL;
		return -ENOMEM;
	}
	if (asprintf(&s->reserve_path, "%s/reserve", directory) < 0) {
		s->reserve_path = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- the database ---- */

/*
 * SQLite gives -wal and -shm the mode of the file itself, so that is made first; but an existing
 * one is never opened here: closing it would drop the locks of every connection of this process.
 */
static int make_file(const char *path, struct error *err)
{
	AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 && errno != EEXIST ? store_sentence(-errno, path, NULL, err) : 0;
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int frames)
{
	(void)db;
	(void)name;
	((struct store *)arg)->wal_frames = (unsigned)frames;
	return SQLITE_OK;
}

static int enter_wal(struct store *s)
{
	sqlite3_stmt *st = NULL;
	int r, rc = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &st, NULL);

	if (rc != SQLITE_OK)
		return sql_errno(s->db, rc);
	r = sql_step(st);
	if (r > 0)
		r = sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), "wal") ? -EOPNOTSUPP : 0;
	(void)sqlite3_finalize(st);
	return r;
}

static int connect_file(struct store *s, const char *vfs, struct error *err)
{
	int rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs);

	if (s->db)
		(void)sqlite3_extended_result_codes(s->db, 1);
	if (rc != SQLITE_OK)
		return store_sentence(sql_errno(s->db, rc), s->path,
				      s->db ? sqlite3_errmsg(s->db) : NULL, err);
	if (sqlite3_db_readonly(s->db, "main") == 1)
		return store_sentence(-EROFS, s->path, NULL, err);
	(void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return 0;
}

static int prepare_tables(struct store *s, const struct store_options *o, struct error *err)
{
	int64_t version = 0, page_bytes = 0;
	int r = schema_check(s->db, s->path, &version, err);

	if (r < 0)
		return r;
	r = sql_exec(s->db, settings);
	if (r == 0)
		r = enter_wal(s);
	if (r < 0)
		return store_sentence(r, s->path, sqlite3_errmsg(s->db), err);
	r = schema_bring(s->db, s->path, version, o, err);
	if (r < 0)
		return r;
	r = sql_int(s->db, "PRAGMA page_size", &page_bytes);
	s->page_bytes = (uint64_t)page_bytes;
	if (r == 0)
		r = sql_prepare_all(s->db, store_statements, ST_COUNT_, s->st);
	if (r == 0)
		r = store_reload(s);
	return r < 0 ? store_sentence(r, s->path, sqlite3_errmsg(s->db), err) : 0;
}

static void tell_large_wal(const struct store *s, const struct store_options *o)
{
	char wal[PATH_MAX], what[80];
	struct stat st;

	(void)snprintf(wal, sizeof(wal), "%.4000s-wal", s->path);
	if (!o->lengthy || stat(wal, &st) < 0 || st.st_size < LARGE_WAL)
		return;
	(void)snprintf(what, sizeof(what), "bringing %lld MiB of the WAL into the store", (long long)(st.st_size >> 20));
	o->lengthy(o->arg, what);
}

/*
 * A commit that failed may be in the WAL all the same: what is there now is what counts,
 * and it goes into the database before anybody is answered. Room for that is what the
 * reserve is for.
 */
static int recover(struct store *s, const struct store_options *o, struct error *err)
{
	int r;

	tell_large_wal(s, o);
	(void)sqlite3_wal_hook(s->db, on_wal, s);
	r = store_checkpoint(s, true);
	if (r == -ENOSPC) {
		store_reserve_release(s);
		r = store_checkpoint(s, true);
	}
	return r < 0 ? store_sentence(r, s->path, sqlite3_errmsg(s->db), err) : 0;
}

/* What one that was killed has left, and a restored copy that waits to be the store. */
static int take_over(const char *directory, struct error *err)
{
	int r;

	store_sweep(directory);
	r = restore_finish(directory, NULL);
	return r < 0 ? store_sentence(r, directory, NULL, err) : 0;
}

static int open_steps(struct store *s, const struct store_options *o, struct error *err)
{
	int r = directory_make(o->directory, 0700, err);

	if (r == -EROFS || r == -ENOSPC || r == -EACCES)
		return store_sentence(r, o->directory, NULL, err);
	if (r == 0)
		r = store_lock(o->directory, &s->lock_fd, err);
	if (r == 0)
		r = take_over(o->directory, err);
	if (r == 0)
		r = make_file(s->path, err);
	if (r == 0)
		r = connect_file(s, o->vfs, err);
	if (r == 0)
		r = prepare_tables(s, o, err);
	return r == 0 ? recover(s, o, err) : r;
}

int store_open(const struct store_options *o, struct store **ret_store, struct error *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_no_memory(err);
	s->lock_fd = -1;
	s->reserve_bytes = o->reserve;
	r = make_paths(s, o->directory);
	if (r < 0)
		(void)error_set(err, -r, "out of memory");
	else
		r = open_steps(s, o, err);
	if (r < 0) {
		s->fatal = true;        /* leave the file as it is */
		(void)store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (s->db && !s->fatal) {
		store_rollback(s);
		(void)store_checkpoint(s, true);
	}
	sql_finalize_all(s->st, ST_COUNT_);
	(void)sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	free(s->handlers);
	free(s->path);
	free(s->reserve_path);
	free(s);
	return NULL;
}
