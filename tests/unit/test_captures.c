/* Captures of whole requests: bounded, private, gone in time; which of them a forgotten record is in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "../../src/intake/capture_private.h"
#include "test_tree.h"

struct home {
	char dir[64];
	struct captures *c;
};

static void home_open(struct home *h)
{
	assert_int_equal(captures_new(h->dir, &h->c, NULL), 0);
}

static int setup(void **state)
{
	struct home *h = calloc(1, sizeof(*h));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(h);
	(void)snprintf(h->dir, sizeof(h->dir), "%.40s/captures.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(h->dir));
	home_open(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct home *h = *state;

	h->c = captures_free(h->c);
	(void)remove_tree(h->dir);
	free(h);
	return 0;
}

static int arm(struct home *h, const char *webhook, unsigned next, int64_t for_ms)
{
	const struct capture_order o = { .webhook = webhook, .next = next, .until_ms = clock_now_ms() + for_ms, .uid = 7 };
	char id[CAPTURE_NAME_MAX];

	return captures_arm(h->c, &o, id, NULL);
}

static void put(struct home *h, const char *webhook, const char *body)
{
	struct capture_entry *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	(void)snprintf(e->webhook, sizeof(e->webhook), "%s", webhook);
	e->head = strdup("POST /-/tickets/path HTTP/1.1\r\nX-Calloutd-Verdict: stored\r\n\r\n");
	e->head_len = strlen(e->head);
	e->body = strdup(body);
	e->len = strlen(body);
	captures_put(h->c, e);
}

static struct capture_view view(struct home *h, const char *webhook)
{
	struct capture_view *all = NULL, found = { .webhook = "" };
	size_t count;

	assert_int_equal(captures_list(h->c, &all, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].webhook, webhook) == 0)
			found = all[i];
	free(all);
	return found;
}

static int count_file(void *arg, const char *name, const char *head, size_t head_len, uint64_t bytes)
{
	assert_true(capture_file_name(name));
	assert_true(head_len > 0 && bytes >= head_len);
	assert_memory_equal(head, "POST ", 5);
	(*(unsigned *)arg)++;
	return 0;
}

static unsigned files(struct home *h)
{
	unsigned count = 0;

	assert_int_equal(captures_files(h->c, count_file, &count), 0);
	return count;
}

#define POLL(condition)                                                                         \
	do {                                                                                    \
		for (int64_t until_ = clock_mono_ms() + 20000; !(condition) && clock_mono_ms() < until_;)    \
			(void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);        \
		assert_true(condition);                                                         \
	} while (0)

static void it_ends_with_its_number(void **state)
{
	struct home *h = *state;
	struct stat st;
	char path[128];

	assert_false(captures_wanted(h->c, "tickets"));
	put(h, "tickets", "{}");                /* nobody asked */
	assert_int_equal(arm(h, "tickets", 2, 60000), 0);
	assert_int_equal(arm(h, "tickets", 2, 60000), -EBUSY);
	assert_true(captures_wanted(h->c, "tickets"));
	assert_false(captures_wanted(h->c, "others"));
	for (unsigned i = 0; i < 5; i++)
		put(h, "tickets", "{}");
	POLL(view(h, "tickets").ended[0]);
	assert_int_equal(view(h, "tickets").taken, 2);
	assert_int_equal(view(h, "tickets").uid, 7);
	assert_int_equal(files(h), 2);
	assert_false(captures_wanted(h->c, "tickets"));
	(void)snprintf(path, sizeof(path), "%s/captures", h->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* The next one's files have other names. */
	assert_int_equal(arm(h, "tickets", 1, 60000), 0);
	assert_int_equal(arm(h, "others", 1, 60000), 0);
	put(h, "tickets", "{}");
	put(h, "others", "{}");
	POLL(files(h) == 4);
}

static void it_ends_with_its_time_and_when_told(void **state)
{
	struct home *h = *state;

	assert_int_equal(captures_end(h->c, "tickets", "x"), -ENOENT);
	assert_int_equal(arm(h, "tickets", 2, 1), 0);
	POLL(view(h, "tickets").ended[0]);
	assert_string_equal(view(h, "tickets").ended, "its time is over");
	assert_int_equal(arm(h, "tickets", 2, 60000), 0);
	assert_int_equal(captures_end(h->c, "tickets", "enough"), 0);
	assert_string_equal(view(h, "tickets").ended, "enough");
}

