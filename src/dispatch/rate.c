/*
 * rate.c - at most COUNT starts in any span of PER: a ring of when they were.
 *
 * A ring of the last COUNT starts is exact. Large counts share slots, so that the ring stays
 * small; a slot is then free again when the last of its starts is old enough: never too many,
 * and at most a slot's share too few.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define SLOTS_MAX 1024

static unsigned share_of(unsigned count)
{
	return count / SLOTS_MAX + (count % SLOTS_MAX != 0);
}

void rate_set(struct rate *r, struct conf_rate limit)
{
	if (r->limit.count == limit.count && r->limit.per_ms == limit.per_ms && (r->last_ms || !limit.count))
		return;
	rate_free(r);
	r->limit = limit;
	if (limit.count == 0)
		return;
	r->share = share_of(limit.count);
	r->slots = limit.count / r->share;
	r->last_ms = malloc(r->slots * sizeof(*r->last_ms));
	for (unsigned i = 0; r->last_ms && i < r->slots; i++)
		r->last_ms[i] = INT64_MIN;
}

int64_t rate_wait_ms(const struct rate *r, int64_t mono_ms)
{
	int64_t last;

	if (!r->limit.count || r->in_slot > 0)
		return 0;
	if (!r->last_ms)
		return 1000;    /* no memory for the ring: later rather than too often */
	last = r->last_ms[r->at];
	if (last == INT64_MIN || mono_ms - last >= r->limit.per_ms)
		return 0;
	return r->limit.per_ms - (mono_ms - last);
}

void rate_take(struct rate *r, int64_t mono_ms)
{
	if (!r->last_ms)
		return;
	r->last_ms[r->at] = mono_ms;
	if (++r->in_slot < r->share)
		return;
	r->in_slot = 0;
	r->at = (r->at + 1) % r->slots;
}

void rate_free(struct rate *r)
{
	free(r->last_ms);
	memset(r, 0, sizeof(*r));
}
