/*
 * init.c - `calloutctl init`: a first configuration, from questions or options.
 *
 * Each question is a row: which option answers it, what is asked and why, its default, and what takes the answer. Options
 * go through the same rows, so both are judged alike. Nothing is written before the last answer.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/url.h"
#include "callout/entity.h"
#include "init.h"
#include "intake/tls.h"

#define TRIES 5                 /* wrong answers to one question */
#define SPACE ", \t"

/* ---- answers ---- */

/* Fits, and needs no escaping in the configuration. */
static int take_text(char *dst, size_t cap, const char *text, struct error *err)
{
	size_t len = strlen(text);

	if (len >= cap)
		return error_set(err, EINVAL, "has %zu characters; at most %zu are possible", len, cap - 1);
	for (size_t i = 0; i < len; i++)
		if (strchr("\"\\$'`", text[i]) || iscntrl((unsigned char)text[i]))
			return error_set(err, EINVAL, "has a character that cannot stand here: quotes, \\, $, or a control character");
	memcpy(dst, text, len + 1);
	return 0;
}

static bool is_title(const char *text)
{
	size_t len = strlen(text);

	return isalnum((unsigned char)*text) && len <= CONF_NAME_MAX &&
	       strspn(text, RANDOM_64 ".") == len;
}

static int take_title(char dst[static CONF_NAME_MAX + 1], const char *text, struct error *err)
{
	if (!is_title(text))
		return error_set(err, EINVAL, "is no name; it takes 1 to %d letters, digits, dots, underscores and hyphens, a letter "
				 "or digit first", CONF_NAME_MAX);
	(void)snprintf(dst, CONF_NAME_MAX + 1, "%s", text);
	return 0;
}

static int add_kind(struct init *in, const char *word, size_t len, struct error *err)
{
	const char *name = entity_canonical(word, len);
	struct init_webhook *w = &in->webhooks[in->count];

	for (size_t i = 0; i < in->count; i++)
		if (name && strcmp(in->webhooks[i].kind->entity, name) == 0)
			return 0;
	for (size_t i = 0; name && i < INIT_KINDS; i++)
		if (strcmp(init_kinds[i].entity, name) == 0) {
			w->kind = &init_kinds[i];
			(void)snprintf(w->title, sizeof(w->title), "%s", w->kind->title);
			in->count++;
			return 0;
		}
	return error_set(err, EINVAL, "names '%.*s', which has no webhooks; there are Ticket, Company, Contact, ConfigurationItem "
			 "and TicketNote", (int)len, word);
}

static int set_entities(struct init *in, const char *text, struct error *err)
{
	int r = 0;

	in->count = 0;
	for (const char *at = text + strspn(text, SPACE); r == 0 && *at; at += strspn(at, SPACE)) {
		r = add_kind(in, at, strcspn(at, SPACE), err);
		at += strcspn(at, SPACE);
	}
	if (r == 0 && !in->count)
		return error_set(err, EINVAL, "names nothing; Ticket, perhaps");
	return r;
}

/* Two sections of one name would be refused: "tickets" is there, so this is "tickets-2". */
static int make_unique(const struct init *in, struct init_webhook *w, struct error *err)
{
	for (int n = 2; conf_webhook_find(in->conf, w->title); n++) {
		if (n > CONF_WEBHOOKS_MAX)
			return error_set(err, EEXIST, "must be said: every name that begins with %s is there already", w->kind->title);
		(void)snprintf(w->title, sizeof(w->title), "%s-%d", w->kind->title, n);
	}
	return 0;
}

static int set_webhook(struct init *in, const char *text, struct error *err)
{
	int r = 0;

	if (*text && in->count > 1)
		return error_set(err, EINVAL, "is for one kind of record; each of several has a name of its own");
	if (*text)
		r = take_title(in->webhooks[0].title, text, err);
	if (r == 0 && *text && in->conf && conf_webhook_find(in->conf, text))
		return error_set(err, EEXIST, "is a webhook that there is already; choose another name");
	for (size_t i = 0; r == 0 && in->conf && !*text && i < in->count; i++)
		r = make_unique(in, &in->webhooks[i], err);
	return r;
}

