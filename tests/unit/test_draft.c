/* test_draft.c - a body, and what is known besides it, as the store gets it; equal keys both ways in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "conf_test.h"
#include "intake/draft.h"

#define NOW 1757948270000       /* 2025-09-15T14:57:50Z */
#define FULL "{\"Action\":\"Update\",\"Guid\":\"g\",\"EntityType\":\"Ticket\",\"Id\":7," \
	"\"EventTime\":\"2025-09-15T14:57:50Z\",\"SequenceNumber\":3}"

static struct conf *conf;

static int setup(void **state)
{
	if (make_home(state) < 0)
		return -1;
	conf = load_good(WEBHOOK HANDLER_OPEN "entities = { \"Ticket\" } }\n"
			 "handler \"off\" { webhooks = { \"tickets\" } actions = { \"deactivated\" } command = { \"/bin/true\" } }");
	return 0;
}

static int teardown(void **state)
{
	conf = conf_free(conf);
	return remove_home(state);
}

static struct draft draft_of(const char *body, enum event_source source)
{
	return (struct draft){ .conf = conf, .webhook = "tickets", .body = body, .body_len = strlen(body),
			       .received_ms = NOW, .source = source, .verified = true };
}

static struct draft read_it(const char *body, enum event_source source, const struct draft_known *known)
{
	struct draft d = draft_of(body, source);

	assert_int_equal(draft_read(&d, known), 0);
	return d;
}

static const struct draft_known all_known = {
	.entity = "InstalledProduct", .id = 99, .has_id = true, .sequence = 98, .has_sequence = true,
};

/* What is known besides the body makes no difference to what it repeats. */
static void keys_are_the_bodys(void **state)
{
	static const char *const bodies[] = {
		FULL,
		"{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":7}",
		"{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"EventTime\":\"2025-09-15T14:57:50Z\"}",
		"{\"Action\":\"Update\",\"EventTime\":\"2025-09-15T14:57:50Z\",\"SequenceNumber\":3}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct draft live = read_it(bodies[i], SOURCE_LIVE, NULL);
		struct draft handed = read_it(bodies[i], SOURCE_RECOVERED, &all_known);

		assert_memory_equal(live.key, handed.key, CALLOUT_KEY_LEN);
		assert_int_equal(live.key_ms, handed.key_ms);
		draft_release(&live);
		draft_release(&handed);
	}
}

static void known_stands_where_the_body_is_silent(void **state)
{
	struct draft d = read_it(FULL, SOURCE_RECOVERED, &all_known);

	(void)state;
	assert_string_equal(d.record, "Ticket/7");
	assert_int_equal(d.callout.sequence, 3);
	assert_int_equal(d.handler_count, 1);
	draft_release(&d);

	/* Its Id is what it lacked: understood now, and matched as what it is. */
	d = read_it("{\"Action\":\"Update\"}", SOURCE_RECOVERED, &all_known);
	assert_int_equal(d.kind, EVENT_ORDINARY);
	assert_string_equal(d.record, "ConfigurationItem/99");
	assert_string_equal(d.callout.entity_raw, "InstalledProduct");
	assert_int_equal(d.handler_count, 0);
	draft_release(&d);

	/* An Action nobody knows. */
	d = read_it("{\"Id\":5}", SOURCE_RECOVERED, &all_known);
	assert_int_equal(d.kind, EVENT_QUARANTINED);
	assert_string_equal(d.record, "ConfigurationItem/5");
	draft_release(&d);

	d = read_it("{\"Action\":\"Update\",\"Id\":5,\"Fi", SOURCE_RECOVERED, &all_known);
	assert_int_equal(d.kind, EVENT_QUARANTINED);
	assert_non_null(d.why);
	assert_string_equal(d.record, "ConfigurationItem/99");
	assert_int_equal(d.callout.sequence, 98);
	draft_release(&d);

	d = read_it("{\"Action\":\"Update\"}", SOURCE_LIVE, NULL);
	assert_int_equal(d.kind, EVENT_QUARANTINED);
	draft_release(&d);

	d = read_it("{\"Action\":\"Deactivated\"}", SOURCE_RECOVERED, NULL);
	assert_int_equal(d.kind, EVENT_DEACTIVATED);
	assert_string_equal(d.record, "Webhook/tickets");
	assert_string_equal(d.handlers[0], "off");
	draft_release(&d);
}

