/*
 * fill.c - the store alone, without HTTP: a limit of accepting, and stores full of events for other measurements.
 *
 * usage: fill DIRECTORY HANDLER COUNT BATCH waiting|finished
 *
 * Accepts COUNT different events of different records for HANDLER into the store in DIRECTORY (made if
 * missing), BATCH in each transaction; "finished" settles each as done, too. Prints events a second of
 * the accepting alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/store.h"

struct fill {
	struct store *store;
	const char *handler;
	int64_t handler_number, first, count, batch, accepting_us;
	bool finished;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "fill: %s: %s\n", what, strerror(-r));
	return r;
}

static int accept_one(struct fill *f, int64_t n, int64_t *ret_event)
{
	char body[1024], record[CALLOUT_RECORD_MAX];
	uint8_t key[CALLOUT_KEY_LEN];
	struct callout callout;
	struct event_new e;
	struct accepted accepted;
	const char *why;
	int64_t key_ms;
	int len, r;

	len = snprintf(body, sizeof(body), "{\"Action\":\"Update\",\"Guid\":\"11111111-2222-3333-4444-555555555555\",\"EntityType\":\"Ticket\","
		"\"Id\":%" PRId64 ",\"Fields\":{\"Status\":\"1\",\"Title\":\"Ticket %" PRId64 "\",\"Description\":\"%0400d\"},"
		"\"EventTime\":\"2026-01-01T00:00:00Z\",\"SequenceNumber\":%" PRId64 ",\"PersonID\":30691780}", n, n, 0, n);
	r = callout_parse(body, (size_t)len, &callout, &why);
	if (r == 0)
		r = callout_key(&callout, "t", true, body, (size_t)len, key, &key_ms);
	if (r < 0)
		return r;
	e = (struct event_new){ .received_ms = clock_now_ms(), .webhook = "t", .verified = true, .signed_by = 1, .callout = &callout,
		.record = callout_record(&callout, "t", record), .client = "127.0.0.1", .body = body, .body_len = (size_t)len,
		.key = key, .key_ms = clock_now_ms(), .handlers = &f->handler, .handler_count = 1 };
	r = store_accept(f->store, &e, &accepted);
	*ret_event = accepted.event;
	return r;
}

static int settle_one(struct fill *f, int64_t event)
{
	int64_t now = clock_now_ms();
	struct attempt_new a = { .handler = f->handler_number, .event = event, .number = 1, .started_ms = now, .ended_ms = now, .result = ATTEMPT_DONE };
	struct settle t = { .attempt = &a, .handler = f->handler_number, .event = event, .state = DELIVERY_DONE, .attempts = 1,
		.low_water = event + 1, .now_ms = now };
	bool behind;

	return store_settle(f->store, &t, &behind);
}

static int settle_batch(struct fill *f, const int64_t *events, int64_t n)
{
	int r = store_begin(f->store);

	for (int64_t i = 0; r == 0 && i < n; i++)
		r = settle_one(f, events[i]);
	return r == 0 ? store_commit(f->store) : r;
}

static int one_batch(struct fill *f, int64_t done, int64_t *events)
{
	int64_t n = f->count - done < f->batch ? f->count - done : f->batch, start = now_us();
	int r = store_begin(f->store);

	if (r == 0 && !f->handler_number)
		r = store_handler(f->store, f->handler, &f->handler_number);
	for (int64_t i = 0; r == 0 && i < n; i++)
		r = accept_one(f, f->first + done + i, &events[i]);
	if (r == 0)
		r = store_commit(f->store);
	if (r == 0)
		r = store_checkpoint(f->store, false);
	f->accepting_us += now_us() - start;
	if (r == 0 && f->finished)
		r = settle_batch(f, events, n);
	return r;
}

int main(int argc, char **argv)
{
	struct fill f = { 0 };
	struct error err = { "" };
	int64_t *events;
	int r = 0;

	if (argc == 6) {
		f = (struct fill){ .handler = argv[2], .count = atoll(argv[3]), .batch = atoll(argv[4]), .finished = !strcmp(argv[5], "finished") };
		f.first = clock_now_ms() * 1000;
	}
	if (f.count < 1 || f.batch < 1 || (!f.finished && strcmp(argv[5], "waiting") != 0)) {
		fputs("usage: fill DIRECTORY HANDLER COUNT BATCH waiting|finished\n", stderr);
		return 2;
	}
	events = calloc((size_t)f.batch, sizeof(*events));
	if (!events || store_open(&(struct store_options){ .directory = argv[1] }, &f.store, &err) < 0) {
		fprintf(stderr, "fill: %s\n", err.text);
		return 1;
	}
	for (int64_t done = 0; r == 0 && done < f.count; done += f.batch)
		r = one_batch(&f, done, events);
	if (r < 0)
		(void)fail(argv[1], r);
	else
		printf("%.1f\n", (double)f.count / ((double)f.accepting_us / 1e6));
	(void)store_close(f.store);
	free(events);
	return r < 0;
}