static int set_events(struct init *in, const char *text, struct error *err)
{
	in->create = in->update = in->delete = false;
	for (const char *at = text + strspn(text, SPACE); *at; at += strspn(at, SPACE)) {
		size_t len = strcspn(at, SPACE);

		if (len == 6 && strncasecmp(at, "create", len) == 0)
			in->create = true;
		else if (len == 6 && strncasecmp(at, "update", len) == 0)
			in->update = true;
		else if (len == 6 && strncasecmp(at, "delete", len) == 0)
			in->delete = true;
		else
			return error_set(err, EINVAL, "names '%.*s'; there are create, update and delete", (int)len, at);
		at += len;
	}
	return in->create || in->update || in->delete ? 0 : error_set(err, EINVAL, "names nothing; create,update,delete, perhaps");
}

static int set_public_url(struct init *in, const char *text, struct error *err)
{
	struct url u;
	size_t len;

	if (take_text(in->public_url, sizeof(in->public_url), text, err) < 0)
		return -EINVAL;
	len = strlen(text);
	while (len && text[len - 1] == '/')
		in->public_url[--len] = '\0';
	if (!len)
		return 0;
	if (url_parse(in->public_url, &u) < 0 || strchr(in->public_url, '?'))
		return error_set(err, EINVAL, "is no address; it is like https://hooks.example.net");
	if (!url_is_private(&u))
		return error_set(err, EINVAL, "must begin with https://: callouts carry customers' data over the Internet");
	return 0;
}

/* Root may read everything, the daemon may not. */
static bool daemon_reads(const struct stat *st)
{
	const struct passwd *pw = getpwnam("calloutd");

	return !pw || (st->st_mode & S_IROTH) || (st->st_gid == pw->pw_gid && (st->st_mode & S_IRGRP)) ||
	       (st->st_uid == pw->pw_uid && (st->st_mode & S_IRUSR));
}

static int take_file(const struct init *in, char dst[static PATH_MAX], const char *text, struct error *err)
{
	struct stat st;

	if (take_text(dst, PATH_MAX, text, err) < 0)
		return -EINVAL;
	if (*text != '/')
		return error_set(err, EINVAL, "must be an absolute path, beginning with /");
	if (strncmp(text, "/etc/letsencrypt/", strlen("/etc/letsencrypt/")) == 0)
		return error_set(err, EINVAL, "is readable for root only; contrib/certbot-hook copies it to %s/tls, README.md shows how",
				 CALLOUTD_SYSCONFDIR "/calloutd");
	if (stat(text, &st) < 0)
		return error_set(err, EINVAL, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "is no file");
	if (in->standard && !daemon_reads(&st))
		return error_set(err, EINVAL, "cannot be read by the user calloutd: chgrp calloutd and chmod 0640 mend that");
	return 0;
}

static int set_certificate(struct init *in, const char *text, struct error *err)
{
	*in->certificate = '\0';
	return !*text ? 0 : take_file(in, in->certificate, text, err);
}

/* The pair is looked at as the daemon will. */
static int set_key(struct init *in, const char *text, struct error *err)
{
	AUTO(tls) struct tls *t = NULL;

	*in->key = '\0';
	if (!*in->certificate)
		return !*text ? 0 : error_set(err, EINVAL, "goes with --certificate");
	if (take_file(in, in->key, text, err) < 0)
		return -EINVAL;
	return tls_new(in->certificate, in->key, &t, err) < 0 ? -EINVAL : 0;
}

static int set_listen(struct init *in, const char *text, struct error *err)
{
	struct sockaddr_storage sa;
	socklen_t len;

	if (take_text(in->listen, sizeof(in->listen), text, err) < 0 || conf_address_parse(text, &sa, &len, err) < 0)
		return -EINVAL;
	if (!*in->certificate && !conf_address_is_loopback(&sa))
		return error_set(err, EINVAL, "is not loopback, and customers' data must not cross a network in clear: --certificate and "
				 "--key make it HTTPS");
	return 0;
}

