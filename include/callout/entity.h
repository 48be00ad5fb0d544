/*
 * entity.h - the names Autotask has for the kinds of its records: one row each.
 *
 * The wire uses old names (Account, InstalledProduct: vendor help), newer ones
 * exist; singular or plural and any case are accepted. Unknown names are kept as
 * received: the vendor announced that more entities will come.
 */
#ifndef CALLOUTD_CALLOUT_ENTITY_H
#define CALLOUTD_CALLOUT_ENTITY_H

#include <stddef.h>

/* "Company", "Contact", "ConfigurationItem", "Ticket", "TicketNote", or NULL if unknown. */
const char *entity_canonical(const char *name, size_t len);

/* The canonical names, in order, then NULL. */
const char *const *entity_names(void);

#endif
