/* test_rest_sim.c - the REST client against the simulator. */
#include "rest_world.h"

#include "autotask/kinds.h"

#define HOOK_URL "https://hooks.example.net/a/"
#define HOOK(name, url)                                                                         \
	"{\"name\":\"" name "\",\"isActive\":true,\"isSubscribedToCreateEvents\":true,"         \
	"\"isSubscribedToUpdateEvents\":true,\"isSubscribedToDeleteEvents\":true,"              \
	"\"webhookUrl\":\"" HOOK_URL url "\",\"deactivationUrl\":\"https://hooks.example.net/off\"," \
	"\"secretKey\":\"0123456789abcdef\",\"sendThresholdExceededNotification\":false}"

#define NAME_50 "12345678901234567890123456789012345678901234567890"

static void start(struct world *w, const char *option, const char *value)
{
	start_simulator(w, (const char *const[]){ option, value, NULL });
}

/* What the simulator does is changed through a client of its own base: /sim/ is not below v1.0. */
static void simulate(struct world *w, struct rest *r, const char *path, const char *body)
{
	char full[128];

	(void)snprintf(full, sizeof(full), "/sim/%s", path);
	if (rest_post(r, full, body, NULL, &w->err) < 0)
		fail_msg("%s", w->err.text);
}

static int count_item(void *arg, const struct json_value *item, struct error *err)
{
	int64_t *at = arg;
	int64_t id = rest_number(item, "ID");

	(void)err;
	assert_true(id > at[1]);
	at[0]++;
	at[1] = id;
	return 0;
}

static int stop_at_two(void *arg, const struct json_value *item, struct error *err)
{
	int64_t *count = arg;

	(void)item;
	return ++*count == 2 ? error_set(err, ECANCELED, "enough") : 0;
}

/* ---- the calls ---- */

static void a_webhooks_whole_life(void **state)
{
	struct world *w = *state;
	struct rest_answer keep = REST_ANSWER_INIT;
	struct json_value item;
	char path[64], body[128];
	int64_t id = 0;

	start(w, NULL, NULL);
	AUTO(rest) struct rest *r = opened(w);
	assert_int_equal(rest_post(r, "TicketWebhooks", HOOK("n", "x"), &id, &w->err), 0);
	assert_true(id > 0);
	(void)snprintf(path, sizeof(path), "TicketWebhooks/%lld", (long long)id);
	assert_int_equal(rest_item(r, path, &keep, &item, &w->err), 0);
	AUTO(free) char *name = rest_text(&item, "NAME");
	AUTO(free) char *number = rest_text(&item, "id");
	assert_string_equal(name, "n");
	assert_int_equal(strtoll(number, NULL, 10), id);
	assert_int_equal(rest_number(&item, "id"), id);
	assert_true(rest_true(&item, "isActive"));
	assert_false(rest_true(&item, "isReady"));
	assert_null(rest_text(&item, "notificationEmailAddress"));
	assert_int_equal(rest_number(&item, "nothing"), 0);
	(void)snprintf(body, sizeof(body), "{\"id\":%lld,\"isActive\":false}", (long long)id);
	assert_int_equal(rest_patch(r, "TicketWebhooks", body, &w->err), 0);
	assert_int_equal(rest_item(r, path, &keep, &item, &w->err), 0);
	assert_false(rest_true(&item, "isActive"));
	assert_int_equal(rest_delete(r, path, &w->err), 0);
	assert_int_equal(rest_item(r, path, &keep, &item, &w->err), -ENOENT);
	assert_said(w, "GET TicketWebhooks/");
	assert_int_equal(rest_delete(r, path, &w->err), -ENOENT);
	rest_answer_free(&keep);
}

static void every_kind_can_be_called(void **state)
{
	struct world *w = *state;
	struct rest_answer keep = REST_ANSWER_INIT;
	struct json_value info;
	char path[128];

	start(w, NULL, NULL);
	AUTO(rest) struct rest *r = opened(w);
	for (size_t i = 0; i < kind_count; i++) {
		const char *const collections[] = { kinds[i].webhook_fields, kinds[i].webhook_udf_fields, kinds[i].webhooks,
						    kinds[i].records };

		for (size_t j = 0; j < ARRAY_LEN(collections); j++) {
			if (!collections[j])
				continue;
			(void)snprintf(path, sizeof(path), "%s/entityInformation/fields", collections[j]);
			assert_int_equal(rest_get(r, path, &keep, &w->err), 0);
			assert_true(rest_member(&keep.root, "fields", &info));
		}
	}
	rest_answer_free(&keep);
}

