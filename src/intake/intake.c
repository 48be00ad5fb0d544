/* intake.c - the room as others see it: start, reload, stop, what it knows. */
#include "intake/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

#define POOL_EXTRA (8UL * 1024) /* beside the header: libmicrohttpd's own structures, the answer */
#define STOP_STEP_NS 5000000L

struct view *intake_view(struct intake *in)
{
	struct view *v;

	(void)pthread_mutex_lock(&in->lock);
	v = view_ref(in->view);
	(void)pthread_mutex_unlock(&in->lock);
	return v;
}

/* ---- start ---- */

/* A connection is a descriptor: the usual soft limit of 1024 would come before max-connections. */
static uint64_t raise_files(unsigned connections)
{
	rlim_t wanted = (rlim_t)connections + CONNS_ENDED_MAX + CONNS_FILES_BESIDE;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return wanted;
	if (files.rlim_cur >= wanted)
		return files.rlim_cur;
	files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	return files.rlim_cur;
}

static void set_limits(struct intake *in, const struct conf *c)
{
	uint64_t files = raise_files(c->max_connections);
	unsigned most = conns_limits(&in->conns, c, files);

	if (most < c->max_connections)
		log_warn(NULL, "only %" PRIu64 " files may be open, so there are at most %u connections at once, not max-connections = %u: "
			 "raise LimitNOFILE", files, most, c->max_connections);
}

static void tell_expired(const struct intake *in)
{
	if (in->tls && tls_expiry_ms(in->tls) < clock_now_ms())
		log_err(&(struct log_ctx){ .reason = "certificate" },
			"the TLS certificate has expired: Autotask will not connect");
}

/* Everything but what libmicrohttpd's threads may still use. */
static void release(struct intake *in)
{
	for (size_t i = 0; i < in->listener_count; i++)
		listener_close(&in->listeners[i]);
	(void)tls_free(in->tls);
	(void)view_unref(in->view);
	(void)clients_free(in->clients);
	tallies_free(&in->tallies);
	probes_release(&in->probes);
	conns_free(&in->conns);
	(void)pthread_mutex_destroy(&in->stored_lock);
	(void)pthread_mutex_destroy(&in->lock);
	free(in);
}

static int build(struct intake *in, const struct intake_options *o, struct error *err)
{
	const struct conf *c = site_conf(o->site);
	int r;

	r = view_new(o->site, &in->tallies, &in->view, err);
	if (r < 0)
		return r;
	if (c->tls_certificate) {
		r = tls_new(c->tls_certificate, c->tls_key, &in->tls, err);
		if (r < 0)
			return r;
		tell_expired(in);
	}
	set_limits(in, c);
	in->pool_bytes = 2 * c->max_header + POOL_EXTRA;
	r = listeners_open(in, o, err);
	for (size_t i = 0; r == 0 && i < in->listener_count; i++)
		r = listener_start(&in->listeners[i], err);
	return r;
}

int intake_open(const struct intake_options *o, struct intake **ret, struct error *err)
{
	struct intake *in = calloc(1, sizeof(*in));
	int r;

	if (!in)
		return error_no_memory(err);
	r = conns_init(&in->conns);
	if (r < 0) {
		free(in);
		return error_set(err, -r, "cannot make an eventfd: %s", strerror(-r));
	}
	(void)pthread_mutex_init(&in->lock, NULL);
	(void)pthread_mutex_init(&in->stored_lock, NULL);
	tallies_init(&in->tallies);
	probes_init(&in->probes);
	in->stored = o->stored;
	in->deactivated = o->deactivated;
	atomic_init(&in->alerts, o->alerts);
	in->arg = o->arg;
	atomic_init(&in->captures, o->captures);
	in->clients = clients_new();
	r = in->clients ? build(in, o, err) : error_no_memory(err);
	if (r < 0) {
		for (size_t i = 0; i < in->listener_count; i++) {
			listener_stop(&in->listeners[i]);
			if (in->listeners[i].passed)
				in->listeners[i].fd = -1;       /* still whose it was */
		}
		release(in);
		return r;
	}
	*ret = in;
	return 0;
}

