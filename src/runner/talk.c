/*
 * talk.c - the conversation with the daemon.
 *
 * Nothing is queued here but one reply: what is owed is written down on the jobs and told when
 * there is room, and while a reply waits for room nothing more is read. So a daemon that does
 * not read costs no memory, and one that is gone loses nothing.
 *
 * Order on a connection: HELLO, what it counted, then replies and results as they come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "private.h"

#define BATCH 16                /* messages read in one turn of the loop */
#define ENV_MAX 512             /* variables of one START */

/* ---- sending ---- */

/* True when it went out. That a daemon is gone is noticed by reading: its last words come first. */
static bool send_now(struct runner *r, const struct wire_message *m)
{
	int s;

	if (r->talk.deaf)
		return false;
	s = wire_send(r->talk.fd, m, -1);
	if (s < 0 && s != -EAGAIN) {
		r->talk.deaf = true;
		(void)shutdown(r->talk.fd, SHUT_RDWR);
	}
	return s == 0;
}

static bool send_hello(struct runner *r)
{
	struct wire_message *m = &r->talk.out;

	wire_begin(m, WIRE_HELLO);
	(void)wire_put_text(m, WIRE_VERSION, CALLOUTD_VERSION);
	(void)wire_put_int(m, WIRE_COUNT, r->job_count);
	(void)wire_put_int(m, WIRE_OK, 1);
	if (!send_now(r, m))
		return false;
	for (struct job *j = r->jobs; j; j = j->next)
		j->owed = OWED_GREETING;
	r->talk.greeted = true;
	return true;
}

static bool send_owed(struct runner *r, enum owed owed)
{
	for (struct job *j = r->jobs; j; j = j->next) {
		if (j->owed != owed)
			continue;
		job_message(j, &r->talk.out);
		if (!send_now(r, &r->talk.out))
			return false;
		j->owed = OWED_NOTHING;
	}
	return true;
}

static bool send_reply(struct runner *r)
{
	if (r->talk.replying && send_now(r, &r->talk.reply))
		r->talk.replying = false;
	return !r->talk.replying;
}

void talk_flush(struct runner *r)
{
	struct talk *t = &r->talk;
	uint32_t events;
	bool all;

	if (t->fd < 0)
		return;
	all = (t->greeted || send_hello(r)) && send_owed(r, OWED_GREETING) && send_reply(r) &&
	      send_owed(r, OWED_RESULT);
	events = t->replying && !t->deaf ? 0 : EPOLLIN;
	if (!all && !t->deaf)
		events |= EPOLLOUT;
	(void)sd_event_source_set_io_events(t->source, events);
}

bool talk_owes(const struct runner *r)
{
	if (r->talk.fd < 0 || r->talk.deaf)
		return false;
	for (const struct job *j = r->jobs; j; j = j->next)
		if (j->owed != OWED_NOTHING)
			return true;
	return !r->talk.greeted || r->talk.replying;
}

/* ---- receiving ---- */

struct subject {                        /* what most messages are about */
	char handler[CONF_NAME_MAX + 1];
	int64_t event;
	int64_t attempt;
};

static int get_subject(const struct wire_message *m, bool with_attempt, struct subject *s)
{
	if (wire_get_text(m, WIRE_HANDLER, s->handler, sizeof(s->handler)) < 0 ||
	    wire_get_int(m, WIRE_EVENT, &s->event) < 0)
		return -EBADMSG;
	if (with_attempt && (wire_get_int(m, WIRE_ATTEMPT, &s->attempt) < 0 || s->attempt < 0 ||
			     s->attempt > UINT_MAX))
		return -EBADMSG;
	return 0;
}

/* The message's variables as texts: pointers and bytes in one allocation. 0, -EBADMSG or -ENOMEM. */
static int get_env(const struct wire_message *m, char ***ret)
{
	struct wire_field f;
	size_t pos = 0, count = 0, bytes = 0;
	char **env, *at;

	while (wire_next(m, &pos, &f)) {
		if (f.tag != WIRE_ENV)
			continue;
		if (++count > ENV_MAX || memchr(f.data, '\0', f.len) || !memchr(f.data, '=', f.len))
			return -EBADMSG;
		bytes += f.len + 1;
	}
	env = malloc((count + 1) * sizeof(*env) + bytes);
	if (!env)
		return -ENOMEM;
	at = (char *)(env + count + 1);
	count = 0;
	for (pos = 0; wire_next(m, &pos, &f);) {
		if (f.tag != WIRE_ENV)
			continue;
		env[count++] = at;
		memcpy(at, f.data, f.len);
		at += f.len;
		*at++ = '\0';
	}
	env[count] = NULL;
	*ret = env;
	return 0;
}

static void refuse(struct runner *r, const struct order *o, int why, const char *text)
{
	struct wire_message *m = &r->talk.reply;

	wire_begin(m, WIRE_REFUSED);
	(void)wire_put_int(m, WIRE_EVENT, o->event);
	(void)wire_put_text(m, WIRE_HANDLER, o->handler);
	(void)wire_put_int(m, WIRE_ATTEMPT, o->attempt);
	(void)wire_put_int(m, WIRE_REASON, why);
	(void)wire_put_text(m, WIRE_TEXT, text);
	r->talk.replying = true;
}

