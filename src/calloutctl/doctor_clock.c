/*
 * doctor_clock.c - is the time right? The kernel tells whether a time service keeps its clock, and Autotask's
 * answers carry the time of Autotask, by which rows of its error log and modifications go.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/timex.h>

#include "doctor.h"

#define LOOK_MS 10000L
#define OFF_MS 30000            /* a minute makes a difference to what is late, and to recover --since */

static const char why[] =
	"retention, holds, what is late, and recover --since go by it";

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	static const char name[] = "Date:";
	int64_t *ms = arg;
	char line[128];
	time_t t;

	(void)size;
	if (count < sizeof(name) || count >= sizeof(line) || strncasecmp(data, name, sizeof(name) - 1) != 0)
		return count;
	(void)snprintf(line, sizeof(line), "%.*s", (int)count, data);
	t = curl_getdate(line + sizeof(name) - 1, NULL);
	if (t > 0)
		*ms = (int64_t)t * 1000;
	return count;
}

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

/* 0: it did not tell. Credentials are not sent. */
static int64_t their_time_ms(const struct conf_autotask *c)
{
	CURL *curl = need(curl_easy_init());
	int64_t ms = 0;

	(void)curl_easy_setopt(curl, CURLOPT_URL, rest_zone_information(c));
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, LOOK_MS);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "calloutctl/" CALLOUTD_VERSION);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &ms);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	if (c->ca_file)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
	(void)curl_easy_perform(curl);
	curl_easy_cleanup(curl);
	return ms;
}

static void compare(struct doctor *d)
{
	int64_t theirs_ms = their_time_ms(d->conf->autotask), off_ms = clock_now_ms() - theirs_ms;
	char span[WHEN_LEN];

	if (!theirs_ms)
		doctor_tell(d, LEVEL_UNSEEN, "", "Autotask's time: %s tells none", rest_zone_information(d->conf->autotask));
	else if (off_ms > OFF_MS || off_ms < -OFF_MS)
		doctor_tell(d, LEVEL_ERROR, "set the clock, and have a time service keep it: timedatectl set-ntp true",
			    "the clock is %s %s of Autotask's: %s", span_text(off_ms < 0 ? -off_ms : off_ms, span),
			    off_ms < 0 ? "behind" : "ahead", why);
	else
		doctor_ok(d, "the clock and Autotask's are the same");
}

void doctor_clock(struct doctor *d)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	if (state < 0)
		doctor_tell(d, LEVEL_UNSEEN, "", "the kernel does not tell whether its clock is kept");
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		doctor_tell(d, LEVEL_WARNING,
			    "timedatectl set-ntp true, or another time service; in a container it is the host's affair",
			    "no time service keeps the clock: %s", why);
	else
		doctor_ok(d, "a time service keeps the clock");
	if (d->conf && d->conf->autotask && !d->ctl->option[OPT_LOCAL])
		compare(d);
}
