/*
 * conf_private.h - what the files of conf.h share: the table of settings, and where
 * each setting stands.
 *
 * Reading goes in steps, one file each: conf_scan.c makes tokens of the text;
 * conf_outline.c finds every section and setting with its line; conf_values.c has libconfuse read the values;
 * conf_kind.c turns texts into members of the structs; conf_rules.c looks at
 * settings together. All of them go by the table in conf_table.c.
 */
#ifndef CALLOUTD_BASE_CONF_PRIVATE_H
#define CALLOUTD_BASE_CONF_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/error.h"

#define CONF_FILE_MAX (1024 * 1024)     /* bytes of one file */
#define CONF_FILES_MAX 256
#define CONF_KEYS_MAX 32                /* settings of one section */
#define CONF_TEXT_MAX 4096              /* bytes of one text, unless its row says less */

enum conf_kind {
	CONF_TEXT,              /* char * */
	CONF_TEXTS,             /* struct conf_list */
	CONF_IDS,               /* struct conf_ids */
	CONF_BOOL,              /* bool */
	CONF_COUNT,             /* unsigned */
	CONF_TIME,              /* int64_t, milliseconds */
	CONF_TIMES,             /* int64_t * and its size_t */
	CONF_SIZE,              /* uint64_t, bytes */
	CONF_RATE,              /* struct conf_rate */
	CONF_WHEN,              /* struct conf_when * and its size_t */
	CONF_LEVEL,             /* int, LOG_* */
	CONF_OUTPUT,            /* bool: "lines" or "none" */
	CONF_KINDS
};

enum {
	CONF_REQUIRED = 1,
	CONF_SECRET = 2,        /* half a secret or perhaps one: no sentence repeats the value */
	CONF_RAW = 4,           /* control characters may be in it */
	CONF_REPEATS = 8,       /* equal items are fine */
	CONF_LOWER = 16,        /* kept in lower case */
};

/* Looks at one text (of a list: at the one with this index). 0 or -EINVAL with a sentence. */
typedef int conf_text_check(const char *text, size_t index, struct error *err);

/* One row of the table: everything there is to know about one setting. */
struct conf_setting {
	const char *name;
	enum conf_kind kind;
	size_t at, count_at;    /* where in its struct; count_at: of lists */
	const char *fallback;   /* the default, a list's items separated by blanks; NULL: none */
	unsigned flags;
	int64_t min, max;       /* of the value; CONF_TEXTS, _IDS, _WHEN: of the number of items; CONF_TEXT: bytes */
	conf_text_check *check;
};

enum conf_section_id { CONF_TOP, CONF_WEBHOOK, CONF_SUBSCRIBE, CONF_HANDLER, CONF_ALERT, CONF_AUTOTASK,
		       CONF_SECTIONS };

struct conf_section {
	const char *name;
	const struct conf_setting *settings;
	size_t count;
	enum conf_section_id parent;
	bool titled;
	size_t max;             /* how many there may be */
	const char *const *names;       /* of the settings, then NULL */
};

extern const struct conf_section conf_sections[CONF_SECTIONS];

/* The setting's index in its section, or -1. */
int conf_setting_find(enum conf_section_id section, const char *name, size_t len);
/* The section of that name inside another, or CONF_SECTIONS. */
enum conf_section_id conf_section_find(enum conf_section_id parent, const char *name, size_t len);
/* Says that this name is unknown, and which one was meant perhaps. */
int conf_unknown(enum conf_section_id section, const char *name, size_t len, bool is_section,
		 struct error *err);

/* ---- where things stand ---- */

struct conf_place {
	const char *file;       /* NULL: nowhere */
	unsigned line;
};

/* One section as written; the first instance is the top level, of all files together. */
struct conf_instance {
	enum conf_section_id section;
	size_t parent;          /* index of the instance around it */
	size_t ordinal;         /* the how manieth of its kind in its parent and file */
	size_t index;           /* into conf->webhooks or conf->handlers */
	char *title;            /* NULL: none */
	struct conf_place opened;
	struct conf_place keys[CONF_KEYS_MAX];
};

struct conf_outline {
	struct conf_instance *items;
	size_t count;
};

