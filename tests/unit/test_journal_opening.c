/* test_journal_opening.c - opening that takes long is no hang, and is told beforehand. */
#include "test_store.h"

#include <sqlite3.h>
#include <stdatomic.h>

#define SOON_MS 5
#define WAIT_MS 30000

struct house {
	struct home home;
	struct journal *journal;
	_Atomic(struct journal *) seen;
	atomic_int told;
	atomic_bool alive;
};

static void do_sql(struct house *h, const char *sql)
{
	char db[128];
	sqlite3 *c = NULL;

	assert_int_equal(sqlite3_open(home_path(&h->home, "calloutd.db", db), &c), SQLITE_OK);
	if (sqlite3_exec(c, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(c));
	assert_int_equal(sqlite3_close(c), SQLITE_OK);
}

/* On the journal's thread, which has been at it for longer than the limit by the time it is asked. */
static void on_lengthy(void *arg, const char *what)
{
	struct house *h = arg;
	struct journal *j = atomic_load(&h->seen);

	assert_non_null(strstr(what, "from version 3"));
	if (j) {
		pause_ms(10 * SOON_MS);
		atomic_store(&h->alive, journal_alive(j, SOON_MS));
	}
	atomic_fetch_add(&h->told, 1);
}

static void start(struct house *h)
{
	const struct journal_options o = {
		.store = { .directory = h->home.dir, .lengthy = on_lengthy, .arg = h },
		.queue_max = 16,
	};

	assert_int_equal(journal_start(&o, &h->journal, NULL), 0);
	atomic_store(&h->seen, h->journal);
}

static void a_long_opening_is_no_hang(void **state)
{
	struct house h = { .journal = NULL };
	int64_t until = clock_mono_ms() + WAIT_MS;

	(void)state;
	home_make(&h.home);
	home_open(&h.home);
	home_close(&h.home);
	do_sql(&h, "PRAGMA user_version = 99");
	start(&h);
	assert_int_equal(atomic_load(&h.told), 0);
	/* Opened again by the journal, some seconds later: what version 3 did not have yet is made. */
	do_sql(&h, "DROP TABLE alert; PRAGMA user_version = 3");
	while (!atomic_load(&h.told) && clock_mono_ms() < until)
		pause_ms(10);
	assert_int_equal(atomic_load(&h.told), 1);
	assert_true(atomic_load(&h.alive));
	h.journal = journal_stop(h.journal);
	home_remove(&h.home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_opening_is_no_hang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
