/* tally.c - counters, notices and log lines per webhook. */
#include <string.h>

#include "base/log.h"
#include "callout/guid.h"
#include "private.h"

const char *intake_result_name(enum intake_result r)
{
	static const char *const names[] = {
		[INTAKE_STORED] = "stored",
		[INTAKE_DUPLICATE] = "duplicate",
		[INTAKE_QUARANTINED] = "quarantined",
		[INTAKE_DEACTIVATED] = "deactivated",
		[INTAKE_SIGNATURE] = "signature",
		[INTAKE_REFUSED] = "refused",
		[INTAKE_UNAVAILABLE] = "unavailable",
	};

	_Static_assert(ARRAY_LEN(names) == INTAKE_RESULT_COUNT_, "every result needs a name");
	return (unsigned)r < INTAKE_RESULT_COUNT_ ? names[r] : "?";
}

void tallies_init(struct tallies *t)
{
	(void)pthread_mutex_init(&t->lock, NULL);
	t->first = NULL;
}

void tallies_free(struct tallies *t)
{
	struct tally *next;

	for (struct tally *y = t->first; y; y = next) {
		next = y->next;
		free(y);
	}
	t->first = NULL;
	(void)pthread_mutex_destroy(&t->lock);
}

static struct tally *find(struct tallies *t, const char *title)
{
	struct tally *y = t->first;

	while (y && strcmp(y->title, title) != 0)
		y = y->next;
	return y;
}

struct tally *tallies_find(struct tallies *t, const char *title)
{
	struct tally *y;

	(void)pthread_mutex_lock(&t->lock);
	y = find(t, title);
	(void)pthread_mutex_unlock(&t->lock);
	return y;
}

struct tally *tallies_get(struct tallies *t, const char *title)
{
	struct tally *y;

	(void)pthread_mutex_lock(&t->lock);
	y = find(t, title);
	if (!y) {
		y = calloc(1, sizeof(*y));
		if (y) {
			(void)snprintf(y->title, sizeof(y->title), "%s", title);
			y->next = t->first;
			t->first = y;
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	return y;
}

static void log_left_out(const struct tally *y, unsigned count)
{
	const struct log_ctx ctx = { .webhook = *y->title ? y->title : NULL, .reason = "left-out" };

	if (count)
		log_warn(&ctx, "%u more requests were refused, without a line each", count);
}

/* Close a window that is over: how many lines it left out. */
static unsigned close_window(struct tally *y, int64_t now_ms)
{
	unsigned count = y->left_out;

	if (now_ms - y->window_ms < TALLY_LOG_WINDOW_MS)
		return 0;
	y->window_ms = now_ms;
	y->lines = 0;
	y->left_out = 0;
	return count;
}

/* A stranger decides how many requests are refused: not how many lines we write. */
bool tallies_may_log(struct tallies *t, struct tally *y, int64_t now_ms)
{
	unsigned before;
	bool may;

	(void)pthread_mutex_lock(&t->lock);
	before = close_window(y, now_ms);
	may = y->lines < TALLY_LOG_LINES;
	if (may)
		y->lines++;
	else
		y->left_out++;
	(void)pthread_mutex_unlock(&t->lock);
	log_left_out(y, before);
	return may;
}

int64_t tallies_flush(struct tallies *t, int64_t now_ms)
{
	int64_t soonest_ms = -1;

	(void)pthread_mutex_lock(&t->lock);
	for (struct tally *y = t->first; y; y = y->next) {
		int64_t left_ms = y->window_ms + TALLY_LOG_WINDOW_MS - now_ms;

		if (y->left_out && left_ms <= 0)
			log_left_out(y, close_window(y, now_ms));
		else if (y->left_out && (soonest_ms < 0 || left_ms < soonest_ms))
			soonest_ms = left_ms;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return soonest_ms;
}

void tallies_register(struct tallies *t, struct tally *y, const struct registration *n)
{
	(void)pthread_mutex_lock(&t->lock);
	y->registered = *n;
	(void)pthread_mutex_unlock(&t->lock);
	atomic_store(&y->guid_mark, guid_mark(n->guid));
}

struct registration tallies_registered(struct tallies *t, const struct tally *y)
{
	struct registration n;

	(void)pthread_mutex_lock(&t->lock);
	n = y->registered;
	(void)pthread_mutex_unlock(&t->lock);
	return n;
}

static void log_stranger(struct tallies *t, const struct tally *y, const char *guid, uint64_t count)
{
	const struct registration n = tallies_registered(t, y);
	const struct log_ctx ctx = { .webhook = y->title, .reason = "guid" };

	log_warn(&ctx, "callouts come with Guid %s, but the webhook that was made for this path has %s: another one "
		 "at Autotask calls it too (calloutctl webhook list shows them; calloutctl webhook apply registers "
		 "the right one). Accepted; %llu such since the start", callout_loggable(guid), n.guid, (unsigned long long)count);
}

/* One number is compared for each callout; texts and locks are for the line. */
void tallies_compare(struct tallies *t, struct tally *y, const char *guid, int64_t now_ms)
{
	uint64_t want = atomic_load_explicit(&y->guid_mark, memory_order_relaxed), got, count;
	int64_t last_ms;

	if (!want)
		return;
	got = guid_mark(guid);
	if (!got || got == want)
		return;
	count = atomic_fetch_add(&y->strangers, 1) + 1;
	last_ms = atomic_load(&y->stranger_ms);
	if (last_ms && now_ms - last_ms < TALLY_LOG_WINDOW_MS)
		return;
	if (atomic_compare_exchange_strong(&y->stranger_ms, &last_ms, now_ms))
		log_stranger(t, y, guid, count);
}
