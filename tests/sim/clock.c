/* clock.c - moments as the vendor writes and reads them: UTC. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void time_text(int64_t ms, bool fraction, char ret[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	if (fraction)
		snprintf(ret + n, 32 - n, ".%03dZ", (int)(ms % 1000));
	else
		snprintf(ret + n, 32 - n, "Z");
}

/* Milliseconds of a fraction (".5", ".1234567"); moves *at behind it. */
static int64_t fraction_ms(const char **at)
{
	const char *p = *at;
	int64_t ms = 0;

	if (*p != '.')
		return 0;
	p++;
	for (int unit = 100; *p >= '0' && *p <= '9'; p++, unit /= 10)
		ms += (*p - '0') * unit;
	*at = p;
	return ms;
}

/* "2025-09-15", or with "T14:57:50", a fraction, and "Z" or nothing: always UTC. */
bool time_of(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	const char *at = strptime(text, "%Y-%m-%d", &tm);
	int64_t ms = 0;

	if (!at || strlen(text) < 10 || text[4] != '-')
		return false;
	if (*at == 'T' || *at == ' ') {
		at = strptime(at + 1, "%H:%M:%S", &tm);
		if (!at)
			return false;
		ms = fraction_ms(&at);
	}
	if (*at == 'Z')
		at++;
	*ret_ms = (int64_t)timegm(&tm) * 1000 + ms;
	return !*at;
}
