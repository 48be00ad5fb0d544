/* test_errorlog.c - rows of Autotask's error log: whose, in which order, and what a cut payload still says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "autotask/errorlog.h"
#include "callout/callout.h"

#define GUID "11111111-2222-3333-4444-555555555555"
#define PAYLOAD(guid, id) "{\\\"Action\\\":\\\"Update\\\",\\\"Guid\\\":\\\"" guid "\\\",\\\"EntityType\\\":\\\"Ticket\\\",\\\"Id\\\":" id ",\\\"SequenceNumber\\\":77}"

static const struct our_webhook *ours(size_t *ret_count)
{
	static struct our_webhook list[3];

	list[0] = (struct our_webhook){ kind_find("Company"), 4, "c-guid", 0 };
	list[1] = (struct our_webhook){ kind_find("Contact"), 4, "k-guid", 1 };
	list[2] = (struct our_webhook){ kind_find("Ticket"), 4, GUID, 2 };
	*ret_count = 3;
	return list;
}

static struct json_value parsed(const char *text)
{
	struct json_value root;

	assert_int_equal(json_read(text, strlen(text), JSON_DEPTH_MAX, &root, NULL), 0);
	return root;
}

static void whose(void **state)
{
	static const struct {
		const char *row, *guid;
		int webhook;            /* -1: nobody's */
	} rows[] = {
		{ "{\"accountWebhookID\":4,\"contactWebhookID\":null}", "", 0 },
		{ "{\"accountWebhookID\":null,\"contactWebhookID\":4}", "", 1 },
		{ "{\"AccountWebhookID\":4}", "", 0 },
		{ "{\"accountWebhookID\":5}", "", -1 },
		{ "{\"accountWebhookID\":null}", GUID, 2 },
		{ "{\"accountWebhookID\":null}", "K-GUID", 1 },
		{ "{\"accountWebhookID\":4}", GUID, 0 },
		{ "{}", "22222222-2222-3333-4444-555555555555", -1 },
		{ "{}", "", -1 },
	};
	size_t count;
	const struct our_webhook *list = ours(&count);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct json_value row = parsed(rows[i].row);
		const struct our_webhook *w = error_row_whose(list, count, &row, rows[i].guid);

		assert_int_equal(w ? (int)w->webhook : -1, rows[i].webhook);
	}
}

static void add(struct error_log *log, const char *text, int result)
{
	const struct json_value row = parsed(text);
	struct error err = { "" };

	assert_int_equal(error_log_add(log, &row, &err), result);
	assert_true((result == 0) == !*err.text);
}

static void payload_is(const struct error_log *log, size_t row, const char *text)
{
	AUTO(buf) struct buf payload = BUF_INIT(ERROR_LOG_PAYLOAD_MAX);

	assert_int_equal(error_log_payload(log, &log->rows[row], &payload, NULL), 0);
	assert_string_equal(payload.data ? payload.data : "", text);
	assert_int_equal(payload.len, strlen(text));
}

static void rows_in_order(void **state)
{
	AUTO(error_log) struct error_log log = ERROR_LOG_INIT;

	(void)state;
	log.ours = ours(&log.our_count);
	add(&log, "{\"id\":9007199254740993,\"sequenceNumber\":30,\"contactWebhookID\":4,\"payload\":\"c\",\"createDateTime\":\"2025-09-15T14:57:50.5Z\"}", 0);
	add(&log, "{\"id\":2,\"sequenceNumber\":10,\"accountWebhookID\":4,\"payload\":\"a\"}", 0);
	add(&log, "{\"id\":3,\"sequenceNumber\":null,\"payload\":\"" PAYLOAD(GUID, "5") "\"}", 0);
	add(&log, "{\"id\":1,\"sequenceNumber\":30,\"contactWebhookID\":4,\"payload\":\"b\"}", 0);
	add(&log, "{\"id\":7,\"sequenceNumber\":1,\"payload\":\"" PAYLOAD("other", "5") "\"}", 0);
	add(&log, "{\"id\":8,\"sequenceNumber\":2,\"accountWebhookID\":4}", 0);
	add(&log, "{\"sequenceNumber\":2,\"accountWebhookID\":4,\"payload\":\"x\"}", -EPROTO);
	error_log_sort(&log);
	assert_int_equal(log.count, 5);
	assert_int_equal(log.nobodys, 1);
	assert_true(log.highest_id == INT64_C(9007199254740993));
	assert_int_equal(log.rows[0].id, 8);
	payload_is(&log, 0, "");
	payload_is(&log, 1, "a");
	payload_is(&log, 2, "b");
	payload_is(&log, 3, "c");
	assert_int_equal(log.rows[3].created_ms % 1000, 500);
	assert_true(log.rows[0].cut && log.rows[1].cut);
	assert_int_equal(log.rows[4].sequence, 77);
	assert_false(log.rows[4].cut);
	assert_int_equal(log.rows[4].webhook, 2);
}

