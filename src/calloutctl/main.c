/* main.c - calloutctl: the command line, what is said to people, and the way to a command (commands.c). */
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
	return option_rows[id].name;
}

static void print_option(enum option_id id)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "--%s%s%s", option_rows[id].name, *option_rows[id].takes ? " " : "", option_rows[id].takes);
	printf("  %-23s %s\n", name, option_rows[id].text);
}

/* Two blanks, a name, two blanks or more: the manual is compared with these lines. */
static void print_help(void)
{
	print_usage(stdout, NULL);
	puts("\nLook into calloutd and steer it. See calloutctl(1).\n\nCommands:");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-22s %s\n", c->name, c->summary);
	puts("\nOptions of every command, before or behind it:");
	for (int i = OPT_END + 1; i <= OPT_VERSION; i++)
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

static bool takes(const struct command *c, enum option_id id)
{
	const unsigned char *at = c->options;

	while (at && *at != OPT_END && *at != id)
		at++;
	return id <= OPT_VERSION || (at && *at == id);
}

static void print_command_help(const struct command *c)
{
	print_usage(stdout, c);
	printf("\n%c%s.\n", c->summary[0] - 'a' + 'A', c->summary + 1);
	print_folded(c->more);
	if (c->options)
		puts("\nOptions:");
	for (int i = OPT_VERSION + 1; i < OPT_COUNT_; i++)
		if (takes(c, (enum option_id)i))
			print_option((enum option_id)i);
	puts("\n'calloutctl --help' lists the options of every command.");
}

static bool needs_quotes(const char *text)
{
	return !*text || text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:+@%")];
}

void print_again(const struct ctl *ctl, enum option_id but)
{
	for (int i = 0; i < OPT_COUNT_; i++) {
		AUTO(buf) struct buf value = BUF_INIT(TEXT_MAX);

		if (!ctl->option[i] || i == (int)but)
			continue;
		printf(" --%s", option_rows[i].name);
		if (!*option_rows[i].takes)
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

	for (const struct command *c = commands; c->name; c++)
		if (in_family(c, ctl->args[0]))
			need_room(buf_printf(&family, "%s%s", family.data ? ", " : "", strchr(c->name, ' ') + 1));
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
	struct option longs[OPT_COUNT_] = { { NULL, 0, NULL, 0 } };
	int c, index;

	for (int i = OPT_END + 1; i < OPT_COUNT_; i++)
		longs[i - 1] = (struct option){ option_rows[i].name, *option_rows[i].takes ? required_argument : no_argument, NULL,
					    256 + i };
	ctl->args = need(calloc((size_t)argc + 1, sizeof(*ctl->args)));
	while ((c = getopt_long(argc, argv, "-c:hV", longs, NULL)) >= 0) {
		index = c >= 256 ? c - 256 : c == 'c' ? OPT_CONFIG : c == 'h' ? OPT_HELP : c == 'V' ? OPT_VERSION : -1;
		if (c == 1)
			ctl->args[ctl->arg_count++] = optarg;
		else if (index < 0)
			return CTL_USAGE;
		else if (ctl->option[index])
			ctl->repeated[index] = true;
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
	for (const struct command *c = commands; ctl->arg_count && c->name; c++) {
		*ret_count = names(ctl, c->name);
		if (*ret_count)
			return c;
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
		if (ctl->option[i] && !takes(c, (enum option_id)i))
			return misused(ctl, "'%s' has no option --%s", c->name, option_rows[i].name);
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
	for (const struct command *c = commands; c->name; c++)
		if (in_family(c, family))
			printf("  %-22s %s\n", c->name, c->summary);
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
