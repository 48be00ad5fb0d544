/* passed.c - sockets systemd opened for us, told apart by name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "private.h"

int passed_adopt(struct passed *p, struct error *err)
{
	int n = sd_listen_fds_with_names(1, &p->names);

	if (n < 0)
		return error_set(err, -n, "cannot take the sockets systemd passes: %s", strerror(-n));
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		const char *name = p->names[i];

		int *one = strcmp(name, "admin") == 0	? &p->admin_fd :
			   strcmp(name, "metrics") == 0 ? &p->metrics_fd :
							  NULL;

		if (one && *one >= 0)
			return error_set(err, E2BIG, "systemd passes two sockets named '%s', wanted is one", name);
		if (one)
			*one = fd;
		else if (p->intake_count < SOCKETS_MAX)
			p->intake[p->intake_count++] = (struct intake_socket){ fd, name };
		else
			return error_set(err, E2BIG, "systemd passes more than %d sockets", SOCKETS_MAX);
	}
	return 0;
}

void passed_release(struct passed *p)
{
	for (char **name = p->names; name && *name; name++)
		free(*name);
	free(p->names);
	p->names = NULL;
}
