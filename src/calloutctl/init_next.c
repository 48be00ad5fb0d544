/* init_next.c - `calloutctl init`: what was made, and the commands that come next, each as it can be typed. */
#include <string.h>
#include <unistd.h>

#include "init.h"

/* A report in the making: for people as it goes, or JSON. */
struct report {
	const struct init *in;
	const char *sudo;               /* "sudo ", or "" for root's own shell */
	const char *config;             /* " --config FILE" where the programs would look elsewhere, or "" */
	struct writer json;
	unsigned steps;
	bool open;                      /* a step's commands are being written */
};

static bool as_json(const struct report *r)
{
	return r->in->ctl->option[OPT_JSON] != NULL;
}

static void end_step(struct report *r)
{
	if (r->open && as_json(r)) {
		writer_end(&r->json);
		writer_end(&r->json);
	}
	r->open = false;
}

__attribute__((format(printf, 2, 3)))
static void step(struct report *r, const char *fmt, ...)
{
	AUTO(free) char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = text_vprintf(fmt, args);
	va_end(args);
	end_step(r);
	r->open = true;
	if (!as_json(r)) {
		printf("%s%u. %s\n", r->steps ? "\n" : "\nNext:\n\n", r->steps + 1, text);
	} else {
		writer_object(&r->json, NULL);
		writer_text(&r->json, "text", text);
		writer_array(&r->json, "commands");
	}
	r->steps++;
}

__attribute__((format(printf, 2, 3)))
static void command(struct report *r, const char *fmt, ...)
{
	AUTO(free) char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = text_vprintf(fmt, args);
	va_end(args);
	if (as_json(r))
		writer_text(&r->json, NULL, text);
	else
		printf("       %s\n", text);
}

/* ---- the steps ---- */

/* A socket unit's name for what `listen` calls an address. */
static const char *stream(const char *listen)
{
	if (strncmp(listen, "unix:", 5) == 0)
		return listen + 5;
	return strncmp(listen, "[::]:", 5) == 0 ? listen + 5 : listen;
}

static void tell_start_service(struct report *r)
{
	const char *listen = r->in->listen;

	step(r, "Check it, and start calloutd:");
	if (strcmp(listen, "127.0.0.1:9080") != 0) {
		command(r, "printf '[Socket]\\nListenStream=\\nListenStream=%s\\n' | %sinstall -D -m 0644 /dev/stdin "
			"/etc/systemd/system/calloutd.socket.d/port.conf", stream(listen), r->sudo);
		command(r, "%ssystemctl daemon-reload", r->sudo);
	}
	command(r, "%scalloutd --check", r->sudo);
	command(r, "%ssystemctl enable --now calloutd.socket calloutd-admin.socket calloutd-runner@default.socket calloutd.service",
		r->sudo);
}

static void tell_start(struct report *r)
{
	if (r->in->add) {
		step(r, "Check it, and put it in force:");
		command(r, "%scalloutd%s --check", r->sudo, r->config);
		command(r, "%scalloutctl%s reload", r->sudo, r->config);
	} else if (r->in->standard) {
		tell_start_service(r);
	} else {
		step(r, "Check it, and start calloutd (it stays in the foreground; go on in another\n   terminal):");
		command(r, "calloutd%s --check", r->config);
		command(r, "calloutd%s", r->config);
	}
}

static void sample(struct report *r, const char *via)
{
	const struct init_webhook *w = &r->in->webhooks[0];

	command(r, "echo '{\"Action\":\"Create\",\"EntityType\":\"%s\",\"Id\":1,\"Fields\":{}}' | %scalloutctl%s send - --webhook %s%s%s",
		w->kind->entity, r->sudo, r->config, w->title, *via ? " --via " : "", via);
}

static void tell_try(struct report *r)
{
	step(r, "Send yourself a signed callout, and see what has become of it:");
	sample(r, "");
	command(r, "%scalloutctl%s events", r->sudo, r->config);
}

static const char *public_url(const struct report *r)
{
	const char *url = r->in->conf ? r->in->conf->public_url : r->in->public_url;

	return url ? url : "";
}

static void tell_reach(struct report *r)
{
	const char *url = public_url(r);

	if (r->in->add)
		return;
	if (!*url) {
		step(r, "Once you know the https:// address at which Autotask will reach this machine,\n"
		     "   write it into %s as public-url, and then:", r->in->main);
		command(r, "%scalloutctl%s reload", r->sudo, r->config);
		return;
	}
	if (*r->in->certificate)
		step(r, "Once the name leads here, send one the whole way (a repetition runs nothing):");
	else
		step(r, "Have the proxy pass /autotask/ on to %s (README.md, \"Reachable\", has\n"
		     "   the lines for nginx and Caddy), then send one the whole way (a repetition runs\n   nothing):", r->in->listen);
	sample(r, url);
}

