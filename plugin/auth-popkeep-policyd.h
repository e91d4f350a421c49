/*
 * Asking popkeep-policyd from Dovecot's event loop: many questions at once
 * over one connection, each answered once, by policyd or by the word that it is
 * away.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AUTH_POPKEEP_POLICYD_H
#define AUTH_POPKEEP_POLICYD_H

#include "popkeep-compat.h"

#include "engine/wire.h"

/* Milliseconds that an answer may take; longer ones count as away. */
#define AUTH_POPKEEP_PATIENCE_MSECS (5 * 1000)

struct auth_popkeep_policyd;

/*
 * answer is NULL: policyd is away, and error says why.  It is not called before
 * the question was asked, but in the event loop.
 */
typedef void
auth_popkeep_answer_t(void *context, const struct pk_wire_login_is *answer,
		      const char *error);

/* It connects at the first question, and again after that was lost. */
struct auth_popkeep_policyd *auth_popkeep_policyd_init(const char *socket);
/* Who waits for an answer is told that policyd is away. */
void auth_popkeep_policyd_deinit(struct auth_popkeep_policyd **policyd);

/* -1: policyd is away, *error_r says why, and there will be no answer. */
int auth_popkeep_policyd_ask(struct auth_popkeep_policyd *policyd,
			     const struct pk_wire_login *question,
			     auth_popkeep_answer_t *answer, void *context,
			     const char **error_r);

/* Have something recorded, which nobody waits for. */
int auth_popkeep_policyd_record(struct auth_popkeep_policyd *policyd,
				const struct pk_audit_context *context,
				const struct pk_audit_item *item,
				const char **error_r);

#endif
