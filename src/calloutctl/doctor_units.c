/*
 * doctor_units.c - are the package's units enabled, and do they run? systemd is asked; where there is none, or
 * calloutd is started otherwise, there is nothing to say.
 */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "doctor.h"

#define MANAGER "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define PATIENCE_USEC (5 * UINT64_C(1000000))

AUTO_DEFINE(bus, sd_bus *, sd_bus_flush_close_unref)
AUTO_DEFINE(message, sd_bus_message *, sd_bus_message_unref)

static const struct unit {
	const char *name;
	bool enabled;           /* it should start by itself */
	bool guard;             /* only with Autotask's credentials */
	const char *without;    /* what is missing without it */
} units[] = {
	{ "calloutd.service", true, false, "after the next boot nothing is received before somebody connects" },
	{ "calloutd-admin.socket", true, false, "calloutctl cannot ask" },
	{ "calloutd-runner@default.socket", false, false, "no handler is run" },
	{ "calloutd-guard.timer", true, true, "a webhook that Autotask has switched off stays off" },
};

/* "enabled", "disabled", ...; "": there is no such unit. free() it. */
static char *file_state(sd_bus *bus, const char *unit)
{
	AUTO(message) sd_bus_message *m = NULL;
	const char *text = "";

	if (sd_bus_call_method(bus, MANAGER, "GetUnitFileState", NULL, &m, "s", unit) >= 0)
		(void)sd_bus_message_read(m, "s", &text);
	return need(strdup(text));
}

static char *active_state(sd_bus *bus, const char *unit)
{
	AUTO(message) sd_bus_message *m = NULL;
	const char *path = "";
	char *state = NULL;

	if (sd_bus_call_method(bus, MANAGER, "LoadUnit", NULL, &m, "s", unit) < 0 || sd_bus_message_read(m, "o", &path) < 0 ||
	    sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path, "org.freedesktop.systemd1.Unit", "ActiveState", NULL,
				       &state) < 0)
		return need(strdup(""));
	return state;
}

/* How many faults. */
static unsigned look_at(struct doctor *d, sd_bus *bus, const struct unit *u)
{
	AUTO(free) char *file = file_state(bus, u->name);
	AUTO(free) char *active = active_state(bus, u->name);
	AUTO(free) char *enable = text_printf("systemctl enable --now %s", u->name);
	AUTO(free) char *start = text_printf("systemctl status %s; systemctl start %s", u->name, u->name);
	bool off = u->enabled && strcmp(file, "disabled") == 0, dead = *active && strcmp(active, "active") != 0;

	if (off)
		doctor_tell(d, LEVEL_WARNING, enable, "%s is not enabled: %s", u->name, u->without);
	if (dead && !off)
		doctor_tell(d, LEVEL_WARNING, start, "%s is %s: %s", u->name, active, u->without);
	return off || dead;
}

void doctor_units(struct doctor *d)
{
	AUTO(bus) sd_bus *bus = NULL;
	AUTO(free) char *installed = NULL;
	unsigned faults = 0;

	if (access("/run/systemd/system", F_OK) < 0 || sd_bus_open_system(&bus) < 0)
		return;
	(void)sd_bus_set_method_call_timeout(bus, PATIENCE_USEC);
	installed = file_state(bus, units[0].name);
	if (!*installed)
		return;                 /* started by somebody else */
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!units[i].guard || (d->conf && d->conf->autotask))
			faults += look_at(d, bus, &units[i]);
	if (!faults)
		doctor_ok(d, "systemd's units are enabled and active");
}
