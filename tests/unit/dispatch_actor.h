/*
 * dispatch_actor.h - a scripted runner on a real socket, that does as it is told.
 *
 * The actor checks at every START what must always hold: one run at a
 * time per handler and record, and no attempt twice at once.
 */
#ifndef TEST_DISPATCH_ACTOR_H
#define TEST_DISPATCH_ACTOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "dispatch/dispatcher.h"
#include "dispatch/link.h"
#include "dispatch/outcome.h"

#define DEADLINE_MS 30000
#define KEEP_RUNNING (-1)               /* an answer: none yet; end it with actor_end() */
#define STARTS_MAX 300000
#define DAY_MS 86400000LL
#define UNUSED __attribute__((unused))

struct start {                          /* a START the actor saw */
	char handler[CONF_NAME_MAX + 1];
	int64_t event, id, sequence, at_ms;
	unsigned attempt;
	bool late;
	char source[16];
};

struct run {                            /* what the actor runs, or has run and keeps */
	struct run *next;
	struct start s;
	int64_t started_ms;
	bool ended;
	enum wire_outcome outcome;
	int status;
};

struct house;

struct actor {
	struct house *house;
	int listen_fd, fd;
	sd_event_source *listening, *talking;
	struct run *runs;
	struct start *starts;
	size_t start_count, acks;
	unsigned running, most;         /* at once */
	unsigned reloads, stops;
	int refuse;                     /* enum wire_refusal for every START; 0: none */
	bool deaf;                      /* accepts connections, but says nothing */
	bool keeps_all;                 /* acknowledgements get lost on the way */
	/* The exit status for a START, or KEEP_RUNNING. */
	int (*answer)(struct house *h, const struct start *s);
	struct wire_message m;
};

struct house {
	char directory[64];
	struct loop *loop;
	struct journal *journal;
	struct site *site;
	struct alerts *alerts;          /* NULL: nobody is told */
	struct dispatcher *dispatcher;
	struct actor actor;
	void *arg;                      /* the test's own */
	const char *reads_from;         /* the dispatcher's state directory, if another name is wanted */
	int64_t grace_ms, recheck_ms, overdue_ms;       /* the dispatcher's, where the test shortens them */
	int64_t events;                 /* accepted so far */
};

/* ---- the actor ---- */

static UNUSED void actor_send(struct actor *a)
{
	int64_t end = clock_mono_ms() + DEADLINE_MS;
	int r;

	while ((r = wire_send(a->fd, &a->m, -1)) == -EAGAIN)
		assert_true(clock_mono_ms() < end);
}

static UNUSED void actor_subject(struct actor *a, enum wire_verb verb, const struct start *s)
{
	wire_begin(&a->m, verb);
	(void)wire_put_text(&a->m, WIRE_HANDLER, s->handler);
	(void)wire_put_int(&a->m, WIRE_EVENT, s->event);
	(void)wire_put_int(&a->m, WIRE_ATTEMPT, s->attempt);
}

static UNUSED void actor_tell(struct actor *a, const struct run *r)
{
	actor_subject(a, r->ended ? WIRE_RESULT : WIRE_RUNNING, &r->s);
	(void)wire_put_int(&a->m, WIRE_STARTED_MS, r->started_ms);
	if (r->ended) {
		(void)wire_put_int(&a->m, WIRE_ENDED_MS, clock_now_ms());
		(void)wire_put_int(&a->m, WIRE_OUTCOME, r->outcome);
		(void)wire_put_int(&a->m, WIRE_STATUS, r->status);
		(void)wire_put(&a->m, WIRE_STDERR, "said", 4);
	}
	actor_send(a);
}

static UNUSED void actor_hang_up(struct actor *a)
{
	a->talking = sd_event_source_disable_unref(a->talking);
	if (a->fd >= 0)
		(void)close(a->fd);
	a->fd = -1;
}

/* The run ends; told at once, if somebody listens. */
static UNUSED void actor_end_as(struct actor *a, struct run *r, enum wire_outcome outcome, int status)
{
	assert_false(r->ended);
	r->ended = true;
	r->outcome = outcome;
	r->status = status;
	a->running--;
	if (a->fd >= 0 && !a->deaf)
		actor_tell(a, r);
}

static UNUSED struct run *actor_find(struct actor *a, const char *handler, int64_t id)
{
	for (struct run *r = a->runs; r; r = r->next)
		if (!r->ended && r->s.id == id && strcmp(r->s.handler, handler) == 0)
			return r;
	return NULL;
}

static UNUSED void actor_end(struct actor *a, const char *handler, int64_t id, int status)
{
	struct run *r = actor_find(a, handler, id);

	assert_non_null(r);
	actor_end_as(a, r, WIRE_EXITED, status);
}

static UNUSED void actor_forget_all(struct actor *a)
{
	while (a->runs) {
		struct run *r = a->runs;

		a->runs = r->next;
		free(r);
	}
	a->running = 0;
}

/* As if the runner had been killed: what ran is gone, and so is what it kept. */
static UNUSED void actor_crash(struct actor *a)
{
	actor_hang_up(a);
	actor_forget_all(a);
}

static UNUSED void actor_variable(struct start *s, const char *text, size_t len)
{
	char line[512];

	if (len >= sizeof(line))
		return;
	memcpy(line, text, len);
	line[len] = '\0';
	(void)sscanf(line, "CALLOUT_ID=%" SCNd64, &s->id);
	(void)sscanf(line, "CALLOUT_SEQUENCE=%" SCNd64, &s->sequence);
	(void)sscanf(line, "CALLOUT_SOURCE=%15s", s->source);
	if (strcmp(line, "CALLOUT_LATE=1") == 0)
		s->late = true;
}

