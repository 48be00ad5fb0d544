/* test_store_open.c - opening: older tables, newer ones, damage, locks, read-only places. */
#include "test_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* The tables of version 1 as they were, with a few events in all states. */
static const char version_1[] =
	"PRAGMA journal_mode = WAL;"
	"BEGIN;"
	"CREATE TABLE handler(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	"low_water INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,"
	"held_until_ms INTEGER NOT NULL DEFAULT 0, pause_until_ms INTEGER NOT NULL DEFAULT 0,"
	"pause_step INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
	"accepted INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,"
	"failed INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE event(id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL,"
	"kind INTEGER NOT NULL, source INTEGER NOT NULL, webhook TEXT NOT NULL,"
	"verified INTEGER NOT NULL, signed_by INTEGER NOT NULL, reason TEXT, action TEXT,"
	"action_raw TEXT, entity TEXT, entity_raw TEXT, guid TEXT, time TEXT, record TEXT NOT NULL,"
	"client TEXT, record_id INTEGER, sequence INTEGER, person INTEGER, body_len INTEGER NOT NULL,"
	"duplicates INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE content(event INTEGER PRIMARY KEY, headers TEXT, body BLOB NOT NULL);"
	"CREATE TABLE seen(time_ms INTEGER NOT NULL, key BLOB NOT NULL, event INTEGER NOT NULL,"
	"PRIMARY KEY(time_ms, key)) WITHOUT ROWID;"
	"CREATE TABLE seen_body(key BLOB PRIMARY KEY, event INTEGER NOT NULL,"
	"received_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX seen_body_age ON seen_body(received_ms);"
	"CREATE TABLE delivery(handler INTEGER NOT NULL, event INTEGER NOT NULL,"
	"state INTEGER NOT NULL, attempts INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
	"PRIMARY KEY(handler, event)) WITHOUT ROWID;"
	"CREATE TABLE parked(handler INTEGER NOT NULL, event INTEGER NOT NULL, record TEXT NOT NULL,"
	"blocked INTEGER NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	"PRIMARY KEY(handler, event)) WITHOUT ROWID;"
	"CREATE INDEX parked_record ON parked(handler, record, blocked, event);"
	"CREATE INDEX parked_due ON parked(handler, due_ms, event) WHERE blocked = 0;"
	"CREATE TABLE dead(event INTEGER NOT NULL, handler INTEGER NOT NULL,"
	"PRIMARY KEY(event, handler)) WITHOUT ROWID;"
	"CREATE TABLE attempt(event INTEGER NOT NULL, handler INTEGER NOT NULL, run INTEGER NOT NULL,"
	"number INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
	"result INTEGER NOT NULL, status INTEGER NOT NULL, output INTEGER,"
	"out_total INTEGER NOT NULL, err_total INTEGER NOT NULL,"
	"PRIMARY KEY(event, handler, run)) WITHOUT ROWID;"
	"CREATE TABLE output(id INTEGER PRIMARY KEY, out BLOB NOT NULL, err BLOB NOT NULL);"
	"INSERT INTO handler(id, name, accepted, done, failed) VALUES(1, 'page', 4, 1, 1);"
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)"
	" INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action,"
	" entity, record, record_id, body_len)"
	" SELECT i, 1757948270000 + i, 0, 0, 'tickets', 1, 1, 'update', 'Ticket', 'Ticket/7', 7, 2 FROM n;"
	"INSERT INTO content SELECT id, NULL, CAST('{}' AS BLOB) FROM event;"
	"INSERT INTO delivery VALUES(1, 1, 5, 3, 1757948270009), (1, 2, 4, 1, 1757948270009),"
	" (1, 3, 3, 1, 1757948270003), (1, 4, 2, 0, 1757948270004);"
	"INSERT INTO dead VALUES(1, 1);"
	"INSERT INTO parked VALUES(1, 3, 'Ticket/7', 0, 1757948290000, 1);"
	"INSERT INTO seen VALUES(1757948270000, x'01010101010101010101010101010101', 2);"
	"PRAGMA application_id = 1129272660; PRAGMA user_version = 1;"
	"COMMIT;";

