/* progress.c - a line on a terminal that says how far it is. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "private.h"

#define BAR 20
#define EVERY_MS 100

static void bar(const struct progress *p, char dst[static BAR + 1])
{
	size_t filled = p->done >= p->total ? BAR : BAR * p->done / p->total;

	memset(dst, ' ', BAR);
	memset(dst, '#', filled);
	dst[BAR] = '\0';
}

void progress_show(struct progress *p)
{
	int64_t now_ms;
	char text[BAR + 1];

	if (!p->on)
		return;
	now_ms = clock_mono_ms();
	if (p->any && now_ms - p->shown_ms < EVERY_MS)
		return;
	p->any = true;
	p->shown_ms = now_ms;
	if (p->total) {
		bar(p, text);
		fprintf(stderr, "\r\033[K%s: %zu of %zu [%s]", p->what, p->done, p->total, text);
	} else {
		fprintf(stderr, "\r\033[K%s: %zu", p->what, p->done);
	}
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->any)
		fputs("\r\033[K", stderr);
	p->any = false;
}
