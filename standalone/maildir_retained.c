/*
 * A maildrop and its Retained place together: messages that are in one of
 * them, in the other again, or in both.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "standalone/maildir_private.h"
#include "standalone/maildir_why.h"

uint32_t
pk_maildir_find(const struct pk_maildrop *md, const char *uid, size_t uid_len)
{
	const struct maildir *m = from_head_const(md);
	const struct pk_index_record *record;
	const char *other;
	size_t len;
	uint32_t i;

	for (i = 0; i < m->index.header->count; i++) {
		record = &m->index.records[i];
		other = pk_index_uid(&m->index, record, &len);
		if (len == uid_len && memcmp(other, uid, len) == 0 &&
		    (record->flags & PK_RECORD_REMOVED) == 0)
			return i + 1;
	}
	return 0;
}

bool
pk_maildir_present(const struct pk_maildrop *md, const char *uid,
    size_t uid_len)
{
	return pk_maildir_find(md, uid, uid_len) != 0;
}

/*
 * Move messages of m to the Maildir of other: number msgno, or (0) all that are
 * there already.  outcomes has room for all, zeroed, twice.
 */
static void
move_to(struct maildir *m, uint32_t msgno, const struct maildir *other,
    uint8_t *outcomes)
{
	uint32_t count = m->index.header->count;
	struct pk_target target = PK_TARGET_CLOSED;
	struct pk_targets targets = { .of = { [PK_RETAIN] = &target } };
	uint8_t *plan = outcomes + count;
	const struct pk_update u = {
		.plan = plan, .outcome = outcomes, .folder = ""
	};

	if (msgno != 0)
		plan[msgno - 1] = PK_RETAIN;
	else
		memset(plan, PK_RETAIN, count);
	if (pk_target_open_maildir(&target, other->dirfd, m->why) == PK_OK &&
	    pk_maildir_prepare(m, &target)) {
		target.only_doubles = msgno == 0;
		(void)pk_maildir_carry_out(m, &u, &targets);
	}
	pk_target_close(&target);
}

/* Room for move_to(); NULL and why: there is none. */
static uint8_t *
new_outcomes(struct maildir *m)
{
	uint8_t *outcomes;

	m->why[0] = '\0';
	outcomes = calloc((size_t)m->index.header->count * 2 + 1, 1);
	if (outcomes == NULL)
		pk_why_add(m->why, "out of memory");
	return outcomes;
}

enum pk_err
pk_maildir_restore(struct pk_maildrop *retained, const char *uid,
    size_t uid_len, struct pk_maildrop *md)
{
	struct maildir *m = from_head(retained);
	uint32_t msgno = pk_maildir_find(retained, uid, uid_len);
	enum pk_outcome outcome;
	uint8_t *outcomes;

	if (msgno == 0)
		return PK_ERR_NOTFOUND;
	outcomes = new_outcomes(m);
	if (outcomes == NULL)
		return PK_ERR_NOMEM;
	move_to(m, msgno, from_head(md), outcomes);
	outcome = outcomes[msgno - 1];
	free(outcomes);
	switch (outcome) {
	case PK_OUTCOME_RETAINED:
		return PK_OK;
	case PK_OUTCOME_VANISHED:
		return PK_ERR_NOTFOUND;
	case PK_OUTCOME_KEPT:
	case PK_OUTCOME_DISPOSED:
	case PK_OUTCOME_FAILED:
		break;
	}
	return PK_ERR_IO;
}

uint32_t
pk_maildir_drop_doubles(struct pk_maildrop *md, struct pk_maildrop *retained)
{
	struct maildir *m = from_head(md);
	uint32_t i, dropped = 0;
	uint8_t *outcomes;

	outcomes = new_outcomes(m);
	if (outcomes == NULL)
		return 0;
	move_to(m, 0, from_head(retained), outcomes);
	for (i = 0; i < m->index.header->count; i++)
		if (outcomes[i] == PK_OUTCOME_RETAINED)
			dropped++;
	free(outcomes);
	return dropped;
}
