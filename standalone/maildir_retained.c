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

/* Move the planned messages of m, or those that are there, to other. */
static void
move_to(struct maildir *m, const uint8_t *plan, uint8_t *outcome,
    const struct maildir *other, bool only_doubles)
{
	struct pk_target target = PK_TARGET_CLOSED;
	struct pk_targets targets = { .of = { [PK_RETAIN] = &target } };
	const struct pk_update u = {
		.plan = plan, .outcome = outcome, .folder = ""
	};

	if (pk_target_open_maildir(&target, other->dirfd, m->why) == PK_OK)
		(void)pk_maildir_prepare(m, &target);
	target.only_doubles = only_doubles;
	(void)pk_maildir_carry_out(m, &u, &targets);
	pk_target_close(&target);
}

void
pk_maildir_restore(struct pk_maildrop *retained, const uint8_t *plan,
    uint8_t *outcome_r, struct pk_maildrop *md)
{
	struct maildir *m = from_head(retained);

	m->why[0] = '\0';
	move_to(m, plan, outcome_r, from_head(md), false);
}

uint32_t
pk_maildir_drop_doubles(struct pk_maildrop *md, struct pk_maildrop *retained)
{
	struct maildir *m = from_head(md);
	uint32_t i, count = m->index.header->count, dropped = 0;
	uint8_t *plan = malloc((size_t)count * 2 + 1);

	m->why[0] = '\0';
	if (plan == NULL) {
		pk_why_add(m->why, "out of memory");
		return 0;
	}
	memset(plan, PK_RETAIN, count);
	move_to(m, plan, plan + count, from_head(retained), true);
	for (i = 0; i < count; i++)
		dropped += plan[count + i] == PK_OUTCOME_RETAINED;
	free(plan);
	return dropped;
}
