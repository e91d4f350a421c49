/*
 * What a client offers to log in with, and what comes of it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_LOGIN_H
#define PK_LOGIN_H

#include "engine/span.h"

enum pk_mechanism {
	PK_MECH_PASS,		/* USER and PASS (RFC 1939 section 7) */
	PK_MECH_APOP,		/* APOP (RFC 1939 section 7) */
	PK_MECH_PLAIN,		/* SASL PLAIN (RFC 4616) */
	PK_MECH_LOGIN,		/* SASL LOGIN */
};
#define PK_MECHANISMS 4

/* "USER", "APOP", "PLAIN", "LOGIN": as logs and policy spell them. */
const char *pk_mechanism_name(enum pk_mechanism mech);

/* One attempt; the spans are valid until it is answered. */
struct pk_credential {
	enum pk_mechanism mech;
	struct pk_span user;	/* as typed: not yet canonical, not validated */
	struct pk_span secret;	/* the password, or APOP's digest in hex */
};

/* The result of an attempt, in the order of the table of replies. */
enum pk_login_result {
	PK_LOGIN_OK,
	PK_LOGIN_CREDENTIAL,	/* unknown user or wrong secret: [AUTH] */
	PK_LOGIN_EXPIRED,	/* the account has expired: [AUTH] */
	PK_LOGIN_NEW_PASSWORD,	/* the password must be changed: [AUTH] */
	PK_LOGIN_DENIED,	/* right secret, but not now or from there: [AUTH] */
	PK_LOGIN_TEMPORARY,	/* our system cannot tell now: [SYS/TEMP] */
	PK_LOGIN_PERMANENT,	/* somebody must mend our system: [SYS/PERM] */
	PK_LOGIN_IN_USE,	/* right secret, the maildrop is locked: [IN-USE] */
	PK_LOGIN_TOO_EARLY,	/* right secret, too soon again: [LOGIN-DELAY] */
};
#define PK_LOGIN_RESULTS 9

/* "ok", "credential", "expired"...: the word for logs. */
const char *pk_login_result_name(enum pk_login_result result);

/*
 * The one status line that refuses a login with result, CRLF included.  For
 * a wrapper that must refuse after its session object is gone.
 */
const char *pk_login_refusal(enum pk_login_result result);

#endif
