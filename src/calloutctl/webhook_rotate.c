/*
 * webhook_rotate.c - `calloutctl webhook rotate-secret`: a new secret without losing a callout.
 *
 * What a callout is signed with changes at a moment nobody knows exactly, so the daemon accepts the old and the new
 * secret before Autotask hears of the new one, and until the next rotation. The files say how far a
 * rotation has come; one that was cut at any point is finished by the next run:
 *
 *   FIRST.next       first file   second file   daemon        Autotask
 *   -                old          any           old           old          nothing has begun
 *   new              old          any           old           old          1 the new secret is on disk
 *   new              old          old           old           old          2 the old one has a second place
 *   new              new          old           old           old          3
 *   new              new          old           new, old      old          4 reloaded
 *   new              new          old           new, old      new          5 Autotask has it
 *   -                new          old           new, old      new          done
 *
 * Wherever it is cut, what is on disk includes what Autotask signs with, so a daemon that starts just then is right, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "webhook.h"

#define NEW_SECRET_LEN WEBHOOK_SECRET_MAX

struct rotation {
	struct ctl *ctl;
	struct sides *sides;
	const struct conf_webhook *w;
	char *first, *second, *pending;         /* files, symbolic links resolved */
	struct secret *now, *next;              /* in the first file, and what is to be there */
	bool resumed;
	struct remote_webhook remote;
	int lock;
};

static void rotation_free(struct rotation *r)
{
	free(r->first);
	free(r->second);
	free(r->pending);
	(void)secret_free(r->now);
	(void)secret_free(r->next);
	remote_webhook_free(&r->remote);
	if (r->lock >= 0)
		(void)close(r->lock);
}

static inline void auto_rotation(struct rotation *r)
{
	rotation_free(r);
}

/* ---- where the secrets are ---- */

/* Where a file really is, also one that is yet to be made. */
static char *resolved(const char *path)
{
	char *full = realpath(path, NULL);

	return full ? full : need(strdup(path));
}

/* Complains. */
static bool two_files(struct rotation *r)
{
	const struct conf_list *secrets = &r->w->secrets;
	const char *first = file_named(secrets->items[0]);
	const char *second = secrets->count > 1 ? file_named(secrets->items[1]) : NULL;

	if (!first) {
		(void)complain(CTL_NO, "%s: webhook \"%s\": its first secret is not a \"file:\", so it cannot be replaced here; "
			       "write secrets = { \"file:/etc/calloutd/secrets/%s\", \"file:/etc/calloutd/secrets/%s.old\" }, "
			       "then calloutctl reload", r->w->where, r->w->title, r->w->title, r->w->title);
		return false;
	}
	if (!second) {
		(void)complain(CTL_NO, "%s: webhook \"%s\": the old secret needs a place while Autotask may still sign with it: "
			       "write secrets = { \"file:%s\", \"file:%s.old\" }, and run it again; the second file is made then",
			       r->w->where, r->w->title, first, first);
		return false;
	}
	r->first = resolved(first);
	r->second = resolved(second);
	r->pending = text_printf("%s.next", r->first);
	if (strcmp(r->first, r->second) != 0)
		return true;
	(void)complain(CTL_NO, "%s: webhook \"%s\": both of its secrets are the same file %s", r->w->where, r->w->title, r->first);
	return false;
}

static bool uses(const struct conf_webhook *w, const char *file)
{
	bool found = false;

	for (size_t i = 0; !found && i < w->secrets.count; i++) {
		const char *path = file_named(w->secrets.items[i]);
		AUTO(free) char *full = path ? resolved(path) : NULL;

		found = full && strcmp(full, file) == 0;
	}
	return found;
}

/* Another webhook's callouts are still signed with what this would replace. */
static enum exit_status not_shared(const struct rotation *r)
{
	const struct conf *c = r->sides->conf;

