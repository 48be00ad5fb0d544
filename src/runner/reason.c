/* reason.c - why a program could not be started, in words an operator can act on. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

#define LINE_BYTES 256          /* the kernel looks no further either */

/* "#!/usr/bin/env python3": the interpreter. False if there is no such line. */
static bool interpreter_of(const char *program, char dst[static LINE_BYTES])
{
	AUTO(fd) int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, dst, LINE_BYTES - 1);
	char *at = dst + 2;

	if (n < 2 || memcmp(dst, "#!", 2) != 0)
		return false;
	dst[n] = '\0';
	at += strspn(at, " \t");
	at[strcspn(at, " \t\n")] = '\0';
	memmove(dst, at, strlen(at) + 1);
	return true;
}

static int not_found(const char *program, struct error *err)
{
	char interpreter[LINE_BYTES];
	size_t len;

	if (access(program, F_OK) < 0)
		return error_set(err, ENOENT, "'%s' does not exist", program);
	if (!interpreter_of(program, interpreter))
		return error_set(err, ENOENT, "'%s' exists, but the loader it is linked to does not",
				 program);
	len = strlen(interpreter);
	if (len > 0 && interpreter[len - 1] == '\r')
		return error_set(err, ENOENT, "the first line of '%s' ends in a carriage return: "
				 "save it with UNIX line ends (sed -i 's/\\r$//')", program);
	return error_set(err, ENOENT, "'%s' exists, but its interpreter '%s' does not", program,
			 interpreter);
}

static int not_allowed(const char *program, struct error *err)
{
	char interpreter[LINE_BYTES];
	struct stat st;

	if (stat(program, &st) < 0)
		return error_set(err, EACCES, "'%s' cannot be reached: %s (the runner's user needs x on every "
				 "directory above it)", program, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, EACCES, "'%s' is not a file", program);
	if (access(program, X_OK) < 0)
		return error_set(err, EACCES, "'%s' is not executable for the runner's user (mode %04o): chmod +x",
				 program, (unsigned)st.st_mode & 07777);
	if (interpreter_of(program, interpreter))
		return error_set(err, EACCES, "the interpreter '%s' of '%s' may not be executed", interpreter,
				 program);
	return error_set(err, EACCES, "'%s' may not be executed: is it mounted noexec?", program);
}

int reason_of(const char *program, int code, struct error *err)
{
	char interpreter[LINE_BYTES];

	switch (code) {
	case ENOENT:
		return not_found(program, err);
	case EACCES:
		return not_allowed(program, err);
	case ENOEXEC:
		if (interpreter_of(program, interpreter))
			return error_set(err, ENOEXEC, "the first line of '%s' names no interpreter", program);
		return error_set(err, ENOEXEC, "'%s' is neither a program of this machine nor a script: its "
				 "first line would have to be like #!/bin/sh", program);
	case ETXTBSY:
		return error_set(err, ETXTBSY, "'%s' is being written to", program);
	case E2BIG:
		return error_set(err, E2BIG, "the arguments and variables of '%s' are too long", program);
	default:
		return error_set(err, code, "cannot run '%s': %s", program, strerror(code));
	}
}
