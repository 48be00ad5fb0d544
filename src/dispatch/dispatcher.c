/*
 * dispatcher.c - which delivery next: the turn, its wake-ups, and the operator's verbs.
 *
 * Per handler there is a lane:
 *
 *        the store, in event order                          the store's parked ones
 *   ... settled | settled | w | w | . | w | . . . . .        due 10:02, due 10:05, ...
 *                           ▲           ▲                        │ at most 64 of them
 *                    low-water mark   cursor                     ▼
 *                           └─ window ──┘ ──▶ choose ◀── due ────┘
 *                                               │
 *                                               ▼
 *                                      errands (under way)
 *
 * The cursor reads waiting deliveries into the window, at most 64 (and collect-max more, if the
 * handler collects: then collect.c chooses for how many of them a run is). One may start when its
 * record has nothing under way, nothing parked and nothing earlier in the window. An errand
 * lasts from the start of the run until what follows from its end is durable; so a record's
 * next event never starts before, and the runner hears its acknowledgement only then.
 *
 * A delivery that must be tried again is parked with its time. Whatever comes by of the same
 * record afterwards is parked behind it; the store frees the next when the first leaves. When
 * the window is full of deliveries whose record is under way, those are parked too, with the
 * one that runs before them, so that one stuck record does not stop the cursor. Everything
 * about the order of parked deliveries is decided by the store, from what is really stored:
 * it does not matter whether a park or the end of the run before it arrives there first.
 *
 * The mark below which all is settled or parked is written with every settle: a restart
 * begins to read there. Nothing else is needed after a crash at any instruction: what ran is
 * either told by its runner or still waits in the store, and runs again.
 *
 * Orders to the journal are applied and come back in the order they were given, so what we
 * know of a record is never newer than what we have been told about its last settling.
 *
 * All happens in turns on the main loop, at most START_AT_ONCE starts each. The timer is set
 * for the next moment something is due, at most a minute ahead, because moments are stored by a
 * clock that may be set; while nothing is due there is no timer.
 */
#include "dispatch/dispatcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define START_AT_ONCE 64
#define SLEEP_MAX_MS 60000
#define REREAD_MS 100           /* between two full looks at what others changed */
#define REOPEN_MS 500
#define GRACE_MS 15000
#define RECHECK_MS 30000
#define OVERDUE_MS 15000        /* 5 s between SIGTERM and SIGKILL are the runner's right */
#define REOPEN_MAX_MS 30000

struct moment moment_now(void)
{
	return (struct moment){ .real_ms = clock_now_ms(), .mono_ms = clock_mono_ms() };
}

/* ---- wake-ups ---- */

void dispatch_soon(struct dispatcher *d)
{
	(void)sd_event_source_set_enabled(d->again, SD_EVENT_ONESHOT);
}

void dispatch_at(struct dispatcher *d, int64_t mono_ms)
{
	if (mono_ms < d->wake_ms)
		d->wake_ms = mono_ms;
}

void dispatch_in(struct dispatcher *d, const struct moment *now, int64_t ms)
{
	dispatch_at(d, now->mono_ms + (ms < SLEEP_MAX_MS ? ms : SLEEP_MAX_MS));
}

