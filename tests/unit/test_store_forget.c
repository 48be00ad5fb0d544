/* Forgetting a record: nothing of its content can be found in any file, and the database is whole. */
#include "test_store_marks.h"

static void forget_within(struct home *h, int64_t id)
{
	struct forget f = { .entity = "Ticket", .id = id, .now_ms = T0 };

	forget_steps(h->s, &f);
	assert_int_equal(f.now.events, 1);
	assert_int_equal(f.now.bodies, 1);
	assert_int_equal(f.now.outputs, 1);
	forget_release(&f);
}

static uint32_t roll(uint32_t *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 17;
	*dice ^= *dice << 5;
	return *dice;
}

/*
 * Records of all sizes come and go, so that pages are balanced again and again; those that went are in no
 * file afterwards, those that stay are whole.
 */
static void nothing_is_left(void **state)
{
	enum { RECORDS = 3000 };
	static const size_t sizes[] = { 50, 200, 300, 600, 1500, 3000, 9000, 100 };
	static bool gone[RECORDS + 1], found[RECORDS + 1];
	struct home *h = *state;
	int64_t page = handler_number(h->s, "page");
	unsigned before = 0, after = 0, kept = 0;
	uint32_t dice = 4711;
	uint64_t cleaned;

	for (int64_t id = 1; id <= RECORDS; id++) {
		if (id % 100 == 1)
			assert_int_equal(store_begin(h->s), 0);
		put_within(h, page, id, sizes[roll(&dice) % ARRAY_LEN(sizes)]);
		if (roll(&dice) & 1) {
			int64_t old = roll(&dice) % (uint32_t)id + 1;

			if (!gone[old])
				forget_within(h, old);
			gone[old] = true;
		}
		if (id % 100 == 0)
			assert_int_equal(store_commit(h->s), 0);
	}
	assert_int_equal(store_begin(h->s), 0);
	for (unsigned i = 0; i < 2 * RECORDS; i++) {
		int64_t old = roll(&dice) % RECORDS + 1;

		if (!gone[old] && old % 10)
			forget_within(h, old);
		gone[old] = gone[old] || old % 10;
	}
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(store_checkpoint(h->s, true), 0);
	(void)marked(h, found, RECORDS);
	for (int64_t id = 1; id <= RECORDS; id++)
		before += gone[id] && found[id];
	cleaned = scrub_all(h->s);
	(void)marked(h, found, RECORDS);
	for (int64_t id = 1; id <= RECORDS; id++) {
		after += gone[id] && found[id];
		kept += !gone[id];
		if (!gone[id])
			assert_true(found[id]);
	}
	print_message("kept %u, left by SQLite %u, places overwritten %llu, left then %u\n", kept, before,
		      (unsigned long long)cleaned, after);
	/* That SQLite alone leaves something is why scrub.c is there; how much is its version's. */
	assert_int_equal(after, 0);
	/* And again there is nothing to do. */
	assert_int_equal(scrub_all(h->s), 0);
	home_close(h);
	whole(h);
	home_open(h);
}

/* As an older balancing may have left it: in the free space of each leaf that has some. */
static unsigned plant(const struct home *h, const char *text)
{
	size_t len = 0, n = strlen(text);
	char path[128], *data = NULL;
	unsigned planted = 0;
	FILE *f;

	assert_int_equal(file_read(home_path(h, "calloutd.db", path), 1UL << 30, &data, &len), 0);
	f = fopen(path, "r+");
	assert_non_null(f);
	for (size_t at = 4096; at + 4096 <= len; at += 4096) {
		const unsigned char *p = (const unsigned char *)data + at;
		size_t pointers = 8 + 2 * ((size_t)p[3] << 8 | p[4]), cells = (size_t)p[5] << 8 | p[6];

		/* A leaf with our bodies in it. */
		if (p[0] != 13 || cells > 4096 || cells < pointers + n || !memmem(p, 4096, "MARK-", 5))
			continue;
		assert_int_equal(fseek(f, (long)(at + pointers), SEEK_SET), 0);
		assert_int_equal(fwrite(text, 1, n, f), n);
		planted++;
	}
	(void)fclose(f);
	free(data);
	return planted;
}

