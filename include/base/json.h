/*
 * json.h - a strict reader of JSON text that loses nothing.
 *
 * cJSON keeps numbers as doubles and accepts much that is not JSON, so what
 * Autotask sends is read with this: values are spans of the text itself,
 * integers are read exactly, and each laxity is decided here on purpose:
 *
 *   refused   trailing text, raw control characters in strings (NUL is one),
 *             leading zeros, bad escapes, more than the given depth
 *   accepted  a UTF-8 byte order mark at the start; invalid UTF-8 and lone
 *             surrogates in strings (decoded as U+FFFD: vendors cut texts in
 *             the middle of a character, and the handler gets the raw bytes);
 *             \u0000 (decoded as a NUL byte; lengths are explicit everywhere);
 *             repeated members (each caller says which one counts)
 *
 * Pure: no allocation, no recursion beyond depth, no I/O. Any thread.
 */
#ifndef CALLOUTD_BASE_JSON_H
#define CALLOUTD_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

/* A value as a span of the text: with its quotes or brackets, without blanks around it. */
struct json_value {
	enum json_kind kind;
	const char *at;
	size_t len;
};

/* Where in the text reading failed, and why (a static string). */
struct json_fault {
	size_t offset;
	const char *why;
};

#define JSON_DEPTH_MAX 64

/*
 * Check the whole text and return its root value. 0, -EBADMSG (not JSON) or
 * -E2BIG (deeper than depth_max <= JSON_DEPTH_MAX); ret_fault may be NULL.
 * The functions below take only values that came out of this.
 */
int json_read(const char *text, size_t len, unsigned depth_max,
	      struct json_value *ret_root, struct json_fault *ret_fault);

/* Walks an object's members or an array's elements. Start with .at = NULL. */
struct json_cursor {
	const char *at;
};

/* The next member of an object; false at the end. name is a JSON_STRING. */
bool json_next_member(const struct json_value *object, struct json_cursor *c,
		      struct json_value *ret_name, struct json_value *ret_value);

/* The next element of an array; false at the end. */
bool json_next_element(const struct json_value *array, struct json_cursor *c,
		       struct json_value *ret_value);

/*
 * Decode a JSON_STRING to UTF-8. 3 * value->len bytes always suffice (an invalid byte
 * becomes the three of U+FFFD). A NUL is added that ret_len (may be NULL) does not count.
 * 0, -ENOBUFS when cap is too small, or -EINVAL for another kind of value; dst is undefined then.
 */
int json_string(const struct json_value *value, char *dst, size_t cap, size_t *ret_len);

/* True if it is a JSON_STRING that decodes to this text; ASCII letters in any case with fold. */
bool json_string_is(const struct json_value *value, const char *text, bool fold);

/*
 * Read an integer exactly, from a JSON_NUMBER without fraction or exponent or
 * from a JSON_STRING holding just that, without escapes (seen in the wild: numbers in quotes).
 * 0, -EINVAL not an integer, -ERANGE outside int64; *ret is untouched then.
 */
int json_integer(const struct json_value *value, int64_t *ret);

#endif
