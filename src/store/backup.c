/* backup.c - a whole copy beside a running writer, and looking into one. */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "copy.h"
#include "private.h"
#include "reader.h"

/* ---- what is in it ---- */

static int ask_text(sqlite3 *db, const char *text, char *dst, size_t cap)
{
	sqlite3_stmt *st = NULL;
	int r, rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return sql_errno(db, rc);
	r = sql_step(st);
	if (r > 0)
		column_text(st, 0, dst, cap);
	(void)sqlite3_finalize(st);
	return r < 0 ? r : 0;
}

/* Only a copy made by us says when. */
static int read_label(sqlite3 *db, struct backup_facts *f)
{
	int64_t labelled = 0, stopped = 0;
	int r = sql_int(db, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'backup'", &labelled);

	if (r < 0 || !labelled)
		return r;
	r = sql_int(db, "SELECT made_ms FROM backup", &f->made_ms);
	if (r == 0)
		r = sql_int(db, "SELECT stopped FROM backup", &stopped);
	f->stopped = stopped;
	return r < 0 ? r : ask_text(db, "SELECT by FROM backup", f->by, sizeof(f->by));
}

static int read_facts(sqlite3 *db, struct backup_facts *ret)
{
	struct backup_facts f = { .version = 0 };
	int64_t pages = 0, page_bytes = 0, version = 0;
	const struct {
		const char *text;
		int64_t *value;
	} numbers[] = {
		{ "PRAGMA user_version", &version },
		{ "PRAGMA page_count", &pages },
		{ "PRAGMA page_size", &page_bytes },
		{ "SELECT count(*) FROM event", (int64_t *)&f.events },
		{ "SELECT coalesce(sum(accepted - done - failed - dropped), 0) FROM handler", (int64_t *)&f.waiting },
		{ "SELECT count(*) FROM dead", (int64_t *)&f.failed },
		{ "SELECT coalesce(max(id), 0) FROM event", &f.newest_event },
		{ "SELECT coalesce((SELECT received_ms FROM event ORDER BY id DESC LIMIT 1), 0)", &f.newest_ms },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
		r = sql_int(db, numbers[i].text, numbers[i].value);
	if (r == 0)
		r = read_label(db, &f);
	f.version = (int)version;
	f.bytes = (uint64_t)(pages * page_bytes);
	if (r == 0)
		*ret = f;
	return r;
}

/* ---- making one ---- */

static int failed(int r, const char *path, sqlite3 *db, struct error *err)
{
	if (r == -ECANCELED)
		return error_set(err, ECANCELED, "broken off: nothing of the copy is left");
	return store_sentence(r, path, db ? sqlite3_errmsg(db) : NULL, err);
}

static int no_room(const struct backup_options *o, uint64_t bytes, struct error *err)
{
	return error_set(err, ENOSPC,
			 "no room for a copy beside %.200s: it needs %" PRIu64 " MiB%s; make room%s", o->to,
			 ((bytes + o->leave) >> 20) + 1, o->leave ? ", with what min-free keeps for callouts" : "",
			 o->leave ? ", or stop calloutd and add --offline, which writes to the place you name" : "");
}

/* What it sees from here on is of one moment. */
static int begin_view(struct reader *view, const struct backup_options *o, uint64_t *ret_bytes, struct error *err)
{
	int64_t version = 0, pages = 0, page_bytes = 0;
	uint64_t room = 0, all = 0;
	int r = reader_view(view);

	if (r == -ENOENT)
		return error_set(err, ENOENT, "there is no store in %.200s: no " STORE_FILE " there", o->directory);
	if (r == 0)
		r = sql_exec(view->db, "BEGIN");
	if (r < 0)
		return failed(r, view->path, view->db, err);
	r = schema_check(view->db, view->path, &version, err);
	if (r < 0)
		return r;
	if (version == 0)
		return error_set(err, ENOENT, "%.200s is empty: nothing was ever stored", view->path);
	r = sql_int(view->db, "PRAGMA page_count", &pages);
	if (r == 0)
		r = sql_int(view->db, "PRAGMA page_size", &page_bytes);
	if (r < 0)
		return failed(r, view->path, view->db, err);
	*ret_bytes = (uint64_t)(pages * page_bytes);
	if (file_space(o->to, &room, &all) == 0 && room < *ret_bytes + o->leave)
		return no_room(o, *ret_bytes, err);
	return 0;
}

static int label(sqlite3 *db, bool stopped)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "BEGIN; DROP TABLE IF EXISTS backup;"
		       "CREATE TABLE backup(made_ms INTEGER NOT NULL, by TEXT NOT NULL, stopped INTEGER NOT NULL);"
		       "INSERT INTO backup VALUES(%" PRId64 ", '" CALLOUTD_VERSION "', %d); COMMIT;", clock_now_ms(), stopped);
	return sql_exec(db, text);
}