static void a_query_turns_every_page(void **state)
{
	struct world *w = *state;
	int64_t seen[2] = { 0, 0 }, count = 0;
	char change[128];

	start(w, "--page-rows", "3");
	AUTO(rest) struct rest *r = opened(w);
	for (int i = 1; i <= 11; i++) {
		(void)snprintf(change, sizeof(change), "{\"entity\":\"Ticket\",\"action\":\"create\",\"id\":%d,\"fields\":{\"Title\":\"%d\"}}", i, i);
		simulate(w, r, "change", change);
	}
	assert_int_equal(rest_query(r, "Tickets", "[{\"op\":\"gt\",\"field\":\"id\",\"value\":0}]", count_item, seen, &w->err), 0);
	assert_int_equal(seen[0], 11);
	assert_int_equal(rest_query(r, "Tickets", "[{\"op\":\"gt\",\"field\":\"id\",\"value\":0}]", stop_at_two, &count, &w->err),
			 -ECANCELED);
	assert_int_equal(count, 2);
	assert_string_equal(w->err.text, "enough");
	seen[0] = seen[1] = 0;
	assert_int_equal(rest_query(r, "Tickets", "[{\"op\":\"gt\",\"field\":\"id\",\"value\":99}]", count_item, seen, &w->err), 0);
	assert_int_equal(seen[0], 0);
}

/* Too long for a URL: posted, page by page. */
static void a_long_query_is_posted(void **state)
{
	struct world *w = *state;
	AUTO(buf) struct buf filter = BUF_INIT(10000);
	int64_t seen[2] = { 0, 0 };

	start(w, "--page-rows", "2");
	AUTO(rest) struct rest *r = opened(w);
	for (int i = 1; i <= 5; i++) {
		char change[128];

		(void)snprintf(change, sizeof(change), "{\"entity\":\"Ticket\",\"action\":\"create\",\"id\":%d,\"fields\":{\"Title\":\"%d\"}}", i, i);
		simulate(w, r, "change", change);
	}
	assert_int_equal(buf_append_text(&filter, "[{\"op\":\"in\",\"field\":\"id\",\"value\":[1"), 0);
	for (int i = 2; i < 900; i++)
		assert_int_equal(buf_printf(&filter, ",%d", i), 0);
	assert_int_equal(buf_append_text(&filter, "]}]"), 0);
	assert_int_equal(rest_query(r, "Tickets", filter.data, count_item, seen, &w->err), 0);
	assert_int_equal(seen[0], 5);
}

static void the_quota_is_read(void **state)
{
	struct world *w = *state;
	int64_t used = 0, limit = 0;

	start(w, "--hourly-limit", "77");
	AUTO(rest) struct rest *r = opened(w);
	assert_int_equal(rest_quota(r, &used, &limit, &w->err), 0);
	assert_int_equal(used, 1);
	assert_int_equal(limit, 77);
}

/* ---- what the simulator refuses ---- */

static void fails(struct world *w, int result, int expected, const char *words)
{
	if (result != expected)
		print_error("%s\n", w->err.text);
	assert_int_equal(result, expected);
	assert_said(w, words);
}

static void unknown_users_and_wrong_credentials(void **state)
{
	struct world *w = *state;
	struct rest *none = NULL;
	int64_t used, limit;
	char code[100];

	put_file(w->directory, "right", "something else\n");
	(void)snprintf(code, sizeof(code), "%s/right", w->directory);
	start(w, "--code-file", code);
	AUTO(rest) struct rest *r = opened(w);
	fails(w, rest_quota(r, &used, &limit, &w->err), -EACCES, "check username, secret and integration-code in autotask { }");
	(void)snprintf(w->user, sizeof(w->user), "nobody@example.com");
	fails(w, rest_open(&w->options, &none, &w->err), -EACCES, "no zone for the API user \"nobody@example.com\"");
}

