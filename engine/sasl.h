/*
 * SASL in POP3 (RFC 5034): base64, and the mechanisms PLAIN (RFC 4616) and
 * LOGIN (draft-murchison-sasl-login).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SASL_H
#define PK_SASL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/span.h"

/* Octets that base64 of len octets may decode to, at most. */
#define PK_BASE64_ROOM(len)	((len) / 4 * 3 + 3)

/*
 * Decode strict base64 (RFC 4648 section 4: padded, canonical, no white space)
 * into out, which has room for PK_BASE64_ROOM(in.len) and may be the buffer
 * that in points into (decoding in place).  PK_ERR_SYNTAX: not base64.
 */
enum pk_err pk_base64_decode(struct pk_span in, uint8_t *out, size_t *len_r)
    PK_WARN_UNUSED;

/* PLAIN's message: [authzid] NUL authcid NUL password. */
struct pk_sasl_plain {
	struct pk_span authzid;	/* len 0: none */
	struct pk_span authcid;
	struct pk_span password;
};

/*
 * Take a decoded PLAIN message apart; the spans point into msg.
 * PK_ERR_SYNTAX: not two NULs, or authcid or password empty.
 */
enum pk_err pk_sasl_plain_parse(struct pk_span msg,
    struct pk_sasl_plain *plain_r) PK_WARN_UNUSED;

#endif
