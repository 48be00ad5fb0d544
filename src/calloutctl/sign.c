/* sign.c - `calloutctl sign`: the signature header of a body. */
#include <string.h>

#include "private.h"

enum exit_status sign_body(const struct keys *keys, const void *body, size_t len,
			   char ret_text[static SIGNATURE_TEXT_LEN])
{
	AUTO(keyring) struct keyring *ring = NULL;
	int r = keyring_new(&keys->items[0].secret, 1, &ring);

	if (r == 0)
		r = signature_make(ring, body, len, ret_text);
	return r < 0 ? complain(CTL_NO, "cannot sign: %s", strerror(-r)) : CTL_OK;
}

/* --webhook or --secret-file. */
static enum exit_status find_keys(struct ctl *ctl, struct keys *keys)
{
	const struct conf_webhook *w;

	if (!ctl->option[OPT_WEBHOOK] == !ctl->option[OPT_SECRET_FILE])
		return misused(ctl, "whose secret? Either --webhook NAME or --secret-file FILE");
	if (ctl->option[OPT_SECRET_FILE])
		return keys_of_file(ctl->option[OPT_SECRET_FILE], keys);
	w = webhook_option(ctl);
	return w ? keys_of_webhook(w, keys) : CTL_NO;
}

enum exit_status cmd_sign(struct ctl *ctl)
{
	AUTO(keys) struct keys keys = { .count = 0 };
	AUTO(free) char *body = NULL;
	char text[SIGNATURE_TEXT_LEN];
	enum exit_status status;
	size_t len;

	status = find_keys(ctl, &keys);
	if (status == CTL_OK)
		status = read_input(ctl->args[0], &body, &len);
	if (status == CTL_OK)
		status = sign_body(&keys, body, len, text);
	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON])
		printf("{\"header\":\"" SIGNATURE_HEADER "\",\"value\":\"%s\"}\n", text);
	else
		printf(SIGNATURE_HEADER ": %s\n", text);
	return CTL_OK;
}
