/*
 * The server's TLS context: see tls.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "standalone/tls.h"

static void
complain(FILE *errors, const char *key, const char *value)
{
	/* The first one is the cause; the last says "PEM lib". */
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	/* Words of OpenSSL's own that nobody could act on. */
	if (ERR_GET_REASON(code) == ERR_R_INTERRUPTED_OR_CANCELLED)
		reason = "it has a passphrase: expected a key without one";
	else if (ERR_GET_LIB(code) == ERR_LIB_PEM &&
	    ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
		reason = "expected a file in PEM format";
	fprintf(errors, "%s = %s: %s\n", key, value,
	    ERR_GET_LIB(code) == ERR_LIB_SYS ?
	    strerror(ERR_GET_REASON(code)) :
	    reason != NULL ? reason : "OpenSSL refuses it");
	ERR_clear_error();
}

/* A passphrase cannot be asked for: say so instead of prompting. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

/* ALPN "pop3" (RFC 7595's registry): taken if offered, never required. */
static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned inlen, void *arg)
{
	static const unsigned char pop3[] = { 4, 'p', 'o', 'p', '3' };

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, outlen,
	    pop3, sizeof(pop3), in, inlen) == OPENSSL_NPN_NEGOTIATED ?
	    SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

SSL_CTX *
pk_tls_new(const struct pk_settings *s, FILE *errors)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL) {
		complain(errors, "tls", "OpenSSL");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	if (s->tls_ciphers != NULL &&
	    SSL_CTX_set_cipher_list(ctx, s->tls_ciphers) != 1)
		complain(errors, "tls-ciphers", s->tls_ciphers);
	else if (SSL_CTX_use_certificate_chain_file(ctx,
	    s->tls_certificate) != 1)
		complain(errors, "tls-certificate", s->tls_certificate);
	else if (SSL_CTX_use_PrivateKey_file(ctx, s->tls_key,
	    SSL_FILETYPE_PEM) != 1)
		complain(errors, "tls-key", s->tls_key);
	else if (SSL_CTX_check_private_key(ctx) != 1)
		complain(errors, "tls-key", s->tls_key);
	else
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}
