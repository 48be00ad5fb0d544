/* test_rest_zone.c - the zone: which answers count, the file it is kept in, and when it is looked for anew. */
#include "rest_script.h"

#define PLAY(s, ...) play(s, (const char *const[]){ __VA_ARGS__, NULL })

/* Another server than the one that is asked for the zone. */
struct pair {
	struct script *home, *zone;
	void *home_state, *zone_state;
	char moved[512];        /* home's answer: the zone is there */
};

static int pair_begin(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)script_begin(&p->home_state);
	(void)script_begin(&p->zone_state);
	p->home = p->home_state;
	p->zone = p->zone_state;
	*state = p;
	return 0;
}

static int pair_end(void **state)
{
	struct pair *p = *state;

	(void)script_end(&p->home_state);
	(void)script_end(&p->zone_state);
	free(p);
	return 0;
}

/* After p->zone plays. */
static const char *moved(struct pair *p)
{
	(void)snprintf(p->moved, sizeof(p->moved), JSON("{\"url\":\"%s/ATServicesRest/\"}"), p->zone->w.base);
	return p->moved;
}

static void cache(struct script *s, const char *user, const char *information, const char *url, mode_t mode)
{
	char path[256], text[1024];

	(void)mkdir(s->w.cache, 0700);
	(void)snprintf(path, sizeof(path), "%s/autotask-zone.json", s->w.cache);
	(void)snprintf(text, sizeof(text), "{\"user\":\"%s\",\"zone-information\":\"%s\",\"url\":\"%s\"}\n", user, information, url);
	assert_int_equal(file_replace(path, mode, text, strlen(text)), 0);
}

static char *cached(const struct script *s, mode_t *ret_mode)
{
	char path[256], *text = NULL;
	struct stat st;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/autotask-zone.json", s->w.cache);
	assert_int_equal(stat(path, &st), 0);
	*ret_mode = st.st_mode & 07777;
	assert_int_equal(file_read(path, 4096, &text, &len), 0);
	return text;
}

static int get(struct script *s, struct rest *r)
{
	struct rest_answer keep = REST_ANSWER_INIT;
	int result = rest_get(r, "Tickets/1", &keep, &s->w.err);

	rest_answer_free(&keep);
	return result;
}

/* ---- answers ---- */

