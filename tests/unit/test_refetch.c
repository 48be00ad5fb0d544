/* test_refetch.c - update events made of records, and the table of what was received. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "autotask/refetch.h"
#include "base/auto.h"
#include "callout/callout.h"

static char status[] = "Status", title[] = "Title", number[] = "TicketNumber", odd[] = "Site \"Größe\"", severity[] = "Severity";
static char *fields[] = { status, title, NULL }, *shown[] = { number, title, NULL }, *udf[] = { odd, NULL };
static char *shown_udf[] = { severity, NULL };
static const struct conf_subscribe subscribe = { .fields = { fields, 2 }, .display_fields = { shown, 2 }, .udf_fields = { udf, 1 },
						 .display_udf_fields = { shown_udf, 1 } };

static struct json_value parsed(const char *text)
{
	struct json_value root;

	assert_int_equal(json_read(text, strlen(text), JSON_DEPTH_MAX, &root, NULL), 0);
	return root;
}

static void body_is(const char *record, const char *body)
{
	AUTO(buf) struct buf text = BUF_INIT(REFETCH_BODY_MAX);
	const struct json_value v = parsed(record);
	struct error err = { "" };

	assert_int_equal(refetch_body(kind_find("Ticket"), &subscribe, "g", &v, &text, &err), 0);
	assert_string_equal(text.data, body);
	assert_int_equal(text.len, strlen(body));
}

static void bodies(void **state)
{
	(void)state;
	body_is("{\"id\":9007199254740993,\"status\":5,\"title\":\"R\\u00e9my \\u0026 \\\"S\\\"\",\"ticketNumber\":null,\"queueID\":8,"
		"\"lastTrackedModificationDateTime\":\"2025-09-15T14:57:50.12Z\","
		"\"userDefinedFields\":[{\"name\":\"severity\",\"value\":\"high\"},{\"name\":\"Site \\\"Gr\\u00f6\\u00dfe\\\"\",\"value\":1.50}]}",
		"{\"Action\":\"Update\",\"Guid\":\"g\",\"EntityType\":\"Ticket\",\"Id\":9007199254740993,\"Fields\":{\"Status\":5,\"Title\":"
		"\"Rémy & \\\"S\\\"\",\"TicketNumber\":null,\"Site \\\"Größe\\\"\":1.50,\"Severity\":\"high\"},"
		"\"EventTime\":\"2025-09-15T14:57:50.120Z\"}");
	/* What the record does not have is left out; names in any case. */
	body_is("{\"ID\":1,\"STATUS\":\"5\"}", "{\"Action\":\"Update\",\"Guid\":\"g\",\"EntityType\":\"Ticket\",\"Id\":1,\"Fields\":{\"Status\":\"5\"}}");
	body_is("{\"id\":1,\"userDefinedFields\":null,\"lastTrackedModificationDateTime\":null}",
		"{\"Action\":\"Update\",\"Guid\":\"g\",\"EntityType\":\"Ticket\",\"Id\":1,\"Fields\":{}}");
}

static void labels(void **state)
{
	static char label[] = "Ticket Number", other[] = "Queue", *list[] = { label, other, NULL };
	static const struct conf_subscribe labelled = { .fields = { list, 2 } };
	AUTO(buf) struct buf text = BUF_INIT(REFETCH_BODY_MAX);
	const struct json_value v = parsed("{\"id\":1,\"ticketNumb\":0,\"ticketNumber\":\"T1\",\"queueID\":8}");

	(void)state;
	assert_int_equal(refetch_body(kind_find("Ticket"), &labelled, "g", &v, &text, NULL), 0);
	assert_string_equal(text.data, "{\"Action\":\"Update\",\"Guid\":\"g\",\"EntityType\":\"Ticket\",\"Id\":1,\"Fields\":{\"TicketNumber\":\"T1\"}}");
}

static void as_a_callout(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(REFETCH_BODY_MAX);
	const struct json_value v = parsed("{\"id\":174,\"lastTrackedModifiedDateTime\":\"2025-09-15T14:57:50Z\"}");
	struct callout c;
	const char *why;

	(void)state;
	assert_int_equal(refetch_body(kind_find("Account"), &subscribe, "G", &v, &text, NULL), 0);
	assert_int_equal(callout_parse(text.data, text.len, &c, &why), 0);
	assert_string_equal(c.action, "update");
	assert_string_equal(c.entity, "Company");
	assert_string_equal(c.entity_raw, "Account");
	assert_true(c.has_time && !c.has_sequence && !c.has_person && !c.partial);
}

static void refusals(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(REFETCH_BODY_MAX);
	const struct json_value v = parsed("{\"status\":5}");
	AUTO(free) char *large = malloc(2 * REFETCH_BODY_MAX);
	struct json_value record;
	struct error err = { "" };

	(void)state;
	assert_int_equal(refetch_body(kind_find("Ticket"), &subscribe, "g", &v, &text, &err), -EPROTO);
	assert_string_equal(err.text, "one of the Tickets has no id");
	assert_non_null(large);
	memset(large, 'x', 2 * REFETCH_BODY_MAX);
	memcpy(large, "{\"id\":1,\"title\":\"", 17);
	memcpy(large + 2 * REFETCH_BODY_MAX - 3, "\"}", 3);
	record = parsed(large);
	assert_int_equal(refetch_body(kind_find("Ticket"), &subscribe, "g", &record, &text, &err), -EFBIG);
}

static void filters(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(4096);

	(void)state;
	assert_int_equal(refetch_filter(kind_find("Contact"), 1757948270123, &text), 0);
	assert_string_equal(text.data, "[{\"op\":\"gte\",\"field\":\"lastModifiedDate\",\"value\":\"2025-09-15T14:57:50.123Z\"}]");
}

static void moments(void **state)
{
	AUTO(moments) struct moments m = { .slots = NULL };

	(void)state;
	assert_int_equal(moments_get(&m, 1), 0);
	for (int64_t id = 1; id <= 100000; id++) {
		assert_int_equal(moments_put(&m, id, 1000 + id), 0);
		assert_int_equal(moments_put(&m, -id, 5), 0);
	}
	assert_int_equal(moments_put(&m, 7, 6), 0);
	assert_int_equal(moments_put(&m, 8, 999999), 0);
	assert_int_equal(moments_put(&m, 200000, 0), 0);
	for (int64_t id = 1; id <= 100000; id++)
		assert_true(moments_get(&m, id) == (id == 8 ? 999999 : 1000 + id) && moments_get(&m, -id) == 5);
	assert_int_equal(moments_get(&m, 200000), 0);
	assert_int_equal(m.count, 200000);
	assert_true(m.cap <= 524288);
}

static void covered(void **state)
{
	static const struct {
		int64_t received_ms, modified_ms;
		bool covered;
	} rows[] = {
		{ 0, 1, false }, { 50000, 50000, true }, { 50000, 50999, true }, { 50000, 51000, false }, { 51000, 50000, true },
		{ 50500, 50501, false }, { 50500, 50500, true }, { 50500, 50499, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(moments) struct moments m = { .slots = NULL };

		assert_int_equal(moments_put(&m, 3, rows[i].received_ms), 0);
		assert_int_equal(moments_cover(&m, 3, rows[i].modified_ms), rows[i].covered);
		assert_false(moments_cover(&m, 4, rows[i].modified_ms));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(labels), cmocka_unit_test(as_a_callout), cmocka_unit_test(refusals),
		cmocka_unit_test(filters), cmocka_unit_test(moments), cmocka_unit_test(covered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
