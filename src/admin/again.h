/*
 * again.h - one step of a retry, drop or replay: what is picked out, and how many of whose.
 *
 * A step looks at events from one number on, in order, and ends when a thousand deliveries are picked, when it
 * has taken a quarter of a second, or when nothing is left. It is picked from the store as it is read; what
 * changes it is given the keys and looks again.
 */
#ifndef CALLOUTD_ADMIN_AGAIN_H
#define CALLOUTD_ADMIN_AGAIN_H

#include "private.h"

#define AGAIN_LOOK_MS 250       /* of a step that looks at events */

/* How many deliveries, of which handler. */
struct again_tally {
	struct again_share {
		char handler[CALLOUT_NAME_MAX + 1];
		uint64_t count;
	} *shares;
	size_t count;
};
/* Where this handler's share is; made if new. -ENOMEM. */
int again_share(struct again_tally *t, const char *handler, size_t *ret_at);
/* Members "count" and "handlers". */
void again_tally_write(const struct again_tally *t, struct writer *w);
uint64_t again_tally_sum(const struct again_tally *t);

struct again_picks {
	struct delivery_key *keys;
	size_t *shares;                 /* of the tally: whose each is */
	size_t count, cap;
	struct again_tally tally;       /* shares without their counts */
	uint64_t no_body;               /* would be among them if they had their content */
	uint64_t late;                  /* left alone, as skip_late asks */
	int64_t next;                   /* where to go on; 0: nothing is left */
};
void again_picks_release(struct again_picks *p);

/* What the question filters by, from where on. */
int again_filter(struct reader *r, const struct question *q, struct event_filter *ret);

struct again_question {
	enum again what;
	const struct question *asks;
	const struct conf_handler *handler;     /* of a replay */
	const struct delivery_key *running;     /* of a drop */
	size_t running_count;
};
/* 0 or -errno; again_picks_release() in any case. */
int again_pick(struct reader *r, const struct again_question *q, struct again_picks *ret);

#endif
