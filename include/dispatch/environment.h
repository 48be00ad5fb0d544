/*
 * environment.h - the CALLOUT_* and FIELD_* variables of one attempt. Pure.
 *
 * FIELD_<NAME>: letters upper-cased, everything else than A-Z 0-9 becomes "_"; set only for
 * values up to 256 bytes of [A-Za-z0-9 _.:@/+-]; others are named in CALLOUT_OMITTED (comma
 * separated, the names as configured), since titles are customers' text and shells evaluate
 * more than one thinks. A field that is absent is neither set nor omitted.
 */
#ifndef CALLOUTD_DISPATCH_ENVIRONMENT_H
#define CALLOUTD_DISPATCH_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "store/store.h"

/* *ret: NULL-terminated "NAME=value" strings, one allocation: free(). 0 or -ENOMEM. */
int environment_build(const struct conf_handler *h, const struct event *e, unsigned attempt,
		      bool late, const void *body, size_t len, char ***ret);

/*
 * Of a collected run: CALLOUT_COUNT, and of the others those that are the same for all its events, so
 * all of them when there is only one. No fields.
 */
struct environment_common {
	struct event event;             /* what is not the same for all is absent */
	unsigned attempt, count;
	bool same_event, same_source, same_verified, same_attempt, same_late, late;
};
/* One event more; the first finds everything zero. */
void environment_merge(struct environment_common *c, const struct event *e, unsigned attempt, bool late);
int environment_collected(const struct conf_handler *h, const struct environment_common *c, char ***ret);

#endif
