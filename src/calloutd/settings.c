/* settings.c - the configuration on disk, or the last one that was good. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"
#include "intake/tls.h"
#include "private.h"

#define KEPT_CERTIFICATE "last-good-certificate.pem"
#define KEPT_KEY "last-good-key.pem"
#define FILE_MAX_BYTES (1024 * 1024)    /* what conf_load() reads too */

/* The pair that was good last, kept beside the last good configuration. */
static int use_kept_pair(struct conf *conf, struct tls **ret_tls)
{
	char directory[PATH_MAX];
	AUTO(free) char *certificate = NULL;
	AUTO(free) char *key = NULL;
	int r;

	(void)conf_state_directory(conf, directory, sizeof(directory));
	if (asprintf(&certificate, "%s/" KEPT_CERTIFICATE, directory) < 0)
		certificate = NULL;
	if (asprintf(&key, "%s/" KEPT_KEY, directory) < 0)
		key = NULL;
	if (!certificate || !key)
		return -ENOMEM;
	r = tls_new(certificate, key, ret_tls, NULL);
	if (r < 0)
		return r;
	free(conf->tls_certificate);
	free(conf->tls_key);
	conf->tls_certificate = TAKE(certificate);
	conf->tls_key = TAKE(key);
	return 0;
}

/* What the grammar cannot know: the secrets are there, certificate and key belong together. */
int settings_site(struct conf *conf, unsigned leniency, struct site **ret_site, struct error *err)
{
	AUTO(tls) struct tls *tls = NULL;

	if (conf->tls_certificate) {
		int r = tls_new(conf->tls_certificate, conf->tls_key, &tls, err);

		if (r < 0 && !(leniency & LENIENT_CERTIFICATE && use_kept_pair(conf, &tls) == 0))
			return r;
	}
	return leniency & LENIENT_SECRETS ? site_new_lenient(conf, ret_site, err) : site_new(conf, ret_site, err);
}

static int load(const char *path, unsigned leniency, struct site **ret_site, struct error *err)
{
	AUTO(conf) struct conf *conf = NULL;
	int r;

	r = conf_load(path, &conf, err);
	if (r < 0)
		return r;
	r = settings_site(conf, leniency, ret_site, err);
	if (r >= 0)
		(void)TAKE(conf);       /* the site's now */
	return r;
}

/* ---- where the last good one is ---- */

/*
 * A line `state-directory = "/..."` of one of the files, which may not be valid. It may be a comment's or
 * anything: what it leads to is believed only if a good configuration there says the same.
 */
static bool take_directory(const char *line, char *dst, size_t cap)
{
	static const char key[] = "state-directory";
	const char *end;

	line += strspn(line, " \t");
	if (strncmp(line, key, strlen(key)) != 0)
		return false;
	line += strlen(key);
	line += strspn(line, " \t");
	if (*line++ != '=')
		return false;
	line += strspn(line, " \t");
	if (*line++ != '"' || *line != '/')
		return false;
	end = line + strcspn(line, "\"\\\n");
	if (*end != '"' || (size_t)(end - line) >= cap)
		return false;
	memcpy(dst, line, (size_t)(end - line));
	dst[end - line] = '\0';
	return true;
}

static bool guess_directory(const char *path, char *dst, size_t cap)
{
	AUTO(free) char *text = NULL;
	size_t len;

	if (file_read(path, FILE_MAX_BYTES, &text, &len) < 0)
		return false;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (take_directory(line, dst, cap))
			return true;
	}
	return false;
}

static void last_good_of(const char *directory, char *dst, size_t cap)
{
	(void)snprintf(dst, cap, "%.*s/" CONF_LAST_GOOD, (int)(cap - sizeof("/" CONF_LAST_GOOD)), directory);
}

static int load_kept(struct daemon *d, const char *directory, unsigned leniency, struct site **ret_site,
		     struct error *err)
{
	char path[PATH_MAX], said[PATH_MAX];
	struct site *site = NULL;
	int r;

	last_good_of(directory, path, sizeof(path));
	r = load(path, leniency, &site, err);
	if (r < 0)
		return r;
	if (strcmp(conf_state_directory(site_conf(site), said, sizeof(said)), directory) != 0) {
		(void)site_unref(site);
		return error_set(err, ESTALE, "%s is of another state directory: %s", path, said);
	}
	(void)snprintf(d->last_good, sizeof(d->last_good), "%s", path);
	*ret_site = site;
	return r;
}

