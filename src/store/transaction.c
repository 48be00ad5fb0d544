/* transaction.c - begin, commit, roll back, and bring the WAL into the database. */
#include <errno.h>
#include <stdio.h>

#include "private.h"

/* Frames (pages of 4 KiB) in the WAL at which it is brought into the database. */
#define CHECKPOINT_FRAMES 4096
/* Beyond so many, readers are waited for, so that the WAL can begin anew. */
#define CHECKPOINT_FORCE (8 * CHECKPOINT_FRAMES)
#define FORCE_MS 100

int store_reload(struct store *s)
{
	sqlite3_stmt *st = s->st[ST_EVENT_NEWEST];
	int r = sql_step(st);

	if (r < 0)
		return r;
	if (r > 0) {
		s->newest_event = sqlite3_column_int64(st, 0);
		(void)sqlite3_reset(st);
	}
	r = handlers_load(s);
	s->stale = r < 0;
	return r;
}

static int run(struct store *s, enum statement which)
{
	int r = sql_step(s->st[which]);

	if (r > 0) {
		(void)sqlite3_reset(s->st[which]);
		return 0;
	}
	if (r == STORE_FATAL)
		s->fatal = true;
	return r;
}

int store_begin(struct store *s)
{
	int r;

	if (s->fatal)
		return STORE_FATAL;
	r = run(s, ST_BEGIN);
	if (r == 0 && s->stale) {
		r = store_reload(s);
		if (r < 0)
			store_rollback(s);
	}
	return r;
}

int store_commit(struct store *s)
{
	int r = s->fatal ? STORE_FATAL : handlers_flush(s);

	if (r == 0)
		r = run(s, ST_COMMIT);
	if (r == STORE_FATAL)
		s->fatal = true;
	if (r < 0)
		store_rollback(s);
	return r;
}

/* SQLite may have rolled back by itself already (full disk, I/O error). */
void store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		(void)run(s, ST_ROLLBACK);
	s->stale = true;
	prune_forget(s);
}

/* What it writes is what is there: only whether it can be written is of interest. */
int store_probe(struct store *s)
{
	char text[48];
	int r = store_begin(s);

	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "PRAGMA user_version = %d", STORE_SCHEMA);
	r = sql_exec(s->db, text);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

bool store_is_trouble(int result)
{
	switch (result) {
	case -ENOSPC:
	case -EROFS:
	case -EIO:
	case -EUCLEAN:
	case -EBUSY:
	case STORE_FATAL:
		return true;
	default:
		return false;
	}
}

static int checkpoint(struct store *s, int mode, int *ret_frames, int *ret_done)
{
	int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, ret_frames, ret_done);
	int r = rc == SQLITE_BUSY ? 0 : sql_errno(s->db, rc);   /* readers: as far as it goes */

	if (r == STORE_FATAL)
		s->fatal = true;
	return r;
}

int store_checkpoint(struct store *s, bool truncate)
{
	int frames = 0, done = 0, mode = SQLITE_CHECKPOINT_PASSIVE, r;

	if (s->fatal)
		return STORE_FATAL;
	if (truncate)
		mode = SQLITE_CHECKPOINT_TRUNCATE;
	else if (s->wal_frames < CHECKPOINT_FRAMES || s->wal_frames < s->checkpoint_at)
		return 0;
	else if (s->wal_frames >= CHECKPOINT_FORCE)
		mode = SQLITE_CHECKPOINT_RESTART;
	if (mode != SQLITE_CHECKPOINT_PASSIVE)
		(void)sqlite3_busy_timeout(s->db, FORCE_MS);
	r = checkpoint(s, mode, &frames, &done);
	(void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	if (r < 0)
		return r;
	if (truncate && frames != 0) {
		/* Perhaps copied, but not emptied: who reads still finds the pages there, and so do we. */
		s->wal_frames = frames > 0 ? (unsigned)frames : s->wal_frames + !s->wal_frames;
		s->checkpoint_at = s->wal_frames + CHECKPOINT_FRAMES;
	} else if (frames >= 0 && frames == done) {
		s->wal_frames = 0;
		s->checkpoint_at = 0;
	} else {
		s->checkpoint_at = s->wal_frames + CHECKPOINT_FRAMES;
	}
	return 0;
}
