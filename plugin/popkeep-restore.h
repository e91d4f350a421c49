/*
 * Bringing retained messages back: the intents are on disk, then the messages
 * move, then what became of each is recorded.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_RESTORE_H
#define POPKEEP_RESTORE_H

#include "popkeep-compat.h"

struct mailbox;
struct popkeep_maildrop;

struct popkeep_restore {
	struct popkeep_maildrop *pm;	/* a folder of the Retained place */
	struct mailbox *dest;		/* open */
	/* For each message PK_RETAIN, if it is to go back, else PK_KEEP. */
	const uint8_t *plan;
	/*
	 * Comes zeroed.  PK_OUTCOME_RETAINED: it is back; KEPT also for what a
	 * failure left untried.
	 */
	uint8_t *outcome;
	const char *error;		/* as that of popkeep_update */
};

/* -1: not all of them are back, or not all is recorded; r->error. */
int popkeep_restore(struct popkeep_restore *r);

#endif
