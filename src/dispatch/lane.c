/* lane.c - one handler's window of deliveries, and which of them is next. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "private.h"

#define SETTLING_MAX 32         /* results on their way to the disk before nothing more is started */

/* FNV-1a: names a record in few words; equal hashes are compared in full. */
uint64_t record_hash(const char *record)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *record; record++)
		h = (h ^ (unsigned char)*record) * 0x100000001b3;
	return h;
}

static bool is_record(const struct slot *s, const char *record, uint64_t hash)
{
	return s->hash == hash && strcmp(s->ref.record, record) == 0;
}

/* ---- what is under way ---- */

struct errand *errand_of_record(const struct lane *l, const char *record, uint64_t hash)
{
	for (struct errand *e = l->errands; e; e = e->next)
		if (e->hash == hash && strcmp(e->record, record) == 0)
			return e;
	return NULL;
}

struct errand *errand_find(const struct lane *l, int64_t event)
{
	for (struct errand *e = l->errands; e; e = e->next)
		if (e->event == event)
			return e;
	return NULL;
}

/* Under way and running; NULL without memory. */
struct errand *errand_add(struct lane *l, int64_t event, const char *record)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->lane = l;
	e->lead = e;
	e->company = 1;
	e->event = event;
	memcpy(e->record, record, strnlen(record, sizeof(e->record) - 1));
	e->hash = record_hash(e->record);
	e->next = l->errands;
	l->errands = e;
	l->running++;
	l->d->running++;
	return e;
}

/* Another event of the same run; they are joined in event order. NULL without memory. */
struct errand *errand_join(struct errand *lead, int64_t event, const char *record)
{
	struct lane *l = lead->lane;
	struct errand *e = errand_add(l, event, record), *last = lead;

	if (!e)
		return NULL;
	l->running--;                   /* runs are counted, not events */
	l->d->running--;
	e->lead = lead;
	while (last->also)
		last = last->also;
	last->also = e;
	lead->company++;
	return e;
}

static void unlink_errand(struct errand *e)
{
	struct errand **at = &e->lane->errands;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
}

static void remove_company(struct errand *lead)
{
	while (lead->also) {
		struct errand *e = lead->also;

		lead->also = e->also;
		unlink_errand(e);
		free(e);
	}
}

void errand_remove(struct errand *e)
{
	struct lane *l = e->lane;

	e = e->lead;
	remove_company(e);
	unlink_errand(e);
	if (e->stage == STAGE_RUNNING) {
		l->running--;
		l->d->running--;
	} else {
		l->settling--;
	}
	l->d->stuck -= e->stage == STAGE_STUCK;
	l->probes -= e->probe;
	if (e->settling)
		settle_free(e->settling);
	free(e);
}

/* ---- the window ---- */

static bool knows(const struct lane *l, int64_t event)
{
	for (size_t i = 0; i < l->window_count; i++)
		if (l->window[i].ref.event == event)
			return true;
	return errand_find(l, event) != NULL;
}

static void take_out(struct slot *slots, size_t *count, size_t at)
{
	(*count)--;
	memmove(&slots[at], &slots[at + 1], (*count - at) * sizeof(slots[0]));
}

bool lane_make_room(struct lane *l, size_t cap)
{
	struct slot *more;

	if (cap <= l->cap)
		return true;            /* never less: what is read ahead stays where it is */
	more = realloc(l->window, cap * sizeof(*more));
	if (!more)
		return false;
	l->window = more;
	more = realloc(l->due, cap * sizeof(*more));
	if (!more)
		return false;
	l->due = more;
	l->cap = cap;
	l->more = l->due_stale = true;
	return true;
}

/* Almost always at the end; only what is being parked stays when the rest is read anew. */
static void insert(struct lane *l, const struct delivery_ref *ref)
{
	size_t at = l->window_count;

	while (at > 0 && l->window[at - 1].ref.event > ref->event)
		at--;
	memmove(&l->window[at + 1], &l->window[at], (l->window_count - at) * sizeof(l->window[0]));
	l->window[at] = (struct slot){ .ref = *ref, .hash = record_hash(ref->record) };
	l->window_count++;
}

/* Read on from the cursor. False: nothing came, now or at all. */
bool lane_fill(struct lane *l)
{
	struct delivery_ref refs[DISPATCH_WINDOW];
	size_t room = l->cap - l->window_count, count = 0, before = l->window_count;
	int r;

	if (room > DISPATCH_WINDOW)
		room = DISPATCH_WINDOW;

	if (!l->more || room == 0 || !l->d->reader)
		return false;
	r = reader_next(l->d->reader, l->state.handler, l->cursor, refs, room, &count);
	if (r < 0) {
		reader_failed(l->d, r);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!knows(l, refs[i].event))
			insert(l, &refs[i]);
		if (refs[i].event > l->cursor)
			l->cursor = refs[i].event;
	}
	l->more = count == room;
	return l->window_count > before || l->more;
}

