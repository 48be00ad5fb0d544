/* certificate.c - the certificate that a server shows, and when it expires (libcurl). */
#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

#include "guard.h"

#define LOOK_MS 15000L

static const char expire[] = "Expire date:", subject[] = "Subject:", issuer[] = "Issuer:";

/* "Sep 15 14:57:50 2025 GMT", or "2025-09-15 14:57:50 GMT": backends write it differently. */
static int64_t date_ms(const char *text)
{
	time_t seconds = curl_getdate(text, NULL);

	return seconds > 0 ? (int64_t)seconds * 1000 : 0;
}

static void read_line(const char *line, struct certificate *ret)
{
	if (strncmp(line, expire, strlen(expire)) == 0)
		ret->expires_ms = date_ms(line + strlen(expire));
	else if (strncmp(line, subject, strlen(subject)) == 0)
		(void)snprintf(ret->subject, sizeof(ret->subject), "%s", line + strlen(subject));
	else if (strncmp(line, issuer, strlen(issuer)) == 0)
		(void)snprintf(ret->issuer, sizeof(ret->issuer), "%s", line + strlen(issuer));
}

/* The first certificate is the server's. */
static void read_chain(CURL *curl, struct certificate *ret)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info || !info->num_of_certs)
		return;
	ret->shown = info->num_of_certs;
	for (struct curl_slist *line = info->certinfo[0]; line; line = line->next)
		read_line(line->data, ret);
}

/* Shakes hands and says nothing. */
static CURLcode shake(CURL *curl, const char *url, const char *ca_file, bool verify, char detail[static CURL_ERROR_SIZE])
{
	*detail = '\0';
	curl_easy_reset(curl);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, LOOK_MS);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
	if (ca_file)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
	return curl_easy_perform(curl);
}

void certificate_look(const char *url, const char *ca_file, struct certificate *ret)
{
	CURL *curl = need(curl_easy_init());
	char detail[CURL_ERROR_SIZE], again[CURL_ERROR_SIZE];
	CURLcode code = shake(curl, url, ca_file, true, detail);

	*ret = (struct certificate){ .reached = code == CURLE_OK };
	(void)curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &ret->verify);
	/* What it begins with, and what stays when only the name is wrong, which libcurl compares by itself. */
	if (ret->verify == X509_V_ERR_UNSPECIFIED)
		ret->verify = X509_V_OK;
	if (code != CURLE_OK)
		(void)snprintf(ret->trouble, sizeof(ret->trouble), "%s", *detail ? detail : curl_easy_strerror(code));
	/* One that is not accepted is looked at all the same. */
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		ret->reached = shake(curl, url, ca_file, false, again) == CURLE_OK;
	if (ret->reached)
		read_chain(curl, ret);
	curl_easy_cleanup(curl);
}