/* The copy by itself: labelled, counted, checked. */
static int finish(const struct backup_options *o, struct backup_facts *ret, struct error *err)
{
	AUTO(sqlite3) sqlite3 *db = NULL;
	char wrong[200] = "";
	int r = copy_open(o->to, &db);

	if (r == 0)
		r = label(db, o->stopped);
	if (r == 0)
		r = read_facts(db, ret);
	if (r < 0)
		return failed(r, o->to, db, err);
	r = copy_check(db, &o->watch, wrong, sizeof(wrong));
	if (r == -EUCLEAN)
		return error_set(err, EUCLEAN, "the store in %.200s is damaged (%s): keep it for examination, and restore "
				 "a backup from before", o->directory, wrong);
	return r < 0 ? failed(r, o->to, db, err) : 0;
}

static int copy_view(const struct backup_options *o, struct error *err)
{
	AUTO(free) char *path = NULL;
	struct reader view = { .db = NULL };
	uint64_t bytes = 0;
	int r;

	if (asprintf(&path, "%s/" STORE_FILE, o->directory) < 0) {
		path = NULL;
		return error_no_memory(err);
	}
	view.path = path;
	r = begin_view(&view, o, &bytes, err);
	if (r == 0) {
		r = copy_pages(view.db, o->to, o->leave, &o->watch);
		if (r == -ENOSPC)
			(void)no_room(o, bytes, err);
		else if (r < 0)
			(void)failed(r, o->to, NULL, err);
	}
	(void)sqlite3_close(view.db);
	return r;
}

int backup_make(const struct backup_options *o, struct backup_facts *ret, struct error *err)
{
	AUTO(fd) int fd = open(o->to, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct backup_facts f;
	int r;

	if (fd < 0)
		return error_set(err, errno, "cannot write %.200s: %s", o->to, strerror(errno));
	r = copy_view(o, err);
	if (r == 0)
		r = finish(o, &f, err);
	if (r == 0 && o->sync && fsync(fd) < 0)
		r = failed(-errno, o->to, NULL, err);
	if (r < 0)
		copy_remove(o->to);
	else
		*ret = f;
	return r;
}

/* ---- looking into one ---- */

static int no_copy(int r, const char *path, const char *why, struct error *err)
{
	return error_set(err, -r, "%.200s is not a whole copy of calloutd's store: %s", path, why);
}

static int alone(const char *path, struct error *err)
{
	char wal[PATH_MAX];
	struct stat st;

	(void)snprintf(wal, sizeof(wal), "%.3800s-wal", path);
	if (stat(path, &st) < 0)
		return error_set(err, errno, "cannot read %.200s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%.200s is no file", path);
	if (stat(wal, &st) == 0 && st.st_size > 0)
		return error_set(err, EBUSY, "%.200s is a store in use, or one that was not closed (it has a -wal): copy it with "
				 "`calloutctl backup`", path);
	return 0;
}

static int look(sqlite3 *db, const char *path, bool whole, struct backup_facts *ret, struct error *err)
{
	char wrong[200] = "";
	int64_t version = 0;
	int r = schema_check(db, path, &version, err);

	if (r == -EUCLEAN)
		return no_copy(r, path, "it is damaged, or something else", err);
	if (r < 0)
		return r;
	if (version == 0)
		return no_copy(-EUCLEAN, path, "it is empty", err);
	if (whole) {
		r = copy_check(db, NULL, wrong, sizeof(wrong));
		if (r == -EUCLEAN)
			return no_copy(r, path, *wrong ? wrong : sqlite3_errmsg(db), err);
	}
	if (r == 0)
		r = read_facts(db, ret);
	if (r == -EUCLEAN)
		return no_copy(r, path, sqlite3_errmsg(db), err);
	return r < 0 ? store_sentence(r, path, sqlite3_errmsg(db), err) : 0;
}

int backup_look(const char *path, bool whole, struct backup_facts *ret, struct error *err)
{
	AUTO(sqlite3) sqlite3 *db = NULL;
	int r = alone(path, err);

	if (r < 0)
		return r;
	r = copy_open_still(path, &db);
	if (r < 0)
		return error_set(err, -r, "cannot read %.200s: %s", path, strerror(-r));
	return look(db, path, whole, ret, err);
}
