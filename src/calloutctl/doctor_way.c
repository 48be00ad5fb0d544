/*
 * doctor_way.c - the way from outside to here: for each webhook a signed test callout through public-url,
 * which calloutd verifies as any and stores not (POST /v1/probes).
 *
 * What the answer means depends on whether it came to calloutd: GET /v1/probes/NUMBER tells, also why it was refused.
 */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/url.h"
#include "callout/signature.h"
#include "doctor.h"

#define TRIP_MS 15000L
#define SLOW_MS 2000            /* of the 10 s that Autotask waits (vendor help) */
#define WEBHOOKS_MAX 16         /* are tried: as many probes calloutd knows at once */

AUTO_DEFINE(slist, struct curl_slist *, curl_slist_free_all)

/* One test callout. */
struct probe {
	const struct conf_webhook *webhook;
	char *number, *header, *body;
	char signature[SIGNATURE_TEXT_LEN];
};

/* How it went, as the sender saw it. */
struct trip {
	CURLcode code;
	char detail[CURL_ERROR_SIZE];
	long status;
	int64_t took_ms;
	char *leads_to;                 /* of a redirection; NULL */
};

/* How it came, as calloutd saw it. */
struct arrival {
	bool arrived, forwarded, believed;
	int64_t status, body_bytes;
	char *detail, *client, *webhook;
};

static void probe_free(struct probe *p)
{
	free(p->number);
	free(p->header);
	free(p->body);
}

static void arrival_free(struct arrival *a)
{
	free(a->detail);
	free(a->client);
	free(a->webhook);
}

/* ---- making one ---- */

/* Whoever looks: secret_load() would refuse the daemon's own file to root. 0 or -errno. */
static int read_secret(const char *reference, struct secret *ret)
{
	const char *path = file_named(reference);
	AUTO(free) char *bytes = NULL;
	size_t len;
	int r = path ? file_read(path, SECRET_MAX + 2, &bytes, &len) : -ENOENT;

	if (r < 0)
		return r;
	ret->len = file_without_newline(bytes, len);
	if (ret->len > SECRET_MAX) {
		ret->len = 0;
		r = -EFBIG;
	}
	memcpy(ret->bytes, bytes, ret->len);
	ret->bytes[ret->len] = '\0';
	explicit_bzero(bytes, len);
	return r;
}

static int sign(struct probe *p)
{
	AUTO(keyring) struct keyring *ring = NULL;
	struct secret secret;
	const struct secret *one = &secret;
	int r = read_secret(p->webhook->secrets.items[0], &secret);

	if (r == 0)
		r = keyring_new(&one, 1, &ring);
	if (r == 0)
		r = signature_make(ring, p->body, strlen(p->body), p->signature);
	explicit_bzero(&secret, sizeof(secret));
	return r;
}

/* False: told why there is none. */
static bool announce(struct doctor *d, const struct conf_webhook *w, struct probe *ret)
{
	const struct request q = { .method = "POST", .path = "/v1/probes", .timeout_ms = TRIP_MS };
	AUTO(answer) struct answer a = ANSWER_INIT;
	struct error err = { "" };
	int r;

	*ret = (struct probe){ .webhook = w };
	if (client_ask(d->ctl, &q, &a, &err) == 0 && a.status == 200 && a.json) {
		ret->number = member_raw(&a.root, "probe");
		ret->header = member_raw(&a.root, "header");
		ret->body = member_raw(&a.root, "body");
	}
	if (!ret->number || !ret->header || !ret->body) {
		doctor_tell(d, LEVEL_UNSEEN, "is calloutd of another version? systemctl restart calloutd",
			    "calloutd does not take a test callout (status %ld) %s", a.status, err.text);
		return false;
	}
	r = sign(ret);
	if (r < 0)
		doctor_tell(d, LEVEL_UNSEEN, r == -EACCES ? "run it as root" : "",
			    "webhook %s: no test callout can be signed: %s", w->title, strerror(-r));
	return r == 0;
}

/* ---- sending it ---- */

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

static void set_options(CURL *curl, const char *url, const char *unix_socket, const struct probe *p,
			struct curl_slist *headers, struct trip *t)
{
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TRIP_MS);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "calloutctl/" CALLOUTD_VERSION);
	(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(p->body));
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, p->body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->detail);
	/* The certificate is looked at by itself: here it must not hide what comes after. */
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	if (unix_socket)
		(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, unix_socket);
}

static void travel(const char *url, const char *unix_socket, const struct probe *p, struct trip *ret)
{
	AUTO(free) char *signature = text_printf(SIGNATURE_HEADER ": %s", p->signature);
	AUTO(free) char *number = text_printf("%s: %s", p->header, p->number);
	AUTO(slist) struct curl_slist *headers = need(curl_slist_append(NULL, "Content-Type: application/json"));
	CURL *curl = need(curl_easy_init());
	curl_off_t took_us = 0;
	char *leads_to = NULL;

	*ret = (struct trip){ .status = 0 };
	need(curl_slist_append(headers, signature));
	need(curl_slist_append(headers, number));
	need(curl_slist_append(headers, "Expect:"));
	set_options(curl, url, unix_socket, p, headers, ret);
	ret->code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	(void)curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &took_us);
	(void)curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &leads_to);
	ret->took_ms = took_us / 1000;
	ret->leads_to = leads_to ? need(strdup(leads_to)) : NULL;
	if (!*ret->detail)
		(void)snprintf(ret->detail, sizeof(ret->detail), "%s", curl_easy_strerror(ret->code));
	curl_easy_cleanup(curl);
}

