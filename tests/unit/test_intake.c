/* test_intake.c - every answer, over real sockets with a real journal and store. */
#include "intake_house.h"

#define EXTRA "max-body = \"64K\"\nmax-header = \"4K\"\nkeep-keys = \"3650d\"\n"
#define TICKET(id, more) "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":" #id more "}"
#define VECTOR_A "{\"Action\":\"Create\",\"Guid\":\"11111111-2222-3333-4444-555555555555\",\"EntityType\":\"Ticket\"," \
	"\"Id\":351181,\"Fields\":{\"TicketNumber\":\"T20250915.0001\"},\"EventTime\":\"2025-09-15T14:57:50Z\"," \
	"\"SequenceNumber\":1,\"PersonID\":30691780}"
#define SIGNED_A "X-Hook-Signature: sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=\r\n"        /* with SECRET */
#define SIGNED_E "X-Hook-Signature: sha1=HMToe/FxvIaA37896yo+txgePxY=\r\n"        /* with SECOND */
#define SIGNED_EMPTY "X-Hook-Signature: sha1=iiJwjPDd5wsOderZV15lnc5qhbI=\r\n"
#define PLAIN_B "{\"Action\":\"Update\",\"Guid\":\"11111111-2222-3333-4444-555555555555\",\"EntityType\":\"Account\"," \
	"\"Id\":174,\"Fields\":{\"CompanyName\":\"R\xc3\xa9my & Sons + Co\"},\"EventTime\":\"2025-09-15T15:10:00Z\"," \
	"\"SequenceNumber\":2,\"PersonID\":30691780}"
#define SIGNED_B "X-Hook-Signature: sha1=BF76kT6eJ6GfPqCRqFQzzysR8bw=\r\n"        /* of B's escaped form */

static struct house house;

static int setup(void **state)
{
	(void)state;
	house_open(&house, EXTRA);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	house_close(&house);
	return 0;
}

/* METHOD PATH, these headers, this body with its Content-Length; the status, and the answer in ret. */
static int send_with(const char *start, const char *headers, const char *body, char *ret, size_t cap)
{
	char request[8192];

	(void)snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", start,
		       headers, strlen(body), body);
	return ask(&house, request, strlen(request), ret, cap);
}

static void stored_then_repeated(void **state)
{
	char answer[1024];
	struct event e;

	(void)state;
	assert_int_equal(send_with("POST " HOOK, JSON SIGNED_A, VECTOR_A, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "stored\n"));
	assert_null(strcasestr(answer, "\r\nServer:"));
	assert_int_equal(send_with("POST " HOOK "?x=y", JSON SIGNED_A, VECTOR_A, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "stored before\n"));
	/* The same event signed with the other secret is the same event. */
	assert_int_equal(send_with("POST " HOOK, JSON SIGNED_E, VECTOR_A, NULL, 0), 200);

	assert_int_equal(house_newest(&house), 1);
	e = house_event(&house, 1);
	assert_int_equal(e.kind, EVENT_ORDINARY);
	assert_true(e.verified);
	assert_int_equal(e.signed_by, 1);
	assert_int_equal(e.duplicates, 2);
	assert_string_equal(e.record, "Ticket/351181");
	assert_string_equal(e.webhook, "tickets");
	assert_string_equal(e.client, "127.0.0.1");
	assert_int_equal(e.body_len, strlen(VECTOR_A));
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_STORED], 1);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DUPLICATE], 2);
	assert_true(house_counts(&house, "tickets").last_callout_ms > 0);
	assert_int_equal(atomic_load(&house.stored), 1);
}

static void second_secret_and_escaped_form(void **state)
{
	(void)state;
	assert_int_equal(send_with("POST " HOOK, JSON SIGNED_E, VECTOR_A, NULL, 0), 200);
	assert_int_equal(house_event(&house, 1).signed_by, 2);
	assert_int_equal(send_with("POST " HOOK, JSON SIGNED_B, PLAIN_B, NULL, 0), 200);
	assert_int_equal(house_event(&house, 2).signed_by, 1);
	assert_string_equal(house_event(&house, 2).entity, "Company");
	assert_string_equal(house_event(&house, 2).entity_raw, "Account");
}