static void leftovers_are_overwritten_where_they_are(void **state)
{
	struct home *h = *state;
	int64_t page = handler_number(h->s, "page");
	unsigned planted;

	for (int64_t id = 1; id <= 300; id++)
		put(h, page, id, id % 3 ? 700 : 6000);
	home_close(h);
	planted = plant(h, "LEFT-OVER");
	assert_true(planted > 20);
	assert_int_equal(occurrences(h, "LEFT-OVER"), planted);
	home_open(h);
	assert_true(scrub_all(h->s) >= planted);
	assert_int_equal(occurrences(h, "LEFT-OVER"), 0);
	/* What is written afterwards does not bring it back from memory. */
	for (int64_t id = 301; id <= 400; id++)
		put(h, page, id, 500);
	assert_int_equal(store_checkpoint(h->s, true), 0);
	assert_int_equal(occurrences(h, "LEFT-OVER"), 0);
	home_close(h);
	whole(h);
	home_open(h);
}

static void what_waits_is_counted_and_dropped(void **state)
{
	struct home *h = *state;
	struct forget f = { .entity = "Ticket", .id = 7, .now_ms = T0 };
	int64_t event = accept_ticket(h->s, 7, T0), other = accept_ticket(h->s, 8, T0);
	struct event e;

	forget_all(h->s, &f);
	assert_int_equal(f.now.waiting, 1);
	assert_int_equal(f.now.dropped, 1);
	assert_int_equal(f.now.bodies, 1);
	assert_int_equal(delivery_of(h->r, event).state, DELIVERY_DROPPED);
	assert_int_equal(delivery_of(h->r, other).state, DELIVERY_WAITING);
	assert_int_equal(reader_event(h->r, event, &e), 0);
	assert_false(e.body_kept);
	assert_int_equal(reader_event(h->r, other, &e), 0);
	assert_true(e.body_kept);
	forget_release(&f);
}

static void what_runs_is_counted_and_stays(void **state)
{
	struct home *h = *state;
	int64_t event = accept_ticket(h->s, 7, T0);
	const struct delivery_key key = { handler_number(h->s, "page"), event };
	struct forget f = { .entity = "Ticket", .id = 7, .now_ms = T0, .running = &key, .running_count = 1 };
	struct event e;

	forget_all(h->s, &f);
	assert_int_equal(f.now.running, 1);
	assert_int_equal(f.now.waiting, 0);
	assert_int_equal(f.now.busy, 1);
	assert_int_equal(f.now.bodies, 0);
	assert_int_equal(reader_event(h->r, event, &e), 0);
	assert_true(e.body_kept);
	forget_release(&f);
}

/* One run of three records: its output is with the first one's event, the others say so. */
static void settle_together(struct home *h, int64_t page, const int64_t events[3], const char *output)
{
	char elsewhere[96];
	bool behind;

	(void)snprintf(elsewhere, sizeof(elsewhere), "(one run of 3 events: its output is with event %lld)\n", (long long)events[0]);
	for (unsigned i = 0; i < 3; i++) {
		const struct attempt_new a = { .handler = page, .event = events[i], .number = 1, .started_ms = T0 + 1, .ended_ms = T0 + 9,
					       .out = i ? NULL : output, .out_len = i ? 0 : strlen(output),
					       .err = i ? elsewhere : "", .err_len = i ? strlen(elsewhere) : 0 };
		const struct settle t = { .attempt = &a, .handler = page, .event = events[i], .record = "", .state = DELIVERY_DONE,
					  .attempts = 1, .now_ms = T0 };

		assert_int_equal(store_begin(h->s), 0);
		assert_int_equal(store_settle(h->s, &t, &behind), 0);
		assert_int_equal(store_commit(h->s), 0);
	}
}

static void the_output_of_a_common_run_goes_with_any_of_its_events(void **state)
{
	struct home *h = *state;
	int64_t page = handler_number(h->s, "page");
	int64_t events[3];

	for (unsigned i = 0; i < 3; i++)
		events[i] = accept_ticket(h->s, 20 + i, T0);
	settle_together(h, page, events, "names all three: COMMON-OUTPUT");
	put(h, page, 30, 100);

	struct forget dry = { .entity = "Ticket", .id = 21, .dry = true, .now_ms = T0 };
	struct forget f = { .entity = "Ticket", .id = 21, .now_ms = T0 };

	forget_all(h->s, &dry);
	assert_int_equal(dry.now.shared, 1);
	forget_release(&dry);
	assert_int_equal(store_checkpoint(h->s, true), 0);
	assert_true(occurrences(h, "COMMON-OUTPUT") > 0);
	forget_all(h->s, &f);
	assert_int_equal(f.now.shared, 1);
	assert_int_equal(f.now.outputs, 0);
	(void)scrub_all(h->s);
	assert_int_equal(occurrences(h, "COMMON-OUTPUT"), 0);
	assert_true(occurrences(h, "MARK-30-") > 0);
	forget_release(&f);
}

