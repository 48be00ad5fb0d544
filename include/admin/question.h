/*
 * question.h - what a caller asks: query parameters and members of a body, one table for both.
 *
 * Strict: what is unknown, given twice, of another kind or out of range is an error whose
 * sentence names it. An operator's command that was half understood is worse than none.
 *
 * Pure, any thread.
 */
#ifndef CALLOUTD_ADMIN_QUESTION_H
#define CALLOUTD_ADMIN_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "callout/callout.h"

enum ask {
	ASK_BEFORE,
	ASK_AFTER,
	ASK_SINCE,
	ASK_UNTIL,
	ASK_WEBHOOK,
	ASK_ENTITY,
	ASK_ACTION,
	ASK_HANDLER,
	ASK_ID,
	ASK_KIND,
	ASK_STATE,
	ASK_LIMIT,
	ASK_EVENT,
	ASK_FAILED,
	ASK_RECORD,
	ASK_SOURCE,
	ASK_SEQUENCE,
	ASK_GUID,
	ASK_AGAIN,
	ASK_SKIP_LATE,
	ASK_DRY_RUN,
	ASK_NEXT,
	ASK_DROP_WAITING,
	ASK_COUNT_
};
#define ASKS(x) (1U << ASK_##x)

struct question {
	unsigned given;                 /* ASKS() bits of what was said */
	int64_t before, after, event;   /* from 1 */
	int64_t id;                     /* the record's */
	int64_t since_ms, until_ms;
	int64_t limit;                  /* 1..1000 */
	int64_t kind;                   /* enum event_kind */
	int64_t state;                  /* enum delivery_state */
	int64_t source;                 /* enum event_source: recovered or refetched */
	int64_t sequence;
	int64_t next;                   /* 1..100 */
	bool failed, again, skip_late, dry_run, drop_waiting;
	char webhook[CALLOUT_NAME_MAX + 1], entity[CALLOUT_NAME_MAX + 1];
	char action[CALLOUT_NAME_MAX + 1], handler[CALLOUT_NAME_MAX + 1];
	char record[CALLOUT_RECORD_MAX];        /* "Ticket/351181" */
	char guid[CALLOUT_GUID_MAX + 1];
};

static inline bool asked(const struct question *q, unsigned bits)
{
	return (q->given & bits) != 0;
}

/* Take one query parameter, decoded. allowed: ASKS() bits. 0 or -EINVAL with a sentence. */
int question_parameter(struct question *q, unsigned allowed, const char *name,
		       const char *value, size_t len, struct error *err);

/* Take a body: a JSON object, or nothing at all (that is {}). 0 or -EINVAL with a sentence. */
int question_body(struct question *q, unsigned allowed, const char *text, size_t len,
		  struct error *err);

#endif
