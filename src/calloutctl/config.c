/* config.c - `calloutctl config` and `reload`. */
#include <string.h>

#include "private.h"

/* The daemon's text is a configuration: newlines stay, whatever else would steer a terminal does not. */
static void print_config(const struct buf *text)
{
	print_lines(stdout, "", text->data ? text->data : "", text->len);
}

static void print_as_json(const struct buf *text)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);

	writer_object(&w, NULL);
	writer_bytes(&w, "config", text->data, text->len);
	writer_end(&w);
	print_written(&w);
}

enum exit_status cmd_config(struct ctl *ctl)
{
	const struct request q = { .method = "GET", .path = "/v1/config", .timeout_ms = 30000 };
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status = client_call(ctl, &q, &a);

	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON])
		print_as_json(&a.body);
	else
		print_config(&a.body);
	return CTL_OK;
}

enum exit_status cmd_reload(struct ctl *ctl)
{
	const struct buf nothing = BUF_INIT(0);
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status = client_post(ctl, "/v1/reload", &nothing, &a);

	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON]) {
		print_json(stdout, &a.root);
		return CTL_OK;
	}

	AUTO(free) char *note = member_text(&a.root, "note");

	printf("reloaded%s%s\n", *note ? ": " : "", note);
	return CTL_OK;
}
