/*
 * Asking policyd over its socket, one question at a time, for programs that may
 * wait: the tool.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_ASK_H
#define PK_POLICY_ASK_H

#include <stdbool.h>
#include <stdio.h>

#include "engine/wire.h"

/* Seconds that an answer may take. */
#define PK_POLICY_ASK_PATIENCE 10

#define PK_POLICY_ASK_WHY 256

struct pk_policy_ask {
	int fd;				/* may be kept open over a fork */
	const char *socket;		/* the caller's */
	uint32_t last_id;
	char why[PK_POLICY_ASK_WHY];	/* after a failure: one line */
	bool silent;			/* it let a question time out */
	uint8_t out[PK_WIRE_MAX];
	uint8_t in[PK_WIRE_MAX + 1];
};

/*
 * Connect to the socket, whose name stays the caller's.  NULL: one line that
 * names it went to errors.
 */
struct pk_policy_ask *pk_policy_ask_open(const char *socket, FILE *errors)
    PK_WARN_UNUSED;
void pk_policy_ask_close(struct pk_policy_ask **ap);

/* Begin a packet of a type, to be filled with pk_wire_put_*(). */
void pk_policy_ask_begin(struct pk_policy_ask *a, struct pk_wire *w,
    enum pk_wire_type type, uint32_t flags);

/*
 * Send it and wait for its answer of type wanted, which *in_r then is, until
 * the next call.  false: policyd is away or speaks nonsense; a->why says so.
 */
bool pk_policy_ask_send(struct pk_policy_ask *a, struct pk_wire *w,
    enum pk_wire_type wanted, struct pk_wire *in_r) PK_WARN_UNUSED;

/* What does the policy say of user?  rule: named by a users file, or "". */
bool pk_policy_ask_user(struct pk_policy_ask *a, const char *user,
    const char *rule, struct pk_wire_user_is *answer_r) PK_WARN_UNUSED;

/* Send records, and wait until they are taken (PK_WIRE_DURABLE: on disk). */
bool pk_policy_ask_records(struct pk_policy_ask *a, struct pk_wire *w,
    enum pk_wire_result *result_r) PK_WARN_UNUSED;

/*
 * Give up every right but that of reporting for user ("": any), before the
 * connection goes to a process that is not root's.
 */
bool pk_policy_ask_narrow(struct pk_policy_ask *a, const char *user)
    PK_WARN_UNUSED;

/* PK_WIRE_STATUS (text is NULL), _RELOAD or _ACCEPT (who and why). */
bool pk_policy_ask_done(struct pk_policy_ask *a, enum pk_wire_type type,
    const char *text, struct pk_wire_done *answer_r) PK_WARN_UNUSED;

#endif
