/*
 * test_plan.c - what is wanted, what differs, and in which order it is mended.
 *
 * Children are written "94sd 95s": the field and its flags (subscribed, displayed); what Autotask has
 * is numbered from 1 on.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "autotask/plan.h"
#include "conf_test.h"

#define HOOK(more)                                                                   \
	"public-url = \"https://hooks.example.net\"\n"                                          \
	"webhook \"tickets\" { path = \"/t/1\" deactivation-path = \"/off/1\" secrets = { \"file:/s\" } " more " }\n"
#define SUBSCRIBE "subscribe { entity = \"Ticket\" events = { \"create\", \"delete\" } fields = { \"Status\" } "

/* ---- the plan ---- */

static void add_child(enum child_kind child, const char *at, size_t len, struct wanted_children *want,
		      struct remote_children *have)
{
	struct wanted_child c = { strtol(at, NULL, 10), NULL, memchr(at, 's', len), memchr(at, 'd', len) };

	(void)child;
	if (want) {
		want->items = reallocarray(want->items, want->count + 1, sizeof(c));
		want->items[want->count++] = c;
		return;
	}
	have->items = reallocarray(have->items, have->count + 1, sizeof(*have->items));
	have->items[have->count] = (struct remote_child){ (int64_t)have->count + 1, c.target, c.subscribed, c.displayed, NULL };
	have->count++;
}

static void children(enum child_kind child, const char *text, struct wanted_children *want, struct remote_children *have)
{
	while (text && *text) {
		size_t len = strcspn(text, " ");

		add_child(child, text, len, want, have);
		text += len + (text[len] == ' ');
	}
}

/* What a configured webhook has at Autotask when all is well. */
static struct remote_webhook as_wanted(const struct wanted *w)
{
	return (struct remote_webhook){
		.kind = w->kind, .id = 12, .name = strdup("tickets"), .guid = strdup("g"), .url = strdup(w->url),
		.deactivation_url = strdup(w->deactivation_url), .notify = strdup(""), .active = true, .ready = true,
		.creates = true, .deletes = true,
	};
}

/* "add:field:94; activate" */
static void short_form(const struct plan *p, char *dst, size_t cap)
{
	size_t n = 0;

	*dst = '\0';
	for (size_t i = 0; i < p->count; i++) {
		const struct step *s = &p->items[i];

		n += (size_t)snprintf(dst + n, cap - n, "%s%s", i ? "; " : "", step_word(s->kind));
		if (s->kind >= STEP_ADD && s->kind <= STEP_REMOVE)
			n += (size_t)snprintf(dst + n, cap - n, ":%s:%lld", child_rows[s->child].word,
					      (long long)(s->to ? s->to->target : s->id));
	}
}

static void load_wanted(const struct conf *c, struct wanted *ret)
{
	*ret = (struct wanted){ .kind = kind_find("Ticket"), .webhook = &c->webhooks[0] };
	ret->url = webhook_url(c, ret->webhook);
	ret->deactivation_url = webhook_deactivation_url(c, ret->webhook);
}

