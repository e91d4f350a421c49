/*
 * What a session did with messages, as facts about them: which facts that makes
 * and which records, and how a store keeps them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_NOTES_H
#define PK_NOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/audit.h"
#include "engine/maildrop.h"
#include "engine/policy.h"

/*
 * What the events of a message (PK_EVENT_*, session.h) add to its facts, and the
 * event of the record about that.  quit: the session ended with QUIT.  false:
 * nothing.
 */
bool pk_note_of(uint8_t events, bool quit, enum pk_note *note_r,
    enum pk_audit_event *event_r);

/*
 * Tell the maildrop what happened to each of its first count messages, at time
 * now (seconds since 1970 UTC).  up: what the policy says of the user; NULL: it
 * is not known.
 */
void pk_note_events(struct pk_maildrop *md, const uint8_t *events,
    uint32_t count, const struct pk_user_policy *up, bool quit, int64_t now);

/* ---- for stores, whose facts their users can write to ------------------- */

/* A time that cannot be, 0 or later than now, is as good as none: 0. */
int64_t pk_fact_known(int64_t time, int64_t now);

/* The first time stays.  Returns whether when is it. */
bool pk_fact_first(int64_t *time, int64_t when);

/* Count an unconfirmed download, unless one was counted within the last hour. */
bool pk_fact_unconfirmed(uint32_t *count, int64_t *last, int64_t when);

#endif
