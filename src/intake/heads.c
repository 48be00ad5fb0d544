/* heads.c - what a request's header says, and which shapes are refused. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "private.h"

#define TEXT_MAX (256UL * 1024) /* far above any max-header: nothing is cut */

struct reading {
	struct heads *heads;
	unsigned hosts, encodings;
	bool failed;                    /* no memory */
};

static bool is_token(const char *name, size_t len)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!letter && !(c && strchr(marks, c)))
			return false;
	}
	return len > 0;
}

static bool has_control(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return true;
	return false;
}

/* Digits only, and few enough not to overflow: no sign, no list, no blanks. */
static bool read_length(const char *value, uint64_t *ret)
{
	uint64_t length = 0;

	if (!*value || strlen(value) > 18)
		return false;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return false;
		length = length * 10 + (uint64_t)(*value - '0');
	}
	*ret = length;
	return true;
}

static void see_length(struct reading *r, const char *value)
{
	struct heads *h = r->heads;

	if (h->has_length)
		h->ambiguous = "more than one Content-Length";
	else if (!read_length(value, &h->length))
		h->ambiguous = "Content-Length is not a number";
	h->has_length = true;
}

static void see_encoding(struct reading *r, const char *value)
{
	r->heads->chunked = true;
	if (r->encodings++)
		r->heads->ambiguous = "more than one Transfer-Encoding";
	else if (strcasecmp(value, "chunked") != 0)
		r->heads->ambiguous = "a Transfer-Encoding other than chunked";
}

static void see_host(struct reading *r, const char *value)
{
	(void)value;
	if (r->hosts++)
		r->heads->ambiguous = "more than one Host";
}

static void see_type(struct reading *r, const char *value)
{
	if (!r->heads->type)
		r->heads->type = value;
}

static void see_signature(struct reading *r, const char *value)
{
	if (!r->heads->signatures++)
		r->heads->signature = value;
}

static void see_expect(struct reading *r, const char *value)
{
	(void)value;
	r->heads->expects = true;
}

static void see_probe(struct reading *r, const char *value)
{
	r->heads->probe = value;
}

static void see_forwarded(struct reading *r, const char *value)
{
	struct buf *b = &r->heads->forwarded;

	if (buf_append_text(b, b->len ? "," : "") < 0 || buf_append_text(b, value) < 0)
		r->failed = true;
}

static const struct known {
	const char *name;
	void (*see)(struct reading *r, const char *value);
} known[] = {
	{ "Content-Length", see_length },
	{ "Transfer-Encoding", see_encoding },
	{ "Host", see_host },
	{ "Content-Type", see_type },
	{ SIGNATURE_HEADER, see_signature },
	{ "Expect", see_expect },
	{ "X-Forwarded-For", see_forwarded },
	{ INTAKE_PROBE_HEADER, see_probe },
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
				 const char *value, size_t value_len)
{
	struct reading *r = cls;

	(void)kind;
	r->heads->bytes += name_len + value_len + 4;
	if (!value) {
		value = "";
		value_len = 0;
	}
	if (!is_token(name, name_len)) {
		/* "Content-Length : 5": proxies and servers disagree what that is. */
		r->heads->ambiguous = "a header name with a blank or another character that has no place there";
		return MHD_YES;
	}
	if (has_control(value, value_len))
		r->heads->ambiguous = "a control character in a header";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcasecmp(known[i].name, name) == 0)
			known[i].see(r, value);
	return MHD_YES;
}

int heads_read(struct MHD_Connection *connection, struct heads *ret)
{
	struct reading r = { .heads = ret };

	*ret = (struct heads){ .forwarded = BUF_INIT(TEXT_MAX) };
	(void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &r);
	if (ret->has_length && ret->chunked)
		ret->ambiguous = "both Content-Length and Transfer-Encoding";
	return r.failed ? -ENOMEM : 0;
}

static bool same(const char *text, size_t len, const char *other)
{
	return strlen(other) == len && strncasecmp(text, other, len) == 0;
}

bool heads_is_json(const char *type)
{
	size_t len = strcspn(type, ";");

	while (len && (type[len - 1] == ' ' || type[len - 1] == '\t'))
		len--;
	if (same(type, len, "application/json") || same(type, len, "text/json"))
		return true;
	/* A media type is one token, a slash, and another; structured ones end in +json (RFC 6839). */
	return len > 5 && memchr(type, '/', len) && !memchr(type, ' ', len) &&
	       strncasecmp(type + len - 5, "+json", 5) == 0;
}

/* ---- a notice is kept whole ---- */

struct keeping {
	struct buf *out;
	int r;
};

static enum MHD_Result keep_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct keeping *k = cls;

	(void)kind;
	if (strcasecmp(name, SIGNATURE_HEADER) == 0)
		value = "(not kept)";
	k->r = buf_printf(k->out, "%s: %s\n", name, value ? value : "");
	return k->r == 0 ? MHD_YES : MHD_NO;
}

int heads_text(struct MHD_Connection *connection, const char *method, const char *query, struct buf *out)
{
	struct keeping k = { .out = out };

	*out = (struct buf)BUF_INIT(TEXT_MAX);
	k.r = buf_printf(out, ":method: %s\n", method);
	if (k.r == 0 && query)
		k.r = buf_printf(out, ":query: %s\n", query);
	if (k.r == 0)
		(void)MHD_get_connection_values(connection, MHD_HEADER_KIND, keep_header, &k);
	return k.r;
}
