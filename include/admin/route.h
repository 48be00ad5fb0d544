/*
 * route.h - which function answers: a table of method and path.
 *
 * In a pattern the part "ID" stands for an event's number and "NAME" for a handler's or webhook's name.
 * GET routes answer HEAD too.
 *
 * Pure, any thread.
 */
#ifndef CALLOUTD_ADMIN_ROUTE_H
#define CALLOUTD_ADMIN_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

struct request;

enum route_body {
	BODY_QUESTION,                  /* members that the route takes */
	BODY_CALLOUT,                   /* a callout, up to max-body */
	BODY_REPORT,                    /* guard's (admin/findings.h) */
};

struct route {
	const char *method, *pattern;
	unsigned query, members;        /* ASKS() bits: what may be said in the query, in the body */
	bool metrics;                   /* on metrics-listen too */
	enum route_body body;
	void (*answer)(struct request *q);
};

struct route_match {
	const struct route *route;
	int64_t id;                     /* of the ID part; 0: none */
	char name[CONF_NAME_MAX + 1];   /* of the NAME part; "": none */
	char allow[32];                 /* with -EPERM: what the path does answer to */
};

/* metrics: only routes that metrics-listen has. 0, -ENOENT no such path, -EPERM another method. */
int route_find(const struct route *routes, size_t count, bool metrics, const char *method,
	       const char *path, struct route_match *ret);

#endif