void lane_load_due(struct lane *l)
{
	size_t parked = 0, want, count = 0;
	AUTO(free) struct delivery_ref *refs = NULL;
	int r;

	for (const struct errand *e = l->errands; e; e = e->next)
		parked += e->parked;
	want = l->cap + parked;        /* those under way are among them */
	refs = malloc(want * sizeof(*refs));
	if (!refs || !l->d->reader)
		return;
	/* What is due in future too: the first of them says when to wake up. */
	r = reader_due(l->d->reader, l->state.handler, FOREVER - 1, refs, want, &count);
	if (r < 0) {
		reader_failed(l->d, r);
		return;
	}
	l->due_stale = false;
	l->due_count = 0;
	for (size_t i = 0; i < count && l->due_count < l->cap; i++) {
		if (errand_find(l, refs[i].event))
			continue;
		l->due[l->due_count++] = (struct slot){ .ref = refs[i],
							.hash = record_hash(refs[i].record) };
	}
}

void lane_reread(struct lane *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->window_count; i++) {
		if (l->window[i].parking) {
			l->window[kept++] = l->window[i];
			continue;
		}
		if (l->window[i].ref.event <= l->cursor)
			l->cursor = l->window[i].ref.event - 1;
	}
	l->window_count = kept;
	l->more = true;
	l->due_stale = true;
}

static void step_back(struct lane *l, const struct errand *e)
{
	if (!e->parked && e->event <= l->cursor)
		l->cursor = e->event - 1;
}

/* Not under way after all: it is found again where the store has it, with all of its run. */
void lane_put_back(struct errand *e)
{
	struct lane *l = e->lane;

	step_back(l, e->lead);
	for (const struct errand *m = e->lead->also; m; m = m->also)
		step_back(l, m);
	errand_remove(e);
	lane_reread(l);
}

void lane_forget(struct lane *l, int64_t event)
{
	for (size_t i = 0; i < l->window_count; i++) {
		if (l->window[i].ref.event == event) {
			take_out(l->window, &l->window_count, i);
			break;
		}
	}
	for (size_t i = 0; i < l->due_count; i++) {
		if (l->due[i].ref.event == event) {
			take_out(l->due, &l->due_count, i);
			l->due_stale = true;    /* beyond the last one read more may wait */
			break;
		}
	}
}

/* What the store says about a record after its settling. */
void lane_behind(struct lane *l, const char *record, uint64_t hash, bool behind)
{
	for (size_t i = 0; i < l->window_count; i++)
		if (is_record(&l->window[i], record, hash))
			l->window[i].ref.behind = behind;
	if (behind)
		l->due_stale = true;    /* the next one may have been freed */
}

int64_t lane_low_water(const struct lane *l, const struct errand *except)
{
	int64_t low = l->cursor + 1;

	if (l->window_count > 0 && l->window[0].ref.event < low)
		low = l->window[0].ref.event;
	for (const struct errand *e = l->errands; e; e = e->next)
		if (e->lead != except && !e->parked && e->event < low)
			low = e->event;
	return low;
}

void lane_left(struct lane *l, size_t count)
{
	int64_t low = lane_low_water(l, NULL);

	l->ripe_ms = 0;                 /* those behind them may start */
	l->lag += (unsigned)count;
	if (low > l->state.low_water) {
		l->state.low_water = low;
		l->lag = 0;
	}
}

/* ---- choosing ---- */

bool lane_in_due(const struct lane *l, const struct slot *s)
{
	for (size_t i = 0; i < l->due_count; i++)
		if (is_record(&l->due[i], s->ref.record, s->hash))
			return true;
	return false;
}

/* The store keeps only the earliest parked delivery of a record due. */
static struct slot *choose_due(struct lane *l, const struct moment *now)
{
	for (size_t i = 0; i < l->due_count; i++) {
		struct slot *s = &l->due[i];

		int64_t wait = lane_wait_ms(l, s->ref.due_ms, now->real_ms);

		if (wait > 0) {
			dispatch_in(l->d, now, wait);
			return NULL;
		}
		if (!errand_of_record(l, s->ref.record, s->hash))
			return s;
	}
	return NULL;
}

static bool earlier_in_window(const struct lane *l, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_record(&l->window[i], l->window[at].ref.record, l->window[at].hash))
			return true;
	return false;
}

static struct slot *choose_window(struct lane *l)
{
	for (size_t i = 0; i < l->window_count; i++) {
		struct slot *s = &l->window[i];

		if (s->parking || s->ref.behind || errand_of_record(l, s->ref.record, s->hash) ||
		    earlier_in_window(l, i))
			continue;
		if (!lane_in_due(l, s))
			return s;
		s->ref.behind = true;
	}
	return NULL;
}

