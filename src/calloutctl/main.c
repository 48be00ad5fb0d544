/* main.c - calloutctl: the table of commands, the table of options, and the command line. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "private.h"

#define HELP_COLUMNS 80
#define INPUT_MAX (64UL * 1024 * 1024)

/* One row per option: its name, what it takes ("" nothing), and a line for --help. */
static const struct {
	const char *name, *takes, *text;
} options[OPT_COUNT_] = {
	[OPT_CONFIG] = { "config", "FILE", "read FILE instead of " CONF_DEFAULT_PATH },
	[OPT_SOCKET] = { "socket", "PATH", "calloutd's socket; default: what admin-socket says" },
	[OPT_JSON] = { "json", "", "print JSON" },
	[OPT_HELP] = { "help", "", "print this" },
	[OPT_VERSION] = { "version", "", "print the version" },
	[OPT_WEBHOOK] = { "webhook", "NAME", "the webhook's name in the configuration" },
	[OPT_HANDLER] = { "handler", "NAME", "only what concerns this handler" },
	[OPT_ENTITY] = { "entity", "NAME", "only this kind of record: Ticket, Company, ..." },
	[OPT_ID] = { "id", "N", "only the record with this number" },
	[OPT_ACTION] = { "action", "WORD", "create, update, delete, deactivated, or another" },
	[OPT_KIND] = { "kind", "WORD", "event, quarantined or deactivated" },
	[OPT_STATE] = { "state", "WORD", "a delivery is waiting, done, failed or dropped" },
	[OPT_SINCE] = { "since", "WHEN", "received since: a moment, or so long ago (2h)" },
	[OPT_UNTIL] = { "until", "WHEN", "received before" },
	[OPT_BEFORE] = { "before", "EVENT", "older than this event" },
	[OPT_LIMIT] = { "limit", "N", "at most so many, 1 to 1000; default 50" },
	[OPT_ALL] = { "all", "", "page after page, to the oldest" },
	[OPT_OFFLINE] = { "offline", "", "read the store itself; calloutd may be stopped" },
	[OPT_STATE_DIRECTORY] = { "state-directory", "DIR", "with --offline: where the store is" },
	[OPT_BODY] = { "body", "", "print the callout's body and nothing else" },
	[OPT_FAILED] = { "failed", "", "dead letters only" },
	[OPT_YES] = { "yes", "", "do not ask" },
	[OPT_FOR] = { "for", "TIME", "so long: 30m, 2h, 1d; default: until released" },
	[OPT_RECORD] = { "record", "RECORD", "a record held by loop-limit (Ticket/351181), or all" },
	[OPT_VIA] = { "via", "URL", "to this address, the webhook's path appended" },
	[OPT_SECRET_FILE] = { "secret-file", "FILE", "the secret in FILE instead of a webhook's" },
	[OPT_HEADER] = { "header", "VALUE", "the value of X-Hook-Signature" },
	[OPT_TEST] = { "test", "KIND", "which alert" },
	[OPT_REQUEST] = { "request", "FILE", "a whole HTTP request, head and body, as captured" },
	[OPT_UDF] = { "udf", "", "user-defined fields" },
	[OPT_DRY_RUN] = { "dry-run", "", "say what would be done, do nothing" },
	[OPT_REFETCH] = { "refetch", "", "ask for records as they are now where no event is left" },
	[OPT_DELETE] = { "delete", "", "remove rows there once they are stored here" },
	[OPT_AT_MOST] = { "at-most", "TIME", "wait until so long has gone by since the last look: 5m" },
	[OPT_WAITING] = { "waiting", "W,C", "deliveries that wait; default 1000,10000" },
	[OPT_AGE] = { "age", "W,C", "time since the oldest that waits came; default 1h,6h" },
	[OPT_DEAD_LETTERS] = { "dead-letters", "W,C", "deliveries that failed for good; default 0,100" },
	[OPT_HELD] = { "held", "W,C", "handlers held, paused or unusable; default 0," },
	[OPT_SILENT] = { "silent", "W,C", "webhooks silent for expect-every; default 0," },
	[OPT_UNAVAILABLE] = { "unavailable", "W,C", "callouts in a row not stored; default 12,17" },
	[OPT_DISK] = { "disk", "W,C", "bytes free, at least; default 1G,256M" },
	[OPT_CERTIFICATE] = { "certificate", "W,C", "days it is valid, at least; default 14,3" },
	[OPT_GUARD] = { "guard", "W,C", "warnings and errors of guard; default 0," },
	[OPT_LOCAL] = { "local", "", "ask nothing beyond this machine" },
	[OPT_PROBLEMS] = { "problems", "W,C", "problems that status tells; default 0," },
	[OPT_EVENTS] = { "events", "LIST", "of create, update and delete; default: all three" },
	[OPT_PUBLIC_URL] = { "public-url", "URL", "where Autotask will reach this machine, https://" },
	[OPT_TLS_CERTIFICATE] = { "tls-certificate", "FILE", "take HTTPS with this certificate, without a proxy" },
	[OPT_TLS_KEY] = { "tls-key", "FILE", "the certificate's key; default: privkey.pem beside it" },
	[OPT_LISTEN] = { "listen", "ADDRESS", "default: 127.0.0.1:9080; with a certificate [::]:443" },
	[OPT_USERNAME] = { "username", "NAME", "Autotask's API user, who makes webhooks there" },
	[OPT_OWNER] = { "owner", "N", "the resource that owns the webhooks at Autotask" },
	[OPT_DIRECTORY] = { "directory", "DIR", "write into DIR, to look and to try first" },
	[OPT_ADD] = { "add", "", "add a webhook to the configuration there is" },
};

