/*
 * What policyd counts of the records that it takes.  Every label is one of a
 * set that is fixed here: no name of a user, no address, no text of a peer.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_METRICS_H
#define PK_METRICS_H

#include "engine/audit.h"
#include "engine/decide.h"
#include "engine/login.h"
#include "standalone/exposition.h"

/* Mechanisms, and one more for those of other servers. */
#define PK_METRICS_MECHANISMS	(PK_MECHANISMS + 1)

enum pk_metrics_login {
	PK_METRICS_LOGIN_OK,
	PK_METRICS_LOGIN_POLICY,	/* the policy does not permit it */
	PK_METRICS_LOGIN_FAILED,
};
#define PK_METRICS_LOGINS 3

/* All zero: nothing yet. */
struct pk_metrics {
	uint64_t record[PK_AUDIT_EVENTS];
	uint64_t login[PK_METRICS_MECHANISMS][2][PK_METRICS_LOGINS];
	uint64_t ended[PK_AUDIT_EVENTS][PK_REASONS];	/* messages */
	uint64_t octets[2];	/* downloaded: unconfirmed, confirmed */
};

/* Count a record. */
void pk_metrics_count(struct pk_metrics *m, const struct pk_audit_context *c,
    const struct pk_audit_item *i);

/* Write the families of it. */
void pk_metrics_expose(const struct pk_metrics *m, struct pk_exposition *x);

#endif
