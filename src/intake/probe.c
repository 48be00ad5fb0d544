/*
 * probe.c - test callouts of calloutctl doctor: announced by a random number, sent like any callout, verified
 * like any, told to whoever asks for that number, and never stored.
 *
 * The number is in a header, so that it is recognised also when the body was changed on the way. A header is
 * not signed: a callout that is verified counts as a test only if the number stands in its body, too. So
 * nobody on the way can have a real one taken for a test.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define VALID_MS 60000

/* Blanks, escapes and letters beyond ASCII: what a proxy that reads JSON and writes it anew would change. */
static const char form[] = "{ \"Action\": \"Probe\",  \"Nonce\":\"%s\", \"Text\": \"\\u00e4 \xc3\xa4 \\/ 1.0\" }";

void probes_init(struct probes *p)
{
	(void)pthread_mutex_init(&p->lock, NULL);
}

void probes_release(struct probes *p)
{
	(void)pthread_mutex_destroy(&p->lock);
}

static struct probe *find(struct probes *p, const char *nonce)
{
	int64_t now_ms = clock_mono_ms();

	for (size_t i = 0; i < PROBES_MAX; i++)
		if (p->items[i].until_ms > now_ms && strcmp(p->items[i].nonce, nonce) == 0)
			return &p->items[i];
	return NULL;
}

bool probes_know(struct probes *p, const char *nonce)
{
	bool known;

	(void)pthread_mutex_lock(&p->lock);
	known = find(p, nonce) != NULL;
	(void)pthread_mutex_unlock(&p->lock);
	return known;
}

void intake_probe_body(const char *nonce, char dst[static INTAKE_PROBE_BODY_LEN])
{
	(void)snprintf(dst, INTAKE_PROBE_BODY_LEN, form, nonce);
}

bool probe_is_body(const char *nonce, const char *body, size_t len)
{
	char want[INTAKE_PROBE_BODY_LEN];

	intake_probe_body(nonce, want);
	return strlen(want) == len && memcmp(want, body, len) == 0;
}

/* Who sent it: behind a proxy that is trusted the client it names, else whoever is connected. */
void probes_note(struct probes *p, const struct request *q, unsigned status)
{
	struct intake_arrival a = { .arrived = true, .status = status, .secure = q->conn->listener->secure,
				    .forwarded = q->forwarded, .believed = q->believed, .body_len = q->body.len };
	struct probe *found;

	(void)snprintf(a.client, sizeof(a.client), "%s", q->client);
	(void)snprintf(a.webhook, sizeof(a.webhook), "%s", q->hook ? q->hook->conf->title : "");
	(void)snprintf(a.detail, sizeof(a.detail), "%s", q->detail ? q->detail : "");
	(void)pthread_mutex_lock(&p->lock);
	found = find(p, q->probe);
	if (found)
		found->arrival = a;
	(void)pthread_mutex_unlock(&p->lock);
}

void intake_probe_new(struct intake *in, char ret[static INTAKE_PROBE_LEN + 1])
{
	struct probes *p = &in->probes;
	struct probe *item;

	(void)snprintf(ret, INTAKE_PROBE_LEN + 1, "%08x%08x%08x%08x", random_u32(), random_u32(), random_u32(), random_u32());
	(void)pthread_mutex_lock(&p->lock);
	item = &p->items[p->next++ % PROBES_MAX];
	*item = (struct probe){ .until_ms = clock_mono_ms() + VALID_MS };
	memcpy(item->nonce, ret, sizeof(item->nonce));
	(void)pthread_mutex_unlock(&p->lock);
}

int intake_probe_arrival(struct intake *in, const char *nonce, struct intake_arrival *ret)
{
	struct probes *p = &in->probes;
	struct probe *found;

	(void)pthread_mutex_lock(&p->lock);
	found = find(p, nonce);
	if (found)
		*ret = found->arrival;
	(void)pthread_mutex_unlock(&p->lock);
	return found ? 0 : -ENOENT;
}
