/* collected.c - what a collecting handler gets on standard input. */
#include "dispatch/collected.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/json.h"

#define AROUND 256              /* more than the members around a body need */
#define BLOCK 3000              /* bytes turned into Base64 at a time; divides by 3 */

/* Titles of webhooks and names of sources need no escapes: see CONF_NAME_MAX and event_source_name(). */
static int begin(struct collected *c, const struct event *e, unsigned attempt, bool late)
{
	return buf_printf(&c->text,
			  "%s{\"event\":%" PRId64 ",\"source\":\"%s\",\"attempt\":%u,\"late\":%s,\"webhook\":\"%s\",\"callout\":",
			  c->count ? ",\n" : "[\n", e->id, event_source_name(e->source), attempt,
			  late ? "true" : "false", e->webhook);
}

static int append_base64(struct collected *c, const unsigned char *body, size_t len)
{
	unsigned char text[BLOCK / 3 * 4 + 1];
	int r = buf_append_text(&c->text, "null,\"body_base64\":\"");

	for (size_t at = 0; r == 0 && at < len; at += BLOCK) {
		size_t n = len - at < BLOCK ? len - at : BLOCK;

		r = buf_append(&c->text, text, (size_t)EVP_EncodeBlock(text, body + at, (int)n));
	}
	return r < 0 ? r : buf_append_text(&c->text, "\"}");
}

static int append_body(struct collected *c, const void *body, size_t len)
{
	struct json_value root;
	int r;

	if (json_read(body, len, JSON_DEPTH_MAX, &root, NULL) < 0)
		return append_base64(c, body, len);
	r = buf_append(&c->text, root.at, root.len);
	return r < 0 ? r : buf_append_text(&c->text, "}");
}

int collected_add(struct collected *c, const struct event *e, unsigned attempt, bool late,
		  const void *body, size_t len)
{
	size_t before = c->text.len;
	int r;

	if (c->count > 0 && before + len + AROUND > COLLECT_BYTES)
		return -ENOBUFS;
	r = begin(c, e, attempt, late);
	if (r == 0)
		r = append_body(c, body, len);
	if (r == 0 && c->count > 0 && c->text.len > COLLECT_BYTES)
		r = -ENOBUFS;           /* as Base64 it was larger */
	if (r == 0)
		c->count++;
	else if (c->text.data)
		c->text.data[c->text.len = before] = '\0';
	return r == -ENOBUFS && c->count == 0 ? -ENOMEM : r;
}

int collected_end(struct collected *c)
{
	/* -ENOBUFS cannot be: what may be added leaves room for this. */
	return buf_append_text(&c->text, c->count ? "\n]\n" : "[]\n");
}

void collected_free(struct collected *c)
{
	buf_free(&c->text);
	c->count = 0;
}
