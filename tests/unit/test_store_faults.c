/*
 * test_store_faults.c - failing and full disks. SQLite is the real one; a file layer of this test
 * stands before the system's and lets calls fail when it is told to.
 */
#include "test_store.h"

#include "../../src/store/private.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mount.h>

/* ---- a file layer that fails on demand ---- */

enum fault { NO_FAULT, FAULT_WRITE, FAULT_FULL, FAULT_SYNC_WAL, FAULT_SYNC_DB };

/* SQLite's file objects carry no context: the one thing here that must be global. */
static atomic_int fault;

struct layered {
	sqlite3_file base;
	bool wal;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct layered *)f)->real;
}

static int l_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int l_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int l_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	if (atomic_load(&fault) == FAULT_WRITE)
		return SQLITE_IOERR_WRITE;
	if (atomic_load(&fault) == FAULT_FULL)
		return SQLITE_FULL;
	return real_of(f)->pMethods->xWrite(real_of(f), from, n, at);
}

static int l_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int l_sync(sqlite3_file *f, int flags)
{
	int now = atomic_load(&fault);

	if (now == (((struct layered *)f)->wal ? FAULT_SYNC_WAL : FAULT_SYNC_DB))
		return SQLITE_IOERR_FSYNC;
	return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int l_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int l_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int l_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int l_reserved(sqlite3_file *f, int *ret)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int l_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int l_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int l_traits(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int l_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}

static int l_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}

static void l_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int l_unmap(sqlite3_file *f, int remove_it)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods layer = {
	.iVersion = 2, .xClose = l_close, .xRead = l_read, .xWrite = l_write, .xTruncate = l_truncate,
	.xSync = l_sync, .xFileSize = l_size, .xLock = l_lock, .xUnlock = l_unlock,
	.xCheckReservedLock = l_reserved, .xFileControl = l_control, .xSectorSize = l_sector,
	.xDeviceCharacteristics = l_traits, .xShmMap = l_map, .xShmLock = l_shm_lock,
	.xShmBarrier = l_barrier, .xShmUnmap = l_unmap,
};

static int layer_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
	sqlite3_vfs *real = vfs->pAppData;
	struct layered *l = (struct layered *)f;
	int rc;

	l->wal = (flags & SQLITE_OPEN_WAL) != 0;
	l->real = (sqlite3_file *)(l + 1);
	rc = real->xOpen(real, name, l->real, flags, ret_flags);
	f->pMethods = l->real->pMethods ? &layer : NULL;
	return rc;
}

static void layer_register(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);

	vfs = *real;
	vfs.szOsFile = (int)sizeof(struct layered) + real->szOsFile;
	vfs.zName = "failing";
	vfs.pAppData = real;
	vfs.xOpen = layer_open;
	assert_int_equal(sqlite3_vfs_register(&vfs, 0), SQLITE_OK);
}

