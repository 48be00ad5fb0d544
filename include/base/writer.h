/*
 * writer.h - JSON text, written exactly.
 *
 * Integers with all their digits, texts escaped, bytes that are not UTF-8 as U+FFFD. Commas and
 * brackets follow from the calls. Errors stick: after the first one nothing is written any more,
 * and writer_take() tells it. Names are ASCII literals of this house and written as they are.
 */
#ifndef CALLOUTD_BASE_WRITER_H
#define CALLOUTD_BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

#define WRITER_DEPTH_MAX 16

struct writer {
	struct buf buf;
	int result;                     /* 0, or the first -errno */
	unsigned depth;
	bool named;                     /* writer_name() wrote the next value's name */
	bool more[WRITER_DEPTH_MAX];    /* something stands at this depth already */
	char close[WRITER_DEPTH_MAX];   /* the bracket that ends it */
};

/* max_bytes: the longest text that may come out. */
#define WRITER_INIT(max_bytes) { .buf = BUF_INIT(max_bytes) }
void writer_free(struct writer *w);
static inline void auto_writer(struct writer *w)
{
	writer_free(w);
}

/* name: of the member; NULL for the root and for elements of arrays. */
void writer_object(struct writer *w, const char *name);
void writer_array(struct writer *w, const char *name);
void writer_end(struct writer *w);      /* of the innermost object or array */

void writer_text(struct writer *w, const char *name, const char *text);         /* NULL: null */
void writer_bytes(struct writer *w, const char *name, const void *data, size_t len);
void writer_int(struct writer *w, const char *name, int64_t value);
void writer_uint(struct writer *w, const char *name, uint64_t value);
void writer_bool(struct writer *w, const char *name, bool value);
void writer_null(struct writer *w, const char *name);
/* The next member's name, whatever it holds; the call that writes its value then takes NULL. */
void writer_name(struct writer *w, const char *name);
/* A value of a text that json_read() took: texts are written anew, the rest as it stands there. */
void writer_value(struct writer *w, const char *name, const struct json_value *value);
/* "2025-09-15T14:57:50.123Z"; 0 is null. */
void writer_moment(struct writer *w, const char *name, int64_t ms);

/* The finished text with a newline; free() it. 0, -ENOBUFS (max_bytes), -ENOMEM, -EINVAL (brackets). */
int writer_take(struct writer *w, char **ret_text, size_t *ret_len);

#endif
