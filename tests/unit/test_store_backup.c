/* test_store_backup.c - copies beside a writer, and one put in the store's place, whatever moment it is killed at. */
#include "test_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>

#include "store/backup.h"

static void receive(struct home *h, int64_t id)
{
	(void)accept_ticket(h->s, id, T0);
}

/* So many, beside each other: more than what is copied in one step. */
static void fill(struct home *h, int64_t count)
{
	struct sample m;
	struct accepted a;

	assert_int_equal(store_begin(h->s), 0);
	for (int64_t i = 1; i <= count; i++) {
		sample_make(&m, i, T0);
		assert_int_equal(store_accept(h->s, &m.e, &a), 0);
	}
	assert_int_equal(store_commit(h->s), 0);
}

static void make(struct home *h, const char *to, struct backup_facts *f)
{
	struct error err = { "" };

	if (backup_make(&(struct backup_options){ .directory = h->dir, .to = to, .sync = true }, f, &err) != 0)
		fail_msg("%s", err.text);
}

/* ---- making ---- */

struct busy {
	struct home *h;
	unsigned rounds;
};

static bool write_meanwhile(void *arg, uint64_t done, uint64_t total)
{
	struct busy *b = arg;

	if (done < total)
		receive(b->h, 100000 + b->rounds++);
	return true;
}

static void a_copy_is_of_one_moment(void **state)
{
	struct home *h = *state;
	struct busy busy = { .h = h };
	struct backup_facts f;
	char to[128];

	home_open(h);
	fill(h, 20000);
	home_path(h, "copy", to);
	assert_int_equal(backup_make(&(struct backup_options){ .directory = h->dir, .to = to, .watch = { write_meanwhile, &busy } }, &f,
				     NULL), 0);
	assert_true(busy.rounds > 1);
	assert_int_equal(f.events, 20000);
	assert_int_equal(f.newest_event, 20000);
	assert_int_equal(f.version, STORE_SCHEMA);
	assert_int_equal(ask(to, "SELECT max(id) FROM event"), 20000);
	assert_int_equal(ask(to, "SELECT count(*) FROM content"), 20000);
	assert_true(f.made_ms > T0 && *f.by);
}

static bool refuse(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	return total != 0;      /* once it is copied and being checked */
}