/* What made version 2 of it then; and the callouts said when and in which order they happened. */
static const char to_version_2[] =
	"ALTER TABLE parked ADD COLUMN late INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE handled(handler INTEGER NOT NULL, record TEXT NOT NULL, event INTEGER NOT NULL,"
	"PRIMARY KEY(handler, record)) WITHOUT ROWID;"
	"INSERT INTO handled(handler, record, event)"
	" SELECT d.handler, e.record, max(d.event) FROM delivery d JOIN event e ON e.id = d.event"
	" WHERE d.state = 4 GROUP BY d.handler, e.record;"
	"INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action,"
	" entity, record, record_id, body_len)"
	" SELECT id + 4, received_ms, 0, 0, 'tickets', 1, 1, 'update', 'Ticket', 'Ticket/8', 8, 2 FROM event;"
	"INSERT INTO delivery SELECT 1, id, 4, 1, 1757948270009 FROM event WHERE id > 4;"
	"INSERT INTO handled VALUES(1, 'Ticket/8', 8), (1, 'Ticket/9', 6), (1, 'Ticket/10', 99), (1, 'Ticket/11', 5);"
	"UPDATE event SET sequence = id, time = '2026-01-01T10:00:0' || id || '.25Z';"
	"UPDATE event SET sequence = NULL, time = '2026-01-01T10:00:06.001' WHERE id = 6;"
	"UPDATE event SET sequence = 98, time = 'no time' WHERE id = 5;"
	"PRAGMA user_version = 2;";

/* And version 3 of that. */
static const char to_version_3[] =
	"CREATE TABLE registration(webhook TEXT PRIMARY KEY, guid TEXT NOT NULL, id INTEGER NOT NULL) WITHOUT ROWID;"
	"ALTER TABLE handled ADD COLUMN sequence INTEGER; ALTER TABLE handled ADD COLUMN time_ms INTEGER;"
	"ALTER TABLE handled ADD COLUMN plain_ms INTEGER;"
	"INSERT INTO registration VALUES('tickets', 'guid', 7);"
	"PRAGMA user_version = 3;";

/* And version 4. */
static const char to_version_4[] =
	"CREATE TABLE alert(kind INTEGER NOT NULL, level INTEGER NOT NULL, object TEXT NOT NULL,"
	"since_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL,"
	"window_ms INTEGER NOT NULL, told INTEGER NOT NULL, text TEXT NOT NULL,"
	"PRIMARY KEY(kind, object, level)) WITHOUT ROWID;"
	"PRAGMA user_version = 4;";

