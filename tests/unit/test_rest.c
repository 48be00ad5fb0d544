/* test_rest.c - the REST client against a server that plays every part badly. */
#include "rest_script.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#define PLAY(s, ...) play(s, (const char *const[]){ __VA_ARGS__, NULL })
#define HOOK_BODY "{\"name\":\"n\",\"secretKey\":\"webhooks-own-secret\"}"

/* ---- what is sent ---- */

static void the_look_up_has_no_credentials(void **state)
{
	struct script *s = *state;

	(void)snprintf(s->w.user, sizeof(s->w.user), "a+b c&d@example.com");
	PLAY(s, ZONE);
	AUTO(rest) struct rest *r = opened(&s->w);
	played(s, 1);
	assert_memory_equal(s->requests[0], "GET /atservicesrest/v1.0/zoneInformation?user=a%2Bb%20c%26d%40example.com HTTP/1.1\r\n", 75);
	assert_null(strcasestr(s->requests[0], "\nSecret:"));
	assert_null(strcasestr(s->requests[0], "\nUserName:"));
	assert_null(strcasestr(s->requests[0], "\nApiIntegrationCode:"));
	assert_non_null(strstr(rest_base(r), "/ATServicesRest/v1.0/"));
}

static void four_headers_and_the_body_are_sent(void **state)
{
	struct script *s = *state;
	int64_t id = 0;

	PLAY(s, ZONE, JSON("{\"itemId\":9007199254740993}"), JSON("{\"itemId\":5}"), JSON("{\"itemId\":5}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_post(r, "TicketWebhooks", HOOK_BODY, &id, &s->w.err), 0);
	assert_true(id == 9007199254740993);
	assert_int_equal(rest_patch(r, "TicketWebhooks", "{\"id\":5}", &s->w.err), 0);
	assert_int_equal(rest_delete(r, "TicketWebhooks/5", &s->w.err), 0);
	played(s, 4);
	assert_memory_equal(s->requests[1], "POST /ATServicesRest/v1.0/TicketWebhooks HTTP/1.1\r\n", 51);
	for (size_t i = 1; i < 4; i++) {
		assert_non_null(strstr(s->requests[i], "\r\nUserName: " USER "\r\n"));
		assert_non_null(strstr(s->requests[i], "\r\nSecret: " SECRET "\r\n"));
		assert_non_null(strstr(s->requests[i], "\r\nApiIntegrationCode: " CODE "\r\n"));
		assert_non_null(strstr(s->requests[i], "\r\nContent-Type: application/json\r\n"));
		assert_null(strstr(s->requests[i], "Expect:"));
	}
	assert_non_null(strstr(s->requests[1], "\r\n\r\n" HOOK_BODY));
	assert_memory_equal(s->requests[2], "PATCH /ATServicesRest/v1.0/TicketWebhooks HTTP/1.1\r\n", 52);
	assert_memory_equal(s->requests[3], "DELETE /ATServicesRest/v1.0/TicketWebhooks/5 HTTP/1.1\r\n", 55);
}

/* A line break in a credential would be a header of its own. */
static void credentials_are_one_line(void **state)
{
	struct script *s = *state;
	struct rest *r = NULL;

	put_file(s->w.directory, "secret", "abc\r\nX-Evil: 1");
	assert_int_equal(rest_open(&s->w.options, &r, &s->w.err), -EINVAL);
	assert_said(&s->w, "autotask: secret holds a control character");
	assert_null(strstr(s->w.err.text, "Evil"));
	put_file(s->w.directory, "secret", SECRET);
	(void)snprintf(s->w.user, sizeof(s->w.user), "a\nb");
	assert_int_equal(rest_open(&s->w.options, &r, &s->w.err), -EINVAL);
	assert_said(&s->w, "autotask: username holds a control character");
	assert_null(r);
}

static void a_missing_secret_is_said(void **state)
{
	struct script *s = *state;
	struct rest *r = NULL;

	(void)snprintf(s->w.secret, sizeof(s->w.secret), "file:%s/none", s->w.directory);
	assert_int_equal(rest_open(&s->w.options, &r, &s->w.err), -ENOENT);
	assert_said(&s->w, "cannot read secret");
}

static void no_core_dump_shows_the_secrets(void **state)
{
	struct script *s = *state;
	struct rlimit limit;

	PLAY(s, ZONE);
	rest_close(opened(&s->w));
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
	assert_int_equal(limit.rlim_max, 0);
}

/* ---- failures: what came, what it comes down to, which words ---- */

static const struct {
	const char *answer;
	int result;
	const char *words[3];
} failures[] = {
	{ FAILED("500 Internal Server Error", "{\"errors\":[\"One thing.\",\"Another.\"]}"), -EINVAL,
	  { "POST TicketWebhooks: Autotask says \"One thing.; Another.\" (HTTP 500)" } },
	{ FAILED("500 X", "{\"Errors\":[{\"Message\":\"In an object.\"},{\"code\":3}]}"), -EINVAL, { "says \"In an object.\"" } },
	{ FAILED("500 X", "{\"errors\":\"alone\"}"), -EINVAL, { "says \"alone\"" } },
	{ FAILED("400 X", "{\"message\":\"The request is invalid.\"}"), -EINVAL, { "says \"The request is invalid.\" (HTTP 400)" } },
	{ FAILED("500 X", "{\"errors\":[]}"), -EPROTO, { "answered with HTTP 500 and no reason" } },
	{ FAILED("500 X", ""), -EPROTO, { "answered with HTTP 500 and no reason" } },
	{ ANSWER("500 X", "text/plain", "Runtime error"), -EINVAL, { "says \"Runtime error\"" } },
	{ JSON("{\"errors\":[\"with 200\"]}"), -EINVAL, { "says \"with 200\" (HTTP 200)" } },
	{ FAILED("401 Unauthorized", "{\"errors\":[\"Unauthorized.\"]}"), -EACCES,
	  { "\"Unauthorized.\" (HTTP 401)", "check username, secret and integration-code" } },
	{ FAILED("401 Unauthorized", ""), -EACCES, { "HTTP 401 and no reason", "check username, secret and integration-code" } },
	{ FAILED("403 Forbidden", ""), -EACCES, { "HTTP 403", "Can create WebHooks" } },
	{ FAILED("500 X", "{\"errors\":[\"The security level does not permit this.\"]}"), -EACCES, { "Can create WebHooks" } },
	{ FAILED("500 X", "{\"errors\":[\"The maximum number of webhooks is reached.\"]}"), -EACCES, { "a maximum of at least 1" } },
	{ FAILED("500 X", "{\"errors\":[\"The logged in Resource does not have the adequate permissions.\"]}"), -EACCES,
	  { "Can create WebHooks" } },
	{ FAILED("404 Not Found", ""), -ENOENT, { "HTTP 404" } },
	{ HTML("404 Not Found"), -ENOENT, { "HTTP 404" } },
	{ FAILED("500 X", "{\"errors\":[\"Duplicate webhook.\"]}"), -EEXIST, { "every webhook needs a URL of its own" } },
	{ FAILED("500 X", "{\"errors\":[\"Name: maximum length is 50.\"]}"), -EINVAL, { "a webhook's name may have 50 characters" } },
	{ FAILED("429 Too Many Requests", ""), -EAGAIN, { "HTTP 429", "3 calls at once" } },
	{ FAILED("500 X", "{\"errors\":[\"Itgenatr005\"]}"), -EAGAIN, { "3 calls at once" } },
	{ FAILED("500 X", "{\"errors\":[\"The thread threshold of 3 threads has been exceeded.\"]}"), -EAGAIN, { "3 calls at once" } },
	{ FAILED("500 X", "{\"errors\":[\"You have exceeded the request threshold.\"]}"), -EAGAIN, { "10,000 requests an hour" } },
	{ HTML("200 OK"), -EPROTO, { "HTTP 200 and a page for people instead of JSON", "sign-in pages", "whether it was done is unknown" } },
	{ JSON("  <html>"), -EPROTO, { "a page for people" } },
	{ HTML("502 Bad Gateway"), -EPROTO, { "HTTP 502 and a page for people", "has trouble" } },
	{ JSON("{\"itemId\":"), -EPROTO, { "HTTP 200 and broken JSON", "whether it was done is unknown" } },
	{ JSON("[1]"), -EPROTO, { "something else than a JSON object" } },
	{ JSON("{\"itemId\":null}"), -EPROTO, { "has no itemId" } },
	{ JSON("{}"), -EPROTO, { "has no itemId" } },
	{ JSON(""), -EPROTO, { "has no itemId" } },
	{ "HTTP/1.1 302 Found\r\nLocation: https://evil.example.net/\r\n\r\n", -EPROTO, { "redirect (HTTP 302), which is not followed" } },
	{ NOTHING, -ECONNREFUSED, { "the connection to http://127.0.0.1:", "broke", "whether it was done is unknown" } },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"itemId\":", -ECONNREFUSED, { "broke", "whether it was done is unknown" } },
	{ "nonsense\r\n\r\n", -ECONNREFUSED, { "broke" } },
	{ SILENCE, -ECONNREFUSED, { "no answer from http://127.0.0.1:", "in time", "whether it was done is unknown" } },
};

static void every_failure_is_one_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		struct script *s;
		void *own = NULL;
		int64_t id = -1;
		int result;

		(void)script_begin(&own);
		s = own;
		s->w.options.whole_ms = 300;
		play(s, (const char *const[]){ ZONE, failures[i].answer, NULL });
		AUTO(rest) struct rest *r = opened(&s->w);
		result = rest_post(r, "TicketWebhooks", HOOK_BODY, &id, &s->w.err);
		if (result != failures[i].result)
			print_error("%zu: %d: %s\n", i, result, s->w.err.text);
		assert_int_equal(result, failures[i].result);
		assert_int_equal(id, -1);
		for (size_t j = 0; j < ARRAY_LEN(failures[i].words) && failures[i].words[j]; j++)
			assert_said(&s->w, failures[i].words[j]);
		assert_said(&s->w, "POST TicketWebhooks");
		played(s, 2);
		(void)script_end(&own);
	}
}

