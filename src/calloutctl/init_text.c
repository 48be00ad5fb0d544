/* init_text.c - `calloutctl init`: the configuration and the example handler as text. */
#include <string.h>

#include "init.h"

/*
 * Names of fields are the labels of Autotask's pick lists; which there are, `calloutctl webhook fields` lists. These are
 * the REST API's names (docs: vendor's API description), and `webhook plan` says so if one is called otherwise.
 */
const struct init_kind init_kinds[INIT_KINDS] = {
	{ "Ticket", "tickets", "\"Status\", \"Priority\"", "\"TicketNumber\", \"Title\"" },
	{ "Company", "companies", "\"CompanyName\", \"Phone\"", "\"CompanyName\"" },
	{ "Contact", "contacts", "\"FirstName\", \"LastName\", \"EmailAddress\"", "\"LastName\"" },
	{ "ConfigurationItem", "assets", "\"ReferenceTitle\", \"SerialNumber\"", "\"ReferenceTitle\"" },
	{ "TicketNote", "notes", "\"Title\", \"Description\"", "\"TicketID\"" },
};

__attribute__((format(printf, 2, 3)))
static void add(struct buf *out, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = text_vprintf(fmt, args);
	va_end(args);
	need_room(buf_append_text(out, text));
	free(text);
}

static void put_head(const struct init *in, struct buf *out)
{
	const char *name = strrchr(in->file, '/') + 1;

	add(out, "# %s - made by `calloutctl init`. Every setting there is: calloutd.conf(5).\n"
	    "# After a change: calloutd --check, then calloutctl reload.\n" INIT_MADE, name);
	for (size_t i = 0; i < in->count; i++)
		add(out, INIT_MADE_LINE "%s\n", in->webhooks[i].secret_file);
	if (!in->keep_program)
		add(out, INIT_MADE_LINE "%s\n", in->program);
}

static void put_listen(const struct init *in, struct buf *out)
{
	add(out, "\n# ---- Receiving ----\n\n");
	if (in->standard)
		add(out, "# Under systemd calloutd.socket decides where calloutd listens; without it, this.\n");
	add(out, "listen = { \"%s\" }\n", in->listen);
	if (*in->certificate)
		add(out, "# HTTPS. A reload reads both again.\ntls-certificate = \"%s\"\ntls-key         = \"%s\"\n",
		    in->certificate, in->key);
	else
		add(out, "# The proxy on this machine holds the certificate; what it says about its clients is believed.\n"
		    "trusted-proxies = { \"127.0.0.1\", \"::1\" }\n");
	if (*in->public_url)
		add(out, "# Where Autotask reaches this machine; the webhooks' paths are appended.\npublic-url = \"%s\"\n",
		    in->public_url);
	else
		add(out, "# Where Autotask will reach this machine, once you know; the webhooks' paths are appended.\n"
		    "#public-url = \"https://hooks.example.net\"\n");
}

static void put_places(const struct init *in, struct buf *out)
{
	if (in->standard)
		return;
	add(out, "\n# ---- Places: everything beside this file, to try it without being root ----\n\n"
	    "state-directory  = \"%s/state\"\nadmin-socket     = \"%s/admin.sock\"\n", in->directory, in->directory);
}

static void put_webhook(const struct init *in, const struct init_webhook *w, struct buf *out)
{
	add(out, "webhook \"%s\" {\n"
	    "    # Nobody can guess these; keep them to yourself and Autotask.\n"
	    "    path              = \"%s\"\n    deactivation-path = \"%s\"\n"
	    "    secrets           = { \"file:%s\" }\n", w->title, w->path, w->off, w->secret_file);
	add(out, "    # What it is to be like at Autotask: `calloutctl webhook fields %s` lists fields, `webhook apply` makes it so.\n"
	    "    subscribe {\n        entity         = \"%s\"\n        events         = { %s%s%s%s%s }\n", w->kind->entity, w->kind->entity,
	    in->create ? "\"create\"" : "", in->create && (in->update || in->delete) ? ", " : "",
	    in->update ? "\"update\"" : "", in->update && in->delete ? ", " : "", in->delete ? "\"delete\"" : "");
	add(out, "        # Changes of these call out; the others come along.\n"
	    "        fields         = { %s }\n        display-fields = { %s }\n", w->kind->fields, w->kind->display);
	if (in->owner)
		add(out, "        owner          = %u\n", in->owner);
	add(out, "    }\n}\n");
}

static void put_handler(const struct init *in, struct buf *out)
{
	add(out, "handler \"%s\" {\n    webhooks = { ", in->handler);
	for (size_t i = 0; i < in->count; i++)
		add(out, "%s\"%s\"", i ? ", " : "", in->webhooks[i].title);
	add(out, " }\n    command  = { \"%s\" }\n}\n", in->program);
}

static void put_autotask(const struct init *in, struct buf *out)
{
	const char *mark = *in->username ? "" : "#";

	add(out, "\n# ---- Autotask's API: read by calloutctl only; the daemon opens none of these files ----\n\n"
	    "%sautotask {\n%s    username         = \"%s\"\n"
	    "%s    secret           = \"file:%s/api/secret\"\n%s    integration-code = \"file:%s/api/code\"\n%s}\n",
	    mark, mark, *in->username ? in->username : "api-user@example.net", mark, in->directory, mark, in->directory, mark);
}

void init_configuration(const struct init *in, struct buf *out)
{
	put_head(in, out);
	if (!in->add) {
		put_listen(in, out);
		put_places(in, out);
	}
	add(out, "\n# ---- Webhooks: one section for each webhook at Autotask ----\n\n");
	for (size_t i = 0; i < in->count; i++)
		put_webhook(in, &in->webhooks[i], out);
	add(out, "\n# ---- Handlers: programs to run, see calloutd-handler(7) ----\n\n");
	put_handler(in, out);
	if (!in->add)
		put_autotask(in, out);
}

void init_program(struct buf *out)
{
	need_room(buf_append_text(out,
		"#!/bin/sh\n"
		"# An example handler, made by `calloutctl init`; calloutd-handler(7) has the rest.\n"
		"#\n"
		"# It is run for each callout, which is on standard input as Autotask sent it: JSON.\n"
		"# Exit status 0: done. 100: give up. 75: the far side is down. Anything else: tried again later.\n"
		"# It may be run twice for one event; CALLOUT_EVENT is the same number then.\n"
		"set -eu\n"
		"body=$(cat)\n"
		"printf '%s %s: %s, event %s, attempt %s\\n' \\\n"
		"\t\"$CALLOUT_ENTITY\" \"$CALLOUT_ID\" \"$CALLOUT_ACTION\" \"$CALLOUT_EVENT\" \"$CALLOUT_ATTEMPT\"\n"
		"printf 'standard input had %s characters\\n' \"${#body}\"\n"));
}
