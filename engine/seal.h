/*
 * Seals of the audit log (policy.md section 7): Ed25519 (RFC 8032) signatures
 * over a line, with keys that move on.  Who signs destroys the key, and has named
 * the next one in what was signed: what was sealed before cannot be rewritten
 * with what is found on the host later.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SEAL_H
#define PK_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

#define PK_SEAL_KEY_LEN	32	/* octets of a private key, and of a public one */
#define PK_SEAL_SIG_LEN	64

/* What a record of a seal says beside its signature. */
struct pk_seal {
	uint64_t epoch;			/* 0 for the first key */
	uint8_t key[PK_SEAL_KEY_LEN];	/* public, of this epoch */
	uint8_t next[PK_SEAL_KEY_LEN];	/* public, of the next one */
};

/* A new private key; the caller wipes it.  PK_ERR_CRYPTO. */
enum pk_err pk_seal_generate(uint8_t private_r[PK_SEAL_KEY_LEN])
    PK_WARN_UNUSED;

/* The public key of a private one.  PK_ERR_CRYPTO. */
enum pk_err pk_seal_public(const uint8_t private[PK_SEAL_KEY_LEN],
    uint8_t public_r[PK_SEAL_KEY_LEN]) PK_WARN_UNUSED;

/*
 * Sign the line with its LF, *len octets of size, as pk_audit_format() has made
 * it: "sig", 128 hexadecimal digits, becomes its last field.  What is signed is
 * the line up to there, without the comma.  PK_ERR_LIMIT: it does not fit.
 * PK_ERR_SYNTAX: it is no such line.  PK_ERR_CRYPTO.
 */
enum pk_err pk_seal_sign(char *line, size_t *len, size_t size,
    const uint8_t private[PK_SEAL_KEY_LEN]) PK_WARN_UNUSED;

/*
 * Is the line (with its LF or without) signed with that key?  PK_ERR_SYNTAX: it
 * has no signature at its end.  PK_ERR_CRYPTO: not with that key, or it was
 * changed.  PK_ERR_NOMEM: libcrypto failed, most likely for want of memory.
 */
enum pk_err pk_seal_check(const char *line, size_t len,
    const uint8_t key[PK_SEAL_KEY_LEN]) PK_WARN_UNUSED;

#endif
