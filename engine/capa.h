/*
 * The capability list (RFC 2449).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_CAPA_H
#define PK_CAPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest list, in octets with its status line and the final dot. */
#define PK_CAPA_MAX 512

/* Longest IMPLEMENTATION string that is announced, in octets. */
#define PK_IMPLEMENTATION_MAX 64

/* What is true for this connection in its present state. */
struct pk_capa {
	bool top;			/* TOP works */
	int64_t expire_days;		/* EXPIRE; -1: NEVER */
	bool expire_user;		/* it may differ for the user */
	uint32_t login_delay;		/* LOGIN-DELAY in seconds */
	bool login_delay_shown;
	bool login_delay_user;		/* it may differ for the user */
	bool stls;			/* STLS would be accepted now */
	bool passwords;			/* USER and the SASL mechanisms work */
	const char *implementation;	/* NULL: withheld */
};

/*
 * Write the whole multi-line reply to out.  Returns its octets.  An
 * implementation string that is too long is withheld.
 */
size_t pk_capa_format(const struct pk_capa *capa, char out[PK_CAPA_MAX]);

#endif