int intake_start(struct intake *in, struct journal *journal, struct error *err)
{
	struct door_socket sockets[LISTENERS_MAX];
	int r;

	for (size_t i = 0; i < in->listener_count; i++)
		sockets[i] = listener_door(&in->listeners[i]);
	in->journal = journal;
	r = door_open(sockets, in->listener_count, &in->door);
	return r == 0 ? 0 : error_set(err, -r, "cannot start accepting connections: %s", strerror(-r));
}

/* ---- reload ---- */

/* Would this configuration do? tls is loaded beside the one in force. */
static int check(struct intake *in, const struct conf *c, struct error *err)
{
	AUTO(proxies) struct proxies *proxies = NULL;
	AUTO(tls) struct tls *tls = NULL;
	int r = proxies_new(&c->trusted_proxies, &proxies, err);

	if (r == 0)
		r = listeners_check_plain(in, c, err);
	if (r == 0 && c->tls_certificate)
		r = tls_new(c->tls_certificate, c->tls_key, &tls, err);
	return r;
}

int intake_check(struct intake *in, const struct conf *c, struct error *err)
{
	return check(in, c, err);
}

static bool same_list(const struct conf_list *a, const struct conf_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

static void add_note(char *note, size_t cap, const char *text)
{
	size_t len = strlen(note);

	if (len < cap)
		(void)snprintf(note + len, cap - len, "%s%s: needs a restart", len ? "; " : "", text);
}

/* What cannot change while sockets are open. */
static void note_changes(const struct intake *in, const struct conf *old, const struct conf *new, char *note,
			 size_t cap)
{
	if (!in->adopted && !same_list(&old->listen, &new->listen))
		add_note(note, cap, "listen has changed");
	if (!in->tls && new->tls_certificate)
		add_note(note, cap, "HTTPS was switched on");
	if (in->tls && !new->tls_certificate)
		add_note(note, cap, "HTTPS was switched off");
	if (2 * new->max_header + POOL_EXTRA > in->pool_bytes)
		add_note(note, cap, "max-header was raised");
}

int intake_reload(struct intake *in, struct site *site, char *ret_note, size_t note_cap, struct error *err)
{
	const struct conf *c = site_conf(site);
	struct view *fresh = NULL, *old;
	int r;

	r = listeners_check_plain(in, c, err);
	if (r < 0)
		return r;
	r = view_new(site, &in->tallies, &fresh, err);
	if (r < 0)
		return r;
	if (in->tls && c->tls_certificate)
		r = tls_reload(in->tls, c->tls_certificate, c->tls_key, err);
	else if (c->tls_certificate)
		r = check(in, c, err);          /* for the restart that has to follow */
	if (r < 0) {
		(void)view_unref(fresh);
		return r;
	}
	/* Nothing below can fail. */
	set_limits(in, c);
	(void)pthread_mutex_lock(&in->lock);
	old = in->view;
	in->view = fresh;
	(void)pthread_mutex_unlock(&in->lock);
	if (note_cap)
		ret_note[0] = '\0';
	note_changes(in, old->conf, c, ret_note, note_cap);
	(void)view_unref(old);
	tell_expired(in);
	return 0;
}

/* ---- stop ---- */

static void pause_a_moment(void)
{
	const struct timespec step = { .tv_nsec = STOP_STEP_NS };

	(void)nanosleep(&step, NULL);
}

/*
 * Until nobody has a request begun or a first one on its way: seen twice, since libmicrohttpd may be
 * between accept() and telling us.
 */
static void wait_until_quiet(struct intake *in, int64_t until_ms)
{
	for (unsigned quiet = 0; quiet < 2; pause_a_moment()) {
		int64_t now_ms = clock_mono_ms();

		if (now_ms >= until_ms)
			return;
		(void)conns_sweep(&in->conns, now_ms);
		quiet = conns_quiet(&in->conns, now_ms) ? quiet + 1 : 0;
	}
}

/*
 * From here on no connection is suspended any more: what comes now gets 503. Those that are
 * suspended come back as long as the journal runs.
 */
static bool wait_until_resumed(struct intake *in, int64_t until_ms)
{
	(void)pthread_mutex_lock(&in->lock);
	in->journal = NULL;
	(void)pthread_mutex_unlock(&in->lock);
	while (atomic_load(&in->suspended) > 0) {
		if (clock_mono_ms() >= until_ms)
			return false;
		pause_a_moment();
	}
	return true;
}

struct intake *intake_stop(struct intake *in, int64_t deadline_ms)
{
	int64_t until_ms = clock_mono_ms() + deadline_ms;

	if (!in)
		return NULL;
	atomic_store(&in->stopping, true);
	conns_stopping(&in->conns, clock_mono_ms());
	in->door = door_close(in->door);
	for (size_t i = 0; i < in->listener_count; i++)
		listener_close(&in->listeners[i]);
	wait_until_quiet(in, until_ms);
	if (!wait_until_resumed(in, until_ms)) {
		/*
		 * The journal hangs. libmicrohttpd aborts the process when it is stopped with a suspended
		 * connection, so it is left as it is: whoever ends the process ends it too.
		 */
		log_err(NULL, "stopping: %u requests are still with the journal, nobody gets an answer",
			atomic_load(&in->suspended));
		(void)pthread_mutex_lock(&in->stored_lock);
		in->stored = NULL;
		in->deactivated = NULL;
		atomic_store(&in->alerts, NULL);
		atomic_store(&in->captures, NULL);
		(void)pthread_mutex_unlock(&in->stored_lock);
		return NULL;
	}
	for (size_t i = 0; i < in->listener_count; i++)
		listener_stop(&in->listeners[i]);
	release(in);
	return NULL;
}

/* ---- sweeping and questions ---- */

int64_t intake_sweep(struct intake *in)
{
	int64_t now_ms = clock_mono_ms();
	int64_t next_ms = conns_sweep(&in->conns, now_ms);
	int64_t flush_ms = tallies_flush(&in->tallies, now_ms);

	return next_ms < 0 || (flush_ms >= 0 && flush_ms < next_ms) ? flush_ms : next_ms;
}

int intake_wake_fd(struct intake *in)
{
	return in->conns.wake_fd;
}

int intake_counts(struct intake *in, const char *webhook, struct intake_counts *ret)
{
	struct tally *y = tallies_find(&in->tallies, webhook);

	if (!y)
		return -ENOENT;
	for (size_t i = 0; i < INTAKE_RESULT_COUNT_; i++)
		ret->results[i] = atomic_load_explicit(&y->results[i], memory_order_relaxed);
	ret->last_callout_ms = atomic_load_explicit(&y->last_callout_ms, memory_order_relaxed);
	ret->failing = atomic_load_explicit(&y->failing, memory_order_relaxed);
	ret->strangers = atomic_load_explicit(&y->strangers, memory_order_relaxed);
	ret->registered = tallies_registered(&in->tallies, y);
	return 0;
}

int intake_register(struct intake *in, const struct registration *n)
{
	struct tally *y = tallies_find(&in->tallies, n->webhook);

	if (!y)
		return -ENOENT;
	tallies_register(&in->tallies, y, n);
	return 0;
}

void intake_status(struct intake *in, struct intake_status *ret)
{
	struct conns *c = &in->conns;
	char text[ADDRESS_TEXT_LEN + 96];
	size_t len = 0;

	*ret = (struct intake_status){ .in_flight = atomic_load(&in->in_flight),
				       .limited = atomic_load(&in->limited) };
	(void)pthread_mutex_lock(&c->lock);
	ret->connections = c->count;
	ret->evicted = c->evicted;
	ret->timed_out = c->timed_out;
	(void)pthread_mutex_unlock(&c->lock);
	if (in->tls)
		ret->certificate_expiry_ms = tls_expiry_ms(in->tls);
	for (size_t i = 0; i < in->listener_count && len < sizeof(ret->listening); i++)
		len += (size_t)snprintf(ret->listening + len, sizeof(ret->listening) - len, "%s%s", i ? ", " : "",
					listener_text(&in->listeners[i], text, sizeof(text)));
}

bool intake_alive(struct intake *in, int64_t limit_ms)
{
	int64_t now_ms = clock_mono_ms();
	bool alive = conns_turning(&in->conns, now_ms, limit_ms);

	(void)pthread_mutex_lock(&in->lock);
	for (size_t i = 0; i < in->listener_count; i++)
		if (listener_stuck(&in->listeners[i], now_ms, limit_ms))
			alive = false;
	(void)pthread_mutex_unlock(&in->lock);
	return alive;
}
