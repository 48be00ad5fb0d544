/* webhook_act.c - `calloutctl webhook delete` and `reactivate`. */
#include "webhook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- delete ---- */

static const char *whose_text(const struct conf *c, const struct remote_webhook *w)
{
	const struct conf_webhook *ours = webhook_whose(c, w);

	if (ours)
		return "it is in the configuration";
	return webhook_orphaned(c, w) ? "an earlier configuration left it behind" : "it is not of this configuration";
}

/* A question before it goes; without a terminal only --yes answers it. */
static enum exit_status confirm(struct ctl *ctl, const struct conf *c, const struct remote_webhook *w)
{
	AUTO(free) char *label = label_text(w);
	AUTO(free) char *name = shown(w->name);
	AUTO(free) char *url = shown(w->url);
	char answer[16] = "";

	if (ctl->option[OPT_YES] || ctl->option[OPT_DRY_RUN])
		return CTL_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return misused(ctl, "this deletes a webhook at Autotask: say --yes where nobody can be asked");
	fprintf(stderr, "Delete %s \"%s\" (%s; %s) at Autotask? [y/N] ", label, name, url, whose_text(c, w));
	if (!fgets(answer, sizeof(answer), stdin) || (*answer != 'y' && *answer != 'Y'))
		return complain(CTL_NO, "nothing was deleted");
	return CTL_OK;
}

/* What became of a delete whose answer was lost is looked up. */
static int delete_remote(const struct sides *s, const struct remote_webhook *w, struct error *err)
{
	AUTO(remote_webhook) struct remote_webhook now = { .kind = w->kind };
	struct error ignored;
	char path[128];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%" PRId64, w->kind->webhooks, w->id);
	r = rest_delete(s->rest, path, err);
	if (r == 0 || r == -ENOENT)
		return 0;
	if (r != -ECONNREFUSED && r != -EPROTO)
		return r;
	return remote_webhook_read(s->rest, w->kind, w->id, &now, &ignored) == -ENOENT ? 0 : r;
}

static void tell_deleted(const struct ctl *ctl, const struct conf *c, const struct remote_webhook *w)
{
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);
	AUTO(free) char *label = label_text(w);
	bool dry = ctl->option[OPT_DRY_RUN];

	if (!ctl->option[OPT_JSON]) {
		printf(dry ? "would delete %s\n" : "%s is deleted\n", label);
		return;
	}
	writer_object(&out, NULL);
	writer_bool(&out, "deleted", !dry);
	write_remote(&out, c, w);
	writer_end(&out);
	print_written(&out);
}

enum exit_status cmd_webhook_delete(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	AUTO(remote_webhook) struct remote_webhook w = { .kind = NULL };
	struct error err = { "" };
	enum exit_status status = sides_open(ctl, &s);
	int r = 0;

	if (status == CTL_OK)
		status = find_remote(&s, ctl->args[0], &w);
	if (status == CTL_OK)
		status = confirm(ctl, s.conf, &w);
	if (status != CTL_OK)
		return status;
	if (!ctl->option[OPT_DRY_RUN])
		r = delete_remote(&s, &w, &err);
	if (r < 0)
		return failed(r, &err);
	tell_deleted(ctl, s.conf, &w);
	return CTL_OK;
}

/* ---- reactivate ---- */

/* One webhook of ours, and whether something was to be done. */
static enum exit_status reactivate(struct ctl *ctl, const struct sides *s, const struct conf_webhook *w,
				   struct remote_webhook *ret, bool *ret_changed)
{
	struct error err = { "" };
	enum exit_status status;
	int r;

	if (!w->subscribe->active)
		return complain(CTL_NO, "%s: webhook \"%s\": the configuration says active = false; change that, then apply",
				w->where, w->title);
	status = find_remote(s, w->title, ret);
	if (status != CTL_OK)
		return status;
	*ret_changed = !ret->active || !ret->ready;
	if (!*ret_changed || ctl->option[OPT_DRY_RUN])
		return CTL_OK;
	r = remote_webhook_activate(s->rest, ret, true, &err);
	if (r < 0)
		return complain(rest_status(r), "webhook \"%s\": %s", w->title, err.text);
	ret->active = ret->ready = true;
	return CTL_OK;
}

static void tell_reactivated(const struct ctl *ctl, const struct conf *c, const struct conf_webhook *w,
			     const struct remote_webhook *now, bool changed, struct writer *out)
{
	AUTO(free) char *label = label_text(now);
	bool dry = ctl->option[OPT_DRY_RUN];

	writer_object(out, NULL);
	write_remote(out, c, now);
	writer_bool(out, "changed", changed && !dry);
	writer_end(out);
	if (ctl->option[OPT_JSON])
		return;
	if (!changed)
		printf("%s: %s is active and ready already\n", w->title, label);
	else if (dry)
		printf("%s: would switch on %s\n", w->title, label);
	else
		printf("%s: %s is switched on, active and ready. What happened meanwhile was not called out: "
		       "calloutctl recover --refetch --since WHEN fetches it.\n", w->title, label);
}

static enum exit_status reactivate_all(struct ctl *ctl, const struct sides *s, const struct chosen *chosen,
				       struct writer *out)
{
	enum exit_status status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < chosen->count; i++) {
		AUTO(remote_webhook) struct remote_webhook now = { .kind = NULL };
		bool changed = false;

		/* Not named: those that are off on purpose are none of this command's business. */
		if (!ctl->arg_count && !chosen->items[i]->subscribe->active)
			continue;
		status = reactivate(ctl, s, chosen->items[i], &now, &changed);
		if (status == CTL_OK)
			tell_reactivated(ctl, s->conf, chosen->items[i], &now, changed, out);
	}
	return status;
}

enum exit_status cmd_webhook_reactivate(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	AUTO(chosen) struct chosen chosen = { .items = NULL };
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);
	enum exit_status status = choose_webhooks(ctl, &chosen);

	if (status == CTL_OK)
		status = sides_open(ctl, &s);
	if (status != CTL_OK)
		return status;
	writer_object(&out, NULL);
	writer_array(&out, "webhooks");
	status = reactivate_all(ctl, &s, &chosen, &out);
	writer_end(&out);
	writer_end(&out);
	if (ctl->option[OPT_JSON])
		print_written(&out);
	return status;
}
