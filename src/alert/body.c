/* body.c - the JSON object an alert's program gets: calloutd-handler(7) in code. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/writer.h"
#include "private.h"

#define BODY_MAX 16384

/* Where to look and what helps; %s is the object. Arguments are titles or constants. */
static const char *const commands[][3] = {
	[ALERT_FAILED] = { "calloutctl events --state failed --handler %s", "calloutctl retry --failed --handler %s" },
	[ALERT_QUARANTINED] = { "calloutctl events --kind quarantined --webhook %s" },
	[ALERT_DEACTIVATED] = { "calloutctl events --kind deactivated --webhook %s", "calloutctl status" },
	[ALERT_SILENT] = { "calloutctl events --webhook %s", "calloutctl status" },
	[ALERT_BACKLOG] = { "calloutctl events --state waiting --handler %s", "calloutctl status" },
	[ALERT_SIGNATURE] = { "calloutctl verify --webhook %s --request FILE", "journalctl CALLOUT_REASON=signature" },
	[ALERT_DISK] = { "calloutctl status" },
	[ALERT_LOOP] = { "calloutctl events --state waiting --handler %s", "calloutctl status" },
	[ALERT_CONFIG] = { "calloutd --check", "calloutctl reload" },
	[ALERT_PAUSED] = { "calloutctl status", "calloutctl release %s" },
	[ALERT_CERTIFICATE] = { "calloutctl status", "calloutctl reload" },
	[ALERT_UNAVAILABLE] = { "calloutctl status", "journalctl CALLOUT_REASON=unavailable" },
};
_Static_assert(ARRAY_LEN(commands) == ALERT_KIND_COUNT_, "every kind has something to look at");

static bool is_title(const char *text)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	return text[0] && text[strspn(text, set)] == '\0';
}

/* A command about an object that is no title is of no use to anybody who would type it. */
static void write_commands(struct writer *w, const struct alert_row *r)
{
	char text[256];

	writer_array(w, "commands");
	for (size_t i = 0; i < ARRAY_LEN(commands[0]) && commands[r->kind][i]; i++) {
		const char *fmt = commands[r->kind][i], *at = strstr(fmt, "%s");

		if (!at)
			(void)snprintf(text, sizeof(text), "%s", fmt);
		else if (is_title(r->object))
			(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - fmt), fmt, r->object, at + 2);
		else
			continue;
		writer_text(w, NULL, text);
	}
	writer_end(w);
}

int alert_body(const struct alert_row *r, bool test, char **ret_body, size_t *ret_len)
{
	AUTO(writer) struct writer w = WRITER_INIT(BODY_MAX);
	char host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	writer_object(&w, NULL);
	writer_text(&w, "kind", alert_kind_name((enum alert_kind)r->kind));
	writer_text(&w, "object", r->object);
	writer_uint(&w, "level", r->level);
	writer_moment(&w, "since", r->since_ms);
	writer_moment(&w, "last", r->last_ms);
	writer_uint(&w, "count", r->count);
	writer_text(&w, "text", r->text);
	write_commands(&w, r);
	writer_text(&w, "host", host);
	writer_text(&w, "version", CALLOUTD_VERSION);
	writer_bool(&w, "test", test);
	writer_end(&w);
	return writer_take(&w, ret_body, ret_len);
}

int alerts_test_body(enum alert_kind kind, char **ret_body, size_t *ret_len)
{
	struct alert_row r = { .kind = kind, .count = 1, .object = "example" };

	r.since_ms = r.last_ms = clock_now_ms();
	(void)snprintf(r.text, sizeof(r.text), "This is a test of alerts of the kind %s: nothing is wrong, nothing is to be done.",
		       alert_kind_name(kind));
	return alert_body(&r, true, ret_body, ret_len);
}
