/*
 * tls.h - the certificate in force, swapped while connections live.
 *
 * libmicrohttpd does TLS with GnuTLS and asks for the certificate per handshake;
 * what a handshake was given stays valid until it is over (old ones are kept until
 * intake stops or 64 swaps later, whichever is first).
 */
#ifndef CALLOUTD_INTAKE_TLS_H
#define CALLOUTD_INTAKE_TLS_H

#include <stdint.h>

#include "base/auto.h"
#include "base/error.h"

struct tls;

/* Reads both files and checks that they belong together; a sentence says what is wrong. */
int tls_new(const char *certificate, const char *key, struct tls **ret, struct error *err);
struct tls *tls_free(struct tls *t);
AUTO_DEFINE(tls, struct tls *, tls_free)

/* Read again (reload). On failure the old pair stays in force. */
int tls_reload(struct tls *t, const char *certificate, const char *key, struct error *err);

int64_t tls_expiry_ms(struct tls *t);   /* notAfter of the leaf */

/* The priority string and the callback to give to libmicrohttpd. */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
void *tls_callback(struct tls *t);      /* a gnutls_certificate_retrieve_function3 * */

/*
 * Tell a session (a gnutls_session_t) whose certificates it gets: the callback has no
 * argument of ours. Before the handshake; t must outlive the session. Any thread.
 */
void tls_attach(struct tls *t, void *session);

/* Send a short text over an established session and say that it was the last. On the session's own thread. */
void tls_last_words(void *session, const char *text);

#endif