/* "Date: ..." apart, an answer must not tell one reason from another. */
static void without_date(char *answer)
{
	char *date = strstr(answer, "\r\nDate:");

	if (date) {
		char *end = strstr(date + 2, "\r\n");

		memmove(date, end, strlen(end) + 1);
	}
}

static void signatures_refused_alike(void **state)
{
	static const char *const headers[] = {
		"", "X-Hook-Signature:\r\n", "X-Hook-Signature: sha1=\r\n",
		"X-Hook-Signature: sha1=AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
		"X-Hook-Signature: d1url/ZAJc8hwpkez5aSoXBL0CI=\r\n",
		"X-Hook-Signature: sha1=775bab97f64025cf21c2991ecf9692a1704bd022\r\n",
		"X-Hook-Signature: sha256=d1url/ZAJc8hwpkez5aSoXBL0CI=\r\n",
		(SIGNED_A SIGNED_A), (SIGNED_A "x-hook-signature: x\r\n"), SIGNED_B,
		"X-Hook-Signature: sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=, sha1=d1url/ZAJc8hwpkez5aSoXBL0CI=\r\n",
	};
	char first[1024], answer[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		char all[512];

		(void)snprintf(all, sizeof(all), JSON "%s", headers[i]);
		assert_int_equal(send_with("POST " HOOK, all, VECTOR_A, answer, sizeof(answer)), 401);
		without_date(answer);
		if (i == 0)
			memcpy(first, answer, sizeof(first));
		assert_string_equal(answer, first);
	}
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_SIGNATURE], ARRAY_LEN(headers));
	assert_int_equal(house_newest(&house), 0);
	assert_int_equal(house_counts(&house, "tickets").last_callout_ms, 0);
}

static void refusals(void **state)
{
	static const struct {
		const char *start, *headers, *body, *says;
		int status;
	} rows[] = {
		{ "POST /", JSON SIGNED_A, VECTOR_A, "not found", 404 },
		{ "POST " HOOK "x", JSON SIGNED_A, VECTOR_A, "not found", 404 },
		{ "POST /%61utotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a", JSON SIGNED_A, VECTOR_A, "not found", 404 },
		{ "POST " HOOK "/", JSON SIGNED_A, VECTOR_A, "not found", 404 },
		{ "GET " HOOK, "", "", "\r\nAllow: POST\r\n", 405 },
		{ "PUT " HOOK, JSON SIGNED_A, VECTOR_A, "\r\nAllow: POST\r\n", 405 },
		{ "DELETE " HOOK, "", "", "\r\nAllow: POST\r\n", 405 },
		{ "OPTIONS " HOOK, "", "", "\r\nAllow: POST\r\n", 405 },
		{ "DELETE " OFF, "", "", "\r\nAllow: POST, PUT, GET\r\n", 405 },
		{ "POST " HOOK, SIGNED_A, VECTOR_A, "Extension Callout", 415 },
		{ "POST " HOOK, "Content-Type: application/x-www-form-urlencoded\r\n", "a=b", "webhook", 415 },
		{ "POST " HOOK, "Content-Type: text/xml\r\n" SIGNED_A, VECTOR_A, "JSON", 415 },
		{ "POST " HOOK, "Content-Type: application/jsonx\r\n" SIGNED_A, VECTOR_A, "JSON", 415 },
		{ "POST " HOOK, "Content-Type: application/json, text/html\r\n" SIGNED_A, VECTOR_A, "JSON", 415 },
		{ "POST " HOOK, "Content-Type: +json\r\n" SIGNED_A, VECTOR_A, "JSON", 415 },
		{ "POST " HOOK, "Content-Type: Application/JSON ; charset=utf-8\r\n" SIGNED_A, VECTOR_A, "stored", 200 },
		{ "POST " HOOK, "Content-Type: text/json\r\n" SIGNED_A, VECTOR_A, "stored before", 200 },
		{ "POST " HOOK, "Content-Type: application/vnd.kaseya+JSON\r\n" SIGNED_A, VECTOR_A, "stored before", 200 },
		{ "POST " HOOK, "content-type: application/json\r\nx-HOOK-signature: SHA1=d1url/ZAJc8hwpkez5aSoXBL0CI=\r\n",
		  VECTOR_A, "stored before", 200 },
	};
	char answer[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status = send_with(rows[i].start, rows[i].headers, rows[i].body, answer, sizeof(answer));

		if (status != rows[i].status || !strstr(answer, rows[i].says))
			fail_msg("row %zu: %d: %s", i, status, answer);
	}
	assert_int_equal(house_counts(&house, "").results[INTAKE_REFUSED], 4);
	assert_int_equal(house_newest(&house), 1);
}

