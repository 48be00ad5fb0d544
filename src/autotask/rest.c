/* rest.c - calls to Autotask: waiting, repeating, looking for the zone anew. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/url.h"
#include "private.h"

#define CONNECT_MS 10000
#define WHOLE_MS 60000
#define FIRST_WAIT_MS 1000
#define WAIT_MAX_MS 60000
#define RETRY_AFTER_MAX_MS (10 * 60000) /* the hour is rolling: looking again sooner does no harm */
#define URL_MAX (64 * 1024)
#define REST_SMALL_ANSWER (1024 * 1024)

struct rest {
	struct rest_options options;
	struct secret *secret, *integration_code;
	struct transport *transport;
	struct zone zone;
	int64_t waited_ms;
};

static struct zone_place place_of(const struct rest *r)
{
	return (struct zone_place){
		.transport = r->transport,
		.user_name = r->options.autotask->username,
		.information = r->options.autotask->zone_information,
		.directory = r->options.cache_directory,
	};
}

/* ---- life ---- */

/* Nothing of the credentials is left behind by a crash. */
static void forbid_core_dumps(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}

static int64_t otherwise(int64_t value, int64_t fallback)
{
	return value > 0 ? value : fallback;
}

static int open_parts(struct rest *r, struct error *err)
{
	const struct conf_autotask *a = r->options.autotask;
	struct transport_options o = {
		.user_name = a->username,
		.ca_file = a->ca_file,
		.connect_ms = otherwise(r->options.connect_ms, CONNECT_MS),
		.whole_ms = otherwise(r->options.whole_ms, WHOLE_MS),
	};
	struct zone_place place;
	int result = secret_load(a->secret, &r->secret, err);

	if (result == 0)
		result = secret_load(a->integration_code, &r->integration_code, err);
	if (result < 0)
		return result;
	o.secret = r->secret;
	o.integration_code = r->integration_code;
	result = transport_open(&o, &r->transport, err);
	if (result < 0)
		return result;
	place = place_of(r);
	return zone_find(&r->zone, &place, err);
}

int rest_open(const struct rest_options *o, struct rest **ret, struct error *err)
{
	struct rest *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return error_no_memory(err);
	forbid_core_dumps();
	r->options = *o;
	result = open_parts(r, err);
	if (result < 0) {
		rest_close(r);
		return result;
	}
	*ret = r;
	return 0;
}

struct rest *rest_close(struct rest *r)
{
	if (!r)
		return NULL;
	transport_close(r->transport);
	secret_free(r->secret);
	secret_free(r->integration_code);
	zone_free(&r->zone);
	free(r);
	return NULL;
}

const char *rest_base(const struct rest *r)
{
	return r->zone.base;
}

/* ---- waiting ---- */

