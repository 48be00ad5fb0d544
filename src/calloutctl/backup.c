/*
 * backup.c - `calloutctl backup`: a copy of the store into a file.
 *
 * The file gets its name when it is whole and on disk. Until then it has none, where the file system can do that,
 * so that a kill leaves nothing; elsewhere, and with --offline, it is FILE.new.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "copies.h"

#define WITHOUT "It does not hold the configuration, secrets, or what handlers keep (/etc/calloutd, /var/lib/calloutd-runner)."

/* ---- what was made, in words ---- */

void facts_print(const struct backup_facts *f)
{
	char when[WHEN_LEN];

	printf("  made            %s%s%s%s\n", f->made_ms ? when_text(f->made_ms, when) : "at an unknown time", *f->by ? " by calloutd " : "",
	       f->by, f->stopped ? ", while the daemon was stopped" : "");
	printf("  tables          version %d\n  size            %" PRIu64 " MiB\n", f->version, (f->bytes + (1 << 20) - 1) >> 20);
	printf("  events          %" PRIu64, f->events);
	if (f->newest_event)
		printf(", the newest is %" PRId64 ", received %s", f->newest_event, when_text(f->newest_ms, when));
	printf("\n  deliveries      %" PRIu64 " waiting, %" PRIu64 " failed\n", f->waiting, f->failed);
}

void facts_write(struct writer *w, const struct backup_facts *f)
{
	char text[CLOCK_TEXT_LEN];

	writer_text(w, "made", f->made_ms ? clock_text(f->made_ms, text) : NULL);
	writer_text(w, "by", *f->by ? f->by : NULL);
	writer_bool(w, "stopped", f->stopped);
	writer_int(w, "version", f->version);
	writer_uint(w, "bytes", f->bytes);
	writer_uint(w, "events", f->events);
	writer_uint(w, "waiting", f->waiting);
	writer_uint(w, "failed", f->failed);
	writer_int(w, "newest_event", f->newest_event);
	writer_text(w, "newest", f->newest_ms ? clock_text(f->newest_ms, text) : NULL);
}

static enum exit_status tell(const struct ctl *ctl, const char *path)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	struct backup_facts f;
	struct error err = { "" };

	if (backup_look(path, false, &f, &err) < 0)
		return complain(CTL_NO, "%s", err.text);
	if (ctl->option[OPT_JSON]) {
		writer_object(&w, NULL);
		writer_text(&w, "file", path);
		facts_write(&w, &f);
		writer_end(&w);
		print_written(&w);
		return CTL_OK;
	}
	printf("%s is a whole copy.\n", path);
	facts_print(&f);
	puts(WITHOUT);
	return CTL_OK;
}

/* ---- a file without a name ---- */

struct copy {
	const char *path;
	char aside[PATH_MAX];   /* FILE.new */
	bool named;             /* it is there under that name already */
	bool force;
	int fd;
};

static enum exit_status in_the_way(const char *path)
{
	return complain(CTL_NO, "%s is there already: --force replaces it", path);
}

static void drop(struct copy *t)
{
	if (t->named)
		(void)unlink(t->aside);
	t->named = false;
	if (t->fd >= 0)
		(void)close(TAKE_FD(t->fd));
}

static int open_named(struct copy *t)
{
	if (unlink(t->aside) < 0 && errno != ENOENT)
		return -errno;
	t->fd = open(t->aside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	t->named = t->fd >= 0;
	return t->fd < 0 ? -errno : 0;
}

static int open_nameless(struct copy *t)
{
	AUTO(free) char *copy = need(strdup(t->path));

	t->fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return t->fd < 0 ? open_named(t) : 0;
}

static enum exit_status copy_open(struct copy *t, bool nameless)
{
	struct stat st;
	int r;

	(void)snprintf(t->aside, sizeof(t->aside), "%.4000s.new", t->path);
	if (stat(t->path, &st) == 0 && !t->force)
		return in_the_way(t->path);
	r = nameless ? open_nameless(t) : open_named(t);
	if (r == 0 && fchmod(t->fd, 0600) < 0)
		r = -errno;
	return r < 0 ? complain(CTL_NO, "cannot write %s: %s", t->path, strerror(-r)) : CTL_OK;
}

static int give_name(struct copy *t, const char *name)
{
	char self[64];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, t->named ? t->aside : self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* A new name is given by linking, which replaces nothing, whoever was quicker. */
static int copy_keep(struct copy *t)
{
	int r = fsync(t->fd) < 0 ? -errno : 0;

	if (r == 0 && !t->force)
		return give_name(t, t->path);
	if (r == 0 && !t->named) {
		(void)unlink(t->aside);
		r = give_name(t, t->aside);
		t->named = r == 0;
	}
	if (r == 0 && rename(t->aside, t->path) < 0)
		r = -errno;
	t->named = t->named && r < 0;
	return r;
}

static enum exit_status copy_finish(struct copy *t)
{
	int r = copy_keep(t);

	if (r == -EEXIST)
		return in_the_way(t->path);
	if (r == 0)
		r = file_sync_directory_of(t->path);
	return r < 0 ? complain(CTL_NO, "cannot write %s: %s", t->path, strerror(-r)) : CTL_OK;
}

/* ---- from the daemon ---- */

struct fetching {
	struct progress progress;
	int64_t since_ms;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct fetching *f = arg;
	struct progress *p = &f->progress;

	p->what = total ? "fetching the copy (MiB)" : "calloutd makes and checks the copy (seconds)";
	p->done = total ? (size_t)(done >> 20) : (size_t)((clock_mono_ms() - f->since_ms) / 1000);
	p->total = (size_t)(total >> 20);
	progress_show(p);
}

static enum exit_status fetch(struct ctl *ctl, FILE *stream)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	struct fetching fetching = { .progress = { .on = isatty(STDERR_FILENO) }, .since_ms = clock_mono_ms() };
	const struct request q = { .method = "POST", .path = "/v1/backup", .stream = stream, .progress = on_progress,
				   .arg = &fetching };
	struct error err = { "" };
	int r = client_ask(ctl, &q, &a, &err);
	AUTO(free) char *why = r == 0 && a.status != 200 && a.json ? member_text(&a.root, "error") : NULL;

	progress_end(&fetching.progress);
	if (r == -EIO)
		return complain(CTL_NO, "%s", err.text);
	if (r < 0)
		return complain(CTL_UNREACHABLE, "%s", err.text);
	if (a.status != 200)
		return complain(CTL_NO, "%s", why && *why ? why : "calloutd makes no copies: is it an older one?");
	if (fflush(stream) != 0)
		return complain(CTL_NO, "cannot write the copy: %s", strerror(errno));
	return CTL_OK;
}

static enum exit_status online(struct ctl *ctl, struct copy *t)
{
	AUTO(FILE) FILE *stream = NULL;
	enum exit_status status = copy_open(t, true);
	int fd;

	if (status != CTL_OK)
		return status;
	fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 3);
	stream = fd < 0 ? NULL : fdopen(fd, "w");
	if (!stream)
		return complain(CTL_NO, "cannot write %s: %s", t->path, strerror(errno));
	status = fetch(ctl, stream);
	return status == CTL_OK ? copy_finish(t) : status;
}

