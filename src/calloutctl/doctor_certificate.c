/*
 * doctor_certificate.c - the file of tls-certificate, and the certificate of public-url as a client with the
 * system's authorities sees it.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "guard.h"

#define SOON_MS (14 * 24 * 3600 * INT64_C(1000))

static const char renew[] = "renew it; if the proxy holds it, there; if calloutd does: then calloutctl reload (contrib/certbot-hook)";

/*
 * The usual fault of a chain: browsers fetch a missing intermediate certificate by themselves, other clients
 * do not. An authority of one's own looks the same when it shows its intermediates.
 */
static void tell_chain(struct doctor *d, const char *url, const struct certificate *c)
{
	if (strcmp(c->subject, c->issuer) == 0)
		doctor_tell(d, LEVEL_ERROR, "Autotask accepts none that it cannot follow to a public authority: get one, for example with certbot",
			    "the certificate of %s is signed by itself", url);
	else if (c->shown == 1)
		doctor_tell(d, LEVEL_ERROR,
			    "have the server show the whole chain: fullchain.pem instead of cert.pem (nginx ssl_certificate, calloutd tls-certificate)",
			    "%s shows its own certificate and none of its issuer (%s): the chain is incomplete. Browsers mend that by themselves, Autotask refuses it",
			    url, c->issuer);
	else
		doctor_tell(d, LEVEL_ERROR, "Autotask needs a public authority's; if this one is public, the chain lacks a part, or update ca-certificates here",
			    "%s shows %d certificates, none of them issued by an authority that is known here (issuer: %s)", url, c->shown,
			    c->issuer);
}

static void tell_trouble(struct doctor *d, const char *url, const struct certificate *c)
{
	char when[WHEN_LEN];

	switch (c->verify) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		doctor_tell(d, LEVEL_ERROR, renew, "the certificate of %s has expired%s%s: Autotask does not connect", url,
			    c->expires_ms ? ", " : "", c->expires_ms ? when_text(c->expires_ms, when) : "");
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		doctor_tell(d, LEVEL_ERROR, "is the clock right, here and where it was made?", "the certificate of %s is not valid yet", url);
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		tell_chain(d, url, c);
		return;
	case X509_V_OK:
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		doctor_tell(d, LEVEL_ERROR, "get one for the name in public-url; or does the name lead to another server?",
			    "the certificate of %s is for another name (%s): %s", url, c->subject, c->trouble);
		return;
	default:
		doctor_tell(d, LEVEL_ERROR, "", "the certificate of %s is not accepted: %s", url, c->trouble);
	}
}

static void tell_expiry(struct doctor *d, const char *url, const struct certificate *c)
{
	int64_t left_ms = c->expires_ms - clock_now_ms();
	char when[WHEN_LEN];

	if (!c->expires_ms)
		doctor_ok(d, "the certificate of %s is accepted", url);
	else if (left_ms < SOON_MS)
		doctor_tell(d, LEVEL_WARNING, renew, "the certificate of %s expires in %" PRId64 " days, %s", url, left_ms / 86400000,
			    when_text(c->expires_ms, when));
	else
		doctor_ok(d, "the certificate of %s is accepted, with its chain, until %s", url, when_text(c->expires_ms, when));
}

/* ---- calloutd's own file ---- */

AUTO_DEFINE(x509, X509 *, X509_free)
AUTO_DEFINE(bio, BIO *, BIO_free_all)

/* The chain in the order it is shown: each is issued by the next. */
static bool is_whole(BIO *file, bool *ret_alone)
{
	AUTO(x509) X509 *leaf = PEM_read_bio_X509(file, NULL, NULL, NULL);
	AUTO(x509) X509 *next = leaf ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;

	*ret_alone = leaf && !next;
	return leaf && (next ? X509_check_issued(next, leaf) == X509_V_OK : X509_check_issued(leaf, leaf) == X509_V_OK);
}

static void look_at_file(struct doctor *d, const char *path)
{
	AUTO(bio) BIO *file = BIO_new_file(path, "r");
	bool alone = false;

	if (!file) {
		doctor_tell(d, LEVEL_UNSEEN, "run it as root", "tls-certificate %s cannot be read", path);
		return;
	}
	if (!is_whole(file, &alone))
		doctor_tell(d, LEVEL_ERROR, "tls-certificate takes fullchain.pem: the server's certificate, then its issuer's; then calloutctl reload",
			    alone ? "tls-certificate %s holds the server's certificate and none of its issuer: Autotask refuses an incomplete chain" :
			    "tls-certificate %s does not hold the server's certificate first and its issuer's behind it", path);
	else
		doctor_ok(d, "tls-certificate %s holds its chain", path);
}

static void look_at_key(struct doctor *d, const char *path)
{
	AUTO(free) char *remedy = text_printf("chgrp calloutd %s && chmod 0640 %s", path, path);
	struct stat st;

	if (stat(path, &st) < 0)
		doctor_tell(d, errno == EACCES ? LEVEL_UNSEEN : LEVEL_ERROR, errno == EACCES ? "run it as root" : "", "tls-key %s: %s", path,
			    strerror(errno));
	else if (st.st_mode & S_IRWXO)
		doctor_tell(d, LEVEL_ERROR, remedy, "others may read or change tls-key %s (mode %04o)", path, (unsigned)(st.st_mode & 07777));
	else if (!doctor_daemon_reads(d, &st))
		doctor_tell(d, LEVEL_ERROR, remedy, "tls-key %s cannot be read by calloutd's user: the next reload is refused", path);
}

static void look_at_own(struct doctor *d)
{
	struct json_value intake;
	int64_t expires_ms = 0;
	char when[WHEN_LEN];

	if (!d->conf || !d->conf->tls_certificate)
		return;
	look_at_file(d, d->conf->tls_certificate);
	if (d->conf->tls_key)
		look_at_key(d, d->conf->tls_key);
	if (d->answers && member(&d->status.root, "intake", &intake))
		expires_ms = member_ms(&intake, "certificate_expiry");
	if (expires_ms && expires_ms < clock_now_ms() + SOON_MS)
		doctor_tell(d, LEVEL_WARNING, renew, "the certificate that calloutd shows expires %s", when_text(expires_ms, when));
}

/* ---- what a client sees ---- */

static void look_from_outside(struct doctor *d)
{
	const char *url = d->conf ? d->conf->public_url : NULL;
	const char *ca_file = d->conf && d->conf->autotask ? d->conf->autotask->ca_file : NULL;
	struct certificate c;

	if (!url || strncmp(url, "https:", 6) != 0 || d->ctl->option[OPT_LOCAL])
		return;
	certificate_look(url, NULL, &c);
	if (*c.trouble && c.reached && ca_file)
		certificate_look(url, ca_file, &c);
	if (!c.reached)
		return;                 /* nobody is there, or speaks no TLS: the way in says why */
	if (*c.trouble)
		tell_trouble(d, url, &c);
	else
		tell_expiry(d, url, &c);
}

void doctor_certificate(struct doctor *d)
{
	look_at_own(d);
	look_from_outside(d);
}
