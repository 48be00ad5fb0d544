/* guid.c - when two texts are the same GUID. */
#include "callout/guid.h"

/* The next character that counts, letters in one case; 0 at the end. */
static unsigned char next_counting(const char **at)
{
	while (**at) {
		unsigned char c = (unsigned char)*(*at)++;

		if (c >= 'A' && c <= 'Z')
			return (unsigned char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			return c;
	}
	return 0;
}

/* FNV-1a; 0 stands for nothing, so what hashes to it is moved aside. */
uint64_t guid_mark(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;
	unsigned char c = next_counting(&text);

	if (!c)
		return 0;
	for (; c; c = next_counting(&text))
		h = (h ^ c) * 0x100000001b3;
	return h ? h : 1;
}

bool guid_same(const char *a, const char *b)
{
	unsigned char c = next_counting(&a);

	if (!c)
		return false;
	for (; c; c = next_counting(&a))
		if (next_counting(&b) != c)
			return false;
	return next_counting(&b) == 0;
}