static void broken_off_nothing_is_left(void **state)
{
	struct home *h = *state;
	struct error err = { "" };
	struct backup_facts f = { .events = 99 };
	char to[128];

	home_open(h);
	fill(h, 3000);
	home_path(h, "copy", to);
	assert_int_equal(backup_make(&(struct backup_options){ .directory = h->dir, .to = to, .watch = { refuse, NULL } }, &f, &err),
			 -ECANCELED);
	assert_int_equal(access(to, F_OK), -1);
	assert_int_equal(f.events, 99);
	assert_int_equal(backup_make(&(struct backup_options){ .directory = h->dir, .to = to, .leave = 1ULL << 60 }, &f, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no room for a copy"));
	assert_int_equal(access(to, F_OK), -1);
	assert_int_equal(backup_make(&(struct backup_options){ .directory = "/nowhere", .to = to }, &f, &err), -ENOENT);
}

/* ---- restoring ---- */

static int restore(struct home *h, const char *from, bool force, struct restored *ret, struct error *err)
{
	*ret = (struct restored){ .aside = "" };
	return backup_restore(&(struct restore_options){ .directory = h->dir, .from = from, .force = force, .now_ms = T0 + 5000 }, ret, err);
}

static void numbers_are_not_given_twice(void **state)
{
	struct home *h = *state;
	struct backup_facts f;
	struct restored done;
	struct error err = { "" };
	struct event e;
	char to[128], other[128];

	home_open(h);
	receive(h, 1);
	make(h, home_path(h, "copy", to), &f);
	receive(h, 2);
	receive(h, 3);
	assert_int_equal(restore(h, to, true, &done, &err), -EBUSY);
	home_close(h);
	assert_int_equal(restore(h, to, false, &done, &err), -EEXIST);
	assert_int_equal(restore(h, to, true, &done, &err), 0);
	assert_int_equal(done.event, 4);
	assert_int_equal(ask(done.aside, "SELECT max(id) FROM event"), 3);
	home_open(h);
	assert_int_equal(reader_event(h->r, 4, &e), 0);
	assert_int_equal(e.kind, EVENT_RESTORED);
	assert_int_equal(reader_event(h->r, 3, &e), -ENOENT);
	receive(h, 3);
	assert_int_equal(ask(home_path(h, "calloutd.db", other), "SELECT max(id) FROM event"), 5);
	assert_int_equal(ask(other, "SELECT count(*) FROM sqlite_master WHERE name = 'backup'"), 0);
	home_close(h);
	/* A store that is another one does not tell which numbers were given. */
	assert_int_equal(unlink(other), 0);
	assert_int_equal(restore(h, to, false, &done, &err), 0);
	assert_true(done.event > 1000 && !*done.aside);
}

/* The steps of restore_finish(), cut off after each: opening finishes them. */
static void finished_by_the_next_opening(void **state)
{
	struct home *h = *state;
	struct backup_facts f;
	char copy[128], db[128], wal[128], restored[128], restoring[128], aside[200];

	home_open(h);
	receive(h, 1);
	make(h, home_path(h, "copy", copy), &f);
	home_path(h, "calloutd.db", db);
	home_path(h, "calloutd.db-wal", wal);
	home_path(h, "calloutd.db.restored", restored);
	home_path(h, "calloutd.db.restoring", restoring);
	for (int cut = 0; cut < 4; cut++) {
		char command[700];

		receive(h, 10 + cut);
		home_close(h);
		(void)snprintf(command, sizeof(command), "echo wrong >%s; echo rubbish >%s; cp %s %s; touch -d '2026-01-01 00:00:0%dZ' %s",
			       wal, restoring, copy, restored, cut, restored);
		assert_int_equal(system(command), 0);
		(void)snprintf(aside, sizeof(aside), "%s.before-restore-20260101T00000%d000Z", db, cut);
		if (cut > 0)
			assert_int_equal(link(db, aside), 0);
		if (cut > 1)
			assert_int_equal(unlink(wal), 0);
		if (cut > 2)
			assert_int_equal(unlink(db), 0);
		home_open(h);
		assert_int_equal(ask(db, "SELECT count(*) FROM event"), 1);
		assert_int_equal(access(aside, F_OK), 0);
		assert_int_equal(access(restored, F_OK), -1);
		assert_int_equal(access(restoring, F_OK), -1);
	}
}

/* Files that pass for whole databases and are no copies of ours: none of them takes the store's place. */
static void what_is_no_store_is_refused(void **state)
{
	static const char *const changes[] = {
		"CREATE TRIGGER extra AFTER INSERT ON event BEGIN DELETE FROM content; END",
		"CREATE VIEW extra AS SELECT 1",
		"DROP TABLE content",
		"ALTER TABLE content RENAME COLUMN body TO other",
		"DROP TABLE content; CREATE VIEW content AS SELECT 1 AS event, '' AS headers, x'' AS body",
		"PRAGMA application_id = 1",
		"PRAGMA user_version = -1",
	};
	struct home *h = *state;
	struct backup_facts f;
	char copy[128], db[128];

	home_open(h);
	receive(h, 1);
	home_path(h, "copy", copy);
	home_path(h, "calloutd.db", db);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct restored done = { .event = 0 };
		struct error err = { "" };
		sqlite3 *hostile = NULL;

		(void)unlink(copy);
		make(h, copy, &f);
		home_close(h);
		assert_int_equal(sqlite3_open(copy, &hostile), SQLITE_OK);
		assert_int_equal(sqlite3_exec(hostile, changes[i], NULL, NULL, NULL), SQLITE_OK);
		(void)sqlite3_close(hostile);
		assert_int_equal(restore(h, copy, true, &done, &err), -EUCLEAN);
		assert_non_null(strstr(err.text, "is not a whole copy"));
		assert_int_equal(ask(db, "SELECT count(*) FROM content"), 1);
		home_open(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_copy_is_of_one_moment, home_setup_closed, home_teardown),
		cmocka_unit_test_setup_teardown(broken_off_nothing_is_left, home_setup_closed, home_teardown),
		cmocka_unit_test_setup_teardown(numbers_are_not_given_twice, home_setup_closed, home_teardown),
		cmocka_unit_test_setup_teardown(what_is_no_store_is_refused, home_setup_closed, home_teardown),
		cmocka_unit_test_setup_teardown(finished_by_the_next_opening, home_setup_closed, home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
