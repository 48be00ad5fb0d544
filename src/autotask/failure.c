/* failure.c - what an answer comes down to, and one sentence for whoever must act on it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "private.h"

#define VENDOR_MAX 220          /* bytes of the vendor's own words in a sentence */
#define CALL_MAX 100

#define ADVICE_CREDENTIALS "check username, secret and integration-code in autotask { }, and that this API user is active and not locked"
#define ADVICE_LEVEL "the API user's security level must allow it (for webhooks: \"Can create WebHooks\" and a maximum of at least 1)"
#define ADVICE_NAME "a webhook's name may have 50 characters"
#define ADVICE_DUPLICATE "there is one for this already, perhaps inactive or somebody else's; every webhook needs a URL of its own: calloutctl webhook list"
#define ADVICE_THREADS "other programs use the API at the same time (3 calls at once are allowed); run it again"
#define ADVICE_HOUR "all programs together may make 10,000 requests an hour; run it again later"

/*
 * What is known of the vendor's words: all of a row's must be there, in any case; the first row that
 * fits counts. None of it is documented (Itgenatr005 and "thread threshold" were seen by others), so whatever
 * fits nothing is still told, as a refusal with these words.
 */
static const struct known {
	const char *words[2];
	int code;
	enum busy busy;
	bool webhooks_only;
	const char *advice;
} known[] = {
	{ { "itgenatr005" }, EAGAIN, BUSY_THREADS, false, ADVICE_THREADS },
	{ { "thread", "threshold" }, EAGAIN, BUSY_THREADS, false, ADVICE_THREADS },
	{ { "thread", "limit" }, EAGAIN, BUSY_THREADS, false, ADVICE_THREADS },
	{ { "request", "hour" }, EAGAIN, BUSY_HOUR, false, ADVICE_HOUR },
	{ { "request", "threshold" }, EAGAIN, BUSY_HOUR, false, ADVICE_HOUR },
	{ { "duplicate" }, EEXIST, BUSY_NOT, false, ADVICE_DUPLICATE },
	{ { "already exist" }, EEXIST, BUSY_NOT, false, ADVICE_DUPLICATE },
	{ { "security level" }, EACCES, BUSY_NOT, false, ADVICE_LEVEL },
	{ { "permission" }, EACCES, BUSY_NOT, false, ADVICE_LEVEL },
	{ { "not authorized" }, EACCES, BUSY_NOT, false, ADVICE_LEVEL },
	{ { "maximum", "webhook" }, EACCES, BUSY_NOT, true, ADVICE_LEVEL },
	{ { "name", "50" }, EINVAL, BUSY_NOT, true, ADVICE_NAME },
	{ { "name", "longer" }, EINVAL, BUSY_NOT, true, ADVICE_NAME },
	{ { "name", "length" }, EINVAL, BUSY_NOT, true, ADVICE_NAME },
	{ { "no matching" }, ENOENT, BUSY_NOT, false, NULL },
};

/* What HTTP itself says, when the words say nothing more. */
static const struct meaning {
	long status;
	int code;
	enum busy busy;
	const char *advice;
} meanings[] = {
	{ 401, EACCES, BUSY_NOT, ADVICE_CREDENTIALS },
	{ 403, EACCES, BUSY_NOT, ADVICE_LEVEL },
	{ 404, ENOENT, BUSY_NOT, NULL },
	{ 409, EEXIST, BUSY_NOT, ADVICE_DUPLICATE },
	{ 429, EAGAIN, BUSY_THREADS, ADVICE_THREADS },
};

/* Everything that a sentence is made of. */
struct failed {
	const struct call *call;
	const struct reply *reply;
	const char *host;
	char name[CALL_MAX];            /* "POST TicketWebhooks" */
	char vendor[VENDOR_MAX];        /* "": said nothing */
};

/* ---- the call and the vendor's words ---- */

/* Without what is searched for: that may be customers' data. */
static void name_call(const struct call *c, char dst[static CALL_MAX])
{
	(void)snprintf(dst, CALL_MAX, "%s %.*s", c->method, (int)strcspn(c->path, "?"), c->path);
}

