/*
 * Intents that a crash has left without outcome.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_UNFINISHED_H
#define POPKEEP_UNFINISHED_H

#include "popkeep-compat.h"

struct mailbox;
struct popkeep_user;

/*
 * Close them, by where their messages are found: in any folder of the user, or
 * in the Retained place.  open is one of these folders that is open already, or
 * NULL.  Returns how many were closed; nothing while another process is between
 * its intents and their outcomes.
 */
unsigned int popkeep_close_unfinished(struct popkeep_user *puser,
				      struct mailbox *open);

#endif
