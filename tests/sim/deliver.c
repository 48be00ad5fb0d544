/* deliver.c - sending callouts as the vendor does: in order, five attempts, the error log, deactivation. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 5, FAILED_EVENTS = 25, RETRY_MS = 30000, HOUR_MS = 3600000, LOGGED_CHARS = 8000 };

static const char ERRORS[] = "WebhookEventErrorLogs";

struct event {
	struct event *next;
	char *payload;
	char *url;              /* of a deactivation; NULL: the webhook's own */
	char secret[260];       /* 64 characters of UTF-8 */
	double sequence;
	cJSON *delivery;        /* belongs to sim->deliveries */
};

struct line {
	struct line *next;
	struct sim *sim;
	const struct entity *entity;
	double id;
	unsigned failed;        /* events in a row */
	bool runs;
	struct event *events;
};

static struct line *line_of(struct sim *sim, const struct entity *entity, double id)
{
	struct line *line;

	for (line = sim->lines; line; line = line->next)
		if (line->entity == entity && line->id == id)
			return line;
	line = calloc(1, sizeof(*line));
	if (!line)
		abort();
	*line = (struct line){ .next = sim->lines, .sim = sim, .entity = entity, .id = id };
	return sim->lines = line;
}

static cJSON *webhook_of(const struct line *line)
{
	struct collection col;

	collection_of(line->entity, KIND_WEBHOOK, &col);
	return table_find(line->sim, col.table, line->id);
}

static void set_state(cJSON *delivery, const char *state)
{
	cJSON_ReplaceItemInObject(delivery, "state", cJSON_CreateString(state));
}

static void free_event(struct event *event)
{
	free(event->payload);
	free(event->url);
	free(event);
}

static void note_attempt(cJSON *delivery, long status, const char *error, int64_t took_ms)
{
	cJSON *row = cJSON_CreateObject();
	char when[32];

	time_text(now_ms(), false, when);
	cJSON_AddStringToObject(row, "ended", when);
	cJSON_AddNumberToObject(row, "status", (double)status);
	cJSON_AddStringToObject(row, "error", error);
	cJSON_AddNumberToObject(row, "took_ms", (double)took_ms);
	cJSON_AddItemToArray(cJSON_GetObjectItem(delivery, "attempts"), row);
}

/* Locked on entry and return; the event stays the line's first, as only this thread takes it off. */
static bool attempt(struct line *line, struct event *event, char *url, char error[CURL_ERROR_SIZE])
{
	struct sim *sim = line->sim;
	char signature[40] = "";
	int64_t began_ms = now_ms();
	enum cut cut = event->url ? CUT_NONE : cut_next(sim);
	long status;

	if (!event->url)
		payload_sign(event->secret, event->payload, signature);
	error[0] = '\0';
	pthread_mutex_unlock(&sim->lock);
	status = post(sim, url, event->payload, signature, cut, error);
	pthread_mutex_lock(&sim->lock);
	if (cut != CUT_NONE)
		snprintf(error, CURL_ERROR_SIZE, "broken off, as /sim/cut asked: %s", cut == CUT_HALF ? "half of it sent" : "answer not read");
	if (status && status / 100 != 2)
		snprintf(error, CURL_ERROR_SIZE, "the receiver answered HTTP %ld", status);
	note_attempt(event->delivery, status, error, now_ms() - began_ms);
	return status / 100 == 2;
}

/* Waits so many of the vendor's milliseconds or until the simulator stops. */
static void pause_line(struct sim *sim, double vendor_ms)
{
	int64_t until_ms = now_ms() + (int64_t)(vendor_ms / sim->opt.clock_factor);
	struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };

	while (!sim->stop && now_ms() < until_ms)
		pthread_cond_timedwait(&sim->changed, &sim->lock, &until);
}

