/*
 * guard.c - `calloutctl guard`: one look at the webhooks.
 *
 * In this order, because each step builds on the one before: can the daemon store what would come? Which
 * notices of deactivation has it? What are the webhooks at Autotask? Those that are off are switched on
 * first, so that as little as possible is lost; then what was lost is recovered; and only then
 * it can be said what never came.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "guard.h"

#define STATE_DIRECTORY "/var/lib/calloutd-guard"
#define PATIENCE_MS (2LL * 60 * 1000)
#define LOOKS_MAX 12                    /* of one start, while notices go on coming */
#define EXPIRY_MS (14LL * 24 * 60 * 60 * 1000)
#define QUOTA_PERCENT 75

struct guard_webhook *guard_of(struct guard *g, const struct conf_webhook *w)
{
	return guard_state_webhook(&g->state, w->title);
}

enum exit_status guard_save(struct guard *g, struct error *err)
{
	if (g->dry_run)
		return CTL_OK;
	return guard_state_write(g->state_path, &g->state, err) < 0 ? CTL_NO : CTL_OK;
}

/* ---- the steps ---- */

/* Nobody there: nothing is looked at, and nothing switched on that could not be received. */
static enum exit_status ask_daemon(struct guard *g, struct error *err)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	const struct request q = { .method = "GET", .path = "/health", .timeout_ms = 10000 };

	if (client_ask(g->ctl, &q, &a, err) < 0)
		return CTL_UNREACHABLE;
	g->able = a.status == 200;
	if (!g->able)
		finding(&g->findings, NULL, FINDING_ERROR, "calloutd cannot store callouts: calloutctl status says why");
	return CTL_OK;
}

static void judge_quota(struct guard *g, struct rest *rest)
{
	int64_t used = 0, limit = 0;

	if (rest_quota(rest, &used, &limit, NULL) < 0 || limit <= 0)
		return;
	if (used * 100 / limit >= QUOTA_PERCENT)
		finding(&g->findings, NULL, FINDING_WARNING, "%" PRId64 " of the %" PRId64 " requests that all integrations together may make in "
			"an hour are spent", used, limit);
}

static enum exit_status ask_autotask(struct guard *g, struct error *err)
{
	AUTO(rest) struct rest *rest = NULL;
	enum exit_status status;
	int r;

	if (!g->conf->public_url) {
		(void)error_set(err, EINVAL, "%s: public-url is not set, so no webhook at Autotask can be told to be ours", g->conf->path);
		return CTL_NO;
	}
	r = ctl_rest_quietly(g->ctl, PATIENCE_MS, &rest, err);
	if (r < 0)
		return rest_status(r);
	g->recovery.rest = rest;
	judge_quota(g, rest);
	status = recovery_begin(&g->recovery, err);
	if (status == CTL_OK)
		status = guard_look(g, err);
	if (status == CTL_OK)
		status = guard_recover(g, err);
	if (status == CTL_OK)
		status = guard_sequences(g, err);
	recovery_end(&g->recovery);
	return status;
}

static void judge_certificate(struct guard *g)
{
	const char *url = g->conf->public_url;
	struct certificate c;
	char when[WHEN_LEN];

	if (!url || strncmp(url, "https://", 8) != 0)
		return;
	certificate_look(url, NULL, &c);
	if (*c.trouble && c.reached && g->conf->autotask->ca_file)
		certificate_look(url, g->conf->autotask->ca_file, &c);
	if (!c.reached)
		finding(&g->findings, NULL, FINDING_INFO, "the certificate at %s could not be looked at from here: %s", url, c.trouble);
	else if (c.expires_ms && c.expires_ms <= g->started_ms)
		finding(&g->findings, NULL, FINDING_ERROR, "the certificate at %s expired on %s", url, when_text(c.expires_ms, when));
	else if (*c.trouble)
		finding(&g->findings, NULL, FINDING_WARNING, "the certificate at %s is not accepted here: %s", url, c.trouble);
	else if (c.expires_ms && c.expires_ms < g->started_ms + EXPIRY_MS)
		finding(&g->findings, NULL, FINDING_WARNING, "the certificate at %s expires on %s", url, when_text(c.expires_ms, when));
}

static void on_say(void *arg, const char *webhook, const char *text)
{
	struct guard *g = arg;

	finding(&g->findings, conf_webhook_find(g->conf, webhook), FINDING_WARNING, "%s", text);
}

static void begin_look(struct guard *g)
{
	findings_free(&g->findings);
	memset(g->seen, 0, sizeof(g->seen));
	g->notice_ms = 0;
	g->started_ms = clock_now_ms();
	g->recovery = (struct recovery){ .ctl = g->ctl, .conf = g->conf, .dry_run = g->dry_run, .refetch = true,
					 .progress = isatty(STDERR_FILENO), .say = on_say, .arg = g };
}

/* One look. What stopped it is a finding, too; but for the daemon's absence, of which nobody can be told. */
static enum exit_status look(struct guard *g)
{
	struct error err = { "" };
	enum exit_status status;

