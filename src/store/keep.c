/*
 * keep.c - what the journal does besides jobs: opening again, room, reserve, checkpoints, pruning.
 *
 * Each of these has a moment at which it is due, computed from what is stored, never a
 * period: a daemon with nothing to do sleeps until a job comes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "thread.h"

#define REOPEN_MS 5000
#define PROBE_MS 5000           /* is the disk well again? */
#define ROOM_MS 1000
#define RESERVE_MS 60000        /* between attempts to make a reserve that found no room */
#define QUIET_MS 2000           /* without a commit: bring all into the database */

static int64_t soonest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t between(int64_t ms, int64_t low, int64_t high)
{
	if (ms < low)
		return low;
	return ms < high ? ms : high;
}

static struct journal_limits limits_of(struct journal *j)
{
	struct journal_limits l;

	(void)pthread_mutex_lock(&j->mutex);
	l = j->limits;
	(void)pthread_mutex_unlock(&j->mutex);
	return l;
}

/* ---- opening ---- */

static void publish_broken(struct journal *j, int r, const char *sentence)
{
	(void)pthread_mutex_lock(&j->mutex);
	j->broken = r;
	(void)snprintf(j->status.sentence, sizeof(j->status.sentence), "%s", sentence);
	(void)pthread_mutex_unlock(&j->mutex);
}

static void make_reserve(struct journal *j)
{
	const struct journal_limits l = limits_of(j);

	if (store_reserve_restore(j->store, l.min_free) < 0)
		j->reserve_at_ms = clock_mono_ms() + RESERVE_MS;
	else
		j->reserve_at_ms = INT64_MAX;
	atomic_store(&j->owed_bytes, j->store->reserve_gone ? j->store->reserve_bytes : 0);
}

static void look_inside(struct journal *j)
{
	uint64_t used = 0, spare = 0;

	if (store_pages(j->store, &used, &spare) < 0)
		return;
	atomic_store(&j->spare_bytes, spare);
	if (prune_oversize(j->store, used, limits_of(j).retention.max_size))
		j->prune_at_ms = soonest(j->prune_at_ms, clock_mono_ms());
}

static void set_opening(struct journal *j, bool opening)
{
	(void)pthread_mutex_lock(&j->mutex);
	j->opening = opening;
	if (!opening && j->busy_since_ms != INT64_MAX)
		j->busy_since_ms = clock_mono_ms();
	if (!opening && j->queued)
		j->waiting_since_ms = clock_mono_ms();
	(void)pthread_mutex_unlock(&j->mutex);
}

int keep_open(struct journal *j, struct error *err)
{
	struct error why = { "" };
	int r;

	set_opening(j, true);
	r = store_open(&j->o.store, &j->store, &why);
	set_opening(j, false);
	if (r == -ENOMEM)
		return error_set(err, ENOMEM, "%s", why.text);
	if (r < 0) {
		/* Nothing was acknowledged yet, and opening reads what is really there. */
		publish_broken(j, r == STORE_FATAL ? -EIO : r, why.text);
		j->reopen_at_ms = clock_mono_ms() + REOPEN_MS;
		return 0;
	}
	publish_broken(j, 0, "");
	j->reopen_at_ms = INT64_MAX;
	make_reserve(j);
	look_inside(j);
	room_check(j, true);
	j->prune_at_ms = j->copies_at_ms = clock_mono_ms();
	return 0;
}

/* ---- how the last group went ---- */

static void set_trouble(struct journal *j, const char *sentence)
{
	(void)pthread_mutex_lock(&j->mutex);
	(void)snprintf(j->trouble, sizeof(j->trouble), "%s", sentence);
	(void)pthread_mutex_unlock(&j->mutex);
}

void keep_committed(struct journal *j)
{
	int64_t now = clock_mono_ms();

	if (*j->trouble && !j->damaged) {
		set_trouble(j, "");
		j->probe_at_ms = INT64_MAX;
	}
	j->checkpoint_at_ms = now + QUIET_MS;
	if (j->prune_at_ms == INT64_MAX || prune_wanted(j->store))
		j->prune_at_ms = soonest(j->prune_at_ms, now + ROOM_MS);
}

void keep_failed(struct journal *j, int result)
{
	struct error err = { "" };

	if (result == -ENOSPC || j->damaged)
		return;                 /* room.c tells; and damage does not go away */
	(void)store_sentence(result, j->store->path, NULL, &err);
	set_trouble(j, err.text);
	j->damaged = result == -EUCLEAN;
	j->probe_at_ms = j->damaged ? INT64_MAX : clock_mono_ms() + PROBE_MS;
}

/* Whoever waits for a well disk hears of it without having to try. */
static void probe(struct journal *j, int64_t now)
{
	int r = store_probe(j->store);

	if (r == STORE_FATAL)
		journal_die(j, r);
	else if (r == 0)
		keep_committed(j);
	else
		j->probe_at_ms = now + PROBE_MS;
}

static void failed(struct journal *j, int r)
{
	if (r == STORE_FATAL)
		journal_die(j, r);
	else if (r == -ENOSPC)
		room_none(j);
	else
		keep_failed(j, r);
}

/* ---- checkpoints ---- */

