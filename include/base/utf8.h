/*
 * utf8.h - characters as bytes: how long one is, where a text may be cut. Pure.
 */
#ifndef CALLOUTD_BASE_UTF8_H
#define CALLOUTD_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed sequence (RFC 3629) at the start of these `left` bytes, 1 to 4; 0: none. */
size_t utf8_length(const char *text, size_t left);

/* The code point of a well-formed sequence of that length. */
uint32_t utf8_decode(const char *text, size_t len);

/* Write a code point (at most U+10FFFF); returns the bytes used, 1 to 4. */
size_t utf8_encode(uint32_t c, char dst[static 4]);

/*
 * How many of these len bytes to keep so that no character is cut in its middle: len, or up
 * to 3 less when the text was cut there. Bytes that never were UTF-8 are left alone.
 */
size_t utf8_cut(const char *text, size_t len);

#endif