/* Terminals take orders from these: C0, DEL, and C1 (U+0080 to U+009F). */
static bool is_control(const char *c, size_t len)
{
	if (len == 1)
		return (unsigned char)*c < ' ' || *c == 0x7f;
	return len == 2 && (unsigned char)c[0] == 0xc2 && (unsigned char)c[1] < 0xa0;
}

/* Append as many whole characters as fit, a blank for each control character, '?' for a byte that is none. */
static void add_words(char dst[static VENDOR_MAX], const char *text)
{
	size_t len = strlen(dst), n;

	for (; *text; text += n) {
		const char *shown = text;
		size_t shown_len = n = utf8_length(text, strnlen(text, 4));

		if (!n || is_control(text, n)) {
			shown = n ? " " : "?";
			shown_len = 1;
			n = n ? n : 1;
		}
		if (len + shown_len >= VENDOR_MAX)
			break;
		memcpy(dst + len, shown, shown_len);
		len += shown_len;
	}
	dst[len] = '\0';
}

static void hide(char *text, const struct hidden *hidden)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden->texts); i++) {
		size_t len = hidden->texts[i] ? strlen(hidden->texts[i]) : 0;
		char *at = text;

		while (len && (at = strstr(at, hidden->texts[i]))) {
			memset(at, '*', len);
			at += len;
		}
	}
}

/* Takes text (may be NULL). */
static void add_sentence(char *text, const struct hidden *hidden, char dst[static VENDOR_MAX])
{
	if (text && *text) {
		hide(text, hidden);
		add_words(dst, *dst ? "; " : "");
		add_words(dst, text);
	}
	free(text);
}

static void add_error(const struct json_value *item, const struct hidden *hidden, char dst[static VENDOR_MAX])
{
	struct json_value text = *item;
	char *decoded;
	size_t cap;

	if (item->kind == JSON_OBJECT && !rest_member(item, "message", &text))
		return;
	if (text.kind != JSON_STRING)
		return;
	cap = 3 * text.len + 1;
	decoded = malloc(cap);
	if (decoded && json_string(&text, decoded, cap, NULL) < 0)
		*decoded = '\0';
	add_sentence(decoded, hidden, dst);
}

static bool is_good(long status)
{
	return status >= 200 && status < 300;
}

/* "errors" as texts, as objects with a message, or as one of these alone; of a failure also "message". */
static void read_vendor(struct failed *f, const struct json_value *root, const struct hidden *hidden)
{
	struct json_cursor at = { NULL };
	struct json_value errors, item;

	if (!rest_member(root, "errors", &errors) &&
	    (is_good(f->reply->status) || !rest_member(root, "message", &errors)))
		return;
	if (errors.kind != JSON_ARRAY)
		add_error(&errors, hidden, f->vendor);
	while (errors.kind == JSON_ARRAY && json_next_element(&errors, &at, &item))
		add_error(&item, hidden, f->vendor);
}

/* A failure that is not JSON may be a line of text. */
static void read_plain(struct failed *f, const struct hidden *hidden)
{
	const struct buf *body = f->reply->body;

	add_sentence(strndup(body->data, body->len < VENDOR_MAX * 2 ? body->len : VENDOR_MAX * 2), hidden, f->vendor);
}

/* ---- no answer ---- */