static void make_database(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int try_open(struct home *h, struct error *err)
{
	return store_open(&(struct store_options){ .directory = h->dir }, &h->s, err);
}

static void expect_refused(struct home *h, int want, const char *const *words)
{
	struct error err = { "" };
	int r = try_open(h, &err);

	if (r != want)
		fail_msg("%d instead of %d: %s", r, want, err.text);
	for (; *words; words++)
		if (!strstr(err.text, *words))
			fail_msg("'%s' is not in: %s", *words, err.text);
	assert_null(h->s);
}

#define WORDS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* ---- versions ---- */

static void version_1_is_brought_up_to_date(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[4];
	struct accepted a;
	struct sample m;
	unsigned count = 0;
	char db[128], copy[128];
	size_t n;

	make_database(home_path(h, "calloutd.db", db), version_1);
	home_open(h);
	assert_int_equal(ask(db, "PRAGMA user_version"), STORE_SCHEMA);
	assert_int_equal(ask(home_path(h, "calloutd.db.v1", copy), "PRAGMA user_version"), 1);
	assert_int_equal(ask(copy, "SELECT count(*) FROM event"), 4);
	assert_int_equal(ask(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'handled'"), 0);
	assert_int_equal(ask(db, "SELECT event FROM handled WHERE record = 'Ticket/7'"), 2);

	assert_int_equal(handler_of(h->r, "page").accepted, 4);
	assert_int_equal(reader_next(h->r, 1, 0, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_true(refs[0].event == 4 && refs[0].behind);
	assert_int_equal(reader_due(h->r, 1, INT64_MAX, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_true(refs[0].event == 3 && refs[0].attempts == 1 && !refs[0].late);
	sample_make(&m, 7, T0);
	sample_key(&m, 1, 1757948270000);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	assert_true(a.duplicate && a.event == 2);
	/* What is new in version 2 knows what happened before: event 2 is done, so 1 comes late. */
	assert_int_equal(store_retry(h->s, &(struct delivery_filter){ .event = 1 }, T0 + 99, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(reader_due(h->r, 1, INT64_MAX, refs, 4, &n), 0);
	assert_true(n == 1 && refs[0].event == 1 && refs[0].late);
	assert_int_equal(accept_ticket(h->s, 8, T0), 5);
	assert_int_equal(ask(db, "SELECT count(*) FROM alert"), 0);
}

/* What is handed over to it knows how new what was done before is. */
static void version_2_is_brought_up_to_date(void **state)
{
	struct home *h = *state;
	struct event e = { .record = "Ticket/8" };
	char db[128], copy[128];

	make_database(home_path(h, "calloutd.db", db), version_1);
	make_database(db, to_version_2);
	home_open(h);
	assert_int_equal(ask(db, "PRAGMA user_version"), STORE_SCHEMA);
	assert_int_equal(ask(home_path(h, "calloutd.db.v2", copy), "PRAGMA user_version"), 2);
	assert_int_equal(ask(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'registration'"), 0);
	assert_int_equal(ask(db, "SELECT event FROM handled WHERE record = 'Ticket/7'"), 2);
	assert_int_equal(ask(db, "SELECT sequence FROM handled WHERE record = 'Ticket/7'"), 2);
	assert_int_equal(ask(db, "SELECT time_ms FROM handled WHERE record = 'Ticket/7'"), 1767261602250);
	assert_int_equal(ask(db, "SELECT plain_ms IS NULL FROM handled WHERE record = 'Ticket/7'"), 1);
	assert_int_equal(ask(db, "SELECT sequence FROM handled WHERE record = 'Ticket/8'"), 8);
	assert_int_equal(ask(db, "SELECT time_ms FROM handled WHERE record = 'Ticket/8'"), 1767261608250);
	assert_int_equal(ask(db, "SELECT sequence IS NULL FROM handled WHERE record = 'Ticket/9'"), 1);
	assert_int_equal(ask(db, "SELECT time_ms FROM handled WHERE record = 'Ticket/9'"), 1767261606001);
	assert_int_equal(ask(db, "SELECT plain_ms FROM handled WHERE record = 'Ticket/9'"), 1767261606001);
	assert_int_equal(ask(db, "SELECT event FROM handled WHERE record = 'Ticket/10'"), 99);
	assert_int_equal(ask(db, "SELECT sequence IS NULL FROM handled WHERE record = 'Ticket/10'"), 1);
	assert_int_equal(ask(db, "SELECT sequence FROM handled WHERE record = 'Ticket/11'"), 98);
	assert_int_equal(ask(db, "SELECT time_ms IS NULL FROM handled WHERE record = 'Ticket/11'"), 1);
	(void)snprintf(e.time, sizeof(e.time), "2026-01-01T10:00:08.250Z");
	assert_int_equal(reader_handled_newer(h->r, 1, &e), 0);
	(void)snprintf(e.time, sizeof(e.time), "2026-01-01T10:00:08.249Z");
	assert_int_equal(reader_handled_newer(h->r, 1, &e), 1);
}

static void version_3_is_brought_up_to_date(void **state)
{
	const struct alert_row row = { .kind = 1, .object = "tickets", .count = 1, .text = "a sentence" };
	struct home *h = *state;
	char db[128], copy[128];

	make_database(home_path(h, "calloutd.db", db), version_1);
	make_database(db, to_version_2);
	make_database(db, to_version_3);
	home_open(h);
	assert_int_equal(ask(db, "PRAGMA user_version"), STORE_SCHEMA);
	assert_int_equal(ask(home_path(h, "calloutd.db.v3", copy), "PRAGMA user_version"), 3);
	assert_int_equal(ask(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'alert'"), 0);
	assert_int_equal(ask(db, "SELECT id FROM registration"), 7);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_alerts(h->s, &row, 1), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(ask(db, "SELECT count FROM alert"), 1);
}

/* What waits, was done or failed there before can be replayed and put back. */
static void version_4_is_brought_up_to_date(void **state)
{
	const struct delivery_key key = { .event = 1 };
	const struct again_step step = { .what = AGAIN_REPLAY, .handler = "new", .keys = &key, .count = 1, .now_ms = T0 };
	struct home *h = *state;
	char db[128], copy[128];
	bool acted = false;
	size_t seen = 0;

	make_database(home_path(h, "calloutd.db", db), version_1);
	make_database(db, to_version_2);
	make_database(db, to_version_3);
	make_database(db, to_version_4);
	home_open(h);
	assert_int_equal(ask(db, "PRAGMA user_version"), STORE_SCHEMA);
	assert_int_equal(ask(home_path(h, "calloutd.db.v4", copy), "PRAGMA user_version"), 4);
	assert_int_equal(ask(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'replayed'"), 0);
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_again(h->s, &step, &acted, &seen), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_true(acted && seen == 1);
	assert_int_equal(ask(db, "SELECT event FROM replayed"), 1);
	assert_int_equal(handler_of(h->r, "new").accepted, 1);
}

/* Old and new tables are the same whichever way they came about. */
static void brought_up_to_date_equals_new(void **state)
{
	static const char shape[] =
		"SELECT count(*) FROM (SELECT m.name, m.type, p.name, p.pk FROM sqlite_master m"
		" LEFT JOIN pragma_table_info(m.name) p EXCEPT SELECT m.name, m.type, p.name, p.pk"
		" FROM other.sqlite_master m LEFT JOIN pragma_table_info(m.name, 'other') p)";
	struct home *h = *state, fresh;
	char db[128], other[128], sql[256];
	sqlite3 *both = NULL;
	sqlite3_stmt *st = NULL;

	make_database(home_path(h, "calloutd.db", db), version_1);
	home_open(h);
	home_close(h);
	home_make(&fresh);
	home_open(&fresh);
	home_close(&fresh);
	(void)home_path(&fresh, "calloutd.db", other);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sqlite3_open(i ? db : other, &both), SQLITE_OK);
		(void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS other", i ? other : db);
		assert_int_equal(sqlite3_exec(both, sql, NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_prepare_v2(both, shape, -1, &st, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int(st, 0), 0);
		(void)sqlite3_finalize(st);
		assert_int_equal(sqlite3_close(both), SQLITE_OK);
	}
	home_remove(&fresh);
}

static void failed_migration_changes_nothing(void **state)
{
	struct home *h = *state;
	char db[128], copy[128];
	struct error err = { "" };

	make_database(home_path(h, "calloutd.db", db), version_1);
	make_database(db, "CREATE TABLE handled(x);");  /* in the way of the step */
	assert_true(try_open(h, &err) < 0);
	assert_int_equal(ask(db, "PRAGMA user_version"), 1);
	assert_int_equal(ask(db, "SELECT count(*) FROM pragma_table_info('parked') WHERE name = 'late'"), 0);
	assert_int_equal(ask(home_path(h, "calloutd.db.v1", copy), "PRAGMA user_version"), 1);
	make_database(db, "DROP TABLE handled;");
	assert_int_equal(try_open(h, &err), 0);
}

static void newer_is_refused_and_not_touched(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	struct reader *r = NULL;
	struct stat before, after;
	char db[128];

	home_open(h);
	home_close(h);
	make_database(home_path(h, "calloutd.db", db), "PRAGMA user_version = 99;");
	assert_int_equal(stat(db, &before), 0);
	expect_refused(h, -EOPNOTSUPP, WORDS("newer", "99", "install"));
	assert_int_equal(reader_open(h->dir, &r, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "newer"));
	assert_int_equal(stat(db, &after), 0);
	assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
		    before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
	assert_int_equal(ask(db, "PRAGMA user_version"), 99);
}

static void older_is_not_read_but_explained(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	struct reader *r = NULL;
	char db[128];

	make_database(home_path(h, "calloutd.db", db), version_1);
	assert_int_equal(reader_open(h->dir, &r, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "start calloutd once"));
}

/* ---- what is not ours, or not whole ---- */

static void foreign_database_is_left_alone(void **state)
{
	static const char *const foreign[] = {
		"CREATE TABLE mail(x); INSERT INTO mail VALUES(1);",
		"CREATE TABLE mail(x); PRAGMA user_version = 1;",
	};
	struct home *h = *state;
	char db[128];

	(void)home_path(h, "calloutd.db", db);
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		make_database(db, foreign[i]);
		expect_refused(h, -EUCLEAN, WORDS("not calloutd's", "move"));
		assert_int_equal(ask(db, "SELECT count(*) FROM sqlite_master"), 1);
		assert_int_equal(unlink(db), 0);
	}
}

static void overwrite(const char *path, off_t at, size_t len)
{
	AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(pwrite(fd, &(char){ (char)(i * 37 + 11) }, 1, at + (off_t)i), 1);
}

static void damage_is_told_with_a_way_out(void **state)
{
	static const struct {
		off_t at;
		size_t len;
	} rows[] = { { 0, 8192 }, { 0, 100 }, { 100, 4096 } };
	struct home *h = *state;
	struct error err = { "" };
	struct reader *r = NULL;
	char db[128];

	(void)home_path(h, "calloutd.db", db);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		home_open(h);
		(void)accept_ticket(h->s, 1, T0);
		home_close(h);
		overwrite(db, rows[i].at, rows[i].len);
		expect_refused(h, -EUCLEAN, WORDS("damaged", "restore", "move"));
		assert_int_equal(reader_open(h->dir, &r, &err), -EUCLEAN);
		assert_int_equal(unlink(db), 0);
	}
	home_open(h);                           /* moved away: it begins anew */
	assert_int_equal(accept_ticket(h->s, 1, T0), 1);
}

/* Damage inside is found by whoever meets it; the rest goes on. */
static void damage_inside_is_met_later(void **state)
{
	struct home *h = *state;
	AUTO(free) char *body = calloc(1, 40000);
	AUTO(free) void *got = NULL;
	char db[128];
	struct sample m;
	size_t len = 0;
	int r;

	assert_non_null(body);
	home_open(h);
	sample_make(&m, 1, T0);
	m.e.body = body;
	m.e.body_len = 40000;
	(void)accept_sample(h->s, &m);
	home_close(h);
	/* The body's pages: zeros, but for the number of the next page in front. */
	(void)home_path(h, "calloutd.db", db);
	for (off_t at = 4096 * 16; at < 4096 * 40; at += 4096) {
		char zero[4] = { 1 };
		AUTO(fd) int fd = open(db, O_RDWR | O_CLOEXEC);

		if (pread(fd, zero, 4, at + 2000) == 4 && memcmp(zero, "\0\0\0\0", 4) == 0)
			overwrite(db, at, 4);
	}
	home_open(h);
	r = reader_body(h->r, 1, &got, &len, NULL);
	assert_int_equal(r, -EUCLEAN);
	assert_int_equal(accept_ticket(h->s, 2, T0), 2);
}

/* ---- one writer ---- */

static void second_writer_is_held_out(void **state)
{
	struct home *h = *state;
	char pid[32];
	pid_t child;
	int status = 0;

	home_open(h);
	(void)snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	h->r = reader_close(h->r);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store *s = NULL;
		struct error err = { "" };
		int r = store_open(&(struct store_options){ .directory = h->dir }, &s, &err);

		_exit(r == -EBUSY && strstr(err.text, "another") && strstr(err.text, pid) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	(void)accept_ticket(h->s, 1, T0);
	h->s = store_close(h->s);
	home_open(h);                   /* free again */
}

static void foreign_writer_is_busy(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	sqlite3 *db = NULL;
	char path[128];

	home_open(h);
	home_close(h);
	assert_int_equal(sqlite3_open(home_path(h, "calloutd.db", path), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;"
				      "DELETE FROM output;", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(try_open(h, &err), -EBUSY);
	assert_non_null(strstr(err.text, "locked by another program"));
	(void)sqlite3_close(db);
}

/* ---- places ---- */

static void directory_is_made_for_us_alone(void **state)
{
	struct home *h = *state;
	struct store *s = NULL;
	struct stat st;
	char dir[128], file[160];

	(void)home_path(h, "a", dir);
	(void)strncat(dir, "/b", sizeof(dir) - strlen(dir) - 1);
	assert_int_equal(store_open(&(struct store_options){ .directory = dir }, &s, NULL), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	static const char *const files[] = { "calloutd.db", "calloutd.db-wal", "calloutd.db-shm", "lock" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", dir, files[i]);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	(void)store_close(s);
}

static void place_that_is_none_is_told(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	struct store *s = NULL;
	struct reader *r = NULL;
	char path[128];

	assert_int_equal(mknod(home_path(h, "file", path), S_IFREG | 0600, 0), 0);
	assert_int_equal(store_open(&(struct store_options){ .directory = path }, &s, &err), -ENOTDIR);
	assert_int_equal(reader_open(h->dir, &r, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no store"));
}

static void reserve_is_real(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	struct stat st;
	char path[128];

	assert_int_equal(store_open(&(struct store_options){ .directory = h->dir, .reserve = 1 << 20 },
				    &h->s, &err), 0);
	(void)home_path(h, "reserve", path);
	assert_int_equal(store_reserve_restore(h->s, UINT64_MAX / 2), -ENOSPC);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(store_reserve_restore(h->s, 0), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_true(st.st_blocks * 512 >= 1 << 20);
	assert_int_equal(store_reserve_restore(h->s, UINT64_MAX / 2), 0);       /* it is there */
	store_reserve_release(h->s);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(store_reserve_restore(h->s, 0), 0);
	h->s = store_close(h->s);
	/* Asked for no more: it goes. */
	assert_int_equal(try_open(h, &err), 0);
	assert_int_equal(store_reserve_restore(h->s, 0), 0);
	assert_int_equal(stat(path, &st), -1);
}

/* ---- read-only (root may mount) ---- */

static bool mount_small(const struct home *h, const char *options)
{
	return mount("tmpfs", h->dir, "tmpfs", 0, options) == 0;
}

static void read_only_place_is_told_and_read(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	struct event e;
	char path[128];

	if (!mount_small(h, "size=4m,mode=0700"))
		skip();
	home_open(h);
	(void)accept_ticket(h->s, 1, T0);
	home_close(h);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mount(NULL, h->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
		expect_refused(h, -EROFS, WORDS("read-only", "remount", "ReadWritePaths="));
		if (reader_open(h->dir, &h->r, &err) != 0)      /* `calloutctl events --offline` */
			fail_msg("%s", err.text);
		assert_int_equal(reader_event(h->r, 1, &e), 0);
		h->r = reader_close(h->r);
		assert_int_equal(mount(NULL, h->dir, NULL, MS_REMOUNT, NULL), 0);
		/* the second time without the files beside it, as in a backup */
		(void)unlink(home_path(h, "calloutd.db-wal", path));
		(void)unlink(home_path(h, "calloutd.db-shm", path));
	}
	home_open(h);
	assert_int_equal(accept_ticket(h->s, 2, T0), 2);
	home_close(h);
	assert_int_equal(umount(h->dir), 0);
}

static void full_disk_at_the_start_is_told(void **state)
{
	struct home *h = *state;
	char path[128], block[4096] = "";
	AUTO(fd) int fd = -1;

	if (!mount_small(h, "size=64k,mode=0700"))
		skip();
	fd = open(home_path(h, "filler", path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		;
	expect_refused(h, -ENOSPC, WORDS("disk is full", "make room"));
	assert_int_equal(unlink(path), 0);
	(void)close(TAKE_FD(fd));
	assert_int_equal(umount(h->dir), 0);
}

int main(void)
{
#define IN_HOME(f) cmocka_unit_test_setup_teardown(f, home_setup_closed, home_teardown)
	static const struct CMUnitTest tests[] = {
		IN_HOME(version_1_is_brought_up_to_date),
		IN_HOME(version_2_is_brought_up_to_date),
		IN_HOME(version_3_is_brought_up_to_date),
		IN_HOME(version_4_is_brought_up_to_date),
		IN_HOME(brought_up_to_date_equals_new),
		IN_HOME(failed_migration_changes_nothing),
		IN_HOME(newer_is_refused_and_not_touched),
		IN_HOME(older_is_not_read_but_explained),
		IN_HOME(foreign_database_is_left_alone),
		IN_HOME(damage_is_told_with_a_way_out),
		IN_HOME(damage_inside_is_met_later),
		IN_HOME(second_writer_is_held_out),
		IN_HOME(foreign_writer_is_busy),
		IN_HOME(directory_is_made_for_us_alone),
		IN_HOME(place_that_is_none_is_told),
		IN_HOME(reserve_is_real),
		IN_HOME(read_only_place_is_told_and_read),
		IN_HOME(full_disk_at_the_start_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
