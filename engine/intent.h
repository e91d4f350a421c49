/*
 * Intents that an earlier session or sweep left without outcome: what closes
 * them, by where their message is found.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_INTENT_CLOSE_H
#define PK_INTENT_CLOSE_H

#include <stdbool.h>

#include "engine/audit.h"

/* Reasons of intents that are not those of verdicts. */
#define PK_INTENT_RESTORE	"restore"
#define PK_INTENT_DOUBLE	"double"

/* Where the message of an intent was found. */
struct pk_whereabouts {
	bool here;		/* where its client sees it */
	bool kept;		/* in the Retained place */
	bool hidden;		/* there is one, which cannot be opened */
};

/*
 * Turn the intent *item into the record that closes it: retained or restored
 * where that was wanted and has happened, else closed-unknown with where the
 * message is.
 */
void pk_intent_close(const struct pk_whereabouts *w,
    struct pk_audit_item *item);

#endif
