/* client.c - HTTP to the daemon's socket, and callouts to where callouts are received (libcurl). */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/url.h"
#include "private.h"

#define CONNECT_MS 5000L
#define SHOT_MS 30000L
#define SHOT_ANSWER_MAX (64 * 1024)

struct client {
	CURL *curl;             /* one connection, kept between requests */
};

AUTO_DEFINE(slist, struct curl_slist *, curl_slist_free_all)

/* Where a body goes while it comes. */
struct sink {
	CURL *curl;
	struct buf *body;
	FILE *stream;           /* NULL: into body */
	bool too_long;
};

static size_t on_bytes(char *data, size_t size, size_t count, void *arg)
{
	struct sink *s = arg;
	long status = 0;
	size_t n = size * count;

	(void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (s->stream && status == 200)
		return fwrite(data, 1, n, s->stream);
	s->too_long = buf_append(s->body, data, n) < 0;
	return s->too_long ? 0 : n;
}

/* What every request has in common. */
static CURLcode prepare(CURL *curl, struct sink *sink, struct curl_slist *headers, long timeout_ms)
{
	curl_easy_reset(curl);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "calloutctl/" CALLOUTD_VERSION);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	return curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
}

static void put_body(CURL *curl, const void *body, size_t len)
{
	(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
}

static int on_progress(void *arg, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up)
{
	const struct request *q = arg;

	(void)up_total;
	(void)up;
	q->progress(q->arg, (uint64_t)done, (uint64_t)total);
	return 0;
}

static void watch_progress(CURL *curl, const struct request *q)
{
	if (!q->progress)
		return;
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, q);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

/* ---- the daemon ---- */

static CURL *client_curl(struct ctl *ctl)
{
	if (!ctl->client) {
		ctl->client = need(calloc(1, sizeof(*ctl->client)));
		(void)curl_global_init(CURL_GLOBAL_DEFAULT);
		ctl->client->curl = need(curl_easy_init());
	}
	return ctl->client->curl;
}

void client_close(struct ctl *ctl)
{
	if (ctl->client) {
		curl_easy_cleanup(ctl->client->curl);
		free(ctl->client);
		curl_global_cleanup();
	}
	ctl->client = NULL;
}

/* --socket, else what the configuration says, else the default: whoever may not read it may still ask. */
static const char *socket_path(struct ctl *ctl)
{
	static const struct conf defaults = { .path = NULL };
	const struct conf *c;

	if (ctl->option[OPT_SOCKET])
		return ctl->option[OPT_SOCKET];
	if (!*ctl->socket) {
		c = ctl_conf(ctl);
		(void)conf_admin_socket(c ? c : &defaults, ctl->socket, sizeof(ctl->socket));
	}
	return ctl->socket;
}

/* Why nobody answered, and what would help. */
static int unreachable(struct ctl *ctl, CURLcode code, struct error *err)
{
	const char *path = socket_path(ctl);
	const char *aside = ctl->conf_tried && !ctl->conf ? " The configuration could not be read, so this is the default: " : "";
	const char *why = *aside ? ctl->conf_error.text : "";
	long number = 0;
	int r;

	(void)curl_easy_getinfo(ctl->client->curl, CURLINFO_OS_ERRNO, &number);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return error_set(err, ETIMEDOUT, "calloutd at %s does not answer in time: journalctl -u calloutd", path);
	if (code != CURLE_COULDNT_CONNECT)
		return error_set(err, ECONNRESET, "calloutd at %s: %s", path, curl_easy_strerror(code));
	/* curl tells the reason only sometimes. */
	r = number ? (int)number : access(path, F_OK) < 0 ? errno : access(path, W_OK) < 0 ? errno : ECONNREFUSED;
	if (r == EACCES || r == EPERM)
		return error_set(err, r, "may not open %s: join the group calloutd-admin (usermod -aG calloutd-admin USER, "
				 "then log in anew), or use sudo", path);
	if (r == ENOENT && ctl->conf_tried && ctl->conf_result == -ENOENT)
		return error_set(err, r, "calloutd is not configured yet: there is no %s. `calloutctl init` makes one; if calloutd runs all "
				 "the same, name its socket with --socket",
				 ctl->option[OPT_CONFIG] ? ctl->option[OPT_CONFIG] : CONF_DEFAULT_PATH);
	if (r == ENOENT)
		return error_set(err, r, "no socket %s: is calloutd running? systemctl status calloutd; "
				 "or name its socket with --socket.%s%s", path, aside, why);
	return error_set(err, r, "nobody listens at %s (%s): is calloutd running? systemctl status calloutd.%s%s",
			 path, strerror(r), aside, why);
}

int client_ask(struct ctl *ctl, const struct request *q, struct answer *ret, struct error *err)
{
	CURL *curl = client_curl(ctl);
	struct sink sink = { .curl = curl, .body = &ret->body, .stream = q->stream };
	AUTO(slist) struct curl_slist *headers = need(curl_slist_append(NULL, "Content-Type: application/json"));
	AUTO(free) char *url = text_printf("http://localhost%s", q->path);
	CURLcode code;

	need(curl_slist_append(headers, "Expect:"));
	(void)prepare(curl, &sink, headers, q->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path(ctl));
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	if (strcmp(q->method, "POST") == 0)
		put_body(curl, q->body, q->len);
	watch_progress(curl, q);
	buf_clear(&ret->body);
	ret->json = false;
	code = curl_easy_perform(curl);
	if (sink.too_long)
		return error_set(err, EFBIG, "the answer is longer than %lu MiB: narrow the question (--limit)",
				 ANSWER_MAX / 1024 / 1024);
	if (code == CURLE_WRITE_ERROR)
		return error_set(err, EIO, "cannot write %s: %s", q->stream == stdout ? "to standard output" : "the file",
				 strerror(errno));
	if (code != CURLE_OK)
		return unreachable(ctl, code, err);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	ret->json = ret->body.data &&
		    json_read(ret->body.data, ret->body.len, JSON_DEPTH_MAX, &ret->root, NULL) == 0;
	return 0;
}

/* The daemon's own sentence, and the answer itself for programs. */
static enum exit_status refused(const struct ctl *ctl, const struct answer *a)
{
	AUTO(free) char *text = a->json ? member_text(&a->root, "error") : NULL;
	enum exit_status status = a->status == 400 ? CTL_USAGE : CTL_NO;

	if (a->json && ctl->option[OPT_JSON])
		print_json(stdout, &a->root);
	if (text && *text)
		return complain(status, "%s", text);
	return complain(status, "calloutd answered with status %ld and no reason", a->status);
}

enum exit_status client_call(struct ctl *ctl, const struct request *q, struct answer *ret)
{
	struct error err = { "" };

	if (client_ask(ctl, q, ret, &err) < 0)
		return complain(CTL_UNREACHABLE, "%s", err.text);
	return ret->status / 100 == 2 ? CTL_OK : refused(ctl, ret);
}

static enum exit_status want_json(struct ctl *ctl, enum exit_status status, const struct answer *a)
{
	if (status == CTL_OK && (!a->json || a->root.kind != JSON_OBJECT))
		return complain(CTL_UNREACHABLE, "what answers at %s is not calloutd: no JSON object came", socket_path(ctl));
	return status;
}

enum exit_status client_get(struct ctl *ctl, const char *path, struct answer *ret)
{
	const struct request q = { .method = "GET", .path = path, .timeout_ms = 30000 };

	return want_json(ctl, client_call(ctl, &q, ret), ret);
}

/* Acting may take its time: a retry of a hundred thousand dead letters is many commits. */
enum exit_status client_post(struct ctl *ctl, const char *path, const struct buf *body, struct answer *ret)
{
	const struct request q = { .method = "POST", .path = path, .body = body->data, .len = body->len,
				   .timeout_ms = 600000 };

	return want_json(ctl, client_call(ctl, &q, ret), ret);
}

/* ---- a callout ---- */

static int shot_failed(CURL *curl, const struct shot *s, CURLcode code, const char *detail, struct error *err)
{
	long number = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return error_set(err, EPERM, "the server's certificate is not accepted: %s", detail);
	/* Not the URL, whose path is half a secret; the detail names host and port. */
	return error_set(err, number ? (int)number : ECONNREFUSED, "cannot send%s%s: %s", s->unix_socket ? " to " : "",
			 s->unix_socket ? s->unix_socket : "", *detail ? detail : curl_easy_strerror(code));
}

int client_shoot(const struct shot *s, long *ret_status, struct buf *ret_body, struct error *err)
{
	AUTO(free) char *signature = text_printf("%s: %s", SIGNATURE_HEADER, s->signature);
	AUTO(slist) struct curl_slist *headers = need(curl_slist_append(NULL, signature));
	CURL *curl = need(curl_easy_init());
	struct sink sink = { .curl = curl, .body = ret_body };
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode code;
	int r = 0;

	need(curl_slist_append(headers, "Content-Type: application/json"));
	need(curl_slist_append(headers, "Expect:"));
	ret_body->max = SHOT_ANSWER_MAX;
	(void)prepare(curl, &sink, headers, SHOT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	(void)curl_easy_setopt(curl, CURLOPT_URL, s->url);
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, s->unix_socket);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, s->unverified ? 0L : 1L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, s->unverified ? 0L : 2L);
	put_body(curl, s->body, s->len);
	code = curl_easy_perform(curl);
	/* An answer longer than what is shown of it is an answer. */
	if (code != CURLE_OK && !sink.too_long)
		r = shot_failed(curl, s, code, detail, err);
	else
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	curl_easy_cleanup(curl);
	return r;
}

/* ---- paths ---- */

void query_add(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	need_room(buf_printf(path, "%s%s=", path->data && strchr(path->data, '?') ? "&" : "?", name));
	need_room(url_put_escaped(path, value));
}

void path_add(struct buf *path, const char *segment)
{
	need_room(buf_append_text(path, "/"));
	need_room(url_put_escaped(path, segment));
}
