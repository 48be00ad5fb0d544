/* threshold.c - ranges and what they mean for a value. */
#include "threshold.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BOUND_MAX 64            /* bytes of a bound as written */

static int read_count(const char *text, int64_t *ret)
{
	char *end;

	if (!*text || text[strspn(text, "-0123456789")])
		return -EINVAL;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return errno || *end || end == text ? -EINVAL : 0;
}

static int read_bound(const char *text, enum measure measure, int64_t *ret)
{
	uint64_t bytes;
	int64_t ms;
	int r;

	switch (measure) {
	case MEASURE_SPAN:
		r = duration_parse(text, &ms);
		if (r == 0)
			*ret = ms / 1000;
		return r;
	case MEASURE_SIZE:
		r = size_parse(text, &bytes);
		if (r == 0 && bytes > INT64_MAX)
			r = -ERANGE;
		if (r == 0)
			*ret = (int64_t)bytes;
		return r;
	case MEASURE_COUNT: default:
		return read_count(text, ret);
	}
}

/* "~": no least; nothing: 0, where an end follows. */
static int read_start(const char *text, enum measure measure, bool may_be_empty, int64_t *ret)
{
	if (!*text)
		return may_be_empty ? 0 : -EINVAL;
	if (strcmp(text, "~") != 0)
		return read_bound(text, measure, ret);
	*ret = INT64_MIN;
	return 0;
}

static int read_end(const char *text, enum measure measure, bool may_be_empty, int64_t *ret)
{
	if (!*text)
		return may_be_empty ? 0 : -EINVAL;
	return read_bound(text, measure, ret);
}

static const char *example(enum measure measure)
{
	return measure == MEASURE_SPAN ? "10m, 1h" : measure == MEASURE_SIZE ? "512M, 1G" : "10";
}

static int bad_bound(const char *text, enum measure measure, struct error *err)
{
	return error_set(err, EINVAL, "'%s' is no %s: write it like %s", text,
			 measure == MEASURE_SPAN ? "time" : measure == MEASURE_SIZE ? "size" : "whole number",
			 example(measure));
}

/* text is cut at its colon. */
static int parse_range(char *text, enum measure measure, bool low, struct range *ret, struct error *err)
{
	struct range r = { .set = *text != '\0', .start = 0, .end = INT64_MAX };
	char *colon, *first, *last = NULL;

	if (!r.set) {
		*ret = r;
		return 0;
	}
	r.inside = *text == '@';
	first = text + r.inside;
	colon = strchr(first, ':');
	if (colon) {
		*colon = '\0';
		last = colon + 1;
	} else if (!low) {
		last = first;
		first = NULL;
	}
	if (first && read_start(first, measure, last && *last, &r.start) < 0)
		return bad_bound(first, measure, err);
	if (last && read_end(last, measure, colon, &r.end) < 0)
		return bad_bound(last, measure, err);
	if (r.start > r.end)
		return error_set(err, EINVAL, "the range begins above its end");
	*ret = r;
	return 0;
}

int threshold_parse(const char *text, enum measure measure, bool low, struct threshold *ret, struct error *err)
{
	char warning[BOUND_MAX], critical[BOUND_MAX];
	const char *comma = strchr(text, ',');
	size_t len = comma ? (size_t)(comma - text) : strlen(text);
	struct threshold t;
	int r;

	if (len >= sizeof(warning) || (comma && strlen(comma + 1) >= sizeof(critical)))
		return error_set(err, EINVAL, "is too long");
	(void)snprintf(warning, sizeof(warning), "%.*s", (int)len, text);
	(void)snprintf(critical, sizeof(critical), "%s", comma ? comma + 1 : "");
	if (strchr(critical, ','))
		return error_set(err, EINVAL, "has more than one comma: write WARNING,CRITICAL");
	r = parse_range(warning, measure, low, &t.warning, err);
	if (r == 0)
		r = parse_range(critical, measure, low, &t.critical, err);
	if (r == 0)
		*ret = t;
	return r;
}

static bool alerts(const struct range *r, int64_t value)
{
	bool within = value >= r->start && value <= r->end;

	return r->set && within == r->inside;
}

enum health threshold_judge(const struct threshold *t, int64_t value)
{
	if (alerts(&t->critical, value))
		return HEALTH_CRITICAL;
	return alerts(&t->warning, value) ? HEALTH_WARNING : HEALTH_OK;
}

const char *range_text(const struct range *r, char dst[static RANGE_TEXT_LEN])
{
	char start[24] = "", end[24] = "";

	*dst = '\0';
	if (!r->set)
		return dst;
	if (r->start == INT64_MIN)
		(void)snprintf(start, sizeof(start), "~:");
	else if (r->start || r->end == INT64_MAX)
		(void)snprintf(start, sizeof(start), "%" PRId64 ":", r->start);
	if (r->end != INT64_MAX)
		(void)snprintf(end, sizeof(end), "%" PRId64, r->end);
	(void)snprintf(dst, RANGE_TEXT_LEN, "%s%s%s", r->inside ? "@" : "", start, end);
	return dst;
}
