/* transport.c - one request, one answer (libcurl). */
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "private.h"

#define HEADER_MAX (SECRET_MAX + 512)

/* https_proxy, all_proxy and no_proxy are followed for https, as curl(1) does it: TLS goes through end to end. */
struct transport {
	CURL *curl;
	struct curl_slist *anonymous, *headers;
	char *ca_file;
	long connect_ms, whole_ms;
};

/* Where an answer goes while it comes. */
struct sink {
	struct buf *body;
	int result;
};

/* ---- headers ---- */

/* libcurl keeps copies; ours are wiped before they are freed. */
static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at; at = at->next)
		explicit_bzero(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

static int add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

/* A line break would begin another header; other control characters only confuse. */
static bool fits_header(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	return true;
}

static int add_credential(struct curl_slist **list, const char *name, const char *setting, const char *value,
			  struct error *err)
{
	char line[HEADER_MAX];
	int n, r;

	if (!fits_header(value))
		return error_set(err, EINVAL, "autotask: %s holds a control character, perhaps a line break: write it anew, in one line",
				 setting);
	n = snprintf(line, sizeof(line), "%s: %s", name, value);
	r = n < 0 || (size_t)n >= sizeof(line) ? error_set(err, EINVAL, "autotask: %s is too long", setting)
					      : add_header(list, line);
	explicit_bzero(line, sizeof(line));
	return r == -ENOMEM ? error_no_memory(err) : r;
}

/* libcurl's own "Expect:" would cost a second with servers that do not know it. */
static int add_plain(struct curl_slist **list, struct error *err)
{
	if (add_header(list, "Content-Type: application/json") < 0 || add_header(list, "Accept: application/json") < 0 ||
	    add_header(list, "Expect:") < 0)
		return error_no_memory(err);
	return 0;
}

static int make_headers(struct transport *t, const struct transport_options *o, struct error *err)
{
	int r = add_plain(&t->anonymous, err);

	if (r == 0)
		r = add_plain(&t->headers, err);
	if (r == 0)
		r = add_credential(&t->headers, "UserName", "username", o->user_name, err);
	if (r == 0)
		r = add_credential(&t->headers, "Secret", "secret", (const char *)o->secret->bytes, err);
	if (r == 0)
		r = add_credential(&t->headers, "ApiIntegrationCode", "integration-code",
				   (const char *)o->integration_code->bytes, err);
	return r;
}

/* ---- life ---- */

/* With CURLOPT_NOSIGNAL libcurl does not see to this: a connection that ends must not end the program. */
static void ignore_broken_pipes(struct sigaction *ret_before)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &ignore, ret_before);
}

int transport_open(const struct transport_options *o, struct transport **ret, struct error *err)
{
	struct transport *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_no_memory(err);
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	t->curl = curl_easy_init();
	t->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
	t->connect_ms = (long)o->connect_ms;
	t->whole_ms = (long)o->whole_ms;
	if (!t->curl || (o->ca_file && !t->ca_file)) {
		r = error_no_memory(err);
		goto fail;
	}
	r = make_headers(t, o, err);
	if (r < 0)
		goto fail;
	*ret = t;
	return 0;

fail:
	transport_close(t);
	return r;
}

struct transport *transport_close(struct transport *t)
{
	struct sigaction before;

	if (!t)
		return NULL;
	ignore_broken_pipes(&before);
	curl_easy_cleanup(t->curl);
	(void)sigaction(SIGPIPE, &before, NULL);
	curl_global_cleanup();
	free_headers(t->anonymous);
	free_headers(t->headers);
	free(t->ca_file);
	free(t);
	return NULL;
}

/* ---- a request ---- */

static size_t on_bytes(char *data, size_t size, size_t count, void *arg)
{
	struct sink *s = arg;

	s->result = buf_append(s->body, data, size * count);
	return s->result < 0 ? 0 : size * count;
}

