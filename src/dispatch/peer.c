/*
 * peer.c - what runners tell, and what follows from their coming and going.
 *
 * After a (re)connection a runner tells what runs and what it has kept. What we thought to
 * be running there and is not told is interrupted; what is told and unknown here (we have been
 * restarted) is looked up in the store and taken up as under way. Only then is the link ready
 * and anything new started.
 *
 * Runners are apart because their handlers are to be apart: one's word about another's handler
 * counts for nothing. It is acknowledged, so that an honest one, whose handler was moved to
 * another runner before a restart, forgets it; the delivery is run where it belongs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "private.h"

#define BUSY_MS 1000

/* ---- what the store knows of something told ---- */

struct known {
	int64_t handler;
	bool found;
	enum delivery_state state;
	unsigned attempts;
};

static int note_delivery(void *arg, const struct delivery *d)
{
	struct known *k = arg;

	if (d->handler_number == k->handler) {
		k->found = true;
		k->state = d->state;
		k->attempts = d->attempts;
	}
	return 0;
}

/* 1: found; 0: the store does not know it; -errno: it cannot be read now. */
static int look_up(struct peer *p, struct lane *l, int64_t event, struct event *ret_event,
		   struct known *ret)
{
	int r;

	*ret = (struct known){ .handler = l->state.handler };
	if (!p->d->reader)
		return -EIO;
	r = reader_event(p->d->reader, event, ret_event);
	if (r == 0)
		r = reader_deliveries(p->d->reader, event, note_delivery, ret);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		reader_failed(p->d, r);
		return r;
	}
	return ret->found;
}

static void take_up(struct peer *p, struct errand *a, const struct known *k, unsigned attempt,
		    int64_t started_ms)
{
	a->peer = p;
	a->attempts = attempt > 0 ? attempt - 1 : 0;
	a->parked = k->state != DELIVERY_WAITING;
	a->started_ms = started_ms;
	a->told = true;
	lane_forget(a->lane, a->event);
}

/*
 * The others of a collected run. One that is settled meanwhile, or that another run is for, is passed
 * over: what a runner says may change only what waits. 0, or -errno: not all could be looked up.
 */
static int adopt_others(struct peer *p, struct errand *lead, const struct wire_delivery *others,
			size_t count, int64_t started_ms)
{
	struct lane *l = lead->lane;
	struct errand *a, *last = lead;

	for (size_t i = 0; i < count; i++) {
		struct event stored;
		struct known k;
		int found;

		if (others[i].event <= last->event || errand_find(l, others[i].event))
			continue;       /* never in this order from us */
		found = look_up(p, l, others[i].event, &stored, &k);
		if (found < 0)
			return found;
		if (!found || (k.state != DELIVERY_WAITING && k.state != DELIVERY_PARKED) ||
		    others[i].attempt <= k.attempts)
			continue;
		a = errand_join(lead, stored.id, stored.record);
		if (!a)
			return -ENOMEM;
		take_up(p, a, &k, others[i].attempt, started_ms);
		last = a;
	}
	return 0;
}

static struct errand *adopt(struct peer *p, struct lane *l, const struct event *e,
			    const struct known *k, const struct link_running *run)
{
	struct errand *a = errand_add(l, e->id, e->record);
	struct moment now = moment_now();

	if (!a) {
		p->again = true;
		return NULL;
	}
	take_up(p, a, k, run->attempt, run->started_ms);
	if (adopt_others(p, a, run->others, run->other_count, run->started_ms) < 0) {
		lane_put_back(a);       /* all of it, or nothing: told again */
		p->again = true;
		return NULL;
	}
	errand_expect(a, &now);
	a->probe = lane_paused(l) && run->started_ms >= l->state.pause_until_ms;
	l->probes += a->probe;
	return a;
}

/* ---- callbacks ---- */

/* Of a handler that is configured no more nobody knows whose it was: its last runner may tell. */
static bool is_strangers(const struct peer *p, const struct lane *l, const struct errand *e)
{
	if (e && e->peer)
		return e->peer != p;
	return l && l->peer && l->peer != p;
}

static void refuse_stranger(struct peer *p, const struct lane *l, int64_t event)
{
	if (p->stranger)
		return;                 /* said once a connection: it could say it without end */
	p->stranger = true;
	log_err((&(struct log_ctx){ .event = event, .handler = l->state.name, .reason = "stranger" }),
		"runner %s speaks of event %" PRId64 " of %s, which is not run there: ignored. Was the "
		"handler moved to another runner? If not, a handler may have taken that runner over",
		p->name, event, l->state.name);
}

