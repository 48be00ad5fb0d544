/*
 * match.h - which handlers want this event, and why the others do not.
 *
 * A filter is compiled from a handler's section and borrowed from that conf.
 * Order of the questions: webhook, action, entity, person, when. Verdicts carry no
 * field values: they go to the log. The entity of a deactivation that names none is not asked.
 *
 * when: a field's text (strings decoded, numbers as written, true/false, null as
 * the empty text) equals one of the alternatives; "4" and 4 are equal. An absent
 * field is not equal to anything: `=` fails, `!=` holds. An object or array is
 * compared by its raw text.
 */
#ifndef CALLOUTD_CALLOUT_MATCH_H
#define CALLOUTD_CALLOUT_MATCH_H

#include <stddef.h>

#include "base/conf.h"
#include "callout/callout.h"

enum match {
	MATCH_YES,
	MATCH_WEBHOOK,          /* another webhook's events */
	MATCH_ACTION,
	MATCH_ENTITY,
	MATCH_PERSON,           /* made by an ignored resource */
	MATCH_WHEN,             /* *ret_condition says which condition, from 0 */
};

enum match match_handler(const struct conf_handler *h, const char *webhook,
			 const struct callout *c, size_t *ret_condition);

/* "matches", "another webhook", "action", "entity", "person is ignored", "condition 2 (Status)". Returns dst. */
const char *match_text(enum match m, const struct conf_handler *h, size_t condition,
		       char *dst, size_t cap);

#endif
