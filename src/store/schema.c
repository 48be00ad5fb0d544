/*
 * schema.c - the tables, their versions, and the way from an older one.
 *
 * Why they look as they do: accepting must only append (docs/architecture.md). So `event`,
 * `content` and `delivery` are ordered by ids that only grow and have no index besides,
 * `seen` begins with the time, and what is out of turn is in small tables of exceptions:
 * `parked` (to be done later), `dead` (given up).
 */
#include "schema.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "copy.h"
#include "sql.h"
#include "store/store.h"

/* Texts that two versions share are written once. */
#define REGISTRATION \
	"CREATE TABLE registration(" /* what calloutctl found out about a webhook at Autotask */ \
	"webhook TEXT PRIMARY KEY, guid TEXT NOT NULL, id INTEGER NOT NULL) WITHOUT ROWID;"

#define ALERT \
	"CREATE TABLE alert(" /* what is untold, and how often it was told lately */ \
	"kind INTEGER NOT NULL, level INTEGER NOT NULL, object TEXT NOT NULL," \
	"since_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL," \
	"window_ms INTEGER NOT NULL, told INTEGER NOT NULL, text TEXT NOT NULL," \
	"PRIMARY KEY(kind, object, level)) WITHOUT ROWID;"

#define REPLAYED \
	"CREATE TABLE replayed(" /* which deliveries an operator's replay made, for good */ \
	"event INTEGER NOT NULL, handler INTEGER NOT NULL, PRIMARY KEY(event, handler)) WITHOUT ROWID;"

static const char tables[] =
	"CREATE TABLE handler("
	"id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	"low_water INTEGER NOT NULL DEFAULT 0,"
	"held INTEGER NOT NULL DEFAULT 0, held_until_ms INTEGER NOT NULL DEFAULT 0,"
	"pause_until_ms INTEGER NOT NULL DEFAULT 0, pause_step INTEGER NOT NULL DEFAULT 0,"
	"failures INTEGER NOT NULL DEFAULT 0,"
	"accepted INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,"
	"failed INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0);"

	"CREATE TABLE event("
	"id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, kind INTEGER NOT NULL,"
	"source INTEGER NOT NULL, webhook TEXT NOT NULL, verified INTEGER NOT NULL,"
	"signed_by INTEGER NOT NULL, reason TEXT, action TEXT, action_raw TEXT, entity TEXT,"
	"entity_raw TEXT, guid TEXT, time TEXT, record TEXT NOT NULL, client TEXT,"
	"record_id INTEGER, sequence INTEGER, person INTEGER, body_len INTEGER NOT NULL,"
	"duplicates INTEGER NOT NULL DEFAULT 0);"

	/* apart from the event, so that retention removes it without rewriting events */
	"CREATE TABLE content(event INTEGER PRIMARY KEY, headers TEXT, body BLOB NOT NULL);"

	/* random keys at the front of an index halve the rate: the time goes first */
	"CREATE TABLE seen("
	"time_ms INTEGER NOT NULL, key BLOB NOT NULL, event INTEGER NOT NULL,"
	"PRIMARY KEY(time_ms, key)) WITHOUT ROWID;"
	/* the few that carry no time: the body decides */
	"CREATE TABLE seen_body("
	"key BLOB PRIMARY KEY, event INTEGER NOT NULL, received_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX seen_body_age ON seen_body(received_ms);"

	/* at_ms: accepted, later settled; one width, so that a settled row stays in place */
	"CREATE TABLE delivery("
	"handler INTEGER NOT NULL, event INTEGER NOT NULL, state INTEGER NOT NULL,"
	"attempts INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
	"PRIMARY KEY(handler, event)) WITHOUT ROWID;"

	"CREATE TABLE parked("
	"handler INTEGER NOT NULL, event INTEGER NOT NULL, record TEXT NOT NULL,"
	"blocked INTEGER NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	"late INTEGER NOT NULL DEFAULT 0,"
	"PRIMARY KEY(handler, event)) WITHOUT ROWID;"
	"CREATE INDEX parked_record ON parked(handler, record, blocked, event);"
	"CREATE INDEX parked_due ON parked(handler, due_ms, event) WHERE blocked = 0;"

	"CREATE TABLE dead("
	"event INTEGER NOT NULL, handler INTEGER NOT NULL,"
	"PRIMARY KEY(event, handler)) WITHOUT ROWID;"

	/*
	 * The newest event of a record that a handler has done; and how new, by the vendor's number, by
	 * the vendor's time, and by the time of those that have no number: what is handed over later
	 * is compared by the number where both have one, else by the time.
	 */
	"CREATE TABLE handled("
	"handler INTEGER NOT NULL, record TEXT NOT NULL, event INTEGER NOT NULL,"
	"sequence INTEGER, time_ms INTEGER, plain_ms INTEGER,"
	"PRIMARY KEY(handler, record)) WITHOUT ROWID;"

	REGISTRATION

	ALERT

	REPLAYED

	"CREATE TABLE attempt("
	"event INTEGER NOT NULL, handler INTEGER NOT NULL, run INTEGER NOT NULL,"
	"number INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
	"result INTEGER NOT NULL, status INTEGER NOT NULL, output INTEGER,"
	"out_total INTEGER NOT NULL, err_total INTEGER NOT NULL,"
	"PRIMARY KEY(event, handler, run)) WITHOUT ROWID;"
	"CREATE TABLE output(id INTEGER PRIMARY KEY, out BLOB NOT NULL, err BLOB NOT NULL);";

