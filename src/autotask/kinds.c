/* kinds.c - what has webhooks at Autotask: one row for each kind of record. */
#include "autotask/kinds.h"

#include <string.h>

#include "base/auto.h"
#include "callout/entity.h"

/* Collections: vendor's API description. The moments of change: names from there, too; what sets them is not written down. */
const struct kind kinds[] = {
	{
		.entity = "Company",
		.wire = "Account",
		.webhooks = "CompanyWebhooks",
		.webhook_fields = "CompanyWebhookFields",
		.webhook_udf_fields = "CompanyWebhookUdfFields",
		.records = "Companies",
		.modified = "lastTrackedModifiedDateTime",
		.error_log_id = "accountWebhookID",
	},
	{
		.entity = "Contact",
		.wire = "Contact",
		.webhooks = "ContactWebhooks",
		.webhook_fields = "ContactWebhookFields",
		.webhook_udf_fields = "ContactWebhookUdfFields",
		.records = "Contacts",
		.modified = "lastModifiedDate",
		.error_log_id = "contactWebhookID",
	},
	{
		.entity = "ConfigurationItem",
		.wire = "InstalledProduct",
		.webhooks = "ConfigurationItemWebhooks",
		.webhook_fields = "ConfigurationItemWebhookFields",
		.webhook_udf_fields = "ConfigurationItemWebhookUdfFields",
		.records = "ConfigurationItems",
		.modified = "lastModifiedTime",
		.error_log_id = NULL,
	},
	{
		.entity = "Ticket",
		.wire = "Ticket",
		.webhooks = "TicketWebhooks",
		.webhook_fields = "TicketWebhookFields",
		.webhook_udf_fields = "TicketWebhookUdfFields",
		.records = "Tickets",
		.modified = "lastTrackedModificationDateTime",
		.error_log_id = NULL,
	},
	{
		.entity = "TicketNote",
		.wire = "TicketNote",
		.webhooks = "TicketNoteWebhooks",
		.webhook_fields = "TicketNoteWebhookFields",
		.webhook_udf_fields = NULL,
		.records = "TicketNotes",
		.modified = "lastActivityDate",
		.error_log_id = NULL,
	},
};

const size_t kind_count = ARRAY_LEN(kinds);

const struct kind *kind_find(const char *entity)
{
	const char *canonical = entity_canonical(entity, strlen(entity));

	for (size_t i = 0; canonical && i < kind_count; i++)
		if (strcmp(kinds[i].entity, canonical) == 0)
			return &kinds[i];
	return NULL;
}
