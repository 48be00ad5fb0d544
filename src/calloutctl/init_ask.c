/*
 * init_ask.c - `calloutctl init`: the questions.
 *
 * Each is a row: which option answers it, what is asked and why, its default, and what takes the answer. Options go through
 * the same rows, so both are judged alike.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "init.h"

#define TRIES 5                 /* wrong answers to one question */

static void no_fallback(const struct init *in, struct buf *out)
{
	(void)in;
	need_room(buf_append_text(out, ""));
}

static void fallback_entities(const struct init *in, struct buf *out)
{
	(void)in;
	need_room(buf_append_text(out, "Ticket"));
}

static void fallback_events(const struct init *in, struct buf *out)
{
	(void)in;
	need_room(buf_append_text(out, "create,update,delete"));
}

static void fallback_key(const struct init *in, struct buf *out)
{
	const char *slash = strrchr(in->certificate, '/');

	need_room(slash ? buf_printf(out, "%.*s/privkey.pem", (int)(slash - in->certificate), in->certificate)
			: buf_append_text(out, ""));
}

static void fallback_listen(const struct init *in, struct buf *out)
{
	need_room(buf_append_text(out, *in->certificate ? "[::]:443" : "127.0.0.1:9080"));
}

static void fallback_handler(const struct init *in, struct buf *out)
{
	need_room(buf_printf(out, in->add ? "hello-%.50s" : "hello", in->webhooks[0].title));
}

static bool with_certificate(const struct init *in)
{
	return *in->certificate;
}

static bool always(const struct init *in)
{
	(void)in;
	return true;
}

/* In this order: later ones look at earlier answers. */
static const struct question {
	enum option_id option;
	const char *ask, *why;          /* NULL: not asked, the default unless there is the option */
	const char *nothing;            /* what an empty default is called */
	void (*fallback)(const struct init *in, struct buf *out);
	int (*set)(struct init *in, const char *text, struct error *err);
	bool (*asked)(const struct init *in);
	bool once;                      /* for the whole configuration: not with --add */
} questions[] = {
	{ OPT_ENTITY,
	  "What should Autotask call out for: Ticket, Company, Contact, ConfigurationItem,\nTicketNote?",
	  "Each kind of record gets a webhook of its own; several are separated by commas.", NULL,
	  fallback_entities, init_set_entities, always, false },
	{ OPT_WEBHOOK, NULL, NULL, NULL, no_fallback, init_set_webhook, always, false },
	{ OPT_EVENTS,
	  "On which events: create, update, delete?",
	  "Autotask calls out for these only.", NULL,
	  fallback_events, init_set_events, always, false },
	{ OPT_PUBLIC_URL,
	  "At which address will Autotask reach this machine? Like https://hooks.example.net",
	  "It becomes part of the URL there; it needs a public name and a valid certificate.", "not known yet",
	  no_fallback, init_set_public_url, always, true },
	{ OPT_TLS_CERTIFICATE,
	  "Which file has the certificate, if calloutd is to take HTTPS itself?",
	  "Without, it listens on 127.0.0.1:9080 for a proxy here (nginx, Caddy) that has one.",
	  "none: a proxy has it", no_fallback, init_set_certificate, always, true },
	{ OPT_TLS_KEY,
	  "Which file has the certificate's key?",
	  "HTTPS needs both.", NULL,
	  fallback_key, init_set_key, with_certificate, true },
	{ OPT_LISTEN, NULL, NULL, NULL, fallback_listen, init_set_listen, always, true },
	{ OPT_HANDLER,
	  "What should the example handler be called?",
	  "A handler is a program that is run for each callout; this one is for you to change.", NULL,
	  fallback_handler, init_set_handler, always, false },
	{ OPT_USERNAME,
	  "What is the user name of your API user at Autotask?",
	  "With one, calloutctl makes the webhook there; else you do. It can come later, too.", "none",
	  no_fallback, init_set_username, always, true },
	{ OPT_OWNER, NULL, NULL, NULL, no_fallback, init_set_owner, always, false },
};

