/*
 * brake.c - loops: records whose events come too often are held, each alone.
 *
 * A handler that writes to Autotask may cause the events it is run for. Counted is by the moments at
 * which a record's events were accepted, when they come to be started, so that a backlog that is
 * worked off is no loop; each event once, however often it is tried.
 *
 * Of each record the last COUNT moments are kept, so the limit is exact. Memory is bounded by
 * BRAKE_BYTES a handler: then the record that has been quiet longest is forgotten, which a loop's
 * never is. Nothing of this is stored: after a restart counting begins anew. What is held is
 * stored, as a parked delivery that is never due; whatever comes of its record queues up behind it, as
 * behind any parked one.
 *
 * Records are told apart by 64 bits of hash: that two share one is less likely than a fault of the
 * memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define BRAKE_BYTES (4 * 1024 * 1024)
#define NONE UINT32_MAX

struct watched {
	uint64_t hash;
	int64_t newest;                 /* events up to here are counted, or forgiven */
	int64_t last_ms;
	struct rate rate;
	uint32_t next;                  /* of the same bucket */
	uint32_t older, newer;          /* in order of use */
};

/* ---- the table ---- */

static size_t most_of(struct conf_rate limit)
{
	return BRAKE_BYTES / (sizeof(struct watched) + sizeof(uint32_t) + limit.count * sizeof(int64_t) + 16);
}

static uint32_t *bucket_of(struct brake *b, uint64_t hash)
{
	return &b->buckets[(hash ^ hash >> 32) & (b->cap - 1)];
}

static struct watched *find(struct brake *b, uint64_t hash)
{
	for (uint32_t i = b->cap ? *bucket_of(b, hash) : NONE; i != NONE; i = b->items[i].next)
		if (b->items[i].hash == hash)
			return &b->items[i];
	return NULL;
}

static void hang_in(struct brake *b, uint32_t i)
{
	uint32_t *bucket = bucket_of(b, b->items[i].hash);

	b->items[i].next = *bucket;
	*bucket = i;
}

static void take_off(struct brake *b, uint32_t i)
{
	uint32_t *at = bucket_of(b, b->items[i].hash);

	while (*at != i)
		at = &b->items[*at].next;
	*at = b->items[i].next;
}

static void unlist(struct brake *b, struct watched *w)
{
	*(w->older != NONE ? &b->items[w->older].newer : &b->oldest) = w->newer;
	*(w->newer != NONE ? &b->items[w->newer].older : &b->newest) = w->older;
}

static void list_newest(struct brake *b, uint32_t i)
{
	b->items[i].older = b->newest;
	b->items[i].newer = NONE;
	*(b->newest != NONE ? &b->items[b->newest].newer : &b->oldest) = i;
	b->newest = i;
}

static bool grow(struct brake *b)
{
	size_t cap = b->cap ? b->cap * 2 : 64;
	struct watched *items = realloc(b->items, cap * sizeof(*items));
	uint32_t *buckets;

	if (!items)
		return false;
	b->items = items;
	buckets = realloc(b->buckets, cap * sizeof(*buckets));
	if (!buckets)
		return false;
	b->buckets = buckets;
	b->cap = cap;
	memset(buckets, 0xff, cap * sizeof(*buckets));  /* NONE */
	for (uint32_t i = 0; i < b->count; i++)
		hang_in(b, i);
	return true;
}

/* A place for one more: a new one, or that of the record that has been quiet longest. */
static uint32_t make_place(struct brake *b)
{
	uint32_t i = b->oldest;

	if (b->count < b->most && (b->count < b->cap || grow(b)))
		return (uint32_t)b->count++;
	if (i == NONE)
		return NONE;
	take_off(b, i);
	unlist(b, &b->items[i]);
	rate_free(&b->items[i].rate);
	return i;
}

static struct watched *watch(struct brake *b, uint64_t hash)
{
	struct watched *w = find(b, hash);
	uint32_t i;

	if (w) {
		unlist(b, w);
		list_newest(b, (uint32_t)(w - b->items));
		return w;
	}
	i = make_place(b);
	if (i == NONE)
		return NULL;
	b->items[i] = (struct watched){ .hash = hash };
	rate_set(&b->items[i].rate, b->limit);
	hang_in(b, i);
	list_newest(b, i);
	return &b->items[i];
}

