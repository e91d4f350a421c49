/*
 * One attempt to log in, in auth: two questions are asked at the same time, is the
 * credential right and does the policy permit it, and the answer waits for both,
 * so that its time does not tell which of the two said no.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_ATTEMPT_H
#define PK_ATTEMPT_H

#include "pam/secrets.h"
#include "standalone/channel.h"
#include "standalone/login_table.h"
#include "standalone/policy_client.h"
#include "standalone/settings.h"

struct pk_attempt;

/* What auth lends; it stays auth's. */
struct pk_attempt_env {
	const struct pk_settings *settings;
	const struct pk_login_table *table;
	struct pk_policy_client *policy;
	struct pk_secrets *store;	/* NULL: not open */
	int parent, net;
	void (*net_is_stuck)(void);
};

void pk_attempts_init(const struct pk_attempt_env *env);

/*
 * Begin an attempt, of which login tells; nothing of it is kept but what is no
 * secret.  It frees itself once it was answered.  NULL: out of memory.
 */
struct pk_attempt *pk_attempt_new(const struct pk_msg_login *login)
    PK_WARN_UNUSED;

/*
 * The credential was checked.  session: the session process that pam-session has
 * begun, or -1; it is now the attempt's.
 */
void pk_attempt_checked(struct pk_attempt *a, const struct pk_msg_checked *c,
    int session);

#endif