/* With an API user. */
static void tell_apply(struct report *r)
{
	const char *directory = r->in->directory;
	const char *group = r->in->standard ? " -g calloutd-guard -m 0640" : " -m 0600";

	step(r, "Have calloutctl make the webhook%s at Autotask:%s", r->in->count == 1 ? "" : "s",
	     r->in->add ? "" : " paste the API user's secret,\n   then the integration code, "
	     "each followed by Enter and Ctrl-D; see what would be\n   done; do it.");
	for (size_t i = 0; !r->in->add && i < 2; i++)
		command(r, "%sinstall%s /dev/stdin %s/api/%s", r->sudo, group, directory, i ? "code" : "secret");
	command(r, "%scalloutctl%s webhook plan", r->sudo, r->config);
	command(r, "%scalloutctl%s webhook apply", r->sudo, r->config);
	if (r->in->standard && !r->in->add)
		command(r, "%ssystemctl enable --now calloutd-guard.timer calloutd-guard.path", r->sudo);
}

/* Without: what to enter there. */
static void tell_by_hand(struct report *r)
{
	const char *url = public_url(r);

	for (size_t i = 0; i < r->in->count; i++) {
		const struct init_webhook *w = &r->in->webhooks[i];

		step(r, "Make a webhook for %s at Autotask.%s\n"
		     "       WebhookUrl       %s%s\n       DeactivationUrl  %s%s\n       events           %s%s%s\n"
		     "       fields           %s\n       SecretKey        what this prints:", w->kind->entity,
		     i ? "" : " (Or fill in the configuration's\n   section autotask, and `calloutctl webhook apply` does it.)",
		     *url ? url : "https://ADDRESS", w->path, *url ? url : "https://ADDRESS", w->off, r->in->create ? "create " : "",
		     r->in->update ? "update " : "", r->in->delete ? "delete" : "", w->kind->fields);
		command(r, "%scat %s", r->sudo, w->secret_file);
	}
}

static void tell_own(struct report *r)
{
	step(r, "Make %s your own: it is run for each\n   callout (calloutd-handler(7)).", r->in->program);
}

/* ---- what was made ---- */

static void tell_made(struct report *r)
{
	const struct init *in = r->in;

	printf("Made:\n  %s\n", in->file);
	for (size_t i = 0; i < in->count; i++)
		printf("  %s\n", in->webhooks[i].secret_file);
	if (!in->keep_program)
		printf("  %s\n", in->program);
}

static void write_webhook(struct report *r, const struct init_webhook *w)
{
	const char *url = public_url(r);
	AUTO(free) char *hook = text_printf("%s%s", url, w->path), *off = text_printf("%s%s", url, w->off);

	writer_object(&r->json, NULL);
	writer_text(&r->json, "webhook", w->title);
	writer_text(&r->json, "entity", w->kind->entity);
	writer_text(&r->json, "path", w->path);
	writer_text(&r->json, "deactivation_path", w->off);
	writer_text(&r->json, "url", *url ? hook : NULL);
	writer_text(&r->json, "deactivation_url", *url ? off : NULL);
	writer_text(&r->json, "secret_file", w->secret_file);
	writer_end(&r->json);
}

static void write_made(struct report *r)
{
	writer_object(&r->json, NULL);
	writer_text(&r->json, "configuration", r->in->file);
	writer_text(&r->json, "handler", r->in->handler);
	writer_text(&r->json, "program", r->in->program);
	writer_array(&r->json, "webhooks");
	for (size_t i = 0; i < r->in->count; i++)
		write_webhook(r, &r->in->webhooks[i]);
	writer_end(&r->json);
	writer_array(&r->json, "next");
}

void init_tell(const struct init *in)
{
	AUTO(free) char *config = in->standard ? NULL : text_printf(" --config %s", in->main);
	struct report r = {
		.in = in,
		.sudo = !in->standard || (geteuid() == 0 && !getenv("SUDO_USER")) ? "" : "sudo ",
		.config = config ? config : "",
		.json = WRITER_INIT(TEXT_MAX),
	};

	if (as_json(&r))
		write_made(&r);
	else
		tell_made(&r);
	tell_start(&r);
	tell_try(&r);
	tell_own(&r);
	tell_reach(&r);
	if (in->conf ? in->conf->autotask != NULL : *in->username)
		tell_apply(&r);
	else
		tell_by_hand(&r);
	end_step(&r);
	if (!as_json(&r))
		return;
	writer_end(&r.json);
	writer_end(&r.json);
	print_written(&r.json);
	writer_free(&r.json);
}