/* The vendor's words are bounded, without orders to terminals, and without what is secret. */
static void the_vendors_words_are_tamed(void **state)
{
	struct script *s = *state;
	AUTO(buf) struct buf b = BUF_INIT(10000);

	(void)buf_printf(&b, FAILED("500 X", "{\"errors\":[\"\\u001b[31mred\\u009b1m\\r\\nwith " SECRET " " CODE " webhooks-own-secret"));
	for (int i = 0; i < 400; i++)
		(void)buf_append_text(&b, "\xc3\xa9");
	(void)buf_append_text(&b, "\"]}");
	PLAY(s, ZONE, b.data);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_post(r, "TicketWebhooks", HOOK_BODY, NULL, &s->w.err), -EINVAL);
	assert_said(&s->w, "says \" [31mred 1m  with ****************** ***************** *******************");
	assert_null(strstr(s->w.err.text, "webhooks-own-secret"));
	assert_null(strpbrk(s->w.err.text, "\x1b\r\n"));
	assert_null(strstr(s->w.err.text, "\xc2\x9b"));
	assert_said(&s->w, "\xc3\xa9\" (HTTP 500)");
	assert_true(strlen(s->w.err.text) < 320);
	played(s, 2);
}

/* A search is customers' data. */
static int no_item(void *arg, const struct json_value *item, struct error *err)
{
	(void)arg, (void)item, (void)err;
	fail();
	return -EINVAL;
}