/* Options that say where, and how to speak: they answer nothing. */
static bool answers_given(const struct ctl *ctl)
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		if (ctl->option[questions[i].option])
			return true;
	return false;
}

/* A line without its blanks at both ends. NULL at the end of input. free(). */
static char *read_line(void)
{
	char *line = NULL, *from, *to;
	size_t cap = 0;

	if (getline(&line, &cap, stdin) < 0) {
		free(line);
		return NULL;
	}
	for (from = line; *from && strchr(" \t\r\n", *from); from++)
		;
	for (to = from + strlen(from); to > from && strchr(" \t\r\n", to[-1]); to--)
		;
	memmove(line, from, (size_t)(to - from));
	line[to - from] = '\0';
	return line;
}

/* Questions go where they do not mix with JSON. */
static FILE *voice(const struct init *in)
{
	return in->ctl->option[OPT_JSON] ? stderr : stdout;
}

static enum exit_status nothing_made(const struct init *in, const char *why)
{
	(void)fputc('\n', voice(in));
	return complain(CTL_NO, "%s: nothing was made", why);
}

/* Whoever types what stands in the brackets, or what comes to mind. */
static bool says_no(const char *line)
{
	return strcasecmp(line, "none") == 0 || strcasecmp(line, "no") == 0 || strcmp(line, "-") == 0;
}

static enum exit_status ask(struct init *in, const struct question *q, const char *fallback)
{
	FILE *out = voice(in);

	fprintf(out, "\n%s\n  %s\n", q->ask, q->why);
	for (int i = 0; i < TRIES; i++) {
		struct error err = { "" };
		AUTO(free) char *line = NULL;

		fprintf(out, "[%s] ", *fallback ? fallback : q->nothing);
		(void)fflush(out);
		line = read_line();
		if (!line)
			return nothing_made(in, "no answer");
		if (q->set(in, *line && !(q->nothing && says_no(line)) ? line : fallback, &err) == 0)
			return CTL_OK;
		fprintf(out, "  That %s.\n", err.text);
	}
	return nothing_made(in, "five answers that cannot be");
}

static enum exit_status answer(struct init *in, const struct question *q, bool asking)
{
	AUTO(buf) struct buf fallback = BUF_INIT(TEXT_MAX);
	const char *given = in->ctl->option[q->option], *text;
	struct error err = { "" };
	int r;

	if (in->ctl->repeated[q->option])
		return misused(in->ctl, "--%s is given twice; a list has commas", option_name(q->option));
	if (q->once && in->add)
		return given ? misused(in->ctl, "--%s is for the whole configuration; with --add, change it in %s",
				       option_name(q->option), in->main) : CTL_OK;
	q->fallback(in, &fallback);
	if (asking && q->ask && q->asked(in))
		return ask(in, q, fallback.data);
	text = given ? given : fallback.data;
	r = q->set(in, text, &err);
	if (r == 0)
		return CTL_OK;
	return complain(r == -EEXIST ? CTL_NO : CTL_USAGE, *text ? "--%s '%s' %s" : "--%s%s %s", option_name(q->option), text,
			err.text);
}

enum exit_status init_ask(struct init *in)
{
	bool asking = !answers_given(in->ctl);
	enum exit_status status = CTL_OK;

	if (asking && !isatty(STDIN_FILENO))
		return complain(CTL_NO, "there is no terminal to ask on: say it with options, --entity Ticket at least");
	if (asking)
		fprintf(voice(in), "%s for calloutd, in %s.\n"
			"Enter takes the answer in [brackets]. Nothing is written before the last answer;\n"
			"Ctrl-C leaves everything as it is.\n",
			in->add ? "One more webhook" : "A first configuration", in->directory);
	for (size_t i = 0; status == CTL_OK && i < ARRAY_LEN(questions); i++)
		status = answer(in, &questions[i], asking);
	if (asking)
		(void)fputc('\n', voice(in));
	return status;
}
