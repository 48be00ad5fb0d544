/* error.c - why something failed, in words, without allocating. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list args;

	if (e) {
		va_start(args, fmt);
		(void)vsnprintf(e->text, sizeof(e->text), fmt, args);
		va_end(args);
	}
	return -code;
}

void error_prefix(struct error *e, const char *fmt, ...)
{
	char context[sizeof(e->text)];
	char sentence[sizeof(e->text)];
	va_list args;

	if (!e)
		return;
	va_start(args, fmt);
	(void)vsnprintf(context, sizeof(context), fmt, args);
	va_end(args);
	memcpy(sentence, e->text, sizeof(sentence));
	sentence[sizeof(sentence) - 1] = '\0';
	(void)snprintf(e->text, sizeof(e->text), "%.200s: %s", context, sentence);
}