static UNUSED void actor_start(struct actor *a)
{
	struct start *s = &a->starts[a->start_count];
	struct wire_field f;
	struct run *r;
	int64_t attempt = 0;
	size_t pos = 0;
	int status;

	assert_true(a->start_count < STARTS_MAX);
	*s = (struct start){ .at_ms = clock_mono_ms() };
	assert_int_equal(wire_get_text(&a->m, WIRE_HANDLER, s->handler, sizeof(s->handler)), 0);
	assert_int_equal(wire_get_int(&a->m, WIRE_EVENT, &s->event), 0);
	assert_int_equal(wire_get_int(&a->m, WIRE_ATTEMPT, &attempt), 0);
	s->attempt = (unsigned)attempt;
	while (wire_next(&a->m, &pos, &f))
		if (f.tag == WIRE_ENV)
			actor_variable(s, f.data, f.len);
	if (a->refuse) {
		actor_subject(a, WIRE_REFUSED, s);
		(void)wire_put_int(&a->m, WIRE_REASON, a->refuse);
		(void)wire_put_text(&a->m, WIRE_TEXT, "refused as told");
		actor_send(a);
		return;
	}
	for (r = a->runs; r; r = r->next) {
		if (strcmp(r->s.handler, s->handler) != 0)
			continue;
		if (!r->ended && r->s.id == s->id && s->event > 0)
			fail_msg("%s: record %" PRId64 " is run twice at once (events %" PRId64 ", %" PRId64 ")",
				 s->handler, s->id, r->s.event, s->event);
		if (r->s.event == s->event && r->s.attempt == s->attempt)
			fail_msg("%s: attempt %u of event %" PRId64 " again before its result was acknowledged",
				 s->handler, s->attempt, s->event);
	}
	r = calloc(1, sizeof(*r));
	assert_non_null(r);
	r->s = *s;
	r->started_ms = clock_now_ms();
	r->next = a->runs;
	a->runs = r;
	a->start_count++;
	a->running++;
	if (a->running > a->most)
		a->most = a->running;
	status = a->answer ? a->answer(a->house, s) : 0;
	if (status != KEEP_RUNNING)
		actor_end_as(a, r, WIRE_EXITED, status);
}

static UNUSED void actor_acknowledged(struct actor *a)
{
	struct start s = { .event = 0 };
	int64_t attempt = 0;

	assert_int_equal(wire_get_text(&a->m, WIRE_HANDLER, s.handler, sizeof(s.handler)), 0);
	assert_int_equal(wire_get_int(&a->m, WIRE_EVENT, &s.event), 0);
	assert_int_equal(wire_get_int(&a->m, WIRE_ATTEMPT, &attempt), 0);
	a->acks++;
	if (a->keeps_all)
		return;
	for (struct run **at = &a->runs; *at; at = &(*at)->next) {
		struct run *r = *at;

		if (!r->ended || r->s.event != s.event || r->s.attempt != attempt ||
		    strcmp(r->s.handler, s.handler) != 0)
			continue;
		*at = r->next;
		free(r);
		return;
	}
}

static UNUSED int actor_on_talk(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct actor *a = arg;
	int passed = -1, r = 0;

	(void)source;
	(void)fd;
	(void)events;
	while (a->fd >= 0 && (r = wire_receive(a->fd, &a->m, &passed)) > 0) {
		if (passed >= 0)
			(void)close(passed);
		passed = -1;
		if (a->m.verb == WIRE_START)
			actor_start(a);
		else if (a->m.verb == WIRE_ACK)
			actor_acknowledged(a);
		else if (a->m.verb == WIRE_RELOAD)
			a->reloads++;
		else if (a->m.verb == WIRE_STOP)
			a->stops++;
	}
	if (r != -EAGAIN)
		actor_hang_up(a);
	return 0;
}

static UNUSED int actor_on_connection(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct actor *a = arg;
	int64_t count = 0;

	(void)source;
	(void)events;
	actor_hang_up(a);
	a->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(a->fd >= 0);
	assert_true(sd_event_add_io(loop_event(a->house->loop), &a->talking, a->fd, EPOLLIN, actor_on_talk,
				    a) >= 0);
	if (a->deaf)
		return 0;
	for (struct run *r = a->runs; r; r = r->next)
		count++;
	wire_begin(&a->m, WIRE_HELLO);
	(void)wire_put_int(&a->m, WIRE_COUNT, count);
	actor_send(a);
	for (struct run *r = a->runs; r; r = r->next)
		actor_tell(a, r);
	return 0;
}

static UNUSED void actor_listen_as(struct actor *a, const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct house *h = a->house;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s.sock", h->directory, name);
	a->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(a->listen_fd >= 0);
	assert_int_equal(bind(a->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(a->listen_fd, 4), 0);
	assert_true(sd_event_add_io(loop_event(h->loop), &a->listening, a->listen_fd, EPOLLIN,
				    actor_on_connection, a) >= 0);
}

static UNUSED void actor_listen(struct house *h, const char *name)
{
	actor_listen_as(&h->actor, name);
}

static UNUSED void actor_stop_listening(struct house *h)
{
	struct actor *a = &h->actor;
	char path[128];

	a->listening = sd_event_source_disable_unref(a->listening);
	if (a->listen_fd >= 0)
		(void)close(a->listen_fd);
	a->listen_fd = -1;
	(void)snprintf(path, sizeof(path), "%s/default.sock", h->directory);
	(void)unlink(path);
}

#endif
