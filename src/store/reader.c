/*
 * reader.c - opening a read-only view, its deadline and its statements.
 *
 * A reader works beside a running writer and on a stopped store. WAL mode needs two files
 * beside the database; where they can neither be found nor be made (a copy in a directory
 * that is not writable), nobody writes either, and the database is read as it is.
 */
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define BUSY_MS 500
#define PROGRESS_STEPS 2000     /* of SQLite's machine between two looks at the clock: well below 1 ms */

_Static_assert(ON_DISK(DELIVERY_WAITING) == 2, "the texts below say so");
_Static_assert(DELIVERY_HELD_MS == 9223372036854775807, "and so");

#define PARKED_COLUMNS \
	"p.event, p.record, p.attempts, p.late, p.due_ms, (SELECT received_ms FROM event WHERE id = p.event)," \
	" EXISTS(SELECT 1 FROM replayed y WHERE y.event = p.event AND y.handler = p.handler)"
#define TEXT_OF(number) #number
#define AS_TEXT(macro) TEXT_OF(macro)
#define REACH_TEXT AS_TEXT(READER_REACH)

static const char *const questions[RD_COUNT_] = {
	[RD_HANDLERS] =
		"SELECT id, name, low_water, held, held_until_ms, pause_until_ms, pause_step, failures,"
		" accepted, done, failed, dropped FROM handler ORDER BY name",
	[RD_WAITING] =
		"SELECT event, state, at_ms FROM delivery WHERE handler = ? AND event > ? ORDER BY event",
	[RD_PARKED_OLDEST] =
		"SELECT d.at_ms FROM (SELECT event FROM parked WHERE handler = ?1 ORDER BY event LIMIT 1) p"
		" JOIN delivery d ON d.handler = ?1 AND d.event = p.event",
	[RD_NEXT] =
		"SELECT e.record, EXISTS(SELECT 1 FROM parked q WHERE q.handler = ?2 AND q.record = e.record"
		" AND q.blocked IN (0, 1) AND q.event < e.id), e.received_ms FROM event e WHERE e.id = ?1",
	[RD_DUE] =
		"SELECT " PARKED_COLUMNS " FROM parked p"
		" WHERE p.handler = ? AND p.blocked = 0 AND p.due_ms <= ? ORDER BY p.due_ms, p.event LIMIT ?",
	[RD_NEXT_DUE] =
		"SELECT due_ms FROM parked WHERE handler = ? AND blocked = 0 ORDER BY due_ms LIMIT 1",
	[RD_BEHIND] =
		"SELECT " PARKED_COLUMNS " FROM parked p"
		" WHERE p.handler = ? AND p.record = ? AND p.blocked = 1 AND p.event > ? ORDER BY p.event LIMIT ?",
	[RD_AHEAD] =
		"SELECT w.event, e.received_ms FROM (SELECT event, state FROM delivery"
		" WHERE handler = ? AND event > ? ORDER BY event LIMIT " REACH_TEXT ") w"
		" CROSS JOIN event e ON e.id = w.event WHERE w.state = 2 AND e.record = ? LIMIT ?",
	[RD_HELD] =
		"SELECT h.name, p.record, p.event FROM handler h CROSS JOIN parked p ON p.handler = h.id"
		" WHERE p.blocked = 0 AND p.due_ms = 9223372036854775807 ORDER BY h.name, p.event LIMIT ?",
	[RD_HANDLED_NEWER] = HANDLED_NEWER,
	[RD_HANDLED_AFTER] =
		"SELECT 1 FROM handled WHERE handler = ? AND record = ? AND event > ? AND coalesce(sequence > ?, 1)",
	[RD_EVENT_NEXT] = "SELECT id, received_ms FROM event WHERE id > ? ORDER BY id LIMIT 1",
	[RD_REGISTRATIONS] = "SELECT webhook, guid, id FROM registration ORDER BY webhook",
	[RD_ALERTS] = "SELECT kind, level, object, since_ms, last_ms, count, window_ms, told, text FROM alert",
	[RD_EVENT] =
		"SELECT " EVENT_COLUMNS ", c.event IS NOT NULL FROM event e"
		" LEFT JOIN content c ON c.event = e.id WHERE e.id = ?",
	[RD_EVENT_EXISTS] = "SELECT 1 FROM event WHERE id = ?",
	[RD_SEEN] = "SELECT event FROM seen WHERE key = ? AND time_ms = ?",
	[RD_SEEN_BODY] = "SELECT event FROM seen_body WHERE key = ?",
	[RD_BODY] = "SELECT body, headers FROM content WHERE event = ?",
	[RD_EVENTS_DOWN] =
		"SELECT " EVENT_COLUMNS " FROM event e WHERE e.id < ? ORDER BY e.id DESC",
	[RD_EVENTS_UP] =
		"SELECT " EVENT_COLUMNS " FROM event e WHERE e.id > ? ORDER BY e.id",
	[RD_CONTENT] = "SELECT 1 FROM content WHERE event = ?",
	[RD_DELIVERY_STATE] = "SELECT state FROM delivery WHERE handler = ? AND event = ?",
	[RD_DEAD_DOWN] =
		"SELECT DISTINCT event FROM dead WHERE event < ? ORDER BY event DESC",
	[RD_DEAD_UP] = "SELECT DISTINCT event FROM dead WHERE event > ? ORDER BY event",
	[RD_DELIVERIES] =
		"SELECT d.handler, h.name, d.state, d.attempts, d.at_ms, p.blocked, p.due_ms,"
		" EXISTS(SELECT 1 FROM replayed y WHERE y.event = ?1 AND y.handler = h.id)"
		" FROM handler h CROSS JOIN delivery d ON d.handler = h.id AND d.event = ?1"
		" LEFT JOIN parked p ON p.handler = h.id AND p.event = ?1",
	[RD_ATTEMPTS] =
		"SELECT a.run, a.handler, h.name, a.number, a.started_ms, a.ended_ms, a.result, a.status,"
		" o.out, o.err, a.out_total, a.err_total FROM attempt a JOIN handler h ON h.id = a.handler"
		" LEFT JOIN output o ON o.id = a.output WHERE a.event = ? ORDER BY a.handler, a.run",
	[RD_NEWEST] = "SELECT max(id) FROM event",
	[RD_PAGES] = "PRAGMA page_count",
	[RD_FREE_PAGES] = "PRAGMA freelist_count",
};

