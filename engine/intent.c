/*
 * Intents without outcome: see intent.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "engine/decide.h"
#include "engine/intent.h"

/* Was the message to be moved to the Retained place? */
static bool
is_to_retain(const char *reason)
{
	enum pk_reason r = pk_reason_of(reason);

	return r == PK_REASON_HOLD || r == PK_REASON_MINIMUM ||
	    strcmp(reason, PK_INTENT_DOUBLE) == 0;
}

static const char *
whereabouts(const struct pk_whereabouts *w)
{
	if (w->here)
		return "interrupted: the message is still there";
	if (w->kept)
		return "interrupted: the message is retained";
	if (w->hidden)
		return "interrupted: the message is not in the maildrop, the "
		    "Retained place cannot be opened";
	return "interrupted: the message is gone";
}

void
pk_intent_close(const struct pk_whereabouts *w, struct pk_audit_item *item)
{
	item->event = PK_AUDIT_CLOSED_UNKNOWN;
	if (!w->here && w->kept && is_to_retain(item->reason))
		item->event = PK_AUDIT_RETAINED;
	else if (w->here && strcmp(item->reason, PK_INTENT_RESTORE) == 0)
		item->event = PK_AUDIT_RESTORED;
	else
		(void)snprintf(item->reason, sizeof(item->reason), "%s",
		    whereabouts(w));
}
