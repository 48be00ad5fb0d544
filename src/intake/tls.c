/* tls.c - the certificate in force, swapped while connections live. GnuTLS is here only. */
#include "intake/tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"

#define PEM_MAX (256UL * 1024)
#define CHAIN_MAX 16
#define PAIRS_KEPT 64           /* old pairs: a handshake holds one for seconds at most */

struct pair {
	gnutls_pcert_st chain[CHAIN_MAX];       /* leaf first */
	unsigned count;
	gnutls_privkey_t key;
	int64_t expiry_ms;
};

struct tls {
	pthread_mutex_t lock;
	struct pair *pairs[PAIRS_KEPT]; /* a ring; pairs[current] is in force */
	size_t current;
};

static struct pair *pair_free(struct pair *p)
{
	if (p) {
		for (unsigned i = 0; i < p->count; i++)
			gnutls_pcert_deinit(&p->chain[i]);
		if (p->key)
			gnutls_privkey_deinit(p->key);
		free(p);
	}
	return NULL;
}

/* A file's bytes, wiped when they go: one of the two is a key. */
struct pem {
	char *data;
	size_t len;
};

static void auto_pem(struct pem *p)
{
	if (p->data)
		explicit_bzero(p->data, p->len);
	free(p->data);
}

static int pem_read(const char *what, const char *path, struct pem *ret, struct error *err)
{
	int r = file_read(path, PEM_MAX, &ret->data, &ret->len);

	if (r < 0)
		return error_set(err, -r, "cannot read %s '%s': %s", what, path, strerror(-r));
	return 0;
}

