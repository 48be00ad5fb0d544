/* table.c - columns of text, as wide as their widest cell; colour only on a terminal. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define GAP 2
#define CELL_MAX 64             /* columns of a cell, but the last of a row */

char *text_vprintf(const char *fmt, va_list args)
{
	char *text = NULL;
	int r = vasprintf(&text, fmt, args);

	return need(r < 0 ? NULL : text);
}

char *text_printf(const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	text = text_vprintf(fmt, args);
	va_end(args);
	return text;
}

const char *paint_on(const struct ctl *ctl, enum paint paint)
{
	static const char *const codes[] = {
		[PAINT_NONE] = "",
		[PAINT_BAD] = "\033[1;31m",
		[PAINT_WAIT] = "\033[33m",
		[PAINT_HEAD] = "\033[1m",
	};

	return ctl->colour ? codes[paint] : "";
}

const char *paint_off(const struct ctl *ctl, enum paint paint)
{
	return ctl->colour && paint != PAINT_NONE ? "\033[0m" : "";
}

void table_begin(struct table *t, const char *const *heads)
{
	*t = (struct table){ .heads = heads };
	while (heads[t->columns])
		t->columns++;
}

void table_add(struct table *t, char *text, enum paint paint)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->cells = need(reallocarray(t->cells, t->cap, sizeof(*t->cells)));
	}
	t->cells[t->count++] = (struct cell){ text, paint };
}

static const char *head_text(const struct table *t, size_t column)
{
	return t->heads[column] + strspn(t->heads[column], "?>");
}

static bool is_right(const struct table *t, size_t column)
{
	return t->heads[column][*t->heads[column] == '?'] == '>';
}

static bool is_left_out(const struct table *t, size_t column)
{
	if (*t->heads[column] != '?')
		return false;
	for (size_t i = column; i < t->count; i += t->columns)
		if (*t->cells[i].text && strcmp(t->cells[i].text, "0") != 0)
			return false;
	return true;
}

static void put_blanks(size_t n)
{
	printf("%*s", (int)n, "");
}

/* One cell, padded unless it ends the row. */
static void print_cell(const struct ctl *ctl, const char *text, enum paint paint, size_t width,
		       bool right, bool last)
{
	size_t columns = text_width(text), fits = strlen(text);
	bool cut = !last && columns > width;

	if (cut) {
		fits = text_fit(text, width - 1);
		columns = width;
	}
	if (right && columns < width)
		put_blanks(width - columns);
	printf("%s%.*s%s%s", paint_on(ctl, paint), (int)fits, text, cut ? "\u2026" : "", paint_off(ctl, paint));
	if (!last)
		put_blanks(GAP + (right || columns > width ? 0 : width - columns));
}

/* As wide as their widest cell; of what is left out 0. */
static size_t *measure(const struct table *t)
{
	size_t *widths = need(calloc(t->columns, sizeof(*widths)));

	for (size_t i = 0; i < t->columns; i++)
		widths[i] = is_left_out(t, i) ? 0 : text_width(head_text(t, i));
	for (size_t i = 0; i < t->count; i++) {
		size_t width = text_width(t->cells[i].text), *widest = &widths[i % t->columns];

		width = width < CELL_MAX ? width : CELL_MAX;
		if (*widest && width > *widest)
			*widest = width;
	}
	return widths;
}

/* The last column is never left out, since it ends the row. */
void table_end(struct table *t, const struct ctl *ctl)
{
	size_t *widths;

	if (!t->columns)
		return;
	widths = measure(t);
	for (size_t i = 0; i < t->columns; i++)
		if (widths[i])
			print_cell(ctl, head_text(t, i), PAINT_HEAD, widths[i], is_right(t, i), i + 1 == t->columns);
	putchar('\n');
	for (size_t i = 0; i < t->count; i++) {
		size_t column = i % t->columns;

		if (widths[column])
			print_cell(ctl, t->cells[i].text, t->cells[i].paint, widths[column], is_right(t, column),
				   column + 1 == t->columns);
		if (column + 1 == t->columns)
			putchar('\n');
		free(t->cells[i].text);
	}
	free(t->cells);
	free(widths);
	*t = (struct table){ .heads = t->heads };
}