/* A moment as clock_parse() reads it, from a text; null where it is none. */
#define MS_OF(text) "CAST(round((julianday(" text ") - 2440587.5) * 86400000) AS INTEGER)"

/* From version i + 1 to i + 2. */
static const char *const steps[] = {
	"ALTER TABLE parked ADD COLUMN late INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE handled("
	"handler INTEGER NOT NULL, record TEXT NOT NULL, event INTEGER NOT NULL,"
	"PRIMARY KEY(handler, record)) WITHOUT ROWID;"
	"INSERT INTO handled(handler, record, event)"
	" SELECT d.handler, e.record, max(d.event) FROM delivery d JOIN event e ON e.id = d.event"
	" WHERE d.state = 4 GROUP BY d.handler, e.record;",

	REGISTRATION
	"ALTER TABLE handled ADD COLUMN sequence INTEGER;"
	"ALTER TABLE handled ADD COLUMN time_ms INTEGER;"
	"ALTER TABLE handled ADD COLUMN plain_ms INTEGER;"
	/* All came as callouts until then, in order: the newest one accepted is the newest. */
	"UPDATE handled SET sequence = e.sequence, time_ms = " MS_OF("e.time") ","
	" plain_ms = CASE WHEN e.sequence IS NULL THEN " MS_OF("e.time") " END"
	" FROM event e WHERE e.id = handled.event;",

	ALERT,

	REPLAYED,
};
_Static_assert(ARRAY_LEN(steps) == STORE_SCHEMA - 1, "every older version needs a way here");
_Static_assert(ON_DISK(DELIVERY_DONE) == 4, "the steps say so");

int store_sentence(int code, const char *path, const char *detail, struct error *err)
{
	const char *say = detail ? detail : strerror(-code);

	switch (code) {
	case -ENOSPC:
		return error_set(err, ENOSPC,
				 "%.200s: the disk is full: make room on its file system (or raise "
				 "the quota); it goes on by itself", path);
	case -EROFS:
		return error_set(err, EROFS,
				 "%.200s is read-only: remount its file system writable, and check "
				 "ReadWritePaths= of the unit and the owner of the files; it goes on by "
				 "itself", path);
	case -EUCLEAN:
		return error_set(err, EUCLEAN,
				 "%.200s is damaged (%.100s): stop calloutd, keep the file for "
				 "examination, and restore a backup, or move it and its -wal away to "
				 "begin with an empty store", path, say);
	case -EBUSY:
		return error_set(err, EBUSY,
				 "%.200s is locked by another program: end it (fuser -v shows who "
				 "it is)", path);
	case -EACCES:
	case -EPERM:
		return error_set(err, -code,
				 "%.200s: %.60s: make calloutd's user the owner of the state directory "
				 "and all that is in it", path, say);
	case STORE_FATAL:
		return error_set(err, ENOTRECOVERABLE,
				 "%.200s: the disk failed to write what it had taken (fsync): nobody "
				 "knows what is on it; check the disk (dmesg, smartctl)", path);
	case -EIO:
		return error_set(err, EIO,
				 "%.200s: the disk cannot be read or written (%.100s): check it (dmesg, "
				 "smartctl)", path, say);
	default:
		return error_set(err, -code, "%.200s: %.100s", path, say);
	}
}

