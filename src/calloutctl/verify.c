/* verify.c - `calloutctl verify`: is this signature right, and if not, why? */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

struct question {
	struct captured request;        /* body and signature, wherever they came from */
	const struct conf_webhook *webhook;     /* whose secret is expected; NULL: anybody's */
	bool path_unknown;
};

/* ---- what is asked ---- */

static enum exit_status read_request(const char *path, struct question *q)
{
	AUTO(free) char *data = NULL;
	enum exit_status status;
	size_t len;

	status = read_input(path, &data, &len);
	if (status != CTL_OK)
		return status;
	if (captured_read(data, len, &q->request) < 0)
		return complain(CTL_NO, "%s is not a whole HTTP request: request line, headers, an empty line, the body "
				"(chunked: with its chunk sizes)", path);
	return CTL_OK;
}

/* As HTTP does: blanks around a header's value are not part of it; "X-Hook-Signature:" in front may be copied along. */
static char *header_value(const char *text)
{
	size_t n = strlen(SIGNATURE_HEADER), len;

	if (strncasecmp(text, SIGNATURE_HEADER, n) == 0 && text[n] == ':')
		text += n + 1;
	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return need(strndup(text, len));
}

static enum exit_status read_question(struct ctl *ctl, struct question *q)
{
	const char *header = ctl->option[OPT_HEADER], *request = ctl->option[OPT_FILE];

	if (!request)
		request = ctl->option[OPT_REQUEST];
	else if (ctl->option[OPT_REQUEST])
		return misused(ctl, "--request is another name for --file: give one of them");
	if (request && (header || ctl->arg_count))
		return misused(ctl, "--file holds body and header, so nothing else can go with it");
	if (request)
		return read_request(request, q);
	if (!ctl->arg_count || !header)
		return misused(ctl, "either a FILE with --header VALUE, or --file FILE");
	q->request.signature = header_value(header);
	q->request.signatures = 1;
	return read_input(ctl->args[0], &q->request.body, &q->request.len);
}

/* ---- whose secrets ---- */

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* "/-/tickets/path": `calloutctl capture` writes no path that lets somebody in, but whose it was. */
static bool is_redacted(const char *path, const char *title)
{
	size_t len = strlen(title);

	return path && strncmp(path, "/-/", 3) == 0 && strncmp(path + 3, title, len) == 0 && path[3 + len] == '/';
}

/* The webhook the request went to. */
static void find_by_path(const struct conf *c, struct question *q)
{
	for (size_t i = 0; i < c->webhook_count; i++)
		if (same(c->webhooks[i].path, q->request.path) || same(c->webhooks[i].deactivation_path, q->request.path) ||
		    is_redacted(q->request.path, c->webhooks[i].title))
			q->webhook = &c->webhooks[i];
	q->path_unknown = q->request.path && !q->webhook;
}

static enum exit_status find_keys(struct ctl *ctl, struct question *q, struct keys *keys)
{
	const struct conf *c;
	enum exit_status status;

	if (ctl->option[OPT_WEBHOOK] && ctl->option[OPT_SECRET_FILE])
		return misused(ctl, "whose secret? Either --webhook NAME or --secret-file FILE");
	if (ctl->option[OPT_SECRET_FILE])
		return keys_of_file(ctl->option[OPT_SECRET_FILE], keys);
	c = ctl_conf_needed(ctl);
	if (!c)
		return CTL_NO;
	if (ctl->option[OPT_WEBHOOK]) {
		q->webhook = webhook_option(ctl);
		if (!q->webhook)
			return CTL_NO;
	} else {
		find_by_path(c, q);
	}
	status = keys_of_all(c, keys);
	for (size_t i = 0; i < keys->count; i++)
		keys->items[i].expected = q->webhook && strcmp(keys->items[i].webhook, q->webhook->title) == 0;
	return status;
}

/* ---- the answer ---- */