static void every_form_of_url_is_taken(void **state)
{
	static const struct {
		const char *url, *base;
	} rows[] = {
		{ "https://webservices5.autotask.net/ATServicesRest/", "https://webservices5.autotask.net/ATServicesRest/v1.0/" },
		{ "https://webservices5.autotask.net/atservicesrest", "https://webservices5.autotask.net/atservicesrest/v1.0/" },
		{ "HTTPS://WebServices5.Autotask.net/ATServicesRest/V1.0/", "HTTPS://WebServices5.Autotask.net/ATServicesRest/v1.0/" },
		{ "https://webservices5.autotask.net/ATServicesRest/v1.0", "https://webservices5.autotask.net/ATServicesRest/v1.0/" },
		{ "https://webservices5.autotask.net", "https://webservices5.autotask.net/v1.0/" },
		{ "https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x/v1.0/" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char answer[512];
		struct script *s;
		void *own = NULL;

		(void)script_begin(&own);
		s = own;
		(void)snprintf(answer, sizeof(answer), JSON("{\"Url\":\"%s\"}"), rows[i].url);
		PLAY(s, answer);
		AUTO(rest) struct rest *r = opened(&s->w);
		assert_string_equal(rest_base(r), rows[i].base);
		(void)script_end(&own);
	}
}

static void answers_that_are_no_zone(void **state)
{
	static const struct {
		const char *answer;
		int result;
		const char *words;
	} rows[] = {
		{ JSON("{\"url\":\"http://webservices5.autotask.net/ATServicesRest/\"}"), -EPROTO, "not https: nothing is sent there" },
		{ JSON("{\"url\":\"https://a@b.example.net/\"}"), -EPROTO, "nothing is sent there" },
		{ JSON("{\"url\":\"https://b.example.net/?x\"}"), -EPROTO, "nothing is sent there" },
		{ JSON("{\"url\":\"ftp://x/\"}"), -EPROTO, "nothing is sent there" },
		{ JSON("{\"url\":\"\"}"), -EPROTO, "nothing is sent there" },
		{ JSON("{\"url\":7}"), -EPROTO, "nothing is sent there" },
		{ JSON("{\"url\":null}"), -EPROTO, "answered without a url" },
		{ JSON("{}"), -EPROTO, "answered without a url" },
		{ JSON("{\"url\""), -EPROTO, "broken JSON" },
		{ HTML("200 OK"), -EPROTO, "a page for people" },
		{ HTML("503 Unavailable"), -EPROTO, "a page for people" },
		{ FAILED("500 X", "{\"errors\":[\"Zone information could not be determined.\"]}"), -EACCES,
		  "finds no zone for the API user \"api@example.com\": check username in autotask { }: GET zoneInformation: Autotask says \"Zone" },
		{ FAILED("500 X", ""), -EACCES, "check username in autotask { }" },
		{ HTML("500 X"), -EACCES, "check username in autotask { }" },
		{ "HTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n", -EPROTO, "redirect" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rest *r = NULL;
		struct script *s;
		void *own = NULL;
		int result;

		(void)script_begin(&own);
		s = own;
		PLAY(s, rows[i].answer);
		result = rest_open(&s->w.options, &r, &s->w.err);
		if (result != rows[i].result)
			print_error("%zu: %s\n", i, s->w.err.text);
		assert_int_equal(result, rows[i].result);
		assert_said(&s->w, rows[i].words);
		assert_null(r);
		played(s, 1);
		assert_int_equal(access(s->w.cache, F_OK), -1);
		(void)script_end(&own);
	}
}

/* Loopback is not to be trusted because somebody far away says so. */
static void https_does_not_lead_to_plain_loopback(void **state)
{
	struct script *s = *state;
	struct rest *r = NULL;

	PLAY(s, JSON("{}"));
	(void)snprintf(s->w.information, sizeof(s->w.information), "https://127.0.0.1:1/zoneInformation");
	cache(s, USER, s->w.information, s->w.base, 0600);
	assert_int_equal(rest_open(&s->w.options, &r, &s->w.err), -ECONNREFUSED);
	played(s, 0);
}

static void plain_http_is_asked_at_loopback_only(void **state)
{
	struct script *s = *state;
	struct rest *r = NULL;

	world_point_to(&s->w, "http://zone.example.net");
	assert_int_equal(rest_open(&s->w.options, &r, &s->w.err), -EPROTO);
	assert_said(&s->w, "zone-information must be an https URL");
}

/* ---- the file ---- */

static void the_zone_is_kept_in_a_file(void **state)
{
	struct script *s = *state;
	mode_t mode;

	PLAY(s, ZONE, JSON("{}"), JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	AUTO(free) char *text = cached(s, &mode);
	assert_int_equal(mode, 0600);
	assert_non_null(strstr(text, "\"user\":\"" USER "\""));
	assert_null(strstr(text, SECRET));
	AUTO(rest) struct rest *again = opened(&s->w);
	assert_string_equal(rest_base(again), rest_base(r));
	assert_int_equal(get(s, again), 0);
	played(s, 2);
	assert_memory_equal(s->requests[1], "GET /ATServicesRest/v1.0/Tickets/1 ", 35);
}

static void nothing_is_kept_without_a_directory(void **state)
{
	struct script *s = *state;

	s->w.options.cache_directory = NULL;
	PLAY(s, ZONE, ZONE);
	rest_close(opened(&s->w));
	rest_close(opened(&s->w));
	played(s, 2);
}

static void a_directory_that_cannot_be_does_no_harm(void **state)
{
	struct script *s = *state;

	s->w.options.cache_directory = "/proc/none/here";
	PLAY(s, ZONE, JSON("{}"));
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(get(s, r), 0);
}

/* Each of these would lead to a server that does not exist. */
static void a_file_that_is_not_ours_is_not_believed(void **state)
{
	struct script *s = *state;
	char path[256], aside[256];

	PLAY(s, ZONE, ZONE, ZONE, ZONE, ZONE, ZONE, ZONE);
	cache(s, "other@example.com", s->w.information, "http://127.0.0.1:1/", 0600);
	rest_close(opened(&s->w));
	cache(s, USER, "https://other.example.net/", "http://127.0.0.1:1/", 0600);
	rest_close(opened(&s->w));
	cache(s, USER, s->w.information, "http://127.0.0.1:1/", 0620);
	rest_close(opened(&s->w));
	cache(s, USER, s->w.information, "http://far.example.net/", 0600);
	rest_close(opened(&s->w));
	cache(s, USER "\" ", s->w.information, "http://127.0.0.1:1/", 0600);
	rest_close(opened(&s->w));
	cache(s, USER, s->w.information, "http://127.0.0.1:1/", 0600);
	(void)snprintf(path, sizeof(path), "%s/autotask-zone.json", s->w.cache);
	(void)snprintf(aside, sizeof(aside), "%s/aside", s->w.cache);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(symlink(aside, path), 0);
	rest_close(opened(&s->w));
	if (getuid() == 0) {
		cache(s, USER, s->w.information, "http://127.0.0.1:1/", 0600);
		assert_int_equal(chown(path, 12345, 12345), 0);
		rest_close(opened(&s->w));
	}
	played(s, getuid() == 0 ? 7 : 6);
}

/* ---- a zone that moved ---- */

static void a_dead_zone_is_looked_for_anew(void **state)
{
	struct pair *p = *state;
	struct script *s = p->home;
	mode_t mode;

	PLAY(p->zone, JSON("{}"), JSON("{}"));
	PLAY(s, moved(p));
	cache(s, USER, s->w.information, "http://127.0.0.1:1/ATServicesRest/", 0600);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_string_equal(rest_base(r), "http://127.0.0.1:1/ATServicesRest/v1.0/");
	assert_int_equal(get(s, r), 0);
	assert_non_null(strstr(rest_base(r), p->zone->w.base));
	AUTO(free) char *text = cached(s, &mode);
	assert_non_null(strstr(text, p->zone->w.base));
	assert_int_equal(get(s, r), 0);
	played(s, 1);
	played(p->zone, 2);
}

/* What was refused, or never left, is sent to the new zone once; also a write. */
static void a_write_that_was_not_executed_follows(void **state)
{
	static const char *const refusals[] = {
		FAILED("401 Unauthorized", ""),
		FAILED("404 Not Found", ""),
		"HTTP/1.1 308 Moved\r\nLocation: https://evil.example.net/\r\n\r\n",
		FAILED("500 X", "{\"errors\":[\"This database is in another zone.\"]}"),
		NULL,           /* nobody listens */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		void *own = NULL, *old_state = NULL;
		struct script *old;
		struct pair *p;
		int64_t id = 0;

		(void)pair_begin(&own);
		(void)script_begin(&old_state);
		p = own;
		old = old_state;
		if (refusals[i])
			PLAY(old, refusals[i]);
		else
			world_point_to(&old->w, "http://127.0.0.1:1");
		PLAY(p->zone, JSON("{\"itemId\":8}"));
		PLAY(p->home, moved(p));
		cache(p->home, USER, p->home->w.information, old->w.base, 0600);
		AUTO(rest) struct rest *r = opened(&p->home->w);
		assert_int_equal(rest_post(r, "TicketWebhooks", "{}", &id, &p->home->w.err), 0);
		assert_int_equal(id, 8);
		played(p->home, 1);
		played(p->zone, 1);
		(void)script_end(&old_state);
		(void)pair_end(&own);
	}
}

static void a_write_that_may_have_been_executed_does_not(void **state)
{
	static const char *const ends[] = { NOTHING, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", HTML("200 OK"), SILENCE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		void *own = NULL, *old_state = NULL;
		struct script *old;
		struct pair *p;

		(void)pair_begin(&own);
		(void)script_begin(&old_state);
		p = own;
		old = old_state;
		PLAY(old, ends[i]);
		PLAY(p->zone, JSON("{\"itemId\":8}"));
		PLAY(p->home, moved(p));
		p->home->w.options.whole_ms = 300;
		cache(p->home, USER, p->home->w.information, old->w.base, 0600);
		AUTO(rest) struct rest *r = opened(&p->home->w);
		assert_true(rest_post(r, "TicketWebhooks", "{}", NULL, &p->home->w.err) < 0);
		assert_said(&p->home->w, "whether it was done is unknown");
		played(p->home, 0);
		played(p->zone, 0);
		(void)script_end(&old_state);
		(void)pair_end(&own);
	}
}

/* 401 means wrong credentials nearly always: one look-up, the same zone, no second try; and not again for a while. */
static void the_same_zone_is_not_tried_again(void **state)
{
	struct script *s = *state;
	char url[128];

	PLAY(s, FAILED("401 X", ""), ZONE, FAILED("401 X", ""));
	(void)snprintf(url, sizeof(url), "%s/ATServicesRest/", s->w.base);
	cache(s, USER, s->w.information, url, 0600);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(get(s, r), -EACCES);
	assert_int_equal(get(s, r), -EACCES);
	assert_said(&s->w, "check username, secret and integration-code");
	played(s, 3);
}

static void a_look_up_that_fails_does_not_hide_why(void **state)
{
	struct script *s = *state;

	PLAY(s, FAILED("401 X", ""), FAILED("500 X", ""));
	cache(s, USER, s->w.information, s->w.base, 0600);
	AUTO(rest) struct rest *r = opened(&s->w);
	assert_int_equal(get(s, r), -EACCES);
	assert_said(&s->w, "GET Tickets/1: ");
	played(s, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_begin, script_end)
	const struct CMUnitTest tests[] = {
		TEST(every_form_of_url_is_taken),
		TEST(answers_that_are_no_zone),
		TEST(https_does_not_lead_to_plain_loopback),
		TEST(plain_http_is_asked_at_loopback_only),
		TEST(the_zone_is_kept_in_a_file),
		TEST(nothing_is_kept_without_a_directory),
		TEST(a_directory_that_cannot_be_does_no_harm),
		TEST(a_file_that_is_not_ours_is_not_believed),
		cmocka_unit_test_setup_teardown(a_dead_zone_is_looked_for_anew, pair_begin, pair_end),
		TEST(a_write_that_was_not_executed_follows),
		TEST(a_write_that_may_have_been_executed_does_not),
		TEST(the_same_zone_is_not_tried_again),
		TEST(a_look_up_that_fails_does_not_hide_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