static void on_running(void *arg, const struct link_running *run)
{
	const char *handler = run->handler;
	int64_t event = run->event;
	struct peer *p = arg;
	struct lane *l = lane_find(p->d, handler);
	struct errand *e = l ? errand_find(l, event) : NULL;
	struct event stored;
	struct known k;
	int r;

	if (event <= 0 || (!l && p->d->loaded))
		return;                 /* a former daemon's trial, or of another store: its result is dropped */
	if (is_strangers(p, l, e)) {
		refuse_stranger(p, l, event);
		link_stop(p->link, handler, event);
		return;
	}
	if (e && e->lead != e)
		return;                 /* part of a run that goes by another number */
	if (e && e->stage == STAGE_RUNNING) {
		e->peer = p;
		e->told = true;
		e->started_ms = run->started_ms;
		return;
	}
	if (e) {
		e->still_running = !e->reported;
		e->told = true;
		return;
	}
	r = l ? look_up(p, l, event, &stored, &k) : -EIO;
	if (r < 0)
		p->again = true;
	if (r <= 0)
		return;
	log_info((&(struct log_ctx){ .event = event, .handler = handler, .attempt = run->attempt }),
		 "event %" PRId64 ": %s still runs", event, handler);
	(void)adopt(p, l, &stored, &k, run);
}

struct twin {                           /* of a told result, among the attempts stored */
	const struct link_result *r;
	bool found;
};

static int compare_attempt(void *arg, const struct attempt *a)
{
	struct twin *t = arg;

	t->found |= a->a.number == t->r->attempt && a->a.started_ms == t->r->started_ms &&
		    strcmp(a->handler, t->r->handler) == 0;
	return 0;
}

/*
 * Stored already, and only the acknowledgement was lost? Attempts that used nothing up (a
 * pause) do not show in the delivery itself. 1, 0 or -errno.
 */
static int is_stored(struct peer *p, const struct link_result *r)
{
	struct twin t = { .r = r };
	int result = reader_attempts(p->d->reader, r->event, compare_attempt, &t);

	if (result < 0) {
		reader_failed(p->d, result);
		return result;
	}
	return t.found;
}

/* Nobody waits for it: told again, settled long ago, or of another store. */
static void drop_result(struct peer *p, const struct link_result *r)
{
	link_ack(p->link, r->handler, r->event, r->attempt);
}

static void take_kept(struct peer *p, struct lane *l, const struct link_result *r)
{
	struct event stored;
	struct known k;
	struct errand *e;
	int found = look_up(p, l, r->event, &stored, &k), known = 0;

	if (found > 0)
		known = is_stored(p, r);
	if (found < 0 || known < 0) {
		p->again = true;
		return;
	}
	if (!found || known || (k.state != DELIVERY_WAITING && k.state != DELIVERY_PARKED) ||
	    r->attempt <= k.attempts) {
		lane_forget(l, r->event);       /* if it was read ahead, that is out of date */
		drop_result(p, r);
		return;
	}
	e = adopt(p, l, &stored, &k, &(struct link_running){
		.attempt = r->attempt, .others = r->others, .other_count = r->other_count,
		.started_ms = r->started_ms,
	});
	if (e)
		settle_result(e, r);
}

/* Of an attempt we do not know, or know to be over. */
static void take_stray(struct peer *p, struct lane *l, const struct errand *e,
		       const struct link_result *r)
{
	if (l && !e)
		take_kept(p, l, r);
	else if (!l && !p->d->loaded)
		p->again = true;
	else if (!l || r->attempt <= e->attempts)
		drop_result(p, r);
	/* else its settling is under way, and the acknowledgement follows that */
}

static void on_result(void *arg, const struct link_result *r)
{
	struct peer *p = arg;
	struct lane *l = lane_find(p->d, r->handler);
	struct errand *e = l ? errand_find(l, r->event) : NULL;

	dispatch_soon(p->d);
	if (r->event <= 0) {
		(void)trial_result(p, r);
		drop_result(p, r);
	} else if (is_strangers(p, l, e)) {
		refuse_stranger(p, l, r->event);
		drop_result(p, r);
	} else if (e && e->lead != e) {
		drop_result(p, r);      /* part of a run that goes by another number */
	} else if (e && e->stage == STAGE_RUNNING && e->attempts + 1 == r->attempt) {
		e->peer = p;
		settle_result(e, r);
	} else {
		take_stray(p, l, e, r);
	}
}

static void refuse_unknown(struct peer *p, struct lane *l, const char *text)
{
	struct moment now = moment_now();

	lane_check_usable(l, &now);     /* sets when to look again */
	if (!l->unusable[0])
		log_err((&(struct log_ctx){ .handler = l->state.name, .reason = "unusable" }),
			"runner %s does not know handler %s%s%s: is it running with another configuration?",
			p->name, l->state.name, text[0] ? ": " : "", text);
	(void)snprintf(l->unusable, sizeof(l->unusable),
		       "runner %s does not know this handler: reload or restart it", p->name);
	(void)link_reload(p->link);
	alerts_raise(p->d->alerts, ALERT_PAUSED, l->state.name,
		     "runner %s does not know handler %s, whose events wait: reload or restart it (it reads the configuration itself)",
		     p->name, l->state.name);
}

static void on_refused(void *arg, const char *handler, int64_t event, unsigned attempt,
		       enum wire_refusal why, const char *text)
{
	struct peer *p = arg;
	struct lane *l = lane_find(p->d, handler);
	struct errand *e = l ? errand_find(l, event) : NULL;

