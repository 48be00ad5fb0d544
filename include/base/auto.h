/*
 * auto.h - locals that release themselves, and a few small macros.
 *
 * AUTO(tag) makes a local call the function named by AUTO_DEFINE(tag, ...) when
 * it goes out of scope. Always initialise such a local on the line that declares
 * it. TAKE() moves a pointer out of a variable, so that nothing is released.
 */
#ifndef CALLOUTD_BASE_AUTO_H
#define CALLOUTD_BASE_AUTO_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(tag) __attribute__((cleanup(auto_##tag)))

#define TAKE(lvalue)                                    \
	__extension__({                                 \
		__typeof__(lvalue) taken_ = (lvalue);   \
		(lvalue) = NULL;                        \
		taken_;                                 \
	})

/* Moves a descriptor out of a variable, leaving -1. */
#define TAKE_FD(lvalue)                                 \
	__extension__({                                 \
		int taken_ = (lvalue);                  \
		(lvalue) = -1;                          \
		taken_;                                 \
	})

/* One line per resource: AUTO_DEFINE(tag, type, function). */
#define AUTO_DEFINE(tag, type, fn)                      \
	static inline void auto_##tag(type *p)          \
	{                                               \
		if (*p)                                 \
			(void)fn(*p);                   \
	}

AUTO_DEFINE(FILE, FILE *, fclose)

static inline void auto_free(void *p)
{
	void **at = (void **)p;

	free(*at);
	*at = NULL;
}

/* A descriptor; -1 means none. */
static inline void auto_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