static void add_cause(struct explanation *e, const char *code, const char *text)
{
	if (e->count == EXPLAIN_CAUSES_MAX)
		return;
	e->causes[e->count].code = code;
	(void)snprintf(e->causes[e->count++].text, sizeof(e->causes[0].text), "%s", text);
}

/* What the request itself shows. */
static void add_request_causes(const struct question *q, struct explanation *e)
{
	if (q->request.signatures > 1) {
		e->valid = false;
		add_cause(e, "repeated-header", "The request has the header " SIGNATURE_HEADER " more than once, which is refused.");
	}
	if (!e->valid && q->request.cut)
		add_cause(e, "cut", "The file holds fewer bytes of the body than Content-Length says: the capture is not whole.");
}

static void print_for_programs(const struct explanation *e)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	AUTO(buf) struct buf out = BUF_INIT(0);

	writer_object(&w, NULL);
	writer_bool(&w, "valid", e->valid);
	writer_text(&w, "webhook", e->key ? e->key->webhook : NULL);
	if (e->key)
		writer_uint(&w, "secret", e->key->position);
	else
		writer_null(&w, "secret");
	writer_text(&w, "form", e->valid ? signature_form_name(e->form) : NULL);
	writer_array(&w, "causes");
	for (size_t i = 0; i < e->count; i++) {
		writer_object(&w, NULL);
		writer_text(&w, "code", e->causes[i].code);
		writer_text(&w, "text", e->causes[i].text);
		writer_end(&w);
	}
	writer_end(&w);
	writer_end(&w);
	take_json(&w, &out);
	fputs(out.data, stdout);
}

/* 'secret 2 of webhook "tickets"' */
static char *key_text(const struct explain_key *key)
{
	if (!key->webhook)
		return need(strdup("the secret in the file"));
	return text_printf("secret %u of webhook \"%s\"", key->position, key->webhook);
}

static void print_for_people(const struct ctl *ctl, const struct explanation *e)
{
	AUTO(free) char *key = e->key ? key_text(e->key) : NULL;

	if (e->valid) {
		printf("%svalid%s: signed with %s; %s\n", paint_on(ctl, PAINT_HEAD), paint_off(ctl, PAINT_HEAD), key,
		       e->form == SIGNATURE_RAW ? "the body as it is matched (raw form)" :
		       "the body matched with its characters written as \\uXXXX (escaped form)");
		return;
	}
	printf("%snot valid%s\n", paint_on(ctl, PAINT_BAD), paint_off(ctl, PAINT_BAD));
	for (size_t i = 0; i < e->count; i++)
		printf("  %s: %s\n", e->causes[i].code, e->causes[i].text);
	if (key)
		printf("  It was made with %s.\n", key);
}

static void print_notes(const struct question *q)
{
	if (q->path_unknown)
		(void)complain(CTL_OK, "note: no webhook has the request's path, so calloutd would answer 404; "
			       "compare it with `calloutctl config`");
	if (q->request.surplus)
		(void)complain(CTL_OK, "note: %zu bytes behind the end of the body, as Content-Length has it, are left out",
			       q->request.surplus);
}

static enum exit_status answer(const struct ctl *ctl, const struct question *q, const struct keys *keys)
{
	struct explanation e;
	int r = explain_signature(q->request.signature, q->request.body, q->request.len, keys->items, keys->count, &e);

	if (r < 0)
		return complain(CTL_NO, "cannot verify: %s", strerror(-r));
	add_request_causes(q, &e);
	if (ctl->option[OPT_JSON])
		print_for_programs(&e);
	else
		print_for_people(ctl, &e);
	print_notes(q);
	return e.valid ? CTL_OK : CTL_NO;
}

enum exit_status cmd_verify(struct ctl *ctl)
{
	AUTO(keys) struct keys keys = { .count = 0 };
	struct question q = { .webhook = NULL };
	enum exit_status status = read_question(ctl, &q);

	if (status == CTL_OK)
		status = find_keys(ctl, &q, &keys);
	if (status == CTL_OK)
		status = answer(ctl, &q, &keys);
	captured_free(&q.request);
	return status;
}