static void set_timer(struct dispatcher *d, const struct moment *now)
{
	int64_t ms = d->wake_ms - now->mono_ms;

	if (d->wake_ms == FOREVER) {
		(void)sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
		return;
	}
	if (ms < 1)
		ms = 1;         /* the clocks count in ms: not now again and again */
	if (ms > SLEEP_MAX_MS)
		ms = SLEEP_MAX_MS;
	(void)sd_event_source_set_time_relative(d->timer, (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

/* ---- lanes ---- */

struct lane *lane_find(struct dispatcher *d, const char *name)
{
	for (struct lane *l = d->lanes; l; l = l->next)
		if (strcmp(l->state.name, name) == 0)
			return l;
	return NULL;
}

struct lane *lane_make(struct dispatcher *d, const char *name)
{
	struct lane *l = lane_find(d, name), **at = &d->lanes;

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->d = d;
	if (!lane_make_room(l, DISPATCH_WINDOW)) {
		lane_free(l);
		return NULL;
	}
	l->more = l->due_stale = true;
	(void)snprintf(l->state.name, sizeof(l->state.name), "%s", name);
	while (*at)
		at = &(*at)->next;
	*at = l;
	return l;
}

/* Give every lane its section of the configuration in force, or none. */
static int bind_site(struct dispatcher *d)
{
	const struct conf *c = site_conf(d->site);
	struct moment now = moment_now();

	for (struct lane *l = d->lanes; l; l = l->next) {
		l->conf = NULL;
		l->peer = NULL;
	}
	for (size_t i = 0; i < c->handler_count; i++) {
		struct lane *l = lane_make(d, c->handlers[i].title);

		if (!l)
			return -ENOMEM;
		l->conf = &c->handlers[i];
		l->peer = peer_get(d, l->conf->runner);
		rate_set(&l->rate, l->conf->rate);
		brake_set(&l->brake, l->conf->loop_limit);
		lane_check_usable(l, &now);
		l->ripe_ms = 0;
		if (l->conf->collect_ms && !lane_make_room(l, DISPATCH_WINDOW + l->conf->collect_max))
			return -ENOMEM;
		if (!l->peer)
			return -ENOMEM;
	}
	return 0;
}

/* ---- the reader ---- */

void reader_failed(struct dispatcher *d, int r)
{
	if (!d->reader)
		return;
	log_err(NULL, "cannot read the store: %s; handlers wait until it can be read", strerror(-r));
	d->reader = reader_close(d->reader);
	d->reopen_ms = moment_now().mono_ms + d->reopen_wait_ms;
	dispatch_at(d, d->reopen_ms);
	dispatch_soon(d);
}

static void adopt_state(struct dispatcher *d, const struct handler_state *s)
{
	struct lane *l = lane_make(d, s->name);

	/* What we know is newer than what is written, except where we know nothing. */
	if (!l || l->state.handler != 0 || l->condition_dirty || l->condition_writing)
		return;
	l->state = *s;
	l->cursor = s->low_water > 0 ? s->low_water - 1 : 0;
}

static int load_handlers(struct dispatcher *d)
{
	AUTO(free) struct handler_state *states = NULL;
	size_t count = 0;
	int r = reader_handlers(d->reader, &states, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		adopt_state(d, &states[i]);
	d->loaded = true;
	return 0;
}

static void open_reader(struct dispatcher *d, const struct moment *now)
{
	struct error err = { "" };
	int r = reader_open(d->state_directory, &d->reader, &err);

	if (r == 0) {
		r = load_handlers(d);
		if (r < 0)
			d->reader = reader_close(d->reader);
	}
	if (r < 0) {
		d->reopen_wait_ms = d->reopen_wait_ms * 2 < REOPEN_MAX_MS ? d->reopen_wait_ms * 2 :
									    REOPEN_MAX_MS;
		d->reopen_ms = now->mono_ms + d->reopen_wait_ms;
		dispatch_at(d, d->reopen_ms);
		return;
	}
	d->reopen_wait_ms = REOPEN_MS;
	for (struct lane *l = d->lanes; l; l = l->next)
		lane_reread(l);
}

bool reader_at_hand(struct dispatcher *d)
{
	struct moment now = moment_now();

	if (!d->reader && now.mono_ms >= d->reopen_ms)
		open_reader(d, &now);
	return d->reader != NULL;
}

/* ---- a turn ---- */

static void take_mail(struct dispatcher *d)
{
	struct order *o, *next;
	bool woken = false;

	for (o = post_take(d->post, &woken); o; o = next) {
		next = o->next;
		o->finish(d, o);
	}
	d->woken |= woken;
}

/*
 * Something was stored, or an operator changed what waits. New events show beyond the cursor;
 * the rest is looked at again too, but not at every event of a flood.
 */
static void look_again(struct dispatcher *d, const struct moment *now)
{
	bool all = now->mono_ms - d->reread_ms >= REREAD_MS;

	for (struct lane *l = d->lanes; l; l = l->next) {
		l->more = true;
		if (all)
			lane_reread(l);
	}
	d->woken = !all;
	if (all)
		d->reread_ms = now->mono_ms;
	else
		dispatch_at(d, d->reread_ms + REREAD_MS);
}

static void tend_lane(struct lane *l, const struct moment *now)
{
	if (now->mono_ms < l->retry_ms) {
		dispatch_at(l->d, l->retry_ms);
		return;
	}
	if (l->d->loaded && l->conf && !l->state.handler && !l->registering && !l->condition_writing)
		lane_register(l);
	if (l->condition_dirty && !l->condition_writing)
		lane_write_condition(l);
}

static void pump_lanes(struct dispatcher *d, const struct moment *now)
{
	struct lane *first = d->turn ? d->turn : d->lanes, *l = first;
	unsigned budget = START_AT_ONCE;

	if (!l)
		return;
	do {
		lane_pump(l, now, &budget);
		tend_lane(l, now);
		l = l->next ? l->next : d->lanes;
	} while (l != first);
	d->turn = first->next;
}

static void take_turn(struct dispatcher *d)
{
	struct moment now = moment_now();

	d->wake_ms = FOREVER;
	take_mail(d);
	if (d->woken)
		look_again(d, &now);
	if (!d->reader && now.mono_ms >= d->reopen_ms)
		open_reader(d, &now);
	else if (!d->reader)
		dispatch_at(d, d->reopen_ms);
	if (d->stuck > 0 && now.mono_ms >= d->stuck_ms)
		settle_stuck_again(d);
	else if (d->stuck > 0)
		dispatch_at(d, d->stuck_ms);
	peers_tend(d, &now);
	trials_tend(d, &now);
	looks_tend(d, &now);
	pump_lanes(d, &now);
	set_timer(d, &now);
}

static int on_again(sd_event_source *s, void *arg)
{
	(void)s;
	take_turn(arg);
	return 0;
}

static int on_mail(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	(void)s;
	(void)fd;
	(void)events;
	take_turn(arg);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	(void)s;
	(void)usec;
	take_turn(arg);
	return 0;
}

/* ---- life ---- */

static int watch(struct dispatcher *d)
{
	sd_event *e = loop_event(d->loop);
	int r;

	r = sd_event_add_defer(e, &d->again, on_again, d);
	if (r < 0)
		return r;
	r = sd_event_add_io(e, &d->mail, post_fd(d->post), EPOLLIN, on_mail, d);
	if (r < 0)
		return r;
	r = sd_event_add_time_relative(e, &d->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, d);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
}

static int prepare(struct dispatcher *d, const struct dispatcher_options *o)
{
	int r;

	d->state_directory = strdup(o->state_directory);
	d->runner_directory = o->runner_directory ? strdup(o->runner_directory) : NULL;
	if (!d->state_directory || (o->runner_directory && !d->runner_directory))
		return -ENOMEM;
	if (!d->has_child && !d->runner_directory)
		return -EINVAL;
	r = post_new(&d->post);
	if (r < 0)
		return r;
	r = watch(d);
	return r < 0 ? r : bind_site(d);
}

int dispatcher_new(const struct dispatcher_options *o, struct dispatcher **ret, struct error *err)
{
	AUTO(fd) int child_fd = o->child_fd;
	struct dispatcher *d = calloc(1, sizeof(*d));
	struct moment now = moment_now();
	int r;

	if (!d)
		return error_no_memory(err);
	d->loop = o->loop;
	d->journal = o->journal;
	d->alerts = o->alerts;
	d->site = site_ref(o->site);
	d->child_fd = TAKE_FD(child_fd);
	d->has_child = d->child_fd >= 0;
	d->wake_ms = FOREVER;
	d->writable = true;
	d->grace_ms = o->grace_ms ? o->grace_ms : GRACE_MS;
	d->recheck_ms = o->recheck_ms ? o->recheck_ms : RECHECK_MS;
	d->overdue_ms = o->overdue_ms ? o->overdue_ms : OVERDUE_MS;
	d->reopen_wait_ms = REOPEN_MS;
	d->reread_ms = now.mono_ms - REREAD_MS;
	d->next_trial = -now.real_ms;
	r = prepare(d, o);
	if (r < 0) {
		(void)dispatcher_free(d);
		return error_set(err, -r, "cannot start the dispatcher: %s", strerror(-r));
	}
	open_reader(d, &now);
	dispatch_soon(d);
	*ret = d;
	return 0;
}

struct dispatcher *dispatcher_free(struct dispatcher *d)
{
	if (!d)
		return NULL;
	trials_end(d);
	looks_end(d);
	d->mail = sd_event_source_disable_unref(d->mail);
	d->again = sd_event_source_disable_unref(d->again);
	d->timer = sd_event_source_disable_unref(d->timer);
	if (d->post)
		post_close(d->post);    /* from here on the journal's thread may close its descriptor */
	while (d->lanes) {
		struct lane *l = d->lanes;

		d->lanes = l->next;
		lane_free(l);
	}
	peers_free(d);
	if (d->child_fd >= 0)
		(void)close(d->child_fd);
	d->reader = reader_close(d->reader);
	d->site = site_unref(d->site);
	free(d->state_directory);
	free(d->runner_directory);
	free(d);
	return NULL;
}

int dispatcher_child(struct dispatcher *d, int child_fd)
{
	AUTO(fd) int fd = child_fd;

	if (!d->has_child || fd < 0)
		return -EINVAL;
	dispatch_soon(d);
	if (d->peers)
		return link_adopt(d->peers->link, TAKE_FD(fd));
	/* No handler has asked for it yet: it is adopted with the first. */
	if (d->child_fd >= 0)
		(void)close(d->child_fd);
	d->child_fd = TAKE_FD(fd);
	return 0;
}

void dispatcher_wake(struct dispatcher *d)
{
	post_wake(d->post);
}

void dispatcher_reload(struct dispatcher *d, struct site *site)
{
	struct site *old = d->site;

	d->site = site_ref(site);
	peers_reload(d);        /* before anything of the new configuration is started there */
	if (bind_site(d) < 0)
		log_err(NULL, "out of memory: a handler waits until the next reload");
	(void)site_unref(old);
	dispatch_soon(d);
}

void dispatcher_store_changed(struct dispatcher *d)
{
	d->reader = reader_close(d->reader);    /* it may look at files that are no more */
	d->reopen_ms = d->stuck_ms = 0;
	for (struct lane *l = d->lanes; l; l = l->next)
		l->retry_ms = l->park_after_ms = 0;
	d->woken = true;
	dispatch_soon(d);
}

/* ---- the operator's verbs ---- */

int dispatcher_hold(struct dispatcher *d, const char *handler, int64_t until_ms)
{
	struct lane *l = lane_find(d, handler);

	if (!l)
		return -ENOENT;
	l->state.held = true;
	l->state.held_until_ms = until_ms;
	l->condition_dirty = true;
	dispatch_soon(d);
	return 0;
}

int dispatcher_replaying(struct dispatcher *d, const char *handler, int64_t ms)
{
	struct lane *l = lane_find(d, handler);

	if (!l || !l->conf)
		return -ENOENT;
	l->replay_ms = ms ? clock_mono_ms() + ms : 0;
	dispatch_soon(d);
	return 0;
}

int dispatcher_release(struct dispatcher *d, const char *handler)
{
	struct lane *l = lane_find(d, handler);

	if (!l)
		return -ENOENT;
	l->state.held = false;
	l->state.held_until_ms = 0;
	lane_end_pause(l);
	l->condition_dirty = true;
	dispatch_soon(d);
	return 0;
}