static void not_understood_is_quarantined(void **state)
{
	static const struct {
		const char *body, *why;
	} rows[] = {
		{ "not json", NULL }, { "[]", NULL }, { "{\"Id\":1}", "no Action" }, { "{\"Action\":\"Update\"}", "no Id" },
		{ TICKET(1, "") " x", NULL }, { TICKET(1.5, ""), NULL }, { "", NULL },
		{ TICKET(7, ",\"SequenceNumber\":1,\"EventTime\":\"2001-01-01T00:00:00Z\""), "keep-keys" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct event e;

		assert_int_equal(post(&house, HOOK, "", rows[i].body), 200);
		e = house_event(&house, (int64_t)i + 1);
		assert_int_equal(e.kind, EVENT_QUARANTINED);
		assert_true(e.verified);
		assert_true(strlen(e.reason) > 0);
		if (rows[i].why)
			assert_non_null(strstr(e.reason, rows[i].why));
	}
	assert_int_equal(send_with("POST " HOOK, JSON SIGNED_EMPTY, "", NULL, 0), 200);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_QUARANTINED], ARRAY_LEN(rows));
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DUPLICATE], 1);
	assert_int_equal(atomic_load(&house.stored), 0);
}

static void unknown_words_are_ordinary(void **state)
{
	struct event e;

	(void)state;
	assert_int_equal(post(&house, HOOK, "", "{\"Action\":\"Merge\",\"EntityType\":\"Opportunity\",\"Id\":5}"), 200);
	e = house_event(&house, 1);
	assert_int_equal(e.kind, EVENT_ORDINARY);
	assert_string_equal(e.action, "merge");
	assert_string_equal(e.entity, "Opportunity");
}

static int count_delivery(void *arg, const struct delivery *d)
{
	char *names = arg;

	(void)snprintf(names + strlen(names), 128, "%s", d->handler);
	return 0;
}

/* Names of the handlers that event waits for, in one text. */
static void handlers_of(int64_t event, char names[static 256])
{
	struct reader *r = house_reader(&house);

	names[0] = '\0';
	assert_int_equal(reader_deliveries(r, event, count_delivery, names), 0);
	(void)reader_close(r);
}

static void matching_handlers_get_deliveries(void **state)
{
	char names[256];

	(void)state;
	assert_int_equal(post(&house, HOOK, "", TICKET(1, "")), 200);
	assert_int_equal(post(&house, HOOK, "", "{\"Action\":\"Update\",\"EntityType\":\"Contact\",\"Id\":1}"), 200);
	assert_int_equal(post(&house, HOOK, "", "{\"Action\":\"Deactivated\",\"Guid\":\"g\"}"), 200);
	handlers_of(1, names);
	assert_string_equal(names, "page");
	handlers_of(2, names);
	assert_string_equal(names, "");
	handlers_of(3, names);
	assert_string_equal(names, "off");
	assert_int_equal(house_event(&house, 3).kind, EVENT_DEACTIVATED);
	assert_string_equal(house_event(&house, 3).record, "Webhook/tickets");
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DEACTIVATED], 1);
}

