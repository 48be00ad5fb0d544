/* table.c - the rows of the simulated database, and keeping them over a restart. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cJSON *table_rows(struct sim *sim, const char *table)
{
	cJSON *rows = cJSON_GetObjectItemCaseSensitive(sim->data, table);

	return rows ? rows : cJSON_AddArrayToObject(sim->data, table);
}

double number_of(const cJSON *row, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(row, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

bool is_true(const cJSON *row, const char *name) { return cJSON_IsTrue(cJSON_GetObjectItem(row, name)); }

const char *text_of(const cJSON *row, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(row, name));

	return text ? text : "";
}

cJSON *table_find(struct sim *sim, const char *table, double id)
{
	cJSON *row;

	cJSON_ArrayForEach(row, table_rows(sim, table))
		if (number_of(row, "id") == id)
			return row;
	return NULL;
}

double next_number(struct sim *sim, const char *counter)
{
	cJSON *counters = cJSON_GetObjectItem(sim->data, "counters");
	cJSON *item;

	if (!counters)
		counters = cJSON_AddObjectToObject(sim->data, "counters");
	item = cJSON_GetObjectItem(counters, counter);
	if (!item)
		item = cJSON_AddNumberToObject(counters, counter, 0);
	return cJSON_SetNumberHelper(item, item->valuedouble + 1);
}

/* Takes the row; an id that it brings stays, so that tests may choose one. */
double table_insert(struct sim *sim, const char *table, cJSON *row)
{
	double id = number_of(row, "id");

	if (id < 1) {
		do
			id = next_number(sim, table);
		while (table_find(sim, table, id));
		cJSON_DeleteItemFromObject(row, "id");
		cJSON_AddNumberToObject(row, "id", id);
	}
	cJSON_AddItemToArray(table_rows(sim, table), row);
	return id;
}

void table_delete(struct sim *sim, const char *table, double id)
{
	cJSON *rows = table_rows(sim, table);
	cJSON *row = table_find(sim, table, id);

	if (row)
		cJSON_Delete(cJSON_DetachItemViaPointer(rows, row));
}

static void unusable(const char *path, const char *why)
{
	fprintf(stderr, "autotask-sim: %s %s; remove the file to begin with nothing\n", path, why);
	exit(1);
}

static char *read_all(const char *path, FILE *file)
{
	char *text = NULL;
	size_t size = 0;

	if (getdelim(&text, &size, '\0', file) < 1)
		unusable(path, ferror(file) ? "cannot be read" : "is empty");
	return text;
}

/* Lists of rows that are objects with a number, and the counters. */
static bool is_state(const cJSON *data)
{
	const cJSON *table, *row;

	if (!cJSON_IsObject(data))
		return false;
	cJSON_ArrayForEach(table, data) {
		if (cJSON_IsObject(table) && !strcmp(table->string, "counters"))
			continue;
		if (!cJSON_IsArray(table))
			return false;
		cJSON_ArrayForEach(row, table)
			if (!cJSON_IsObject(row) || number_of(row, "id") < 1)
				return false;
	}
	return true;
}

/* Only a file that is not there means a new beginning; a damaged one is never overwritten. */
void state_load(struct sim *sim)
{
	const char *path = sim->opt.state;
	FILE *file = path ? fopen(path, "re") : NULL;
	char *text;

	if (path && !file && errno != ENOENT)
		unusable(path, "cannot be opened");
	if (!file) {
		sim->data = cJSON_CreateObject();
		return;
	}
	text = read_all(path, file);
	fclose(file);
	sim->data = cJSON_ParseWithOpts(text, NULL, true);
	free(text);
	if (!is_state(sim->data))
		unusable(path, "is damaged: no state of a simulator");
}

/* A new file beside it and a rename: a killed simulator leaves the old one whole. */
void state_save(struct sim *sim)
{
	char path[4096];
	char *text;
	FILE *file;
	bool good;

	if (!sim->opt.state)
		return;
	snprintf(path, sizeof(path), "%s.new", sim->opt.state);
	file = fopen(path, "we");
	text = cJSON_PrintUnformatted(sim->data);
	good = file && text && fputs(text, file) >= 0;
	if (file && fclose(file))
		good = false;
	if (!good || rename(path, sim->opt.state))
		fprintf(stderr, "autotask-sim: cannot write %s\n", path);
	free(text);
}
