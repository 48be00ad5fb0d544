/*
 * tally.c - a handler that appends one line for each of its runs; a tool of the tests.
 *
 * usage: tally FILE
 *
 * The line: event, attempt, source, late, webhook, entity, record, sequence, action. It goes out
 * in one write(2) to a file opened for appending, before anything else: a run that is
 * killed has left either the whole line or none, and runs at the same time never mix theirs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[] = { "CALLOUT_EVENT", "CALLOUT_ATTEMPT", "CALLOUT_SOURCE", "CALLOUT_LATE", "CALLOUT_WEBHOOK",
	"CALLOUT_ENTITY", "CALLOUT_ID", "CALLOUT_SEQUENCE", "CALLOUT_ACTION" };

int main(int argc, char **argv)
{
	enum { COUNT = sizeof(names) / sizeof(*names) };
	char line[512], body[4096];
	size_t used = 0;
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return 1;
	for (size_t i = 0; i < COUNT; i++) {
		const char *value = getenv(names[i]);
		int n = snprintf(line + used, sizeof(line) - used, "%s%c", value && *value ? value : "-", i + 1 < COUNT ? ' ' : '\n');

		if (n < 0 || (size_t)n >= sizeof(line) - used)
			return 1;
		used += (size_t)n;
	}
	if (write(fd, line, used) != (ssize_t)used)
		return 1;
	while (read(STDIN_FILENO, body, sizeof(body)) > 0)
		;
	return 0;
}