/* Retention has removed the sentence that names the run's first event. */
static void a_common_run_is_found_without_its_pointer(void **state)
{
	struct home *h = *state;
	int64_t page = handler_number(h->s, "page");
	struct forget f = { .entity = "Ticket", .id = 21, .now_ms = T0 };
	int64_t events[3];

	for (unsigned i = 0; i < 3; i++)
		events[i] = accept_ticket(h->s, 20 + i, T0);
	settle_together(h, page, events, "COMMON-OUTPUT");
	assert_int_equal(sql_exec(h->s->db, "DELETE FROM output WHERE id IN (SELECT output FROM attempt WHERE event = 2);"
					    "UPDATE attempt SET output = NULL WHERE event = 2"), 0);
	forget_all(h->s, &f);
	assert_int_equal(f.now.shared, 1);
	forget_release(&f);
}

static void copies_of_upgrades_and_restores_go(void **state)
{
	static const char *const names[] = { "calloutd.db.v1", "calloutd.db.v12", "calloutd.db.v3.new", "calloutd.db.before-restore-20261125T080910Z", "calloutd.db.vacation", "other.v1" };
	struct home *h = *state;
	unsigned count = 0;
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(file_replace(home_path(h, names[i], path), 0600, "x", 1), 0);
	assert_int_equal(store_copies_forget(h->s, true, &count), 0);
	assert_int_equal(count, 4);
	assert_int_equal(access(home_path(h, names[0], path), F_OK), 0);
	assert_int_equal(store_copies_forget(h->s, false, &count), 0);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(access(home_path(h, names[i], path), F_OK), i < 4 ? -1 : 0);
}

/* Somebody reads and does not let go of the WAL: it is put off, and ends with that reason. */
static void a_reader_in_the_way_is_told(void **state)
{
	struct home *h = *state;
	sqlite3 *db = NULL;
	char path[128];
	uint64_t cleaned;

	(void)accept_ticket(h->s, 1, T0);
	assert_int_equal(sqlite3_open(home_path(h, "calloutd.db", path), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), SQLITE_OK);
	(void)accept_ticket(h->s, 2, T0);
	store_scrub(h->s);
	assert_int_equal(store_scrub_step(h->s), 0);
	assert_true(store_scrubbing(h->s));
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	for (unsigned i = 0; i < 1000 && store_scrubbing(h->s); i++)
		assert_int_equal(store_scrub_step(h->s), 0);
	assert_int_equal(store_scrubbed(h->s, &cleaned), 0);
}

/* One that has seen all that was written, so that all of the WAL can be copied, but not emptied: it is in the way, too. */
static void a_reader_of_the_newest_is_in_the_way(void **state)
{
	struct home *h = *state;
	struct forget f = { .entity = "Ticket", .id = 1, .now_ms = T0 };
	sqlite3 *db = NULL;
	char path[128];
	uint64_t cleaned;

	put(h, handler_number(h->s, "page"), 1, 3000);
	forget_all(h->s, &f);
	forget_release(&f);
	assert_int_equal(sqlite3_open(home_path(h, "calloutd.db", path), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), SQLITE_OK);
	/* Also after a checkpoint that found all of it copied. */
	for (unsigned i = 0; i < 2; i++) {
		store_scrub(h->s);
		assert_int_equal(store_scrub_step(h->s), 0);
		assert_true(store_scrubbing(h->s));
		assert_int_equal(sql_exec(h->s->db, "PRAGMA wal_checkpoint(PASSIVE)"), 0);
	}
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	for (unsigned i = 0; i < 1000 && store_scrubbing(h->s); i++)
		assert_int_equal(store_scrub_step(h->s), 0);
	assert_int_equal(store_scrubbed(h->s, &cleaned), 0);
	assert_int_equal(occurrences(h, "MARK-1-"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_left, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(leftovers_are_overwritten_where_they_are, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_counted_and_dropped, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(what_runs_is_counted_and_stays, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(the_output_of_a_common_run_goes_with_any_of_its_events, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(a_common_run_is_found_without_its_pointer, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(copies_of_upgrades_and_restores_go, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(a_reader_in_the_way_is_told, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(a_reader_of_the_newest_is_in_the_way, home_setup, home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