#define GLOBAL (OPTION(OPT_CONFIG) | OPTION(OPT_SOCKET) | OPTION(OPT_JSON) | OPTION(OPT_HELP) | OPTION(OPT_VERSION))
#define FILTERS (OPTION(OPT_WEBHOOK) | OPTION(OPT_HANDLER) | OPTION(OPT_ENTITY) | OPTION(OPT_ID) | \
		 OPTION(OPT_ACTION) | OPTION(OPT_KIND) | OPTION(OPT_STATE))
#define STORE (OPTION(OPT_OFFLINE) | OPTION(OPT_STATE_DIRECTORY))

#define THRESHOLDS (OPTION(OPT_WAITING) | OPTION(OPT_AGE) | OPTION(OPT_DEAD_LETTERS) | OPTION(OPT_HELD) | \
		    OPTION(OPT_SILENT) | OPTION(OPT_UNAVAILABLE) | OPTION(OPT_DISK) | OPTION(OPT_CERTIFICATE) | \
		    OPTION(OPT_GUARD) | OPTION(OPT_PROBLEMS))

#define WHICH "NAME is a webhook's title in the configuration; ENTITY/ID is as\n`calloutctl webhook list` shows it.\n"

static const struct command commands[] = {
	{ "init", "", "make a first configuration, asking what is needed", 0, 0,
	  OPTION(OPT_ENTITY) | OPTION(OPT_EVENTS) | OPTION(OPT_PUBLIC_URL) | OPTION(OPT_TLS_CERTIFICATE) | OPTION(OPT_TLS_KEY) |
	  OPTION(OPT_LISTEN) | OPTION(OPT_HANDLER) | OPTION(OPT_WEBHOOK) | OPTION(OPT_USERNAME) | OPTION(OPT_OWNER) |
	  OPTION(OPT_DIRECTORY) | OPTION(OPT_ADD), cmd_init,
	  "Asks on a terminal, unless options say it all: what is not said then takes its\ndefault. "
	  "--entity takes a list (Ticket,Contact), default Ticket; each gets a webhook,\nwhose name is --webhook if it is one. "
	  "--handler names the example handler, default\nhello. Nothing that exists is overwritten.\n" },
	{ "status", "", "what waits, runs, fails and pauses, and what is wrong", 0, 0, 0, cmd_status, "" },
	{ "check", "", "a line for Nagios or Icinga, with their exit statuses", 0, 0, THRESHOLDS, cmd_check,
	  "W and C are ranges: 10 (0 to 10 is good), 10: (10 or more), ~:10, @1:5 (1 to 5\nis bad), or nothing (never).\n"
	  "Exit status: 0 ok, 1 warning, 2 critical, 3 unknown.\n" },
	{ "doctor", "", "say what is wrong, and what to do about it", 0, 0, OPTION(OPT_LOCAL), cmd_doctor,
	  "As root it sees all; what it cannot look at it says. Nothing is run, nothing is\nstored. "
	  "Exit status 1 when something is found, 3 when something could not be\nlooked at.\n" },
	{ "config", "", "print the configuration in force", 0, 0, 0, cmd_config, "" },
	{ "reload", "", "read configuration, secrets and certificate again", 0, 0, 0, cmd_reload, "" },
	{ "events", "", "list events, newest first", 0, 0,
	  FILTERS | STORE | OPTION(OPT_SINCE) | OPTION(OPT_UNTIL) | OPTION(OPT_BEFORE) | OPTION(OPT_LIMIT) | OPTION(OPT_ALL),
	  cmd_events, "With --json, one event a line.\n" },
	{ "show", "EVENT", "show one event: deliveries, attempts, output", 1, 1, STORE | OPTION(OPT_BODY), cmd_show,
	  "On a terminal --body escapes control characters; into a file or pipe it writes\nthe bytes as received.\n" },
	{ "tail", "", "print events as they come, until interrupted", 0, 0, FILTERS, cmd_tail,
	  "With --json, one event a line.\n" },
	{ "retry", "[EVENT]", "run handlers again for an event, or for dead letters", 0, 1,
	  OPTION(OPT_FAILED) | OPTION(OPT_HANDLER) | OPTION(OPT_SINCE), cmd_retry,
	  "Name an EVENT, or --failed for all dead letters. An EVENT without --failed also\nruns what was done or dropped.\n" },
	{ "drop", "[EVENT]", "drop what waits or has failed", 0, 1,
	  OPTION(OPT_FAILED) | OPTION(OPT_HANDLER) | OPTION(OPT_SINCE) | OPTION(OPT_YES), cmd_drop,
	  "Name an EVENT, or --handler for all of a handler's. What runs is not touched.\n" },
	{ "hold", "HANDLER", "let a handler's events wait", 1, 1, OPTION(OPT_FOR), cmd_hold, "" },
	{ "release", "HANDLER", "end a handler's hold or pause, or let a held record go", 1, 1, OPTION(OPT_RECORD),
	  cmd_release, "With --record the handler's own hold or pause stays; without it held records stay.\n" },
	{ "try", "HANDLER FILE|EVENT|-", "run a handler once on a file or a stored event", 2, 2,
	  OPTION(OPT_WEBHOOK), cmd_try, "Nothing is stored. A FILE of digits only is written as ./17.\n" },
	{ "alert", "", "have the alert's program told that this is a test", 0, 0, OPTION(OPT_TEST), cmd_alert,
	  "KIND is one of: " CONF_ALERT_KINDS ".\n" },
	{ "send", "FILE|-", "send a correctly signed callout", 1, 1, OPTION(OPT_WEBHOOK) | OPTION(OPT_VIA), cmd_send,
	  "Reads the webhook's first secret, so it needs the right to.\n" },
	{ "sign", "FILE|-", "print the signature header of a body", 1, 1, OPTION(OPT_WEBHOOK) | OPTION(OPT_SECRET_FILE),
	  cmd_sign, "Reads the webhook's first secret, so it needs the right to.\n" },
	{ "verify", "[FILE]", "say whether a signature is right, and why not", 0, 1,
	  OPTION(OPT_WEBHOOK) | OPTION(OPT_SECRET_FILE) | OPTION(OPT_HEADER) | OPTION(OPT_REQUEST), cmd_verify,
	  "Either FILE (a body) with --header, or --request. Without --webhook all\nwebhooks' secrets are tried.\n" },
	{ "webhook fields", "ENTITY [PATTERN]", "fields that a webhook can be subscribed to", 1, 2,
	  OPTION(OPT_UDF), cmd_webhook_fields, "PATTERN is part of a name, in any case, or has * and ? in it.\n" },
	{ "webhook list", "", "every webhook at Autotask, and whose it is", 0, 0, 0, cmd_webhook_list, "" },
	{ "webhook show", "NAME|ENTITY/ID", "a webhook at Autotask, all its properties and fields", 1, 1, 0, cmd_webhook_show,
	  WHICH },
	{ "webhook plan", "[NAME...]", "what differs between the configuration and Autotask", 0, CONF_WEBHOOKS_MAX, 0,
	  cmd_webhook_plan, "NAME is a webhook's title in the configuration; default: all with a section\n'subscribe'.\n"
	  "Exit status 1 when something differs.\n" },
	{ "webhook apply", "[NAME...]", "make Autotask as the configuration says", 0, CONF_WEBHOOKS_MAX, OPTION(OPT_DRY_RUN),
	  cmd_webhook_apply, "NAME is a webhook's title in the configuration; default: all with a section\n'subscribe'.\n" },
	{ "webhook delete", "NAME|ENTITY/ID", "delete a webhook at Autotask", 1, 1, OPTION(OPT_YES) | OPTION(OPT_DRY_RUN),
	  cmd_webhook_delete, WHICH },
	{ "webhook reactivate", "[NAME...]", "switch on what Autotask has switched off", 0, CONF_WEBHOOKS_MAX, OPTION(OPT_DRY_RUN),
	  cmd_webhook_reactivate, "NAME is a webhook's title in the configuration; default: all that it wants\nactive.\n" },
	{ "webhook rotate-secret", "NAME", "give a webhook a new secret without losing a callout", 1, 1, OPTION(OPT_DRY_RUN),
	  cmd_webhook_rotate, "The first secret becomes the second, so the configuration must list two, both as\n\"file:\"; the second file is made if it is missing.\n" },
	{ "recover", "", "fetch what Autotask gave up delivering", 0, 0,
	  OPTION(OPT_WEBHOOK) | OPTION(OPT_SINCE) | OPTION(OPT_REFETCH) | OPTION(OPT_DELETE) | OPTION(OPT_DRY_RUN), cmd_recover,
	  "Reads Autotask's error log, and hands its rows to calloutd. --refetch asks for\n"
	  "the records of incomplete rows; with --since also for all that were modified\n"
	  "since then, when the webhook was off. May be repeated: calloutd knows what it\n"
	  "has had.\n" },
	{ "guard", "", "switch webhooks on again, recover what was lost", 0, 0,
	  OPTION(OPT_DRY_RUN) | OPTION(OPT_AT_MOST), cmd_guard,
	  "One look at all webhooks, as calloutd-guard.timer has it done. Ends with 1 when\nsomething needs a person.\n" },
};

