/* mail.c - the mails that the vendor would send, kept in a list instead. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

enum { DAY_MS = 24 * 3600000 };

/* At most one a day for each webhook and reason. */
static bool too_soon(const struct sim *sim, const cJSON *mail)
{
	const cJSON *other;

	cJSON_ArrayForEach(other, sim->mails)
		if (!strcmp(text_of(other, "reason"), text_of(mail, "reason")) && !strcmp(text_of(other, "entity"), text_of(mail, "entity")) &&
		    number_of(other, "webhook") == number_of(mail, "webhook") &&
		    number_of(mail, "sent_ms") - number_of(other, "sent_ms") < DAY_MS / sim->opt.clock_factor)
			return true;
	return false;
}

/* The address in the webhook, and its owner; false when there is neither. */
static bool add_receivers(cJSON *mail, const cJSON *webhook)
{
	cJSON *to = cJSON_AddArrayToObject(mail, "to");
	char owner[64];

	if (*text_of(webhook, "notificationEmailAddress"))
		cJSON_AddItemToArray(to, cJSON_CreateString(text_of(webhook, "notificationEmailAddress")));
	snprintf(owner, sizeof(owner), "resource %.0f", number_of(webhook, "ownerResourceID"));
	if (number_of(webhook, "ownerResourceID") > 0)
		cJSON_AddItemToArray(to, cJSON_CreateString(owner));
	return to->child != NULL;
}

void mail_send(struct sim *sim, const struct entity *entity, const cJSON *webhook, const char *reason, const char *text)
{
	cJSON *mail = cJSON_CreateObject();

	cJSON_AddStringToObject(mail, "reason", reason);
	cJSON_AddStringToObject(mail, "entity", entity->name);
	cJSON_AddNumberToObject(mail, "webhook", number_of(webhook, "id"));
	cJSON_AddNumberToObject(mail, "sent_ms", (double)now_ms());
	cJSON_AddStringToObject(mail, "text", text);
	if (!add_receivers(mail, webhook) || too_soon(sim, mail))
		cJSON_Delete(mail);
	else
		cJSON_AddItemToArray(sim->mails, mail);
}
