/* error.c - why something failed, in words, without allocating. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* The arguments may point into e itself, so it is written last. A cut text ends with a whole character. */
__attribute__((format(printf, 2, 0)))
static void fill(struct error *e, const char *fmt, va_list args)
{
	char text[sizeof(e->text)];
	int n = vsnprintf(text, sizeof(text), fmt, args);

	if (n < 0)
		text[0] = '\0';
	else if ((size_t)n >= sizeof(text))
		text[utf8_cut(text, sizeof(text) - 1)] = '\0';
	memcpy(e->text, text, strlen(text) + 1);
}

int error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list args;

	if (e) {
		va_start(args, fmt);
		fill(e, fmt, args);
		va_end(args);
	}
	return -code;
}

int error_no_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

#define CONTEXT_MAX 200         /* bytes; the sentence itself must not be pushed out */

void error_prefix(struct error *e, const char *fmt, ...)
{
	struct error context;
	va_list args;

	if (!e)
		return;
	va_start(args, fmt);
	fill(&context, fmt, args);
	va_end(args);
	if (strlen(context.text) > CONTEXT_MAX)
		context.text[utf8_cut(context.text, CONTEXT_MAX)] = '\0';
	(void)error_set(e, 0, "%s: %s", context.text, e->text);
}