/* ---- saying things ---- */

__attribute__((format(printf, 1, 0)))
static void vcomplain(const char *fmt, va_list args)
{
	AUTO(buf) struct buf safe = BUF_INIT(TEXT_MAX);
	char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		(void)need(NULL);
	/* What came from elsewhere may be escaped already: that stays as it is. */
	text_escape(&safe, text, strlen(text));
	free(text);
	fflush(stdout);
	fprintf(stderr, "calloutctl: %s\n", safe.data ? safe.data : "");
}

enum exit_status complain(enum exit_status status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
	return status;
}

static void print_usage(FILE *f, const struct command *c)
{
	fprintf(f, "usage: calloutctl %s%s%s%s\n", c ? c->name : "[OPTION...] COMMAND [ARGUMENT...]",
		c && c->options ? " [OPTION...]" : "", c && *c->args ? " " : "", c ? c->args : "");
}

static enum exit_status point_to_help(const struct command *c)
{
	print_usage(stderr, c);
	fprintf(stderr, "Try 'calloutctl %s%s--help'.\n", c ? c->name : "", c ? " " : "");
	return CTL_USAGE;
}

enum exit_status misused(const struct ctl *ctl, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
	return point_to_help(ctl->command);
}

const char *option_name(enum option_id id)
{
	return options[id].name;
}