/* ---- counting ---- */

void brake_set(struct brake *b, struct conf_rate limit)
{
	if (b->limit.count == limit.count && b->limit.per_ms == limit.per_ms)
		return;
	brake_free(b);
	b->limit = limit;
	b->oldest = b->newest = NONE;
	b->most = limit.count ? most_of(limit) : 0;
}

bool brake_lets(struct brake *b, uint64_t hash, int64_t event, int64_t received_ms)
{
	struct watched *w;

	if (b->limit.count == 0 || event <= b->forgiven)
		return true;
	w = watch(b, hash);
	if (!w || event <= w->newest)
		return true;            /* no memory for it: better run than held for nothing */
	if (received_ms < w->last_ms) {
		rate_free(&w->rate);    /* the clock was set back */
		rate_set(&w->rate, b->limit);
	}
	if (w->rate.last_ms && rate_wait_ms(&w->rate, received_ms) > 0)
		return false;
	rate_take(&w->rate, received_ms);
	w->newest = event;
	w->last_ms = received_ms;
	return true;
}

void brake_forgive(struct brake *b, const char *record, int64_t event)
{
	struct watched *w;

	if (b->limit.count == 0)
		return;
	if (!record) {
		b->forgiven = event;
		return;
	}
	w = watch(b, record_hash(record));
	if (!w)
		return;
	rate_free(&w->rate);
	rate_set(&w->rate, b->limit);
	w->newest = event;
}

void brake_free(struct brake *b)
{
	for (size_t i = 0; i < b->count; i++)
		rate_free(&b->items[i].rate);
	free(b->items);
	free(b->buckets);
	memset(b, 0, sizeof(*b));
}

/* ---- holding ---- */

static void tell(const struct lane *l, const struct delivery_ref *ref)
{
	char per[CLOCK_TEXT_LEN];

	alerts_raise(l->d->alerts, ALERT_LOOP, l->state.name,
		     "%s is held for handler %s from event %" PRId64 " on, since more than %u events of it came in %s: does the handler cause them? When that is clear, calloutctl release %s --record %s lets it go on",
		     callout_loggable(ref->record), l->state.name, ref->event, l->brake.limit.count,
		     duration_text(l->brake.limit.per_ms, per), l->state.name,
		     callout_loggable(ref->record));
	log_err((&(struct log_ctx){ .event = ref->event, .handler = l->state.name, .reason = "loop" }),
		"handler %s: %s is held from event %" PRId64 " on, since more than %u events of it came in %s: "
		"does the handler cause them? When that is clear: calloutctl release %s --record %s",
		l->state.name, callout_loggable(ref->record), ref->event, l->brake.limit.count, per, l->state.name,
		callout_loggable(ref->record));
}

unsigned brake_hold(struct lane *l, const struct delivery_ref *ref, bool parked)
{
	struct errand *e = errand_add(l, ref->event, ref->record);

	if (!e)
		return 0;
	tell(l, ref);
	e->attempts = ref->attempts;
	e->late = ref->late;
	e->parked = parked;
	lane_forget(l, ref->event);
	settle_unrun(e, DELIVERY_PARKED, DELIVERY_HELD_MS);
	return 1;
}

/* ---- letting go ---- */

int dispatcher_let_go(struct dispatcher *d, const char *handler, const char *record)
{
	struct lane *l = lane_find(d, handler);
	struct store_sizes sizes;
	int r;

	if (!l)
		return -ENOENT;
	if (!reader_at_hand(d))
		return -EIO;
	r = reader_sizes(d->reader, &sizes);
	if (r == 0)
		brake_forgive(&l->brake, record, sizes.newest_event);
	return r;
}

int dispatcher_held_records(struct dispatcher *d, struct held_record **ret, size_t *ret_count)
{
	int r;

	*ret = NULL;
	*ret_count = 0;
	r = reader_at_hand(d) ? reader_held(d->reader, ret, ret_count) : 0;
	if (r < 0 && r != -ENOMEM)
		reader_failed(d, r);    /* as with dispatcher_handlers(): the rest can be shown */
	return r == -ENOMEM ? r : 0;
}
