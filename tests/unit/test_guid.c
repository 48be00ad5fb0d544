/* test_guid.c - forms of one GUID, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "callout/guid.h"

static void rows(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "11111111-2222-3333-4444-55555555555a", "11111111-2222-3333-4444-55555555555A", true },
		{ "11111111-2222-3333-4444-55555555555a", "{11111111-2222-3333-4444-55555555555A}", true },
		{ "11111111-2222-3333-4444-55555555555a", " 1111111122223333444455555555555a\n", true },
		{ "11111111-2222-3333-4444-55555555555a", "11111111-2222-3333-4444-55555555555b", false },
		{ "11111111-2222-3333-4444-55555555555a", "11111111-2222-3333-4444-55555555555", false },
		{ "11111111-2222-3333-4444-55555555555", "11111111-2222-3333-4444-55555555555a", false },
		{ "x", "X", true },
		{ "", "", false },
		{ "{}", "{}", false },
		{ "a", "", false },
		{ "", "a", false },
		{ "ab", "ba", false },
		{ "\xc3\xa9", "\xc3\xa9", false },      /* nothing that counts */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t a = guid_mark(cases[i].a), b = guid_mark(cases[i].b);

		if (guid_same(cases[i].a, cases[i].b) != cases[i].same)
			fail_msg("row %zu", i);
		if ((a && a == b) != cases[i].same)
			fail_msg("marks of row %zu", i);
	}
	assert_int_equal(guid_mark("{--}"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
