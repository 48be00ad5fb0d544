/* alert.c - alerts that wait to be told. */
#include "private.h"
#include "reader.h"

static int add(struct store *s, const struct alert_row *row)
{
	struct bind b = bind_begin(s->st[ST_ALERT_ADD]);

	bind_int(&b, row->kind);
	bind_int(&b, row->level);
	bind_text(&b, row->object);
	bind_int(&b, row->since_ms);
	bind_int(&b, row->last_ms);
	bind_int(&b, (int64_t)row->count);
	bind_int(&b, row->window_ms);
	bind_int(&b, row->told);
	bind_text(&b, row->text);
	return bind_run(&b);
}

int store_alerts(struct store *s, const struct alert_row *rows, size_t count)
{
	struct bind b = bind_begin(s->st[ST_ALERT_CLEAR]);
	int r = bind_run(&b);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = add(s, &rows[i]);
	return r;
}

static void fill(sqlite3_stmt *st, struct alert_row *row)
{
	row->kind = (unsigned)sqlite3_column_int64(st, 0);
	row->level = (unsigned)sqlite3_column_int64(st, 1);
	column_text(st, 2, row->object, sizeof(row->object));
	row->since_ms = sqlite3_column_int64(st, 3);
	row->last_ms = sqlite3_column_int64(st, 4);
	row->count = (uint64_t)sqlite3_column_int64(st, 5);
	row->window_ms = sqlite3_column_int64(st, 6);
	row->told = (unsigned)sqlite3_column_int64(st, 7);
	column_text(st, 8, row->text, sizeof(row->text));
}

int reader_alerts(struct reader *r, int (*fn)(void *arg, const struct alert_row *row), void *arg)
{
	sqlite3_stmt *st = r->st[RD_ALERTS];
	int result;

	reader_begin(r);
	while ((result = sql_step(st)) > 0) {
		struct alert_row row;

		fill(st, &row);
		result = fn(arg, &row);
		if (result != 0)
			break;
	}
	(void)sqlite3_reset(st);
	return result;
}
