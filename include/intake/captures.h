/*
 * captures.h - whole requests, written down for an operator who wants to see why one is refused.
 *
 * An operator arms a capture of one webhook; intake hands over each request to its paths, refused ones
 * too, once it is answered. A thread of its own writes them, so that no callout waits for it or fails by
 * it: what cannot be written ends the capture, and that is said. Armed captures live in memory: a restart
 * ends them. Files live at most CAPTURE_LIFE_MS, whoever is killed meanwhile: their age is their file time.
 *
 * DIRECTORY/captures (0700) holds a file (0600) a request, named ID-NNN by its capture:
 *   the request line, the path replaced by "/-/WEBHOOK/path" or "/-/WEBHOOK/deactivation-path" and a query by
 *   "?redacted"; lines "X-Calloutd-Time, -Client, -Verdict, -Detail, -Answer: ..." of our own; the headers as
 *   received (values of Authorization, Cookie and the like redacted; libmicrohttpd has undone folding and
 *   chunks, so that Transfer-Encoding is written as X-Calloutd-Transfer-Encoding); an empty line; the body.
 *
 * Any thread. Lock order: io, then lock.
 */
#ifndef CALLOUTD_INTAKE_CAPTURES_H
#define CALLOUTD_INTAKE_CAPTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"

#define CAPTURE_NEXT_MAX 100
#define CAPTURE_FOR_MAX_MS (24LL * 3600 * 1000)
#define CAPTURE_LIFE_MS (24LL * 3600 * 1000)    /* of a file, from its writing */
#define CAPTURES_BYTES_MAX (64LL * 1024 * 1024) /* of all files together */
#define CAPTURES_FILES_MAX 1000
#define CAPTURE_NAME_MAX 32                     /* "20261125T201500123Z-001" */

struct captures;

/* directory: the state directory. The thread begins with the first capture, or at once if files are there. */
int captures_new(const char *directory, struct captures **ret, struct error *err);
/* Writes what is queued. Nobody may use it any more. */
struct captures *captures_free(struct captures *c);
AUTO_DEFINE(captures, struct captures *, captures_free)

struct capture_order {
	const char *webhook;            /* title */
	unsigned next;                  /* requests, 1 to CAPTURE_NEXT_MAX */
	int64_t until_ms;
	uint64_t min_free;              /* bytes that must stay free on the disk */
	int64_t uid;                    /* whose it is; -1: not known */
};
/* -EBUSY: one is armed already; -ENOSPC: too much is kept already, or too little is free; with a sentence. */
int captures_arm(struct captures *c, const struct capture_order *o, char ret_id[static CAPTURE_NAME_MAX], struct error *err);
/* why: shown. -ENOENT: none is armed. */
int captures_end(struct captures *c, const char *webhook, const char *why);
/* End those whose webhook is gone. */
void captures_reload(struct captures *c, const struct conf *conf);

/* ---- for intake ---- */

/* Is one armed for this webhook? Cheap while none is. */
bool captures_wanted(struct captures *c, const char *webhook);

struct capture_entry {
	struct capture_entry *next;
	char webhook[CONF_NAME_MAX + 1];
	char *head;                     /* up to the empty line, that included */
	size_t head_len;
	char *body;
	size_t len;
};
struct capture_entry *capture_entry_free(struct capture_entry *e);
/* Takes it over. It is dropped, and counted, if the capture has ended or has its number. */
void captures_put(struct captures *c, struct capture_entry *e);

/* ---- for operators ---- */

struct capture_view {                   /* one capture: armed, or the last of its webhook since the start */
	char id[CAPTURE_NAME_MAX];
	char webhook[CONF_NAME_MAX + 1];
	char ended[200];                /* why; "": it is armed */
	int64_t uid, since_ms, until_ms;
	unsigned wanted, taken, missed; /* missed: more came at once than could be written */
};
/* *ret is the caller's. */
int captures_list(struct captures *c, struct capture_view **ret, size_t *ret_count);

/* Each file, oldest first; what fn returns besides 0 ends the walk and is returned. head: up to 4 KiB, borrowed. */
int captures_files(struct captures *c,
		   int (*fn)(void *arg, const char *name, const char *head, size_t head_len, uint64_t bytes), void *arg);
/* The whole of one; free() *ret_data. -ENOENT. */
int captures_read(struct captures *c, const char *name, char **ret_data, size_t *ret_len);

/*
 * Remove the files that hold this record: those whose body says so, and those whose body cannot be read as a
 * callout but has the number in it. Counted only with dry.
 */
int captures_forget(struct captures *c, const char *entity, int64_t id, bool dry, unsigned *ret_count);

#endif