static int set_handler(struct init *in, const char *text, struct error *err)
{
	if (take_title(in->handler, text, err) < 0)
		return -EINVAL;
	if (in->conf && conf_handler_find(in->conf, text))
		return error_set(err, EEXIST, "is a handler that there is already; choose another name");
	if (snprintf(in->program, sizeof(in->program), "%s/handlers/%s", in->directory, text) >= PATH_MAX)
		return error_set(err, EINVAL, "is too long");
	in->keep_program = access(in->program, F_OK) == 0;
	if (in->keep_program && access(in->program, X_OK) < 0)
		return error_set(err, EINVAL, "is there already, as %s, but not executable; choose another name", in->program);
	return 0;
}

static int set_username(struct init *in, const char *text, struct error *err)
{
	return take_text(in->username, sizeof(in->username), text, err);
}

static int set_owner(struct init *in, const char *text, struct error *err)
{
	int64_t n = 0;

	if (*text && (!read_number(text, &n) || n > UINT32_MAX / 2))
		return error_set(err, EINVAL, "is no number of a resource");
	in->owner = (unsigned)n;
	return 0;
}

/* ---- questions ---- */

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
	const char *name;               /* of what is wrong with an answer */
	const char *ask, *why;          /* NULL: not asked, the default unless there is the option */
	const char *nothing;            /* what an empty default is called */
	void (*fallback)(const struct init *in, struct buf *out);
	int (*set)(struct init *in, const char *text, struct error *err);
	bool (*asked)(const struct init *in);
	bool once;                      /* for the whole configuration: not with --add */
} questions[] = {
	{ OPT_ENTITY, "--entity",
	  "What should Autotask call out for: Ticket, Company, Contact, ConfigurationItem,\nTicketNote?",
	  "Each kind of record gets a webhook of its own; several are separated by commas.", NULL,
	  fallback_entities, set_entities, always, false },
	{ OPT_WEBHOOK, "--webhook", NULL, NULL, NULL, no_fallback, set_webhook, always, false },
	{ OPT_EVENTS, "--events",
	  "On which events: create, update, delete?",
	  "Autotask calls out for these only.", NULL,
	  fallback_events, set_events, always, false },
	{ OPT_PUBLIC_URL, "--public-url",
	  "At which address will Autotask reach this machine? Like https://hooks.example.net",
	  "It becomes part of the URL there; it needs a public name and a valid certificate.", "not known yet",
	  no_fallback, set_public_url, always, true },
	{ OPT_CERTIFICATE, "--certificate",
	  "Which file has the certificate, if calloutd is to take HTTPS itself?",
	  "Without, it listens on 127.0.0.1:9080 for a proxy here (nginx, Caddy) that has one.",
	  "none: a proxy has it", no_fallback, set_certificate, always, true },
	{ OPT_KEY, "--key",
	  "Which file has the certificate's key?",
	  "HTTPS needs both.", NULL,
	  fallback_key, set_key, with_certificate, true },
	{ OPT_LISTEN, "--listen", NULL, NULL, NULL, fallback_listen, set_listen, always, true },
	{ OPT_HANDLER, "--handler",
	  "What should the example handler be called?",
	  "A handler is a program that is run for each callout; this one is for you to change.", NULL,
	  fallback_handler, set_handler, always, false },
	{ OPT_USERNAME, "--username",
	  "What is the user name of your API user at Autotask?",
	  "With one, calloutctl makes the webhook there; else you do. It can come later, too.", "none",
	  no_fallback, set_username, always, true },
	{ OPT_OWNER, "--owner", NULL, NULL, NULL, no_fallback, set_owner, always, false },
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
	const char *given = in->ctl->option[q->option];
	struct error err = { "" };
	int r;

	if (in->ctl->repeated & OPTION(q->option))
		return misused(in->ctl, "%s is given twice; a list has commas", q->name);
	if (q->once && in->add)
		return given ? misused(in->ctl, "%s is for the whole configuration; with --add, change it in %s", q->name, in->main)
			     : CTL_OK;
	q->fallback(in, &fallback);
	if (asking && q->ask && q->asked(in))
		return ask(in, q, fallback.data);
	r = q->set(in, given ? given : fallback.data, &err);
	if (r == 0)
		return CTL_OK;
	return complain(r == -EEXIST ? CTL_NO : CTL_USAGE, "%s%s%s%s %s", q->name, given ? " '" : "", given ? given : "", given ? "'" : "", err.text);
}

