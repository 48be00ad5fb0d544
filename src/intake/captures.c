/* captures.c - what is armed, what is queued, and the thread that writes it down. */
#include "intake/captures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "capture_private.h"

#define QUEUE_MAX 64                            /* entries */
#define QUEUE_BYTES_MAX (16UL * 1024 * 1024)
#define WAIT_MAX_MS 3600000                     /* the clock may be set */

struct capture_entry *capture_entry_free(struct capture_entry *e)
{
	if (e) {
		free(e->head);
		free(e->body);
		free(e);
	}
	return NULL;
}

/* ---- with the lock held ---- */

static struct capture *find(struct captures *c, const char *webhook)
{
	struct capture *k = c->first;

	while (k && strcmp(k->view.webhook, webhook) != 0)
		k = k->next;
	return k;
}

static bool is_armed(const struct capture *k)
{
	return k && !k->view.ended[0];
}

static void end(struct captures *c, struct capture *k, const char *why)
{
	(void)snprintf(k->view.ended, sizeof(k->view.ended), "%s", why);
	atomic_fetch_sub(&c->armed, 1);
	log_info((&(struct log_ctx){ .webhook = k->view.webhook, .reason = "capture" }),
		 "the capture has ended after %u requests: %s", k->view.taken, why);
}

static void end_late(struct captures *c, int64_t now_ms, int64_t *next_ms)
{
	for (struct capture *k = c->first; k; k = k->next) {
		if (!is_armed(k))
			continue;
		if (k->view.until_ms <= now_ms)
			end(c, k, "its time is over");
		else if (k->view.until_ms < *next_ms)
			*next_ms = k->view.until_ms;
	}
}

static struct capture_entry *take(struct captures *c)
{
	struct capture_entry *e = c->queue;

	if (!e)
		return NULL;
	c->queue = e->next;
	if (!c->queue)
		c->last = &c->queue;
	c->queued--;
	c->queued_bytes -= e->len + e->head_len;
	return e;
}

static void written(struct captures *c, struct capture *k, int result)
{
	char why[sizeof(k->view.ended)];

	k->pending--;
	if (result == 0)
		k->view.taken++;
	if (!is_armed(k))
		return;
	(void)snprintf(why, sizeof(why), "a request could not be written: %s", strerror(-result));
	if (result < 0)
		end(c, k, why);
	else if (k->view.taken >= k->view.wanted)
		end(c, k, "it has as many requests as were asked for");
}

/* ---- the thread ---- */

static int write_one(struct captures *c, const char *name, const struct capture_entry *e, uint64_t min_free)
{
	uint64_t bytes = 0, free_bytes = 0, total = 0;
	size_t count = 0;

	capture_file_sum(c->directory, &count, &bytes);
	if (count >= CAPTURES_FILES_MAX || bytes + e->len + e->head_len > CAPTURES_BYTES_MAX)
		return -EDQUOT;
	if (file_space(c->directory, &free_bytes, &total) == 0 && free_bytes < min_free + e->len + e->head_len)
		return -ENOSPC;
	return capture_file_write(c->directory, name, e);
}

static void serve(struct captures *c, struct capture_entry *e)
{
	char name[CAPTURE_NAME_MAX + 8];
	struct capture *k;
	uint64_t min_free;
	int r;

	(void)pthread_mutex_lock(&c->lock);
	k = find(c, e->webhook);        /* stays: what was ever armed is in the list until the end */
	(void)snprintf(name, sizeof(name), "%s-%03u", k->view.id, k->view.taken + 1);
	min_free = c->min_free;
	(void)pthread_mutex_unlock(&c->lock);
	r = write_one(c, name, e, min_free);
	(void)pthread_mutex_lock(&c->lock);
	written(c, k, r);
	(void)pthread_mutex_unlock(&c->lock);
	(void)capture_entry_free(e);
}

