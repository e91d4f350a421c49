/*
 * What a Maildir's index remembers of messages and logins beside what can be
 * read again: the facts that the policy decides by.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <time.h>

#include "engine/maildir_name.h"
#include "standalone/maildir_private.h"

/* Unconfirmed downloads within so many seconds count as one. */
#define UNCONFIRMED_APART	3600

/*
 * The index belongs to the user, and clocks are set back: a time that cannot
 * be is as good as none.
 */
static int64_t
known_time(int64_t time, int64_t now)
{
	return time > 0 && time <= now ? time : 0;
}

/*
 * The time in the name was given by whoever delivered it.  A file's own time
 * can be set by its user, so the first sight of it bounds it from below.
 */
static int64_t
delivered(const struct maildir *m, const struct pk_index_record *record,
    int64_t now)
{
	int64_t time;

	if (pk_name_delivered(pk_index_name(&m->index, record),
	    record->base_len, &time))
		return time;
	time = record->delivered > record->first_seen ? record->delivered :
	    record->first_seen;
	return time < now ? time : now;
}

void
pk_maildir_facts(const struct pk_maildrop *md, uint32_t msgno, int64_t now,
    struct pk_facts *facts_r)
{
	const struct maildir *m = from_head_const(md);
	const struct pk_index_header *header = m->index.header;
	const struct pk_index_record *record = &m->index.records[msgno - 1];

	facts_r->delivered = delivered(m, record, now);
	/* The later facts began, the longer a message that is unread stays. */
	facts_r->facts_since = header->facts_since > now ? now :
	    known_time(header->facts_since, now);
	facts_r->facts_lost = (header->flags & PK_INDEX_FACTS_LOST) != 0;
	facts_r->downloaded = known_time(record->downloaded, now);
	facts_r->read = known_time(record->read, now);
	facts_r->unconfirmed = record->unconfirmed;
	facts_r->unconfirmed_last = known_time(record->unconfirmed_last, now);
}

/* The first time stays.  Returns whether this is it. */
static bool
set_first(int64_t *time, int64_t when)
{
	if (known_time(*time, when) != 0)
		return false;
	*time = when;
	return true;
}

static bool
count_unconfirmed(struct pk_index_record *record, int64_t when)
{
	int64_t last = known_time(record->unconfirmed_last, when);

	if (last != 0 && when - last < UNCONFIRMED_APART)
		return false;
	if (record->unconfirmed < UINT32_MAX)
		record->unconfirmed++;
	record->unconfirmed_last = when;
	return true;
}

void
pk_maildir_note(struct pk_maildrop *md, uint32_t msgno, enum pk_note note,
    int64_t when)
{
	struct maildir *m = from_head(md);
	struct pk_index_record *record = &m->index.records[msgno - 1];
	bool changed = false;

	switch (note) {
	case PK_NOTE_DOWNLOADED:
		changed = set_first(&record->downloaded, when);
		break;
	case PK_NOTE_READ:
		changed = set_first(&record->read, when);
		break;
	case PK_NOTE_UNCONFIRMED:
		changed = count_unconfirmed(record, when);
		break;
	}
	if (changed)
		m->changed = true;
}

int64_t
pk_maildir_facts_since(const struct pk_maildrop *md)
{
	return from_head_const(md)->index.header->facts_since;
}

int64_t
pk_maildir_last_login(const struct pk_maildrop *md)
{
	return known_time(from_head_const(md)->index.header->last_login,
	    time(NULL));
}

void
pk_maildir_logged_in(struct pk_maildrop *md, int64_t when)
{
	struct maildir *m = from_head(md);

	m->index.header->last_login = when;
	m->index.header->last_login_check = ~(uint64_t)when;
	if (pk_index_write_last_login(m->dirfd, when) != PK_OK)
		m->changed = true;
}
