/* random.c - texts nobody can guess, of the kernel's random. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "private.h"

void random_text(char *dst, size_t len, const char *alphabet)
{
	size_t mask = strlen(alphabet) - 1;

	for (size_t done = 0; done < len;) {
		ssize_t n = getrandom(dst + done, len - done, 0);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			(void)need(NULL);
	}
	for (size_t i = 0; i < len; i++)
		dst[i] = alphabet[(unsigned char)dst[i] & mask];
}
