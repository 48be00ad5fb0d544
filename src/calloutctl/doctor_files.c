/* doctor_files.c - the doctor looks at files: configuration, secrets, state directory and its disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "doctor.h"

#define AUTOTASK_SECRET_MAX 64  /* characters (vendor help) */
#define SECRET_LITTLE 32

/* ---- configuration ---- */

struct sentences {
	struct doctor *d;
	unsigned count;
};

static void on_sentence(void *arg, bool serious, const char *text)
{
	struct sentences *s = arg;

	/* Serious is that a handler cannot run: its runner knows better, and is asked. */
	if (serious && s->d->answers)
		return;
	s->count++;
	doctor_tell(s->d, serious ? LEVEL_ERROR : LEVEL_WARNING, "", "%s", text);
}

static void look_at_conf_file(struct doctor *d, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return;
	if (st.st_mode & S_IWOTH) {
		AUTO(free) char *remedy = text_printf("chmod o-w %s", path);

		doctor_tell(d, LEVEL_ERROR, remedy, "%s may be changed by everybody (mode %04o): it says what is run", path,
			    (unsigned)(st.st_mode & 07777));
	}
	if (!doctor_daemon_reads(d, &st)) {
		AUTO(free) char *user = doctor_user_name(d->daemon.uid);
		AUTO(free) char *remedy = text_printf("chgrp calloutd-conf %s && chmod 0640 %s", path, path);

		doctor_tell(d, LEVEL_ERROR, remedy, "%s cannot be read by calloutd's user %s: the next reload is refused", path,
			    user);
	}
}

void doctor_configuration(struct doctor *d)
{
	struct sentences s = { .d = d };

	if (!d->conf && d->ctl->conf_result == -EACCES) {
		doctor_tell(d, LEVEL_UNSEEN, "run it as root", "%s", d->ctl->conf_error.text);
		return;
	}
	if (!d->conf) {
		doctor_tell(d, LEVEL_ERROR, "mend it, then calloutctl reload; calloutd --check says more", "%s",
			    d->ctl->conf_error.text);
		return;
	}
	(void)conf_check(d->conf, on_sentence, &s);
	for (size_t i = 0; i < d->conf->files.count; i++)
		look_at_conf_file(d, d->conf->files.items[i]);
	if (!s.count)
		doctor_ok(d, "%s is valid", d->conf->path);
	if (!d->conf->webhook_count)
		doctor_tell(d, LEVEL_WARNING, "add a section webhook: calloutd.conf(5)", "there is no webhook: nothing is received");
	if (!d->conf->handler_count)
		doctor_tell(d, LEVEL_WARNING, "add a section handler: calloutd.conf(5)", "there is no handler: nothing is run");
}

/* ---- secrets ---- */

struct seen_secret {
	const char *webhook, *path;
	size_t len;
	unsigned char bytes[SECRET_MAX];
};

struct seen_secrets {
	struct seen_secret *items;
	size_t count;
};

static void forget(struct seen_secrets *s)
{
	if (s->items)
		explicit_bzero(s->items, s->count * sizeof(*s->items));
	free(s->items);
}

/* Modes as secret.h demands them of the daemon; but the owner may be the daemon's user, whoever looks. */
static bool rights_are_good(struct doctor *d, const char *webhook, const char *path, const struct stat *st)
{
	AUTO(free) char *mode = text_printf("chmod 0640 %s", path);
	AUTO(free) char *group = text_printf("chgrp calloutd %s && chmod 0640 %s", path, path);

	if (!S_ISREG(st->st_mode)) {
		doctor_tell(d, LEVEL_ERROR, "name a file", "webhook %s: %s is no file", webhook, path);
		return false;
	}
	if (st->st_mode & (S_IRWXO | S_IWGRP)) {
		doctor_tell(d, LEVEL_ERROR, mode, "webhook %s: others may read or change its secret %s (mode %04o), so calloutd does not take it",
			    webhook, path, (unsigned)(st->st_mode & 07777));
		return false;
	}
	if (st->st_uid != 0 && d->daemon.known && st->st_uid != d->daemon.uid) {
		AUTO(free) char *owner = doctor_user_name(st->st_uid);
		AUTO(free) char *remedy = text_printf("chown root %s", path);

		doctor_tell(d, LEVEL_ERROR, remedy, "webhook %s: its secret %s belongs to %s, who may change it", webhook, path, owner);
		return false;
	}
	if (!doctor_daemon_reads(d, st)) {
		AUTO(free) char *user = doctor_user_name(d->daemon.uid);

		doctor_tell(d, LEVEL_ERROR, group, "webhook %s: calloutd's user %s cannot read the secret %s: callouts are answered 503",
			    webhook, user, path);
		return false;
	}
	return true;
}

