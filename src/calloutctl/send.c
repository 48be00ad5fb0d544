/* send.c - `calloutctl send`: a correctly signed callout to where callouts are received. */
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "callout/callout.h"
#include "private.h"

void target_free(struct target *t)
{
	free(t->url);
	free(t->unix_socket);
}

/* An address listened on, as the configuration writes it. */
struct place {
	char text[256];         /* of a UNIX socket at most 113 */
	bool secure;
};

/* Where a listening address can be reached from here: "every address" includes loopback. */
static void reachable(struct sockaddr_storage *sa)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

	if (sa->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (sa->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
}

/* "127.0.0.1:9080", "[::1]:9080" */
static char *host_text(const struct sockaddr_storage *sa, socklen_t len)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return need(strdup("localhost"));
	return text_printf(sa->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* The first of "127.0.0.1:9080 (http), [::]:443 (https, from systemd: web)". False: it is not that. */
static bool first_place(const char *listening, struct place *ret)
{
	const char *end = strstr(listening, " (http");

	if (!end || end == listening)
		return false;
	(void)snprintf(ret->text, sizeof(ret->text), "%.*s", (int)(end - listening), listening);
	ret->secure = end[strlen(" (http")] == 's';
	return true;
}

/* Where the daemon says it listens: systemd may have passed other sockets than `listen` names. */
static bool told_place(struct ctl *ctl, struct place *ret)
{
	const struct request q = { .method = "GET", .path = "/v1/status", .timeout_ms = 5000 };
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(free) char *listening = NULL;
	struct sockaddr_storage sa;
	struct json_value intake;
	socklen_t len;

	if (client_ask(ctl, &q, &a, NULL) < 0 || a.status != 200 || !a.json || !member(&a.root, "intake", &intake))
		return false;
	listening = member_text(&intake, "listening");
	return first_place(listening, ret) && conf_address_parse(ret->text, &sa, &len, NULL) == 0;
}

static enum exit_status configured_place(const struct conf *c, struct place *ret)
{
	if (!c->listen.count)
		return complain(CTL_NO, "%s has no listen address: name one with --via URL", c->path);
	(void)snprintf(ret->text, sizeof(ret->text), "%s", c->listen.items[0]);
	ret->secure = c->tls_certificate && strncmp(ret->text, "unix:", strlen("unix:")) != 0;
	return CTL_OK;
}

static enum exit_status place_target(const struct place *p, const struct conf_webhook *w, struct target *ret)
{
	struct sockaddr_storage sa;
	struct error err = { "" };
	socklen_t len;

	if (conf_address_parse(p->text, &sa, &len, &err) < 0)
		return complain(CTL_NO, "listen address %s %s", p->text, err.text);
	reachable(&sa);
	ret->loopback = conf_address_is_loopback(&sa);
	if (sa.ss_family == AF_UNIX)
		ret->unix_socket = need(strdup(p->text + strlen("unix:")));

	AUTO(free) char *host = ret->unix_socket ? need(strdup("localhost")) : host_text(&sa, len);

	ret->url = text_printf("%s://%s%s", p->secure ? "https" : "http", host, w->path);
	return CTL_OK;
}

enum exit_status target_listening(struct ctl *ctl, const struct conf_webhook *w, struct target *ret)
{
	struct place p = { .secure = false };
	enum exit_status status = CTL_OK;

	if (!told_place(ctl, &p))
		status = configured_place(ctl_conf(ctl), &p);
	return status == CTL_OK ? place_target(&p, w, ret) : status;
}

/* --via, else the first address the daemon listens on; the configuration's, if it does not say. */
static enum exit_status find_target(struct ctl *ctl, const struct conf_webhook *w, struct target *ret)
{
	const char *via = ctl->option[OPT_VIA];
	size_t len = via ? strlen(via) : 0;

	if (!via)
		return target_listening(ctl, w, ret);
	if (strncmp(via, "http://", 7) != 0 && strncmp(via, "https://", 8) != 0)
		return misused(ctl, "--via takes an address like https://hooks.example.net, not '%s'", via);
	while (len && via[len - 1] == '/')
		len--;
	ret->url = text_printf("%.*s%s", (int)len, via, w->path);
	return CTL_OK;
}

/* ---- the event it became ---- */

/* The number of the newest event, 0 for none, -1 when the daemon does not say. */
static int64_t newest(struct ctl *ctl)
{
	const struct request q = { .method = "GET", .path = "/v1/events?limit=1", .timeout_ms = 5000 };
	struct event_page p = { .answer = ANSWER_INIT, .next = 0 };
	struct json_cursor c = { .at = NULL };
	struct json_value e;
	int64_t event = -1;

	if (client_ask(ctl, &q, &p.answer, NULL) == 0 && page_take(&p))
		event = json_next_element(&p.events, &c, &e) ? member_number(&e, "event") : 0;
	buf_free(&p.answer.body);
	return event;
}

static bool same_number(const struct json_value *e, const char *name, bool has, int64_t n)
{
	struct json_value v;
	int64_t theirs;

	return has && member(e, name, &v) && json_integer(&v, &theirs) == 0 ? theirs == n : !has;
}

/* Is this event the callout that was sent? */
static bool is_it(const struct json_value *e, const struct callout *c, size_t len)
{
	return member_number(e, "body_bytes") == (int64_t)len && member_is(e, "guid", c->guid) &&
	       same_number(e, "id", c->has_id, c->id) && same_number(e, "sequence", c->has_sequence, c->sequence) &&
	       member_is(e, "action_raw", c->action_raw);
}

/* The newest one that is it; 0: not found. */
static int64_t find_event(struct ctl *ctl, const struct conf_webhook *w, const char *body, size_t len)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct event_page p = { .answer = ANSWER_INIT, .next = 0 };
	struct request q = { .method = "GET", .timeout_ms = 5000 };
	struct json_cursor cursor = { .at = NULL };
	struct callout c = { .has_id = false };
	const char *why;
	char id[24];
	struct json_value e;
	int64_t found = 0;

	(void)callout_parse(body, len, &c, &why);
	(void)snprintf(id, sizeof(id), "%" PRId64, c.id);
	need_room(buf_append_text(&path, "/v1/events?limit=100"));
	query_add(&path, "webhook", w->title);
	query_add(&path, "id", c.has_id ? id : NULL);
	q.path = path.data;
	if (client_ask(ctl, &q, &p.answer, NULL) == 0 && page_take(&p))
		while (!found && json_next_element(&p.events, &cursor, &e))
			if (is_it(&e, &c, len))
				found = member_number(&e, "event");
	buf_free(&p.answer.body);
	return found;
}

/* ---- the answer ---- */

static const char *hint(long status)
{
	static const struct {
		long status;
		const char *text;
	} rows[] = {
		{ 400, "something on the way changed the request" },
		{ 401, "calloutd has another secret loaded than the one in the file: calloutctl reload" },
		{ 404, "calloutd has another path in force: compare with calloutctl config, or calloutctl reload" },
		{ 413, "the body is larger than max-body" },
		{ 429, "too many requests of one client are in flight" },
		{ 503, "it could not be stored: calloutctl status says why" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "see calloutctl status and journalctl -u calloutd";
}

static enum exit_status tell(const struct ctl *ctl, long status, int64_t event, bool repeated)
{
	if (ctl->option[OPT_JSON]) {
		printf("{\"status\":%ld,\"event\":", status);
		if (event)
			printf("%" PRId64 ",\"duplicate\":%s}\n", event, repeated ? "true" : "false");
		else
			printf("null,\"duplicate\":null}\n");
	} else if (status / 100 == 2) {
		printf("%ld: %s", status, repeated ? "repeats event " : event ? "stored as event " : "stored");
		if (event)
			printf("%" PRId64 "; calloutctl show %" PRId64 " shows it", event, event);
		putchar('\n');
	}
	if (status / 100 == 2)
		return CTL_OK;
	return complain(CTL_NO, "answered with %ld: %s", status, hint(status));
}

static enum exit_status shoot(struct ctl *ctl, const struct conf_webhook *w, const struct target *t,
			      const char *signature, const char *body, size_t len)
{
	const struct shot s = { .url = t->url, .unix_socket = t->unix_socket, .signature = signature,
				.unverified = t->loopback, .body = body, .len = len };
	AUTO(buf) struct buf reply = BUF_INIT(0);
	struct error err = { "" };
	int64_t before = newest(ctl), event = 0;
	long status = 0;

	if (client_shoot(&s, &status, &reply, &err) < 0)
		return complain(CTL_UNREACHABLE, "%s: %s", err.text, ctl->option[OPT_VIA] ? "check --via, and what listens there" :
				"is calloutd listening there? systemctl status calloutd; --via URL names another address");
	if (status / 100 == 2 && before >= 0)
		event = find_event(ctl, w, body, len);
	return tell(ctl, status, event, event && event <= before);
}

enum exit_status cmd_send(struct ctl *ctl)
{
	AUTO(keys) struct keys keys = { .count = 0 };
	struct target target = { .url = NULL };
	const struct conf_webhook *w;
	char signature[SIGNATURE_TEXT_LEN];
	AUTO(free) char *body = NULL;
	enum exit_status status;
	size_t len = 0;

	if (!ctl->option[OPT_WEBHOOK])
		return misused(ctl, "to which webhook? --webhook NAME");
	w = webhook_option(ctl);
	if (!w)
		return CTL_NO;
	status = find_target(ctl, w, &target);
	if (status == CTL_OK)
		status = read_input(ctl->args[0], &body, &len);
	if (status == CTL_OK)
		status = keys_of_webhook(w, &keys);
	if (status == CTL_OK)
		status = sign_body(&keys, body, len, signature);
	if (status == CTL_OK)
		status = shoot(ctl, w, &target, signature, body, len);
	target_free(&target);
	return status;
}
