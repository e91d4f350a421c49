/*
 * What becomes of the messages of a mailbox (policy.md section 6): decided, the
 * intents on disk, carried out, and what became of each recorded, in this order.
 * QUIT, other protocols, and the sweep share it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_UPDATE_H
#define POPKEEP_UPDATE_H

#include "popkeep-compat.h"

#include "engine/verdicts.h"

struct popkeep_maildrop;

struct popkeep_update {
	struct popkeep_maildrop *pm;
	enum pk_occasion occasion;
	/* What the session did with each message (PK_EVENT_*); NULL: nothing. */
	const uint8_t *events;
	/* Of others than INBOX: only what the client marked is looked at. */
	bool only_marked;
	/* A look at the plan before it is carried out; FALSE: leave it. */
	bool (*look)(struct pk_verdicts *v, void *context);
	/*
	 * The first plan is made and nothing done: what the session did is
	 * noted now, as some of it counts from the next session on only.
	 */
	void (*decided)(struct popkeep_maildrop *pm, void *context);
	void *context;

	struct pk_verdicts v;		/* after _run(): the plan and outcomes */
	uint32_t left;			/* marked, and still there */
	uint32_t intended;		/* intents before this message are on disk */
	const char *error;		/* why; in the maildrop's pool or static */
};

/*
 * Decide, record, carry out, record.  The mailbox has no other transaction.  The
 * facts were loaded.  -1: not everything that was planned or marked was done;
 * u->error and u->left say what.
 */
int popkeep_update_run(struct popkeep_update *u);
void popkeep_update_deinit(struct popkeep_update *u);

/*
 * The same in parts, for who carries it out in a transaction of somebody else:
 * decide and have every intent on disk.  -1: nothing may be done (u->error).
 */
int popkeep_update_intend(struct popkeep_update *u);

/* Record what became of what was intended; u->v.outcome is set. */
void popkeep_update_report(struct popkeep_update *u);

#endif