/* bytes are wiped by the caller. */
static void look_at_value(struct doctor *d, struct seen_secrets *seen, const char *webhook, const char *path,
			  const char *bytes, size_t len)
{
	struct seen_secret *s;

	if (!len || len > AUTOTASK_SECRET_MAX)
		doctor_tell(d, LEVEL_ERROR, "calloutctl webhook rotate-secret makes a good one",
			    "webhook %s: the secret in %s has %zu characters; Autotask takes 1 to %d", webhook, path, len,
			    AUTOTASK_SECRET_MAX);
	else if (len < SECRET_LITTLE)
		doctor_tell(d, LEVEL_WARNING, "calloutctl webhook rotate-secret makes one of 64",
			    "webhook %s: the secret in %s has %zu characters and might be guessed; %d are possible", webhook, path,
			    len, AUTOTASK_SECRET_MAX);
	if (!len || len > SECRET_MAX)
		return;
	for (size_t i = 0; i < seen->count; i++)
		if (strcmp(seen->items[i].webhook, webhook) != 0 && seen->items[i].len == len &&
		    memcmp(seen->items[i].bytes, bytes, len) == 0)
			doctor_tell(d, LEVEL_WARNING, "give each its own: who learns one could forge the other's callouts",
				    "webhooks %s and %s have the same secret (%s, %s)", seen->items[i].webhook, webhook,
				    seen->items[i].path, path);
	s = &seen->items[seen->count++];
	*s = (struct seen_secret){ .webhook = webhook, .path = path, .len = len };
	memcpy(s->bytes, bytes, len);
}

static void look_at_secret(struct doctor *d, struct seen_secrets *seen, const char *webhook, const char *path)
{
	AUTO(free) char *bytes = NULL;
	struct stat st;
	size_t len;
	int r;

	if (stat(path, &st) < 0) {
		r = errno;
		doctor_tell(d, r == EACCES ? LEVEL_UNSEEN : LEVEL_ERROR, r == EACCES ? "run it as root" : "",
			    "webhook %s: its secret %s: %s", webhook, path, strerror(r));
		return;
	}
	if (!rights_are_good(d, webhook, path, &st))
		return;
	r = file_read(path, 4096, &bytes, &len);
	if (r < 0) {
		doctor_tell(d, r == -EACCES ? LEVEL_UNSEEN : LEVEL_ERROR, r == -EACCES ? "run it as root" : "",
			    "webhook %s: the secret in %s: %s", webhook, path, strerror(-r));
		return;
	}
	look_at_value(d, seen, webhook, path, bytes, file_without_newline(bytes, len));
	explicit_bzero(bytes, len);
}

static size_t count_secrets(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->webhook_count; i++)
		n += c->webhooks[i].secrets.count;
	return n;
}

/* calloutctl init writes the section before there are the files. */
static void tell_no_credential(struct doctor *d, const char *path, int code)
{
	AUTO(free) char *make = text_printf("install -g calloutd-guard -m 0640 /dev/stdin %s: paste it, then Enter and Ctrl-D", path);

	if (code == EACCES)
		doctor_tell(d, LEVEL_UNSEEN, "run it as root", "Autotask's credentials in %s: %s", path, strerror(code));
	else
		doctor_tell(d, LEVEL_ERROR, code == ENOENT ? make : "", "Autotask's credentials in %s: %s", path, strerror(code));
}

/* Autotask's API credentials: for calloutctl, and no business of calloutd's. */
static void look_at_credential(struct doctor *d, const char *reference)
{
	const char *path = file_named(reference);
	AUTO(free) char *remedy = NULL;
	struct stat st;

	if (!path)
		return;
	remedy = text_printf("chgrp calloutd-guard %s && chmod 0640 %s", path, path);
	if (stat(path, &st) < 0)
		tell_no_credential(d, path, errno);
	else if (st.st_mode & (S_IRWXO | S_IWGRP))
		doctor_tell(d, LEVEL_ERROR, remedy, "others may read or change Autotask's credentials in %s (mode %04o)", path,
			    (unsigned)(st.st_mode & 07777));
	else if (d->daemon.known && d->daemon.uid != 0 && doctor_daemon_reads(d, &st))
		doctor_tell(d, LEVEL_WARNING, remedy, "calloutd, which faces the Internet, can read Autotask's credentials in %s and needs none of them",
			    path);
}