static void wait_until(struct captures *c, int64_t next_ms)
{
	int64_t wait_ms = next_ms == INT64_MAX ? INT64_MAX : next_ms - clock_now_ms();
	struct timespec until;

	if (wait_ms == INT64_MAX) {
		(void)pthread_cond_wait(&c->wake, &c->lock);
		return;
	}
	if (wait_ms > WAIT_MAX_MS)
		wait_ms = WAIT_MAX_MS;
	if (wait_ms < 0)
		wait_ms = 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(wait_ms / 1000 + 1);
	(void)pthread_cond_timedwait(&c->wake, &c->lock, &until);
}

static void *run(void *arg)
{
	struct captures *c = arg;
	bool go_on = true;

	(void)pthread_setname_np(pthread_self(), "captures");
	while (go_on) {
		int64_t next_ms, now_ms = clock_now_ms();
		struct capture_entry *e;

		(void)pthread_mutex_lock(&c->io);
		next_ms = capture_file_sweep(c->directory, now_ms);
		(void)pthread_mutex_lock(&c->lock);
		end_late(c, now_ms, &next_ms);
		e = take(c);
		(void)pthread_mutex_unlock(&c->lock);
		if (e)
			serve(c, e);
		(void)pthread_mutex_unlock(&c->io);
		(void)pthread_mutex_lock(&c->lock);
		if (!e && !c->queue && !c->stop)
			wait_until(c, next_ms);
		go_on = c->queue || !c->stop;
		(void)pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

/* With the lock held. */
static int start(struct captures *c)
{
	int r = c->running ? 0 : -pthread_create(&c->thread, NULL, run, c);

	c->running = r == 0;
	return r;
}

/* ---- the room's ---- */

int captures_new(const char *directory, struct captures **ret, struct error *err)
{
	struct captures *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	struct stat st;
	int r = 0;

	if (!c)
		return error_no_memory(err);
	(void)snprintf(c->directory, sizeof(c->directory), "%s/captures", directory);
	c->last = &c->queue;
	(void)pthread_mutex_init(&c->io, NULL);
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_lock(&c->lock);
	if (stat(c->directory, &st) == 0 && capture_file_sweep(c->directory, clock_now_ms()) != INT64_MAX)
		r = start(c);           /* files of before have an end to come */
	(void)pthread_mutex_unlock(&c->lock);
	if (r < 0) {
		(void)captures_free(c);
		return error_set(err, -r, "cannot start the captures' thread: %s", strerror(-r));
	}
	*ret = c;
	return 0;
}

struct captures *captures_free(struct captures *c)
{
	if (!c)
		return NULL;
	(void)pthread_mutex_lock(&c->lock);
	c->stop = true;
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->lock);
	if (c->running)
		(void)pthread_join(c->thread, NULL);
	while (c->first) {
		struct capture *k = c->first;

		c->first = k->next;
		free(k);
	}
	(void)pthread_cond_destroy(&c->wake);
	(void)pthread_mutex_destroy(&c->lock);
	(void)pthread_mutex_destroy(&c->io);
	free(c);
	return NULL;
}

/* "20261125T201500123Z": sorts by time, and no other capture since the start has it. */
static void make_id(struct captures *c, int64_t now_ms, char dst[static CAPTURE_NAME_MAX])
{
	char text[CLOCK_TEXT_LEN], *to = dst;

	c->last_id_ms = now_ms > c->last_id_ms ? now_ms : c->last_id_ms + 1;
	for (const char *at = clock_text(c->last_id_ms, text); *at && to < dst + CAPTURE_NAME_MAX - 8; at++)
		if (*at != '-' && *at != ':' && *at != '.')
			*to++ = *at;
	*to = '\0';
}

/* With the lock held. */
static int arm(struct captures *c, const struct capture_order *o, char *ret_id, struct error *err)
{
	struct capture *k = find(c, o->webhook);
	int r;

	if (is_armed(k))
		return error_set(err, EBUSY, "a capture of webhook %s is armed already: end it with `calloutctl capture %s --stop`",
				 o->webhook, o->webhook);
	if (k && k->pending)
		return error_set(err, EBUSY, "the capture of webhook %s before is still being written: try again", o->webhook);
	r = start(c);
	if (r < 0)
		return error_set(err, -r, "cannot start the captures' thread: %s", strerror(-r));
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return error_no_memory(err);
		k->next = c->first;
		c->first = k;
	}
	k->view = (struct capture_view){ .uid = o->uid, .since_ms = clock_now_ms(), .until_ms = o->until_ms, .wanted = o->next };
	(void)snprintf(k->view.webhook, sizeof(k->view.webhook), "%s", o->webhook);
	make_id(c, k->view.since_ms, k->view.id);
	(void)snprintf(ret_id, CAPTURE_NAME_MAX, "%s", k->view.id);
	c->min_free = o->min_free;
	atomic_fetch_add(&c->armed, 1);
	(void)pthread_cond_signal(&c->wake);
	return 0;
}

