/*
 * Bringing retained messages back: see popkeep-restore.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-restore.h"

#include "engine/intent.h"
#include "engine/verdicts.h"

#include "popkeep-carry-out.h"
#include "popkeep-maildrop.h"
#include "popkeep-user.h"

/* How often intents are sent anew because the policy changed meanwhile. */
#define TRIES 3

static void
fill_item(const struct popkeep_restore *r, uint32_t msgno, bool intent,
	  struct pk_audit_item *item)
{
	enum pk_outcome outcome = r->outcome[msgno - 1];
	enum pk_audit_event event = intent ? PK_AUDIT_DISPOSE_INTENT :
		outcome == PK_OUTCOME_RETAINED ? PK_AUDIT_RESTORED :
		outcome == PK_OUTCOME_VANISHED ? PK_AUDIT_VANISHED :
		PK_AUDIT_CLOSED_UNKNOWN;

	pk_verdicts_item(&r->pm->md, NULL, msgno, event, item);
	(void)i_strocpy(item->reason, event == PK_AUDIT_CLOSED_UNKNOWN ?
			"not carried out: the message is retained still" :
			PK_INTENT_RESTORE, sizeof(item->reason));
}

/* From message *msgno on, before end, what a packet holds.  FALSE: nothing. */
static bool put_items(const struct popkeep_restore *r, struct pk_wire *w,
		      bool intents, uint32_t *msgno, uint32_t end)
{
	struct pk_audit_item item;
	bool any = FALSE;

	for (; *msgno < end; (*msgno)++) {
		if (r->plan[*msgno - 1] == PK_KEEP)
			continue;
		fill_item(r, *msgno, intents, &item);
		if (!pk_wire_put_item(w, &item))
			break;
		any = TRUE;
	}
	return any;
}

/*
 * A packet of intents from message *msgno on, asked anew where the policy has
 * changed meanwhile.  1: they are on disk; 0: there are none any more.
 */
static int intend(struct popkeep_restore *r, uint32_t *msgno)
{
	struct popkeep_user *puser = r->pm->puser;
	enum pk_wire_result result = PK_WIRE_STALE;
	uint32_t from = *msgno;
	unsigned int tries;
	struct pk_wire w;

	for (tries = 0; result == PK_WIRE_STALE && tries < TRIES; tries++) {
		if (tries > 0 && popkeep_user_ask(puser, TRUE) !=
		    POPKEEP_POLICY_KNOWN) {
			r->error = "the policy has changed, and cannot be "
				"asked";
			return -1;
		}
		*msgno = from;
		popkeep_user_begin(puser, &w, PK_WIRE_DURABLE, TRUE);
		if (!put_items(r, &w, TRUE, msgno, r->pm->count + 1))
			return 0;
		if (puser->up.audit == PK_AUDIT_OFF)
			return 1;
		if (popkeep_ask_records(puser->ask, &w, &result,
					&r->error) < 0)
			return -1;
	}
	if (result == PK_WIRE_OK)
		return 1;
	r->error = pk_wire_result_name(result);
	return -1;
}

/* Those from message from to the one before end. */
static void move_back(struct popkeep_restore *r, uint32_t from, uint32_t end)
{
	uint8_t *plan = p_new(r->pm->pool, uint8_t, r->pm->count);
	uint8_t *outcome = p_new(r->pm->pool, uint8_t, r->pm->count);

	memcpy(plan + from - 1, r->plan + from - 1, end - from);
	(void)popkeep_carry_back(r->pm, r->dest, plan, outcome);
	memcpy(r->outcome + from - 1, outcome + from - 1, end - from);
	if (r->error == NULL)
		r->error = r->pm->error;
}

static int record(struct popkeep_restore *r, uint32_t from, uint32_t end)
{
	struct popkeep_user *puser = r->pm->puser;
	enum pk_wire_result result;
	struct pk_wire w;

	while (puser->up.audit != PK_AUDIT_OFF) {
		popkeep_user_begin(puser, &w, 0, FALSE);
		if (!put_items(r, &w, FALSE, &from, end))
			break;
		if (popkeep_ask_records(puser->ask, &w, &result,
					&r->error) < 0)
			return -1;
		if (result != PK_WIRE_OK) {
			r->error = pk_wire_result_name(result);
			return -1;
		}
	}
	return 0;
}

static int restore(struct popkeep_restore *r)
{
	uint32_t msgno = 1, from;
	int ret;

	do {
		from = msgno;
		ret = intend(r, &msgno);
		if (ret <= 0)
			break;
		move_back(r, from, msgno);
		ret = record(r, from, msgno);
	} while (ret == 0);
	if (ret == 0 &&
	    memchr(r->outcome, PK_OUTCOME_FAILED, r->pm->count) == NULL)
		return 0;
	if (r->error == NULL)
		r->error = "not all could be moved";
	return -1;
}

int popkeep_restore(struct popkeep_restore *r)
{
	uint32_t i;
	int ret;

	/* What cannot be read is not moved. */
	for (i = 1; i <= r->pm->count; i++)
		(void)popkeep_maildrop_look(r->pm, i);
	if (popkeep_user_lock(r->pm->puser, &r->error) < 0)
		return -1;
	ret = restore(r);
	popkeep_user_unlock(r->pm->puser);
	return ret;
}