static void what_is_too_much_at_once_is_counted(void **state)
{
	struct home *h = *state;
	char *large = malloc(9000001);

	assert_non_null(large);
	memset(large, 'x', 9000000);
	large[9000000] = '\0';
	assert_int_equal(arm(h, "tickets", 100, 60000), 0);
	(void)pthread_mutex_lock(&h->c->io);    /* nothing is written meanwhile */
	for (unsigned i = 0; i < 4; i++)
		put(h, "tickets", large);
	(void)pthread_mutex_unlock(&h->c->io);
	POLL(view(h, "tickets").taken + view(h, "tickets").missed == 4);
	assert_true(view(h, "tickets").missed >= 1);
	free(large);
}

static void files_go_after_a_day(void **state)
{
	struct home *h = *state;
	char path[256];
	const struct timespec old[2] = { { .tv_sec = time(NULL) - 90000 }, { .tv_sec = time(NULL) - 90000 } };

	assert_int_equal(arm(h, "tickets", 2, 60000), 0);
	put(h, "tickets", "{}");
	put(h, "tickets", "{}");
	POLL(files(h) == 2);
	(void)snprintf(path, sizeof(path), "%s/captures/%s-001", h->dir, view(h, "tickets").id);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	h->c = captures_free(h->c);
	home_open(h);
	POLL(files(h) == 1);
	h->c = captures_free(h->c);
	/* From the future: its age is not known. */
	(void)snprintf(path, sizeof(path), "%s/captures/20200101T000000000Z-001", h->dir);
	assert_int_equal(file_replace(path, 0600, "POST ", 5), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){ { .tv_sec = time(NULL) + 900 }, { .tv_sec = time(NULL) + 900 } }, 0), 0);
	home_open(h);
	assert_int_equal(files(h), 1);
}

static void names_of_others_are_never_touched(void **state)
{
	struct home *h = *state;
	char *data = NULL;
	size_t len;

	assert_true(capture_file_name("20261125T201500123Z-001"));
	assert_false(capture_file_name("../calloutd.db"));
	assert_false(capture_file_name(""));
	assert_false(capture_file_name("-001"));
	assert_false(capture_file_name("20261125T201500123Z-001.new"));
	assert_int_equal(captures_read(h->c, "../lock", &data, &len), -ENOENT);
	assert_int_equal(captures_read(h->c, "20261125T201500123Z-001", &data, &len), -ENOENT);
}

static void a_record_is_found_in_bodies(void **state)
{
	static const struct {
		const char *body, *entity;
		int64_t id;
		bool want;
	} rows[] = {
		{ "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":7}", "Ticket", 7, true },
		{ "{\"Action\":\"Update\",\"EntityType\":\"Account\",\"Id\":7}", "Company", 7, true },
		{ "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":77}", "Ticket", 7, false },
		{ "{\"Action\":\"Update\",\"EntityType\":\"Contact\",\"Id\":7}", "Ticket", 7, false },
		{ "{\"Action\":\"Update\",\"EntityType\":\"Contact\",\"Id\":8,\"Fields\":{\"a\":7}}", "Ticket", 7, false },
		{ "{\"EntityType\":\"Ticket\",\"Id\":7}", "Ticket", 7, true },
		{ "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":7,\"Fields\":{\"T", "Ticket", 7, true },
		{ "ticket 7 it is", "Ticket", 7, true },
		{ "ticket 171 it is", "Ticket", 7, false },
		{ "", "Ticket", 7, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(capture_body_is_of(rows[i].body, strlen(rows[i].body), rows[i].entity, rows[i].id), rows[i].want);
}

static void forgetting_removes_written_and_queued_ones(void **state)
{
	static const char seven[] = "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":7}";
	static const char eight[] = "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":8}";
	struct home *h = *state;
	unsigned count = 0;

	assert_int_equal(arm(h, "tickets", 3, 60000), 0);
	put(h, "tickets", seven);
	put(h, "tickets", eight);
	put(h, "tickets", seven);
	POLL(files(h) == 3);
	assert_int_equal(captures_forget(h->c, "Ticket", 7, true, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(files(h), 3);
	assert_int_equal(captures_forget(h->c, "Ticket", 7, false, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(files(h), 1);
	assert_int_equal(captures_forget(h->c, "Ticket", 7, false, &count), 0);
	assert_int_equal(count, 0);
}

int main(void)
{
#define IN_HOME(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		IN_HOME(it_ends_with_its_number),
		IN_HOME(it_ends_with_its_time_and_when_told),
		IN_HOME(what_is_too_much_at_once_is_counted),
		IN_HOME(files_go_after_a_day),
		IN_HOME(names_of_others_are_never_touched),
		IN_HOME(a_record_is_found_in_bodies),
		IN_HOME(forgetting_removes_written_and_queued_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
