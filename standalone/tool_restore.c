/*
 * Bringing retained messages back: see tool_box.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "standalone/intent.h"
#include "standalone/tool_box_private.h"

struct restoring {
	struct pk_tool_box *b;
	const uint8_t *plan;
	uint8_t *outcome;
	uint8_t *step, *step_outcome;	/* of a packet */
	uint32_t count;
};

static void
restored_item(const struct restoring *r, uint32_t msgno, bool intent,
    struct pk_audit_item *item)
{
	enum pk_outcome outcome = (enum pk_outcome)r->outcome[msgno - 1];
	enum pk_audit_event event = intent ? PK_AUDIT_DISPOSE_INTENT :
	    outcome == PK_OUTCOME_RETAINED ? PK_AUDIT_RESTORED :
	    outcome == PK_OUTCOME_VANISHED ? PK_AUDIT_VANISHED :
	    PK_AUDIT_CLOSED_UNKNOWN;

	pk_verdicts_item(r->b->retained, NULL, msgno, event, item);
	(void)snprintf(item->reason, sizeof(item->reason), "%s",
	    event == PK_AUDIT_CLOSED_UNKNOWN ? "not carried out: the message "
	    "is retained still" : PK_INTENT_RESTORE);
}

/* From message *msgno on, before end, what a packet holds.  false: nothing. */
static bool
put_restored(const struct restoring *r, struct pk_wire *w, bool intents,
    uint32_t *msgno, uint32_t end)
{
	struct pk_audit_item item;
	bool any = false;

	for (; *msgno < end; (*msgno)++) {
		if (r->plan[*msgno - 1] == PK_KEEP)
			continue;
		restored_item(r, *msgno, intents, &item);
		if (!pk_wire_put_item(w, &item))
			break;
		any = true;
	}
	return any;
}

/*
 * A packet of intents from message *msgno on, asked anew where the policy has
 * changed meanwhile.  *any_r: there was one.
 */
static bool
intend(const struct restoring *r, uint32_t *msgno, bool *any_r)
{
	enum pk_wire_result result = PK_WIRE_STALE;
	struct pk_tool_box *b = r->b;
	uint32_t from = *msgno;
	struct pk_wire w;
	unsigned tries;

	for (tries = 0; result == PK_WIRE_STALE &&
	    tries < PK_TOOL_BOX_TRIES; tries++) {
		if (tries > 0 && pk_tool_box_ask(b) != PK_TOOL_BOX_OK)
			return false;
		*msgno = from;
		pk_tool_box_begin(b, &w, PK_WIRE_DURABLE);
		*any_r = put_restored(r, &w, true, msgno, r->count + 1);
		if (!*any_r || b->up.audit == PK_AUDIT_OFF)
			return true;
		if (!pk_policy_ask_records(b->ask, &w, &result)) {
			(void)pk_tool_box_fail(b, b->ask->why);
			return false;
		}
	}
	if (result != PK_WIRE_OK)
		(void)pk_tool_box_fail(b, pk_wire_result_name(result));
	return result == PK_WIRE_OK;
}

static void
move_back(const struct restoring *r, uint32_t from, uint32_t end)
{
	struct pk_tool_box *b = r->b;

	memset(r->step, PK_KEEP, r->count);
	memcpy(r->step + from - 1, r->plan + from - 1, end - from);
	pk_maildir_restore(b->retained, r->step, r->step_outcome, b->md);
	memcpy(r->outcome + from - 1, r->step_outcome + from - 1, end - from);
	if (b->why[0] == '\0')
		(void)snprintf(b->why, sizeof(b->why), "%s",
		    pk_maildir_why(b->retained));
}

static bool
record_restored(const struct restoring *r, uint32_t from, uint32_t end)
{
	struct pk_wire w;

	while (r->b->up.audit != PK_AUDIT_OFF) {
		pk_tool_box_begin(r->b, &w, 0);
		if (!put_restored(r, &w, false, &from, end))
			break;
		if (!pk_tool_box_record(r->b, &w))
			return false;
	}
	return true;
}

/* A packet of intents on disk, then their messages, then the outcomes. */
static bool
restore(const struct restoring *r)
{
	uint32_t msgno = 1, from;
	bool any;

	for (;;) {
		from = msgno;
		if (!intend(r, &msgno, &any))
			return false;
		if (!any)
			return true;
		move_back(r, from, msgno);
		if (!record_restored(r, from, msgno))
			return false;
	}
}

enum pk_tool_box_end
pk_tool_box_restore(struct pk_tool_box *b, const uint8_t *plan,
    uint8_t *outcome)
{
	uint32_t count = b->retained->ops->count(b->retained);
	struct restoring r = { .b = b, .plan = plan, .outcome = outcome,
	    .count = count, .step = malloc((size_t)count * 2 + 1) };
	bool ok;

	if (r.step == NULL)
		return pk_tool_box_fail(b, "out of memory");
	r.step_outcome = r.step + count;
	b->why[0] = '\0';
	ok = restore(&r);
	free(r.step);
	return ok && memchr(outcome, PK_OUTCOME_FAILED, count) == NULL ?
	    PK_TOOL_BOX_OK : PK_TOOL_BOX_FAILED;
}
