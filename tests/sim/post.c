/* post.c - one callout's way over the wire, and breaking it off where a test wants it broken. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000 };

struct upload {
	const char *text;
	size_t left;
};

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

/* The receiver has answered, so it has everything; the sender never learns. */
static size_t break_off(char *data, size_t size, size_t count, void *arg)
{
	(void)data, (void)size, (void)count, (void)arg;
	return 0;
}

/* Half of the body goes out, then the connection is closed. */
static size_t half(char *to, size_t size, size_t count, void *arg)
{
	struct upload *up = arg;
	size_t n = up->left < size * count ? up->left : size * count;

	if (!n)
		return CURL_READFUNC_ABORT;
	memcpy(to, up->text, n);
	up->text += n;
	up->left -= n;
	return n;
}

static int stopped(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct sim *sim = arg;
	bool stop;

	(void)a, (void)b, (void)c, (void)d;
	pthread_mutex_lock(&sim->lock);
	stop = sim->stop;
	pthread_mutex_unlock(&sim->lock);
	return stop;
}

static struct curl_slist *headers_of(const char *signature)
{
	char line[80];
	struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json; charset=utf-8");

	list = curl_slist_append(list, "Expect:");
	if (!*signature)
		return list;
	snprintf(line, sizeof(line), "X-Hook-Signature: %s", signature);
	return curl_slist_append(list, line);
}

static void set_body(CURL *curl, const char *payload, enum cut cut, struct upload *up)
{
	if (cut != CUT_HALF) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, payload);
		return;
	}
	*up = (struct upload){ payload, strlen(payload) / 2 };
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(payload));
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, half);
	curl_easy_setopt(curl, CURLOPT_READDATA, up);
}

long post(struct sim *sim, const char *url, const char *payload, const char *signature, enum cut cut, char ret_error[CURL_ERROR_SIZE])
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = headers_of(signature);
	long timeout_ms = (long)(sim->opt.timeout_ms > 0 ? sim->opt.timeout_ms : TIMEOUT_MS / sim->opt.clock_factor);
	struct upload up;
	long status = 0;

	if (!curl)
		abort();
	curl_easy_setopt(curl, CURLOPT_URL, url);
	set_body(curl, payload, cut, &up);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 1);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, ret_error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	if (cut == CUT_UNREAD)
		curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, break_off);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stopped);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, sim);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return status;
}

static uint64_t dice(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

enum cut cut_next(struct sim *sim)
{
	struct cuts *cuts = &sim->cuts;
	enum cut cut = cuts->cut;

	if (!cuts->times || (double)(dice(&cuts->dice) % 1000000) >= cuts->chance * 1e6)
		return CUT_NONE;
	cuts->times--;
	return cut != CUT_EITHER ? cut : dice(&cuts->dice) % 2 ? CUT_HALF : CUT_UNREAD;
}

bool cut_by_name(const char *name, enum cut *ret)
{
	static const char *const names[] = { "none", "half", "unread", "either" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum cut)i;
			return true;
		}
	return false;
}