static void open_on_layer(struct home *h)
{
	struct error err = { "" };

	atomic_store(&fault, NO_FAULT);
	if (store_open(&(struct store_options){ .directory = h->dir, .vfs = "failing" }, &h->s, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(reader_open(h->dir, &h->r, NULL), 0);
}

static int accept_with(struct home *h, enum fault f)
{
	struct accepted a;
	struct sample m;
	int r;

	sample_make(&m, 1, T0);
	assert_int_equal(store_begin(h->s), 0);
	atomic_store(&fault, f);
	r = store_accept(h->s, &m.e, &a);
	if (r == 0)
		r = store_commit(h->s);
	else
		store_rollback(h->s);
	atomic_store(&fault, NO_FAULT);
	return r;
}

/* ---- the store ---- */

static void failed_commit_is_rolled_back(void **state)
{
	static const struct {
		enum fault fault;
		int want;
	} rows[] = { { FAULT_WRITE, -EIO }, { FAULT_FULL, -ENOSPC } };
	struct home *h = *state;
	struct event e;

	open_on_layer(h);
	(void)accept_ticket(h->s, 1, T0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(accept_with(h, rows[i].fault), rows[i].want);
		assert_int_equal(reader_event(h->r, 2 + (int64_t)i, &e), -ENOENT);
		assert_int_equal(accept_ticket(h->s, 1, T0), 2 + i);    /* and it goes on */
	}
	assert_int_equal(handler_of(h->r, "page").accepted, 3);
}

static void failed_fsync_of_a_commit_is_fatal(void **state)
{
	struct home *h = *state;

	open_on_layer(h);
	(void)accept_ticket(h->s, 1, T0);
	assert_int_equal(accept_with(h, FAULT_SYNC_WAL), STORE_FATAL);
	/* The disk may be well again: nobody asks. */
	assert_int_equal(store_begin(h->s), STORE_FATAL);
	assert_int_equal(store_commit(h->s), STORE_FATAL);
	assert_int_equal(store_checkpoint(h->s, true), STORE_FATAL);
	home_close(h);
	home_open(h);                           /* reads what is really there */
	assert_true(accept_ticket(h->s, 1, T0) >= 2);
}

static void failed_fsync_of_a_checkpoint_is_fatal(void **state)
{
	static const enum fault faults[] = { FAULT_SYNC_DB, FAULT_SYNC_WAL };
	struct home *h = *state;
	struct event e;

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		int64_t event;

		open_on_layer(h);
		h->r = reader_close(h->r);
		event = accept_ticket(h->s, 1, T0);
		atomic_store(&fault, faults[i]);
		assert_int_equal(store_checkpoint(h->s, true), STORE_FATAL);
		atomic_store(&fault, NO_FAULT);
		assert_int_equal(store_begin(h->s), STORE_FATAL);
		home_close(h);
		open_on_layer(h);
		assert_int_equal(reader_event(h->r, event, &e), 0);     /* it was committed */
		home_close(h);
	}
}

static void failed_write_of_a_checkpoint_loses_nothing(void **state)
{
	static const struct {
		enum fault fault;
		int want;
	} rows[] = { { FAULT_WRITE, -EIO }, { FAULT_FULL, -ENOSPC } };
	struct home *h = *state;
	struct event e;

	open_on_layer(h);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t event = accept_ticket(h->s, 1, T0);

		atomic_store(&fault, rows[i].fault);
		assert_int_equal(store_checkpoint(h->s, true), rows[i].want);
		atomic_store(&fault, NO_FAULT);
		assert_int_equal(reader_event(h->r, event, &e), 0);
		assert_int_equal(accept_ticket(h->s, 1, T0), event + 1);
	}
	assert_int_equal(store_checkpoint(h->s, true), 0);
}

/* Overwriting what is left of what was forgotten: it ends with the reason, and the store goes on. */
static void failed_scrub_is_told(void **state)
{
	static const struct {
		enum fault fault;
		int want;
	} rows[] = { { FAULT_WRITE, -EIO }, { FAULT_FULL, -ENOSPC } };
	struct home *h = *state;
	uint64_t cleaned;

	open_on_layer(h);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t event = accept_ticket(h->s, 1, T0);

		store_scrub(h->s);
		atomic_store(&fault, rows[i].fault);
		assert_int_equal(store_scrub_step(h->s), 0);
		atomic_store(&fault, NO_FAULT);
		assert_false(store_scrubbing(h->s));
		assert_int_equal(store_scrubbed(h->s, &cleaned), rows[i].want);
		assert_int_equal(accept_ticket(h->s, 1, T0), event + 1);
	}
	store_scrub(h->s);
	while (store_scrubbing(h->s))
		assert_int_equal(store_scrub_step(h->s), 0);
	assert_int_equal(store_scrubbed(h->s, &cleaned), 0);
	(void)accept_ticket(h->s, 1, T0);
	store_scrub(h->s);
	atomic_store(&fault, FAULT_SYNC_DB);
	assert_int_equal(store_scrub_step(h->s), STORE_FATAL);
	atomic_store(&fault, NO_FAULT);
	assert_int_equal(store_begin(h->s), STORE_FATAL);
}

/* ---- the journal ---- */

struct job {
	struct journal_job job;
	struct sample sample;
	struct accepted accepted;
	atomic_int result;              /* 1: not yet */
};

static int apply(struct store *s, struct journal_job *job)
{
	struct job *j = (struct job *)job;

	return store_accept(s, &j->sample.e, &j->accepted);
}

static void done(struct journal_job *job, int result)
{
	atomic_store(&((struct job *)job)->result, result);
}

struct heard {
	atomic_uint changed, fatal;
	atomic_int fatal_result;
};

static void on_changed(void *arg)
{
	atomic_fetch_add(&((struct heard *)arg)->changed, 1);
}

static void on_fatal(void *arg, int result, const char *sentence)
{
	struct heard *heard = arg;

	assert_non_null(strstr(sentence, "fsync"));
	atomic_store(&heard->fatal_result, result);
	atomic_fetch_add(&heard->fatal, 1);
}

static struct journal *journal_of(const struct home *h, struct heard *heard, uint64_t min_free,
				  uint64_t reserve, const char *vfs)
{
	const struct journal_options o = {
		.store = { .directory = h->dir, .reserve = reserve, .vfs = vfs },
		.limits = {
			.min_free = min_free,
			.retention = {
				.keep_payload_ms = 86400000, .keep_failed_ms = 86400000, .keep_ms = 86400000,
				.keep_keys_ms = 86400000, .max_size = UINT64_MAX, .rows = 100,
			},
		},
		.queue_max = 64,
		.changed = on_changed,
		.fatal = on_fatal,
		.arg = heard,
	};
	struct journal *j = NULL;
	struct error err = { "" };

	if (journal_start(&o, &j, &err) != 0)
		fail_msg("%s", err.text);
	return j;
}