/* ---- bodies ---- */

/* A signed body of exactly len bytes. */
static char *long_body(size_t len)
{
	char *body = malloc(len + 1);

	assert_non_null(body);
	memset(body, ' ', len);
	body[len] = '\0';
	memcpy(body, TICKET(9, ""), strlen(TICKET(9, "")));
	return body;
}

static int post_long(size_t len, const char *headers, bool chunked, char *ret, size_t cap)
{
	char *body = long_body(len), *request = malloc(len + 4096);
	char signature[SIGNATURE_TEXT_LEN];
	int n, status;

	assert_non_null(request);
	sign(SECRET, body, signature);
	n = snprintf(request, 4096, "POST " HOOK " HTTP/1.1\r\nHost: x\r\n" JSON "X-Hook-Signature: %s\r\n%s", signature,
		     headers);
	if (chunked)
		n += snprintf(request + n, len + 2048, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n", len, body);
	else
		n += snprintf(request + n, len + 2048, "Content-Length: %zu\r\n\r\n%s", len, body);
	status = ask(&house, request, (size_t)n, ret, cap);
	free(request);
	free(body);
	return status;
}

static void body_limits(void **state)
{
	char answer[1024];

	(void)state;
	assert_int_equal(post_long(65536, "", false, NULL, 0), 200);
	assert_int_equal(post_long(65537, "", false, answer, sizeof(answer)), 413);
	assert_int_equal(post_long(8 << 20, "", false, NULL, 0), 413);  /* more than is read and forgotten */
	assert_int_equal(post_long(65536, "", true, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "stored before"));
	assert_int_equal(post_long(65537, "", true, NULL, 0), 0);       /* cut */
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_REFUSED], 3);
	assert_int_equal(house_newest(&house), 1);
}

static void expect_continue(void **state)
{
	char request[4096], *body = strdupa(TICKET(1, ""));
	size_t len = callout_request(request, sizeof(request), HOOK, "Expect: 100-continue\r\n", body);
	struct client *c = client_open(&house);

	(void)state;
	assert_true(client_send(c, request, len - strlen(body)));
	UNTIL(&house, (client_step(&house, c, 10), strstr(c->text, "100 Continue")));
	assert_true(client_say(c, body));
	assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	client_close(c);
	/* Refused ahead: no 100, and the body never needs to be sent. */
	c = client_open(&house);
	assert_true(client_say(c, "POST " HOOK " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n"));
	assert_int_equal(client_answer(&house, c, request, sizeof(request)), 413);
	assert_null(strstr(request, "100 Continue"));
	client_gone(&house, c);
	client_close(c);
}

static void header_limit(void **state)
{
	char headers[8192] = "X-Long: ";

	(void)state;
	memset(headers + 8, 'x', 3000);
	memcpy(headers + 3008, "\r\n", 3);
	assert_int_equal(post(&house, HOOK, headers, TICKET(1, "")), 200);
	memset(headers + 8, 'x', 4200);
	memcpy(headers + 4208, "\r\n", 3);
	assert_int_equal(post(&house, HOOK, headers, TICKET(2, "")), 431);
	assert_int_equal(house_newest(&house), 1);
}

static void connections_are_kept_and_requests_may_queue(void **state)
{
	char request[4096];
	struct client *c = client_open(&house);

	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(3, ""));

		assert_true(client_send(c, request, len));
		assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	}
	for (int i = 0; i < 3; i++)
		(void)client_send(c, request, callout_request(request, sizeof(request), HOOK, "", TICKET(4, "")));
	for (int i = 0; i < 3; i++)
		assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	client_close(c);
	assert_int_equal(house_newest(&house), 2);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DUPLICATE], 4);
}

