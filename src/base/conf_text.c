/* conf_text.c - what a single text of the configuration may be: paths, names, references, URLs. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/url.h"
#include "conf_private.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

#define NAME_CHARACTERS_MAX 50  /* of a webhook at Autotask (vendor help) */

static bool all_of(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What a URL's path may hold unescaped (RFC 3986); so it arrives as it was written. */
int conf_text_path(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (*text != '/')
		return error_set(err, EINVAL, "must begin with /");
	if (strpbrk(text, "?#"))
		return error_set(err, EINVAL, "must not have a query or fragment (? or #)");
	if (!all_of(text, LETTERS DIGITS "/-._~!$&'()*+,;=:@"))
		return error_set(err, EINVAL, "may hold letters, digits and /-._~!$&'()*+,;=:@ only, none of them escaped with %%");
	if (text[1] == '\0')
		return error_set(err, EINVAL, "must be more than /; make it unguessable with openssl rand -hex 16");
	return 0;
}

int conf_text_file(const char *text, size_t index, struct error *err)
{
	(void)index;
	return *text == '/' ? 0 : error_set(err, EINVAL, "must be an absolute path, beginning with /");
}

int conf_text_socket(const char *text, size_t index, struct error *err)
{
	return conf_text_file(text, index, err);
}

int conf_text_reference(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (secret_is_reference(text))
		return 0;
	return error_set(err, EINVAL, "is not a reference; a secret is written as \"file:/absolute/path\" or \"credential:NAME\", never literally");
}

static int check_url(const char *text, struct error *err)
{
	const char *host = strstr(text, "://");

	if (!begins(text, "https://") && !begins(text, "http://"))
		return error_set(err, EINVAL, "must begin with https://");
	host += strlen("://");
	if (!*host || strchr("/:?#", *host))
		return error_set(err, EINVAL, "names no host; write it like https://hooks.example.net");
	if (strpbrk(host, "?#@ \"<>\\"))
		return error_set(err, EINVAL, "must not have a query, a fragment, a user name or blanks");
	return 0;
}

/* What it answers decides where the credentials are sent. */
int conf_text_zone_url(const char *text, size_t index, struct error *err)
{
	struct url url;

	(void)index;
	if (check_url(text, err) < 0)
		return -EINVAL;
	if (url_parse(text, &url) < 0)
		return error_set(err, EINVAL, "is not a URL like https://webservices.autotask.net/atservicesrest/v1.0/zoneInformation");
	if (!url_is_private(&url))
		return error_set(err, EINVAL, "must begin with https://; plain http is for a loopback address (127.0.0.1, [::1], localhost) only, since credentials go where this answer says");
	return 0;
}

int conf_text_base_url(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (check_url(text, err) < 0)
		return -EINVAL;
	if (text[strlen(text) - 1] == '/')
		return error_set(err, EINVAL, "must not end with /, since the webhooks' paths begin with one");
	return 0;
}

/* A title becomes a directory of the runner's and a label of metrics. */
int conf_text_title(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (*text && strlen(text) <= CONF_NAME_MAX && all_of(text, LETTERS DIGITS "._-") &&
	    strchr(LETTERS DIGITS, *text))
		return 0;
	return error_set(err, EINVAL, "must be 1 to %d letters, digits, dots, underscores and hyphens, beginning with a letter or digit",
			 CONF_NAME_MAX);
}

int conf_text_name(const char *text, size_t index, struct error *err)
{
	size_t characters = 0;

	(void)index;
	for (const char *c = text; *c; c++)
		characters += ((unsigned char)*c & 0xc0) != 0x80;
	if (characters < 1 || characters > NAME_CHARACTERS_MAX)
		return error_set(err, EINVAL, "must have 1 to %d characters; Autotask allows no more, and this has %zu",
				 NAME_CHARACTERS_MAX, characters);
	return 0;
}

int conf_text_action(const char *text, size_t index, struct error *err)
{
	if (strcasecmp(text, "deactivated") == 0 || conf_text_event(text, index, NULL) == 0)
		return 0;
	return error_set(err, EINVAL, "is no action; actions are create, update, delete and deactivated");
}

int conf_text_event(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (strcasecmp(text, "create") == 0 || strcasecmp(text, "update") == 0 ||
	    strcasecmp(text, "delete") == 0)
		return 0;
	return error_set(err, EINVAL, "is no event; events are create, update and delete");
}

/* Not checked against a list: the vendor announced that more will come. */
int conf_text_entity(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (*text && strlen(text) <= 64 && all_of(text, LETTERS DIGITS "_ ") && strchr(LETTERS, *text))
		return 0;
	return error_set(err, EINVAL, "is no name of an entity like Ticket, Company, Contact, ConfigurationItem or TicketNote");
}

int conf_text_field(const char *text, size_t index, struct error *err)
{
	(void)index;
	if (*text && strlen(text) <= 128 && *text != ' ' && text[strlen(text) - 1] != ' ')
		return 0;
	return error_set(err, EINVAL, "is no name of a field: 1 to 128 bytes, no blank at either end");
}

int conf_text_mail(const char *text, size_t index, struct error *err)
{
	const char *at = strchr(text, '@');

	(void)index;
	if (at && at != text && at[1] && !strchr(at + 1, '@') && !strpbrk(text, " ,;"))
		return 0;
	return error_set(err, EINVAL, "is not one mail address like noc@example.net");
}

int conf_text_alert(const char *text, size_t index, struct error *err)
{
	static const char kinds[] = CONF_ALERT_KINDS;
	size_t len = strlen(text);

	(void)index;
	for (const char *at = kinds; *at && *text && !strchr(text, ' '); at += *at == ' ') {
		if (strncasecmp(at, text, len) == 0 && (at[len] == ' ' || at[len] == '\0'))
			return 0;
		at += strcspn(at, " ");
	}
	return error_set(err, EINVAL, "is no kind of alert; kinds are %s", kinds);
}

int conf_text_any(const char *text, size_t index, struct error *err)
{
	(void)index;
	return *text ? 0 : error_set(err, EINVAL, "is empty");
}

/* Only the program must be named; arguments are its own business. */
int conf_text_command(const char *text, size_t index, struct error *err)
{
	if (index == 0 && *text != '/')
		return error_set(err, EINVAL, "is the program and must be an absolute path, beginning with /");
	return 0;
}

/* Names the handler's contract gives a meaning of its own. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = { "PATH", "HOME", "TMPDIR", "LANG" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return begins(name, "CALLOUT_") || begins(name, "FIELD_");
}

int conf_text_environment(const char *text, size_t index, struct error *err)
{
	size_t len = strspn(text, LETTERS DIGITS "_");
	char name[128];

	(void)index;
	if (!len || len >= sizeof(name) || text[len] != '=' || strchr(DIGITS, *text))
		return error_set(err, EINVAL, "must be NAME=value or NAME=file:/path; a NAME is letters, digits and underscores");
	memcpy(name, text, len);
	name[len] = '\0';
	if (is_reserved(name))
		return error_set(err, EINVAL, "%s is set by the runner itself (as are PATH, HOME, TMPDIR, LANG, CALLOUT_... and FIELD_...); choose another name",
				 name);
	if (begins(text + len, "=file:") && text[len + strlen("=file:")] != '/')
		return error_set(err, EINVAL, "%s=file: must be followed by an absolute path, beginning with /",
				 name);
	return 0;
}
