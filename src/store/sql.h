/*
 * sql.h - the little of SQLite that this room uses: errors as errno, binding in a row.
 *
 * Every statement is prepared once, bound from left to right, stepped, and reset before
 * the function that used it returns: a statement left open would hold up checkpoints.
 */
#ifndef CALLOUTD_STORE_SQL_H
#define CALLOUTD_STORE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

/* 0 or -errno (store.h's list) for a result code of this connection. */
int sql_errno(sqlite3 *db, int rc);

/* Prepare `count` statements; on failure those already made stay for sql_finalize_all(). */
int sql_prepare_all(sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **ret);
void sql_finalize_all(sqlite3_stmt **statements, size_t count);

/* One text with several statements, without results. */
int sql_exec(sqlite3 *db, const char *text);

/* First column of the first row of an ad hoc statement. -ENOENT: no row. */
int sql_int(sqlite3 *db, const char *text, int64_t *ret);

/* Binding in a row. What is bound is borrowed until the statement is reset. */
struct bind {
	sqlite3_stmt *st;
	int at;
	int rc;
};
struct bind bind_begin(sqlite3_stmt *st);
void bind_int(struct bind *b, int64_t value);
void bind_null(struct bind *b);
void bind_text(struct bind *b, const char *text);               /* NULL: null */
void bind_blob(struct bind *b, const void *data, size_t len);   /* empty: a blob of no bytes */

void bind_optional(struct bind *b, bool has, int64_t value);    /* else null */
/* SequenceNumber, and EventTime in ms; null where there is none. For HANDLED_NEWER and its like. */
void bind_newness(struct bind *b, bool has_sequence, int64_t sequence, const char *time);

/* Run a statement that gives no row, and reset it. 0 or -errno. */
int bind_run(struct bind *b);
/* First row: 1, none: 0 (and reset), or -errno (and reset). After 1, go on with sql_step(). */
int bind_row(struct bind *b);
/* Next row: as bind_row(). */
int sql_step(sqlite3_stmt *st);

/* Done with a row: reset when the scope ends. */
static inline void auto_reset(sqlite3_stmt **st)
{
	if (*st)
		(void)sqlite3_reset(*st);
}

/* Text of a column, cut to cap; "" for null. */
void column_text(sqlite3_stmt *st, int column, char *dst, size_t cap);

#endif
