/* zone.c - which of Autotask's hosts is ours: looked up, and kept in a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/url.h"
#include "base/writer.h"
#include "private.h"

#define VENDOR_INFORMATION "https://webservices.autotask.net/atservicesrest/v1.0/zoneInformation"
#define VERSION "v1.0/"
#define URL_MAX 2000            /* bytes of a zone's URL */
#define ANSWER_MAX (64 * 1024)
#define CACHE_NAME "autotask-zone.json"
#define CACHE_MAX 16384
#define RENEW_PAUSE_MS 60000    /* a zone that was looked up a moment ago is not looked up again */

void zone_free(struct zone *z)
{
	free(z->base);
	z->base = NULL;
}

static const char *information_of(const struct zone_place *p)
{
	return p->information ? p->information : VENDOR_INFORMATION;
}

const char *rest_zone_information(const struct conf_autotask *c)
{
	return c->zone_information ? c->zone_information : VENDOR_INFORMATION;
}

/* ---- a zone's URL ---- */

/* Credentials are sent there: https, or loopback if the look-up itself was. */
static bool may_be_trusted(const char *url, const char *information)
{
	struct url zone, asked;

	if (strlen(url) > URL_MAX || url_parse(url, &zone) < 0 || strchr(zone.path, '?') || url_parse(information, &asked) < 0)
		return false;
	return zone.secure || (url_is_loopback(&zone) && !asked.secure && url_is_loopback(&asked));
}

/* ".../ATServicesRest", with or without a slash or the version, becomes ".../ATServicesRest/v1.0/". NULL: no memory. */
static char *base_of(const char *url)
{
	size_t len = strlen(url), version = strlen(VERSION) - 1;
	char *base = NULL;

	while (len && url[len - 1] == '/')
		len--;
	if (len > version && strncasecmp(url + len - version, VERSION, version) == 0 && url[len - version - 1] == '/')
		len -= version + 1;
	return asprintf(&base, "%.*s/" VERSION, (int)len, url) < 0 ? NULL : base;
}

static int take_zone(struct zone *z, const char *url, int64_t looked_up_ms)
{
	char *base = base_of(url);

	if (!base)
		return -ENOMEM;
	free(z->base);
	*z = (struct zone){ .base = base, .looked_up_ms = looked_up_ms };
	return 0;
}

/* ---- the file ---- */

static char *cache_path(const struct zone_place *p)
{
	char *path = NULL;

	return asprintf(&path, "%s/" CACHE_NAME, p->directory) < 0 ? NULL : path;
}