static int on_start(struct runner *r, const struct wire_message *m, int fd)
{
	AUTO(free) char **env = NULL;
	struct wire_delivery others[WIRE_OTHERS_MAX];
	struct error err = { "" };
	struct subject s;
	struct order o;
	size_t len;
	int e, why;

	if (get_subject(m, true, &s) < 0 || wire_memfd_check(fd, &len) < 0 ||
	    wire_get_others(m, others, &o.other_count) < 0)
		return -EBADMSG;
	e = get_env(m, &env);
	if (e == -EBADMSG)
		return e;
	memcpy(o.handler, s.handler, sizeof(o.handler));
	o.event = s.event;
	o.attempt = (unsigned)s.attempt;
	o.others = others;
	o.env = (const char *const *)env;
	o.body_fd = fd;
	if (e < 0) {
		refuse(r, &o, WIRE_BUSY, "no memory");
		return 0;
	}
	why = job_start(r, &o, &err);
	if (why != 0)
		refuse(r, &o, why, err.text);
	return 0;
}

static int on_ack(struct runner *r, const struct wire_message *m, int fd)
{
	struct subject s;

	(void)fd;
	if (get_subject(m, true, &s) < 0)
		return -EBADMSG;
	job_forget(r, s.handler, s.event, (unsigned)s.attempt);
	return 0;
}

static int on_stop(struct runner *r, const struct wire_message *m, int fd)
{
	struct subject s;

	(void)fd;
	if (get_subject(m, false, &s) < 0)
		return -EBADMSG;
	jobs_stop(r, s.handler, s.event);
	return 0;
}

static int on_reload(struct runner *r, const struct wire_message *m, int fd)
{
	struct error err = { "" };
	int ok = runner_reload(r, &err) == 0;

	(void)m;
	(void)fd;
	wire_begin(&r->talk.reply, WIRE_RELOADED);
	(void)wire_put_int(&r->talk.reply, WIRE_OK, ok);
	(void)wire_put_text(&r->talk.reply, WIRE_TEXT, err.text);
	r->talk.replying = true;
	return 0;
}

static int on_look(struct runner *r, const struct wire_message *m, int fd)
{
	struct subject s;

	(void)fd;
	if (get_subject(m, false, &s) < 0)
		return -EBADMSG;
	look_at(runner_handler(r, s.handler), s.handler, s.event, r->home, &r->talk.reply);
	r->talk.replying = true;
	return 0;
}

static int handle(struct runner *r, const struct wire_message *m, int fd)
{
	static const struct {
		uint16_t verb;
		int (*fn)(struct runner *r, const struct wire_message *m, int fd);
	} verbs[] = {
		{ WIRE_START, on_start },
		{ WIRE_ACK, on_ack },
		{ WIRE_STOP, on_stop },
		{ WIRE_RELOAD, on_reload },
		{ WIRE_LOOK, on_look },
	};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (verbs[i].verb == m->verb)
			return verbs[i].fn(r, m, fd);
	return -EBADMSG;
}

/* The connection is over. */
static void over(struct runner *r, int why)
{
	talk_close(r);
	if (why == -EBADMSG)
		log_err(NULL, "what calls itself the daemon sent something else than the protocol: disconnected");
	else if (why < 0)
		log_warn(NULL, "the connection to the daemon broke: %s", strerror(-why));
	if (r->stream)
		runner_stream_ended(r, why);
}

static int on_io(sd_event_source *s, int sock, uint32_t events, void *arg)
{
	struct runner *r = arg;
	struct talk *t = &r->talk;

	(void)s;
	(void)events;
	talk_flush(r);
	for (int i = 0; i < BATCH && (!t->replying || t->deaf); i++) {
		AUTO(fd) int fd = -1;
		int n = wire_receive(sock, &t->in, &fd);

		if (n == -EAGAIN)
			break;
		if (n > 0)
			n = handle(r, &t->in, fd) < 0 ? -EBADMSG : 1;
		if (n <= 0) {
			over(r, n == -ECONNRESET ? 0 : n);
			return 0;
		}
		talk_flush(r);
	}
	if (r->ending)
		runner_changed(r);
	return 0;
}

int talk_begin(struct runner *r, int fd)
{
	struct talk *t = &r->talk;
	int s;

	if (t->fd >= 0) {
		log_info(NULL, "the daemon has connected anew: its old connection is closed");
		talk_close(r);
	}
	t->fd = fd;
	t->greeted = t->deaf = t->replying = false;
	s = sd_event_add_io(r->event, &t->source, fd, EPOLLIN, on_io, r);
	if (s < 0) {
		talk_close(r);
		return s;
	}
	talk_flush(r);
	return 0;
}

void talk_close(struct runner *r)
{
	r->talk.source = sd_event_source_disable_unref(r->talk.source);
	if (r->talk.fd >= 0)
		(void)close(TAKE_FD(r->talk.fd));       /* the next HELLO counts all jobs anew */
}