static void checkpoint(struct journal *j, bool quiet)
{
	unsigned before = j->store->wal_frames;
	int r = store_checkpoint(j->store, quiet);

	if (quiet)
		j->checkpoint_at_ms = r < 0 ? clock_mono_ms() + PROBE_MS : INT64_MAX;
	if (r < 0)
		failed(j, r);
	else if (before != j->store->wal_frames)
		look_inside(j);
}

/* ---- pruning ---- */

#define PRUNE_EVERY_MS 200      /* while jobs wait: one small step at a time */
#define PRUNE_FAILED_MS 60000
#define PRUNE_FAR_MS 86400000   /* the wall clock may be set: look again within a day */

static int prune_step(struct journal *j, bool *ret_more, int64_t *ret_next_ms, unsigned *ret_pruned)
{
	struct retention retention = limits_of(j).retention;
	int r = store_begin(j->store);

	if (r < 0)
		return r;
	retention.now_ms = clock_now_ms();
	r = store_prune(j->store, &retention, ret_pruned, ret_more, ret_next_ms);
	if (r < 0) {
		store_rollback(j->store);
		return r;
	}
	return store_commit(j->store);
}

static void prune_turn(struct journal *j, bool idle)
{
	int64_t now = clock_mono_ms(), next_ms = INT64_MAX;
	unsigned pruned = 0;
	bool more = false;
	int r;

	if (!idle && now - j->pruned_ms < PRUNE_EVERY_MS)
		return;
	j->pruned_ms = now;
	r = prune_step(j, &more, &next_ms, &pruned);
	if (r < 0) {
		j->prune_at_ms = now + PRUNE_FAILED_MS;
		failed(j, r);
		return;
	}
	if (pruned)
		j->checkpoint_at_ms = now + QUIET_MS;   /* only then the old bytes are overwritten */
	look_inside(j);
	if (more)
		j->prune_at_ms = now;
	else if (next_ms == INT64_MAX)
		j->prune_at_ms = INT64_MAX;
	else
		j->prune_at_ms = now + between(next_ms - clock_now_ms(), ROOM_MS, PRUNE_FAR_MS);
}

#define COPIES_MS 86400000LL    /* whoever upgrades may want to go back on the same day, however short content is kept */

static void copies_turn(struct journal *j, int64_t now)
{
	int64_t wall_ms = clock_now_ms(), keep_ms = limits_of(j).retention.keep_payload_ms, next_ms;

	next_ms = store_copies_prune(j->store, keep_ms > COPIES_MS ? keep_ms : COPIES_MS, wall_ms);
	j->copies_at_ms = next_ms == INT64_MAX ? INT64_MAX : now + between(next_ms - wall_ms, ROOM_MS, PRUNE_FAR_MS);
}

/* ---- overwriting what is left of what was forgotten ---- */

#define SCRUB_EVERY_MS 50       /* while jobs wait, or a reader is in the way */

static void scrub_turn(struct journal *j, bool idle, int64_t now)
{
	int r;

	if (now < j->scrub_at_ms && !idle)
		return;
	r = store_scrub_step(j->store);
	j->scrub_at_ms = clock_mono_ms() + SCRUB_EVERY_MS;
	if (r < 0)
		failed(j, r);
}

/* ---- in turn ---- */

static void keep_room(struct journal *j, int64_t now)
{
	bool room;

	room_check(j, false);
	room = atomic_load(&j->room);
	j->room_at_ms = room ? INT64_MAX : now + ROOM_MS;
	if (room && (j->store->reserve_gone || now >= j->reserve_at_ms))
		make_reserve(j);
}

void keep_turn(struct journal *j, bool idle)
{
	int64_t now = clock_mono_ms();

	if (j->dead)
		return;
	if (!j->store) {
		if (now >= j->reopen_at_ms)
			(void)keep_open(j, NULL);
		if (!j->store)
			return;
	}
	keep_room(j, now);
	if (now >= j->probe_at_ms)
		probe(j, now);
	if (!j->dead)
		checkpoint(j, false);
	if (!j->dead && idle && now >= j->checkpoint_at_ms)
		checkpoint(j, true);
	if (!j->dead && now >= j->prune_at_ms)
		prune_turn(j, idle);
	if (!j->dead && idle && now >= j->copies_at_ms)
		copies_turn(j, now);
	if (!j->dead && store_scrubbing(j->store))
		scrub_turn(j, idle, now);
}

int64_t keep_next_ms(struct journal *j)
{
	int64_t next;

	if (j->dead)
		return INT64_MAX;
	if (!j->store)
		return j->reopen_at_ms;
	next = soonest(j->room_at_ms, j->probe_at_ms);
	next = soonest(next, j->checkpoint_at_ms);
	next = soonest(next, j->copies_at_ms);
	if (store_scrubbing(j->store))
		next = soonest(next, j->store->scrub.tries ? j->scrub_at_ms : 0);
	return soonest(next, j->prune_at_ms);
}

void keep_tell(struct journal *j)
{
	struct journal_status now;

	journal_status(j, &now);
	if (now.broken == j->told.broken && now.full == j->told.full &&
	    strcmp(now.sentence, j->told.sentence) == 0)
		return;
	j->told = now;
	if (j->o.changed)
		j->o.changed(j->o.arg);
}
