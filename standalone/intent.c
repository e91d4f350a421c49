/*
 * Closing intents: see intent.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "standalone/intent.h"

/* Is the message in the Retained place?  Rare: only after a crash. */
static bool
is_retained(const char *retained, bool nfs, const char *uidl)
{
	struct pk_maildir_settings set = { .nfs = nfs };
	struct pk_maildrop *md = NULL;
	char why[PK_MAILDIR_WHY];
	bool there;

	if (pk_maildir_open(retained, &set, &md, why) != PK_MAILDIR_OK)
		return false;
	there = pk_maildir_present(md, uidl, strlen(uidl));
	pk_maildir_close(&md);
	return there;
}

void
pk_intent_close(const struct pk_maildrop *md, const char *retained, bool nfs,
    struct pk_audit_item *item)
{
	bool retain = strncmp(item->reason, "hold:", 5) == 0 ||
	    strcmp(item->reason, "minimum") == 0 ||
	    strcmp(item->reason, PK_INTENT_DOUBLE) == 0;
	bool restore = strcmp(item->reason, PK_INTENT_RESTORE) == 0;
	bool there = pk_maildir_present(md, item->uidl, strlen(item->uidl));
	bool kept = !there && is_retained(retained, nfs, item->uidl);

	item->event = PK_AUDIT_CLOSED_UNKNOWN;
	if (retain && kept)
		item->event = PK_AUDIT_RETAINED;
	else if (restore && there)
		item->event = PK_AUDIT_RESTORED;
	else
		(void)snprintf(item->reason, sizeof(item->reason),
		    there ? "interrupted: the message is still there" :
		    kept ? "interrupted: the message is retained" :
		    "interrupted: the message is gone");
}
