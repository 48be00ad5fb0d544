/*
 * init.c - `calloutctl init`: a first configuration, or a webhook more, from questions or options.
 *
 * Nothing is written before the last answer (init_ask.c), and then all of it or none (init_files.c).
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

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
	char given[PATH_MAX] = "", usual[PATH_MAX];
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
		status = init_ask(in);
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