static bool choose(struct lane *l, const struct moment *now, struct choice *ret)
{
	struct slot *due = choose_due(l, now), *window = NULL;

	if (!due || !l->due_first)
		window = choose_window(l);
	*ret = (struct choice){ .slot = window ? window : due, .from_due = !window };
	return ret->slot != NULL;
}

/*
 * The next delivery that may start. Reads on while there is room; what can only be parked is
 * parked, so that one stuck record keeps no room from the others.
 */
bool lane_choose(struct lane *l, const struct moment *now, struct choice *ret)
{
	if (l->due_stale)
		lane_load_due(l);
	while (!choose(l, now, ret)) {
		if (l->window_count > l->cap / 2)
			lane_park_blocked(l, now);
		if (!lane_fill(l))
			return false;
	}
	return true;
}

void lane_remove(struct lane *l, const struct choice *c)
{
	int64_t event = c->slot->ref.event;

	if (c->from_due)
		take_out(l->due, &l->due_count, (size_t)(c->slot - l->due));
	else
		take_out(l->window, &l->window_count, (size_t)(c->slot - l->window));
	lane_forget(l, event);          /* read once more, just before it was parked */
	if (l->due_count == 0 && c->from_due)
		l->due_stale = true;
	l->due_first = !c->from_due;
}

bool lane_has_work(struct lane *l)
{
	if (l->state.handler == 0)
		return false;
	if (l->due_stale)
		lane_load_due(l);
	if (l->window_count == 0)
		(void)lane_fill(l);
	return l->window_count > 0 || l->due_count > 0;
}

/* ---- a turn ---- */

/* Room for one more of this handler, and will its result be written? */
static bool has_room(const struct lane *l)
{
	return l->running < l->conf->concurrency && l->settling < SETTLING_MAX &&
	       (l->d->stuck == 0 || l->d->writable);
}

/*
 * Every handler may always run one, so that no stuck one starves another. More than one is for
 * who finds room below max-running, with a place kept for each handler that runs nothing now
 * (but never more than half of all places).
 */
static bool has_place(const struct lane *l)
{
	const struct dispatcher *d = l->d;
	unsigned most = site_conf(d->site)->max_running, idle = 0;

	if (l->running == 0)
		return true;
	for (const struct lane *o = d->lanes; o && idle < most / 2; o = o->next)
		idle += o->conf && o->running == 0;
	return d->running + idle < most;
}

/* What is behind parked ones must queue up there, in order; the store knows their order. */
static void park_strays(struct lane *l, const struct moment *now)
{
	bool wanted = l->lag > LAG_MAX;

	for (size_t i = 0; !wanted && i < l->window_count; i++)
		wanted = l->window[i].ref.behind && !l->window[i].parking;
	if (wanted)
		lane_park_blocked(l, now);
}

/* Is there a run to start? */
static bool choose_run(struct lane *l, const struct moment *now, struct choice *ret)
{
	return l->conf->collect_ms ? collect_ripe(l, now) : lane_choose(l, now, ret);
}

static unsigned start_run(struct lane *l, const struct choice *c, const struct moment *now)
{
	return l->conf->collect_ms ? collect_start(l, now) : lane_start(l, c, now);
}

static void start_some(struct lane *l, const struct moment *now, unsigned *budget)
{
	struct choice c;

	while (*budget > 0 && has_room(l) && !(lane_paused(l) && l->probes > 0)) {
		unsigned cost;
		int64_t wait;

		if (!choose_run(l, now, &c))
			return;
		wait = rate_wait_ms(&l->rate, now->mono_ms);
		if (wait > 0) {
			dispatch_in(l->d, now, wait);
			return;
		}
		if (!has_place(l) || !peer_ready(l->peer, now))
			return;
		cost = start_run(l, &c, now);
		if (cost == 0)
			return;
		*budget -= cost < *budget ? cost : *budget;
	}
}

void lane_pump(struct lane *l, const struct moment *now, unsigned *budget)
{
	if (!l->greeted && l->state.handler && l->d->reader) {
		l->greeted = true;      /* the runner may have kept results of what waits here */
		if (l->peer && lane_has_work(l))
			link_want(l->peer->link);
	}
	if (!lane_open(l, now))
		return;
	start_some(l, now, budget);
	if (*budget == 0)
		dispatch_soon(l->d);
	park_strays(l, now);
}

void lane_free(struct lane *l)
{
	while (l->errands)
		errand_remove(l->errands);
	rate_free(&l->rate);
	brake_free(&l->brake);
	free(l->window);
	free(l->due);
	free(l);
}
