/* restore.c - `calloutctl restore`: a copy in the place of the store, while calloutd is stopped. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "copies.h"

#define UNITS "calloutd.socket calloutd-admin.socket calloutd.service"

static enum exit_status refused(int r, const struct error *err)
{
	if (r == -EACCES || r == -EPERM)
		return complain(CTL_UNREACHABLE, "%s (it may need sudo)", err->text);
	return complain(CTL_NO, "%s", err->text);
}

/* Whoever reads this is about to start calloutd. */
static void print_next(const struct ctl *ctl, const struct backup_facts *f)
{
	char since[CLOCK_TEXT_LEN];
	int64_t from_ms = f->made_ms ? f->made_ms : f->newest_ms;

	puts("Next:");
	puts("  - Start calloutd: sudo systemctl start " UNITS);
	if (ctl->option[OPT_HOLD])
		puts("  - All handlers are held: look with `calloutctl events --state waiting`, then `calloutctl release HANDLER`.");
	if (ctl->option[OPT_MOVED]) {
		puts("  - Let callouts come here, and never start the old calloutd again: it would give the same numbers to other events.\n"
		     "  - What was given up meanwhile `calloutctl guard` or `calloutctl recover` fetches.");
		return;
	}
	puts("  - What was handled after the copy was made is handled again, with the same CALLOUT_EVENT; what came after it,\n"
	     "    and is fetched again, has other numbers.");
	printf("  - Fetch what came after it: `calloutctl guard` does, or\n"
	       "    calloutctl recover --refetch%s%s\n", from_ms ? " --since " : "", from_ms ? clock_text(from_ms, since) : "");
}

static void write_result(const struct ctl *ctl, const struct backup_facts *f, const char *directory, const struct restored *done)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);

	writer_object(&w, NULL);
	writer_text(&w, "file", ctl->args[0]);
	writer_text(&w, "state_directory", directory);
	writer_bool(&w, "dry_run", !done);
	writer_bool(&w, "restored", done);
	writer_text(&w, "aside", done && *done->aside ? done->aside : NULL);
	writer_bool(&w, "held", done && ctl->option[OPT_HOLD]);
	facts_write(&w, f);
	writer_end(&w);
	print_written(&w);
}

static void tell(const struct ctl *ctl, const struct backup_facts *f, const char *directory, const struct restored *done)
{
	if (ctl->option[OPT_JSON]) {
		write_result(ctl, f, directory, done);
		return;
	}
	printf("%s is a whole copy.\n", ctl->args[0]);
	facts_print(f);
	if (f->version < STORE_SCHEMA)
		printf("calloutd brings its tables to version %d when it starts, after a copy of its own.\n", STORE_SCHEMA);
	if (!done) {
		printf("It would be the store in %s; what is there would be moved aside.\n", directory);
		return;
	}
	printf("It is the store in %s now.\n", directory);
	if (*done->aside)
		printf("The store before is %s; remove it once it is not needed: it holds customers' data.\n", done->aside);
	print_next(ctl, f);
}

static enum exit_status in_use(const char *text)
{
	/* The lock's own remedy is for whoever starts a second daemon. Its sockets would start this one again. */
	const char *remedy = strstr(text, ": stop it");

	return complain(CTL_NO, "%.*s: stop it, with its sockets, then again: sudo systemctl stop " UNITS,
			remedy ? (int)(remedy - text) : (int)strlen(text), text);
}

/* Somebody who only looks wants to know that, too. */
static enum exit_status check_stopped(const char *directory)
{
	AUTO(fd) int lock = -1;
	struct error err = { "" };

	if (access(directory, F_OK) == 0 && store_lock(directory, &lock, &err) == -EBUSY)
		return in_use(err.text);
	return CTL_OK;
}

static enum exit_status look(const struct ctl *ctl, const char *directory)
{
	struct backup_facts f;
	struct error err = { "" };
	int r = backup_look(ctl->args[0], true, &f, &err);

	if (r < 0)
		return refused(r, &err);
	tell(ctl, &f, directory, NULL);
	return check_stopped(directory);
}

enum exit_status cmd_restore(struct ctl *ctl)
{
	char directory[PATH_MAX];
	struct progress progress = { .on = isatty(STDERR_FILENO) };
	const struct restore_options o = { .directory = ctl_state_directory(ctl, directory, sizeof(directory)), .from = ctl->args[0],
					   .force = ctl->option[OPT_FORCE], .hold = ctl->option[OPT_HOLD], .moved = ctl->option[OPT_MOVED],
					   .now_ms = clock_now_ms(),
					   .watch = { copying_shown, &progress } };
	struct restored done = { .aside = "" };
	struct error err = { "" };
	struct backup_facts f;
	int r;

	if (ctl->option[OPT_DRY_RUN])
		return look(ctl, directory);
	/* Before a sentence that is for the daemon's user comes out of the store. */
	if (access(directory, W_OK) < 0 && errno == EACCES)
		return complain(CTL_NO, "may not write to %s: use sudo", directory);
	r = backup_look(o.from, false, &f, &err);
	if (r < 0)
		return refused(r, &err);
	r = backup_restore(&o, &done, &err);
	progress_end(&progress);
	if (r == -EBUSY)        /* not of the copy, which was looked at: of the directory */
		return in_use(err.text);
	if (r < 0)
		return refused(r, &err);
	tell(ctl, &f, directory, &done);
	return CTL_OK;
}