/* Put one callout through, and wait: its result. */
static int put_one(struct journal *j, int64_t id)
{
	AUTO(free) struct job *job = calloc(1, sizeof(*job));
	int r;

	assert_non_null(job);
	job->job = (struct journal_job){ .apply = apply, .done = done };
	sample_make(&job->sample, id, clock_now_ms());
	atomic_store(&job->result, 1);
	journal_put(j, &job->job);
	assert_true(POLL(20, atomic_load(&job->result) != 1));
	r = atomic_load(&job->result);
	return r;
}

static int try_one(struct journal *j, int64_t id)
{
	AUTO(free) struct job *job = calloc(1, sizeof(*job));
	int r;

	assert_non_null(job);
	job->job = (struct journal_job){ .apply = apply, .done = done };
	sample_make(&job->sample, id, clock_now_ms());
	atomic_store(&job->result, 1);
	r = journal_try(j, &job->job);
	if (r < 0)
		return r;
	assert_true(POLL(20, atomic_load(&job->result) != 1));
	return atomic_load(&job->result);
}

static void fsync_ends_the_journal(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal_status status;
	struct journal *j = journal_of(h, &heard, 0, 0, "failing");

	assert_int_equal(put_one(j, 1), 0);
	atomic_store(&fault, FAULT_SYNC_WAL);
	assert_int_equal(put_one(j, 2), STORE_FATAL);
	atomic_store(&fault, NO_FAULT);
	assert_int_equal(atomic_load(&heard.fatal), 1);
	assert_int_equal(atomic_load(&heard.fatal_result), STORE_FATAL);
	/* In earnest the process is gone by now. Whoever goes on, gets no more. */
	assert_int_equal(put_one(j, 3), STORE_FATAL);
	assert_int_equal(try_one(j, 3), STORE_FATAL);
	journal_status(j, &status);
	assert_true(status.broken);
	assert_non_null(strstr(status.sentence, "fsync"));
	(void)journal_stop(j);
	assert_int_equal(atomic_load(&heard.fatal), 1);
}

/* All that was committed is brought into the database once it is quiet; that fails here. */
static void fsync_of_the_quiet_checkpoint_ends_it_too(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal *j = journal_of(h, &heard, 0, 0, "failing");

	assert_int_equal(put_one(j, 1), 0);
	atomic_store(&fault, FAULT_SYNC_DB);
	assert_true(POLL(10, atomic_load(&heard.fatal) == 1));
	atomic_store(&fault, NO_FAULT);
	(void)journal_stop(j);
}

static void passing_trouble_is_told_and_passes(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal_status status;
	struct journal *j = journal_of(h, &heard, 0, 0, "failing");

	assert_int_equal(put_one(j, 1), 0);
	atomic_store(&fault, FAULT_WRITE);
	assert_int_equal(put_one(j, 2), -EIO);
	assert_true(POLL(5, atomic_load(&heard.changed) == 1));
	journal_status(j, &status);
	assert_false(status.broken || status.full);
	assert_non_null(strstr(status.sentence, "cannot be read or written"));
	atomic_store(&fault, NO_FAULT);
	/* Nobody sends anything: it finds out by itself. */
	assert_true(POLL(10, (journal_status(j, &status), status.sentence[0] == '\0')));
	assert_true(POLL(5, atomic_load(&heard.changed) == 2));
	assert_int_equal(put_one(j, 2), 0);
	assert_int_equal(atomic_load(&heard.fatal), 0);
	(void)journal_stop(j);
}

/* The reserve is given up at the first "full", and that is enough to go on. */
static void reserve_is_given_up_to_go_on(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal_status status;
	struct journal *j = journal_of(h, &heard, 0, 1 << 20, "failing");
	struct stat st;
	char path[128];

	(void)home_path(h, "reserve", path);
	assert_int_equal(stat(path, &st), 0);
	atomic_store(&fault, FAULT_FULL);
	assert_int_equal(put_one(j, 1), -ENOSPC);
	assert_int_equal(stat(path, &st), -1);
	assert_false(journal_room(j));
	assert_int_equal(try_one(j, 1), -ENOSPC);
	journal_status(j, &status);
	assert_true(status.full);
	assert_non_null(strstr(status.sentence, "disk"));
	atomic_store(&fault, NO_FAULT);
	assert_int_equal(put_one(j, 1), 0);     /* settling is not asked whether there is room */
	assert_true(POLL(10, journal_room(j)));
	assert_true(POLL(10, stat(path, &st) == 0));
	journal_status(j, &status);
	assert_string_equal(status.sentence, "");
	assert_int_equal(try_one(j, 1), 0);
	(void)journal_stop(j);
}

