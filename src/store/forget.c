/*
 * forget.c - remove what is kept of one record's content, in small steps.
 *
 * There is no index by record: accepting only appends. So the events are walked through, so many a
 * step, and what was found is in memory. What happened stays; bodies, headers and outputs go. Of a
 * collected run the output is with its first event, which may be another record's: the others have a
 * sentence in its place that names it (dispatch/settle.c); where retention has removed that, runs nearby
 * of the same handler, begun and ended in the same milliseconds, are taken to be it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "private.h"

#define FIND_ROWS 20000         /* events looked at in a step */
#define REMOVE_EVENTS 20        /* in a step */
#define NEARBY 5000             /* events before and after */

struct run {
	int64_t handler, run, started_ms, ended_ms, output;     /* output 0: none */
};

/* ---- finding ---- */

static int keep(struct forget *f, int64_t event)
{
	if (f->then.events == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		int64_t *more = reallocarray(f->events, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->events = more;
		f->cap = cap;
	}
	f->events[f->then.events++] = event;
	return 0;
}

/* What of this event waits or runs; a running one waits as far as the store knows. */
static int unfinished(struct store *s, const struct forget *f, int64_t event, unsigned *waiting, unsigned *running)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->handler_count; i++) {
		enum delivery_state state = DELIVERY_DONE;

		r = delivery_state(s, s->handlers[i].id, event, &state);
		if (r == -ENOENT)
			r = 0;
		else if (r == 0 && delivery_among(f->running, f->running_count, s->handlers[i].id, event))
			(*running)++;
		else if (r == 0 && (state == DELIVERY_WAITING || state == DELIVERY_PARKED))
			(*waiting)++;
	}
	return r;
}

static int find_step(struct store *s, struct forget *f)
{
	sqlite3_stmt *st = s->st[ST_FORGET_FIND];
	struct bind b = bind_begin(st);
	size_t from = f->then.events;
	int64_t to = f->then.at + FIND_ROWS;
	int r;

	bind_int(&b, f->then.at);
	bind_int(&b, to);
	bind_int(&b, f->id);
	bind_text(&b, f->entity);
	bind_text(&b, f->entity);
	for (r = bind_row(&b); r > 0; r = sql_step(st)) {
		int kept = keep(f, sqlite3_column_int64(st, 0));

		if (kept < 0) {
			(void)sqlite3_reset(st);
			return kept;
		}
	}
	for (; r == 0 && from < f->then.events; from++)
		r = unfinished(s, f, f->events[from], &f->then.waiting, &f->then.running);
	f->then.at = to;
	if (r == 0 && to >= s->newest_event) {
		f->then.phase = FORGET_FOUND;
		f->then.at = 0;
	}
	return r;
}

/* ---- dropping ---- */

static int drop_step(struct store *s, struct forget *f)
{
	size_t end = (size_t)f->then.at + REMOVE_EVENTS;
	int r = 0;

	for (; r == 0 && (size_t)f->then.at < f->then.events && (size_t)f->then.at < end; f->then.at++) {
		const struct delivery_filter which = { .event = f->events[f->then.at] };
		unsigned waiting = 0, running = 0, count = 0;

		r = unfinished(s, f, which.event, &waiting, &running);
		if (r == 0 && waiting)
			r = store_drop(s, &which, f->now_ms, f->running, f->running_count, &count);
		f->then.dropped += count;
	}
	if (r == 0 && (size_t)f->then.at >= f->then.events) {
		f->then.phase = FORGET_DROPPED;
		f->then.at = 0;
	}
	return r;
}

/* ---- removing ---- */

static int run_for(struct store *s, enum statement which, int64_t event)
{
	struct bind b = bind_begin(s->st[which]);

	bind_int(&b, event);
	return bind_run(&b);
}

static int read_runs(struct store *s, int64_t event, struct run **ret, size_t *ret_count)
{
	sqlite3_stmt *st = s->st[ST_FORGET_RUNS];
	struct bind b = bind_begin(st);
	size_t cap = 0;
	int r;

	bind_int(&b, event);
	for (r = bind_row(&b); r > 0; r = sql_step(st)) {
		if (*ret_count == cap) {
			struct run *more = reallocarray(*ret, cap + 32, sizeof(**ret));

			if (!more) {
				(void)sqlite3_reset(st);
				return -ENOMEM;
			}
			*ret = more;
			cap += 32;
		}
		(*ret)[(*ret_count)++] = (struct run){
			.handler = sqlite3_column_int64(st, 0), .run = sqlite3_column_int64(st, 1),
			.started_ms = sqlite3_column_int64(st, 2), .ended_ms = sqlite3_column_int64(st, 3),
			.output = sqlite3_column_int64(st, 4),
		};
	}
	return r;
}