static void print_option(enum option_id id)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "--%s%s%s", options[id].name, *options[id].takes ? " " : "", options[id].takes);
	printf("  %-23s %s\n", name, options[id].text);
}

/* Two blanks, a name, two blanks or more: the manual is compared with these lines. */
static void print_help(void)
{
	print_usage(stdout, NULL);
	puts("\nLook into calloutd and steer it. See calloutctl(1).\n\nCommands:");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-22s %s\n", commands[i].name, commands[i].summary);
	puts("\nOptions of every command, before or behind it:");
	for (int i = 0; i < OPT_COUNT_; i++)
		if (GLOBAL & OPTION(i))
			print_option((enum option_id)i);
	puts("\nExit status: 0 ok, 1 the answer is no, 2 usage, 3 the other side is unreachable.\n"
	     "'calloutctl COMMAND --help' tells more.");
}

/* No line wider than a terminal; line ends in the text stay. */
static void print_folded(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n"), end = len;

		if (len > HELP_COLUMNS)
			for (end = HELP_COLUMNS; end && text[end] != ' '; end--)
				;
		if (!end)
			end = len;
		printf("%.*s\n", (int)end, text);
		text += end + (text[end] != '\0');
	}
}

static void print_command_help(const struct command *c)
{
	print_usage(stdout, c);
	printf("\n%c%s.\n", c->summary[0] - 'a' + 'A', c->summary + 1);
	print_folded(c->more);
	if (c->options)
		puts("\nOptions:");
	for (int i = 0; i < OPT_COUNT_; i++)
		if (c->options & OPTION(i))
			print_option((enum option_id)i);
	puts("\n'calloutctl --help' lists the options of every command.");
}

