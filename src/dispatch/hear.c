/* hear.c - what a runner says, checked and told to whoever listens. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "link_private.h"

#define MOMENT_MAX_MS INT64_C(253402300799999)  /* the end of the year 9999 */

struct subject {
	char handler[CONF_NAME_MAX + 1];
	int64_t event, attempt;
};

static bool read_subject(const struct wire_message *m, struct subject *s)
{
	return wire_get_text(m, WIRE_HANDLER, s->handler, sizeof(s->handler)) == 0 &&
	       wire_get_int(m, WIRE_EVENT, &s->event) == 0 &&
	       wire_get_int(m, WIRE_ATTEMPT, &s->attempt) == 0 &&
	       s->attempt >= 0 && s->attempt <= UINT32_MAX;
}

static int64_t number_or(const struct wire_message *m, enum wire_tag tag, int64_t otherwise)
{
	int64_t n;

	return wire_get_int(m, tag, &n) == 0 ? n : otherwise;
}

/* Runners run beside strangers' programs: what they say is computed with only within bounds. */
static int64_t number_within(const struct wire_message *m, enum wire_tag tag, int64_t min, int64_t max,
			     int64_t otherwise)
{
	int64_t n = number_or(m, tag, otherwise);

	return n >= min && n <= max ? n : otherwise;
}

static int64_t moment_or(const struct wire_message *m, enum wire_tag tag, int64_t otherwise)
{
	return number_within(m, tag, 0, MOMENT_MAX_MS, otherwise);
}

static void read_text(const struct wire_message *m, enum wire_tag tag, char *dst, size_t cap)
{
	if (wire_get_text(m, tag, dst, cap) < 0)
		dst[0] = '\0';
}

static void becomes_ready(struct link *l)
{
	l->phase = PHASE_READY;
	l->backoff_ms = BACKOFF_FIRST_MS;
	l->wanted = false;
	(void)snprintf(l->status, sizeof(l->status), "connected");
	l->cb.ready(l->cb.arg);
}

static int on_hello(struct link *l)
{
	int64_t count = number_or(&l->in, WIRE_COUNT, -1);

	if (l->phase != PHASE_GREETING || count < 0)
		return -EBADMSG;
	l->phase = PHASE_TELLING;
	l->left = count;
	l->looks = number_or(&l->in, WIRE_OK, 0) == 1;
	if (count == 0)
		becomes_ready(l);
	return 0;
}

/* One of those HELLO counted, or news after that. */
static void told(struct link *l, uint64_t generation)
{
	if (generation == l->generation && l->phase == PHASE_TELLING && --l->left == 0)
		becomes_ready(l);
}

static int on_running(struct link *l)
{
	struct wire_delivery others[WIRE_OTHERS_MAX];
	uint64_t generation = l->generation;
	struct link_running r;
	struct subject s;

	if (l->phase < PHASE_TELLING || !read_subject(&l->in, &s) ||
	    wire_get_others(&l->in, others, &r.other_count) < 0)
		return -EBADMSG;
	r.handler = s.handler;
	r.event = s.event;
	r.attempt = (unsigned)s.attempt;
	r.others = others;
	r.started_ms = moment_or(&l->in, WIRE_STARTED_MS, 0);
	l->cb.running(l->cb.arg, &r);
	told(l, generation);
	return 0;
}

static void read_output(const struct wire_message *m, struct link_result *r)
{
	struct wire_field f;
	size_t pos = 0;

	while (wire_next(m, &pos, &f)) {
		size_t len = f.len < WIRE_OUTPUT_MAX ? f.len : WIRE_OUTPUT_MAX;

		if (f.tag == WIRE_STDOUT) {
			r->out = f.data;
			r->out_len = len;
		} else if (f.tag == WIRE_STDERR) {
			r->err = f.data;
			r->err_len = len;
		}
	}
	r->out_total = (uint64_t)number_within(m, WIRE_STDOUT_TOTAL, (int64_t)r->out_len, INT64_MAX, (int64_t)r->out_len);
	r->err_total = (uint64_t)number_within(m, WIRE_STDERR_TOTAL, (int64_t)r->err_len, INT64_MAX, (int64_t)r->err_len);
}

static int on_result(struct link *l)
{
	struct wire_delivery others[WIRE_OTHERS_MAX];
	uint64_t generation = l->generation;
	int64_t outcome = number_or(&l->in, WIRE_OUTCOME, 0);
	struct link_result r = { .handler = NULL };
	struct subject s;

	if (l->phase < PHASE_TELLING || !read_subject(&l->in, &s) || outcome <= 0 || outcome > INT32_MAX ||
	    wire_get_others(&l->in, others, &r.other_count) < 0)
		return -EBADMSG;
	r.others = others;
	r.handler = s.handler;
	r.event = s.event;
	r.attempt = (unsigned)s.attempt;
	r.started_ms = moment_or(&l->in, WIRE_STARTED_MS, 0);
	r.ended_ms = moment_or(&l->in, WIRE_ENDED_MS, r.started_ms);
	r.outcome = (enum wire_outcome)outcome;
	r.status = (int)number_within(&l->in, WIRE_STATUS, 0, INT32_MAX, -1);
	read_output(&l->in, &r);
	l->cb.result(l->cb.arg, &r);
	told(l, generation);
	return 0;
}

static int on_refused(struct link *l)
{
	char text[256];
	struct subject s;

	if (!read_subject(&l->in, &s))
		return -EBADMSG;
	read_text(&l->in, WIRE_TEXT, text, sizeof(text));
	l->cb.refused(l->cb.arg, s.handler, s.event, (unsigned)s.attempt,
		      (enum wire_refusal)number_or(&l->in, WIRE_REASON, WIRE_BUSY), text);
	return 0;
}

static int on_reloaded(struct link *l)
{
	char text[512];

	read_text(&l->in, WIRE_TEXT, text, sizeof(text));
	l->cb.reloaded(l->cb.arg, number_or(&l->in, WIRE_OK, 0) == 1, text);
	return 0;
}

static int on_looked(struct link *l)
{
	struct wire_found found[WIRE_FOUND_MAX];
	char handler[CONF_NAME_MAX + 1];
	int count = wire_get_found(&l->in, found);
	int64_t number;

	if (count < 0 || wire_get_text(&l->in, WIRE_HANDLER, handler, sizeof(handler)) < 0 ||
	    wire_get_int(&l->in, WIRE_EVENT, &number) < 0)
		return -EBADMSG;
	if (l->cb.looked)
		l->cb.looked(l->cb.arg, &(struct link_looked){
			.handler = handler, .number = number, .found = found, .count = (size_t)count,
			.uid = number_within(&l->in, WIRE_STATUS, 0, UINT32_MAX, -1) });
	return 0;
}

int link_hear(struct link *l)
{
	switch (l->in.verb) {
	case WIRE_HELLO:
		return on_hello(l);
	case WIRE_RUNNING:
		return on_running(l);
	case WIRE_RESULT:
		return on_result(l);
	case WIRE_REFUSED:
		return on_refused(l);
	case WIRE_RELOADED:
		return on_reloaded(l);
	case WIRE_LOOKED:
		return on_looked(l);
	default:
		return -EBADMSG;        /* a verb of our own */
	}
}