static void refusals_say_what_to_do(void **state)
{
	struct world *w = *state;

	start(w, "--max-webhooks", "2");
	AUTO(rest) struct rest *r = opened(w);
	fails(w, rest_post(r, "TicketWebhooks", HOOK(NAME_50 "1", "x"), NULL, &w->err), -EINVAL, "a webhook's name may have 50 characters");
	assert_int_equal(rest_post(r, "TicketWebhooks", HOOK(NAME_50, "x"), NULL, &w->err), 0);
	fails(w, rest_post(r, "TicketWebhooks", HOOK("n", "x"), NULL, &w->err), -EEXIST, "every webhook needs a URL of its own");
	assert_int_equal(rest_post(r, "CompanyWebhooks", HOOK("n", "x"), NULL, &w->err), 0);
	fails(w, rest_post(r, "ContactWebhooks", HOOK("n", "y"), NULL, &w->err), -EACCES, "a maximum of at least 1");
	fails(w, rest_patch(r, "TicketWebhooks", "{\"id\":99}", &w->err), -ENOENT, "PATCH TicketWebhooks: Autotask says");
	fails(w, rest_post(r, "TicketWebhooks/1/Fields", "{\"fieldID\":1}", NULL, &w->err), -EINVAL, "POST TicketWebhooks/1/Fields: ");
	fails(w, rest_delete(r, "Nothing/1", &w->err), -ENOENT, "DELETE Nothing/1");
}

static void a_level_that_forbids_webhooks(void **state)
{
	struct world *w = *state;

	start(w, "--max-webhooks", "0");
	AUTO(rest) struct rest *r = opened(w);
	fails(w, rest_post(r, "TicketWebhooks", HOOK("n", "x"), NULL, &w->err), -EACCES, "\"Can create WebHooks\"");
}

static void every_shape_of_failure(void **state)
{
	static const struct {
		const char *shape;
		int result;
		const char *words;
	} rows[] = {
		{ "strings", -EINVAL, "says \"A failure that was asked for.\" (HTTP 500)" },
		{ "objects", -EINVAL, "says \"A failure that was asked for.\" (HTTP 500)" },
		{ "unauthorized", -EACCES, "check username" },
		{ "busy", -EAGAIN, "3 calls at once" },
		{ "html", -EPROTO, "HTTP 502 and a page for people" },
		{ "garbage", -EPROTO, "HTTP 200 and broken JSON" },
		{ "slow", -ECONNREFUSED, "in time" },
	};
	struct world *w = *state;
	struct rest_answer keep = REST_ANSWER_INIT;
	char body[128];

	w->options.whole_ms = 1000;
	start(w, NULL, NULL);
	AUTO(rest) struct rest *r = opened(w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(body, sizeof(body), "{\"shape\":\"%s\",\"times\":1,\"path\":\"Threshold\"}", rows[i].shape);
		simulate(w, r, "fail", body);
		fails(w, rest_get(r, "ThresholdInformation", &keep, &w->err), rows[i].result, rows[i].words);
		assert_said(w, "GET ThresholdInformation: ");
	}
	rest_answer_free(&keep);
}

/* Busy five times, then the hour of 20 requests is spent: an hour is 1.8 s here. */
static void limits_are_waited_for(void **state)
{
	struct world *w = *state;
	int64_t used, limit;

	w->options.patience_ms = 20000;
	start_simulator(w, (const char *const[]){ "--hourly-limit", "20", "--clock-factor", "2000", NULL });
	AUTO(rest) struct rest *r = opened(w);
	simulate(w, r, "fail", "{\"shape\":\"busy\",\"times\":5,\"path\":\"Threshold\"}");
	assert_int_equal(rest_quota(r, &used, &limit, &w->err), 0);
	assert_int_equal(w->waits, 5);
	assert_string_equal(w->why, "Autotask is busy with other calls");
	for (int i = 0; i < 20; i++)
		assert_int_equal(rest_quota(r, &used, &limit, &w->err), 0);
	assert_true(w->waits > 5);
	assert_string_equal(w->why, "the requests that Autotask allows in an hour are spent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_webhooks_whole_life, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(every_kind_can_be_called, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(a_query_turns_every_page, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(a_long_query_is_posted, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(the_quota_is_read, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(unknown_users_and_wrong_credentials, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(refusals_say_what_to_do, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(a_level_that_forbids_webhooks, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(every_shape_of_failure, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(limits_are_waited_for, world_set_up, world_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
