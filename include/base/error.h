/*
 * error.h - why something failed, in words, without allocating.
 *
 * Most functions return 0 or a negative errno and nothing else. Functions whose
 * failure a person must act on (configuration, command line, opening things)
 * also take a "struct error *", always last, which may be NULL. The sentence says
 * what is wrong, where, and what would be right; it never holds a secret.
 */
#ifndef CALLOUTD_BASE_ERROR_H
#define CALLOUTD_BASE_ERROR_H

struct error {
	char text[512];         /* always terminated; cut, if it must be, between characters */
};

/*
 * Fill in e (if any) and return -code, so that callers can "return error_set()".
 * code is a positive errno. The arguments may point into e.
 */
int error_set(struct error *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The one sentence there is about it. Returns -ENOMEM. */
int error_no_memory(struct error *e);

/* Put context before the sentence already in e: "CONTEXT: sentence". */
void error_prefix(struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
