/* control.c - what tests ask of the simulator itself, below /sim/. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

static void deliveries(struct sim *sim, const struct request *req, struct reply *ret)
{
	(void)req;
	ret->body = cJSON_CreateObject();
	cJSON_AddItemToObject(ret->body, "deliveries", cJSON_Duplicate(sim->deliveries, true));
}

static void state(struct sim *sim, const struct request *req, struct reply *ret)
{
	(void)req;
	ret->body = cJSON_Duplicate(sim->data, true);
}

static void change(struct sim *sim, const struct request *req, struct reply *ret)
{
	change_record(sim, req->body, ret);
}

/* {"shape":"busy","times":2,"path":"TicketWebhooks"}: the next calls whose path has that in it. */
static void fail(struct sim *sim, const struct request *req, struct reply *ret)
{
	enum shape shape;
	double times = cJSON_HasObjectItem(req->body, "times") ? number_of(req->body, "times") : 1;

	if (!shape_by_name(text_of(req->body, "shape"), &shape) || times < 0 || times > 1e6) {
		fail_with(sim, ret, 400, "a failure is {\"shape\":\"none|strings|objects|unauthorized|busy|html|garbage|slow|lost\","
			"\"times\":1,\"path\":\"\"}");
		return;
	}
	sim->fail = shape;
	sim->fail_times = (unsigned)times;
	snprintf(sim->fail_path, sizeof(sim->fail_path), "%s", text_of(req->body, "path"));
	ret->body = cJSON_CreateObject();
}

/* Counted before a "slow" call takes its time: so a test knows that it is under way. */
static void writes(struct sim *sim, const struct request *req, struct reply *ret)
{
	(void)req;
	ret->body = cJSON_CreateObject();
	cJSON_AddNumberToObject(ret->body, "writes", sim->writes);
}

static void mails(struct sim *sim, const struct request *req, struct reply *ret)
{
	(void)req;
	ret->body = cJSON_CreateObject();
	cJSON_AddItemToObject(ret->body, "mails", cJSON_Duplicate(sim->mails, true));
}

/* {"cut":"unread","times":3,"chance":0.5,"seed":1}: attempts to deliver that are broken off. */
static void cut(struct sim *sim, const struct request *req, struct reply *ret)
{
	struct cuts cuts = { .times = 1, .chance = 1 };
	double seed = number_of(req->body, "seed");

	if (cJSON_HasObjectItem(req->body, "times"))
		cuts.times = (unsigned)number_of(req->body, "times");
	if (cJSON_HasObjectItem(req->body, "chance"))
		cuts.chance = number_of(req->body, "chance");
	if (!cut_by_name(text_of(req->body, "cut"), &cuts.cut)) {
		fail_with(sim, ret, 400, "a cut is {\"cut\":\"none|half|unread|either\",\"times\":1,\"chance\":1,\"seed\":1}");
		return;
	}
	cuts.dice = 0x9E3779B97F4A7C15U ^ (uint64_t)seed;
	sim->cuts = cuts;
	if (cuts.cut == CUT_NONE)
		sim->cuts.times = 0;
	ret->body = cJSON_CreateObject();
}

/* {"id":7,"isActive":false}: the inactivation of an owner disables webhooks. */
static void resource(struct sim *sim, const struct request *req, struct reply *ret)
{
	struct collection col;
	cJSON *webhook;

	ret->body = cJSON_CreateObject();
	for (const struct entity *e = entities; e->name && !is_true(req->body, "isActive"); e++) {
		collection_of(e, KIND_WEBHOOK, &col);
		cJSON_ArrayForEach(webhook, table_rows(sim, col.table)) {
			if (number_of(webhook, "ownerResourceID") != number_of(req->body, "id") || !is_true(webhook, "isActive"))
				continue;
			cJSON_ReplaceItemInObject(webhook, "isActive", cJSON_CreateFalse());
			deliver_deactivation(sim, e, webhook);
		}
	}
	state_save(sim);
}

static const struct {
	const char *method, *name;
	void (*run)(struct sim *sim, const struct request *req, struct reply *ret);
} routes[] = {
	{ "GET", "deliveries", deliveries }, { "GET", "state", state }, { "GET", "mails", mails }, { "GET", "writes", writes },
	{ "POST", "change", change },
	{ "POST", "fail", fail }, { "POST", "cut", cut }, { "POST", "resource", resource },
};

void control_answer(struct sim *sim, const struct request *req, struct reply *ret)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (req->n_parts == 1 && !strcmp(req->parts[0], routes[i].name) && !strcmp(req->method, routes[i].method)) {
			routes[i].run(sim, req, ret);
			return;
		}
	fail_with(sim, ret, 404, "the simulator has GET /sim/deliveries, /sim/state, /sim/mails, /sim/writes; POST /sim/change, /sim/fail, /sim/cut, /sim/resource");
}
