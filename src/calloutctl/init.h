/*
 * init.h - `calloutctl init`: what is to be made, asked or taken from options (init_ask.c, init_take.c), as text
 * (init_text.c), on disk (init_files.c), and what comes after it (init_next.c).
 */
#ifndef CALLOUTD_CALLOUTCTL_INIT_H
#define CALLOUTD_CALLOUTCTL_INIT_H

#include "private.h"

#define INIT_KINDS 5            /* rows of init_kinds[] */
#define INIT_PATH_LEN 32        /* hexadecimal digits: 128 bits */
#define INIT_SECRET_LEN 64      /* as long as Autotask allows */

/* What one kind of record's webhook begins with. */
struct init_kind {
	const char *entity;     /* canonical */
	const char *title;      /* of its webhook; a word of its paths */
	const char *fields, *display;   /* lists, as the configuration has them */
};
extern const struct init_kind init_kinds[INIT_KINDS];

struct init_webhook {
	const struct init_kind *kind;
	char title[CONF_NAME_MAX + 1];
	char path[CONF_NAME_MAX + 64], off[64];
	char secret[INIT_SECRET_LEN + 1];
	char secret_file[PATH_MAX];
};

/* Texts are as they go into the configuration: they need no escaping there. */
struct init {
	struct ctl *ctl;
	char directory[PATH_MAX];       /* absolute, without links */
	char main[PATH_MAX];            /* calloutd.conf */
	char file[PATH_MAX];            /* what is written: the same, or a file in conf.d */
	bool standard;                  /* directory is where calloutd's units look */
	bool add;
	const struct conf *conf;        /* with add: what there is */
	struct init_webhook webhooks[INIT_KINDS];
	size_t count;
	bool create, update, delete;
	char public_url[320];           /* "": not known yet */
	char certificate[PATH_MAX], key[PATH_MAX];      /* "": a proxy has it */
	char listen[128];
	char handler[CONF_NAME_MAX + 1];
	char program[PATH_MAX];
	bool keep_program;              /* it is there already, and stays */
	char username[320];             /* "": Autotask's API is not used */
	unsigned owner;                 /* 0: not said */
};

/* ---- init_ask.c ---- */

/* Every answer, from options, or from the terminal when no option says any; complains, and nothing is made then. */
enum exit_status init_ask(struct init *in);

/* ---- init_take.c ---- */

/*
 * One answer each; "" is the default's way to say nothing, where that is possible. In this order, since later ones look at
 * earlier ones. 0, -EINVAL, or -EEXIST when something of the name is there already; the sentence goes on
 * from the option's name.
 */
int init_set_entities(struct init *in, const char *text, struct error *err);
int init_set_webhook(struct init *in, const char *text, struct error *err);
int init_set_events(struct init *in, const char *text, struct error *err);
int init_set_public_url(struct init *in, const char *text, struct error *err);
int init_set_certificate(struct init *in, const char *text, struct error *err);
int init_set_key(struct init *in, const char *text, struct error *err);
int init_set_listen(struct init *in, const char *text, struct error *err);
int init_set_handler(struct init *in, const char *text, struct error *err);
int init_set_username(struct init *in, const char *text, struct error *err);
int init_set_owner(struct init *in, const char *text, struct error *err);

/* ---- init_text.c ---- */

void init_configuration(const struct init *in, struct buf *out);
void init_program(struct buf *out);
/* What the configuration begins with, and then, a line each behind INIT_MADE_LINE, which files were made with it. */
#define INIT_MADE "# Made with it:\n"
#define INIT_MADE_LINE "#   "

/* ---- init_files.c ---- */

/* What a killed run has left is removed. 1 when there was something, 0 when not, or -errno with a sentence. */
int init_clear(const struct init *in, struct error *err);
/*
 * All files or none; none is overwritten (-EEXIST). The configuration comes last, by one renaming: before it
 * there is none, whatever happens, and what was made stays about only if the process is killed; init_clear()
 * of the next run removes that.
 */
int init_make(const struct init *in, struct error *err);

/* ---- init_next.c ---- */

/* For people, or as JSON: what was made, and the commands that come next. */
void init_tell(const struct init *in);

#endif
