/*
 * APOP (RFC 1939 section 7): the banner timestamp and the MD5 digest over it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_APOP_H
#define PK_APOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/span.h"

#define PK_APOP_DIGEST_LEN	16	/* octets of MD5 */
#define PK_APOP_HEX_LEN		32	/* the digest as the client sends it */
#define PK_APOP_RANDOM_LEN	20	/* octets of randomness in a challenge */
#define PK_APOP_HOST_MAX	128	/* octets of the name after the "@" */
/* Longest challenge with its angle brackets, and the NUL after it. */
#define PK_APOP_CHALLENGE_SIZE	\
	(2 * PK_APOP_RANDOM_LEN + PK_APOP_HOST_MAX + 4)

/*
 * Is MD5 to be had from libcrypto?  Not in FIPS mode: then APOP is off, and
 * the wrapper says so at start-up.
 */
bool pk_apop_is_available(void);

/*
 * Is name fit to stand after the "@" of a challenge: 1 to PK_APOP_HOST_MAX
 * octets, only letters, digits, ".", "-" and "_" (mpop refuses others), not
 * beginning or ending with "."?
 */
bool pk_apop_host_is_valid(const char *name);

/*
 * Write the challenge "<hex-of-random@host>" and a NUL to out.  random comes
 * from the system's CSPRNG, is used for one greeting only and makes each
 * challenge different (RFC 1939 section 7).  PK_ERR_SYNTAX: host is not
 * valid.
 */
enum pk_err pk_apop_challenge(const uint8_t random[PK_APOP_RANDOM_LEN],
    const char *host, char out[PK_APOP_CHALLENGE_SIZE]) PK_WARN_UNUSED;

/* MD5 of challenge followed by secret.  PK_ERR_CRYPTO: MD5 is not to be had. */
enum pk_err pk_apop_digest(struct pk_span challenge, struct pk_span secret,
    uint8_t digest_r[PK_APOP_DIGEST_LEN]) PK_WARN_UNUSED;

/*
 * Does hex, as the client sent it, match?  Exactly 32 lower-case hexadecimal
 * digits (RFC 1939 section 7).  The comparison takes the same time wherever
 * the digests differ.  *match_r is set on PK_OK only.
 */
enum pk_err pk_apop_verify(struct pk_span challenge, struct pk_span secret,
    struct pk_span hex, bool *match_r) PK_WARN_UNUSED;

#endif