static void a_search_is_not_repeated(void **state)
{
	struct script *s = *state;

	PLAY(s, ZONE, FAILED("500 X", "{\"errors\":[\"No.\"]}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_query(r, "Contacts", "[{\"op\":\"eq\",\"field\":\"x\",\"value\":\"private\"}]", no_item, NULL, &s->w.err), -EINVAL);
	assert_said(&s->w, "GET Contacts/query: Autotask says \"No.\"");
	assert_null(strstr(s->w.err.text, "private"));
}

static void nobody_listens(void **state)
{
	struct script *s = *state;

	PLAY(s, ZONE);
	AUTO(rest) struct rest *r = opened(&s->w);
	played(s, 1);
	assert_int_equal(rest_post(r, "TicketWebhooks", HOOK_BODY, NULL, &s->w.err), -ECONNREFUSED);
	assert_said(&s->w, "POST TicketWebhooks: no connection to http://127.0.0.1:");
	assert_said(&s->w, "check the network, the firewall and https_proxy");
}

static void no_name_is_found(void **state)
{
	struct script *s = *state;
	struct rest *r = NULL;

	world_point_to(&s->w, "https://zone.invalid");
	assert_int_equal(rest_open(&s->w.options, &r, &s->w.err), -ECONNREFUSED);
	assert_said(&s->w, "zoneInformation: https://zone.invalid cannot be found");
	assert_said(&s->w, "check the network and DNS");
}

/* A proxy of the environment is told the host and nothing else; what it refuses was not sent. */
static void a_proxy_sees_no_credentials(void **state)
{
	struct script *s = *state;

	PLAY(s, JSON("{\"url\":\"https://zone.invalid/\"}"), "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n");
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(setenv("https_proxy", s->w.base, 1), 0);
	assert_int_equal(rest_post(r, "TicketWebhooks", HOOK_BODY, NULL, &s->w.err), -ECONNREFUSED);
	assert_int_equal(unsetenv("https_proxy"), 0);
	assert_said(&s->w, "POST TicketWebhooks: no connection to https://zone.invalid (");
	played(s, 2);
	assert_memory_equal(s->requests[1], "CONNECT zone.invalid:443 HTTP/1.1\r\n", 35);
	assert_null(strstr(s->requests[1], SECRET));
	assert_null(strstr(s->requests[1], USER));
}

/* Plain http is for loopback, and no proxy is asked for it. */
static void loopback_needs_no_proxy(void **state)
{
	struct script *s = *state;

	PLAY(s, ZONE, JSON("{}"));
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_patch(r, "TicketWebhooks", "{}", &s->w.err), 0);
	assert_int_equal(unsetenv("http_proxy"), 0);
	played(s, 2);
}

/* ---- repeating ---- */

static void a_get_is_repeated_once_when_cut(void **state)
{
	struct script *s = *state;
	struct rest_answer keep = REST_ANSWER_INIT;

	PLAY(s, ZONE, NOTHING, JSON("{\"item\":{\"id\":3}}"), NOTHING, NOTHING, JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_get(r, "Tickets/3", &keep, &s->w.err), 0);
	assert_int_equal(rest_get(r, "Tickets/3", &keep, &s->w.err), -ECONNREFUSED);
	assert_said(&s->w, "run it again");
	assert_null(strstr(s->w.err.text, "unknown"));
	rest_answer_free(&keep);
	played(s, 5);
}

static void a_write_is_never_repeated(void **state)
{
	struct script *s = *state;

	PLAY(s, ZONE, NOTHING, JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_delete(r, "TicketWebhooks/3", &s->w.err), -ECONNREFUSED);
	played(s, 2);
}

/* When a kept connection dies under a request, libcurl sends it again by itself: that must not be a write. */
static void a_write_has_a_connection_of_its_own(void **state)
{
	struct script *s = *state;
	struct rest_answer keep = REST_ANSWER_INIT;

	PLAY(s, ZONE, KEPT("{}"), NOTHING, JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_get(r, "Tickets/3", &keep, &s->w.err), 0);
	rest_answer_free(&keep);
	assert_int_equal(rest_delete(r, "TicketWebhooks/3", &s->w.err), -ECONNREFUSED);
	played(s, 3);
}

static void a_busy_autotask_is_waited_for(void **state)
{
	struct script *s = *state;

	s->w.options.patience_ms = 60000;
	PLAY(s, ZONE, FAILED("429 X", "{\"errors\":[\"Itgenatr005\"]}"), FAILED("500 X", "{\"errors\":[\"10000 requests per hour\"]}"),
	     JSON("{\"itemId\":5}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_patch(r, "TicketWebhooks", "{}", &s->w.err), 0);
	assert_int_equal(s->w.waits, 2);
	assert_string_equal(s->w.why, "the requests that Autotask allows in an hour are spent");
	played(s, 4);
}

/* What a gateway says about being busy is no promise that a write was not executed. */
static void a_busy_gateway_gets_no_second_write(void **state)
{
	struct script *s = *state;
	struct rest_answer keep = REST_ANSWER_INIT;

	s->w.options.patience_ms = 60000;
	PLAY(s, ZONE, ANSWER("503 X", "text/plain", "too many requests per hour"), ANSWER("503 X", "text/plain", "too many requests per hour"),
	     JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_patch(r, "TicketWebhooks", "{}", &s->w.err), -EAGAIN);
	assert_int_equal(s->w.waits, 0);
	assert_int_equal(rest_get(r, "Tickets/1", &keep, &s->w.err), 0);
	assert_int_equal(s->w.waits, 1);
	rest_answer_free(&keep);
	played(s, 4);
}

static void patience_has_an_end(void **state)
{
	struct script *s = *state;

	s->w.options.patience_ms = 12;          /* 5, and what is left of 10 */
	PLAY(s, ZONE, FAILED("429 X", ""), FAILED("429 X", ""), "HTTP/1.1 429 X\r\nRetry-After: 3600\r\n\r\n");
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_patch(r, "TicketWebhooks", "{}", &s->w.err), -EAGAIN);
	assert_int_equal(s->w.waits, 2);
	played(s, 4);
}

/* ---- pages ---- */

static const char *const bad_pages[] = {
	"https://127.0.0.1/ATServicesRest/v1.0/Tickets/query/next",
	"http://127.0.0.1:1/ATServicesRest/v1.0/Tickets/query/next",
	"http://evil.example.net/x",
	"//evil.example.net/x",
	"http://127.0.0.1@evil.example.net/x",
	"/ATServicesRest/v1.0/Tickets/query/next",
	"nonsense",
};

static int count(void *arg, const struct json_value *item, struct error *err)
{
	(void)item, (void)err;
	++*(unsigned *)arg;
	return 0;
}

#define ALL "[{\"op\":\"gt\",\"field\":\"id\",\"value\":0}]"

static void pages_are_turned_within_the_host_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_pages); i++) {
		char page[512];
		struct script *s;
		void *own = NULL;
		unsigned seen = 0;

		(void)script_begin(&own);
		s = own;
		(void)snprintf(page, sizeof(page), JSON("{\"items\":[{\"id\":1}],\"pageDetails\":{\"nextPageUrl\":\"%s\"}}"), bad_pages[i]);
		PLAY(s, ZONE, page, JSON("{\"items\":[]}"));
		AUTO(rest) struct rest *r = opened(&s->w);
		assert_int_equal(rest_query(r, "Tickets", ALL, count, &seen, &s->w.err), -EPROTO);
		assert_said(&s->w, "the URL of the next page is not at http://127.0.0.1:");
		assert_int_equal(seen, 1);
		played(s, 2);
		(void)script_end(&own);
	}
}