/* ---- where a request ends ---- */

/* top, then shape, then a signed request that must not be executed. Statuses of all answers in *ret. */
static void smuggle(const char *shape, size_t len, char *ret, size_t cap)
{
	static const char top[] = "POST " HOOK " HTTP/1.1\r\n" JSON;
	char request[8192];
	struct client *c = client_open(&house);
	size_t n = sizeof(top) - 1;

	memcpy(request, top, n);
	memcpy(request + n, shape, len);
	n += len;
	n += callout_request(request + n, sizeof(request) - n, HOOK, "", TICKET(66, ""));
	(void)client_send(c, request, n);
	client_gone(&house, c);
	(void)snprintf(ret, cap, "%s", c->text);
	client_close(c);
}

static void ambiguous_ends(void **state)
{
	static const struct {
		const char *shape;
		size_t len;
		int status;             /* of the only answer */
	} rows[] = {
#define HOST "Host: x\r\n"
#define ROW(text, status) { text, sizeof(text) - 1, status }
		ROW(HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400),
		ROW(HOST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
		ROW(HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
		ROW(HOST "Content-Length : 0\r\n\r\n", 400),
		ROW(HOST "Content-Length: +0\r\n\r\n", 400),
		ROW(HOST "Content-Length: -1\r\n\r\n", 400),
		ROW(HOST "Content-Length: 0x0\r\n\r\n", 400),
		ROW(HOST "Content-Length: 0, 0\r\n\r\n", 400),
		ROW(HOST "Content-Length:\r\n\r\n", 400),
		ROW(HOST "Content-Length: 99999999999999999999999\r\n\r\n", 400),
		ROW(HOST "Content-Length: 18446744073709551615\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding: identity\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", 400),
		ROW(HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
		ROW(HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
		ROW(HOST "X\0Y: z\r\n\r\n", 400),
		ROW(HOST "X Y: z\r\nContent-Length: 0\r\n\r\n", 400),
		ROW(HOST "X: \x01\r\nContent-Length: 0\r\n\r\n", 400),
		ROW(HOST HOST "Content-Length: 0\r\n\r\n", 400),
		ROW("Content-Length: 0\r\n\r\n", 400),
		/* What libmicrohttpd takes silently: the first is refused for its signature, and nothing follows. */
		ROW(HOST "X: a\nContent-Length: 0\n\n", 401),
		ROW(HOST "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 401),
		ROW(HOST "X: z\0Content-Length: 5\r\n\r\n", 401),
		ROW(HOST "Transfer-Encoding: chunked\r\n\r\n0;x\nFoo: bar\r\n\r\n", 401),
		ROW(HOST "Transfer-Encoding: chunked\r\n\r\n00000000000000000000001\r\nx\r\n0\r\n\r\n", 401),
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char answers[4096];
		int status;

		smuggle(rows[i].shape, rows[i].len, answers, sizeof(answers));
		status = status_of(answers);
		if (status != rows[i].status || strstr(answers + 1, "HTTP/1.") ||
		    !strcasestr(answers, "\r\nConnection: close\r\n"))
			fail_msg("row %zu (%s): %s", i, rows[i].shape, answers);
	}
	assert_int_equal(house_newest(&house), 0);
	/* And the house stands. */
	assert_int_equal(post(&house, HOOK, "", TICKET(1, "")), 200);
}

/* ---- deactivation ---- */

static void notice_is_kept_whole(void **state)
{
	AUTO(free) char *headers = NULL;
	AUTO(free) void *body = NULL;
	struct reader *r;
	struct event e;
	size_t len = 0;

	(void)state;
	assert_int_equal(send_with("POST " OFF "?why=x", "Content-Type: text/weird\r\nX-Note: kept\r\n" SIGNED_A, "any\x01thing",
				   NULL, 0), 200);
	e = house_event(&house, 1);
	assert_int_equal(e.kind, EVENT_DEACTIVATED);
	assert_false(e.verified);
	assert_string_equal(e.action, "deactivated");
	assert_string_equal(e.record, "Webhook/tickets");

	r = house_reader(&house);
	assert_int_equal(reader_body(r, 1, &body, &len, &headers), 0);
	(void)reader_close(r);
	assert_int_equal(len, strlen("any\x01thing"));
	assert_memory_equal(body, "any\x01thing", len);
	assert_non_null(strstr(headers, ":method: POST\n:query: why=x\n"));
	assert_non_null(strstr(headers, "X-Note: kept\n"));
	assert_non_null(strstr(headers, "Content-Type: text/weird\n"));
	assert_null(strstr(headers, "d1url"));
	assert_int_equal(atomic_load(&house.stored), 1);
	/* A stranger's notice must not hide that callouts stay away. */
	assert_int_equal(house_counts(&house, "tickets").last_callout_ms, 0);
}

static void notices_of_strangers_coalesce(void **state)
{
	static const char *const starts[] = { "POST " OFF, "PUT " OFF, "GET " OFF };

	(void)state;
	for (int i = 0; i < 30; i++)
		assert_int_equal(send_with(starts[i % 3], "", i % 3 == 2 ? "" : "x", NULL, 0), 200);
	assert_int_equal(house_newest(&house), 1);
	assert_int_equal(atomic_load(&house.deactivated), 1);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DEACTIVATED], 1);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_DUPLICATE], 29);
}

/* Many at once, all of one group: one is written, the others rely on it. */
static void notices_at_once_coalesce(void **state)
{
	struct client *clients[20];

	(void)state;
	house_hold(&house);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = client_open(&house);
		assert_true(client_say(clients[i], "GET " OFF " HTTP/1.1\r\nHost: x\r\n\r\n"));
	}
	UNTIL(&house, house_status(&house).in_flight == ARRAY_LEN(clients));
	assert_int_equal(sem_post(&house.release), 0);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		assert_int_equal(client_answer(&house, clients[i], NULL, 0), 200);
		client_close(clients[i]);
	}
	assert_int_equal(house_newest(&house), 1);
}

