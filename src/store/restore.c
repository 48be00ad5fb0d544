/*
 * restore.c - a copy put in the store's place.
 *
 *   calloutd.db.restoring   the copy, while it is made                      (rubbish after a kill)
 *   calloutd.db.restored    whole and on disk: from this rename on it is the store
 *   restore_finish()        moves the store before aside and gives the copy its name; may be done again,
 *                           so the next opening finishes what a kill has left
 *
 * A WAL that stays beside a database which is not its own would be played into it: that is why there
 * is a file that says "restored", and not one rename.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "copy.h"
#include "private.h"

#define NUMBERS_APART 1000000   /* more than anybody receives between a copy and its restoring */

static void name_of(const char *directory, const char *name, const char *end, char dst[static PATH_MAX])
{
	(void)snprintf(dst, PATH_MAX, "%.3000s/%s%s", directory, name, end);
}

/* ---- the last steps ---- */

/* "calloutd.db.before-restore-20251126T080910123Z": the same whenever it is done again, another for the next copy. */
static void aside_name(const char *directory, const struct stat *restored, char dst[static PATH_MAX])
{
	char text[CLOCK_TEXT_LEN], stamp[CLOCK_TEXT_LEN], *at = stamp;

	int64_t ms = (int64_t)restored->st_mtim.tv_sec * 1000 + restored->st_mtim.tv_nsec / 1000000;

	for (const char *c = clock_text(ms, text); *c && *c != 'Z'; c++)
		if (*c != '-' && *c != ':' && *c != '.')
			*at++ = *c;
	*at = '\0';
	(void)snprintf(dst, PATH_MAX, "%.3000s/" STORE_FILE ".before-restore-%sZ", directory, stamp);
}

/* A second name first, so that there is no moment without a store; where that is not possible, another name. */
static int move_database(const char *from, const char *to)
{
	if (link(from, to) == 0 || errno == EEXIST || errno == ENOENT)
		return 0;
	return rename(from, to) < 0 ? -errno : 0;
}

