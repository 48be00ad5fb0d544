/* forget.c - `calloutctl forget`: one record's content removed for good, and what that was. */
#include <inttypes.h>

#include "private.h"

static void line(const struct json_value *root, const char *name, const char *what)
{
	printf("  %6" PRId64 "  %s\n", member_number(root, name), what);
}

static void print_done(const struct json_value *root)
{
	AUTO(free) char *record = member_text(root, "record");
	bool dry = member_true(root, "dry_run");

	printf("%s %s:\n", dry ? "Would be removed of" : "Removed of", record);
	line(root, "bodies", "bodies of callouts");
	line(root, "headers", "headers of callouts");
	line(root, "outputs", "outputs of handlers");
	line(root, "shared_outputs", "outputs kept with other events of runs it was part of");
	line(root, "captures", "captured requests");
	line(root, "copies", "copies of the database from before an upgrade (calloutd.db.vN)");
	if (dry) {
		line(root, "waiting", "deliveries wait and would have to be dropped (--drop-waiting)");
		line(root, "running", "deliveries run and would have to end first");
	} else {
		line(root, "dropped", "deliveries that waited were dropped");
		line(root, "leftovers", "places in the database where something removed was left, overwritten");
	}
	printf("What stays: that %" PRId64 " events came, when, and what became of them, until keep is over.\n"
	       "Not reached: what handlers kept or sent on, their lines in the journal, files written by\n"
	       "`calloutctl capture`, backups, and what other records' texts say of it.\n", member_number(root, "events"));
}

enum exit_status cmd_forget(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf body = BUF_INIT(TEXT_MAX);
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	const char *entity = ctl->option[OPT_ENTITY], *text = ctl->option[OPT_ID];
	enum exit_status status;
	int64_t id;

	if (!entity || !text)
		return misused(ctl, "which record? --entity NAME --id N");
	if (!read_number(text, &id))
		return misused(ctl, "--id takes a record's number, not '%s'", text);
	writer_object(&w, NULL);
	writer_text(&w, "entity", entity);
	writer_int(&w, "id", id);
	writer_bool(&w, "dry_run", ctl->option[OPT_DRY_RUN]);
	writer_bool(&w, "drop_waiting", ctl->option[OPT_DROP_WAITING]);
	writer_end(&w);
	take_json(&w, &body);
	status = client_post(ctl, "/v1/forget", &body, &a);
	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON])
		print_json(stdout, &a.root);
	else
		print_done(&a.root);
	if (!member_number(&a.root, "events"))
		return complain(CTL_NO, "no event of that record is known: are entity and number right?");
	return CTL_OK;
}