/* Page 1 leads to 2, that to 3, and so on, up to the last, which leads back to the second. */
static void wider_circles_of_pages_are_noticed(void **state)
{
	struct script *s = *state;
	char pages[4][512];
	unsigned seen = 0;

	PLAY(s, ZONE, pages[0], pages[1], pages[2], pages[3], pages[1], pages[2], pages[3], pages[1], pages[2], pages[3]);
	for (unsigned i = 0; i < 4; i++)
		(void)snprintf(pages[i], sizeof(pages[i]),
			       JSON("{\"items\":[{\"id\":1}],\"pageDetails\":{\"nextPageUrl\":\"%s/ATServicesRest/v1.0/Tickets/query/next?page=%u\"}}"),
			       s->w.base, i == 3 ? 2 : i + 2);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_query(r, "Tickets", ALL, count, &seen, &s->w.err), -EPROTO);
	assert_said(&s->w, "the pages come to no end");
	assert_true(seen < 10);
}

static void empty_pages_come_to_an_end(void **state)
{
	struct script *s = *state;
	char pages[12][512];
	unsigned seen = 0;

	PLAY(s, ZONE, pages[0], pages[1], pages[2], pages[3], pages[4], pages[5], pages[6], pages[7], pages[8], pages[9], pages[10],
	     pages[11]);
	for (unsigned i = 0; i < 12; i++)
		(void)snprintf(pages[i], sizeof(pages[i]),
			       JSON("{\"items\":[],\"pageDetails\":{\"nextPageUrl\":\"%s/ATServicesRest/v1.0/Tickets/query/next?page=%u\"}}"),
			       s->w.base, i + 2);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_query(r, "Tickets", ALL, count, &seen, &s->w.err), -EPROTO);
	assert_said(&s->w, "the pages come to no end");
	played(s, 11);
}