void conf_outline_free(struct conf_outline *o);
static inline void auto_conf_outline(struct conf_outline *o)
{
	conf_outline_free(o);
}

/*
 * Check a file's text and add what it holds to the outline. Comments are blanked
 * in place, so that what is left is what libconfuse reads exactly as we do.
 * file is borrowed for as long as the outline lives.
 */
int conf_outline_add(struct conf_outline *o, const char *file, char *text, size_t len,
		     struct error *err);

/* "FILE:LINE: sentence". Returns -EINVAL. */
int conf_error_at(const struct conf_place *at, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A value for a sentence: control characters replaced, cut. Returns dst. */
#define CONF_SHOWN_LEN 80
const char *conf_shown(const char *text, size_t len, char dst[static CONF_SHOWN_LEN]);

/* 0 when the bytes are UTF-8; else the offset of the first wrong one plus 1. */
size_t conf_utf8_fault(const char *text, size_t len);

/* ---- a file as tokens ---- */

enum conf_token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_SIGN };

struct conf_token {
	enum conf_token_kind kind;
	const char *at;         /* of a text: behind the opening quote */
	size_t len;
	unsigned line;
	char sign;
};

struct conf_scan {
	const char *file;
	char *at, *end;
	unsigned line;
	struct conf_token token;        /* the current one */
	struct error *err;
	/* for conf_outline.c */
	struct conf_outline *outline;
	size_t first;           /* instances from here on are of this file */
	unsigned quiet;         /* a line with a value that may be secret: no word of it is repeated */
};

/* Looks at every byte, then takes the first token. */
int conf_scan_begin(struct conf_scan *s, const char *file, char *text, size_t len, struct error *err);
int conf_scan_next(struct conf_scan *s);
bool conf_scan_at(const struct conf_scan *s, char sign);

/* Refuses with this file and a line of it. */
#define CONF_FAIL(s, line_, ...) \
	conf_error_at(&(struct conf_place){ (s)->file, (line_) }, (s)->err, __VA_ARGS__)

/* ---- values ---- */

/* The struct an instance fills. */
void *conf_base(struct conf *c, const struct conf_outline *o, const struct conf_instance *i);

/* Called for each setting in a file with its values as libconfuse read them. */
typedef int conf_value_fn(void *arg, const struct conf_instance *in,
			  const struct conf_setting *setting, const struct conf_place *at,
			  char *const *items, size_t count, struct error *err);

/* Have libconfuse read the text of the file whose instances are the top level and those from `first` on. */
int conf_values_read(const struct conf_outline *o, size_t first, const char *file,
		     const char *text, conf_value_fn *fn, void *arg, struct error *err);

int conf_kind_set(const struct conf_setting *s, void *base, char *const *items, size_t count,
		  struct error *err);
int conf_kind_default(const struct conf_setting *s, void *base, struct error *err);
void conf_kind_free(const struct conf_setting *s, void *base);
bool conf_kind_is_list(enum conf_kind kind);
bool conf_kind_is_quoted(enum conf_kind kind);  /* its values stand in quotes */
const char *conf_kind_example(enum conf_kind kind);

#define CONF_SIZE_LEN 32
/* "64M": the shortest exact form. Returns dst. */
const char *conf_size_text(uint64_t bytes, char dst[static CONF_SIZE_LEN]);

/* Settings together: paths, names, TLS, plain HTTP. */
int conf_rules(struct conf *c, const struct conf_outline *o, struct error *err);

/* ---- programs ---- */

/*
 * 0, also when it cannot be seen; or -errno and a sentence that begins with a verb:
 * the file is missing or not executable, or what it needs to be run is.
 */
int conf_program_check(const char *path, struct error *err);
/* It can be read and is neither a script nor a compiled program. */
bool conf_program_is_strange(const char *path);

/* ---- checks of one text, for the table ---- */
conf_text_check conf_text_path, conf_text_file, conf_text_socket, conf_text_reference,
	conf_text_address, conf_text_block, conf_text_zone_url, conf_text_base_url, conf_text_title,
	conf_text_name, conf_text_action, conf_text_event, conf_text_entity, conf_text_field,
	conf_text_environment, conf_text_command, conf_text_mail, conf_text_alert, conf_text_any;

#endif
