/*
 * callout.h - what one callout says.
 *
 * Reads a body into a struct whose texts are copies and whose numbers are exact.
 * Member names in any case; of repeated members the last counts (as .NET, Python
 * and JavaScript have it). PersonID and PersonId are the same member; null is absence.
 * Unknown members are ignored: handlers get the raw bytes anyway. docs/payload.md says
 * what every laxity is for.
 *
 * "Understood" means: a JSON object with a non-empty Action and an integer Id;
 * for Action Deactivated, Id is not needed. Whatever is not understood is
 * quarantined, with the reason in words.
 *
 * Pure, any thread.
 */
#ifndef CALLOUTD_CALLOUT_CALLOUT_H
#define CALLOUTD_CALLOUT_CALLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

#define CALLOUT_NAME_MAX 64     /* bytes kept of Action, EntityType */
#define CALLOUT_GUID_MAX 100    /* webhookGUID is string 100 (vendor Swagger) */
#define CALLOUT_TIME_MAX 48
#define CALLOUT_FAILURES_MAX 25 /* failing events, after which Autotask switches a webhook off (vendor help) */
#define CALLOUT_RECORD_MAX (CALLOUT_NAME_MAX + 24)

struct callout {
	char action[CALLOUT_NAME_MAX + 1];      /* lower case: create, update, delete, deactivated, or another */
	char action_raw[CALLOUT_NAME_MAX + 1];
	char entity[CALLOUT_NAME_MAX + 1];      /* canonical where known, else as received; "" if absent */
	char entity_raw[CALLOUT_NAME_MAX + 1];
	char guid[CALLOUT_GUID_MAX + 1];        /* the webhook's, not the event's; "" if absent */
	char time[CALLOUT_TIME_MAX + 1];        /* EventTime as received; "" if absent */
	int64_t id;
	int64_t sequence, person;
	int64_t time_ms;                /* valid if has_time */
	bool has_id, has_sequence, has_person, has_time;
	bool partial;                   /* a member is not held here: of another kind, too long, or with a NUL */
	struct json_value fields;       /* into the body: object or array; at NULL: absent or null */
};

/*
 * 0 and *ret filled; or -EBADMSG not JSON or no object, -EINVAL no Action or no Id
 * (whatever could be read is filled in, the rest is zero), with *ret_why a static
 * sentence fragment ("not an object", "text after the value", ...). -E2BIG does not
 * come out: nested too deeply is -EBADMSG too.
 * The body must outlive *ret (fields points into it).
 */
int callout_parse(const char *body, size_t len, struct callout *ret, const char **ret_why);

/* "Ticket/351181": what order is kept by; deactivations: "Webhook/TITLE". Returns dst. */
const char *callout_record(const struct callout *c, const char *webhook,
			   char dst[static CALLOUT_RECORD_MAX]);

/*
 * A word, Guid or record of a callout as a log line may hold it: letters, digits and _ - . / { } stay. Anything else could be
 * a customer's text in a place where none belongs; then a fixed phrase. Borrowed.
 */
const char *callout_loggable(const char *text);

/*
 * Find a field: Fields as an object of name -> value (names in any case), or as an
 * array of {"name"|"Name"|"field": ..., "value": ...} (UDF shape is unpublished:
 * tolerated both ways; an object member whose value is such an array is searched too).
 * Of repeated ones the last counts. False if absent; null counts as present with
 * kind JSON_NULL.
 */
bool callout_field(const struct callout *c, const char *name, struct json_value *ret_value);

/* Walk all fields in order: calls fn(arg, name, value); stops and returns what it returns if not 0. */
int callout_each_field(const struct callout *c,
		       int (*fn)(void *arg, const struct json_value *name,
				 const struct json_value *value),
		       void *arg);

/*
 * The duplicate key (design: equal webhook, verified flag, Guid, EntityType, Id, Action,
 * SequenceNumber, EventTime; if one of the last two is missing, equal SHA-256 of the
 * body; so too if the callout is partial, since what is not held cannot be compared).
 * *ret_time_ms orders keys by time (EventTime, or 0 where the body decides).
 * 0 or -EIO.
 */
#define CALLOUT_KEY_LEN 16
int callout_key(const struct callout *c, const char *webhook, bool verified,
		const void *body, size_t len,
		uint8_t ret_key[static CALLOUT_KEY_LEN], int64_t *ret_time_ms);

#endif