static void pages_that_go_round_are_noticed(void **state)
{
	struct script *s = *state;
	char page[512];
	unsigned seen = 0;

	PLAY(s, ZONE, page, page, page);
	(void)snprintf(page, sizeof(page), JSON("{\"items\":[{\"id\":1}],\"pageDetails\":{\"nextPageUrl\":\"%s/ATServicesRest/v1.0/Tickets/query/next?page=2\"}}"),
		       s->w.base);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(rest_query(r, "Tickets", ALL, count, &seen, &s->w.err), -EPROTO);
	assert_said(&s->w, "the pages come to no end");
	played(s, 3);
	assert_memory_equal(s->requests[2], "GET /ATServicesRest/v1.0/Tickets/query/next?page=2 HTTP", 55);
	assert_non_null(strstr(s->requests[2], "\r\nSecret: " SECRET));
}

static void shapes_that_are_no_query(void **state)
{
	static const struct {
		const char *answer, *words;
	} rows[] = {
		{ JSON("{}"), "has no items" },
		{ JSON("{\"items\":null}"), "has no items" },
		{ JSON("{\"items\":[3]}"), "an item of the answer is no object" },
	};
	struct script *s = *state;
	unsigned seen = 0;

	PLAY(s, ZONE, rows[0].answer, rows[1].answer, rows[2].answer, JSON("{\"item\":3}"), JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(rest_query(r, "Tickets", ALL, count, &seen, &s->w.err), -EPROTO);
		assert_said(&s->w, rows[i].words);
	}
	struct rest_answer keep = REST_ANSWER_INIT;
	struct json_value item;
	assert_int_equal(rest_item(r, "Tickets/1", &keep, &item, &s->w.err), -EPROTO);
	assert_int_equal(rest_item(r, "Tickets/1", &keep, &item, &s->w.err), -EPROTO);
	rest_answer_free(&keep);
	assert_int_equal(seen, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_begin, script_end)
	const struct CMUnitTest tests[] = {
		TEST(the_look_up_has_no_credentials),
		TEST(four_headers_and_the_body_are_sent),
		TEST(credentials_are_one_line),
		TEST(a_missing_secret_is_said),
		TEST(no_core_dump_shows_the_secrets),
		TEST(every_failure_is_one_sentence),
		TEST(the_vendors_words_are_tamed),
		TEST(a_search_is_not_repeated),
		TEST(nobody_listens),
		TEST(no_name_is_found),
		TEST(a_proxy_sees_no_credentials),
		TEST(loopback_needs_no_proxy),
		TEST(a_get_is_repeated_once_when_cut),
		TEST(a_write_is_never_repeated),
		TEST(a_write_has_a_connection_of_its_own),
		TEST(a_busy_autotask_is_waited_for),
		TEST(a_busy_gateway_gets_no_second_write),
		TEST(patience_has_an_end),
		TEST(pages_are_turned_within_the_host_only),
		TEST(pages_that_go_round_are_noticed),
		TEST(wider_circles_of_pages_are_noticed),
		TEST(empty_pages_come_to_an_end),
		TEST(shapes_that_are_no_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