	begin_look(g);
	g->state.started_ms = g->started_ms;
	status = guard_save(g, &err);
	if (status == CTL_OK)
		status = ask_daemon(g, &err);
	if (status == CTL_OK)
		status = guard_notices(g, &err);
	if (status != CTL_OK)
		return complain(status, "%s", err.text);
	status = ask_autotask(g, &err);
	if (status != CTL_OK)
		finding(&g->findings, NULL, FINDING_ERROR, "%s", err.text);
	judge_certificate(g);
	if (guard_save(g, &err) != CTL_OK)
		finding(&g->findings, NULL, FINDING_ERROR, "%s", err.text);
	return guard_tell(g, status);
}

/* ---- one at a time, not too often ---- */

static const char *state_directory(char *dst, size_t cap)
{
	const char *directory = getenv("STATE_DIRECTORY");

	if (directory && *directory)
		(void)snprintf(dst, cap, "%.*s", (int)strcspn(directory, ":"), directory);
	else
		(void)snprintf(dst, cap, "%s", STATE_DIRECTORY);
	return dst;
}

/* The directory, locked against another guard; -1 and said. */
static int lock_state(struct guard *g)
{
	char directory[PATH_MAX - 16];
	struct error err = { "" };
	int fd;

	(void)state_directory(directory, sizeof(directory));
	(void)snprintf(g->state_path, sizeof(g->state_path), "%s/guard.json", directory);
	if (directory_make(directory, 0700, &err) < 0) {
		(void)complain(CTL_NO, "%s", err.text);
		return -1;
	}
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (fd >= 0 && errno == EWOULDBLOCK)
		(void)complain(CTL_NO, "another guard is at work in %s", directory);
	else
		(void)complain(CTL_NO, "cannot use %s: %s (sudo helps, or STATE_DIRECTORY=)", directory, strerror(errno));
	auto_fd(&fd);
	return -1;
}

static enum exit_status read_state(struct guard *g)
{
	struct error err = { "" };
	int r;

	guard_state_free(&g->state);
	r = guard_state_read(g->state_path, &g->state, &err);
	if (r == -EBADMSG)
		return complain(CTL_OK, "%s", err.text);
	return r < 0 ? complain(CTL_NO, "%s", err.text) : CTL_OK;
}

static void wait_ms(const struct guard *g, int64_t ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	char span[WHEN_LEN];

	if (!g->ctl->option[OPT_JSON])
		printf("Looked a short while ago: the next look is in %s.\n", span_text(ms, span));
	fflush(stdout);
	(void)nanosleep(&t, NULL);
}

/* *ret_wait_ms: so long, then again, nothing has been done. The lock is not held while waiting. */
static enum exit_status look_once(struct guard *g, int64_t at_most_ms, int64_t *ret_wait_ms)
{
	AUTO(fd) int lock = lock_state(g);
	enum exit_status status;

	*ret_wait_ms = 0;
	if (lock < 0)
		return CTL_NO;
	status = read_state(g);
	if (status != CTL_OK)
		return status;
	guard_state_correct(&g->state, clock_now_ms());
	*ret_wait_ms = guard_wait_ms(&g->state, at_most_ms, clock_now_ms());
	return *ret_wait_ms ? CTL_OK : look(g);
}

/* With --at-most, a notice that came while we looked is looked into when that time is over. */
static enum exit_status look_again_and_again(struct guard *g, int64_t at_most_ms)
{
	enum exit_status status = CTL_OK;
	unsigned looks = 0;
	int64_t wait;

	while (looks < LOOKS_MAX) {
		status = look_once(g, at_most_ms, &wait);
		if (wait) {
			wait_ms(g, wait);
			continue;
		}
		looks++;
		if (!at_most_ms || status == CTL_UNREACHABLE || !guard_noticed_again(g))
			break;
	}
	return status;
}

static bool anything_to_guard(const struct conf *c)
{
	for (size_t i = 0; i < c->webhook_count; i++)
		if (c->webhooks[i].subscribe)
			return true;
	return false;
}

enum exit_status cmd_guard(struct ctl *ctl)
{
	struct guard *g;
	const char *at_most = ctl->option[OPT_AT_MOST];
	const struct conf *c = ctl_conf_needed(ctl);
	enum exit_status status;
	int64_t at_most_ms = 0;

	if (!c)
		return CTL_NO;
	if (at_most && (duration_parse(at_most, &at_most_ms) < 0 || at_most_ms > GUARD_DAY_MS))
		return misused(ctl, "--at-most takes a time like 5m, at most a day, not '%s'", at_most);
	if (!c->autotask)
		return complain(CTL_NO, "%s has no section 'autotask' with username, secret and integration-code: see calloutd.conf(5)",
				c->path);
	g = need(calloc(1, sizeof(*g)));
	g->ctl = ctl;
	g->conf = c;
	g->dry_run = ctl->option[OPT_DRY_RUN];
	status = anything_to_guard(c) ? look_again_and_again(g, at_most_ms) : guard_tell_nothing(g);
	findings_free(&g->findings);
	guard_state_free(&g->state);
	free(g);
	return status;
}