/*
 * A connection that was kept may be dead, and libcurl then sends a request again by itself, though
 * nobody knows what became of the first one: what changes something gets a connection of its own.
 */
static void put_request(struct transport *t, const struct call *c, const char *url)
{
	CURL *curl = t->curl;

	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, c->anonymous ? t->anonymous : t->headers);
	(void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, c->reads ? 0L : 1L);
	if (c->body) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(c->body));
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, c->body);
	}
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, c->method);
}

static bool is_plain(const char *url)
{
	return strncasecmp(url, "http:", 5) == 0;
}

static void put_limits(const struct transport *t, const char *url)
{
	bool plain = is_plain(url);
	CURL *curl = t->curl;

	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);    /* none of ours for a proxy */
	if (plain)
		(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (t->ca_file) {
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, t->ca_file);
		(void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 2L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, t->connect_ms);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, t->whole_ms);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "calloutctl/" CALLOUTD_VERSION);
}

/* A handshake that is cut off is about the way there, not about trust. */
static bool is_cut(const char *words)
{
	return strstr(words, "SSL_ERROR_SYSCALL") || strstr(words, "reset by peer") || strstr(words, "unexpected eof");
}

static enum trouble trouble_of(CURLcode code, const struct sink *s, bool sent, const char *words)
{
	switch (code) {
	case CURLE_OK:
		return TROUBLE_NONE;
	case CURLE_OUT_OF_MEMORY:
		return TROUBLE_MEMORY;
	case CURLE_WRITE_ERROR:
		return s->result == -ENOBUFS ? TROUBLE_TOO_LONG : TROUBLE_MEMORY;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return TROUBLE_NAME;
	case CURLE_OPERATION_TIMEDOUT:
		return TROUBLE_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
		return is_cut(words) ? TROUBLE_CONNECT : TROUBLE_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CERTPROBLEM:
		return TROUBLE_TLS;
	default:
		return sent ? TROUBLE_CUT : TROUBLE_CONNECT;
	}
}

static void note_answer(CURL *curl, struct reply *ret)
{
	curl_off_t retry_after = 0;
	const char *type = NULL;

	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	(void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	(void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
	ret->html = type && strncasecmp(type, "text/html", 9) == 0;
	ret->retry_after_ms = retry_after > 0 && retry_after < 86400 ? (int64_t)retry_after * 1000 : 0;
}

static void put_words(struct reply *ret, const char *words)
{
	size_t len;

	(void)snprintf(ret->words, sizeof(ret->words), "%s", words);
	for (len = strlen(ret->words); len && ret->words[len - 1] == ' '; len--)
		ret->words[len - 1] = '\0';
}

/*
 * Whether some of the request itself left. What was said to a proxy before counts as well for libcurl, so with TLS
 * the handshake must be over; a kept connection's is, and only reads go over one.
 */
static bool was_sent(CURL *curl, const struct call *c, const char *url)
{
	curl_off_t handshake = 0;
	long bytes = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &bytes);
	(void)curl_easy_getinfo(curl, CURLINFO_APPCONNECT_TIME_T, &handshake);
	return bytes > 0 && (c->reads || is_plain(url) || handshake > 0);
}

void transport_run(struct transport *t, const struct call *c, const char *url, struct reply *ret)
{
	struct sink sink = { .body = ret->body };
	char words[CURL_ERROR_SIZE] = "";
	struct sigaction before;
	CURLcode code;

	buf_clear(ret->body);
	curl_easy_reset(t->curl);
	put_limits(t, url);
	put_request(t, c, url);
	(void)curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, words);
	(void)curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, &sink);
	ignore_broken_pipes(&before);
	code = curl_easy_perform(t->curl);
	(void)sigaction(SIGPIPE, &before, NULL);
	ret->sent = was_sent(t->curl, c, url);
	ret->trouble = trouble_of(code, &sink, ret->sent, words);
	put_words(ret, *words ? words : curl_easy_strerror(code));
	note_answer(t->curl, ret);
	(void)curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, NULL);
}
