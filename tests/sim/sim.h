/* sim.h - what the files of autotask-sim share. Nothing here comes from calloutd: it is a second opinion. */
#ifndef SIM_H
#define SIM_H

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void drop_json(cJSON **json) { cJSON_Delete(*json); }
#define AUTO_JSON __attribute__((cleanup(drop_json))) cJSON *

enum shape {
	SHAPE_NONE, SHAPE_STRINGS, SHAPE_OBJECTS, SHAPE_UNAUTHORIZED, SHAPE_BUSY, SHAPE_HTML, SHAPE_GARBAGE, SHAPE_SLOW, SHAPE_LOST,
};

/* Where an attempt to deliver is broken off. */
enum cut { CUT_NONE, CUT_HALF, CUT_UNREAD, CUT_EITHER };

struct cuts {
	enum cut cut;
	unsigned times;
	double chance;
	uint64_t dice;          /* never 0 */
};

struct hour {
	unsigned count;
	int64_t began_ms;
};

struct options {
	unsigned port;
	double clock_factor;    /* so much faster than the vendor's clock */
	double timeout_ms;      /* of an attempt to deliver; 0: the vendor's 10 s, divided */
	unsigned page_rows;     /* rows a page, at most 500 */
	unsigned max_webhooks;  /* of the security level; 0: may not create any */
	unsigned hourly_limit;
	unsigned callout_limit; /* an hour and entity; 0: none */
	double error_days;      /* what is in the error log lives so long; 0: for ever */
	enum shape errors;      /* SHAPE_STRINGS or SHAPE_OBJECTS */
	const char *user;
	const char *state;      /* NULL: nothing is kept */
	char *secret;           /* NULL: any that is not empty */
	char *code;
};

struct line;                    /* the callouts of one webhook, see deliver.c */

/* Everything below the lock. Rows are in data: {"TicketWebhooks":[{...}],...}. */
struct sim {
	struct options opt;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	cJSON *data;
	cJSON *deliveries;      /* what was sent, oldest first */
	cJSON *mails;
	struct line *lines;
	unsigned running;       /* delivery threads */
	bool stop;
	enum shape fail;
	unsigned fail_times;
	char fail_path[64];
	unsigned busy[32];      /* calls under way, by endpoint */
	unsigned requests;      /* of this hour */
	unsigned writes;        /* calls that change something, counted as they arrive */
	int64_t hour_began_ms;
	struct hour callouts[8]; /* by entity */
	struct cuts cuts;
};

struct request {
	const char *method;
	const char *path;       /* as asked */
	char *parts[8];         /* below the base, split at the slashes */
	unsigned n_parts;
	const char *search;     /* NULL: not given */
	const char *user;
	unsigned page;
	cJSON *body;            /* NULL: none */
};

struct reply {
	unsigned status;
	cJSON *body;
	const char *raw;        /* instead of body */
	bool lost;              /* done, but the connection is closed instead of an answer */
};

enum kind { KIND_WEBHOOK, KIND_FIELD, KIND_UDF, KIND_EXCLUDED, KIND_RECORD, KIND_ERROR };
enum type { TYPE_INTEGER, TYPE_BOOLEAN, TYPE_TEXT };

struct column {
	const char *name;
	enum type type;
	unsigned max_chars;
	bool required, read_only;
};

struct field {
	unsigned id;
	const char *name;       /* in callouts; REST begins it with a small letter */
	bool udf;
};

struct entity {
	const char *name;       /* Company */
	const char *records;    /* Companies */
	const char *wire;       /* Account */
	const char *created, *modified; /* columns of moments */
	const struct field *fields;
	bool no_udf;
};

struct collection {
	enum kind kind;
	const struct entity *entity;    /* NULL for the error log */
	char table[64];
};

/* schema.c */
extern const struct entity entities[];
const struct entity *entity_by_name(const char *name);
bool collection_by_name(const char *name, struct collection *ret);
void collection_of(const struct entity *entity, enum kind kind, struct collection *ret);
const struct column *columns_of(enum kind kind);
const struct field *field_by_id(const struct entity *entity, double id, bool udf);
const struct field *field_by_name(const struct entity *entity, const char *name);
void field_rest_name(const struct field *field, char *ret, size_t size);
cJSON *information_fields(const struct collection *collection);
cJSON *information_udf(const struct collection *collection);

/* table.c: rows; all with the lock held */
cJSON *table_rows(struct sim *sim, const char *table);
cJSON *table_find(struct sim *sim, const char *table, double id);
double table_insert(struct sim *sim, const char *table, cJSON *row);
void table_delete(struct sim *sim, const char *table, double id);
double next_number(struct sim *sim, const char *counter);
void state_load(struct sim *sim);
void state_save(struct sim *sim);

/* query.c */
void query_run(struct sim *sim, const struct request *req, const char *table, bool count_only, struct reply *ret);

/* rest.c, webhook.c */
void rest_answer(struct sim *sim, const struct request *req, struct reply *ret);
void write_row(struct sim *sim, const struct request *req, const struct collection *col, double parent, struct reply *ret);
void delete_row(struct sim *sim, const struct collection *col, double id, struct reply *ret);
void webhook_refresh(struct sim *sim, const struct entity *entity, double id);
double number_of(const cJSON *row, const char *name);
bool is_true(const cJSON *row, const char *name);
const char *text_of(const cJSON *row, const char *name);

/* control.c, change.c */
void control_answer(struct sim *sim, const struct request *req, struct reply *ret);
void change_record(struct sim *sim, const cJSON *order, struct reply *ret);

/* deliver.c; with the lock held, but for deliver_finish */
void deliver_event(struct sim *sim, const struct entity *entity, double id, char *payload, double sequence);
void deliver_deactivation(struct sim *sim, const struct entity *entity, const cJSON *webhook);
void deliver_forget(struct sim *sim, const struct entity *entity, double id);
void deliver_finish(struct sim *sim);

void errors_expire(struct sim *sim);

/* mail.c; with the lock held */
void mail_send(struct sim *sim, const struct entity *entity, const cJSON *webhook, const char *reason, const char *text);

/* post.c: one POST without the lock. The HTTP status, or 0 and what went wrong. */
long post(struct sim *sim, const char *url, const char *payload, const char *signature, enum cut cut, char ret_error[CURL_ERROR_SIZE]);
enum cut cut_next(struct sim *sim);
bool cut_by_name(const char *name, enum cut *ret);

/* payload.c */
char *payload_print(const cJSON *json);
void payload_sign(const char *secret, const char *payload, char ret[40]);

/* clock.c */
int64_t now_ms(void);
void time_text(int64_t ms, bool fraction, char ret[32]);
bool time_of(const char *text, int64_t *ret_ms);

/* http.c */
struct MHD_Daemon *http_start(struct sim *sim);
void http_stop(struct MHD_Daemon *daemon);
void fail_with(struct sim *sim, struct reply *ret, unsigned status, const char *text, ...)
	__attribute__((format(printf, 4, 5)));
void sim_sleep(const struct sim *sim, double vendor_ms);
bool shape_by_name(const char *name, enum shape *ret);

#endif