/* ---- places ---- */

static int failed_directory(const char *text, struct error *err)
{
	return error_set(err, EINVAL, "cannot use the directory %s: %s", text, strerror(errno));
}

/* Absolute and without links, also where the last part does not exist yet. */
static int resolve(const char *text, char dst[static PATH_MAX], struct error *err)
{
	AUTO(free) char *full = realpath(text, NULL), *copy = NULL;
	const char *name;
	char *end;

	if (full) {
		(void)snprintf(dst, PATH_MAX, "%s", full);
		return 0;
	}
	if (errno != ENOENT)
		return failed_directory(text, err);
	copy = need(strdup(text));
	for (end = copy + strlen(copy); end > copy + 1 && end[-1] == '/';)
		*--end = '\0';
	end = strrchr(copy, '/');
	name = end ? text + (end - copy) + 1 : text;
	if (end)
		*end = '\0';
	full = realpath(!end ? "." : *copy ? copy : "/", NULL);
	if (!full)
		return failed_directory(text, err);
	if (snprintf(dst, PATH_MAX, "%s/%.*s", strcmp(full, "/") ? full : "", (int)strcspn(name, "/"), name) >= PATH_MAX)
		return error_set(err, EINVAL, "the directory's name is too long");
	return 0;
}

/* --directory DIR, or --config DIR/calloutd.conf as for other commands. */
static int directory_option(const struct ctl *ctl, char dst[static PATH_MAX], struct error *err)
{
	const char *config = ctl->option[OPT_CONFIG], *name = config ? strrchr(config, '/') : NULL;

	if (!config) {
		(void)snprintf(dst, PATH_MAX, "%s", ctl->option[OPT_DIRECTORY] ? ctl->option[OPT_DIRECTORY] : "");
		return 0;
	}
	name = name ? name + 1 : config;
	if (ctl->option[OPT_DIRECTORY] || strcmp(name, "calloutd.conf") != 0)
		return error_set(err, EINVAL, "init writes a calloutd.conf into a directory: --directory DIR instead of --config");
	(void)snprintf(dst, PATH_MAX, "%.*s", (int)(name - config), config);
	if (!*dst)
		(void)snprintf(dst, PATH_MAX, ".");
	return 0;
}

static int settle_directory(struct init *in, struct error *err)
{
	static const char standard[] = CALLOUTD_SYSCONFDIR "/calloutd";
	char given[PATH_MAX], usual[PATH_MAX];
	size_t len;

	if (directory_option(in->ctl, given, err) < 0)
		return -EINVAL;
	if (resolve(*given ? given : standard, in->directory, err) < 0)
		return -EINVAL;
	in->standard = !*given || (resolve(standard, usual, NULL) == 0 && strcmp(in->directory, usual) == 0);
	if (in->standard)
		(void)snprintf(in->directory, sizeof(in->directory), "%s", standard);
	len = strlen(in->directory);
	if (strspn(in->directory, RANDOM_64 "/.+@,:=~") != len)
		return error_set(err, EINVAL, "the directory %s has characters that would need quotes; choose another", in->directory);
	/* A socket's path is that short. */
	if (!in->standard && len + strlen("/admin.sock") > 107)
		return error_set(err, EINVAL, "the directory %s is too long a name for a socket in it; choose a shorter one", in->directory);
	(void)snprintf(in->main, sizeof(in->main), "%.*s/calloutd.conf", PATH_MAX - 32, in->directory);
	(void)snprintf(in->file, sizeof(in->file), "%s", in->main);
	return 0;
}

/* Before anybody has answered anything. */
static enum exit_status may_write(const struct init *in)
{
	AUTO(free) char *above = need(strdup(in->directory));
	const char *place = in->directory;