	for (size_t i = 0; i < c->webhook_count; i++) {
		const struct conf_webhook *w = &c->webhooks[i];

		if (w != r->w && (uses(w, r->first) || uses(w, r->second)))
			return complain(CTL_NO, "webhook \"%s\" has a secret file in common with \"%s\" (%s, %s); give each its own first",
					w->title, r->w->title, r->first, r->second);
	}
	return CTL_OK;
}

static enum exit_status load(const char *file, struct secret **ret)
{
	AUTO(free) char *reference = text_printf("file:%s", file);
	struct error err = { "" };
	int r = secret_load(reference, ret, &err);

	return r < 0 ? complain(CTL_NO, "%s%s", err.text, r == -EACCES ? " (use sudo)" : "") : CTL_OK;
}

/* One rotation at a time: the directory itself is the lock. */
static enum exit_status lock_files(struct rotation *r)
{
	AUTO(free) char *directory = need(strdup(r->first));

	*(strrchr(directory, '/') + 1) = '\0';
	r->lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->lock < 0)
		return complain(CTL_NO, "cannot open %s: %s", directory, strerror(errno));
	if (flock(r->lock, LOCK_EX | LOCK_NB) < 0)
		return complain(CTL_NO, "a secret in %s is being rotated just now; wait for that", directory);
	return CTL_OK;
}

static struct secret *new_secret(void)
{
	struct secret *s = need(calloc(1, sizeof(*s)));

	random_text((char *)s->bytes, NEW_SECRET_LEN, RANDOM_64);
	s->len = NEW_SECRET_LEN;
	return s;
}

static bool equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static enum exit_status read_files(struct rotation *r)
{
	struct error err = { "" };
	enum exit_status status = load(r->first, &r->now);

	if (status != CTL_OK)
		return status;
	r->resumed = access(r->pending, F_OK) == 0;
	if (!r->resumed) {
		r->next = new_secret();
		return CTL_OK;
	}
	status = load(r->pending, &r->next);
	if (status == CTL_OK && webhook_key_check(r->next, r->pending, &err) < 0)
		status = complain(CTL_NO, "%s; remove it to begin anew", err.text);
	return status;
}

/* ---- the daemon ---- */

/* Its secrets must come from the files that are about to change; whether it likes them all, its reload tells. */
static enum exit_status same_configuration(struct rotation *r)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	struct json_value conf;
	enum exit_status status = client_get(r->ctl, "/v1/status", &a);

	if (status != CTL_OK)
		return complain(status, "the secret stays as it is: calloutd must accept the new one before Autotask signs with it");
	if (!member(&a.root, "configuration", &conf))
		return CTL_OK;

	AUTO(free) char *path = member_text(&conf, "path");
	AUTO(free) char *theirs = resolved(path), *ours = resolved(r->sides->conf->path);

	if (*path && strcmp(theirs, ours) != 0)
		return complain(CTL_NO, "calloutd reads %s, this command %s: name calloutd's with --config", path, r->sides->conf->path);
	return CTL_OK;
}

/* ---- the steps ---- */

static enum exit_status put(const char *file, const char *like, const struct secret *s)
{
	char text[SECRET_MAX + 2];
	int r;

	memcpy(text, s->bytes, s->len);
	text[s->len] = '\n';
	r = file_replace_like(file, access(file, F_OK) == 0 ? file : like, text, s->len + 1);
	explicit_bzero(text, sizeof(text));
	return r < 0 ? complain(CTL_NO, "cannot write %s: %s%s", file, strerror(-r),
				r == -EACCES || r == -EPERM ? " (use sudo)" : "") : CTL_OK;
}

static enum exit_status step_begin(struct rotation *r)
{
	return r->resumed ? CTL_OK : put(r->pending, r->first, r->next);
}

static enum exit_status step_keep(struct rotation *r)
{
	return equal(r->now, r->next) ? CTL_OK : put(r->second, r->first, r->now);
}

static enum exit_status step_put(struct rotation *r)
{
	return equal(r->now, r->next) ? CTL_OK : put(r->first, r->first, r->next);
}

