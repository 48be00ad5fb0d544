/*
 * private.h - what the files of autotask/rest.h share.
 *
 * A call goes down in steps, one file each: query.c pages through a collection; rest.c waits, repeats
 * and looks for the zone anew; zone.c knows the zone; transport.c sends (libcurl lives there only);
 * failure.c says what an answer comes down to.
 */
#ifndef CALLOUTD_AUTOTASK_PRIVATE_H
#define CALLOUTD_AUTOTASK_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "autotask/rest.h"
#include "base/secret.h"

/* One call. Everything is borrowed for as long as it runs. */
struct call {
	const char *method;
	const char *path;       /* below the zone's v1.0, or from the host's root if it begins with '/' */
	const char *body;       /* NULL: none */
	bool reads;             /* changes nothing at Autotask, so that it may be sent twice */
	bool anonymous;         /* without credentials: the look-up of the zone */
};

enum trouble {
	TROUBLE_NONE,           /* answered */
	TROUBLE_NAME,           /* the host's name could not be resolved */
	TROUBLE_CONNECT,
	TROUBLE_TLS,
	TROUBLE_CUT,            /* broken off under way */
	TROUBLE_TIMEOUT,
	TROUBLE_TOO_LONG,       /* more than the buffer may hold */
	TROUBLE_MEMORY,
};

#define TROUBLE_WORDS 200

struct reply {
	struct buf *body;       /* borrowed */
	long status;            /* HTTP */
	enum trouble trouble;
	bool sent;              /* some of the request left this machine: it may have been executed */
	bool html;              /* says its Content-Type */
	int64_t retry_after_ms; /* 0: not said */
	char words[TROUBLE_WORDS];      /* libcurl's, about the trouble */
};

/* ---- rest.c ---- */

/* As rest_get(); with a body by POST, which changes nothing either. */
int rest_read(struct rest *r, const char *path, const char *body, struct rest_answer *ret, struct error *err);

/* ---- transport.c ---- */

struct transport;

struct transport_options {
	const char *user_name;
	const struct secret *secret, *integration_code;
	const char *ca_file;            /* NULL: the system's */
	int64_t connect_ms, whole_ms;
};

/* Copies what it needs. -EINVAL: a credential that no header can hold. */
int transport_open(const struct transport_options *o, struct transport **ret, struct error *err);
struct transport *transport_close(struct transport *t);
/* url: https, or http to a loopback address. The reply's body is cleared first. */
void transport_run(struct transport *t, const struct call *c, const char *url, struct reply *ret);

/* ---- failure.c ---- */

enum busy { BUSY_NOT, BUSY_THREADS, BUSY_HOUR };

struct verdict {
	int result;                     /* 0 or rest.h's -errno */
	enum busy busy;                 /* to be sent again later, if that is safe */
	bool moved;                     /* may have gone to the wrong zone */
	bool unexecuted;                /* surely has changed nothing */
	struct json_value root;         /* of a good answer; .at is NULL if it is empty */
};

/* What must not be repeated in a sentence even if the vendor does. */
struct hidden {
	const char *texts[3];           /* NULL: none */
};

/* Fills err unless the result is 0. */
void failure_judge(const struct call *c, const struct reply *reply, const char *host, const struct hidden *hidden,
		   struct verdict *ret, struct error *err);

/* ---- zone.c ---- */

struct zone {
	char *base;                     /* "https://webservices5.autotask.net/ATServicesRest/v1.0/" */
	int64_t looked_up_ms;           /* clock_mono_ms(); -1: only read from the file */
};

struct zone_place {
	struct transport *transport;
	const char *user_name;
	const char *information;        /* URL of the look-up; NULL: the vendor's */
	const char *directory;          /* NULL: no cache */
};

/* From the file, else looked up. z is zeroed or holds an earlier zone. */
int zone_find(struct zone *z, const struct zone_place *p, struct error *err);
/* Looked up, unless that was done a moment ago. 1: it is another now; 0: the same; or -errno. */
int zone_renew(struct zone *z, const struct zone_place *p, struct error *err);
void zone_free(struct zone *z);

#endif
