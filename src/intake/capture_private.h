/* capture_private.h - what captures.c (arming, the thread), capture_look.c and capture_file.c share. */
#ifndef CALLOUTD_INTAKE_CAPTURE_PRIVATE_H
#define CALLOUTD_INTAKE_CAPTURE_PRIVATE_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "intake/captures.h"

struct capture {
	struct capture *next;
	struct capture_view view;
	unsigned pending;               /* queued, not written yet */
};

struct captures {
	pthread_mutex_t io;             /* files are read, written, removed by one at a time */
	pthread_mutex_t lock;           /* of what follows */
	pthread_cond_t wake;
	struct capture *first;
	struct capture_entry *queue, **last;
	size_t queued, queued_bytes;
	uint64_t min_free;
	int64_t last_id_ms;
	_Atomic unsigned armed;
	bool running, stop;
	pthread_t thread;
	char directory[PATH_MAX];       /* the captures', not the state's */
};

/* A name of ours: digits, T, Z and a hyphen; no other file is ever read or removed. */
bool capture_file_name(const char *name);
/* Write entry as DIRECTORY/NAME, whole or not at all. */
int capture_file_write(const char *directory, const char *name, const struct capture_entry *e);
/* All names, sorted; free() *ret. No directory: none. */
int capture_file_names(const char *directory, char (**ret)[CAPTURE_NAME_MAX], size_t *ret_count);
/* Remove what is older than CAPTURE_LIFE_MS and what was left half-written. When the next one is (INT64_MAX: none is left). */
int64_t capture_file_sweep(const char *directory, int64_t now_ms);
/* Number and bytes of all. */
void capture_file_sum(const char *directory, size_t *ret_count, uint64_t *ret_bytes);
/* Does a request's body speak of this record? */
bool capture_body_is_of(const char *body, size_t len, const char *entity, int64_t id);

#endif
