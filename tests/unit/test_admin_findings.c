/* test_admin_findings.c - guard's report: read whole, bounded, and what is wrong in it named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/findings.h"
#include "base/buf.h"

#define TOP "\"ended\":\"2026-01-02T03:04:05.678Z\",\"ok\":true"

static struct findings *read_good(const char *text)
{
	struct findings *f = NULL;
	struct error err = { "" };

	if (findings_read(text, strlen(text), &f, &err) < 0)
		fail_msg("%s", err.text);
	return f;
}

static void whole(void **state)
{
	AUTO(findings) struct findings *f = read_good(
		"{" TOP ",\"findings\":[{\"level\":\"error\",\"text\":\"a\\u0001\",\"webhook\":\"w\"},"
		"{\"text\":\"\",\"level\":\"info\",\"webhook\":null}],"
		"\"webhooks\":[{\"webhook\":\"w\",\"active\":true,\"ready\":false,\"failures\":9007199254740993},"
		"{\"webhook\":\"v\",\"active\":false,\"ready\":true}]}");

	(void)state;
	assert_int_equal(f->ended_ms, 1767323045678);
	assert_true(f->ok);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->items[0].level, FINDING_ERROR);
	assert_string_equal(f->items[0].text, "a\x01");
	assert_string_equal(f->items[0].webhook, "w");
	assert_string_equal(f->items[1].webhook, "");
	assert_int_equal(f->webhook_count, 2);
	assert_int_equal(findings_webhook(f, "w")->failures, 9007199254740993);
	assert_true(findings_webhook(f, "w")->active && !findings_webhook(f, "w")->ready);
	assert_false(findings_webhook(f, "v")->has_failures);
	assert_null(findings_webhook(f, "u"));
	(void)findings_free(NULL);
}

static void refused(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "", "not JSON" },
		{ "[]", "object" },
		{ "{\"ok\":true}", "\"ended\" is missing" },
		{ "{\"ended\":\"2026-01-02T03:04:05Z\"}", "\"ok\" is missing" },
		{ "{" TOP ",\"ended\":\"2026-01-02T03:04:05Z\"}", "\"ended\" is given twice" },
		{ "{\"ended\":5,\"ok\":true}", "ended: must be a text" },
		{ "{\"ended\":\"now\",\"ok\":true}", "ended: must be a moment" },
		{ "{\"ended\":\"2026-01-02T03:04:05Z\",\"ok\":\"true\"}", "ok: must be true or false" },
		{ "{" TOP ",\"more\":1}", "\"more\" is not known" },
		{ "{" TOP ",\"findings\":null}", "findings: must be an array" },
		{ "{" TOP ",\"findings\":[1]}", "findings: number 1: must be an object" },
		{ "{" TOP ",\"findings\":[{\"level\":\"info\"}]}", "\"text\" is missing" },
		{ "{" TOP ",\"findings\":[{\"level\":\"Info\",\"text\":\"x\"}]}", "level: must be info" },
		{ "{" TOP ",\"findings\":[{\"level\":null,\"text\":\"x\"}]}", "level: must be info" },
		{ "{" TOP ",\"findings\":[{\"level\":\"info\",\"text\":\"x\\u0000y\"}]}", "text: holds a NUL" },
		{ "{" TOP ",\"findings\":[{\"level\":\"info\",\"text\":\"x\",\"webhook\":\"\"}]}", "1 to 64 bytes" },
		{ "{" TOP ",\"webhooks\":[{\"webhook\":\"w\",\"active\":true}]}", "\"ready\" is missing" },
		{ "{" TOP ",\"webhooks\":[{\"webhook\":\"w\",\"active\":true,\"ready\":true,\"failures\":-1}]}", "from 0" },
		{ "{" TOP ",\"webhooks\":[{\"webhook\":\"w\",\"active\":true,\"ready\":true,\"failures\":\"1\"}]}", "from 0" },
		{ "{" TOP ",\"webhooks\":[{\"webhook\":\"w\",\"active\":true,\"ready\":true},"
		  "{\"webhook\":\"w\",\"active\":true,\"ready\":true}]}", "webhooks: number 2: w is given twice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct findings *f = NULL;
		struct error err = { "" };

		assert_int_equal(findings_read(cases[i].text, strlen(cases[i].text), &f, &err), -EINVAL);
		assert_null(f);
		if (!strstr(err.text, cases[i].word))
			fail_msg("row %zu: %s", i, err.text);
	}
}

/* Texts are cut between characters; what is beyond the bound is counted, and not looked at. */
static void bounded(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(FINDINGS_BODY_MAX);
	AUTO(findings) struct findings *f = NULL;

	(void)state;
	assert_int_equal(buf_append_text(&b, "{" TOP ",\"findings\":[{\"level\":\"info\",\"text\":\"x"), 0);
	for (int i = 0; i < 600; i++)
		assert_int_equal(buf_append_text(&b, "\xc3\xa9"), 0);
	assert_int_equal(buf_append_text(&b, "\"}"), 0);
	for (int i = 0; i < FINDINGS_MAX + 4; i++)
		assert_int_equal(buf_append_text(&b, ",{\"level\":\"warning\",\"text\":\"y\"}"), 0);
	assert_int_equal(buf_append_text(&b, "]}"), 0);
	f = read_good(b.data);
	assert_int_equal(f->count, FINDINGS_MAX);
	assert_int_equal(f->left_out, 5);
	assert_int_equal(strlen(f->items[0].text), FINDINGS_TEXT_MAX - 1);
	assert_string_equal(f->items[FINDINGS_MAX - 1].text, "y");
}

static void too_many_webhooks(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(FINDINGS_BODY_MAX);
	struct findings *f = NULL;
	struct error err = { "" };

	(void)state;
	assert_int_equal(buf_append_text(&b, "{" TOP ",\"webhooks\":["), 0);
	for (int i = 0; i <= CONF_WEBHOOKS_MAX; i++)
		assert_int_equal(buf_printf(&b, "%s{\"webhook\":\"w%d\",\"active\":true,\"ready\":true}",
					    i ? "," : "", i), 0);
	assert_int_equal(buf_append_text(&b, "]}"), 0);
	assert_int_equal(findings_read(b.data, b.len, &f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "more than 256"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounded),
		cmocka_unit_test(too_many_webhooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
