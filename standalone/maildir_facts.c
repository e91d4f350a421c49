/*
 * What a Maildir's index remembers of messages and logins beside what can be
 * read again: the facts that the policy decides by.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <time.h>

#include "engine/maildir_name.h"
#include "engine/notes.h"
#include "standalone/maildir_private.h"

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
	    pk_fact_known(header->facts_since, now);
	facts_r->facts_lost = (header->flags & PK_INDEX_FACTS_LOST) != 0;
	facts_r->downloaded = pk_fact_known(record->downloaded, now);
	facts_r->read = pk_fact_known(record->read, now);
	facts_r->unconfirmed = record->unconfirmed;
	facts_r->unconfirmed_last = pk_fact_known(record->unconfirmed_last, now);
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
		changed = pk_fact_first(&record->downloaded, when);
		break;
	case PK_NOTE_READ:
		changed = pk_fact_first(&record->read, when);
		break;
	case PK_NOTE_UNCONFIRMED:
		changed = pk_fact_unconfirmed(&record->unconfirmed,
		    &record->unconfirmed_last, when);
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
	return pk_fact_known(from_head_const(md)->index.header->last_login,
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