	if (access(place, F_OK) != 0) {
		above[strrchr(above, '/') == above ? 1 : strrchr(above, '/') - above] = '\0';
		place = above;
	}
	if (access(place, W_OK | X_OK) == 0)
		return CTL_OK;
	return complain(CTL_NO, "cannot write into %s: %s%s", place, strerror(errno),
			in->standard ? " (use sudo, or try it as you are with --directory DIR)" : "");
}

/* There is one, and it is good; or there is none, as wanted. */
static enum exit_status look(struct init *in)
{
	if (!in->add)
		return access(in->main, F_OK) != 0 ? CTL_OK
			: complain(CTL_NO, "%s exists and stays as it is. `calloutctl init --add%s%s` adds a webhook to it; to begin anew, "
				   "move it away first: mv %s %s.old", in->main, in->standard ? "" : " --directory ",
				   in->standard ? "" : in->directory, in->main, in->main);
	if (access(in->main, F_OK) != 0 && errno == ENOENT)
		return complain(CTL_NO, "there is no %s to add to; leave out --add", in->main);
	in->ctl->option[OPT_CONFIG] = in->main;
	in->conf = ctl_conf_needed(in->ctl);
	return in->conf ? CTL_OK : CTL_NO;
}

/* Of each webhook what is not asked. */
static void fill(struct init *in)
{
	for (size_t i = 0; i < in->count; i++) {
		struct init_webhook *w = &in->webhooks[i];
		char path[INIT_PATH_LEN + 1] = "", off[INIT_PATH_LEN + 1] = "";

		random_text(path, INIT_PATH_LEN, RANDOM_16);
		random_text(off, INIT_PATH_LEN, RANDOM_16);
		random_text(w->secret, INIT_SECRET_LEN, RANDOM_64);
		(void)snprintf(w->path, sizeof(w->path), "/autotask/%s/%s", w->title, path);
		(void)snprintf(w->off, sizeof(w->off), "/autotask/off/%s", off);
		(void)snprintf(w->secret_file, sizeof(w->secret_file), "%.*s/secrets/%s", PATH_MAX - 100, in->directory, w->title);
	}
	if (in->add)
		(void)snprintf(in->file, sizeof(in->file), "%.*s/conf.d/%s.conf", PATH_MAX - 100, in->directory,
			       in->webhooks[0].title);
}

static enum exit_status answer_all(struct init *in)
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

/* No signal that a terminal or a shutdown sends comes between. */
static int make(const struct init *in, struct error *err)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	r = init_make(in, err);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

static enum exit_status run(struct init *in)
{
	struct error err = { "" };
	enum exit_status status;
	int r;

	if (settle_directory(in, &err) < 0)
		return complain(CTL_USAGE, "%s", err.text);
	r = init_clear(in, &err);
	if (r < 0)
		return complain(CTL_NO, "%s", err.text);
	if (r > 0)
		(void)complain(CTL_OK, "removed what an interrupted run had left in %s", in->directory);
	status = look(in);
	if (status == CTL_OK)
		status = may_write(in);
	if (status == CTL_OK)
		status = answer_all(in);
	if (status != CTL_OK)
		return status;
	if (in->standard && geteuid() == 0 && !getgrnam("calloutd"))
		(void)complain(CTL_OK, "there is no group calloutd yet, so the service could not read what is made: first run "
			       "systemd-sysusers && systemd-tmpfiles --create calloutd.conf, then change the files' groups, or begin anew");
	fill(in);
	r = make(in, &err);
	if (r < 0)
		return complain(CTL_NO, "%s; nothing was made", err.text);
	init_tell(in);
	return CTL_OK;
}

enum exit_status cmd_init(struct ctl *ctl)
{
	struct init in = { .ctl = ctl, .add = ctl->option[OPT_ADD] };
	enum exit_status status = run(&in);

	for (size_t i = 0; i < INIT_KINDS; i++)
		explicit_bzero(in.webhooks[i].secret, sizeof(in.webhooks[i].secret));
	return status;
}
