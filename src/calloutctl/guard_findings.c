/* guard_findings.c - what a look has found. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"

void finding(struct findings *f, const struct conf_webhook *w, enum finding_level level, const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	text = text_vprintf(fmt, args);
	va_end(args);
	f->items = need(reallocarray(f->items, f->count + 1, sizeof(*f->items)));
	f->items[f->count++] = (struct finding){ w, level, text };
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->items[i].text);
	free(f->items);
	*f = (struct findings){ .items = NULL };
}

enum finding_level findings_worst(const struct findings *f)
{
	enum finding_level worst = FINDING_INFO;

	for (size_t i = 0; i < f->count; i++)
		if (f->items[i].level > worst)
			worst = f->items[i].level;
	return worst;
}