/* ---- from a store that nobody uses ---- */

bool copying_shown(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;

	p->what = total ? "copying (MiB)" : "checking";
	p->done = (size_t)(done >> 20);
	p->total = (size_t)(total >> 20);
	progress_show(p);
	return true;
}

static enum exit_status copy_offline(struct ctl *ctl, const char *to)
{
	char directory[PATH_MAX];
	struct progress progress = { .on = isatty(STDERR_FILENO) };
	const struct backup_options o = { .directory = ctl_state_directory(ctl, directory, sizeof(directory)), .to = to, .sync = true, .stopped = true,
					  .watch = { copying_shown, &progress } };
	AUTO(fd) int lock = -1;
	struct backup_facts facts;
	struct error err = { "" };
	int r = access(directory, X_OK) < 0 ? -errno : 0;

	if (r < 0)
		return complain(CTL_UNREACHABLE, "cannot look into %s: %s (it may need sudo)", directory, strerror(-r));
	r = store_lock(directory, &lock, &err);
	if (r == -EBUSY)
		return complain(CTL_NO, "%s; or leave --offline away: calloutd makes the copy while it runs", err.text);
	if (r == 0)
		r = backup_make(&o, &facts, &err);
	progress_end(&progress);
	return r < 0 ? complain(r == -ENOENT || r == -EACCES ? CTL_UNREACHABLE : CTL_NO, "%s", err.text) : CTL_OK;
}

static enum exit_status offline(struct ctl *ctl, struct copy *t)
{
	enum exit_status status = copy_open(t, false);

	if (status == CTL_OK)
		status = copy_offline(ctl, t->aside);
	return status == CTL_OK ? copy_finish(t) : status;
}

/* ---- to standard output ---- */

static enum exit_status pour(int fd)
{
	char piece[65536];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		if (fwrite(piece, 1, (size_t)n, stdout) != (size_t)n)
			return complain(CTL_NO, "cannot write to standard output: %s", strerror(errno));
	return n < 0 ? complain(CTL_NO, "cannot read the copy: %s", strerror(errno)) : CTL_OK;
}

static enum exit_status offline_to_stdout(struct ctl *ctl)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];
	AUTO(fd) int fd = -1;
	enum exit_status status;

	(void)snprintf(path, sizeof(path), "%.3000s/calloutd-backup.XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return complain(CTL_NO, "cannot write %s: %s", path, strerror(errno));
	status = copy_offline(ctl, path);
	(void)unlink(path);
	return status == CTL_OK ? pour(fd) : status;
}

static enum exit_status to_stdout(struct ctl *ctl)
{
	if (isatty(STDOUT_FILENO))
		return misused(ctl, "a copy is no text for a terminal: name a FILE, or pipe it on");
	return ctl->option[OPT_OFFLINE] ? offline_to_stdout(ctl) : fetch(ctl, stdout);
}

enum exit_status cmd_backup(struct ctl *ctl)
{
	struct copy t = { .path = ctl->args[0], .force = ctl->option[OPT_FORCE], .fd = -1 };
	enum exit_status status;

	if (ctl->option[OPT_STATE_DIRECTORY] && !ctl->option[OPT_OFFLINE])
		return misused(ctl, "--state-directory goes with --offline");
	if (strcmp(t.path, "-") == 0)
		return to_stdout(ctl);
	if (strlen(t.path) > PATH_MAX - 100)
		return misused(ctl, "the name is too long");
	status = ctl->option[OPT_OFFLINE] ? offline(ctl, &t) : online(ctl, &t);
	drop(&t);
	return status == CTL_OK ? tell(ctl, t.path) : status;
}
