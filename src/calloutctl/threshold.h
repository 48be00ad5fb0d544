/*
 * threshold.h - thresholds as monitoring plug-ins have them: "W,C", each a range.
 *
 * A range is START:END, bounds included: good inside, an alert outside. "N" is 0:N (of what is bad
 * when low: N:), "N:" has no end, "~:N" no start, "@START:END" alerts inside instead. An empty text
 * never alerts. Source: Monitoring Plugins Development Guidelines, "Threshold and Ranges".
 *
 * Pure, any thread.
 */
#ifndef CALLOUTD_CALLOUTCTL_THRESHOLD_H
#define CALLOUTD_CALLOUTCTL_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum measure {
	MEASURE_COUNT,          /* whole numbers */
	MEASURE_SPAN,           /* written 10m, 1h; held in seconds */
	MEASURE_SIZE,           /* written 512M, 1G; held in bytes */
};

enum health {
	HEALTH_OK,
	HEALTH_WARNING,
	HEALTH_CRITICAL,
	HEALTH_UNKNOWN,
};

struct range {
	bool set;               /* false: never alerts */
	bool inside;            /* alerts inside */
	int64_t start, end;     /* INT64_MIN, INT64_MAX: infinite */
};

struct threshold {
	struct range warning, critical;
};

/* low: a number alone is the least that is good. 0, or -EINVAL with a sentence and *ret is untouched. */
int threshold_parse(const char *text, enum measure measure, bool low, struct threshold *ret, struct error *err);
enum health threshold_judge(const struct threshold *t, int64_t value);

#define RANGE_TEXT_LEN 48
/* As in performance data, in the measure's own unit: "~:10"; "" if it is not set. Returns dst. */
const char *range_text(const struct range *r, char dst[static RANGE_TEXT_LEN]);

#endif
