/*
 * buf.h - a byte buffer that grows, up to a maximum somebody chose.
 *
 * After a failed append the buffer holds what it held before. The bytes are
 * always followed by a NUL that len does not count; data is NULL only until the first
 * append, be it of no bytes.
 */
#ifndef CALLOUTD_BASE_BUF_H
#define CALLOUTD_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len;     /* bytes in use */
	size_t cap;     /* bytes allocated */
	size_t max;     /* len never exceeds this */
};

#define BUF_INIT(limit) { .data = NULL, .len = 0, .cap = 0, .max = (limit) }

/* 0, -ENOBUFS when max would be exceeded, or -ENOMEM. */
int buf_append(struct buf *b, const void *data, size_t len);    /* data is not in b */
int buf_append_text(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Forget the content, keep the memory. */
void buf_clear(struct buf *b);

/* Hand over the bytes (free() them); the buffer is as new afterwards. NULL if nothing was ever appended. */
char *buf_take(struct buf *b, size_t *ret_len);

/* Release the memory; b may be used again. */
void buf_free(struct buf *b);

static inline void auto_buf(struct buf *b)
{
	buf_free(b);
}

#endif