static int load_last_good(struct daemon *d, unsigned leniency, struct site **ret_site, struct error *err)
{
	AUTO(conf) struct conf *files = NULL;
	char directory[PATH_MAX];
	int r = -ENOENT;

	/* The file that is wrong need not be the one that says where. */
	if (conf_find(d->conf_path, &files, NULL) == 0)
		for (size_t i = 0; r < 0 && i < files->files.count; i++)
			if (guess_directory(files->files.items[i], directory, sizeof(directory)))
				r = load_kept(d, directory, leniency, ret_site, err);
	if (r < 0)
		r = load_kept(d, conf_state_directory(NULL, directory, sizeof(directory)), leniency, ret_site, err);
	return r;
}

/* ---- the choice ---- */

static int degrade(struct daemon *d, const char *what, const struct error *why)
{
	(void)snprintf(d->degraded, sizeof(d->degraded), "%s: %s", what, why->text);
	log_err(&(struct log_ctx){ .reason = "config" }, "%s", d->degraded);
	return 0;
}

/* A mistake must not keep the receiver down: what is tried, in this order. */
static const struct {
	bool last_good;         /* the configuration kept, not the one on disk */
	unsigned leniency;
	const char *what;       /* NULL: nothing is wrong */
} tries[] = {
	{ false, 0, NULL },
	{ false, LENIENT_CERTIFICATE, "the certificate cannot be used, the last good one is in force" },
	{ true, 0, "the configuration is not valid, the last good one is in force" },
	{ true, LENIENT_CERTIFICATE,
	  "the configuration is not valid, the last good one and its certificate are in force" },
	{ false, LENIENT_CERTIFICATE | LENIENT_SECRETS,
	  "a webhook cannot check signatures, it gets 503 until its secrets are right and reloaded" },
	{ true, LENIENT_CERTIFICATE | LENIENT_SECRETS,
	  "the configuration is not valid, the last good one is in force as far as its secrets can be read" },
};

int settings_load(struct daemon *d, struct site **ret_site, struct error *err)
{
	struct error why = { "" };
	int first = 0;

	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct error *to = i == 0 ? err : &why;
		int r = tries[i].last_good ? load_last_good(d, tries[i].leniency, ret_site, to) :
					     load(d->conf_path, tries[i].leniency, ret_site, to);

		if (r >= 0) {
			d->disk_in_force = !tries[i].last_good;
			return tries[i].what ? degrade(d, tries[i].what, err) : 0;
		}
		first = i == 0 ? r : first;
	}
	return first;
}

/* ---- keeping ---- */

static int keep_file(const char *from, const char *directory, const char *name)
{
	AUTO(free) char *to = NULL;
	AUTO(free) char *data = NULL;
	size_t len;
	int r;

	if (asprintf(&to, "%s/%s", directory, name) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	if (!from)
		return unlink(to) == 0 || errno == ENOENT ? 0 : -errno;
	r = file_read(from, FILE_MAX_BYTES, &data, &len);
	if (r < 0)
		return r;
	r = file_replace(to, 0600, data, len);
	explicit_bzero(data, len);
	return r;
}

/* Without a certificate an old one is not left lying about. */
static int keep_pair(const struct daemon *d, const struct conf *c)
{
	int r = keep_file(c->tls_certificate, d->state, KEPT_CERTIFICATE);

	return r < 0 ? r : keep_file(c->tls_key, d->state, KEPT_KEY);
}

int settings_keep(struct daemon *d, const struct conf *c)
{
	int r = conf_keep(c, d->state);

	if (r == 0)
		r = keep_pair(d, c);

	last_good_of(d->state, d->last_good, sizeof(d->last_good));
	if (r < 0)
		log_warn(NULL, "cannot keep the configuration and its certificate beside %s: %s", d->last_good,
			 strerror(-r));
	return r;
}

/* ---- what a reload cannot change ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

void settings_notes(const struct conf *old, const struct conf *new, char *note, size_t cap)
{
	const struct {
		const char *name;
		bool same;
	} rows[] = {
		{ "state-directory", same_text(old->state_directory, new->state_directory) },
		{ "admin-socket", same_text(old->admin_socket, new->admin_socket) },
		{ "metrics-listen", same_text(old->metrics_listen, new->metrics_listen) },
		{ "runner-directory", same_text(old->runner_directory, new->runner_directory) },
		{ "reserve", old->reserve == new->reserve },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(note);

		if (!rows[i].same && len < cap)
			(void)snprintf(note + len, cap - len, "%s%s has changed: needs a restart", len ? "; " : "",
				       rows[i].name);
	}
}
