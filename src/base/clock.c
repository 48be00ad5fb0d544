/* clock.c - the two clocks, dates and durations as text, and dice. */
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define DURATION_MAX_MS (INT64_C(36525) * 24 * 3600 * 1000)     /* 100 years */

int64_t clock_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return (int64_t)(clock_mono_usec() / 1000);
}

uint64_t clock_mono_usec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint32_t random_u32(void)
{
	uint32_t value;

	/* Up to 256 bytes are never interrupted nor cut short once the pool is ready. */
	while (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		;
	return value;
}

const char *clock_text(int64_t ms, char dst[static CLOCK_TEXT_LEN])
{
	time_t seconds = (time_t)(ms / 1000);
	int rest = (int)(ms % 1000);
	struct tm tm;
	size_t n;

	if (rest < 0) {
		rest += 1000;
		seconds--;
	}
	if (!gmtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(dst, CLOCK_TEXT_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(dst + n, CLOCK_TEXT_LEN - n, ".%03dZ", rest);
	return dst;
}

/* ---- reading dates ---- */

struct text {
	const char *at;
	size_t left;
};

static bool take_char(struct text *t, const char *one_of)
{
	if (!t->left || !*t->at || !strchr(one_of, *t->at))
		return false;
	t->at++;
	t->left--;
	return true;
}

static bool take_digits(struct text *t, unsigned count, int *ret)
{
	int value = 0;

	if (t->left < count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (t->at[i] < '0' || t->at[i] > '9')
			return false;
		value = value * 10 + (t->at[i] - '0');
	}
	t->at += count;
	t->left -= count;
	*ret = value;
	return true;
}

/* ".5", ".123456": milliseconds, further digits are read and dropped. */
static bool take_fraction(struct text *t, int *ret_ms)
{
	int digit, scale = 100;

	*ret_ms = 0;
	if (!take_char(t, ".,"))
		return true;
	if (!take_digits(t, 1, &digit))
		return false;
	do {
		*ret_ms += digit * scale;
		scale /= 10;
	} while (take_digits(t, 1, &digit));
	return true;
}

/* "Z", "+02:00", "-0530", or nothing. */
static bool take_zone(struct text *t, int *ret_minutes)
{
	int hours, minutes, sign;

	*ret_minutes = 0;
	if (!t->left)
		return true;
	if (take_char(t, "Zz"))
		return true;
	sign = *t->at == '-' ? -1 : 1;
	if (!take_char(t, "+-") || !take_digits(t, 2, &hours))
		return false;
	(void)take_char(t, ":");
	if (!take_digits(t, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_minutes = sign * (hours * 60 + minutes);
	return true;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

int clock_parse(const char *text, size_t len, int64_t *ret_ms)
{
	struct text t = { text, len };
	struct tm tm = { .tm_year = 0 };
	int year, month, ms, zone;

	if (!take_digits(&t, 4, &year) || !take_char(&t, "-") || !take_digits(&t, 2, &month) ||
	    !take_char(&t, "-") || !take_digits(&t, 2, &tm.tm_mday) || !take_char(&t, "Tt ") ||
	    !take_digits(&t, 2, &tm.tm_hour) || !take_char(&t, ":") ||
	    !take_digits(&t, 2, &tm.tm_min) || !take_char(&t, ":") ||
	    !take_digits(&t, 2, &tm.tm_sec) || !take_fraction(&t, &ms) || !take_zone(&t, &zone) || t.left)
		return -EINVAL;
	/* Second 60 is a leap second and becomes the next minute's first, as the kernel counts. */
	if (year < 1900 || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days_in(year, month) ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	*ret_ms = ((int64_t)timegm(&tm) - (int64_t)zone * 60) * 1000 + ms;
	return 0;
}

/* ---- durations and sizes ---- */

static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {
	{ "w", INT64_C(7) * 24 * 3600 * 1000 },
	{ "d", INT64_C(24) * 3600 * 1000 },
	{ "h", INT64_C(3600) * 1000 },
	{ "m", INT64_C(60) * 1000 },
	{ "s", INT64_C(1000) },
	{ "ms", INT64_C(1) },
};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

static int take_number(const char **at, int64_t *ret)
{
	int64_t value = 0;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, **at - '0', &value))
			return -ERANGE;
	*ret = value;
	return 0;
}

static const struct unit *take_unit(const char **at)
{
	size_t n = strcspn(*at, "0123456789");

	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (strlen(units[i].name) == n && strncmp(units[i].name, *at, n) == 0) {
			*at += n;
			return &units[i];
		}
	}
	return NULL;
}

int duration_parse(const char *text, int64_t *ret_ms)
{
	int64_t total = 0, number;
	const char *at = text;

	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	do {
		const struct unit *u;
		int r = take_number(&at, &number);

		if (r < 0)
			return r;
		u = take_unit(&at);
		if (!u)
			return -EINVAL;
		if (__builtin_mul_overflow(number, u->ms, &number) ||
		    __builtin_add_overflow(total, number, &total) || total > DURATION_MAX_MS)
			return -ERANGE;
	} while (*at);
	*ret_ms = total;
	return 0;
}

const char *duration_text(int64_t ms, char dst[static CLOCK_TEXT_LEN])
{
	size_t n = 0;

	if (ms <= 0)
		return memcpy(dst, "0s", sizeof("0s"));
	/* Weeks are read but not written: "7d" is what people say. */
	for (size_t i = 1; i < UNIT_COUNT && ms; i++) {
		int64_t count = ms / units[i].ms;
		int written;

		if (!count)
			continue;
		written = snprintf(dst + n, CLOCK_TEXT_LEN - n, "%lld%s", (long long)count, units[i].name);
		if (written < 0 || (size_t)written >= CLOCK_TEXT_LEN - n)
			break;
		n += (size_t)written;
		ms %= units[i].ms;
	}
	return dst;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char letters[] = "KMGT";
	const char *at = text, *letter;
	int64_t number;
	int r = take_number(&at, &number);

	if (r < 0)
		return r;
	if (*at) {
		letter = strchr(letters, *at);
		if (!letter || at[1])
			return -EINVAL;
		if (__builtin_mul_overflow(number, INT64_C(1) << (10 * (letter - letters + 1)), &number))
			return -ERANGE;
	}
	*ret_bytes = (uint64_t)number;
	return 0;
}