static int move_wal(const char *from, const char *to)
{
	struct stat st;

	if (stat(from, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return (st.st_size ? rename(from, to) : unlink(from)) < 0 ? -errno : 0;
}

int restore_finish(const char *directory, char *ret_aside)
{
	char restored[PATH_MAX], store[PATH_MAX], aside[PATH_MAX], wal[PATH_MAX], aside_wal[PATH_MAX], shm[PATH_MAX];
	struct stat st, old;
	bool any;
	int r;

	if (ret_aside)
		*ret_aside = '\0';
	name_of(directory, COPY_RESTORED, "", restored);
	if (lstat(restored, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	name_of(directory, STORE_FILE, "", store);
	name_of(directory, STORE_FILE, "-wal", wal);
	name_of(directory, STORE_FILE, "-shm", shm);
	aside_name(directory, &st, aside);
	(void)snprintf(aside_wal, sizeof(aside_wal), "%.4000s-wal", aside);
	any = lstat(store, &old) == 0;
	r = move_database(store, aside);
	if (r == 0)
		r = move_wal(wal, aside_wal);
	if (r == 0)
		r = file_sync(directory);
	if (r < 0)
		return r;
	(void)unlink(shm);
	if (rename(restored, store) < 0)
		return -errno;
	if (ret_aside && any)
		(void)snprintf(ret_aside, PATH_MAX, "%s", aside);
	return file_sync(directory);
}

/* ---- the store that is there ---- */

struct before {
	bool known;             /* it could be read */
	bool same;              /* the copy was made of it: it holds the copy's newest event */
	bool more;              /* it has events that the copy lacks */
	int64_t newest;
};

static int open_before(const char *path, sqlite3 **ret)
{
	int64_t version = 0;
	int r, rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK)
		return sql_errno(*ret, rc);
	(void)sqlite3_extended_result_codes(*ret, 1);
	r = schema_check(*ret, path, &version, NULL);
	/* So that it is one file when it is moved; where that fails, its WAL goes along. */
	if (r == 0)
		(void)sqlite3_wal_checkpoint_v2(*ret, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return r == 0 && version == 0 ? -ENOENT : r;
}

/* One that cannot be read (that is why it is replaced) has nothing to say. */
static void look_at_before(const char *path, const struct backup_facts *copy, struct before *ret)
{
	AUTO(sqlite3) sqlite3 *db = NULL;
	int64_t newest = 0, newest_ms = 0, same_ms = 0;
	char text[96];

	*ret = (struct before){ .known = false };
	if (access(path, F_OK) < 0 || open_before(path, &db) < 0)
		return;
	if (sql_int(db, "SELECT coalesce(max(id), 0) FROM event", &newest) < 0)
		return;
	(void)snprintf(text, sizeof(text), "SELECT received_ms FROM event WHERE id = %" PRId64, copy->newest_event);
	(void)sql_int(db, text, &same_ms);
	(void)snprintf(text, sizeof(text), "SELECT received_ms FROM event WHERE id = %" PRId64, newest);
	(void)sql_int(db, text, &newest_ms);
	ret->known = true;
	ret->newest = newest;
	ret->same = copy->newest_event && same_ms == copy->newest_ms;
	ret->more = newest && (newest != copy->newest_event || newest_ms != copy->newest_ms);
}

static int lacks(const char *path, const struct before *b, const struct backup_facts *copy, struct error *err)
{
	return error_set(err, EEXIST, "%.200s has events that the copy lacks (up to %" PRId64 "; the copy: up to %" PRId64 "): "
			 "--force moves it aside all the same", path, b->newest, copy->newest_event);
}

/* ---- the copy ---- */

static int64_t next_number(const struct before *b, const struct backup_facts *copy)
{
	int64_t newest = b->newest > copy->newest_event ? b->newest : copy->newest_event;

	return newest + (b->known && b->same ? 1 : NUMBERS_APART);
}

static int tell(sqlite3 *db, const struct restore_options *o, const struct backup_facts *f, int64_t event)
{
	int64_t of_ms = f->made_ms ? f->made_ms : f->newest_ms;
	char of[CLOCK_TEXT_LEN] = "";
	char *text;
	int r;

	if (of_ms)
		(void)clock_text(of_ms, of);
	text = sqlite3_mprintf("INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action, reason, time,"
			       " record, body_len) VALUES(%lld, %lld, %d, %d, '', 0, 0, 'restored', 'restored from a copy of %s, whose newest event was "
			       "%lld', '%s', '', 0)", (long long)event, (long long)o->now_ms, EVENT_RESTORED, SOURCE_LIVE,
			       of_ms ? of : "an unknown time", (long long)f->newest_event, of);
	if (!text)
		return -ENOMEM;
	r = sql_exec(db, text);
	sqlite3_free(text);
	return r;
}

static int change(const char *path, const struct restore_options *o, const struct backup_facts *f, int64_t event)
{
	AUTO(sqlite3) sqlite3 *db = NULL;
	int r = copy_open(path, &db);

	if (r == 0)
		r = sql_exec(db, "BEGIN; DROP TABLE IF EXISTS backup;");
	if (r == 0 && event)
		r = tell(db, o, f, event);
	if (r == 0 && o->hold)
		r = sql_exec(db, "UPDATE handler SET held = 1, held_until_ms = 0");
	return r == 0 ? sql_exec(db, "COMMIT") : r;
}

/* The daemon's user must be able to use it, whoever puts it there. */
static int give_to_owner(const char *path, const char *directory)
{
	struct stat st;

	if (stat(directory, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() && chown(path, st.st_uid, st.st_gid) < 0)
		return -errno;
	return chmod(path, 0600) < 0 ? -errno : file_sync(path);
}

static int make(const struct restore_options *o, const struct backup_facts *f, int64_t event)
{
	AUTO(sqlite3) sqlite3 *from = NULL;
	char path[PATH_MAX], restored[PATH_MAX];
	int r;

	name_of(o->directory, COPY_FOR_RESTORE, "", path);
	name_of(o->directory, COPY_RESTORED, "", restored);
	r = copy_open_still(o->from, &from);
	if (r == 0)
		r = copy_pages(from, path, 0, &o->watch);
	if (r == 0)
		r = change(path, o, f, event);
	if (r == 0)
		r = give_to_owner(path, o->directory);
	if (r == 0 && rename(path, restored) < 0)
		r = -errno;
	if (r < 0)
		copy_remove(path);
	return r < 0 ? r : file_sync(o->directory);
}

static int restore_locked(const struct restore_options *o, struct restored *ret, struct error *err)
{
	struct backup_facts f;
	struct before before;
	char store[PATH_MAX];
	int r;

	store_sweep(o->directory);
	r = restore_finish(o->directory, NULL);
	if (r < 0)
		return store_sentence(r, o->directory, NULL, err);
	r = backup_look(o->from, true, &f, err);
	if (r < 0)
		return r;
	if (o->moved && !f.stopped)
		return error_set(err, EINVAL, "%.200s was made while calloutd ran, which may have received more: stop it, and make one with "
				 "`calloutctl backup --offline`", o->from);
	name_of(o->directory, STORE_FILE, "", store);
	look_at_before(store, &f, &before);
	if (before.more && !o->force)
		return lacks(store, &before, &f, err);
	ret->event = o->moved ? 0 : next_number(&before, &f);
	r = make(o, &f, ret->event);
	if (r == -EUCLEAN)
		return error_set(err, EUCLEAN, "%.200s cannot be used, it is damaged: the store is as it was", o->from);
	if (r == 0)
		r = restore_finish(o->directory, ret->aside);
	if (r == -ECANCELED)
		return error_set(err, ECANCELED, "broken off: the store is as it was");
	return r < 0 ? store_sentence(r, o->directory, NULL, err) : 0;
}

int backup_restore(const struct restore_options *o, struct restored *ret, struct error *err)
{
	AUTO(fd) int lock = -1;
	int r = directory_make(o->directory, 0700, err);

	if (r == 0)
		r = store_lock(o->directory, &lock, err);
	return r == 0 ? restore_locked(o, ret, err) : r;
}
