/*
 * Between auth-popkeep.c, which Dovecot calls, and the two modes of the passdb.
 * Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AUTH_POPKEEP_PRIVATE_H
#define AUTH_POPKEEP_PRIVATE_H

#include "popkeep-compat.h"
#include "auth-common.h"
#include "auth-request.h"
#include "passdb.h"

#include "engine/wire.h"

#include "auth-popkeep-settings.h"

struct auth_popkeep_policyd;
struct popkeep_ask;

struct auth_popkeep_module {
	struct passdb_module module;
	const struct auth_popkeep_settings *set;
	/* Of the gate, and of the authenticator; NULL: not asked yet. */
	struct auth_popkeep_policyd *policyd;
	struct popkeep_ask *ask;
	/* It uses one of the stores that are open. */
	bool has_store;
};

/* Of the passdb that the request is at. */
static inline struct auth_popkeep_module *
auth_popkeep_module(const struct auth_request *request)
{
	return container_of(request->passdb->passdb,
			    struct auth_popkeep_module, module);
}

/* ---- auth-popkeep.c ----------------------------------------------------- */

/* What policyd is asked of a login.  -1: *error_r says why it cannot be. */
int auth_popkeep_question(const struct auth_request *request,
			  enum pk_credential_kind kind,
			  struct pk_wire_login *question_r,
			  const char **error_r);

/* A record of a login; what is too long in it is cut. */
void auth_popkeep_record(const struct auth_request *request, const char *rule,
			 enum pk_audit_event event, const char *reason,
			 struct pk_audit_context *context_r,
			 struct pk_audit_item *item_r);

/* ---- auth-popkeep-gate.c ------------------------------------------------ */

/* Where nothing comes behind the gate in some of its protocols: the end. */
void auth_popkeep_gate_check(const struct auth_popkeep_module *module);

/* One of the two callbacks is given. */
void auth_popkeep_gate(struct auth_request *request,
		       verify_plain_callback_t *verify,
		       lookup_credentials_callback_t *lookup);

/* ---- auth-popkeep-login.c ----------------------------------------------- */

void auth_popkeep_login_deinit(struct auth_popkeep_module *module);

/* Is the password right, says PAM? */
void auth_popkeep_login_verify(struct auth_request *request,
			       const char *password,
			       verify_plain_callback_t *callback);

/* The secret in the store, for whoever checks a digest. */
void auth_popkeep_login_lookup(struct auth_request *request,
			       lookup_credentials_callback_t *callback);

#endif