/* "(one run of 3 events: its output is with event 17)\n", and nothing else: 17. 0: another text. */
static int64_t pointed_to(const char *text)
{
	static const char start[] = "(one run of ", middle[] = " events: its output is with event ", stop[] = ")\n";
	const char *at = text;
	int64_t event = 0;

	if (strncmp(at, start, strlen(start)) != 0)
		return 0;
	at += strlen(start);
	at += strspn(at, "0123456789");
	if (strncmp(at, middle, strlen(middle)) != 0)
		return 0;
	for (at += strlen(middle); *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(event, 10, &event) || __builtin_add_overflow(event, *at - '0', &event))
			return 0;
	return strcmp(at, stop) == 0 ? event : 0;
}

/* The event that this output says the run's output is with; 0: it is the output itself. */
static int leader_of(struct store *s, int64_t output, int64_t *ret_event)
{
	sqlite3_stmt *st = s->st[ST_FORGET_POINTER];
	struct bind b = bind_begin(st);
	char text[96];
	int r;

	*ret_event = 0;
	bind_int(&b, output);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	column_text(st, 0, text, sizeof(text));
	(void)sqlite3_reset(st);
	*ret_event = pointed_to(text);
	return 0;
}

/* Outputs of that very run that are kept with events from low to high, but this one. */
static int remove_company(struct store *s, struct forget *f, const struct run *u, int64_t event, int64_t low, int64_t high)
{
	sqlite3_stmt *st = s->st[ST_FORGET_COMPANY];

	for (;;) {
		struct bind b = bind_begin(st);
		int64_t other, run, output, leader;
		int r;

		bind_int(&b, low);
		bind_int(&b, high);
		bind_int(&b, u->handler);
		bind_int(&b, u->started_ms);
		bind_int(&b, u->ended_ms);
		bind_int(&b, event);
		r = bind_row(&b);
		if (r <= 0)
			return r;
		other = sqlite3_column_int64(st, 0);
		run = sqlite3_column_int64(st, 1);
		output = sqlite3_column_int64(st, 2);
		(void)sqlite3_reset(st);
		low = other + 1;
		r = leader_of(s, output, &leader);
		if (r < 0)
			return r;
		if (leader)
			continue;       /* another one that names the first */
		f->then.shared++;
		if (f->dry)
			continue;
		r = run_for(s, ST_OUTPUT_DELETE, output);
		if (r < 0)
			return r;
		b = bind_begin(s->st[ST_FORGET_OUTPUT_GONE]);
		bind_int(&b, other);
		bind_int(&b, u->handler);
		bind_int(&b, run);
		r = bind_run(&b);
		if (r < 0)
			return r;
	}
}

static int remove_run(struct store *s, struct forget *f, const struct run *u, int64_t event)
{
	int64_t leader = 0;
	int r;

	if (!u->output)
		return remove_company(s, f, u, event, event - NEARBY, event + NEARBY);
	r = leader_of(s, u->output, &leader);
	if (r < 0)
		return r;
	if (leader)
		return remove_company(s, f, u, event, leader, leader);
	f->then.outputs++;
	return 0;
}

static int count_content(struct store *s, struct forget *f, int64_t event)
{
	sqlite3_stmt *st = s->st[ST_FORGET_CONTENT];
	struct bind b = bind_begin(st);
	int r;

	bind_int(&b, event);
	r = bind_row(&b);
	if (r <= 0)
		return r;
	f->then.bodies++;
	f->then.headers += (unsigned)sqlite3_column_int(st, 0);
	(void)sqlite3_reset(st);
	return 0;
}

static int remove_event(struct store *s, struct forget *f, int64_t event)
{
	static const enum statement all[] = { ST_PRUNE_OUTPUT, ST_PRUNE_OUTPUT_GONE, ST_PRUNE_CONTENT };
	AUTO(free) struct run *runs = NULL;
	unsigned waiting = 0, running = 0;
	size_t count = 0;
	int r = unfinished(s, f, event, &waiting, &running);

	if (r == 0 && !f->dry && waiting + running) {
		f->then.busy++;         /* put back meanwhile: a handler must be fed */
		return 0;
	}
	if (r == 0)
		r = count_content(s, f, event);
	if (r == 0)
		r = read_runs(s, event, &runs, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = remove_run(s, f, &runs[i], event);
	for (size_t i = 0; r == 0 && !f->dry && i < ARRAY_LEN(all); i++)
		r = run_for(s, all[i], event);
	return r;
}

static int remove_step(struct store *s, struct forget *f)
{
	size_t end = (size_t)f->then.at + REMOVE_EVENTS;
	int r = 0;

	for (; r == 0 && (size_t)f->then.at < f->then.events && (size_t)f->then.at < end; f->then.at++)
		r = remove_event(s, f, f->events[f->then.at]);
	if (r == 0 && (size_t)f->then.at >= f->then.events)
		f->then.phase = FORGET_REMOVED;
	return r;
}

/* ---- a step ---- */

int store_forget(struct store *s, struct forget *f)
{
	f->then = f->now;
	switch (f->now.phase) {
	case FORGET_FIND:
		return find_step(s, f);
	case FORGET_DROP:
		return drop_step(s, f);
	case FORGET_REMOVE:
		return remove_step(s, f);
	default:
		return 0;
	}
}

void forget_release(struct forget *f)
{
	free(f->events);
	f->events = NULL;
	f->cap = 0;
}
