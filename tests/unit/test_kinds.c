/* test_kinds.c - the table of kinds: found by every name, complete, in one pattern. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "autotask/kinds.h"
#include "callout/entity.h"

static void found_by_every_name(void **state)
{
	static const char *const rows[][2] = {
		{ "company", "Company" }, { "ACCOUNTS", "Company" }, { "Contact", "Contact" }, { "asset", "ConfigurationItem" },
		{ "InstalledProduct", "ConfigurationItem" }, { "tickets", "Ticket" }, { "TicketNote", "TicketNote" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_non_null(kind_find(rows[i][0]));
		assert_string_equal(kind_find(rows[i][0])->entity, rows[i][1]);
	}
	assert_null(kind_find("Project"));
	assert_null(kind_find(""));
}

/* Every entity that we know has webhooks, and the names follow the vendor's pattern. */
static void every_row_is_complete(void **state)
{
	char name[100];
	size_t n = 0;

	(void)state;
	for (const char *const *e = entity_names(); *e; e++, n++)
		assert_non_null(kind_find(*e));
	assert_int_equal(n, kind_count);
	for (const struct kind *k = kinds; k < kinds + kind_count; k++) {
		assert_string_equal(kind_find(k->wire)->entity, k->entity);
		assert_string_equal(kind_find(k->records)->entity, k->entity);
		(void)snprintf(name, sizeof(name), "%sWebhooks", k->entity);
		assert_string_equal(k->webhooks, name);
		(void)snprintf(name, sizeof(name), "%sWebhookFields", k->entity);
		assert_string_equal(k->webhook_fields, name);
		(void)snprintf(name, sizeof(name), "%sWebhookUdfFields", k->entity);
		if (k->webhook_udf_fields)
			assert_string_equal(k->webhook_udf_fields, name);
		assert_non_null(k->modified);
	}
	assert_null(kind_find("TicketNote")->webhook_udf_fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_every_name),
		cmocka_unit_test(every_row_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
