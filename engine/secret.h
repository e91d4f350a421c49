/*
 * A shared secret at rest: sealed with AES-256-GCM (NIST SP 800-38D).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SECRET_H
#define PK_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/span.h"

#define PK_SECRET_KEY_LEN	32	/* octets of the sealing key */
#define PK_SECRET_NONCE_LEN	12	/* octets; never used twice with one key */
#define PK_SECRET_MAX		255	/* octets of a secret */
#define PK_SECRET_SEALED_MAX	(1 + PK_SECRET_NONCE_LEN + PK_SECRET_MAX + 16)

/*
 * Seal secret for user: format version, nonce, ciphertext, tag.  The format
 * version and the canonical user name are additional data, so an entry copied
 * to another name does not open.  nonce comes from the system's CSPRNG.
 * out has PK_SECRET_SEALED_MAX octets.
 * PK_ERR_LIMIT: the secret is empty or longer than PK_SECRET_MAX.
 */
enum pk_err pk_secret_seal(const uint8_t key[PK_SECRET_KEY_LEN],
    const uint8_t nonce[PK_SECRET_NONCE_LEN], const char *user,
    struct pk_span secret, uint8_t *out, size_t *len_r) PK_WARN_UNUSED;

/*
 * Open what _seal() made for the same user and key.  out has PK_SECRET_MAX
 * octets, belongs to the caller, who wipes it; it is wiped here on failure.
 * PK_ERR_SYNTAX: not of this format.  PK_ERR_CRYPTO: another key or user, or
 * changed.
 */
enum pk_err pk_secret_open(const uint8_t key[PK_SECRET_KEY_LEN],
    const char *user, struct pk_span sealed, uint8_t *out, size_t *len_r)
    PK_WARN_UNUSED;

#endif
