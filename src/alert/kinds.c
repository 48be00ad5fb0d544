/* kinds.c - the kinds' names, and what to look at first. */
#include <errno.h>
#include <string.h>

#include "private.h"

static const char *const names[] = {
	[ALERT_FAILED] = "failed",
	[ALERT_QUARANTINED] = "quarantined",
	[ALERT_DEACTIVATED] = "deactivated",
	[ALERT_SILENT] = "silent",
	[ALERT_BACKLOG] = "backlog",
	[ALERT_SIGNATURE] = "signature",
	[ALERT_DISK] = "disk",
	[ALERT_LOOP] = "loop",
	[ALERT_CONFIG] = "config",
	[ALERT_PAUSED] = "paused",
	[ALERT_CERTIFICATE] = "certificate",
	[ALERT_UNAVAILABLE] = "unavailable",
};
_Static_assert(ARRAY_LEN(names) == ALERT_KIND_COUNT_, "every kind needs a name");

const char *alert_kind_name(enum alert_kind k)
{
	return (unsigned)k < ALERT_KIND_COUNT_ ? names[k] : "?";
}

int alert_kind_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}
