/* test_dispatcher_alert.c - the alert's program goes through its runner; dead letters and stops are raised. */
#include "dispatch_house.h"

#define ALERT "alert {\n command = { \"/bin/true\" }\n runner = \"default\"\n timeout = \"100ms\"\n}\n"
#define SOON ONE("retry = { \"10ms\" }")

static const char *const env[] = { "CALLOUT_ALERT=disk", "CALLOUT_SOURCE=live", NULL };

struct told {
	unsigned count;
	int status;
	char sentence[256];
};

static void on_told(void *arg, const struct link_result *r, const char *sentence)
{
	struct told *t = arg;

	t->count++;
	t->status = r ? r->status : -1;
	(void)snprintf(t->sentence, sizeof(t->sentence), "%s", r ? "" : sentence);
}

static int by_turns(struct house *h, const struct start *s)
{
	(void)h;
	return s->sequence % 2 ? 100 : 75;
}

static void begin(struct house *h, const char *conf, int (*answer)(struct house *h, const struct start *s))
{
	house_open(h, conf);
	h->overdue_ms = 100;
	h->actor.answer = answer;
	actor_listen(h, "default");
	assert_int_equal(alerts_new(h->loop, &h->alerts), 0);
	house_dispatch(h);
}

static void finish(struct house *h)
{
	struct alerts *alerts = h->alerts;

	alerts_stop(alerts);
	house_close(h);
	(void)alerts_free(alerts);
}

static void it_runs_under_a_title_no_handler_can_have(void **state)
{
	struct told a = { 0 }, b = { 0 };
	struct house h;

	(void)state;
	begin(&h, SOON ALERT, keep);
	assert_int_equal(dispatcher_alert(h.dispatcher, env, "{}", 2, on_told, &a), 0);
	UNTIL(&h, h.actor.running == 1);
	assert_string_equal(h.actor.starts[0].handler, CONF_ALERT_TITLE);
	assert_string_equal(h.actor.starts[0].source, "live");
	assert_true(h.actor.starts[0].event < 0 && h.actor.starts[0].attempt == 1);
	actor_end_as(&h.actor, h.actor.runs, WIRE_EXITED, 3);
	UNTIL(&h, a.count == 1 && h.actor.acks == 1);
	assert_int_equal(a.status, 3);
	/* A runner that hangs does not keep us from hearing that it does. */
	assert_int_equal(dispatcher_alert(h.dispatcher, env, "{}", 2, on_told, &b), 0);
	UNTIL(&h, b.count == 1);
	assert_int_equal(b.status, -1);
	assert_non_null(strstr(b.sentence, "the runner hangs"));
	actor_end_as(&h.actor, h.actor.runs, WIRE_EXITED, 0);   /* too late: acknowledged, and no more */
	UNTIL(&h, h.actor.acks == 2);
	assert_int_equal(b.count, 1);
	finish(&h);
}

static void a_runner_that_does_not_know_it_is_told_to_reload(void **state)
{
	struct told a = { 0 };
	struct house h;

	(void)state;
	begin(&h, SOON ALERT, keep);
	h.actor.refuse = WIRE_UNKNOWN_HANDLER;
	assert_int_equal(dispatcher_alert(h.dispatcher, env, "{}", 2, on_told, &a), 0);
	UNTIL(&h, a.count == 1 && h.actor.reloads == 1);
	assert_string_equal(a.sentence, "refused as told");
	finish(&h);
}

static void without_a_section_there_is_nothing_to_run(void **state)
{
	struct house h;

	(void)state;
	begin(&h, SOON, keep);
	assert_int_equal(dispatcher_alert(h.dispatcher, env, "{}", 2, on_told, NULL), -ENOENT);
	finish(&h);
}

static uint64_t raised(struct house *h, enum alert_kind kind)
{
	struct alerts_status s;

	alerts_status(h->alerts, &s);
	return s.raised[kind];
}

static void dead_letters_and_pauses_are_raised_once(void **state)
{
	struct house h;

	(void)state;
	begin(&h, SOON, by_turns);
	accept_one(&h, "h", 1);         /* its sequence is 1: exit 100 */
	UNTIL(&h, raised(&h, ALERT_FAILED) == 1);
	accept_one(&h, "h", 2);         /* exit 75, again and again: one pause */
	UNTIL(&h, h.actor.start_count >= 4);
	assert_int_equal(raised(&h, ALERT_PAUSED), 1);
	assert_int_equal(raised(&h, ALERT_FAILED), 1);
	finish(&h);
}

static void a_handler_that_cannot_be_run_is_raised_once(void **state)
{
	struct house h;

	(void)state;
	house_prepare(&h);
	h.site = house_site(&h, "handler \"h\" {\n webhooks = { \"w\" }\n command = { \"/no/such\" }\n}\n");
	assert_int_equal(loop_new(&h.loop), 0);
	house_open_journal(&h);
	assert_int_equal(alerts_new(h.loop, &h.alerts), 0);
	h.recheck_ms = 1;
	house_dispatch(&h);
	accept_one(&h, "h", 1);
	for (unsigned i = 0; i < 20; i++)
		turn(&h);
	assert_int_equal(raised(&h, ALERT_PAUSED), 1);
	finish(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_runs_under_a_title_no_handler_can_have),
		cmocka_unit_test(a_runner_that_does_not_know_it_is_told_to_reload),
		cmocka_unit_test(without_a_section_there_is_nothing_to_run),
		cmocka_unit_test(dead_letters_and_pauses_are_raised_once),
		cmocka_unit_test(a_handler_that_cannot_be_run_is_raised_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