static void cut_bodies_are_told_apart_by_number(void **state)
{
	static const char cut[] = "{\"Action\":\"Update\",\"Id\":5,\"Fields\":{\"Description\":\"long";
	static const struct draft_known rows[] = {
		{ .sequence = 3, .has_sequence = true },
		{ .sequence = 4, .has_sequence = true },
		{ .sequence = 3, .has_sequence = true },
	};
	uint8_t keys[ARRAY_LEN(rows)][CALLOUT_KEY_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct draft d = read_it(cut, SOURCE_RECOVERED, &rows[i]);

		assert_int_equal(d.kind, EVENT_QUARANTINED);
		memcpy(keys[i], d.key, sizeof(keys[i]));
		draft_release(&d);
	}
	assert_memory_not_equal(keys[0], keys[1], CALLOUT_KEY_LEN);
	assert_memory_equal(keys[0], keys[2], CALLOUT_KEY_LEN);
}

/* Older than keys are kept: not taken, unless the key goes by the moment of arrival. */
static void recordings(void **state)
{
	static const struct {
		enum event_source source;
		const char *body;
		enum event_kind kind;
	} rows[] = {
#define OLD "{\"Action\":\"Update\",\"Id\":7,\"EventTime\":\"2020-01-01T00:00:00Z\""
		{ SOURCE_LIVE, OLD ",\"SequenceNumber\":3}", EVENT_QUARANTINED },
		{ SOURCE_LIVE, OLD "}", EVENT_QUARANTINED },
		{ SOURCE_RECOVERED, OLD ",\"SequenceNumber\":3}", EVENT_QUARANTINED },
		{ SOURCE_REFETCHED, OLD "}", EVENT_ORDINARY },
	};
	const struct draft_known number = { .sequence = 3, .has_sequence = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct draft d = read_it(rows[i].body, rows[i].source, NULL);

		if (d.kind != rows[i].kind)
			fail_msg("row %zu", i);
		draft_release(&d);
	}
	/* As stored, and an operator's word for it. */
	struct draft v = read_it(OLD ",\"SequenceNumber\":3}", SOURCE_LIVE, NULL);

	assert_string_equal(v.why, DRAFT_RECORDING);
	draft_release(&v);
	v.any_age = true;
	v.why = NULL;
	assert_int_equal(draft_read(&v, NULL), 0);
	assert_int_equal(v.kind, EVENT_ORDINARY);
	draft_release(&v);
	/* Told the number: the key is the body's all the same. */
	struct draft d = read_it(OLD "}", SOURCE_RECOVERED, &number);

	assert_int_equal(d.kind, EVENT_ORDINARY);
	assert_int_equal(d.key_ms, 0);
	draft_release(&d);
}

static void notices(void **state)
{
	struct draft d = draft_of(FULL, SOURCE_LIVE);

	(void)state;
	d.verified = false;
	assert_int_equal(draft_read_notice(&d), 0);
	assert_int_equal(d.kind, EVENT_DEACTIVATED);
	assert_false(d.callout.has_id);
	assert_string_equal(d.callout.guid, "g");
	assert_string_equal(d.callout.action, "deactivated");
	assert_string_equal(d.callout.action_raw, "Update");
	assert_string_equal(d.record, "Webhook/tickets");
	assert_int_equal(d.handler_count, 1);
	draft_release(&d);

	d = draft_of("going", SOURCE_LIVE);
	assert_int_equal(draft_read_notice(&d), 0);
	assert_int_equal(d.kind, EVENT_DEACTIVATED);
	assert_null(d.why);
	draft_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_the_bodys),
		cmocka_unit_test(known_stands_where_the_body_is_silent),
		cmocka_unit_test(cut_bodies_are_told_apart_by_number),
		cmocka_unit_test(recordings),
		cmocka_unit_test(notices),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
