/*
 * What a session did, as facts: see notes.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "engine/notes.h"
#include "engine/session.h"

/* Unconfirmed downloads within so many seconds count as one. */
#define UNCONFIRMED_APART	3600

bool
pk_note_of(uint8_t events, bool quit, enum pk_note *note_r,
    enum pk_audit_event *event_r)
{
	if ((events & PK_EVENT_CONFIRMED) != 0 && quit) {
		*note_r = PK_NOTE_DOWNLOADED;
		*event_r = PK_AUDIT_DOWNLOADED;
	} else if ((events & PK_EVENT_SENT) != 0) {
		*note_r = PK_NOTE_UNCONFIRMED;
		*event_r = PK_AUDIT_DOWNLOADED_UNCONFIRMED;
	} else if ((events & PK_EVENT_TOP_WHOLE) != 0 && quit) {
		*note_r = PK_NOTE_READ;
		*event_r = PK_AUDIT_TOP_WHOLE;
	} else {
		return false;
	}
	return true;
}

/*
 * Enough unconfirmed downloads count as one, at the time of the last that it
 * took: more of them must not put that off.
 */
static bool
is_counted(struct pk_maildrop *md, uint32_t msgno, uint32_t limit,
    int64_t now)
{
	struct pk_facts facts;

	if (limit == 0)
		return false;
	md->ops->facts(md, msgno, now, &facts);
	return facts.unconfirmed >= limit;
}

/*
 * Of the same message unconfirmed downloads and a whole TOP are two facts: a
 * download that is not confirmed does not take the other away.
 */
void
pk_note_events(struct pk_maildrop *md, const uint8_t *events, uint32_t count,
    const struct pk_user_policy *up, bool quit, int64_t now)
{
	uint32_t limit = up != NULL && up->has_rule ?
	    up->rule.unconfirmed_limit : 0;
	enum pk_audit_event event;
	enum pk_note note;
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (!pk_note_of(events[i], quit, &note, &event))
			continue;
		if (note != PK_NOTE_UNCONFIRMED ||
		    !is_counted(md, i + 1, limit, now))
			md->ops->note(md, i + 1, note, now);
		if (note == PK_NOTE_UNCONFIRMED && quit &&
		    (events[i] & PK_EVENT_TOP_WHOLE) != 0)
			md->ops->note(md, i + 1, PK_NOTE_READ, now);
	}
}

int64_t
pk_fact_known(int64_t time, int64_t now)
{
	return time > 0 && time <= now ? time : 0;
}

bool
pk_fact_first(int64_t *time, int64_t when)
{
	if (pk_fact_known(*time, when) != 0)
		return false;
	*time = when;
	return true;
}

bool
pk_fact_unconfirmed(uint32_t *count, int64_t *last, int64_t when)
{
	int64_t before = pk_fact_known(*last, when);

	if (before != 0 && when - before < UNCONFIRMED_APART)
		return false;
	if (*count < UINT32_MAX)
		(*count)++;
	*last = when;
	return true;
}
