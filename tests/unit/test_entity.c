/* test_entity.c - both vocabularies, singular and plural, in any case. */
#include <ctype.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "callout/entity.h"

static const struct {
	const char *name, *canonical;   /* NULL: unknown */
} rows[] = {
	{ "Company", "Company" }, { "Companies", "Company" }, { "Account", "Company" }, { "Accounts", "Company" },
	{ "Contact", "Contact" }, { "Contacts", "Contact" },
	{ "ConfigurationItem", "ConfigurationItem" }, { "ConfigurationItems", "ConfigurationItem" },
	{ "InstalledProduct", "ConfigurationItem" }, { "InstalledProducts", "ConfigurationItem" },
	{ "Asset", "ConfigurationItem" }, { "Assets", "ConfigurationItem" },
	{ "Ticket", "Ticket" }, { "Tickets", "Ticket" },
	{ "TicketNote", "TicketNote" }, { "TicketNotes", "TicketNote" },
	{ "", NULL }, { "Project", NULL }, { "Tick", NULL }, { "Ticket ", NULL }, { " Ticket", NULL },
	{ "Ticketss", NULL }, { "Ticket Note", NULL }, { "Ticket_Note", NULL }, { "Companys", NULL },
	{ "Configuration Item", NULL }, { "Webhook", NULL },
};

static void assert_canonical(const char *name, size_t len, const char *want)
{
	const char *got = entity_canonical(name, len);

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[32];
		size_t len = strlen(rows[i].name);

		assert_canonical(rows[i].name, len, rows[i].canonical);
		for (size_t n = 0; n <= len; n++)
			text[n] = (char)toupper((unsigned char)rows[i].name[n]);
		assert_canonical(text, len, rows[i].canonical);
		for (size_t n = 0; n <= len; n++)
			text[n] = (char)tolower((unsigned char)rows[i].name[n]);
		assert_canonical(text, len, rows[i].canonical);
	}
}

static void only_the_length_given_counts(void **state)
{
	(void)state;
	assert_canonical("TicketNote", 6, "Ticket");
	assert_canonical("Tickets", 6, "Ticket");
	assert_canonical("Ticket\0x", 8, NULL);
}

static void a_canonical_name_is_its_own(void **state)
{
	unsigned count = 0;

	(void)state;
	for (const char *const *n = entity_names(); *n; n++, count++)
		assert_canonical(*n, strlen(*n), *n);
	assert_int_equal(count, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(only_the_length_given_counts),
		cmocka_unit_test(a_canonical_name_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