static void ask_arrival(struct doctor *d, const struct probe *p, struct arrival *ret)
{
	AUTO(free) char *path = text_printf("/v1/probes/%s", p->number);
	const struct request q = { .method = "GET", .path = path, .timeout_ms = TRIP_MS };
	AUTO(answer) struct answer a = ANSWER_INIT;

	*ret = (struct arrival){ .arrived = false };
	if (client_ask(d->ctl, &q, &a, NULL) < 0 || a.status != 200 || !a.json)
		return;
	ret->arrived = member_true(&a.root, "arrived");
	ret->forwarded = member_true(&a.root, "forwarded");
	ret->believed = member_true(&a.root, "believed");
	ret->status = member_number(&a.root, "status");
	ret->body_bytes = member_number(&a.root, "body_bytes");
	ret->detail = member_text(&a.root, "detail");
	ret->client = member_text(&a.root, "client");
	ret->webhook = member_text(&a.root, "webhook");
}

/* ---- what it means ---- */

static const char outside[] =
	"From inside a network its own public address often cannot be reached (NAT without hairpin) though it can from outside: try from elsewhere, curl -i and public-url";

static void tell_failed(struct doctor *d, const char *origin, const struct trip *t)
{
	AUTO(free) char *port = text_printf("is the proxy, or calloutd, up, and the port open in the firewall?\n%s", outside);

	switch (t->code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		doctor_tell(d, LEVEL_ERROR, "is the name in the public DNS, and public-url written right?", "the name in %s is not known: %s", origin,
			    t->detail);
		return;
	case CURLE_COULDNT_CONNECT:
		doctor_tell(d, LEVEL_ERROR, port, "nobody answers at %s: %s", origin, t->detail);
		return;
	case CURLE_OPERATION_TIMEDOUT:
		doctor_tell(d, LEVEL_ERROR, port, "%s does not answer in time; Autotask waits 10 s: %s", origin, t->detail);
		return;
	case CURLE_SSL_CONNECT_ERROR:
		doctor_tell(d, LEVEL_ERROR, "is it https there, on that port, with TLS 1.2 or later?", "%s does not speak TLS as it should: %s",
			    origin, t->detail);
		return;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		doctor_tell(d, LEVEL_ERROR, "is it http or https there? What does the proxy's log say?", "%s ended the connection without an answer: %s",
			    origin, t->detail);
		return;
	default:
		doctor_tell(d, LEVEL_ERROR, "", "%s: %s", origin, t->detail);
	}
}

/* calloutd has refused it. */
static void tell_refused(struct doctor *d, const char *title, const struct trip *t, const struct probe *p, const struct arrival *a)
{
	int64_t sent = (int64_t)strlen(p->body);

	if (a->status == 404)
		doctor_tell(d, LEVEL_ERROR, "let the proxy pass the path on as it comes (nginx: proxy_pass without a path behind the port)",
			    "webhook %s: it came to calloutd with another path: the proxy changes it", title);
	else if (a->status == 401 && a->body_bytes != sent)
		doctor_tell(d, LEVEL_ERROR, "the signature is over the bytes: let the proxy pass the body on untouched",
			    "webhook %s: the body was changed on the way (%" PRId64 " bytes sent, %" PRId64 " came), so the signature is wrong",
			    title, sent, a->body_bytes);
	else if (a->status == 401)
		doctor_tell(d, LEVEL_ERROR, "let the proxy pass " SIGNATURE_HEADER " and the body on untouched; or was a secret changed without calloutctl reload?",
			    "webhook %s: it came to calloutd, but not rightly signed: %s", title, a->detail);
	else
		doctor_tell(d, LEVEL_ERROR, a->status == 503 ? "calloutctl status" : "", "webhook %s: calloutd answered %" PRId64 ": %s%s",
			    title, a->status, a->detail, t->status != a->status ? " (and the proxy something else)" : "");
}

static const struct {
	long from, to;
	const char *means, *remedy;
} statuses[] = {
	{ 301, 399, "a redirection", "Autotask posts to the URL as it is: let the proxy answer itself, or set public-url to where it leads (https?)" },
	{ 401, 401, "the proxy wants a login", "except the webhooks' paths from it: the signature is their protection" },
	{ 403, 403, "the proxy forbids it", "allow POST from everywhere on the webhooks' paths: Autotask's addresses change" },
	{ 404, 404, "the proxy does not pass this path on", "pass the webhooks' paths on to calloutd's listen address: contrib/proxy" },
	{ 405, 405, "the proxy does not allow POST here", "allow it on the webhooks' paths" },
	{ 413, 413, "the body is too large for the proxy", "raise its limit to max-body (nginx: client_max_body_size)" },
	{ 429, 429, "the proxy limits how many requests may come", "except the webhooks' paths: a bulk edit at Autotask sends thousands" },
	{ 502, 504, "the proxy does not reach calloutd", "is calloutd up, and does the proxy name its listen address?" },
	{ 500, 599, "the proxy fails", "see its log" },
};

