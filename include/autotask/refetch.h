/*
 * refetch.h - an update event made of a record as it is now.
 *
 * For changes of which no callout is left: the payload in the shape of a callout (docs/payload.md),
 * Action Update, without SequenceNumber and PersonID, which nobody knows. For one modification it is
 * always the same bytes, so that the daemon recognises it when it is handed over again.
 *
 * Pure; any thread.
 */
#ifndef CALLOUTD_AUTOTASK_REFETCH_H
#define CALLOUTD_AUTOTASK_REFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autotask/kinds.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/json.h"

#define REFETCH_BODY_MAX (1024UL * 1024)

/* The record's number and the moment of its last modification (0: it does not say). 0, or -EPROTO. */
int refetch_read(const struct kind *kind, const struct json_value *record, int64_t *ret_id, int64_t *ret_modified_ms,
		 struct error *err);

/*
 * The event's body into ret. Fields are those that the webhook subscribes to or always displays, in
 * the configuration's order and spelling, with the values that the record has; user-defined ones
 * stand among them. 0, -EPROTO, -ENOMEM, -EFBIG.
 */
int refetch_body(const struct kind *kind, const struct conf_subscribe *subscribe, const char *guid,
		 const struct json_value *record, struct buf *ret, struct error *err);

/* The query's filter for records of a kind modified at or since a moment, as JSON. */
int refetch_filter(const struct kind *kind, int64_t since_ms, struct buf *ret);

/* ---- of which modifications something was received ---- */

/* Numbers of records, each with a moment. 16 bytes a record, at most two thirds full. */
struct moments {
	struct moment *slots;
	size_t count, cap;
};
void moments_free(struct moments *m);
static inline void auto_moments(struct moments *m)
{
	moments_free(m);
}
/* Keeps the later one. 0 or -ENOMEM. */
int moments_put(struct moments *m, int64_t id, int64_t ms);
/* 0: not in it. */
int64_t moments_get(const struct moments *m, int64_t id);

/*
 * Was something received of this modification or a later one? Callouts' EventTime may be in whole
 * seconds, so one is taken for its whole second.
 */
bool moments_cover(const struct moments *m, int64_t id, int64_t modified_ms);

#endif
