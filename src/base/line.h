/*
 * line.h - one log line, as log.c queues and writes it.
 *
 * Its fields are "KEY=value" texts, MESSAGE= first: what journald takes as it is. Whatever could
 * begin a line of its own, steer a terminal or is no UTF-8 is in there as \xNN already.
 */
#ifndef CALLOUTD_BASE_LINE_H
#define CALLOUTD_BASE_LINE_H

#include <stdarg.h>

#include "base/log.h"

#define LINE_FIELDS_MAX 12      /* MESSAGE and all of struct log_ctx */

struct line {
	struct line *next;
	int priority;
	unsigned count;         /* fields */
	unsigned short at[LINE_FIELDS_MAX], len[LINE_FIELDS_MAX];
	char data[];
};

/* One allocation: free(). NULL when there is no memory. */
struct line *line_new(int priority, const struct log_ctx *ctx, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/* One entry. Blocks while journald's buffer is full. */
void line_write_journal(struct line *l, const char *identifier);

/* "info: message [event=17 webhook=tickets]". Blocks while stderr takes nothing. */
void line_write_stderr(const struct line *l);

#endif
