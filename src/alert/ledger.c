/*
 * ledger.c - what was raised, what is untold, and when it may be told.
 *
 * An entry's life:
 *
 *   raised ─▶ untold, gathering ─▶ due ─▶ in a run ─▶ told ─▶ (at-most's time is over) forgotten
 *               ▲  counted further   ▲       │ failed
 *               └── raised again ────┴───────┘ until the schedule ends: given up
 *
 * At-most is a window that begins with the first alert told in it; it belongs to the entry and stays with
 * it in the store. Moments are of the real clock, since they outlive us: one that lies further ahead
 * than the setting can say (the clock was set back) counts as over.
 */
#include <string.h>

#include "private.h"

#define UNREACHED_MS 15000      /* the runner is not there: again after that, doubled up to */
#define UNREACHED_MAX_MS 300000

/* Cut between characters. */
static void copy(char *dst, size_t cap, const char *src)
{
	size_t len = strlen(src);

	if (len >= cap) {
		len = cap - 1;
		while (len > 0 && ((unsigned char)src[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(dst, src, len);
	dst[len] = '\0';
}

static struct entry *find(struct ledger *l, unsigned kind, const char *object, unsigned level)
{
	for (size_t i = 0; i < l->count; i++) {
		struct alert_row *r = &l->entries[i].row;

		if (r->kind == kind && r->level == level && strcmp(r->object, object) == 0)
			return &l->entries[i];
	}
	return NULL;
}

/* Entries do not move: one may be in a run. A free one has no object. */
static struct entry *unused(struct ledger *l, size_t limit)
{
	for (size_t i = 0; i < l->count && i < limit; i++)
		if (!l->entries[i].row.object[0])
			return &l->entries[i];
	return l->count < limit ? &l->entries[l->count++] : NULL;
}

static void release(struct ledger *l, struct entry *e)
{
	memset(e, 0, sizeof(*e));
	while (l->count > 0 && !l->entries[l->count - 1].row.object[0])
		l->count--;
}

/* There is a place for "*" of every kind beyond ALERTS_MAX, whatever else is there. */
static struct entry *make(struct ledger *l, unsigned kind, const char *object, unsigned level)
{
	struct entry *e = find(l, kind, object, level);

	if (e)
		return e;
	e = unused(l, ALERTS_MAX);
	if (!e) {
		object = "*";
		level = 0;
		e = find(l, kind, object, level);
		if (e)
			return e;
		e = unused(l, ARRAY_LEN(l->entries));
	}
	e->row = (struct alert_row){ .kind = kind, .level = level };
	copy(e->row.object, sizeof(e->row.object), object);
	return e;
}

bool ledger_raise(struct ledger *l, enum alert_kind kind, const char *object, unsigned level,
		  const char *text, int64_t now_ms)
{
	char name[ALERT_OBJECT_MAX];
	struct entry *e;
	bool first;

	copy(name, sizeof(name), object && object[0] ? object : "calloutd");
	e = make(l, kind, name, level);
	first = e->row.count == 0;
	if (first) {
		e->row.since_ms = now_ms;
		e->due_ms = now_ms + GATHER_MS;
		e->attempts = e->unreached = 0;
	}
	if (e->row.count == e->running)
		e->after_ms = now_ms;
	e->row.count++;
	e->row.last_ms = now_ms;
	copy(e->row.text, sizeof(e->row.text), text);
	l->changed = true;
	return first;
}

void ledger_restore(struct ledger *l, const struct alert_row *row, int64_t now_ms)
{
	struct entry *e = row->kind < ALERT_KIND_COUNT_ && row->object[0]
				  ? make(l, row->kind, row->object, row->level) : NULL;

	if (!e)
		return;
	if (!e->row.told) {
		e->row.window_ms = row->window_ms;
		e->row.told = row->told;
	}
	if (row->count == 0)
		return;
	if (e->row.count == 0) {
		copy(e->row.text, sizeof(e->row.text), row->text);
		e->row.last_ms = row->last_ms;
		e->due_ms = now_ms + GATHER_MS;
	}
	e->row.since_ms = row->since_ms;
	e->row.count += row->count;
}

/* ---- at most ---- */

static bool window_open(const struct entry *e, struct conf_rate at_most, int64_t now_ms)
{
	return e->row.told > 0 && now_ms >= e->row.window_ms && now_ms < e->row.window_ms + at_most.per_ms;
}

static int64_t allowed_ms(const struct entry *e, struct conf_rate at_most, int64_t now_ms)
{
	if (!at_most.count || !window_open(e, at_most, now_ms) || e->row.told < at_most.count)
		return 0;
	return e->row.window_ms + at_most.per_ms;
}

void ledger_tidy(struct ledger *l, unsigned kinds, struct conf_rate at_most, int64_t now_ms)
{
	for (size_t i = l->count; i-- > 0;) {
		struct entry *e = &l->entries[i];

		if (!e->row.object[0] || e->running)
			continue;
		if (e->row.count && !(kinds & 1U << e->row.kind)) {
			e->row.count = 0;
			l->changed = true;
		}
		if (!e->row.count && !window_open(e, at_most, now_ms)) {
			l->changed |= e->row.told > 0;
			release(l, e);
		}
	}
}

/* ---- telling ---- */

struct entry *ledger_next(struct ledger *l, struct conf_rate at_most, int64_t now_ms, int64_t *ret_ms)
{
	struct entry *best = NULL;
	int64_t soonest_ms = FOREVER;

	for (size_t i = 0; i < l->count; i++) {
		struct entry *e = &l->entries[i];
		int64_t at_ms = allowed_ms(e, at_most, now_ms);

		if (!e->row.count)
			continue;
		at_ms = e->due_ms > at_ms ? e->due_ms : at_ms;
		if (at_ms <= now_ms && (!best || e->row.since_ms < best->row.since_ms))
			best = e;
		if (at_ms < soonest_ms)
			soonest_ms = at_ms;
	}
	*ret_ms = soonest_ms;
	return best;
}

void ledger_begin(struct entry *e)
{
	e->running = e->row.count;
}

/* What was in the run is over; what was raised meanwhile begins anew. */
static void settle(struct ledger *l, struct entry *e, int64_t now_ms)
{
	e->row.count -= e->running;
	e->running = 0;
	e->attempts = e->unreached = 0;
	e->row.since_ms = e->row.count ? e->after_ms : 0;
	e->due_ms = now_ms;
	l->changed = true;
}

void ledger_told(struct ledger *l, struct entry *e, struct conf_rate at_most, int64_t now_ms)
{
	if (!window_open(e, at_most, now_ms)) {
		e->row.window_ms = now_ms;
		e->row.told = 0;
	}
	e->row.told++;
	settle(l, e, now_ms);
}

static int64_t unreached_ms(struct entry *e)
{
	int64_t ms = (int64_t)UNREACHED_MS << (e->unreached < 8 ? e->unreached : 8);

	e->unreached++;
	return ms < UNREACHED_MAX_MS ? ms : UNREACHED_MAX_MS;
}

bool ledger_failed(struct ledger *l, struct entry *e, const struct conf_handler *h, enum alert_ran ran,
		   int64_t now_ms)
{
	if (ran == ALERT_GIVEN_UP || !h || (ran == ALERT_FAILED_TO_TELL && e->attempts >= h->retry_count)) {
		settle(l, e, now_ms);
		return true;
	}
	e->due_ms = now_ms + (ran == ALERT_NOT_RUN ? unreached_ms(e) : h->retry_ms[e->attempts++]);
	e->running = 0;
	return false;
}

unsigned ledger_untold(const struct ledger *l)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += l->entries[i].row.count > 0;
	return n;
}
