/* schema.h - the tables, their versions, and the way from an older one. */
#ifndef CALLOUTD_STORE_SCHEMA_H
#define CALLOUTD_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

#define STORE_FILE "calloutd.db"
#define STORE_APPLICATION 0x434f5554    /* PRAGMA application_id: "COUT" */

/* States on disk are never 0 or 1, which SQLite stores shorter: settling must not make rows grow. */
#define ON_DISK(state) ((int)(state) + 2)
#define FROM_DISK(value) ((value) - 2)

/*
 * Has a handler done a newer event of a record? Bound: handler, record, SequenceNumber, EventTime (ms);
 * null where the event has none.
 */
#define HANDLED_NEWER \
	"SELECT 1 FROM handled WHERE handler = ?1 AND record = ?2 AND CASE WHEN ?3 IS NULL" \
	" THEN time_ms > ?4 ELSE coalesce(sequence > ?3, 0) OR coalesce(plain_ms > ?4, 0) END"

/* Ours, and of a version we know? Writes nothing. 0: an empty file, to be filled. */
int schema_check(sqlite3 *db, const char *path, int64_t *ret_version, struct error *err);
/* Make the tables, or bring older ones to STORE_SCHEMA after a copy beside them (PATH.vN). No room for it: -ENOSPC, nothing changed. */
int schema_bring(sqlite3 *db, const char *path, int64_t version, const struct store_options *o, struct error *err);

/* The sentence for a store that cannot be used, with what to do; returns code (0 or -errno). */
int store_sentence(int code, const char *path, const char *detail, struct error *err);

#endif
