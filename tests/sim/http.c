/* http.c - HTTP of the simulator: credentials, limits, failures asked for, and the way to the routes. */
#include "sim.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { THREADS_PER_ENDPOINT = 3, MAX_BODY = 1 << 20, HOUR_MS = 3600000, SLOW_MS = 5000 };

static const char *const shape_names[] = { "none", "strings", "objects", "unauthorized", "busy", "html", "garbage", "slow", "lost" };

bool shape_by_name(const char *name, enum shape *ret)
{
	for (size_t i = 0; i < sizeof(shape_names) / sizeof(*shape_names); i++)
		if (!strcmp(name, shape_names[i])) {
			*ret = (enum shape)i;
			return true;
		}
	return false;
}

void sim_sleep(const struct sim *sim, double vendor_ms)
{
	int64_t ms = (int64_t)(vendor_ms / sim->opt.clock_factor);
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void put_error(struct reply *ret, unsigned status, enum shape shape, const char *text)
{
	cJSON *list, *item;

	cJSON_Delete(ret->body);
	ret->status = status;
	ret->body = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(ret->body, "errors");
	if (shape == SHAPE_OBJECTS) {
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "message", text);
	} else {
		item = cJSON_CreateString(text);
	}
	cJSON_AddItemToArray(list, item);
}

void fail_with(struct sim *sim, struct reply *ret, unsigned status, const char *text, ...)
{
	char line[512];
	va_list args;

	va_start(args, text);
	vsnprintf(line, sizeof(line), text, args);
	va_end(args);
	put_error(ret, status, sim->opt.errors, line);
}

static bool is_write(const struct request *req)
{
	return strcmp(req->method, "GET") != 0 && !strcasestr(req->path, "/query");
}

/* True when a failure was asked for and ret holds it. "slow" only takes its time, "lost" does what is asked and says nothing. */
static bool injected(struct sim *sim, const struct request *req, struct reply *ret, double *ret_wait_ms)
{
	if (!sim->fail_times || !strcasestr(req->path, sim->fail_path) || (sim->fail == SHAPE_LOST && !is_write(req)))
		return false;
	sim->fail_times--;
	switch (sim->fail) {
	case SHAPE_STRINGS:
	case SHAPE_OBJECTS: put_error(ret, 500, sim->fail, "A failure that was asked for."); return true;
	case SHAPE_UNAUTHORIZED: put_error(ret, 401, SHAPE_STRINGS, "Unauthorized."); return true;
	case SHAPE_BUSY: put_error(ret, 429, SHAPE_STRINGS, "Itgenatr005: too many threads."); return true;
	case SHAPE_HTML: *ret = (struct reply){ 502, NULL, "<html><body>Bad Gateway</body></html>", false }; return true;
	case SHAPE_GARBAGE: *ret = (struct reply){ 200, NULL, "{\"item\":", false }; return true;
	case SHAPE_SLOW: *ret_wait_ms += SLOW_MS; return false;
	case SHAPE_LOST: ret->lost = true; return false;
	default: return false;
	}
}

static bool header_is(struct MHD_Connection *c, const char *name, const char *want)
{
	const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);

	return value && *value && (!want || !strcmp(value, want));
}

static bool may(const struct sim *sim, struct MHD_Connection *c)
{
	return header_is(c, "UserName", sim->opt.user) && header_is(c, "Secret", sim->opt.secret) &&
		header_is(c, "ApiIntegrationCode", sim->opt.code);
}

/* Counts this call; from half of the limit on calls take longer, at the limit they are refused. */
static bool over_limit(struct sim *sim, struct reply *ret, double *ret_wait_ms)
{
	if ((double)(now_ms() - sim->hour_began_ms) >= HOUR_MS / sim->opt.clock_factor) {
		sim->hour_began_ms = now_ms();
		sim->requests = 0;
	}
	if (sim->requests >= sim->opt.hourly_limit) {
		fail_with(sim, ret, 500, "The limit of %u requests an hour is reached.", sim->opt.hourly_limit);
		return true;
	}
	if (++sim->requests > sim->opt.hourly_limit / 2)
		*ret_wait_ms += sim->requests > sim->opt.hourly_limit / 4 * 3 ? 1000 : 500;
	return false;
}

/* A number for the endpoint: all below one collection's name count together. */
static unsigned *busy_of(struct sim *sim, const struct request *req)
{
	unsigned hash = 0;

	for (const char *p = req->n_parts ? req->parts[0] : ""; *p; p++)
		hash = hash * 31 + (*p | 0x20u);
	return &sim->busy[hash % (sizeof(sim->busy) / sizeof(*sim->busy))];
}

