/*
 * The server's TLS context (RFC 8314, RFC 8997).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TLS_H
#define PK_TLS_H

#include <stdio.h>

#include <openssl/ssl.h>

#include "standalone/settings.h"

/*
 * A context with the certificate chain and key of the settings: TLS 1.2 or
 * later, no compression, no renegotiation, buffers released when idle.
 * NULL: the reason went to errors, a line that names the file.
 */
SSL_CTX *pk_tls_new(const struct pk_settings *settings, FILE *errors)
    __attribute__((__warn_unused_result__));

#endif