/* 100,000 rows of 8,000 characters: what is in memory are rows, not payloads. */
static void many_rows(void **state)
{
	AUTO(error_log) struct error_log log = ERROR_LOG_INIT;
	AUTO(free) char *row = malloc(9000);
	char *payload;

	(void)state;
	assert_non_null(row);
	log.ours = ours(&log.our_count);
	for (int i = 1; i <= 20000; i++) {
		int n = snprintf(row, 9000, "{\"id\":%d,\"sequenceNumber\":%d,\"accountWebhookID\":4,\"payload\":\"", i, 20001 - i);

		payload = row + n;
		memset(payload, 'a' + i % 26, 8000);
		(void)snprintf(payload + 8000, 16, "\"}");
		add(&log, row, 0);
	}
	error_log_sort(&log);
	assert_int_equal(log.count, 20000);
	assert_int_equal(log.rows[0].id, 20000);
	assert_true(log.size == 20000LL * 8000);
	assert_true(log.cap * sizeof(*log.rows) < 4UL * 1024 * 1024);

	AUTO(buf) struct buf text = BUF_INIT(ERROR_LOG_PAYLOAD_MAX);

	assert_int_equal(error_log_payload(&log, &log.rows[0], &text, NULL), 0);
	assert_int_equal(text.data[0], 'a' + 20000 % 26);
	assert_int_equal(text.len, 8000);
}

static void no_place(void **state)
{
	AUTO(error_log) struct error_log log = ERROR_LOG_INIT;

	(void)state;
	log.ours = ours(&log.our_count);
	assert_int_equal(setenv("TMPDIR", "/nowhere/at/all", 1), 0);
	add(&log, "{\"id\":1,\"accountWebhookID\":4,\"payload\":\"x\"}", -ENOENT);
	assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_int_equal(log.count, 0);
}

/* Cut anywhere: never more than what came, never something else than what was meant. */
static void cut_anywhere(void **state)
{
	static const char whole[] = "{\"Action\":\"Update\",\"Guid\":\"" GUID "\",\"EntityType\":\"Ticket\",\"Id\":351181,\"Fields\":{\"Title\":"
				    "\"a,\\u0022}{[\\\\\\\",\\\"Id\\\":9\",\"List\":[1,{\"Id\":2},3]},\"EventTime\":\"2025-09-15T14:57:50Z\",\"SequenceNumber\":3}";
	AUTO(buf) struct buf mended = BUF_INIT(4096);
	struct callout c;
	const char *why;
	bool had_id = false;

	(void)state;
	for (size_t len = 0; len < strlen(whole); len++) {
		int r = cut_payload_mend(whole, len, &mended);

		assert_true(r == 0 || r == -EBADMSG);
		if (r < 0)
			continue;
		(void)callout_parse(mended.data, mended.len, &c, &why);
		assert_string_equal(c.action, "update");
		assert_true(!c.has_id || c.id == 351181);
		assert_false(had_id && !c.has_id);
		assert_true(!*c.guid || strcmp(c.guid, GUID) == 0);
		had_id = c.has_id;
	}
	assert_true(had_id);
}

static void cut_oddly(void **state)
{
	static const struct {
		const char *text, *mended;      /* NULL: nothing came whole */
	} rows[] = {
		{ "", NULL }, { "{", NULL }, { "{\"Id\":1", NULL }, { "x,", NULL }, { "[1,2,", NULL }, { "{\"a\":1,,", NULL },
		{ "{\"Id\":1,", "{\"Id\":1}" }, { "{\"Id\":1,\"F\":{\"a\":1,\"b", "{\"Id\":1}" }, { "{\"Id\":12,\"S\":\"x\\", "{\"Id\":12}" },
		{ "{\"Id\":1}},", NULL },
	};
	AUTO(buf) struct buf mended = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = cut_payload_mend(rows[i].text, strlen(rows[i].text), &mended);

		assert_int_equal(r, rows[i].mended ? 0 : -EBADMSG);
		if (r == 0)
			assert_string_equal(mended.data, rows[i].mended);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose), cmocka_unit_test(rows_in_order), cmocka_unit_test(many_rows),
		cmocka_unit_test(no_place), cmocka_unit_test(cut_anywhere), cmocka_unit_test(cut_oddly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
