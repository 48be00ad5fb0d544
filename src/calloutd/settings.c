/* settings.c - the configuration on disk, or the last one that was good. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"
#include "private.h"

static int load_site(const char *path, struct site **ret_site, struct error *err)
{
	struct conf *conf = NULL;
	int r;

	r = conf_load(path, &conf, err);
	if (r < 0)
		return r;
	r = site_new(conf, ret_site, err);
	if (r < 0)
		conf_free(conf);
	return r;
}

int settings_load(struct daemon *d, struct site **ret_site, struct error *err)
{
	struct error old = { "" };
	int r;

	r = load_site(d->conf_path, ret_site, err);
	if (r == 0)
		return 0;
	/* Where the state is cannot be read from a broken file: environment or default. */
	(void)conf_state_directory(NULL, d->state, sizeof(d->state));
	(void)snprintf(d->last_good, sizeof(d->last_good), "%.*s/last-good.conf",
		       (int)(sizeof(d->last_good) - 32), d->state);
	if (load_site(d->last_good, ret_site, &old) < 0)
		return r;
	(void)snprintf(d->degraded, sizeof(d->degraded),
		       "the configuration is not valid, the last good one is in force: %s",
		       err->text);
	log_err(NULL, "%s", d->degraded);
	return 0;
}

int settings_keep(struct daemon *d, const struct conf *c)
{
	AUTO(free) char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return -errno;
	r = conf_print(c, f);
	if (fclose(f) != 0 && r == 0)
		r = -EIO;
	if (r == 0)
		r = file_replace(d->last_good, 0600, text, len);
	if (r < 0)
		log_warn(NULL, "cannot keep the configuration as %s: %s", d->last_good,
			 strerror(-r));
	return r;
}
