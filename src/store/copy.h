/*
 * copy.h - copying a database page by page: what backup, restore and migration share.
 */
#ifndef CALLOUTD_STORE_COPY_H
#define CALLOUTD_STORE_COPY_H

#include <sqlite3.h>
#include <stdint.h>

#include "sql.h"
#include "store/backup.h"

AUTO_DEFINE(sqlite3, sqlite3 *, sqlite3_close)

/* Names in the state directory of copies under way (and BACKUP_WORK); removed by the next opening. */
#define COPY_FOR_RESTORE "calloutd.db.restoring"
/* A restored copy, whole: from then on it is the store, see restore_finish(). */
#define COPY_RESTORED "calloutd.db.restored"

/*
 * All pages of `from` to a new file, in steps; what `from` is in a transaction of stays of that moment. On failure the
 * file is removed. The file has no journal meanwhile: it is whole when this returns 0, and rubbish before.
 */
int copy_pages(sqlite3 *from, const char *to, uint64_t leave, const struct backup_watch *watch);
/* Open a copy to change it, nobody else being at it: it becomes one file without a WAL. sqlite3_close() it. */
int copy_open(const char *path, sqlite3 **ret);
/* Open one to read it as it lies there: nothing is written beside it. Likewise. */
int copy_open_still(const char *path, sqlite3 **ret);
/* Every page and index. 0 or -EUCLEAN with what is wrong in detail. */
int copy_check(sqlite3 *db, const struct backup_watch *watch, char *detail, size_t cap);
/* The file and what SQLite may have put beside it. */
void copy_remove(const char *path);

/* lock.c: copies under way that a kill has left */
void store_sweep(const char *directory);

/*
 * restore.c: if a restored copy waits, move the store aside and put it in its place. May be killed and done again.
 * ret_aside (PATH_MAX bytes, or NULL): where the store before went; "": nothing was moved. 0 or -errno.
 */
int restore_finish(const char *directory, char *ret_aside);

#endif