static void sleep_ms(int64_t ms)
{
	struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* False: patience is at its end. */
static bool wait_for_autotask(struct rest *r, const struct verdict *v, const struct reply *reply, unsigned times)
{
	int64_t left = r->options.patience_ms - r->waited_ms;
	int64_t ms = otherwise(r->options.first_wait_ms, FIRST_WAIT_MS) << (times < 16 ? times : 16);

	if (ms > WAIT_MAX_MS)
		ms = WAIT_MAX_MS;
	if (reply->retry_after_ms > ms)
		ms = reply->retry_after_ms < RETRY_AFTER_MAX_MS ? reply->retry_after_ms : RETRY_AFTER_MAX_MS;
	if (left <= 0)
		return false;
	if (ms > left)
		ms = left;
	if (r->options.waiting)
		r->options.waiting(r->options.arg, v->busy == BUSY_HOUR ? "the requests that Autotask allows in an hour are spent"
									: "Autotask is busy with other calls", ms);
	sleep_ms(ms);
	r->waited_ms += ms;
	return true;
}

/* ---- one call ---- */

/* free(). NULL: no memory, or too long. */
static char *url_of(const struct rest *r, const struct call *c)
{
	AUTO(buf) struct buf b = BUF_INIT(URL_MAX);
	struct url zone;
	int result;

	if (*c->path != '/')
		result = buf_append_text(&b, r->zone.base);
	else
		result = url_parse(r->zone.base, &zone) < 0 ? -EINVAL : url_put_origin(&b, &zone);
	if (result < 0 || buf_append_text(&b, c->path) < 0)
		return NULL;
	return buf_take(&b, NULL);
}

/* The secret of a webhook that is being written. free(). */
static char *body_secret(const struct call *c)
{
	struct json_value root;

	if (!c->body || json_read(c->body, strlen(c->body), JSON_DEPTH_MAX, &root, NULL) < 0)
		return NULL;
	return rest_text(&root, "secretKey");
}

static void wipe_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void judge(const struct rest *r, const struct call *c, const struct reply *reply, struct verdict *ret, struct error *err)
{
	char *webhooks = body_secret(c);
	const struct hidden hidden = { { (const char *)r->secret->bytes, (const char *)r->integration_code->bytes, webhooks } };
	AUTO(buf) struct buf host = BUF_INIT(URL_MAX);
	struct url zone;

	if (url_parse(r->zone.base, &zone) == 0)
		(void)url_put_origin(&host, &zone);
	failure_judge(c, reply, host.data ? host.data : "Autotask", &hidden, ret, err);
	wipe_text(webhooks);
}

static int send_once(struct rest *r, const struct call *c, struct rest_answer *answer, struct reply *ret_reply,
		     struct verdict *ret, struct error *err)
{
	AUTO(free) char *url = url_of(r, c);

	*ret_reply = (struct reply){ .body = &answer->body };
	if (!url)
		return error_set(err, ENOMEM, "%s: the URL is too long, or out of memory", c->method);
	transport_run(r->transport, c, url, ret_reply);
	judge(r, c, ret_reply, ret, err);
	answer->root = ret->root;
	return ret->result;
}

static bool is_elsewhere_now(struct rest *r)
{
	struct zone_place place = place_of(r);

	return zone_renew(&r->zone, &place, NULL) > 0;
}

static bool broke(const struct reply *reply)
{
	return reply->trouble == TROUBLE_CONNECT || reply->trouble == TROUBLE_CUT;
}

/* What each attempt may be followed by: a wait, the new zone (once), the same again (once). */
static int perform(struct rest *r, const struct call *c, struct rest_answer *answer, struct error *err)
{
	bool moved = false, repeated = false, safe;
	unsigned waits = 0;

	for (;;) {
		struct reply reply;
		struct verdict v = { .result = 0 };
		int result = send_once(r, c, answer, &reply, &v, err);

		if (result == 0)
			return 0;
		safe = c->reads || v.unexecuted;
		if (safe && v.busy != BUSY_NOT && wait_for_autotask(r, &v, &reply, waits++))
			continue;
		if (safe && v.moved && !moved && is_elsewhere_now(r)) {
			moved = true;
			continue;
		}
		if (repeated || !c->reads || !broke(&reply))
			return result;
		repeated = true;
	}
}

/* ---- the calls ---- */

int rest_read(struct rest *r, const char *path, const char *body, struct rest_answer *ret, struct error *err)
{
	const struct call c = { .method = body ? "POST" : "GET", .path = path, .body = body, .reads = true };

	return perform(r, &c, ret, err);
}

int rest_get(struct rest *r, const char *path, struct rest_answer *ret, struct error *err)
{
	return rest_read(r, path, NULL, ret, err);
}

int rest_item(struct rest *r, const char *path, struct rest_answer *keep, struct json_value *ret_item,
	      struct error *err)
{
	struct json_value item;
	int result = rest_get(r, path, keep, err);

	if (result < 0)
		return result;
	if (!rest_member(&keep->root, "item", &item))
		return error_set(err, EPROTO, "GET %s: the answer has no item", path);
	if (item.kind == JSON_NULL)
		return error_set(err, ENOENT, "GET %s: there is none at Autotask", path);
	if (item.kind != JSON_OBJECT)
		return error_set(err, EPROTO, "GET %s: the answer's item is no object", path);
	*ret_item = item;
	return 0;
}

static int write_call(struct rest *r, const struct call *c, int64_t *ret_id, struct error *err)
{
	struct rest_answer answer = { .body = BUF_INIT(REST_SMALL_ANSWER) };
	int result = perform(r, c, &answer, err);
	int64_t id = result == 0 ? rest_number(&answer.root, "itemId") : 0;

	rest_answer_free(&answer);
	if (result < 0)
		return result;
	if (ret_id && id <= 0)
		return error_set(err, EPROTO, "%s %s: the answer has no itemId, so what was made is unknown; running it again looks first",
				 c->method, c->path);
	if (ret_id)
		*ret_id = id;
	return 0;
}

int rest_post(struct rest *r, const char *path, const char *body, int64_t *ret_id, struct error *err)
{
	const struct call c = { .method = "POST", .path = path, .body = body };

	return write_call(r, &c, ret_id, err);
}

int rest_patch(struct rest *r, const char *path, const char *body, struct error *err)
{
	const struct call c = { .method = "PATCH", .path = path, .body = body };

	return write_call(r, &c, NULL, err);
}

int rest_delete(struct rest *r, const char *path, struct error *err)
{
	const struct call c = { .method = "DELETE", .path = path };

	return write_call(r, &c, NULL, err);
}

int rest_quota(struct rest *r, int64_t *ret_used, int64_t *ret_limit, struct error *err)
{
	struct rest_answer answer = REST_ANSWER_INIT;
	int result = rest_get(r, "ThresholdInformation", &answer, err);
	int64_t used = 0, limit = 0;

	if (result == 0) {
		used = rest_number(&answer.root, "currentTimeframeRequestCount");
		limit = rest_number(&answer.root, "externalRequestThreshold");
	}
	rest_answer_free(&answer);
	if (result < 0)
		return result;
	if (limit <= 0)
		return error_set(err, EPROTO, "GET ThresholdInformation: the answer has no externalRequestThreshold");
	*ret_used = used;
	*ret_limit = limit;
	return 0;
}
