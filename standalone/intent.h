/*
 * Intents that an earlier session or sweep left without outcome.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_INTENT_H
#define PK_INTENT_H

#include <stdbool.h>

#include "engine/audit.h"
#include "standalone/maildir.h"

/* Reasons of intents that are not those of verdicts. */
#define PK_INTENT_RESTORE	"restore"
#define PK_INTENT_DOUBLE	"double"

/*
 * Turn the intent *item into the record that closes it, by what is found now:
 * retained or restored where that was wanted and has happened, else
 * closed-unknown with where the message is.  retained: the Retained place,
 * which must not be open.
 */
void pk_intent_close(const struct pk_maildrop *md, const char *retained,
    bool nfs, struct pk_audit_item *item);

#endif