static void log_error(struct line *line, const struct event *event, const char *error)
{
	cJSON *row = cJSON_CreateObject();
	char when[32];
	char *cut = strndup(event->payload, LOGGED_CHARS);

	time_text(now_ms(), true, when);
	cJSON_AddItemToObject(row, "accountWebhookID", strcmp(line->entity->wire, "Account") ?
		cJSON_CreateNull() : cJSON_CreateNumber(line->id));
	cJSON_AddItemToObject(row, "contactWebhookID", strcmp(line->entity->wire, "Contact") ?
		cJSON_CreateNull() : cJSON_CreateNumber(line->id));
	cJSON_AddStringToObject(row, "createDateTime", when);
	cJSON_AddStringToObject(row, "errorMessage", error);
	cJSON_AddStringToObject(row, "payload", cut);
	cJSON_AddNumberToObject(row, "sequenceNumber", event->sequence);
	table_insert(line->sim, ERRORS, row);
	free(cut);
}

/* Rows are in the order of their making. */
void errors_expire(struct sim *sim)
{
	cJSON *rows = table_rows(sim, ERRORS);
	double life_ms = sim->opt.error_days * 24 * HOUR_MS / sim->opt.clock_factor;
	int64_t made_ms;

	while (sim->opt.error_days > 0 && rows->child && time_of(text_of(rows->child, "createDateTime"), &made_ms) &&
	       (double)(now_ms() - made_ms) >= life_ms)
		cJSON_DeleteItemFromArray(rows, 0);
}

static void deactivate(struct line *line)
{
	cJSON *webhook = webhook_of(line);

	line->failed = 0;
	if (!webhook)
		return;
	cJSON_ReplaceItemInObject(webhook, "isActive", cJSON_CreateFalse());
	deliver_deactivation(line->sim, line->entity, webhook);
}

static void settle(struct line *line, struct event *event, bool good, const char *error)
{
	set_state(event->delivery, good ? "delivered" : "failed");
	if (event->url)
		return;
	if (good) {
		line->failed = 0;
		return;
	}
	log_error(line, event, error);
	mail_send(line->sim, line->entity, webhook_of(line), "failure", error);
	if (++line->failed >= FAILED_EVENTS)
		deactivate(line);
	state_save(line->sim);
}

/* Beyond the threshold of its hour, callouts of an entity wait for the next. */
static void wait_turn(struct line *line)
{
	struct sim *sim = line->sim;
	struct hour *hour = &sim->callouts[line->entity - entities];
	double left_ms;

	while (sim->opt.callout_limit && !sim->stop) {
		left_ms = HOUR_MS - (double)(now_ms() - hour->began_ms) * sim->opt.clock_factor;
		if (left_ms <= 0)
			*hour = (struct hour){ .began_ms = now_ms() };
		if (hour->count < sim->opt.callout_limit)
			break;
		if (is_true(webhook_of(line), "sendThresholdExceededNotification"))
			mail_send(sim, line->entity, webhook_of(line), "threshold", "more callouts in an hour than the threshold");
		pause_line(sim, left_ms);
	}
	hour->count++;
}

/* A deactivation gets one call: whether the vendor repeats it is not published. */
static void send_event(struct line *line, struct event *event)
{
	char error[CURL_ERROR_SIZE] = "the webhook is gone or inactive";
	bool good = false;

	if (!event->url)
		wait_turn(line);
	for (int tried = 0; tried < (event->url ? 1 : ATTEMPTS) && !good && !line->sim->stop; tried++) {
		const cJSON *webhook;
		char *url;

		if (tried)
			pause_line(line->sim, RETRY_MS);
		webhook = webhook_of(line);
		if (line->sim->stop || (!event->url && (!webhook || !is_true(webhook, "isActive"))))
			break;
		url = strdup(event->url ? event->url : text_of(webhook, "webhookUrl"));
		if (!event->url)
			snprintf(event->secret, sizeof(event->secret), "%s", text_of(webhook, "secretKey"));
		good = attempt(line, event, url, error);
		free(url);
	}
	if (!line->sim->stop)
		settle(line, event, good, error);
}