static bool needs_quotes(const char *text)
{
	return !*text || text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:+@%")];
}

void print_again(const struct ctl *ctl, uint64_t but)
{
	for (int i = 0; i < OPT_COUNT_; i++) {
		AUTO(buf) struct buf value = BUF_INIT(TEXT_MAX);

		if (!ctl->option[i] || (but & OPTION(i)))
			continue;
		printf(" --%s", options[i].name);
		if (!*options[i].takes)
			continue;
		text_escape(&value, ctl->option[i], strlen(ctl->option[i]));
		printf(needs_quotes(ctl->option[i]) ? " '%s'" : " %s", value.data ? value.data : "");
	}
}

/* ---- arguments ---- */

bool read_number(const char *text, int64_t *ret)
{
	const struct json_value v = { JSON_NUMBER, text, strlen(text) };
	int64_t n;

	if (!v.len || json_integer(&v, &n) < 0 || n <= 0)
		return false;
	*ret = n;
	return true;
}

static enum exit_status read_stdin(char **ret_data, size_t *ret_len)
{
	AUTO(buf) struct buf all = BUF_INIT(INPUT_MAX);
	char piece[16384];
	size_t n;

	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		if (buf_append(&all, piece, n) < 0)
			return complain(CTL_NO, "standard input is longer than 64 MiB");
	if (ferror(stdin))
		return complain(CTL_NO, "cannot read standard input: %s", strerror(errno));
	*ret_data = buf_take(&all, ret_len);
	if (!*ret_data)
		*ret_data = need(strdup(""));
	return CTL_OK;
}