static int on_progress(void *arg)
{
	const struct reader *r = arg;

	return r->until_ms && clock_mono_ms() >= r->until_ms;
}

void reader_begin(struct reader *r)
{
	r->until_ms = r->deadline_ms ? clock_mono_ms() + r->deadline_ms : 0;
}

void reader_deadline(struct reader *r, int64_t ms)
{
	r->deadline_ms = ms;
	sqlite3_progress_handler(r->db, ms ? PROGRESS_STEPS : 0, ms ? on_progress : NULL, r);
}

/* ---- opening ---- */

static int connect_uri(struct reader *r, const char *uri)
{
	int64_t version = 0;
	int rc, result;

	(void)sqlite3_close(r->db);
	r->db = NULL;
	rc = sqlite3_open_v2(uri, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
			     NULL);
	if (rc != SQLITE_OK)
		return sql_errno(r->db, rc);
	(void)sqlite3_extended_result_codes(r->db, 1);
	(void)sqlite3_busy_timeout(r->db, BUSY_MS);
	result = sql_exec(r->db, "PRAGMA query_only = ON; PRAGMA cache_size = -2048;"
				 "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;");
	/* The first read is what needs the files beside it. */
	return result == 0 ? sql_int(r->db, "PRAGMA user_version", &version) : result;
}

char *reader_uri(const char *path, const char *parameters)
{
	size_t cap = strlen(path) * 3 + strlen(parameters) + 8;
	char *uri = malloc(cap), *at = uri;

	if (!uri)
		return NULL;
	at = stpcpy(at, "file:");
	for (; *path; path++) {
		if (strchr("%?#", *path))
			at += snprintf(at, 4, "%%%02X", (unsigned char)*path);
		else
			*at++ = *path;
	}
	(void)snprintf(at, cap - (size_t)(at - uri), "%s", parameters);
	return uri;
}

static bool has_wal(const char *path)
{
	AUTO(free) char *wal = NULL;
	struct stat st;

	if (asprintf(&wal, "%s-wal", path) < 0) {
		wal = NULL;
		return true;
	}
	return stat(wal, &st) == 0 && st.st_size > 0;
}

int reader_view(struct reader *r)
{
	AUTO(free) char *plain = reader_uri(r->path, "");
	AUTO(free) char *still = reader_uri(r->path, "?immutable=1");
	int result;

	if (!plain || !still)
		return -ENOMEM;
	if (access(r->path, R_OK) < 0)
		return -errno;
	result = connect_uri(r, plain);
	if ((result == -EROFS || result == -EACCES || result == -ENOENT || result == -EIO ||
	     result == -EPERM) && !has_wal(r->path))
		result = connect_uri(r, still);
	return result;
}

static int check_version(struct reader *r, struct error *err)
{
	int64_t version = 0;
	int result = schema_check(r->db, r->path, &version, err);

	if (result == 0 && version != STORE_SCHEMA)
		return error_set(err, EOPNOTSUPP,
				 "%.200s has tables of version %d, this program reads version %d: start "
				 "calloutd once, it brings them up to date after making a copy",
				 r->path, (int)version, STORE_SCHEMA);
	return result;
}

int reader_open(const char *directory, struct reader **ret_reader, struct error *err)
{
	AUTO(reader) struct reader *r = calloc(1, sizeof(*r));
	int result;

	if (!r || asprintf(&r->path, "%s/" STORE_FILE, directory) < 0) {
		if (r)
			r->path = NULL;
		return error_no_memory(err);
	}
	result = reader_view(r);
	if (result == -ENOENT)
		return error_set(err, ENOENT, "there is no store in %.200s: no " STORE_FILE " there",
				 directory);
	if (result < 0)
		return store_sentence(result, r->path, r->db ? sqlite3_errmsg(r->db) : NULL, err);
	result = check_version(r, err);
	if (result < 0)
		return result;
	result = sql_prepare_all(r->db, questions, RD_COUNT_, r->st);
	if (result < 0)
		return store_sentence(result, r->path, sqlite3_errmsg(r->db), err);
	*ret_reader = TAKE(r);
	return 0;
}

struct reader *reader_close(struct reader *r)
{
	if (!r)
		return NULL;
	sql_finalize_all(r->st, RD_COUNT_);
	(void)sqlite3_close(r->db);
	free(r->skips);
	free(r->path);
	free(r);
	return NULL;
}