/* Somebody else has answered. */
static void tell_strangers_answer(struct doctor *d, const char *title, const struct trip *t)
{
	if (t->status / 100 == 2) {
		doctor_tell(d, LEVEL_ERROR, "is public-url right, and does the proxy pass it on to this machine? What answers 2xx there takes callouts away from here",
			    "webhook %s: answered %ld, but not by this calloutd: public-url leads elsewhere", title, t->status);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (t->status < statuses[i].from || t->status > statuses[i].to)
			continue;
		doctor_tell(d, LEVEL_ERROR, statuses[i].remedy, "webhook %s: status %ld, %s", title, t->status, statuses[i].means);
		return;
	}
	doctor_tell(d, LEVEL_ERROR, "see the proxy's log", "webhook %s: status %ld, not from calloutd", title, t->status);
}

static void tell_came(struct doctor *d, const char *title, const struct trip *t, const struct arrival *a)
{
	if (t->took_ms > SLOW_MS)
		doctor_tell(d, LEVEL_WARNING, "what is slow on the way? Autotask waits 10 s", "webhook %s: a test callout took %" PRId64 " ms", title,
			    t->took_ms);
	else
		doctor_ok(d, "webhook %s: a signed test callout through public-url came, in %" PRId64 " ms", title, t->took_ms);
	if (!a->forwarded || a->believed)
		return;
	doctor_tell(d, LEVEL_WARNING, "add it to trusted-proxies, then calloutctl reload",
		    "a proxy is in front, at %s, which trusted-proxies does not name: all callers count as one, for max-per-client too",
		    a->client);
}

/* ---- without the way ---- */

static void try_directly(struct doctor *d, const struct conf_webhook *w)
{
	struct target target = { .url = NULL };
	struct arrival a = { .arrived = false };
	struct trip t = { .leads_to = NULL };
	struct probe p;

	if (announce(d, w, &p) && target_listening(d->ctl, w, &target) == CTL_OK) {
		travel(target.url, target.unix_socket, &p, &t);
		ask_arrival(d, &p, &a);
		if (t.code == CURLE_OK && a.arrived && a.status == 200)
			doctor_ok(d, "webhook %s: calloutd itself takes a test callout at its own address: the fault is on the way to it", w->title);
		else
			doctor_tell(d, LEVEL_ERROR, "calloutctl status", "webhook %s: calloutd does not take a test callout at its own address either: %s%s",
				    w->title, t.code != CURLE_OK ? t.detail : "", a.arrived ? a.detail : "");
	}
	free(t.leads_to);
	arrival_free(&a);
	target_free(&target);
	probe_free(&p);
}

/* True: it came as it should. */
static bool try_one(struct doctor *d, const char *origin, const struct conf_webhook *w)
{
	AUTO(free) char *url = text_printf("%s%s", origin, w->path);
	struct arrival a = { .arrived = false };
	struct trip t = { .leads_to = NULL };
	struct probe p;
	bool came = true;

	if (announce(d, w, &p)) {
		travel(url, NULL, &p, &t);
		ask_arrival(d, &p, &a);
		came = t.code == CURLE_OK && t.status == 200 && a.arrived && a.status == 200;
		if (came)
			tell_came(d, w->title, &t, &a);
		else if (a.arrived && a.status != 200)
			tell_refused(d, w->title, &t, &p, &a);
		else if (t.code != CURLE_OK)
			tell_failed(d, origin, &t);
		else
			tell_strangers_answer(d, w->title, &t);
	}
	free(t.leads_to);
	arrival_free(&a);
	probe_free(&p);
	return came;
}

void doctor_way(struct doctor *d)
{
	const struct conf *c = d->conf;
	struct url url;

	if (!c || !c->webhook_count)
		return;
	if (!c->public_url || d->ctl->option[OPT_LOCAL] || !d->answers) {
		doctor_tell(d, LEVEL_UNSEEN, !d->answers ? "start calloutd" : d->ctl->option[OPT_LOCAL] ? "" : "set public-url",
			    "whether callouts can come: %s", !d->answers ? "calloutd does not answer" :
			    d->ctl->option[OPT_LOCAL] ? "--local" : "public-url is not set, so nobody knows under which address");
		return;
	}
	if (url_parse(c->public_url, &url) == 0 && !url_is_private(&url))
		doctor_tell(d, LEVEL_WARNING, "use https", "public-url is %s, not https: who is on the way can read and keep callouts away",
			    c->public_url);
	for (size_t i = 0; i < c->webhook_count && i < WEBHOOKS_MAX; i++)
		if (!try_one(d, c->public_url, &c->webhooks[i])) {
			try_directly(d, &c->webhooks[i]);
			break;          /* the others would say the same */
		}
}
