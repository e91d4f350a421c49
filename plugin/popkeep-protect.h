/*
 * Holds, minimums and records in whatever protocol loads the plugin: a message
 * that is expunged has its intent on disk first, and is retained instead where
 * that is what the policy says (policy.md sections 1 and 3).
 *
 * - Expunging: what is forbidden is retained; policyd away: it fails, and the
 *   message stays.
 * - Moving inside the user's own folders is allowed, and recorded of users with
 *   a rule or hold.
 * - Deleting a folder is expunging what is in it; of a user under a hold or a
 *   minimum it is refused, and so are renaming it and dsync's expunging.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_PROTECT_H
#define POPKEEP_PROTECT_H

#include "popkeep-compat.h"

struct mail;
struct mailbox;

void popkeep_protect_mailbox_allocated(struct mailbox *box);
void popkeep_protect_mail_allocated(struct mail *mail);

#endif
