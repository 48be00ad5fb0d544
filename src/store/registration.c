/* registration.c - what webhooks are at Autotask, as calloutctl found out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "reader.h"

int store_registration(struct store *s, const struct registration *n)
{
	struct bind b = bind_begin(s->st[ST_REGISTRATION_PUT]);

	bind_text(&b, n->webhook);
	bind_text(&b, n->guid);
	bind_int(&b, n->id);
	return bind_run(&b);
}

int reader_registrations(struct reader *r, int (*fn)(void *arg, const struct registration *n), void *arg)
{
	sqlite3_stmt *st = r->st[RD_REGISTRATIONS];
	int result;

	reader_begin(r);
	while ((result = sql_step(st)) > 0) {
		struct registration n = { .id = sqlite3_column_int64(st, 2) };

		column_text(st, 0, n.webhook, sizeof(n.webhook));
		column_text(st, 1, n.guid, sizeof(n.guid));
		result = fn(arg, &n);
		if (result != 0)
			break;
	}
	(void)sqlite3_reset(st);
	return result;
}