static int newer(const char *path, int64_t version, struct error *err)
{
	char copy[PATH_MAX], back[256] = "restore a backup from before";

	/* What the newer one has put aside before it changed our tables. */
	(void)snprintf(copy, sizeof(copy), "%.3000s.v%d", path, STORE_SCHEMA);
	if (access(copy, F_OK) == 0)
		(void)snprintf(back, sizeof(back), "go back to the copy made before the upgrade: calloutctl restore %.180s", copy);
	return error_set(err, EOPNOTSUPP,
			 "%.180s was written by a newer calloutd (version %" PRId64 " of the tables; "
			 "this one knows up to %d): install that calloutd again, or %s; nothing was changed", path, version,
			 STORE_SCHEMA, back);
}

static int alien(const char *path, struct error *err)
{
	return error_set(err, EUCLEAN,
			 "%.200s is a database, but not calloutd's: move it away, or restore a backup "
			 "of calloutd's in its place; nothing was changed", path);
}

int schema_check(sqlite3 *db, const char *path, int64_t *ret_version, struct error *err)
{
	int64_t version = 0, application = 0, count = 0;
	int r;

	r = sql_int(db, "PRAGMA user_version", &version);
	if (r == 0)
		r = sql_int(db, "PRAGMA application_id", &application);
	if (r == 0)
		r = sql_int(db, "SELECT count(*) FROM sqlite_master", &count);
	if (r < 0)
		return store_sentence(r, path, sqlite3_errmsg(db), err);
	if (version > STORE_SCHEMA)
		return newer(path, version, err);
	if (version < 0 || (version == 0) != (count == 0) ||
	    (version > 0 && application != STORE_APPLICATION))
		return alien(path, err);
	*ret_version = version;
	return 0;
}

/* Looked at ahead, since it is tried again every few seconds: a copy each time would wear the disk out. */
static int room_for_copy(sqlite3 *db, const char *path)
{
	int64_t pages = 0, page_bytes = 0;
	uint64_t room = 0, all = 0;
	int r = sql_int(db, "PRAGMA page_count", &pages);

	if (r == 0)
		r = sql_int(db, "PRAGMA page_size", &page_bytes);
	if (r == 0)
		r = file_space(path, &room, &all);
	return r == 0 && room < (uint64_t)(pages * page_bytes) ? -ENOSPC : r;
}

/* Written aside, on disk, and only then under the name that means "whole". */
static int copy_before(sqlite3 *db, const char *path, int64_t version, struct error *err)
{
	char aside[PATH_MAX], copy[PATH_MAX];
	int r;

	(void)snprintf(copy, sizeof(copy), "%.3000s.v%" PRId64, path, version);
	(void)snprintf(aside, sizeof(aside), "%.3000s.v%" PRId64 ".new", path, version);
	if (unlink(aside) < 0 && errno != ENOENT)
		return store_sentence(-errno, aside, NULL, err);
	r = room_for_copy(db, path);
	if (r == 0)
		r = copy_pages(db, aside, 0, NULL);
	if (r == 0)
		r = file_sync(aside);
	if (r == 0 && rename(aside, copy) < 0)
		r = -errno;
	if (r == 0)
		r = file_sync_directory_of(copy);
	if (r == 0)
		return 0;
	(void)unlink(aside);
	(void)store_sentence(r, copy, NULL, err);
	error_prefix(err, "the tables must be brought to version %d, and first be copied",
		     STORE_SCHEMA);
	return r;
}

static int bring_steps(sqlite3 *db, int64_t version)
{
	char text[96];
	int r = sql_exec(db, "BEGIN IMMEDIATE");

	if (r == 0 && version == 0)
		r = sql_exec(db, tables);
	for (int64_t v = version; r == 0 && v > 0 && v < STORE_SCHEMA; v++)
		r = sql_exec(db, steps[v - 1]);
	(void)snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		       STORE_APPLICATION, STORE_SCHEMA);
	if (r == 0)
		r = sql_exec(db, text);
	if (r == 0)
		r = sql_exec(db, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(db))
		(void)sql_exec(db, "ROLLBACK");
	return r;
}

static void tell_lengthy(const struct store_options *o, int64_t version)
{
	char what[120];

	(void)snprintf(what, sizeof(what), "bringing the store's tables from version %" PRId64 " to %d, after a copy", version, STORE_SCHEMA);
	if (o->lengthy)
		o->lengthy(o->arg, what);
}

int schema_bring(sqlite3 *db, const char *path, int64_t version, const struct store_options *o, struct error *err)
{
	int r;

	if (version == STORE_SCHEMA)
		return 0;
	if (version > 0) {
		tell_lengthy(o, version);
		r = copy_before(db, path, version, err);
		if (r < 0)
			return r;
	}
	r = bring_steps(db, version);
	return r < 0 ? store_sentence(r, path, sqlite3_errmsg(db), err) : 0;
}
