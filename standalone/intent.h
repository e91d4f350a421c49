/*
 * Intents that an earlier session or sweep left without outcome.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_INTENT_H
#define PK_INTENT_H

#include <stdbool.h>

#include "engine/intent.h"
#include "standalone/maildir.h"
#include "standalone/uid_set.h"

/* What is found now of the messages of a mailbox.  All zero: not begun. */
struct pk_closing {
	struct pk_maildrop *retained;	/* NULL: not there, or not to be had */
	bool hidden;			/* it is there, but not to be had */
	struct pk_uid_set here, kept;
};

/*
 * Look into the mailbox md, which stays open until _end(), and its Retained
 * place, which must not be open: it is opened here until _end().
 * PK_ERR_NOMEM: not begun.
 */
enum pk_err pk_closing_begin(struct pk_closing *c,
    const struct pk_maildrop *md, const char *retained, bool nfs)
    PK_WARN_UNUSED;

/* Turn the intent *item into the record that closes it, by what is found. */
void pk_closing_item(const struct pk_closing *c, struct pk_audit_item *item);

/* Also if it was not begun. */
void pk_closing_end(struct pk_closing *c);

#endif