static void *run_line(void *arg)
{
	struct line *line = arg;
	struct sim *sim = line->sim;

	pthread_mutex_lock(&sim->lock);
	while (line->events && !sim->stop) {
		struct event *event = line->events;

		send_event(line, event);
		line->events = event->next;
		free_event(event);
	}
	line->runs = false;
	sim->running--;
	pthread_cond_broadcast(&sim->changed);
	pthread_mutex_unlock(&sim->lock);
	return NULL;
}

static void start_line(struct line *line)
{
	pthread_t thread;

	if (line->runs)
		return;
	if (pthread_create(&thread, NULL, run_line, line))
		abort();
	pthread_detach(thread);
	line->runs = true;
	line->sim->running++;
}

static cJSON *new_delivery(struct line *line, const struct event *event)
{
	cJSON *row = cJSON_CreateObject();
	cJSON *list = line->sim->deliveries;

	cJSON_AddStringToObject(row, "kind", event->url ? "deactivation" : "callout");
	cJSON_AddStringToObject(row, "entity", line->entity->name);
	cJSON_AddNumberToObject(row, "webhook", line->id);
	cJSON_AddNumberToObject(row, "sequence", event->sequence);
	cJSON_AddStringToObject(row, "state", "waiting");
	cJSON_AddStringToObject(row, "payload", event->payload);
	cJSON_AddArrayToObject(row, "attempts");
	cJSON_AddItemToArray(list, row);
	return row;
}

static void enqueue(struct line *line, char *payload, char *url, double sequence)
{
	struct event *event = calloc(1, sizeof(*event));
	struct event **last = &line->events;

	if (!event)
		abort();
	*event = (struct event){ .payload = payload, .url = url, .sequence = sequence };
	event->delivery = new_delivery(line, event);
	while (*last)
		last = &(*last)->next;
	*last = event;
	start_line(line);
}

void deliver_event(struct sim *sim, const struct entity *entity, double id, char *payload, double sequence)
{
	enqueue(line_of(sim, entity, id), payload, NULL, sequence);
}

/* Fails what waits behind the first event, which its thread may be sending just now. */
void deliver_forget(struct sim *sim, const struct entity *entity, double id)
{
	struct line *line = line_of(sim, entity, id);
	struct event *event = line->events ? line->events->next : NULL;

	line->failed = 0;
	if (line->events)
		line->events->next = NULL;
	while (event) {
		struct event *next = event->next;

		set_state(event->delivery, "failed");
		if (!event->url)
			log_error(line, event, "the webhook is gone or inactive");
		free_event(event);
		event = next;
	}
}

void deliver_deactivation(struct sim *sim, const struct entity *entity, const cJSON *webhook)
{
	AUTO_JSON body = cJSON_CreateObject();
	double id = number_of(webhook, "id");
	char when[32];

	deliver_forget(sim, entity, id);
	time_text(now_ms(), false, when);
	cJSON_AddStringToObject(body, "Action", "Deactivated");
	cJSON_AddStringToObject(body, "Guid", text_of(webhook, "webhookGUID"));
	cJSON_AddStringToObject(body, "EventTime", when);
	enqueue(line_of(sim, entity, id), payload_print(body), strdup(text_of(webhook, "deactivationUrl")), 0);
}

void deliver_finish(struct sim *sim)
{
	pthread_mutex_lock(&sim->lock);
	sim->stop = true;
	pthread_cond_broadcast(&sim->changed);
	while (sim->running)
		pthread_cond_wait(&sim->changed, &sim->lock);
	while (sim->lines) {
		struct line *line = sim->lines;

		while (line->events) {
			struct event *event = line->events;

			line->events = event->next;
			free_event(event);
		}
		sim->lines = line->next;
		free(line);
	}
	pthread_mutex_unlock(&sim->lock);
}