/* Locked; let go while the call takes its time, which is when others can run into it. */
static void answer_rest(struct sim *sim, struct MHD_Connection *c, const struct request *req, struct reply *ret)
{
	unsigned *busy = busy_of(sim, req);
	double wait_ms = 0;

	if (req->n_parts && !strcasecmp(req->parts[0], "ZoneInformation")) {
		rest_answer(sim, req, ret);
		return;
	}
	if (!may(sim, c)) {
		put_error(ret, 401, sim->opt.errors, "The logged in Resource does not have the adequate permissions.");
		return;
	}
	if (*busy >= THREADS_PER_ENDPOINT) {
		put_error(ret, 429, sim->opt.errors, "Itgenatr005: the thread limit of 3 for this endpoint is exceeded.");
		return;
	}
	sim->writes += is_write(req);
	if (over_limit(sim, ret, &wait_ms) || injected(sim, req, ret, &wait_ms))
		return;
	++*busy;
	pthread_mutex_unlock(&sim->lock);
	sim_sleep(sim, wait_ms);
	pthread_mutex_lock(&sim->lock);
	rest_answer(sim, req, ret);
	--*busy;
}

static void split(struct request *req, char *path)
{
	char *save = NULL;

	for (char *part = strtok_r(path, "/", &save); part && req->n_parts < 8; part = strtok_r(NULL, "/", &save))
		req->parts[req->n_parts++] = part;
}

static void answer(struct sim *sim, struct MHD_Connection *c, struct request *req, struct reply *ret)
{
	static const char rest[] = "/atservicesrest/v1.0/", control[] = "/sim/";
	bool is_rest = !strncasecmp(req->path, rest, sizeof(rest) - 1);
	char *below = NULL;

	pthread_mutex_lock(&sim->lock);
	errors_expire(sim);
	if (is_rest || !strncmp(req->path, control, sizeof(control) - 1)) {
		below = strdup(req->path + (is_rest ? sizeof(rest) : sizeof(control)) - 1);
		split(req, below);
		if (is_rest)
			answer_rest(sim, c, req, ret);
		else
			control_answer(sim, req, ret);
	} else {
		fail_with(sim, ret, 404, "REST is below /ATServicesRest/V1.0/, the simulator's own below /sim/");
	}
	pthread_mutex_unlock(&sim->lock);
	free(below);
}

static enum MHD_Result send_reply(struct MHD_Connection *c, struct reply *reply)
{
	char *text = reply->raw ? strdup(reply->raw) : cJSON_PrintUnformatted(reply->body);
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	MHD_add_response_header(response, "Content-Type", reply->raw && *reply->raw == '<' ? "text/html" : "application/json; charset=utf-8");
	result = MHD_queue_response(c, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

struct upload { char *text; size_t size; };

static bool more(struct upload *up, const char *data, size_t size)
{
	char *text = up->size + size > MAX_BODY ? NULL : realloc(up->text, up->size + size + 1);

	if (!text)
		return false;
	memcpy(text + up->size, data, size);
	up->text = text;
	up->size += size;
	text[up->size] = '\0';
	return true;
}

static enum MHD_Result finish(struct sim *sim, struct MHD_Connection *c, const char *path, const char *method, const struct upload *up)
{
	AUTO_JSON body = up->text ? cJSON_Parse(up->text) : NULL;
	const char *page = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "page");
	struct request req = { .method = method, .path = path, .body = body,
		.search = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "search"),
		.user = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "user"),
		.page = page ? (unsigned)strtoul(page, NULL, 10) : 0 };
	struct reply reply = { .status = 200 };
	enum MHD_Result result;

	answer(sim, c, &req, &reply);
	result = reply.lost ? MHD_NO : send_reply(c, &reply);
	cJSON_Delete(reply.body);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path, const char *method, const char *version,
	const char *data, size_t *size, void **state)
{
	struct upload *up = *state;

	(void)version;
	if (!up) {
		*state = calloc(1, sizeof(*up));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*size) {
		enum MHD_Result result = more(up, data, *size) ? MHD_YES : MHD_NO;

		*size = 0;
		return result;
	}
	return finish(arg, c, path, method, up);
}

static void on_end(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct upload *up = *state;

	(void)arg, (void)c, (void)code;
	if (up)
		free(up->text);
	free(up);
}

struct MHD_Daemon *http_start(struct sim *sim)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((uint16_t)sim->opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION,
		0, NULL, NULL, on_request, sim, MHD_OPTION_SOCK_ADDR, &here, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U,
		MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_CONNECTION_TIMEOUT, 60U, MHD_OPTION_END);

	/* Calls may come already; they read it under the lock. */
	if (daemon) {
		pthread_mutex_lock(&sim->lock);
		sim->opt.port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
		pthread_mutex_unlock(&sim->lock);
	}
	return daemon;
}

void http_stop(struct MHD_Daemon *daemon) { MHD_stop_daemon(daemon); }
