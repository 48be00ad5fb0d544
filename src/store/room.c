/*
 * room.c - is there enough disk for another callout?
 *
 * Asked for every callout, so the answer is kept for a second; whoever finds it older looks
 * again (one statvfs). Free pages inside the database count as room, but not alone: a commit
 * needs room in the WAL first. What the reserve lacks is owed, before anything is accepted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "thread.h"

#define ROOM_FOR_MS 1000

static uint64_t min_free(struct journal *j)
{
	uint64_t bytes;

	(void)pthread_mutex_lock(&j->mutex);
	bytes = j->limits.min_free;
	(void)pthread_mutex_unlock(&j->mutex);
	return bytes;
}

static void publish(struct journal *j, bool room, uint64_t bytes, uint64_t want)
{
	char low[sizeof(j->low)] = "";

	if (atomic_load(&j->room) == room)
		return;                 /* the first sentence stays: it is not news every second */
	if (!room)
		(void)snprintf(low, sizeof(low),
			       "the disk of %.200s is full: %" PRIu64 " MiB free, and %" PRIu64 " MiB are "
			       "wanted (min-free, reserve): callouts are answered 503; make room, and it "
			       "goes on by itself", j->o.store.directory, bytes >> 20,
			       (want + (1 << 20) - 1) >> 20);
	(void)pthread_mutex_lock(&j->mutex);
	memcpy(j->low, low, sizeof(j->low));
	if (atomic_exchange(&j->room, room) != room) {
		j->poked = true;
		(void)pthread_cond_signal(&j->wake);
	}
	(void)pthread_mutex_unlock(&j->mutex);
}

void room_check(struct journal *j, bool now)
{
	int64_t checked = atomic_load(&j->room_checked_ms), clock = clock_mono_ms();
	uint64_t bytes = 0, total = 0, spare = atomic_load(&j->spare_bytes), want;

	if (!now && checked && clock - checked < ROOM_FOR_MS)
		return;
	if (!atomic_compare_exchange_strong(&j->room_checked_ms, &checked, clock))
		return;                 /* somebody else is looking */
	if (file_space(j->o.store.directory, &bytes, &total) < 0)
		return;                 /* opening tells what is wrong with it */
	want = min_free(j) + atomic_load(&j->owed_bytes);
	publish(j, bytes + spare >= want && bytes >= want / 4, bytes + spare, want);
}

/* A quota is not seen by statvfs: believed for a second, then tried again. */
void room_none(struct journal *j)
{
	store_reserve_release(j->store);
	atomic_store(&j->owed_bytes, j->store->reserve_gone ? j->store->reserve_bytes : 0);
	atomic_store(&j->room_checked_ms, clock_mono_ms());
	publish(j, false, 0, min_free(j) + atomic_load(&j->owed_bytes));
}