static void signed_notices_are_each_kept(void **state)
{
	(void)state;
	assert_int_equal(send_with("GET " OFF, "", "", NULL, 0), 200);
	assert_int_equal(post(&house, OFF, "", "{\"Action\":\"Deactivated\",\"Guid\":\"g\",\"n\":1}"), 200);
	assert_int_equal(post(&house, OFF, "", "{\"Action\":\"Deactivated\",\"Guid\":\"g\",\"n\":2}"), 200);
	assert_int_equal(post(&house, HOOK, "", "{\"Action\":\"Deactivated\",\"Guid\":\"g\",\"n\":3}"), 200);
	assert_int_equal(house_newest(&house), 4);
	assert_int_equal(atomic_load(&house.deactivated), 4);
	for (int64_t id = 2; id <= 4; id++) {
		assert_int_equal(house_event(&house, id).kind, EVENT_DEACTIVATED);
		assert_true(house_event(&house, id).verified);
	}
	/* An ordinary callout at that path is a notice all the same. */
	assert_int_equal(post(&house, OFF, "", TICKET(5, "")), 200);
	assert_int_equal(house_event(&house, 5).kind, EVENT_DEACTIVATED);
	assert_string_equal(house_event(&house, 5).record, "Webhook/tickets");
}

static void strangers_cannot_name_a_record(void **state)
{
	struct event e;

	(void)state;
	assert_int_equal(send_with("POST " OFF, JSON, TICKET(5, ",\"PersonID\":7,\"Guid\":\"g\""), NULL, 0), 200);
	e = house_event(&house, 1);
	assert_string_equal(e.entity, "");
	assert_string_equal(e.guid, "g");
	assert_false(e.has_id);
	assert_false(e.has_person);
	assert_string_equal(e.record, "Webhook/tickets");
}

