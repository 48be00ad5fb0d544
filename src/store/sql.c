/* sql.c - the little of SQLite that this room uses: errors as errno, binding in a row. */
#include "sql.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/store.h"

/* An I/O error's cause is known to the system only: a quota is a full disk to us. */
static int io_errno(sqlite3 *db, int rc)
{
	int cause = db ? sqlite3_system_errno(db) : 0;

	switch (rc) {
	case SQLITE_IOERR_FSYNC:
	case SQLITE_IOERR_DIR_FSYNC:
		return STORE_FATAL;
	case SQLITE_IOERR_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR_CORRUPTFS:
		return -EUCLEAN;
	case SQLITE_IOERR_SHMSIZE:
	case SQLITE_IOERR_WRITE:
	case SQLITE_IOERR_TRUNCATE:
	case SQLITE_IOERR_SHMOPEN:
	case SQLITE_IOERR_SHMMAP:
		break;
	default:
		return -EIO;
	}
	if (cause == ENOSPC || cause == EDQUOT)
		return -ENOSPC;
	return cause == EROFS ? -EROFS : -EIO;
}

static int open_errno(sqlite3 *db)
{
	int cause = db ? sqlite3_system_errno(db) : 0;

	switch (cause) {
	case 0:
		return -EIO;
	case EDQUOT:
		return -ENOSPC;
	default:
		return -cause;
	}
}

int sql_errno(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_IOERR:
		return io_errno(db, rc);
	case SQLITE_CANTOPEN:
		return open_errno(db);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:              /* our own texts are right: it is the tables that are not ours */
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -EBUSY;
	case SQLITE_INTERRUPT:
		return -ETIME;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_TOOBIG:
		return -EFBIG;
	default:
		return -EINVAL;
	}
}

int sql_prepare_all(sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **ret)
{
	for (size_t i = 0; i < count; i++) {
		int rc = sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &ret[i],
					    NULL);

		if (rc != SQLITE_OK)
			return sql_errno(db, rc);
	}
	return 0;
}

void sql_finalize_all(sqlite3_stmt **statements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		(void)sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
}

int sql_exec(sqlite3 *db, const char *text)
{
	return sql_errno(db, sqlite3_exec(db, text, NULL, NULL, NULL));
}

int sql_int(sqlite3 *db, const char *text, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int rc, r = 0;

	rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);
	if (rc != SQLITE_OK)
		return sql_errno(db, rc);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	else
		r = rc == SQLITE_DONE ? -ENOENT : sql_errno(db, rc);
	(void)sqlite3_finalize(st);
	return r;
}

struct bind bind_begin(sqlite3_stmt *st)
{
	return (struct bind){ .st = st, .at = 0, .rc = SQLITE_OK };
}

static void note(struct bind *b, int rc)
{
	if (b->rc == SQLITE_OK)
		b->rc = rc;
}

void bind_int(struct bind *b, int64_t value)
{
	note(b, sqlite3_bind_int64(b->st, ++b->at, value));
}

void bind_null(struct bind *b)
{
	note(b, sqlite3_bind_null(b->st, ++b->at));
}

void bind_optional(struct bind *b, bool has, int64_t value)
{
	if (has)
		bind_int(b, value);
	else
		bind_null(b);
}

void bind_newness(struct bind *b, bool has_sequence, int64_t sequence, const char *time)
{
	int64_t ms = 0;
	bool has_time = clock_parse(time, strlen(time), &ms) == 0;

	bind_optional(b, has_sequence, sequence);
	bind_optional(b, has_time, ms);
}

void bind_text(struct bind *b, const char *text)
{
	note(b, sqlite3_bind_text(b->st, ++b->at, text, -1, SQLITE_STATIC));
}

void bind_blob(struct bind *b, const void *data, size_t len)
{
	if (len == 0)
		note(b, sqlite3_bind_zeroblob(b->st, ++b->at, 0));
	else
		note(b, sqlite3_bind_blob64(b->st, ++b->at, data, len, SQLITE_STATIC));
}

int sql_step(sqlite3_stmt *st)
{
	sqlite3 *db = sqlite3_db_handle(st);
	int rc = sqlite3_step(st);
	int r;

	if (rc == SQLITE_ROW)
		return 1;
	r = sql_errno(db, rc);          /* before the reset, which may ask the system again */
	(void)sqlite3_reset(st);
	return r;
}

int bind_row(struct bind *b)
{
	return b->rc == SQLITE_OK ? sql_step(b->st) : sql_errno(sqlite3_db_handle(b->st), b->rc);
}

int bind_run(struct bind *b)
{
	int r = bind_row(b);

	if (r > 0)
		(void)sqlite3_reset(b->st);
	return r > 0 ? 0 : r;
}

void column_text(sqlite3_stmt *st, int column, char *dst, size_t cap)
{
	const unsigned char *text = sqlite3_column_text(st, column);
	size_t len;

	dst[0] = '\0';
	if (!text)
		return;
	len = (size_t)sqlite3_column_bytes(st, column);
	if (len >= cap)
		len = cap - 1;
	memcpy(dst, text, len);
	dst[len] = '\0';
}
