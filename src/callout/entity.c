/* entity.c - the names Autotask has for the kinds of its records: one row each. */
#include "callout/entity.h"

#include <stdbool.h>

#include <string.h>
#include <strings.h>

#include "base/auto.h"

/* Vendor help: Account and InstalledProduct are the wire's old names; the rest is tolerated. */
static const struct entity_row {
	const char *canonical;
	const char *others[6];
} rows[] = {
	{ "Company", { "Companies", "Account", "Accounts" } },
	{ "Contact", { "Contacts" } },
	{ "ConfigurationItem", { "ConfigurationItems", "InstalledProduct", "InstalledProducts", "Asset", "Assets" } },
	{ "Ticket", { "Tickets" } },
	{ "TicketNote", { "TicketNotes" } },
};

static bool same(const char *name, size_t len, const char *other)
{
	return strlen(other) == len && strncasecmp(name, other, len) == 0;
}

const char *entity_canonical(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (same(name, len, rows[i].canonical))
			return rows[i].canonical;
		for (const char *const *o = rows[i].others; o < rows[i].others + 6 && *o; o++)
			if (same(name, len, *o))
				return rows[i].canonical;
	}
	return NULL;
}

const char *const *entity_names(void)
{
	static const char *const names[] = { "Company", "Contact", "ConfigurationItem", "Ticket",
					     "TicketNote", NULL };

	_Static_assert(ARRAY_LEN(names) == ARRAY_LEN(rows) + 1, "every row has its name here");
	return names;
}
