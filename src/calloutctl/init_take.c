/*
 * init_take.c - `calloutctl init`: one answer each, judged at once: asked on a terminal or given as an option, they end up here.
 */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/url.h"
#include "callout/entity.h"
#include "init.h"
#include "intake/tls.h"

#define SPACE ", \t"

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

int init_set_entities(struct init *in, const char *text, struct error *err)
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

int init_set_webhook(struct init *in, const char *text, struct error *err)
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

int init_set_events(struct init *in, const char *text, struct error *err)
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

int init_set_public_url(struct init *in, const char *text, struct error *err)
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

int init_set_certificate(struct init *in, const char *text, struct error *err)
{
	*in->certificate = '\0';
	return !*text ? 0 : take_file(in, in->certificate, text, err);
}

/* The pair is looked at as the daemon will. */
int init_set_key(struct init *in, const char *text, struct error *err)
{
	AUTO(tls) struct tls *t = NULL;

	*in->key = '\0';
	if (!*in->certificate)
		return !*text ? 0 : error_set(err, EINVAL, "goes with --tls-certificate");
	if (take_file(in, in->key, text, err) < 0)
		return -EINVAL;
	return tls_new(in->certificate, in->key, &t, err) < 0 ? -EINVAL : 0;
}

int init_set_listen(struct init *in, const char *text, struct error *err)
{
	struct sockaddr_storage sa;
	socklen_t len;

	if (take_text(in->listen, sizeof(in->listen), text, err) < 0 || conf_address_parse(text, &sa, &len, err) < 0)
		return -EINVAL;
	if (!*in->certificate && !conf_address_is_loopback(&sa))
		return error_set(err, EINVAL, "is not loopback, and customers' data must not cross a network in clear: --tls-certificate and "
				 "--tls-key make it HTTPS");
	return 0;
}

int init_set_handler(struct init *in, const char *text, struct error *err)
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

int init_set_username(struct init *in, const char *text, struct error *err)
{
	return take_text(in->username, sizeof(in->username), text, err);
}

int init_set_owner(struct init *in, const char *text, struct error *err)
{
	int64_t n = 0;

	if (*text && (!read_number(text, &n) || n > UINT32_MAX / 2))
		return error_set(err, EINVAL, "is no number of a resource");
	in->owner = (unsigned)n;
	return 0;
}