enum exit_status read_input(const char *path, char **ret_data, size_t *ret_len)
{
	int r;

	if (strcmp(path, "-") == 0)
		return read_stdin(ret_data, ret_len);
	r = file_read(path, INPUT_MAX, ret_data, ret_len);
	if (r == -EFBIG)
		return complain(CTL_NO, "%s is longer than 64 MiB", path);
	if (r < 0)
		return complain(CTL_NO, "cannot read %s: %s", path, strerror(-r));
	return CTL_OK;
}

/* ---- the configuration ---- */

const struct conf *ctl_conf(struct ctl *ctl)
{
	const char *path = ctl->option[OPT_CONFIG];

	if (!ctl->conf_tried)
		ctl->conf_result = conf_load(path ? path : CONF_DEFAULT_PATH, &ctl->conf, &ctl->conf_error);
	ctl->conf_tried = true;
	return ctl->conf;
}

const struct conf *ctl_conf_needed(struct ctl *ctl)
{
	const struct conf *c = ctl_conf(ctl);

	if (!c)
		(void)complain(CTL_NO, "%s%s", ctl->conf_error.text,
			       ctl->conf_result == -EACCES ? " (this command reads the configuration: use sudo)" : "");
	return c;
}

const char *ctl_state_directory(struct ctl *ctl, char *dst, size_t cap)
{
	static const struct conf defaults = { .path = NULL };
	const struct conf *c;

	if (ctl->option[OPT_STATE_DIRECTORY]) {
		(void)snprintf(dst, cap, "%s", ctl->option[OPT_STATE_DIRECTORY]);
		return dst;
	}
	c = ctl_conf(ctl);
	return conf_state_directory(c ? c : &defaults, dst, cap);
}

/* ---- the command line ---- */

/* A command's name is one argument, or a family's and one of its own. Returns how many it is here; 0: another. */
static int names(const struct ctl *ctl, const char *name)
{
	size_t len = strcspn(name, " ");

	if (strncmp(ctl->args[0], name, len) != 0 || ctl->args[0][len])
		return 0;
	if (!name[len])
		return 1;
	return ctl->arg_count > 1 && strcmp(ctl->args[1], name + len + 1) == 0 ? 2 : 0;
}

static bool in_family(const struct command *c, const char *family)
{
	size_t len = strlen(family);

	return strncmp(c->name, family, len) == 0 && c->name[len] == ' ';
}

/* "webhook" without more, or with something wrong: what there is. */
static enum exit_status no_such(struct ctl *ctl)
{
	AUTO(buf) struct buf family = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (in_family(&commands[i], ctl->args[0]))
			need_room(buf_printf(&family, "%s%s", family.data ? ", " : "", strchr(commands[i].name, ' ') + 1));
	if (!family.data)
		return misused(ctl, "there is no command '%s'", ctl->args[0]);
	if (ctl->arg_count > 1)
		return misused(ctl, "there is no command '%s %s'; there are: %s", ctl->args[0], ctl->args[1], family.data);
	if (ctl->option[OPT_HELP])
		return CTL_OK;
	return misused(ctl, "'%s' and what? %s", ctl->args[0], family.data);
}

/* Options anywhere, whatever POSIXLY_CORRECT says: '-' in front hands out arguments in their place. */
static enum exit_status parse(struct ctl *ctl, int argc, char **argv)
{
	struct option longs[OPT_COUNT_ + 1] = { { NULL, 0, NULL, 0 } };
	int c, index;