static enum exit_status step_reload(struct rotation *r)
{
	const struct buf nothing = BUF_INIT(0);
	AUTO(answer) struct answer a = ANSWER_INIT;

	return client_post(r->ctl, "/v1/reload", &nothing, &a);
}

static enum exit_status step_send(struct rotation *r)
{
	struct error err = { "" };
	int q = webhook_send_key(r->sides->rest, &r->remote, r->next, &err);

	return q < 0 ? failed(q, &err) : CTL_OK;
}

static enum exit_status step_end(struct rotation *r)
{
	return unlink(r->pending) == 0 || errno == ENOENT ? CTL_OK
		: complain(CTL_NO, "cannot remove %s: %s", r->pending, strerror(errno));
}

static const struct {
	enum exit_status (*run)(struct rotation *r);
	const char *text;
} steps[] = {
	{ step_begin, "put a new secret aside" },
	{ step_keep, "keep the old secret as the second one" },
	{ step_put, "make the new secret the first one" },
	{ step_reload, "have calloutd accept both" },
	{ step_send, "give Autotask the new secret" },
	{ step_end, "forget what was put aside" },
};

/* ---- the command ---- */

/* Everything that can be wrong is found before anything is changed. */
static enum exit_status prepare(struct rotation *r)
{
	enum exit_status status;

	if (!two_files(r))
		return CTL_NO;
	status = not_shared(r);
	if (status == CTL_OK)
		status = lock_files(r);
	if (status == CTL_OK)
		status = read_files(r);
	if (status == CTL_OK)
		status = same_configuration(r);
	if (status == CTL_OK)
		status = sides_open(r->ctl, r->sides);
	return status != CTL_OK ? status : find_remote(r->sides, r->w->title, &r->remote);
}

static enum exit_status run_steps(struct rotation *r)
{
	enum exit_status status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < ARRAY_LEN(steps); i++) {
		status = steps[i].run(r);
		if (status != CTL_OK)
			return complain(status, "the rotation of \"%s\" stopped before: %s. Every secret in use is accepted; "
					"run it again to finish", r->w->title, steps[i].text);
		if (!r->ctl->option[OPT_JSON])
			printf("%s: %s: done\n", r->w->title, steps[i].text);
		(void)fflush(stdout);
	}
	return status;
}

static void tell(const struct rotation *r, enum exit_status status)
{
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);
	AUTO(free) char *label = label_text(&r->remote);
	bool dry = r->ctl->option[OPT_DRY_RUN];

	if (!r->ctl->option[OPT_JSON]) {
		if (status == CTL_OK && !dry)
			printf("%s: %s signs with the new secret; the old one is accepted until the next rotation\n",
			       r->w->title, label);
		return;
	}
	writer_object(&out, NULL);
	writer_text(&out, "webhook", r->w->title);
	writer_text(&out, "entity", r->remote.kind->entity);
	writer_int(&out, "id", r->remote.id);
	writer_bool(&out, "rotated", status == CTL_OK && !dry);
	writer_bool(&out, "resumed", r->resumed);
	writer_array(&out, "steps");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		writer_text(&out, NULL, steps[i].text);
	writer_end(&out);
	writer_end(&out);
	print_written(&out);
}

enum exit_status cmd_webhook_rotate(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	AUTO(chosen) struct chosen chosen = { .items = NULL };
	AUTO(rotation) struct rotation r = { .ctl = ctl, .sides = &s, .lock = -1 };
	enum exit_status status = choose_webhooks(ctl, &chosen);

	if (status != CTL_OK)
		return status;
	s.conf = ctl_conf_needed(ctl);
	r.w = chosen.items[0];
	status = prepare(&r);
	if (status != CTL_OK)
		return status;
	for (size_t i = 0; ctl->option[OPT_DRY_RUN] && !ctl->option[OPT_JSON] && i < ARRAY_LEN(steps); i++)
		printf("%s: would %s\n", r.w->title, steps[i].text);
	if (!ctl->option[OPT_DRY_RUN])
		status = run_steps(&r);
	tell(&r, status);
	return status;
}
