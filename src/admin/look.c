/*
 * look.c - asking a handler's runner whether the handler could run. The runner may have to be started
 * first, so the request sleeps; what the dispatcher gets stays in struct look until it calls back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/link.h"
#include "private.h"

struct look {
	struct later *later;
	struct dispatcher *dispatcher;
	char handler[CONF_NAME_MAX + 1];
};

static struct look *look_free(struct look *k)
{
	(void)later_unref(k->later);
	free(k);
	return NULL;
}
AUTO_DEFINE(look, struct look *, look_free)

static const char *const steps[] = {
	[WIRE_STEP_HANDLER] = "handler", [WIRE_STEP_PROGRAM] = "program", [WIRE_STEP_INTERPRETER] = "interpreter",
	[WIRE_STEP_ENV] = "env", [WIRE_STEP_LOADER] = "loader", [WIRE_STEP_SCRIPT] = "script",
	[WIRE_STEP_DIRECTORY] = "directory", [WIRE_STEP_FILE] = "file", [WIRE_STEP_NOEXEC] = "noexec",
	[WIRE_STEP_MEMORY] = "memory",
};
_Static_assert(ARRAY_LEN(steps) == WIRE_STEP_COUNT_, "every step needs a name");

static void write_found(struct writer *w, const struct link_looked *l)
{
	writer_array(w, "findings");
	for (size_t i = 0; i < l->count; i++) {
		const struct wire_found *f = &l->found[i];

		writer_object(w, NULL);
		writer_text(w, "step", steps[f->step]);
		writer_text(w, "path", f->path);
		writer_text(w, "place", f->place[0] ? f->place : NULL);
		writer_text(w, "error", strerror(f->code));
		writer_end(w);
	}
	writer_end(w);
}

static void on_looked(void *arg, const char *runner, const struct link_looked *l, const char *sentence)
{
	AUTO(look) struct look *k = arg;
	AUTO(writer) struct writer w = WRITER_INIT(ANSWER_MAX);
	struct answer a = { .status = 0 };

	if (!l) {
		answer_error(&a, MHD_HTTP_CONFLICT, "%s", sentence);
	} else {
		writer_object(&w, NULL);
		writer_text(&w, "handler", k->handler);
		writer_text(&w, "runner", runner);
		writer_int(&w, "uid", l->uid);
		write_found(&w, l);
		writer_end(&w);
		answer_json(&a, &w);
	}
	later_answer(k->later, &a);
}

static void on_main(void *arg)
{
	AUTO(look) struct look *k = arg;
	struct answer a = { .status = 0 };
	int r;

	if (!later_wanted(k->later))
		return;
	r = dispatcher_look(k->dispatcher, k->handler, on_looked, k);
	if (r == 0) {
		k = NULL;               /* on_looked() has it */
		return;
	}
	if (r == -ENOENT)
		answer_error(&a, MHD_HTTP_NOT_FOUND, "there is no handler %s", k->handler);
	else
		answer_no_memory(&a);
	later_answer(k->later, &a);
}

void get_look(struct request *q)
{
	AUTO(look) struct look *k = calloc(1, sizeof(*k));

	if (!k) {
		request_failed(q, -ENOMEM);
		return;
	}
	k->dispatcher = q->admin->dispatcher;
	(void)snprintf(k->handler, sizeof(k->handler), "%s", q->match.name);
	if (later_begin(q, &k->later) == 0 && later_post(k->later, q->admin->loop, on_main, k))
		k = NULL;               /* on_main() has it */
}