/* By what libcurl and its TLS library say. */
static const char *tls_advice(const char *words)
{
	static const struct {
		const char *word, *advice;
	} rows[] = {
		{ "expired", "if this machine's clock is right, the other side must renew it" },
		{ "not yet valid", "check this machine's clock" },
		{ "certificate file", "check ca-file in autotask { }: it must be readable and hold PEM certificates" },
		{ "issuer", "if the authority is a private one, name its certificate with ca-file in autotask { }; otherwise install ca-certificates, or something on the way intercepts TLS" },
		{ "self", "if the authority is a private one, name its certificate with ca-file in autotask { }; otherwise something on the way intercepts TLS" },
		{ "host name", "the certificate is another host's: something on the way intercepts TLS, or zone-information names the wrong host" },
		{ "wrong version", "what answers there speaks no TLS: check zone-information and https_proxy" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strstr(words, rows[i].word))
			return rows[i].advice;
	return "something on the way may intercept TLS";
}

/* A write that was cut off may have been executed. */
static const char *aftermath(const struct failed *f)
{
	if (f->call->reads || !f->reply->sent)
		return "run it again";
	return "whether it was done is unknown; running it again looks first";
}

static int judge_trouble(const struct failed *f, struct error *err)
{
	const char *words = f->reply->words;

	switch (f->reply->trouble) {
	case TROUBLE_MEMORY:
		return error_set(err, ENOMEM, "%s: out of memory", f->name);
	case TROUBLE_TOO_LONG:
		return error_set(err, EPROTO, "%s: %s answered with more than %lu MiB", f->name, f->host,
				 REST_ANSWER_MAX >> 20);
	case TROUBLE_NAME:
		return error_set(err, ECONNREFUSED, "%s: %s cannot be found (%s): check the network and DNS of this machine",
				 f->name, f->host, words);
	case TROUBLE_CONNECT:
		return error_set(err, ECONNREFUSED, "%s: no connection to %s (%s): check the network, the firewall and https_proxy",
				 f->name, f->host, words);
	case TROUBLE_TLS:
		return error_set(err, ECONNREFUSED, "%s: no trust in %s (%s): %s", f->name, f->host, words, tls_advice(words));
	case TROUBLE_TIMEOUT:
		return error_set(err, ECONNREFUSED, "%s: no answer from %s in time (%s): %s", f->name, f->host, words,
				 aftermath(f));
	default:
		return error_set(err, ECONNREFUSED, "%s: the connection to %s broke (%s): %s", f->name, f->host, words,
				 aftermath(f));
	}
}

/* ---- an answer that says no ---- */

static bool fits(const struct known *k, const struct failed *f)
{
	for (size_t i = 0; i < ARRAY_LEN(k->words) && k->words[i]; i++)
		if (!strcasestr(f->vendor, k->words[i]))
			return false;
	return !k->webhooks_only || strcasestr(f->call->path, "webhooks");
}

static const struct known *known_of(const struct failed *f)
{
	for (size_t i = 0; *f->vendor && i < ARRAY_LEN(known); i++)
		if (fits(&known[i], f))
			return &known[i];
	return NULL;
}

static bool has_meaning(long status)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (meanings[i].status == status)
			return true;
	return false;
}

/* Words say more than HTTP's number, but for a 401: that is about the credentials, whatever it says. */
static struct meaning meaning_of(const struct failed *f)
{
	long status = f->reply->status;
	struct meaning m = { status, status >= 500 && !*f->vendor ? EPROTO : EINVAL, BUSY_NOT, NULL };
	const struct known *k = known_of(f);

	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (meanings[i].status == status)
			m = meanings[i];
	if (k && status != 401)
		m = (struct meaning){ status, k->code, k->busy, k->advice };
	return m;
}

static int refuse(const struct failed *f, const struct meaning *m, struct error *err)
{
	const char *colon = m->advice ? ": " : "", *advice = m->advice ? m->advice : "";

	if (*f->vendor)
		return error_set(err, m->code, "%s: Autotask says \"%s\" (HTTP %ld)%s%s", f->name, f->vendor,
				 f->reply->status, colon, advice);
	return error_set(err, m->code, "%s: %s answered with HTTP %ld and no reason%s%s", f->name, f->host,
			 f->reply->status, colon, advice);
}

/* ---- an answer that is none ---- */

static bool is_html(const struct reply *reply)
{
	const char *text = reply->body->data ? reply->body->data : "";

	return reply->html || text[strspn(text, " \t\r\n")] == '<';
}

