/*
 * The UPDATE state: messages are expunged, or moved to the Retained place or to
 * the folder that the rule names.  The copy is there and synced, as far as the
 * storage syncs, before the original goes.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_CARRY_OUT_H
#define POPKEEP_CARRY_OUT_H

#include "popkeep-compat.h"

#include "engine/maildrop.h"

struct mailbox;
struct mailbox_transaction_context;
struct popkeep_maildrop;

/*
 * As the engine's update(): u->outcome is set for every message that the plan
 * does not keep; how many of them are still there is returned.  The mailbox is
 * synced, and has no other transaction.
 */
uint32_t popkeep_carry_out(struct popkeep_maildrop *pm,
			   const struct pk_update *u);

/*
 * The same inside a transaction of the mailbox that the caller commits, without
 * a folder of the rule.  -1: something cannot be done (pm->error), and it is to
 * be rolled back.
 */
int popkeep_carry_out_in(struct popkeep_maildrop *pm,
			 struct mailbox_transaction_context *t,
			 const uint8_t *plan);

/* Has the message not been expunged, as far as the last sync has seen? */
bool popkeep_is_there(struct mailbox *box, uint32_t uid);

/*
 * The way back, as popkeep_carry_out(): of a folder of the Retained place what
 * the plan retains goes to dest, which is open.  Facts stay as they are.
 */
uint32_t popkeep_carry_back(struct popkeep_maildrop *pm, struct mailbox *dest,
			    const uint8_t *plan, uint8_t *outcome);

/*
 * After the sync that follows popkeep_carry_out_in(): what has become of the
 * messages that the plan does not keep; their facts are forgotten or, of what
 * is retained, kept.  Returns how many are still there.
 */
uint32_t popkeep_settle(struct popkeep_maildrop *pm, const uint8_t *plan,
			uint8_t *outcome);

#endif
