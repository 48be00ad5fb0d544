/* test_store_together.c - what runs of several events are made of, and what is held until it is let go. */
#include "test_store.h"

static void several_of_a_record_are_found(void **state)
{
	struct home *h = *state;
	struct delivery_ref refs[8];
	int64_t page;
	size_t n;

	for (int64_t i = 0; i < 9; i++)
		(void)accept_ticket(h->s, 1 + i % 3, T0 + i);   /* 1 2 3 1 2 3 1 2 3 */
	page = handler_number(h->s, "page");
	assert_int_equal(reader_ahead(h->r, page, "Ticket/2", 0, refs, 8, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(refs[0].event, 2);
	assert_int_equal(refs[2].event, 8);
	assert_true(refs[2].received_ms == T0 + 7);
	assert_string_equal(refs[1].record, "Ticket/2");
	assert_int_equal(reader_ahead(h->r, page, "Ticket/2", 2, refs, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 5);
	assert_int_equal(reader_behind(h->r, page, "Ticket/2", 0, refs, 8, &n), 0);
	assert_int_equal(n, 0);
	/* All of them failed together: the first is due, the others are blocked behind it. */
	for (int64_t event = 2; event <= 8; event += 3)
		(void)settle_to(h->s, page, event, DELIVERY_PARKED, T0 + 100, T0 + 10);
	assert_int_equal(reader_due(h->r, page, T0 + 100, refs, 8, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 2);
	assert_true(refs[0].received_ms == T0 + 1);
	assert_int_equal(reader_behind(h->r, page, "Ticket/2", 2, refs, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(refs[0].event, 5);
	assert_int_equal(refs[1].event, 8);
	assert_int_equal(refs[1].attempts, 1);
	assert_int_equal(reader_ahead(h->r, page, "Ticket/2", 0, refs, 8, &n), 0);
	assert_int_equal(n, 0);
	/* Done together: one after the other in one transaction, and nothing is left behind. */
	assert_true(settle_to(h->s, page, 2, DELIVERY_DONE, 0, T0 + 110));
	assert_true(settle_to(h->s, page, 5, DELIVERY_DONE, 0, T0 + 110));
	assert_false(settle_to(h->s, page, 8, DELIVERY_DONE, 0, T0 + 110));
}

static unsigned let_go(struct store *s, const char *handler, const char *record)
{
	unsigned count = 99;

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_let_go(s, handler, record, T0 + 500, &count), 0);
	assert_int_equal(store_commit(s), 0);
	return count;
}

static size_t held(struct reader *r, struct held_record *ret)
{
	AUTO(free) struct held_record *list = NULL;
	size_t n = 0;

	assert_int_equal(reader_held(r, &list, &n), 0);
	if (n > 0)
		*ret = list[0];
	return n;
}

static void what_is_held_is_never_due(void **state)
{
	struct home *h = *state;
	struct held_record first;
	struct delivery_ref refs[4];
	int64_t page, due;
	unsigned count;
	size_t n;

	for (int64_t i = 0; i < 6; i++)
		(void)accept_ticket(h->s, 1 + i % 2, T0 + i);   /* 1 2 1 2 1 2 */
	page = handler_number(h->s, "page");
	(void)settle_to(h->s, page, 1, DELIVERY_FAILED, 0, T0 + 10);
	(void)settle_to(h->s, page, 3, DELIVERY_PARKED, DELIVERY_HELD_MS, T0 + 10);
	(void)settle_to(h->s, page, 2, DELIVERY_PARKED, DELIVERY_HELD_MS, T0 + 10);
	park_behind(h->s, page, 5, "Ticket/1", T0 + 10);
	assert_int_equal(held(h->r, &first), 2);
	assert_int_equal(first.event, 2);
	assert_string_equal(first.handler, "page");
	assert_string_equal(first.record, "Ticket/2");
	assert_int_equal(reader_due(h->r, page, INT64_MAX - 1, refs, 4, &n), 0);
	assert_int_equal(n, 0);
	/* An earlier one that an operator puts back goes first; it stays held behind that. */
	assert_int_equal(store_begin(h->s), 0);
	assert_int_equal(store_retry(h->s, &(struct delivery_filter){ .event = 1 }, T0 + 20, &count), 0);
	assert_int_equal(store_commit(h->s), 0);
	assert_int_equal(count, 1);
	assert_int_equal(held(h->r, &first), 1);
	assert_true(settle_to(h->s, page, 1, DELIVERY_DONE, 0, T0 + 30));
	assert_int_equal(reader_next_due(h->r, page, &due), 0);
	assert_true(due == INT64_MAX);
	assert_int_equal(held(h->r, &first), 2);
	/* Let go: one record, then the rest. */
	assert_int_equal(let_go(h->s, "other", NULL), 0);
	assert_int_equal(let_go(h->s, "page", "Ticket/3"), 0);
	assert_int_equal(let_go(h->s, "page", "Ticket/1"), 1);
	assert_int_equal(reader_due(h->r, page, T0 + 500, refs, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(refs[0].event, 3);
	assert_int_equal(let_go(h->s, "page", NULL), 1);
	assert_int_equal(held(h->r, &first), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(several_of_a_record_are_found, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(what_is_held_is_never_due, home_setup, home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