static int judge_unreadable(const struct failed *f, const struct json_fault *fault, struct error *err)
{
	long status = f->reply->status;

	if (is_html(f->reply) && status >= 500)
		return error_set(err, EPROTO, "%s: %s answered with HTTP %ld and a page for people instead of JSON: Autotask or something before it has trouble; %s",
				 f->name, f->host, status, aftermath(f));
	if (is_html(f->reply))
		return error_set(err, EPROTO, "%s: %s answered with HTTP %ld and a page for people instead of JSON: check zone-information, and proxies or sign-in pages on the way; %s",
				 f->name, f->host, status, aftermath(f));
	return error_set(err, EPROTO, "%s: %s answered with HTTP %ld and broken JSON (%s at byte %zu): %s", f->name, f->host,
			 status, fault->why ? fault->why : "empty", fault->offset, aftermath(f));
}

static bool is_redirect(long status)
{
	return status >= 300 && status < 400;
}

/* An answer to a write may be empty; one to a question must be an object. */
static int judge_good(const struct failed *f, struct verdict *ret, struct error *err)
{
	if (ret->root.at && ret->root.kind == JSON_OBJECT)
		return 0;
	ret->root = (struct json_value){ .at = NULL };
	if (!f->call->reads && !f->reply->body->len)
		return 0;
	return error_set(err, EPROTO, "%s: %s answered with something else than a JSON object (HTTP %ld): %s", f->name,
			 f->host, f->reply->status, aftermath(f));
}

/* Surely not executed. A gateway (502 and above) says nothing about what is behind it. */
static bool is_refusal(long status)
{
	return status >= 300 && status <= 500;
}

static int judge_answer(const struct failed *f, struct verdict *ret, struct error *err)
{
	struct meaning m;

	if (is_good(f->reply->status) && !*f->vendor)
		return judge_good(f, ret, err);
	m = meaning_of(f);
	ret->busy = m.busy;
	ret->unexecuted = is_refusal(f->reply->status);
	return refuse(f, &m, err);
}

/* ---- all of it ---- */

/* What another zone could be the reason of: nothing says so in documented words. */
static bool may_have_moved(const struct failed *f)
{
	long status = f->reply->status;

	if (f->reply->trouble != TROUBLE_NONE)
		return f->reply->trouble != TROUBLE_MEMORY && f->reply->trouble != TROUBLE_TOO_LONG;
	return status == 401 || status == 404 || status == 421 || is_redirect(status) || strcasestr(f->vendor, "zone");
}

static int judge(struct failed *f, const struct hidden *hidden, struct verdict *ret, struct error *err)
{
	struct json_fault fault = { 0, NULL };
	const struct buf *body = f->reply->body;
	bool readable;

	if (f->reply->trouble != TROUBLE_NONE) {
		ret->unexecuted = !f->reply->sent;
		return judge_trouble(f, err);
	}
	ret->unexecuted = is_redirect(f->reply->status);
	if (is_redirect(f->reply->status))
		return error_set(err, EPROTO, "%s: %s answered with a redirect (HTTP %ld), which is not followed: check zone-information",
				 f->name, f->host, f->reply->status);
	readable = body->len && json_read(body->data, body->len, JSON_DEPTH_MAX, &ret->root, &fault) == 0;
	if (readable)
		read_vendor(f, &ret->root, hidden);
	else if (body->len && !is_good(f->reply->status) && !is_html(f->reply))
		read_plain(f, hidden);
	if (!readable)
		ret->root = (struct json_value){ .at = NULL };
	if (body->len && !readable && !*f->vendor && !has_meaning(f->reply->status))
		return judge_unreadable(f, &fault, err);
	return judge_answer(f, ret, err);
}

void failure_judge(const struct call *c, const struct reply *reply, const char *host, const struct hidden *hidden,
		   struct verdict *ret, struct error *err)
{
	struct failed f = { .call = c, .reply = reply, .host = host };

	*ret = (struct verdict){ .result = 0 };
	name_call(c, f.name);
	ret->result = judge(&f, hidden, ret, err);
	if (ret->result == 0)
		return;
	ret->root = (struct json_value){ .at = NULL };
	ret->moved = may_have_moved(&f);
}
