/* utf8.c - characters as bytes: how long one is, where a text may be cut. */
#include "base/utf8.h"

/* Bytes a sequence needs by its first byte; 0: no sequence begins so. */
static size_t need_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t utf8_length(const char *text, size_t left)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t need = left ? need_of(at[0]) : 0;
	unsigned char low = 0x80, high = 0xbf;

	if (need < 2)
		return need;
	if (left < need)
		return 0;
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return need;
}

uint32_t utf8_decode(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t c = at[0];

	if (len < 2)
		return c;
	c &= 0xffU >> (len + 1);
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (at[i] & 0x3fU);
	return c;
}

size_t utf8_encode(uint32_t c, char dst[static 4])
{
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xc0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 63));
		dst[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 63));
	dst[2] = (char)(0x80 | (c >> 6 & 63));
	dst[3] = (char)(0x80 | (c & 63));
	return 4;
}

size_t utf8_cut(const char *text, size_t len)
{
	/* The last byte that begins a sequence: is that sequence longer than what is left of it? */
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)text[len - back];

		if ((c & 0xc0) == 0x80)
			continue;
		return need_of(c) > back ? len - back : len;
	}
	return len;
}