static void children_are_compared(void **state)
{
	static const struct {
		bool there, active;
		const char *want[CHILD_KINDS], *have[CHILD_KINDS];
		const char *plan;
	} rows[] = {
		{ true, true, { "94s" }, { "94s" }, "" },
		{ false, false, { "94s 95sd", "531d", "7 8" }, { NULL },
		  "create; add:field:94; add:field:95; add:udf-field:531; add:excluded-resource:7; add:excluded-resource:8; activate" },
		/* Cut at one point or another. */
		{ true, false, { "94s 95sd", "531d", "7" }, { NULL },
		  "add:field:94; add:field:95; add:udf-field:531; add:excluded-resource:7; activate" },
		{ true, false, { "94s 95sd", "531d", "7" }, { "94s 95sd" }, "add:udf-field:531; add:excluded-resource:7; activate" },
		{ true, false, { "94s 95sd", "531d", "7" }, { "95sd 94s", "531d", "7" }, "activate" },
		{ true, true, { "94s 95sd", "531d", "7" }, { "95sd 94s", "531d", "7" }, "" },
		/* In an active one something is subscribed at every moment: added, altered, then removed. */
		{ true, true, { "95s", "531s" }, { "94s" }, "add:field:95; add:udf-field:531; remove:field:1" },
		{ true, true, { "94s 95d" }, { "94d 95s 96s" }, "alter:field:94; alter:field:95; remove:field:3" },
		{ true, true, { "94s", NULL, "7" }, { "94s", NULL, "8 9" },
		  "add:excluded-resource:7; remove:excluded-resource:1; remove:excluded-resource:2" },
		/* Twice the same is once too many. */
		{ true, true, { "94s" }, { "94s 94s" }, "remove:field:2" },
		/* Lists that name nothing are left alone. */
		{ true, true, { "94s" }, { "94s", "531s", "7" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(conf) struct conf *c = load_good(HOOK(SUBSCRIBE "}"));
		AUTO(wanted) struct wanted w = { .kind = NULL };
		AUTO(present) struct present p = { .webhook = { .kind = NULL } };
		AUTO(plan) struct plan plan = { .items = NULL };
		char text[1000];

		load_wanted(c, &w);
		if (rows[i].there)
			p.webhook = as_wanted(&w);
		p.webhook.active = rows[i].active;
		for (enum child_kind k = 0; k < CHILD_KINDS; k++) {
			children(k, rows[i].want[k], &w.children[k], NULL);
			children(k, rows[i].have[k], NULL, &p.children[k]);
		}
		assert_int_equal(plan_make(&w, &p, &plan), 0);
		short_form(&plan, text, sizeof(text));
		assert_string_equal(text, rows[i].plan);
	}
}

static void set(char **text, const char *to)
{
	free(*text);
	*text = strdup(to);
}

static void properties_are_compared(void **state)
{
	static const struct {
		const char *setting;    /* in the subscribe section or the webhook */
		const char *words;      /* of the first step, NULL: nothing to do */
		const char *body;
		bool in_webhook;
	} rows[] = {
		{ "", NULL, NULL, false },
		{ "name = \"other\"", "change name from \"tickets\" to \"other\"", "{\"name\":\"other\"}\n", true },
		{ "notify = \"a@b.example\"", "change notificationEmailAddress from \"\" to \"a@b.example\"",
		  "{\"notificationEmailAddress\":\"a@b.example\"}\n", false },
		{ "owner = 7", "change ownerResourceID from 0 to 7", "{\"ownerResourceID\":7}\n", false },
		{ "threshold-notification = true owner = 7",
		  "change sendThresholdExceededNotification from false to true, ownerResourceID from 0 to 7",
		  "{\"sendThresholdExceededNotification\":true,\"ownerResourceID\":7}\n", false },
		{ "active = false", "change isActive from true to false", "{\"isActive\":false}\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char conf[1000];
		AUTO(writer) struct writer body = WRITER_INIT(1000);
		AUTO(wanted) struct wanted w = { .kind = NULL };
		AUTO(present) struct present p = { .webhook = { .kind = NULL } };
		AUTO(plan) struct plan plan = { .items = NULL };
		AUTO(free) char *text = NULL;
		size_t len;

		(void)snprintf(conf, sizeof(conf), HOOK("%s " SUBSCRIBE "%s }"), rows[i].in_webhook ? rows[i].setting : "",
			       rows[i].in_webhook ? "" : rows[i].setting);
		AUTO(conf) struct conf *c = load_good(conf);

		load_wanted(c, &w);
		p.webhook = as_wanted(&w);
		assert_int_equal(plan_make(&w, &p, &plan), 0);
		assert_int_equal(plan.count, rows[i].words ? 1 : 0);
		if (!rows[i].words)
			continue;
		assert_int_equal(plan.items[0].kind, STEP_CHANGE);
		assert_string_equal(plan.items[0].text, rows[i].words);
		writer_object(&body, NULL);
		plan_write_properties(&body, &w, plan.items[0].properties);
		writer_end(&body);
		assert_int_equal(writer_take(&body, &text, &len), 0);
		assert_string_equal(text, rows[i].body);
	}
}

static void every_property_is_compared(void **state)
{
	AUTO(conf) struct conf *c = load_good(HOOK(SUBSCRIBE "notify = \"a@b.example\" owner = 7 }"));
	AUTO(wanted) struct wanted w = { .kind = NULL };
	AUTO(present) struct present p = { .webhook = { .kind = NULL } };
	AUTO(plan) struct plan plan = { .items = NULL };

	(void)state;
	load_wanted(c, &w);
	p.webhook = as_wanted(&w);
	p.webhook.creates = p.webhook.deletes = false;
	p.webhook.updates = p.webhook.threshold_notification = true;
	p.webhook.owner = 8;
	set(&p.webhook.name, "x");
	set(&p.webhook.deactivation_url, "y");
	/* How it was found: in another case it is the same. */
	set(&p.webhook.url, "https://HOOKS.example.net/t/1");
	assert_int_equal(plan_make(&w, &p, &plan), 0);
	assert_int_equal(plan.count, 1);
	assert_string_equal(plan.items[0].text, "change name from \"x\" to \"tickets\", deactivationUrl from \"y\" to "
			    "\"https://hooks.example.net/off/1\", isSubscribedToCreateEvents from false to true, "
			    "isSubscribedToUpdateEvents from true to false, isSubscribedToDeleteEvents from false to true, "
			    "notificationEmailAddress from \"\" to \"a@b.example\", "
			    "sendThresholdExceededNotification from true to false, ownerResourceID from 8 to 7");
}

static void what_is_left_alone_is_told(void **state)
{
	AUTO(conf) struct conf *c = load_good(HOOK(SUBSCRIBE "}"));
	AUTO(wanted) struct wanted w = { .kind = NULL };
	AUTO(present) struct present p = { .webhook = { .kind = NULL } };
	AUTO(plan) struct plan plan = { .items = NULL };

	(void)state;
	load_wanted(c, &w);
	p.webhook = as_wanted(&w);
	p.webhook.owner = 9;
	p.webhook.ready = false;
	set(&p.webhook.notify, "somebody@example.net");
	children(CHILD_FIELD, "94s", &w.children[CHILD_FIELD], NULL);
	children(CHILD_FIELD, "94s", NULL, &p.children[CHILD_FIELD]);
	children(CHILD_UDF, "531s 532d", NULL, &p.children[CHILD_UDF]);
	children(CHILD_EXCLUDED, "7", NULL, &p.children[CHILD_EXCLUDED]);
	assert_int_equal(plan_make(&w, &p, &plan), 0);
	assert_int_equal(plan.count, 0);
	assert_int_equal(plan.notes.count, 3);
	assert_string_equal(plan.notes.items[0], "Autotask has 2 user-defined fields; they are left alone, since udf-fields and display-udf-fields name nothing.");
	assert_string_equal(plan.notes.items[1], "Autotask has 1 excluded resource; it is left alone, since exclude-resources names nothing.");
	assert_string_equal(plan.notes.items[2], "Autotask says that it is not ready to call out.");
}

static void an_inactive_one_stays_inactive(void **state)
{
	AUTO(conf) struct conf *c = load_good(HOOK(SUBSCRIBE "active = false }"));
	AUTO(wanted) struct wanted w = { .kind = NULL };
	AUTO(present) struct present p = { .webhook = { .kind = NULL } };
	AUTO(plan) struct plan plan = { .items = NULL };
	char text[200];

	(void)state;
	load_wanted(c, &w);
	children(CHILD_FIELD, "94s", &w.children[CHILD_FIELD], NULL);
	assert_int_equal(plan_make(&w, &p, &plan), 0);
	short_form(&plan, text, sizeof(text));
	assert_string_equal(text, "create; add:field:94");
	assert_string_equal(plan.items[0].text, "create Ticket webhook \"tickets\" for create, delete at https://hooks.example.net/t/1, inactive");
}

/* ---- what is wanted ---- */

/* Lists as if they had been read: nobody is asked. */
static void known_lists(struct picklists *lists)
{
	const struct kind *ticket = kind_find("Ticket");
	size_t at = 2 * (size_t)(ticket - kinds);

	lists->items = calloc(2 * kind_count, sizeof(*lists->items));
	lists->known = calloc(2 * kind_count, sizeof(*lists->known));
	for (size_t i = 0; i < 2 * kind_count; i++)
		lists->known[i] = true;
	lists->items[at].items = calloc(2, sizeof(struct pick));
	lists->items[at].items[0] = (struct pick){ 94, strdup("Status"), true };
	lists->items[at].items[1] = (struct pick){ 95, strdup("Priority"), true };
	lists->items[at].count = 2;
	lists->items[at + 1].items = calloc(1, sizeof(struct pick));
	lists->items[at + 1].items[0] = (struct pick){ 531, strdup("Site Code"), true };
	lists->items[at + 1].count = 1;
}

#define LONG_300 LONG_100 LONG_100 LONG_100
#define LONG_100 LONG_50 LONG_50
#define LONG_50 "12345678901234567890123456789012345678901234567890"

static void what_cannot_be_is_said(void **state)
{
	static const struct {
		const char *conf;
		int result;
		const char *says;
	} rows[] = {
		{ HOOK(SUBSCRIBE "}"), 0, "" },
		{ HOOK(""), -EINVAL, "has no section 'subscribe'" },
		{ "webhook \"x\" { path = \"/x\" deactivation-path = \"/y\" secrets = { \"file:/s\" } " SUBSCRIBE "} }\n", -EINVAL,
		  "public-url is not set" },
		{ "public-url = \"https://h\"\nwebhook \"x\" { path = \"/x\" secrets = { \"file:/s\" } " SUBSCRIBE "} }\n", -EINVAL,
		  ":2: webhook \"x\": deactivation-path is not set" },
		{ HOOK("subscribe { entity = \"Ticket\" events = { \"create\" } display-fields = { \"Status\" } }"), -EINVAL,
		  "neither fields nor udf-fields names a field" },
		{ HOOK("subscribe { entity = \"Project\" events = { \"create\" } fields = { \"Status\" } }"), -EINVAL,
		  "nothing is known of webhooks of 'Project'; there are: Company, " },
		{ HOOK("subscribe { entity = \"TicketNote\" events = { \"create\" } udf-fields = { \"Status\" } }"), -EINVAL,
		  "udf-fields: webhooks of TicketNote have no user-defined fields" },
		{ HOOK("subscribe { entity = \"Ticket\" events = { \"create\" } fields = { \"Statsu\" } }"), -ENOENT,
		  ":2: webhook \"tickets\": fields: there is no field 'Statsu'; did you mean 'Status'?" },
		{ HOOK(SUBSCRIBE "display-udf-fields = { \"Site\" } }"), -ENOENT,
		  "display-udf-fields: there is no field 'Site'; did you mean 'Site Code'?" },
		{ "public-url = \"https://h/" LONG_100 LONG_100 LONG_50 "\"\nwebhook \"x\" { path = \"/" LONG_300 "\" "
		  "deactivation-path = \"/y\" secrets = { \"file:/s\" } " SUBSCRIBE "} }\n", -EINVAL,
		  "public-url with path has 561 characters, Autotask takes 500" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(conf) struct conf *c = load_good(rows[i].conf);
		AUTO(picklists) struct picklists lists = { .rest = NULL };
		AUTO(wanted) struct wanted w = { .kind = NULL };
		struct error err = { "" };

		known_lists(&lists);
		assert_int_equal(wanted_make(c, &c->webhooks[0], &lists, &w, &err), rows[i].result);
		if (!strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
	}
}

static void names_become_ids(void **state)
{
	AUTO(conf) struct conf *c = load_good(HOOK("subscribe { entity = \"ticket\" events = { \"create\" } fields = { \"status\", \"95\" } "
						   "display-fields = { \"Status\" } display-udf-fields = { \"sitecode\" } exclude-resources = { 7, 8 } }"));
	AUTO(picklists) struct picklists lists = { .rest = NULL };
	AUTO(wanted) struct wanted w = { .kind = NULL };
	struct error err = { "" };

	(void)state;
	known_lists(&lists);
	assert_int_equal(wanted_make(c, &c->webhooks[0], &lists, &w, &err), 0);
	assert_int_equal(w.children[CHILD_FIELD].count, 2);
	assert_string_equal(w.children[CHILD_FIELD].items[0].name, "Status");
	assert_true(w.children[CHILD_FIELD].items[0].subscribed && w.children[CHILD_FIELD].items[0].displayed);
	assert_int_equal(w.children[CHILD_FIELD].items[1].target, 95);
	assert_false(w.children[CHILD_FIELD].items[1].displayed);
	assert_int_equal(w.children[CHILD_UDF].items[0].target, 531);
	assert_false(w.children[CHILD_UDF].items[0].subscribed);
	assert_int_equal(w.children[CHILD_EXCLUDED].count, 2);
	assert_null(w.children[CHILD_EXCLUDED].items[1].name);
	assert_false(w.children[CHILD_EXCLUDED].items[1].displayed);
}

/* ---- whose ---- */

static void whose_it_is(void **state)
{
	static const struct {
		const char *entity, *url;
		int ours;               /* index, or -1 */
		bool orphaned;
	} rows[] = {
		{ "Ticket", "https://hooks.example.net/t/1", 0, false },
		{ "Ticket", "HTTPS://Hooks.Example.NET/t/1", 0, false },
		{ "Ticket", "https://hooks.example.net/T/1", -1, true },
		{ "Ticket", "https://hooks.example.net/t/1/", -1, true },
		{ "Company", "https://hooks.example.net/t/1", -1, true },
		{ "Ticket", "https://hooks.example.net/t/2", -1, false },     /* without subscribe: looked after by hand */
		{ "Company", "https://hooks.example.net/t/3", 2, false },
		{ "Ticket", "https://hooks.example.net/gone", -1, true },
		{ "Ticket", "https://hooks.example.net", -1, false },
		{ "Ticket", "https://hooks.example.net.evil.example/t/1", -1, false },
		{ "Ticket", "https://other.example.net/t/1", -1, false },
		{ "Ticket", "", -1, false },
	};
	AUTO(conf) struct conf *c = load_good(HOOK(SUBSCRIBE "}")
		"webhook \"hand\" { path = \"/t/2\" secrets = { \"file:/s\" } }\n"
		"webhook \"companies\" { path = \"/t/3\" secrets = { \"file:/s\" } "
		"subscribe { entity = \"Accounts\" events = { \"update\" } } }\n");
	AUTO(conf) struct conf *unknown = load_good("webhook \"x\" { path = \"/t/1\" secrets = { \"file:/s\" } " SUBSCRIBE "} }\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char url[200];
		const struct remote_webhook w = { .kind = kind_find(rows[i].entity), .url = url };

		(void)snprintf(url, sizeof(url), "%s", rows[i].url);
		assert_ptr_equal(webhook_whose(c, &w), rows[i].ours < 0 ? NULL : &c->webhooks[rows[i].ours]);
		assert_int_equal(webhook_orphaned(c, &w), rows[i].orphaned);
		/* Without public-url nothing is ours. */
		assert_null(webhook_whose(unknown, &w));
		assert_false(webhook_orphaned(unknown, &w));
	}
}

static void several_of_one_are_given(void **state)
{
	AUTO(conf) struct conf *c = load_good(HOOK(SUBSCRIBE "}"));
	char ours[] = "https://hooks.example.net/t/1", other[] = "https://hooks.example.net/t/2";
	struct remote_webhook items[] = {
		{ .kind = kind_find("Ticket"), .id = 1, .url = other }, { .kind = kind_find("Ticket"), .id = 2, .url = ours },
		{ .kind = kind_find("Contact"), .id = 3, .url = ours }, { .kind = kind_find("Ticket"), .id = 4, .url = ours },
	};
	const struct remote_webhooks list = { items, ARRAY_LEN(items) };
	size_t at = 0;

	(void)state;
	assert_int_equal(webhook_of(c, &c->webhooks[0], &list, &at)->id, 2);
	assert_int_equal(webhook_of(c, &c->webhooks[0], &list, &at)->id, 4);
	assert_null(webhook_of(c, &c->webhooks[0], &list, &at));
	assert_null(webhook_of(c, &c->webhooks[0], &list, &at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_are_compared),
		cmocka_unit_test(properties_are_compared),
		cmocka_unit_test(every_property_is_compared),
		cmocka_unit_test(what_is_left_alone_is_told),
		cmocka_unit_test(an_inactive_one_stays_inactive),
		cmocka_unit_test(what_cannot_be_is_said),
		cmocka_unit_test(names_become_ids),
		cmocka_unit_test(whose_it_is),
		cmocka_unit_test(several_of_one_are_given),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