/* ---- Guids ---- */

static void enlist(const char *guid)
{
	struct registration n = { .webhook = "tickets", .id = 12 };

	(void)snprintf(n.guid, sizeof(n.guid), "%s", guid);
	assert_int_equal(intake_register(house.intake, &n), 0);
}

static uint64_t strangers(void)
{
	return house_counts(&house, "tickets").strangers;
}

static void other_guids_are_accepted_and_counted(void **state)
{
	const struct registration nobody = { .webhook = "nobody" };

	(void)state;
	assert_int_equal(intake_register(house.intake, &nobody), -ENOENT);
	assert_int_equal(post(&house, HOOK, "", TICKET(1, ",\"Guid\":\"b\"")), 200);
	assert_int_equal(strangers(), 0);
	enlist("{A-1}");
	assert_string_equal(house_counts(&house, "tickets").registered.guid, "{A-1}");
	assert_int_equal(house_counts(&house, "tickets").registered.id, 12);
	assert_int_equal(post(&house, HOOK, "", TICKET(2, ",\"Guid\":\"a1\"")), 200);
	assert_int_equal(post(&house, HOOK, "", TICKET(3, "")), 200);
	assert_int_equal(strangers(), 0);
	assert_int_equal(post(&house, HOOK, "", TICKET(4, ",\"Guid\":\"b\"")), 200);
	assert_int_equal(post(&house, OFF, "", "{\"Action\":\"Deactivated\",\"Guid\":\"b\"}"), 200);
	assert_int_equal(strangers(), 2);
	/* Refused, or a stranger's: not compared. */
	assert_int_equal(send_with("POST " HOOK, JSON, TICKET(5, ",\"Guid\":\"b\""), NULL, 0), 401);
	assert_int_equal(send_with("POST " OFF, JSON, TICKET(5, ",\"Guid\":\"b\""), NULL, 0), 200);
	assert_int_equal(strangers(), 2);
	enlist("B");
	assert_int_equal(post(&house, HOOK, "", TICKET(6, ",\"Guid\":\"b\"")), 200);
	assert_int_equal(strangers(), 2);
	enlist("");
	assert_int_equal(post(&house, HOOK, "", TICKET(7, ",\"Guid\":\"c\"")), 200);
	assert_int_equal(strangers(), 2);
	assert_int_equal(house_newest(&house), 8);
}

static void *enlist_often(void *arg)
{
	atomic_bool *end = arg;

	while (!atomic_load(end)) {
		enlist("a");
		enlist("b");
	}
	return NULL;
}

/* Registered anew while callouts come in: for the race detector. */
static void registered_at_any_time(void **state)
{
	atomic_bool end = false;
	pthread_t thread;
	char body[256];

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, enlist_often, &end), 0);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(body, sizeof(body), "{\"Action\":\"Update\",\"Id\":%d,\"Guid\":\"c\"}", i);
		assert_int_equal(post(&house, HOOK, "", body), 200);
		assert_int_equal(house_counts(&house, "tickets").registered.id % 12, 0);
	}
	atomic_store(&end, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_in_range(strangers(), 1, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		EACH(stored_then_repeated),
		EACH(second_secret_and_escaped_form),
		EACH(signatures_refused_alike),
		EACH(refusals),
		EACH(not_understood_is_quarantined),
		EACH(unknown_words_are_ordinary),
		EACH(matching_handlers_get_deliveries),
		EACH(body_limits),
		EACH(expect_continue),
		EACH(header_limit),
		EACH(connections_are_kept_and_requests_may_queue),
		EACH(ambiguous_ends),
		EACH(notice_is_kept_whole),
		EACH(notices_of_strangers_coalesce),
		EACH(notices_at_once_coalesce),
		EACH(signed_notices_are_each_kept),
		EACH(strangers_cannot_name_a_record),
		EACH(other_guids_are_accepted_and_counted),
		EACH(registered_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
