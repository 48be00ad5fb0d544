/* probe.c - test callouts of calloutctl doctor: announcing one, and asking whether it came. */
#include <errno.h>
#include <string.h>

#include "private.h"

struct asking {
	struct intake *intake;
	char nonce[INTAKE_PROBE_LEN + 1];
	struct intake_arrival arrival;
	int result;
};

/* On the main thread, where intake is known to be there. */
static void announce(void *arg)
{
	struct asking *k = arg;

	intake_probe_new(k->intake, k->nonce);
}

static void look(void *arg)
{
	struct asking *k = arg;

	k->result = intake_probe_arrival(k->intake, k->nonce, &k->arrival);
}

void post_probe(struct request *q)
{
	struct asking k = { .intake = q->admin->intake };
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	char body[INTAKE_PROBE_BODY_LEN];
	int r = admin_ask(q->admin, announce, &k);

	if (r < 0) {
		request_failed(q, r);
		return;
	}
	request_log(q, 0, NULL, "probe: a test callout is announced");
	intake_probe_body(k.nonce, body);
	writer_object(&w, NULL);
	writer_text(&w, "probe", k.nonce);
	writer_text(&w, "header", INTAKE_PROBE_HEADER);
	writer_text(&w, "body", body);
	writer_end(&w);
	answer_json(&q->answer, &w);
}

static void write_arrival(struct writer *w, const struct intake_arrival *a)
{
	writer_bool(w, "arrived", a->arrived);
	if (!a->arrived)
		return;
	writer_uint(w, "status", a->status);
	writer_text(w, "detail", a->detail[0] ? a->detail : NULL);
	writer_text(w, "webhook", a->webhook[0] ? a->webhook : NULL);
	writer_text(w, "client", a->client[0] ? a->client : NULL);
	writer_bool(w, "secure", a->secure);
	writer_bool(w, "forwarded", a->forwarded);
	writer_bool(w, "believed", a->believed);
	writer_uint(w, "body_bytes", a->body_len);
}

void get_probe(struct request *q)
{
	struct asking k = { .intake = q->admin->intake };
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	int r;

	if (strlen(q->match.name) != INTAKE_PROBE_LEN) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no probe of that number");
		return;
	}
	memcpy(k.nonce, q->match.name, sizeof(k.nonce));
	r = admin_ask(q->admin, look, &k);
	if (r < 0) {
		request_failed(q, r);
		return;
	}
	if (k.result < 0) {
		answer_error(&q->answer, MHD_HTTP_NOT_FOUND, "there is no probe of that number, or its minute is over");
		return;
	}
	writer_object(&w, NULL);
	writer_text(&w, "probe", k.nonce);
	write_arrival(&w, &k.arrival);
	writer_end(&w);
	answer_json(&q->answer, &w);
}
