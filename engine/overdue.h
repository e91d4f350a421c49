/*
 * What a sweep says of itself in its records, and what policyd keeps of that:
 * the messages of each rule that should be gone and are not.
 *
 * A sweep of all mailboxes writes a record for each rule that it met, and then
 * one with its totals, with which the former come into force.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_OVERDUE_H
#define PK_OVERDUE_H

#include "engine/audit.h"

/* Rules at most that are told apart. */
#define PK_OVERDUE_RULES	10000

struct pk_overdue_rule {
	char name[PK_POLICY_NAME_SIZE];
	uint64_t messages;
	uint64_t oldest;	/* seconds that one of them has been due */
};

/* All zero: empty. */
struct pk_overdue {
	struct pk_overdue_rule *rule;
	size_t count, room;
};

/*
 * So many messages more of the rule.  PK_ERR_NOMEM, PK_ERR_LIMIT: they are not
 * taken.
 */
enum pk_err pk_overdue_add(struct pk_overdue *o, const char *rule,
    uint64_t messages, uint64_t oldest) PK_WARN_UNUSED;

void pk_overdue_free(struct pk_overdue *o);

/* What the last whole sweep found.  All zero: there was none. */
struct pk_swept {
	bool known;
	int64_t time;		/* of its end */
	uint64_t mailboxes, busy, braked, failed;
	struct pk_overdue overdue, next;	/* next: of one that runs */
};

/* The reason of the record of a rule. */
void pk_overdue_format(const struct pk_overdue_rule *r,
    char out[PK_AUDIT_REASON_SIZE]);

/* What the totals of a sweep of all mailboxes end with, before who began it. */
#define PK_OVERDUE_ALL	"scope=all"

/* A record of a sweep, at time now; what is no such text does nothing. */
void pk_swept_note(struct pk_swept *s, const char *rule, const char *reason,
    int64_t now);

void pk_swept_free(struct pk_swept *s);

#endif
