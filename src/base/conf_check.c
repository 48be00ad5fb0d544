/*
 * conf_check.c - what the grammar cannot see: handlers that cannot run, conditions on
 * fields nobody delivers, paths that can be guessed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf_private.h"

static bool is_alert(const struct conf_handler *h)
{
	return strcmp(h->title, CONF_ALERT_TITLE) == 0;
}

int conf_handler_usable(const struct conf_handler *h, struct error *err)
{
	struct error why = { "" };
	int r = conf_program_check(h->command.items[0], &why);

	if (r == 0)
		return 0;
	if (is_alert(h))
		return error_set(err, -r, "the alert's program cannot run, nobody is told of anything: %.200s %s",
				 h->command.items[0], why.text);
	return error_set(err, -r, "handler \"%s\" cannot run: %.200s %s", h->title, h->command.items[0],
			 why.text);
}

/* ---- reporting ---- */

struct report {
	conf_report_fn *fn;
	void *arg;
	unsigned serious;
};

static void tell(struct report *r, bool serious, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void tell(struct report *r, bool serious, const char *where, const char *fmt, ...)
{
	char sentence[sizeof(((struct error *)0)->text)];
	char text[2 * sizeof(sentence)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	(void)snprintf(text, sizeof(text), "%s: %s", where, sentence);
	r->serious += serious;
	r->fn(r->arg, serious, text);
}

/* ---- handlers ---- */

/* Neither a script nor a program: only binfmt_misc could run it, so it is no more than a warning. */
static void check_format(const struct conf_handler *h, struct report *report)
{
	if (!conf_program_is_strange(h->command.items[0]))
		return;
	tell(report, false, h->where, "%s%s%s: %.200s begins neither with #! nor as a program, so it will probably not start; begin it with a line like #!/bin/sh",
	     is_alert(h) ? "alert" : "handler \"", is_alert(h) ? "" : h->title, is_alert(h) ? "" : "\"",
	     h->command.items[0]);
}

static bool list_has(const struct conf_list *list, const char *field)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcasecmp(list->items[i], field) == 0)
			return true;
	return false;
}

static bool delivers(const struct conf_subscribe *s, const char *field)
{
	return list_has(&s->fields, field) || list_has(&s->display_fields, field) ||
	       list_has(&s->udf_fields, field) || list_has(&s->display_udf_fields, field);
}

static void check_conditions(const struct conf *c, const struct conf_handler *h, struct report *report)
{
	for (size_t i = 0; i < h->webhooks.count; i++) {
		const struct conf_webhook *w = conf_webhook_find(c, h->webhooks.items[i]);

		for (size_t j = 0; w && w->subscribe && j < h->when_count; j++)
			if (!delivers(w->subscribe, h->when[j].field))
				tell(report, false, h->where, "handler \"%s\": when asks for the field %s, which webhook \"%s\" does not deliver; add it to display-fields of its subscribe section",
				     h->title, h->when[j].field, w->title);
	}
}

static void check_handler(const struct conf *c, const struct conf_handler *h, struct report *report)
{
	struct error why = { "" };

	if (conf_handler_usable(h, &why) < 0)
		tell(report, true, h->where, "%s", why.text);
	else
		check_format(h, report);
	check_conditions(c, h, report);
}

/* ---- paths ---- */

/* 128 bits are 32 hexadecimal digits or 22 characters of base64url. */
static bool is_guessable(const char *path)
{
	const char *last = strrchr(path, '/') + 1;
	size_t len = strlen(last);

	return len < (strspn(last, "0123456789abcdefABCDEF") == len ? 32U : 22U);
}

static void check_path(const struct conf_webhook *w, const char *setting, const char *path,
		       struct report *report)
{
	if (path && is_guessable(path))
		tell(report, false, w->where, "webhook \"%s\": the last part of %s is shorter than 128 bits and might be guessed; openssl rand -hex 16 makes a better one",
		     w->title, setting);
}

static void check_webhook(const struct conf_webhook *w, struct report *report)
{
	check_path(w, "path", w->path, report);
	check_path(w, "deactivation-path", w->deactivation_path, report);
}

/* ---- in the order of the files ---- */

static size_t file_index(const struct conf *c, const char *where, size_t len)
{
	size_t i = 0;

	while (i < c->files.count && (strlen(c->files.items[i]) != len ||
				      memcmp(c->files.items[i], where, len) != 0))
		i++;
	return i;
}

/* Does a ("file:line") stand before b? */
static bool stands_before(const struct conf *c, const char *a, const char *b)
{
	const char *a_line = strrchr(a, ':'), *b_line = strrchr(b, ':');
	size_t a_file = file_index(c, a, (size_t)(a_line - a));
	size_t b_file = file_index(c, b, (size_t)(b_line - b));

	if (a_file != b_file)
		return a_file < b_file;
	return strtoul(a_line + 1, NULL, 10) < strtoul(b_line + 1, NULL, 10);
}

/* What stands next in the files. */
struct entry {
	const char *where;      /* NULL: nothing is left */
	const struct conf_webhook *webhook;
	const struct conf_handler *program;
};

static void take_first(const struct conf *c, struct entry *first, struct entry other)
{
	if (other.where && (!first->where || stands_before(c, other.where, first->where)))
		*first = other;
}

unsigned conf_check(const struct conf *c, conf_report_fn *fn, void *arg)
{
	struct report report = { fn, arg, 0 };
	const struct conf_handler *alert = c->alert ? &c->alert->program : NULL;
	size_t w = 0, h = 0;

	for (;;) {
		struct entry next = { .where = NULL };

		if (h < c->handler_count)
			next = (struct entry){ c->handlers[h].where, NULL, &c->handlers[h] };
		if (w < c->webhook_count)
			take_first(c, &next, (struct entry){ c->webhooks[w].where, &c->webhooks[w], NULL });
		if (alert)
			take_first(c, &next, (struct entry){ alert->where, NULL, alert });
		if (!next.where)
			return report.serious;
		if (next.webhook)
			check_webhook(next.webhook, &report);
		else
			check_handler(c, next.program, &report);
		w += next.webhook != NULL;
		h += next.program && next.program != alert;
		alert = next.program == alert ? NULL : alert;
	}
}
