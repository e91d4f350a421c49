/*
 * A mailbox in the hands of the tool: its maildrop and its Retained place, what
 * policyd says of its user, and changes by the order that sessions keep too
 * (policy.md section 6): the intent is on disk, then the change, then its
 * outcome is recorded.
 *
 * Runs in a process with the mailbox's uid.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TOOL_BOX_H
#define PK_TOOL_BOX_H

#include <stdio.h>

#include "standalone/channel.h"
#include "standalone/maildir.h"
#include "standalone/policy_ask.h"
#include "standalone/settings.h"
#include "engine/verdicts.h"

#define PK_TOOL_BOX_WHY	PK_MAILDIR_WHY

struct pk_tool_box {
	const struct pk_settings *settings;
	const struct pk_account *account;
	struct pk_policy_ask *ask;		/* NULL: nothing is recorded */
	struct pk_user_policy up;		/* after _ask() */
	uint64_t serial;
	uint32_t unfinished;			/* intents without outcome */
	struct pk_audit_context context;	/* of its records */
	struct pk_maildrop *md, *retained;	/* NULL: not open */
	char why[PK_TOOL_BOX_WHY];		/* after a failure: one line */
};

/* How a step went. */
enum pk_tool_box_end {
	PK_TOOL_BOX_OK = 0,
	PK_TOOL_BOX_ABSENT,	/* there is no such Maildir (_open...() only) */
	PK_TOOL_BOX_BUSY,	/* a session has the lock */
	PK_TOOL_BOX_VETOED,	/* by the caller's look at the verdicts */
	PK_TOOL_BOX_FAILED,	/* why says what */
};

/* A box with nothing open; session is for its records. */
void pk_tool_box_init(struct pk_tool_box *b,
    const struct pk_settings *settings, const struct pk_account *account,
    struct pk_policy_ask *ask, const char *session);

/* Close what is open. */
void pk_tool_box_deinit(struct pk_tool_box *b);

/* Take over what policyd has said of the user. */
void pk_tool_box_take(struct pk_tool_box *b, const struct pk_wire_user_is *a);

/* Ask policyd for that. */
enum pk_tool_box_end pk_tool_box_ask(struct pk_tool_box *b) PK_WARN_UNUSED;

/*
 * Open the maildrop, and after it the Retained place, each with its lock.
 * b->why may have a line on PK_TOOL_BOX_OK too.
 */
enum pk_tool_box_end pk_tool_box_open(struct pk_tool_box *b) PK_WARN_UNUSED;
enum pk_tool_box_end pk_tool_box_open_retained(struct pk_tool_box *b)
    PK_WARN_UNUSED;

/* Say on err why it could not be opened, if it could not. */
void pk_tool_box_complain(const struct pk_tool_box *b,
    enum pk_tool_box_end end, FILE *err);

/* Unlock what is open: it can be looked at still, and no more than that. */
void pk_tool_box_unlock(struct pk_tool_box *b);

/* Is there a Retained place at all? */
bool pk_tool_box_has_retained(const struct pk_tool_box *b);

/*
 * Close the intents that have no outcome; the maildrop is open, the Retained
 * place is not.  *closed_r: how many.
 */
enum pk_tool_box_end pk_tool_box_close_intents(struct pk_tool_box *b,
    uint32_t *closed_r) PK_WARN_UNUSED;

/*
 * Remove from the maildrop what a crash left in both places; both are open.
 * *dropped_r: how many.  The maildrop is opened anew where there were any.
 */
enum pk_tool_box_end pk_tool_box_drop_doubles(struct pk_tool_box *b,
    uint32_t *dropped_r) PK_WARN_UNUSED;

/*
 * A look at the verdicts before they are carried out: it may keep some of them.
 * false: nothing is to be done.
 */
typedef bool pk_tool_box_look(void *arg, struct pk_verdicts *v);

/*
 * Decide for all of the maildrop (PK_OCCASION_SWEEP) or the Retained place
 * (PK_OCCASION_RETAINED), record, carry out, record.  After that, if OK or
 * FAILED, v has plan and outcomes; the caller frees it (pk_verdicts_deinit()).
 * Without b->ask it is decided and looked at, no more.
 */
enum pk_tool_box_end pk_tool_box_update(struct pk_tool_box *b,
    enum pk_occasion occasion, struct pk_verdicts *v, pk_tool_box_look *look,
    void *arg) PK_WARN_UNUSED;

/*
 * Bring retained messages back; both are open.  plan and outcome have an octet
 * for each message of the Retained place.  plan: PK_RETAIN for those that are
 * to go back, else PK_KEEP.  outcome comes zeroed, and is then as that of
 * pk_maildir_restore(); PK_OUTCOME_KEPT also for those that a failure (FAILED)
 * left untried.  b->why may have a line on PK_TOOL_BOX_OK too.
 */
enum pk_tool_box_end pk_tool_box_restore(struct pk_tool_box *b,
    const uint8_t *plan, uint8_t *outcome) PK_WARN_UNUSED;

#endif