static void full_disk_is_seen_ahead(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal_status status;
	struct journal *j;
	char path[128], block[4096] = "";
	AUTO(fd) int fd = -1;

	if (mount("tmpfs", h->dir, "tmpfs", 0, "size=12m,mode=0700") != 0)
		skip();
	j = journal_of(h, &heard, 4 << 20, 1 << 20, NULL);
	assert_int_equal(try_one(j, 1), 0);
	fd = open(home_path(h, "filler", path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		;
	assert_true(POLL(5, try_one(j, 2) == -ENOSPC));         /* an answer is believed for a second */
	assert_true(POLL(5, atomic_load(&heard.changed) == 1));
	journal_status(j, &status);
	assert_true(status.full && !status.broken);
	assert_non_null(strstr(status.sentence, "disk"));
	assert_int_equal(unlink(path), 0);
	(void)close(TAKE_FD(fd));
	/* By itself: nobody asks for room. */
	assert_true(POLL(10, atomic_load(&heard.changed) == 2));
	assert_int_equal(try_one(j, 3), 0);
	(void)journal_stop(j);
	assert_int_equal(umount(h->dir), 0);
}

/* Fill the disk for real, to the last byte: nothing acknowledged is lost, and it comes back. */
static void really_full_disk_loses_nothing(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal *j;
	struct event e;
	char path[128], block[512] = "";
	AUTO(fd) int fd = -1;
	int stored = 0, r;

	if (mount("tmpfs", h->dir, "tmpfs", 0, "size=3m,mode=0700") != 0)
		skip();
	j = journal_of(h, &heard, 0, 1 << 20, NULL);
	assert_int_equal(put_one(j, ++stored), 0);
	fd = open(home_path(h, "filler", path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	while ((r = put_one(j, stored + 1)) == 0 && stored < 5000)
		stored++;
	assert_int_equal(r, -ENOSPC);           /* the reserve is used up, too */
	assert_true(stored > 10);
	assert_int_equal(unlink(path), 0);
	(void)close(TAKE_FD(fd));
	assert_true(POLL(10, put_one(j, 9999) == 0));
	(void)journal_stop(j);
	assert_int_equal(reader_open(h->dir, &h->r, NULL), 0);
	for (int i = 1; i <= stored; i++) {
		assert_int_equal(reader_event(h->r, i, &e), 0);
		assert_int_equal(e.record_id, i);
	}
	home_close(h);
	assert_int_equal(umount(h->dir), 0);
}

static void store_that_cannot_be_opened_is_tried_again(void **state)
{
	struct home *h = *state;
	struct heard heard = { 0 };
	struct journal_status status;
	struct journal *j;

	home_open(h);                           /* the other one */
	j = journal_of(h, &heard, 0, 0, NULL);
	journal_status(j, &status);
	assert_true(status.broken);
	assert_non_null(strstr(status.sentence, "another"));
	assert_int_equal(put_one(j, 1), -EBUSY);
	assert_int_equal(try_one(j, 1), -EBUSY);
	home_close(h);
	assert_true(POLL(15, (journal_status(j, &status), !status.broken)));
	assert_string_equal(status.sentence, "");
	assert_true(POLL(5, atomic_load(&heard.changed) == 1));
	assert_int_equal(put_one(j, 1), 0);
	(void)journal_stop(j);
}

int main(void)
{
#define IN_HOME(f) cmocka_unit_test_setup_teardown(f, home_setup_closed, home_teardown)
	static const struct CMUnitTest tests[] = {
		IN_HOME(failed_commit_is_rolled_back),
		IN_HOME(failed_fsync_of_a_commit_is_fatal),
		IN_HOME(failed_fsync_of_a_checkpoint_is_fatal),
		IN_HOME(failed_write_of_a_checkpoint_loses_nothing),
		IN_HOME(failed_scrub_is_told),
		IN_HOME(fsync_ends_the_journal),
		IN_HOME(fsync_of_the_quiet_checkpoint_ends_it_too),
		IN_HOME(passing_trouble_is_told_and_passes),
		IN_HOME(reserve_is_given_up_to_go_on),
		IN_HOME(full_disk_is_seen_ahead),
		IN_HOME(really_full_disk_loses_nothing),
		IN_HOME(store_that_cannot_be_opened_is_tried_again),
	};

	layer_register();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
