/*
 * Intents that have no outcome yet: what policyd remembers of the audit log, so
 * that the next opening of a mailbox can complete or close them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_UNFINISHED_H
#define PK_UNFINISHED_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/audit.h"

/* Of one user at most, or nearly so: whoever asks for more is refused. */
#define PK_UNFINISHED_MAX 1000000

struct pk_unfinished;

/* NULL: out of memory. */
struct pk_unfinished *pk_unfinished_new(void) PK_WARN_UNUSED;
void pk_unfinished_free(struct pk_unfinished **up);

/*
 * A record was written: an intent is remembered, an outcome ends it; others do
 * nothing.  PK_ERR_NOMEM: an intent is not remembered; all others are.
 */
enum pk_err pk_unfinished_note(struct pk_unfinished *u, const char *user,
    const struct pk_audit_item *item) PK_WARN_UNUSED;

/* Another name of a user.  false: there is none now. */
typedef bool pk_unfinished_name(void *arg, const char *user,
    char name_r[PK_AUDIT_USER_SIZE]);

/*
 * Remember them all under other names.  PK_ERR_NOMEM: also where name fails;
 * nothing has changed.
 */
enum pk_err pk_unfinished_rename(struct pk_unfinished **up,
    pk_unfinished_name *name, void *arg) PK_WARN_UNUSED;

/* Is there one of user for this unique-id? */
bool pk_unfinished_has(const struct pk_unfinished *u, const char *user,
    const char *uidl);

/* Is it an outcome, which ends an intent? */
bool pk_unfinished_is_outcome(enum pk_audit_event event);

/* Is there none at all? */
bool pk_unfinished_is_empty(const struct pk_unfinished *u);

/* How many of user there are. */
size_t pk_unfinished_count(const struct pk_unfinished *u, const char *user);

/* Has user so many that no more may be recorded? */
bool pk_unfinished_is_full(const struct pk_unfinished *u, const char *user);

/*
 * Those of user, one after the other: *place begins as NULL.  false: no more.
 * No note may come in between.
 */
bool pk_unfinished_next(const struct pk_unfinished *u, const char *user,
    const void **place, struct pk_audit_item *item_r);

#endif