	dispatch_soon(p->d);
	if (event <= 0) {
		if (why == WIRE_UNKNOWN_HANDLER)
			(void)link_reload(p->link);
		(void)trial_refused(p, event, text);
		return;
	}
	if (!e || e->lead != e || e->peer != p || e->stage != STAGE_RUNNING || e->attempts + 1 != attempt)
		return;
	if (why == WIRE_ALREADY) {
		link_again(p->link);    /* it will tell what is true */
		return;
	}
	lane_put_back(e);
	if (why == WIRE_UNKNOWN_HANDLER)
		refuse_unknown(p, l, text);
	else
		p->busy_until_ms = moment_now().mono_ms + BUSY_MS;
}

static void on_ready(void *arg)
{
	struct peer *p = arg;

	p->lost = false;
	dispatch_soon(p->d);
}

static unsigned doubt_all(struct peer *p)
{
	unsigned n = 0;

	for (struct lane *l = p->d->lanes; l; l = l->next) {
		for (struct errand *e = l->errands; e; e = e->next) {
			if (e->lead != e || e->peer != p || e->stage != STAGE_RUNNING)
				continue;
			e->told = false;
			n++;
		}
	}
	return n;
}

static void on_lost(void *arg, const char *why)
{
	struct peer *p = arg;
	unsigned n = doubt_all(p);

	p->lost = true;
	p->stranger = false;
	p->lost_ms = moment_now().mono_ms;
	if (n > 0)
		log_warn(NULL, "runner %s: %s; %u attempts ran there", p->name, why, n);
	trials_lost(p);
	looks_lost(p);
	dispatch_soon(p->d);
}

static void on_reloaded(void *arg, bool ok, const char *text)
{
	struct peer *p = arg;

	if (ok)
		log_info(NULL, "runner %s reloaded its configuration", p->name);
	else
		log_err(&(struct log_ctx){ .reason = "config" },
			"runner %s refused to reload: %s", p->name, text);
	if (!ok)
		alerts_raise(p->d->alerts, ALERT_CONFIG, p->name,
			     "runner %s refused to reload and runs handlers by its old configuration: %s; mend it, then calloutctl reload",
			     p->name, text);
}

static void on_looked(void *arg, const struct link_looked *l)
{
	look_told(arg, l);
}

/* ---- runners by name ---- */

static int make_link(struct dispatcher *d, struct peer *p)
{
	const struct link_callbacks cb = {
		.running = on_running, .result = on_result, .refused = on_refused,
		.ready = on_ready, .lost = on_lost, .reloaded = on_reloaded, .looked = on_looked, .arg = p,
	};
	AUTO(free) char *path = NULL;

	if (!d->has_child && asprintf(&path, "%s/%s.sock", d->runner_directory, p->name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return link_new(loop_event(d->loop), p->name, path, d->has_child ? TAKE_FD(d->child_fd) : -1,
			&cb, &p->link);
}

/* With a child, every handler runs there, whatever its section says. NULL: no memory. */
struct peer *peer_get(struct dispatcher *d, const char *name)
{
	struct peer *p;

	if (d->has_child)
		name = "child";
	for (p = d->peers; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->d = d;
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	if (make_link(d, p) < 0) {
		free(p);
		return NULL;
	}
	p->next = d->peers;
	d->peers = p;
	return p;
}

bool peer_ready(struct peer *p, const struct moment *now)
{
	if (!link_ready(p->link)) {
		link_want(p->link);
		return false;
	}
	if (now->mono_ms < p->busy_until_ms) {
		dispatch_at(p->d, p->busy_until_ms);
		return false;
	}
	return !p->again;
}

void peers_reload(struct dispatcher *d)
{
	for (struct peer *p = d->peers; p; p = p->next)
		(void)link_reload(p->link);     /* one that is not connected reads it when it starts */
}

static void tend(struct peer *p, const struct moment *now)
{
	bool over = !p->lost || p->d->has_child || now->mono_ms - p->lost_ms >= p->d->grace_ms;
	struct errand *e, *next;
	unsigned doubtful = 0;

	if (p->again && p->d->reader) {
		p->again = false;
		link_again(p->link);
	}
	for (struct lane *l = p->d->lanes; l; l = l->next) {
		for (e = l->errands; e; e = next) {
			next = e->next;
			if (e->lead != e || e->peer != p || e->stage != STAGE_RUNNING)
				continue;
			if (e->told) {
				errand_watch(e, now);
				continue;
			}
			if (over)
				settle_interrupted(e);
			doubtful++;
		}
	}
	if (doubtful > 0 && p->lost) {
		link_want(p->link);
		dispatch_at(p->d, over ? now->mono_ms + BUSY_MS : p->lost_ms + p->d->grace_ms);
	}
}

void peers_tend(struct dispatcher *d, const struct moment *now)
{
	for (struct peer *p = d->peers; p; p = p->next)
		tend(p, now);
}

void peers_free(struct dispatcher *d)
{
	while (d->peers) {
		struct peer *p = d->peers;

		d->peers = p->next;
		(void)link_free(p->link);
		free(p);
	}
}