	for (int i = 0; i < OPT_COUNT_; i++)
		longs[i] = (struct option){ options[i].name, *options[i].takes ? required_argument : no_argument, NULL,
					    256 + i };
	ctl->args = need(calloc((size_t)argc + 1, sizeof(*ctl->args)));
	while ((c = getopt_long(argc, argv, "-c:hV", longs, NULL)) >= 0) {
		index = c >= 256 ? c - 256 : c == 'c' ? OPT_CONFIG : c == 'h' ? OPT_HELP : c == 'V' ? OPT_VERSION : -1;
		if (c == 1)
			ctl->args[ctl->arg_count++] = optarg;
		else if (index < 0)
			return CTL_USAGE;
		else if (ctl->option[index])
			ctl->repeated |= OPTION(index);
		if (index >= 0)
			ctl->option[index] = optarg ? optarg : "";
	}
	while (optind < argc)
		ctl->args[ctl->arg_count++] = argv[optind++];
	return CTL_OK;
}

/* The command that the first arguments name, and how many they are; NULL: none. */
static const struct command *find(const struct ctl *ctl, int *ret_count)
{
	for (size_t i = 0; ctl->arg_count && i < ARRAY_LEN(commands); i++) {
		*ret_count = names(ctl, commands[i].name);
		if (*ret_count)
			return &commands[i];
	}
	return NULL;
}

/* The first arguments are the command; the rest is counted against its row. */
static enum exit_status choose(struct ctl *ctl)
{
	const struct command *c;
	int n = 0;

	if (!ctl->arg_count)
		return misused(ctl, "which command?");
	c = find(ctl, &n);
	if (!c)
		return no_such(ctl);
	ctl->command = c;
	memmove(ctl->args, ctl->args + n, (size_t)(ctl->arg_count - n + 1) * sizeof(*ctl->args));
	ctl->arg_count -= n;
	if (ctl->option[OPT_HELP])
		return CTL_OK;
	for (int i = 0; i < OPT_COUNT_; i++)
		if (ctl->option[i] && !((GLOBAL | c->options) & OPTION(i)))
			return misused(ctl, "'%s' has no option --%s", c->name, options[i].name);
	if (ctl->arg_count < c->args_min)
		return misused(ctl, "'%s' needs %s", c->name, c->args);
	if (ctl->arg_count > c->args_max)
		return misused(ctl, "'%s': unexpected argument '%s'", c->name, ctl->args[c->args_max]);
	return CTL_OK;
}

static bool colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static void print_family_help(const char *family)
{
	printf("usage: calloutctl %s COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n", family);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (in_family(&commands[i], family))
			printf("  %-22s %s\n", commands[i].name, commands[i].summary);
	printf("\n'calloutctl %s COMMAND --help' tells more.\n", family);
}

/* To those who run a plug-in 2 would mean that calloutd is in a bad way. */
static enum exit_status wrong_usage(const struct command *c, enum exit_status status)
{
	return c && c->run == cmd_check ? CTL_UNREACHABLE : status;
}

static enum exit_status run(struct ctl *ctl)
{
	enum exit_status status;

	if (ctl->option[OPT_VERSION]) {
		puts("calloutctl " CALLOUTD_VERSION);
		return CTL_OK;
	}
	if (ctl->option[OPT_HELP] && !ctl->arg_count) {
		print_help();
		return CTL_OK;
	}
	status = choose(ctl);
	if (status != CTL_OK)
		return wrong_usage(ctl->command, status);
	if (ctl->option[OPT_HELP]) {
		if (ctl->command)
			print_command_help(ctl->command);
		else
			print_family_help(ctl->args[0]);
		return CTL_OK;
	}
	return ctl->command->run(ctl);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .command = NULL };
	enum exit_status status;
	int count;

	/* For wcwidth() only: what is shown is UTF-8 whatever the user's locale is. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	ctl.colour = colours();
	status = parse(&ctl, argc, argv);
	if (status == CTL_OK)
		status = run(&ctl);
	else
		status = wrong_usage(find(&ctl, &count), point_to_help(find(&ctl, &count)));
	client_close(&ctl);
	(void)conf_free(ctl.conf);
	free(ctl.args);
	if (fflush(stdout) != 0 || ferror(stdout))
		status = complain(CTL_NO, "cannot write to standard output: %s", strerror(errno));
	return (int)status;
}
