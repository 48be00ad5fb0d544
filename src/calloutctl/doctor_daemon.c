/* doctor_daemon.c - the doctor hears what calloutd itself says. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

#define GUARD_DUE_MS (3600 * INT64_C(1000))     /* it looks every 15 minutes */

/* ---- what the daemon says ---- */

/* That a handler cannot run its runner tells better, among the handlers. */
static bool is_about_handler(struct doctor *d, const char *problem)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, h;

	while (member(&d->status.root, "handlers", &list) && list.kind == JSON_ARRAY && json_next_element(&list, &c, &h)) {
		AUTO(free) char *unusable = member_text(&h, "unusable");

		if (*unusable && strstr(problem, unusable))
			return true;
	}
	return false;
}

static unsigned tell_problems(struct doctor *d)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, problem;
	unsigned n = 0;

	while (member(&d->status.root, "problems", &list) && list.kind == JSON_ARRAY && json_next_element(&list, &c, &problem)) {
		AUTO(free) char *text = value_text(&problem);

		n++;
		if (!is_about_handler(d, text))
			doctor_tell(d, LEVEL_ERROR, "", "%s", text);
	}
	return n;
}

static void look_at_webhook(struct doctor *d, const struct json_value *w)
{
	int64_t expected_ms = member_ms(w, "expected_before"), failing = member_number(w, "unavailable_in_a_row");
	AUTO(free) char *title = member_text(w, "webhook");
	AUTO(free) char *last = member_when(w, "last_callout");
	struct json_value callouts;

	if (expected_ms && expected_ms <= member_ms(&d->status.root, "now"))
		doctor_tell(d, LEVEL_WARNING, "is it active at Autotask? calloutctl webhook list; and see the way in, below",
			    "webhook %s is silent: no callout within expect-every (the last: %s)", title,
			    *last ? last : "none since the start");
	if (failing)
		doctor_tell(d, LEVEL_WARNING, "", "webhook %s: the latest %" PRId64 " callouts could not be stored; after 25 in a row Autotask switches it off",
			    title, failing);
	if (member(w, "callouts", &callouts) && member_number(&callouts, "signature") && !member_number(&callouts, "stored"))
		doctor_tell(d, LEVEL_WARNING, "calloutctl capture, then calloutctl verify --file FILE, says why; is its secret at Autotask the one here?",
			    "webhook %s: %" PRId64 " callouts since the start had a wrong signature, and none a right one", title,
			    member_number(&callouts, "signature"));
	if (member_number(w, "guid_mismatches"))
		doctor_tell(d, LEVEL_WARNING, "calloutctl webhook list shows them",
			    "webhook %s: another webhook at Autotask calls its path, too", title);
}

static void look_at_dead_letters(struct doctor *d, const struct json_value *h)
{
	AUTO(free) char *name = member_text(h, "handler");
	AUTO(free) char *remedy = text_printf("calloutctl events --state failed --handler %s; mend it, then calloutctl retry --failed --handler %s",
					      name, name);

	if (member_number(h, "failed"))
		doctor_tell(d, LEVEL_WARNING, remedy, "handler %s: %" PRId64 " deliveries have failed for good", name,
			    member_number(h, "failed"));
}

static void each(struct doctor *d, const char *name, void (*look)(struct doctor *d, const struct json_value *item))
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, item;

	while (member(&d->status.root, name, &list) && list.kind == JSON_ARRAY && json_next_element(&list, &c, &item))
		look(d, &item);
}

static void look_at_guard(struct doctor *d)
{
	int64_t runs_ms = member_ms(&d->status.root, "now") - member_ms(&d->status.root, "started");
	struct json_value guard = { .kind = JSON_NULL };

	if (!d->conf || !d->conf->autotask)
		return;
	if ((!member(&d->status.root, "guard", &guard) || guard.kind != JSON_OBJECT) && runs_ms < GUARD_DUE_MS)
		return;
	if (guard.kind != JSON_OBJECT)
		doctor_tell(d, LEVEL_WARNING, "systemctl enable --now calloutd-guard.timer calloutd-guard.path; or calloutctl guard once",
			    "guard has not looked at Autotask since calloutd's start: a webhook that is switched off stays off");
	else if (member_true(&guard, "ok"))
		doctor_ok(d, "guard's last look found nothing that needs a person");
}

static void look_at_alerts(struct doctor *d)
{
	struct json_value alerts;

	if (member(&d->status.root, "alerts", &alerts) && !member_true(&alerts, "configured"))
		doctor_tell(d, LEVEL_OK, "to be told, add a section alert: calloutd.conf(5), contrib/handlers/alert-mail.sh",
			    "nobody is told when something goes wrong, since there is no section alert");
}

void doctor_daemon(struct doctor *d)
{
	AUTO(free) char *version = NULL;

	if (!d->answers)
		return;
	version = member_text(&d->status.root, "version");
	if (strcmp(version, CALLOUTD_VERSION) != 0)
		doctor_tell(d, LEVEL_WARNING, "systemctl restart calloutd",
			    "calloutd is version %s, calloutctl %s", version, CALLOUTD_VERSION);
	if (!tell_problems(d))
		doctor_ok(d, "calloutd %s runs and has no complaint", version);
	each(d, "webhooks", look_at_webhook);
	each(d, "handlers", look_at_dead_letters);
	look_at_guard(d);
	look_at_alerts(d);
}
