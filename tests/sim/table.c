/* table.c - the rows of the simulated database, and keeping them over a restart. */
#include "sim.h"

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

static char *read_all(FILE *file)
{
	char *text = NULL;
	size_t size = 0;

	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

void state_load(struct sim *sim)
{
	FILE *file = sim->opt.state ? fopen(sim->opt.state, "re") : NULL;
	char *text = file ? read_all(file) : NULL;

	sim->data = text ? cJSON_Parse(text) : NULL;
	if (text && !sim->data)
		fprintf(stderr, "autotask-sim: %s is not JSON: beginning with nothing\n", sim->opt.state);
	if (!sim->data)
		sim->data = cJSON_CreateObject();
	free(text);
	if (file)
		fclose(file);
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