/* Whoever can write the file can have the credentials sent to a host of theirs. */
static bool is_ours(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool member_is(const struct json_value *object, const char *name, const char *text)
{
	struct json_value value;

	return rest_member(object, name, &value) && json_string_is(&value, text, false);
}

/* What the file says, if it is for this user and this look-up. Anything odd: look it up. */
static void read_cache(struct zone *z, const struct zone_place *p)
{
	AUTO(free) char *path = p->directory ? cache_path(p) : NULL;
	AUTO(free) char *text = NULL, *url = NULL;
	struct json_value root;
	size_t len;

	if (!path || !is_ours(path) || file_read(path, CACHE_MAX, &text, &len) < 0 ||
	    json_read(text, len, 2, &root, NULL) < 0)
		return;
	if (!member_is(&root, "user", p->user_name) || !member_is(&root, "zone-information", information_of(p)))
		return;
	url = rest_text(&root, "url");
	if (url && may_be_trusted(url, information_of(p)))
		(void)take_zone(z, url, -1);
}

/* Without the file everything works, a call slower; so nothing is said. */
static void write_cache(const char *url, const struct zone_place *p)
{
	AUTO(free) char *path = p->directory ? cache_path(p) : NULL;
	AUTO(writer) struct writer w = WRITER_INIT(CACHE_MAX);
	AUTO(free) char *text = NULL;
	size_t len;

	if (!path || directory_make(p->directory, 0700, NULL) < 0)
		return;
	writer_object(&w, NULL);
	writer_text(&w, "user", p->user_name);
	writer_text(&w, "zone-information", information_of(p));
	writer_text(&w, "url", url);
	writer_end(&w);
	if (writer_take(&w, &text, &len) == 0)
		(void)file_replace(path, 0600, text, len);
}

/* ---- the look-up ---- */

static char *look_up_url(const struct zone_place *p)
{
	AUTO(buf) struct buf b = BUF_INIT(URL_MAX * 4);

	if (buf_printf(&b, "%s?user=", information_of(p)) < 0 || url_put_escaped(&b, p->user_name) < 0)
		return NULL;
	return buf_take(&b, NULL);
}

/* Vendor help: an unknown user gets HTTP 500; with which words, if any, is not written down. */
static bool is_unknown_user(const struct reply *reply)
{
	return reply->trouble == TROUBLE_NONE && (reply->status == 500 || (reply->status >= 400 && reply->status < 429));
}

static int ask(const struct zone_place *p, struct rest_answer *answer, struct error *err)
{
	static const struct hidden nothing = { { NULL } };
	AUTO(free) char *url = look_up_url(p);
	struct call c = { .method = "GET", .path = "zoneInformation", .reads = true, .anonymous = true };
	struct reply reply = { .body = &answer->body };
	AUTO(buf) struct buf host = BUF_INIT(URL_MAX);
	struct verdict v;
	struct url parts;

	if (!url)
		return error_no_memory(err);
	if (url_parse(url, &parts) < 0 || !url_is_private(&parts) || url_put_origin(&host, &parts) < 0)
		return error_set(err, EPROTO, "zone-information must be an https URL (http just to a loopback address)");
	transport_run(p->transport, &c, url, &reply);
	if (reply.trouble == TROUBLE_CUT)
		transport_run(p->transport, &c, url, &reply);
	failure_judge(&c, &reply, host.data, &nothing, &v, err);
	answer->root = v.root;
	if (v.result == 0)
		return 0;
	if (!is_unknown_user(&reply))
		return v.result;
	error_prefix(err, "Autotask finds no zone for the API user \"%s\": check username in autotask { }", p->user_name);
	return -EACCES;
}

/* *ret_url: free(). */
static int look_up(const struct zone_place *p, char **ret_url, struct error *err)
{
	struct rest_answer answer = { .body = BUF_INIT(ANSWER_MAX) };
	AUTO(free) char *url = NULL;
	int r = ask(p, &answer, err);

	if (r == 0)
		url = rest_text(&answer.root, "url");
	rest_answer_free(&answer);
	if (r < 0)
		return r;
	if (!url)
		return error_set(err, EPROTO, "the look-up of the zone at %s answered without a url: check zone-information",
				 information_of(p));
	if (!may_be_trusted(url, information_of(p)))
		return error_set(err, EPROTO, "the look-up of the zone at %s answered with a url that is not https: nothing is sent there",
				 information_of(p));
	*ret_url = TAKE(url);
	return 0;
}

static int look_up_and_keep(struct zone *z, const struct zone_place *p, struct error *err)
{
	AUTO(free) char *url = NULL;
	int r = look_up(p, &url, err);

	if (!url)
		return r;
	if (take_zone(z, url, clock_mono_ms()) < 0)
		return error_no_memory(err);
	write_cache(url, p);
	return 0;
}

int zone_find(struct zone *z, const struct zone_place *p, struct error *err)
{
	read_cache(z, p);
	return z->base ? 0 : look_up_and_keep(z, p, err);
}

int zone_renew(struct zone *z, const struct zone_place *p, struct error *err)
{
	AUTO(free) char *before = NULL;
	int r;

	if (z->looked_up_ms >= 0 && clock_mono_ms() - z->looked_up_ms < RENEW_PAUSE_MS)
		return 0;
	before = strdup(z->base);
	if (!before)
		return error_no_memory(err);
	r = look_up_and_keep(z, p, err);
	return r < 0 ? r : strcmp(before, z->base) != 0;
}
