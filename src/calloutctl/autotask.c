/* autotask.c - the way to Autotask's REST API for the commands that take it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "private.h"

/* An hour's requests may be spent: the next hour begins within so long. */
#define PATIENCE_MS (65LL * 60 * 1000)

enum exit_status rest_status(int r)
{
	return r == -ECONNREFUSED || r == -EPROTO || r == -EAGAIN ? CTL_UNREACHABLE : CTL_NO;
}

/* Where the zone is remembered: a service's own state, the user's cache, root's. NULL: nowhere. Returns dst. */
static const char *cache_directory(char *dst, size_t cap)
{
	const char *state = getenv("STATE_DIRECTORY"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n;

	/* Under sudo HOME is the user's, where root must leave nothing. */
	if (state && *state == '/')
		n = snprintf(dst, cap, "%.*s", (int)strcspn(state, ":"), state);
	else if (cache && *cache == '/')
		n = snprintf(dst, cap, "%s/calloutd", cache);
	else if (geteuid() == 0)
		n = snprintf(dst, cap, "/var/cache/calloutd");
	else if (home && *home == '/')
		n = snprintf(dst, cap, "%s/.cache/calloutd", home);
	else
		return NULL;
	if (n < 0 || (size_t)n >= cap || directory_make(dst, 0700, NULL) < 0 || access(dst, W_OK) < 0)
		return NULL;
	return dst;
}

/* One line that is written over by the next, and only for somebody who looks on. */
static void say_waiting(void *arg, const char *why, int64_t ms)
{
	AUTO(buf) struct buf safe = BUF_INIT(TEXT_MAX);
	char span[WHEN_LEN];

	(void)arg;
	if (!isatty(STDERR_FILENO))
		return;
	text_escape(&safe, why, strlen(why));
	fprintf(stderr, "\r\033[K%s: going on in %s\n", safe.data ? safe.data : "", span_text(ms, span));
}

int ctl_rest_quietly(struct ctl *ctl, int64_t patience_ms, struct rest **ret, struct error *err)
{
	const struct conf *c = ctl_conf(ctl);
	struct rest_options o = { .patience_ms = patience_ms, .waiting = say_waiting };

	if (!c)
		return error_set(err, EINVAL, "%s", ctl->conf_error.text);
	if (!c->autotask)
		return error_set(err, EINVAL, "%s has no section 'autotask' with username, secret and integration-code: "
				 "see calloutd.conf(5)", c->path);
	o.autotask = c->autotask;
	o.cache_directory = cache_directory(ctl->cache, sizeof(ctl->cache));
	return rest_open(&o, ret, err);
}

enum exit_status ctl_rest(struct ctl *ctl, struct rest **ret)
{
	struct error err = { "" };
	int r;

	if (!ctl_conf_needed(ctl))
		return CTL_NO;
	r = ctl_rest_quietly(ctl, PATIENCE_MS, ret, &err);
	return r < 0 ? complain(rest_status(r), "%s", err.text) : CTL_OK;
}