static int load_chain(struct pair *p, const char *path, const struct pem *pem, struct error *err)
{
	const gnutls_datum_t datum = { (unsigned char *)pem->data, (unsigned)pem->len };
	gnutls_x509_crt_t crts[CHAIN_MAX];
	unsigned count = CHAIN_MAX;
	time_t expiry;
	int r;

	r = gnutls_x509_crt_list_import(crts, &count, &datum, GNUTLS_X509_FMT_PEM,
					GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
					GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	if (r == GNUTLS_E_CERTIFICATE_LIST_UNSORTED)
		return error_set(err, EBADMSG, "tls-certificate '%s': the chain is not in order: "
				 "the server's certificate first, then its issuer, and so on", path);
	if (r <= 0)
		return error_set(err, EBADMSG, "tls-certificate '%s' holds no usable PEM certificate: %s",
				 path, gnutls_strerror(r));
	count = (unsigned)r;
	expiry = gnutls_x509_crt_get_expiration_time(crts[0]);
	p->expiry_ms = (int64_t)expiry * 1000;
	for (r = 0; p->count < count; p->count++) {
		r = gnutls_pcert_import_x509(&p->chain[p->count], crts[p->count], 0);
		if (r < 0)
			break;
	}
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(crts[i]);
	if (r < 0)
		return error_set(err, EBADMSG, "tls-certificate '%s': %s", path, gnutls_strerror(r));
	return 0;
}

static int load_key(struct pair *p, const char *path, const struct pem *pem, struct error *err)
{
	const gnutls_datum_t datum = { (unsigned char *)pem->data, (unsigned)pem->len };
	int r = gnutls_privkey_init(&p->key);

	if (r < 0)
		return error_set(err, ENOMEM, "tls-key: %s", gnutls_strerror(r));
	r = gnutls_privkey_import_x509_raw(p->key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (r == GNUTLS_E_DECRYPTION_FAILED)
		return error_set(err, EBADMSG, "tls-key '%s' is encrypted: give it without a pass phrase, "
				 "readable only by the daemon", path);
	if (r < 0)
		return error_set(err, EBADMSG, "tls-key '%s' holds no usable PEM private key: %s", path,
				 gnutls_strerror(r));
	return 0;
}

/* Two public keys are the same if their identifiers are. */
static int check_together(const struct pair *p, const char *certificate, const char *key,
			  struct error *err)
{
	unsigned char of_key[64], of_leaf[64];
	size_t key_len = sizeof(of_key), leaf_len = sizeof(of_leaf);
	gnutls_pubkey_t public = NULL;
	int r = gnutls_pubkey_init(&public);

	if (r >= 0)
		r = gnutls_pubkey_import_privkey(public, p->key, 0, 0);
	if (r >= 0)
		r = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, of_key, &key_len);
	if (r >= 0)
		r = gnutls_pubkey_get_key_id(p->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_leaf, &leaf_len);
	if (public)
		gnutls_pubkey_deinit(public);
	if (r < 0)
		return error_set(err, EBADMSG, "cannot compare tls-certificate and tls-key: %s",
				 gnutls_strerror(r));
	if (key_len != leaf_len || memcmp(of_key, of_leaf, key_len) != 0)
		return error_set(err, EBADMSG, "tls-key '%s' does not belong to tls-certificate '%s': "
				 "renew both together", key, certificate);
	return 0;
}

static int pair_load(const char *certificate, const char *key, struct pair **ret, struct error *err)
{
	struct pair *p = calloc(1, sizeof(*p));
	AUTO(pem) struct pem chain = { NULL, 0 }, secret = { NULL, 0 };
	int r;

	if (!p)
		return error_no_memory(err);
	r = pem_read("tls-certificate", certificate, &chain, err);
	if (r == 0)
		r = load_chain(p, certificate, &chain, err);
	if (r == 0)
		r = pem_read("tls-key", key, &secret, err);
	if (r == 0)
		r = load_key(p, key, &secret, err);
	if (r == 0)
		r = check_together(p, certificate, key, err);
	if (r < 0) {
		(void)pair_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* ---- the pair in force ---- */

int tls_new(const char *certificate, const char *key, struct tls **ret, struct error *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_no_memory(err);
	r = pair_load(certificate, key, &t->pairs[0], err);
	if (r < 0) {
		free(t);
		return r;
	}
	(void)pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

struct tls *tls_free(struct tls *t)
{
	if (t) {
		for (size_t i = 0; i < PAIRS_KEPT; i++)
			(void)pair_free(t->pairs[i]);
		(void)pthread_mutex_destroy(&t->lock);
		free(t);
	}
	return NULL;
}

int tls_reload(struct tls *t, const char *certificate, const char *key, struct error *err)
{
	struct pair *fresh = NULL, *oldest;
	int r = pair_load(certificate, key, &fresh, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&t->lock);
	t->current = (t->current + 1) % PAIRS_KEPT;
	oldest = t->pairs[t->current];
	t->pairs[t->current] = fresh;
	(void)pthread_mutex_unlock(&t->lock);
	(void)pair_free(oldest);
	return 0;
}

int64_t tls_expiry_ms(struct tls *t)
{
	int64_t ms;

	(void)pthread_mutex_lock(&t->lock);
	ms = t->pairs[t->current]->expiry_ms;
	(void)pthread_mutex_unlock(&t->lock);
	return ms;
}

/* GnuTLS borrows what it is given here for the handshake: no flag to release it is set. */
static int retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
		    gnutls_pcert_st **certs, unsigned *certs_length, gnutls_ocsp_data_st **ocsp,
		    unsigned *ocsp_length, gnutls_privkey_t *privkey, unsigned *flags)
{
	struct tls *t = gnutls_db_get_ptr(session);
	struct pair *p;

	(void)info;
	if (!t)
		return -1;
	(void)pthread_mutex_lock(&t->lock);
	p = t->pairs[t->current];
	(void)pthread_mutex_unlock(&t->lock);
	*certs = p->chain;
	*certs_length = p->count;
	*ocsp = NULL;
	*ocsp_length = 0;
	*privkey = p->key;
	*flags = 0;
	return 0;
}

void *tls_callback(struct tls *t)
{
	gnutls_certificate_retrieve_function3 *callback = retrieve;

	(void)t;
	return (void *)callback;
}

void tls_attach(struct tls *t, void *session)
{
	/* The session's own pointer is libmicrohttpd's; that of the resumption database, which is not used, is free. */
	gnutls_db_set_ptr(session, t);
}

void tls_last_words(void *session, const char *text)
{
	/* Nobody waits here for a client: what cannot be sent at once is not sent. */
	if (gnutls_record_send(session, text, strlen(text)) > 0)
		(void)gnutls_bye(session, GNUTLS_SHUT_WR);
}
