/* when.c - moments as people write and read them: in local time. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "private.h"

const char *when_text(int64_t ms, char dst[static WHEN_LEN])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(dst, WHEN_LEN, "%Y-%m-%d %H:%M:%S", &tm))
		(void)snprintf(dst, WHEN_LEN, "%" PRId64 " ms", ms);
	return dst;
}

/* Behind the date: "Z" at the end, or a sign. */
static bool has_zone(const char *text)
{
	size_t len = strlen(text);

	return len > 10 && (toupper((unsigned char)text[len - 1]) == 'Z' || strpbrk(text + 10, "+-"));
}

/* What clock_parse() took as UTC was meant in local time. */
static int64_t as_local(int64_t utc_ms)
{
	time_t seconds = (time_t)(utc_ms / 1000), local;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		return utc_ms;
	tm.tm_isdst = -1;
	local = mktime(&tm);
	return (int64_t)local * 1000 + utc_ms % 1000;
}

int when_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	char full[64];
	size_t len = strlen(text);
	int64_t ms;

	if (duration_parse(text, &ms) == 0) {
		*ret_ms = now_ms - ms;
		return 0;
	}
	if (len >= sizeof(full) - 10)
		return -EINVAL;
	(void)snprintf(full, sizeof(full), "%s%s", text, len == 10 ? "T00:00:00" : len == 16 ? ":00" : "");
	if (clock_parse(full, strlen(full), &ms) < 0)
		return -EINVAL;
	*ret_ms = has_zone(full) ? ms : as_local(ms);
	return 0;
}

const char *span_text(int64_t ms, char dst[static WHEN_LEN])
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		(void)snprintf(dst, WHEN_LEN, "%" PRId64 " ms", ms);
	else if (s < 60)
		(void)snprintf(dst, WHEN_LEN, "%" PRId64 ".%" PRId64 " s", s, ms / 100 % 10);
	else if (s < 3600)
		(void)snprintf(dst, WHEN_LEN, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(dst, WHEN_LEN, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else
		(void)snprintf(dst, WHEN_LEN, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
	return dst;
}
