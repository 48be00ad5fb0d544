/* test_picklist.c - fields' names and ids: reading the vendor's list, finding, and what was meant. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "autotask/picklist.h"

#define FIELD(name, values) "{\"name\":\"" name "\",\"isPickList\":true,\"picklistValues\":" values "}"
#define PICK(value, label) "{\"value\":" value ",\"label\":\"" label "\",\"isActive\":true}"

static const char tickets[] =
	"{\"fields\":[" FIELD("id", "null") "," FIELD("fieldID", "["
	PICK("\"94\"", "Status") "," PICK("95", "Priority") "," PICK("\"91\"", "Ticket Number") ","
	PICK("\"7\"", "Due Date") "," PICK("\"8\"", "due-date") "," PICK("\"9\"", "STATUS?") ","
	"{\"value\":\"10\",\"label\":\"Gone\",\"isActive\":false}," PICK("\"11\"", "94") ","
	PICK("\"12\"", "Gr\xc3\xb6\xc3\x9f""e") ",{\"value\":\"x\",\"label\":\"no id\"},{\"value\":\"13\"},3]") "]}";

static int take(const char *text, bool udf, struct picklist *ret, struct error *err)
{
	struct json_value root;

	assert_int_equal(json_read(text, strlen(text), JSON_DEPTH_MAX, &root, NULL), 0);
	return picklist_take(&root, udf, ret, err);
}

static void the_list_is_read(void **state)
{
	struct picklist p = { .items = NULL };
	struct error err = { "" };

	(void)state;
	assert_int_equal(take(tickets, false, &p, &err), 0);
	assert_int_equal(p.count, 9);
	assert_int_equal(p.items[1].id, 95);
	assert_string_equal(picklist_name(&p, 91), "Ticket Number");
	assert_null(picklist_name(&p, 13));
	assert_false(p.items[6].active);
	picklist_free(&p);
}

static void no_list_is_an_error(void **state)
{
	static const char *const rows[] = {
		"{}", "{\"fields\":null}", "{\"fields\":[]}", "{\"fields\":[3]}", "{\"fields\":[" FIELD("id", "[]") "]}",
		"{\"fields\":[{\"name\":\"fieldID\"}]}", "{\"fields\":[{\"name\":\"fieldID\",\"picklistValues\":3}]}",
		"{\"fields\":[" FIELD("udfFieldID", "[]") "]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct picklist p = { .items = NULL };
		struct error err = { "" };

		assert_int_equal(take(rows[i], false, &p, &err), -EPROTO);
		assert_non_null(strstr(err.text, "pick list of fieldID"));
		assert_null(p.items);
	}
}

static void nothing_to_pick_is_a_list(void **state)
{
	struct picklist p = { .items = NULL };
	struct error err = { "" };

	(void)state;
	assert_int_equal(take("{\"FIELDS\":[" FIELD("UdfFieldId", "null") "]}", true, &p, &err), 0);
	assert_int_equal(p.count, 0);
	assert_int_equal(take("{\"fields\":[" FIELD("udfFieldID", "[]") "]}", true, &p, &err), 0);
	assert_int_equal(p.count, 0);
}

static void names_are_found(void **state)
{
	static const struct {
		const char *name;
		int64_t id;             /* 0: not found, and says */
		const char *says;
	} rows[] = {
		{ "Status", 94, NULL }, { "STATUS?", 9, NULL }, { "priority", 95, NULL },
		{ "TicketNumber", 91, NULL }, { "ticket number", 91, NULL }, { "ticketNumber", 91, NULL },
		{ "95", 95, NULL }, { "94", 11, NULL }, { "Gr\xc3\xb6\xc3\x9f""e", 12, NULL },
		{ "Due Date", 7, NULL }, { "DueDate", 0, "may be field 7 ('Due Date') or 8 ('due-date')" },
		{ "status", 0, "may be field 94 ('Status') or 9 ('STATUS?')" },
		{ "Statsu", 0, "did you mean 'Status' or 'STATUS?'?" }, { "Prio", 0, "did you mean 'Priority'?" },
		{ "Number", 0, "did you mean 'Ticket Number'?" }, { "Date", 0, "did you mean 'Due Date' or 'due-date'?" },
		{ "Gone", 0, "there is no field 'Gone', nor" }, { "Xylophone", 0, "nor one with a similar name" },
		{ "99", 0, "there is no field '99'" },
	};
	struct picklist p = { .items = NULL };
	struct error err = { "" };

	(void)state;
	assert_int_equal(take(tickets, false, &p, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct pick *pick = NULL;
		int r = picklist_find(&p, rows[i].name, &pick, &err);

		if (rows[i].id) {
			assert_int_equal(r, 0);
			assert_int_equal(pick->id, rows[i].id);
			continue;
		}
		assert_int_equal(r, -ENOENT);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].name, err.text);
	}
	picklist_free(&p);
}

static void long_names_are_survived(void **state)
{
	struct picklist p = { .items = NULL };
	char name[4000];
	const struct pick *pick;
	struct error err = { "" };

	(void)state;
	assert_int_equal(take(tickets, false, &p, &err), 0);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(picklist_find(&p, name, &pick, &err), -ENOENT);
	assert_int_equal(picklist_find(&p, "", &pick, &err), -ENOENT);
	assert_int_equal(picklist_find(&p, "?", &pick, &err), -ENOENT);
	assert_non_null(strstr(err.text, "nor one"));
	picklist_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_is_read),
		cmocka_unit_test(no_list_is_an_error),
		cmocka_unit_test(nothing_to_pick_is_a_list),
		cmocka_unit_test(names_are_found),
		cmocka_unit_test(long_names_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