int captures_arm(struct captures *c, const struct capture_order *o, char ret_id[static CAPTURE_NAME_MAX], struct error *err)
{
	uint64_t bytes = 0, free_bytes = 0, total = 0;
	size_t count = 0;
	int r = directory_make(c->directory, 0700, err);

	if (r < 0)
		return r;
	capture_file_sum(c->directory, &count, &bytes);
	if (count + o->next > CAPTURES_FILES_MAX || bytes >= CAPTURES_BYTES_MAX)
		return error_set(err, ENOSPC, "%s is full (%zu files, %lld MiB at most): remove some, or wait until they go by "
				 "themselves after a day", c->directory, count, CAPTURES_BYTES_MAX / 1024 / 1024);
	if (file_space(c->directory, &free_bytes, &total) == 0 && free_bytes < o->min_free)
		return error_set(err, ENOSPC, "less than min-free is free at %s: nothing is captured there", c->directory);
	(void)pthread_mutex_lock(&c->lock);
	r = arm(c, o, ret_id, err);
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

int captures_end(struct captures *c, const char *webhook, const char *why)
{
	struct capture *k;
	int r = -ENOENT;

	(void)pthread_mutex_lock(&c->lock);
	k = find(c, webhook);
	if (is_armed(k)) {
		end(c, k, why);
		r = 0;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

void captures_reload(struct captures *c, const struct conf *conf)
{
	(void)pthread_mutex_lock(&c->lock);
	for (struct capture *k = c->first; k; k = k->next)
		if (is_armed(k) && !conf_webhook_find(conf, k->view.webhook))
			end(c, k, "a reload has removed its webhook");
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- for intake ---- */

bool captures_wanted(struct captures *c, const char *webhook)
{
	bool wanted;

	if (!c || atomic_load_explicit(&c->armed, memory_order_relaxed) == 0)
		return false;
	(void)pthread_mutex_lock(&c->lock);
	wanted = is_armed(find(c, webhook));
	(void)pthread_mutex_unlock(&c->lock);
	return wanted;
}

void captures_put(struct captures *c, struct capture_entry *e)
{
	struct capture *k;

	(void)pthread_mutex_lock(&c->lock);
	k = find(c, e->webhook);
	if (is_armed(k) && k->view.taken + k->pending < k->view.wanted) {
		if (c->queued < QUEUE_MAX && c->queued_bytes + e->len + e->head_len <= QUEUE_BYTES_MAX) {
			c->queued++;
			c->queued_bytes += e->len + e->head_len;
			k->pending++;
			e->next = NULL;
			*c->last = e;
			c->last = &e->next;
			e = NULL;
			(void)pthread_cond_signal(&c->wake);
		} else {
			k->view.missed++;
		}
	}
	(void)pthread_mutex_unlock(&c->lock);
	(void)capture_entry_free(e);
}
