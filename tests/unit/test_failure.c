/* test_failure.c - whatever is answered, the verdict is one of rest.h's and one sentence fit for a terminal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/autotask/private.h"
#include "base/utf8.h"

#define ROUNDS 60000
#define SECRET "s3cret-Xyzzy"

static uint32_t dice(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static const char *const bodies[] = {
	"", "{}", ("{\"errors\":[\"text \\u001b[1m " SECRET "\"]}"), "{\"errors\":[{\"message\":\"Itgenatr005\"},{\"message\":3},null]}",
	"{\"item\":null}", "{\"items\":[],\"pageDetails\":{\"nextPageUrl\":null}}", ("<html>\xff\xfe" SECRET "</html>"), ("plain \x9b text\r\n" SECRET),
	"{\"Message\":\"An error has occurred.\"}", "{\"errors\":\"duplicate\\ud800\\u0000 x\"}", "[[[[[[[[", "\xef\xbb\xbf{\"itemId\":1}",
};

static const long statuses[] = { 200, 200, 201, 204, 301, 308, 400, 401, 403, 404, 405, 409, 421, 429, 500, 500, 500, 502, 503, 0, 999, 99999999 };

static const int results[] = { 0, -EACCES, -ENOENT, -EEXIST, -EINVAL, -EAGAIN, -ECONNREFUSED, -EPROTO, -ENOMEM };

static void mutate(struct buf *b, uint32_t *seed)
{
	for (uint32_t n = dice(seed) % 4; n && b->len; n--)
		b->data[dice(seed) % b->len] = (char)dice(seed);
	if (b->len && dice(seed) % 4 == 0) {
		b->len = dice(seed) % b->len;
		b->data[b->len] = '\0';
	}
}

static bool is_known(int result)
{
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		if (results[i] == result)
			return true;
	return false;
}

/* UTF-8 without control characters. */
static void check_sentence(const char *text)
{
	for (size_t n; *text; text += n) {
		n = utf8_length(text, strlen(text));
		assert_true(n > 0);
		assert_true(n > 1 || ((unsigned char)*text >= ' ' && *text != 0x7f));
		assert_false(n == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0);
	}
}

static void anything_is_judged(void **state)
{
	const struct hidden hidden = { { SECRET, NULL, "" } };
	uint32_t seed = 20261125;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(buf) struct buf body = BUF_INIT(4096);
		struct reply reply = { .body = &body, .words = "libcurl's words" };
		const struct call c = { .method = "GET", .path = "Tickets/query?search=private", .reads = dice(&seed) % 2 };
		struct error err = { "" };
		struct verdict v;

		assert_int_equal(buf_append_text(&body, bodies[dice(&seed) % ARRAY_LEN(bodies)]), 0);
		mutate(&body, &seed);
		reply.status = statuses[dice(&seed) % ARRAY_LEN(statuses)];
		reply.html = dice(&seed) % 8 == 0;
		reply.sent = dice(&seed) % 2;
		if (dice(&seed) % 8 == 0)
			reply.trouble = (enum trouble)(dice(&seed) % (TROUBLE_MEMORY + 1));
		failure_judge(&c, &reply, "https://webservices5.autotask.net", &hidden, &v, &err);
		assert_true(is_known(v.result));
		assert_int_equal(v.result == 0, *err.text == '\0');
		assert_true(v.result != 0 || !v.root.at || v.root.kind == JSON_OBJECT);
		assert_true(v.busy == BUSY_NOT || v.result == -EAGAIN);
		if (v.unexecuted)
			assert_true(reply.trouble == TROUBLE_NONE ? reply.status >= 300 && reply.status <= 500 : !reply.sent);
		assert_null(strstr(err.text, SECRET));
		assert_null(strstr(err.text, "private"));
		check_sentence(err.text);
	}
}

/* No sentence is cut off, however long what it is made of. */
static void sentences_are_whole(void **state)
{
	static const struct hidden hidden = { { NULL } };
	AUTO(buf) struct buf body = BUF_INIT(4096);
	struct reply reply = { .body = &body };
	const struct call c = { .method = "DELETE", .path = "ConfigurationItemWebhooks/9223372036854775807/ExcludedResources/9223372036854775807" };
	struct error err = { "" };
	struct verdict v;

	(void)state;
	assert_int_equal(buf_append_text(&body, "{\"errors\":[\"duplicate "), 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(buf_append_text(&body, "x"), 0);
	assert_int_equal(buf_append_text(&body, "\"]}"), 0);
	reply.status = 500;
	failure_judge(&c, &reply, "https://webservices15.autotask.net", &hidden, &v, &err);
	assert_int_equal(v.result, -EEXIST);
	assert_non_null(strstr(err.text, "calloutctl webhook list"));
	memset(reply.words, 'w', sizeof(reply.words) - 1);
	memcpy(reply.words, "issuer", 6);
	reply.trouble = TROUBLE_TLS;
	failure_judge(&c, &reply, "https://webservices15.autotask.net", &hidden, &v, &err);
	assert_non_null(strstr(err.text, "intercepts TLS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anything_is_judged),
		cmocka_unit_test(sentences_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