void doctor_secrets(struct doctor *d)
{
	const struct conf *c = d->conf;
	struct seen_secrets seen = { .count = 0 };
	unsigned before = d->counts[LEVEL_ERROR] + d->counts[LEVEL_WARNING];

	if (c && c->autotask) {
		look_at_credential(d, c->autotask->secret);
		look_at_credential(d, c->autotask->integration_code);
	}
	if (!c || !c->webhook_count)
		return;
	seen.items = need(calloc(count_secrets(c) + 1, sizeof(*seen.items)));
	for (size_t i = 0; i < c->webhook_count; i++) {
		const struct conf_webhook *w = &c->webhooks[i];

		for (size_t n = 0; n < w->secrets.count; n++) {
			const char *path = file_named(w->secrets.items[n]);

			if (path)
				look_at_secret(d, &seen, w->title, path);
			else
				doctor_tell(d, LEVEL_UNSEEN, "", "webhook %s: %s is passed by systemd to calloutd alone", w->title,
					    w->secrets.items[n]);
		}
	}
	if (seen.count && d->counts[LEVEL_ERROR] + d->counts[LEVEL_WARNING] == before)
		doctor_ok(d, "%zu secret%s, of good length, safe from others", seen.count, seen.count == 1 ? "" : "s");
	forget(&seen);
}

/* ---- state directory and disk ---- */

static bool look_at_directory(struct doctor *d, const char *path)
{
	AUTO(free) char *remedy = NULL;
	struct statvfs v;
	struct stat st;

	if (stat(path, &st) < 0) {
		doctor_tell(d, LEVEL_ERROR, "calloutd makes it at its start; the unit has StateDirectory=calloutd",
			    "the state directory %s: %s", path, strerror(errno));
		return false;
	}
	if (st.st_mode & (S_IWGRP | S_IRWXO)) {
		remedy = text_printf("chmod 0700 %s", path);
		doctor_tell(d, st.st_mode & (S_IWGRP | S_IWOTH) ? LEVEL_ERROR : LEVEL_WARNING, remedy,
			    "others may %s the state directory %s (mode %04o): customers' data is in it",
			    st.st_mode & (S_IWGRP | S_IWOTH) ? "change" : "look into", path, (unsigned)(st.st_mode & 07777));
	}
	if (d->daemon.known && d->daemon.uid != 0 && st.st_uid != d->daemon.uid) {
		AUTO(free) char *owner = doctor_user_name(st.st_uid);
		AUTO(free) char *user = doctor_user_name(d->daemon.uid);
		AUTO(free) char *chown = text_printf("chown -R %s: %s", user, path);

		doctor_tell(d, LEVEL_ERROR, chown, "the state directory %s belongs to %s, calloutd runs as %s", path, owner, user);
	}
	if (statvfs(path, &v) == 0 && (v.f_flag & ST_RDONLY))
		doctor_tell(d, LEVEL_ERROR, "dmesg says why (an error on the disk?); mount -o remount,rw once it is mended",
			    "the file system of %s is read-only: nothing can be stored", path);
	return true;
}

static void look_at_room(struct doctor *d, const char *path)
{
	const double mib = 1024.0 * 1024;
	uint64_t room, total;
	int r = file_space(path, &room, &total);

	if (r < 0 || !d->conf)
		return;
	if (room < d->conf->min_free)
		doctor_tell(d, LEVEL_ERROR, "make room; or a shorter keep-payload, or state-directory on another disk",
			    "%.0f MiB are free at %s, less than min-free (%.0f MiB): callouts are answered 503", (double)room / mib,
			    path, (double)d->conf->min_free / mib);
	else if (room / 4 < d->conf->min_free)
		doctor_tell(d, LEVEL_WARNING, "make room before it is needed",
			    "%.0f MiB are free at %s; from %.0f MiB (min-free) on callouts are answered 503", (double)room / mib,
			    path, (double)d->conf->min_free / mib);
	else
		doctor_ok(d, "%.0f MiB are free at %s, of %.0f", (double)room / mib, path, (double)total / mib);
}

void doctor_state(struct doctor *d)
{
	char path[PATH_MAX];

	if (!d->conf && !d->ctl->option[OPT_STATE_DIRECTORY]) {
		doctor_tell(d, LEVEL_UNSEEN, "run it as root", "where the store is stands in the configuration");
		return;
	}
	(void)ctl_state_directory(d->ctl, path, sizeof(path));
	if (look_at_directory(d, path))
		look_at_room(d, path);
}
