/*
 * Brake (c) (policy.md section 4): what was accepted is kept in a file, and a
 * rule that deletes earlier, or matches more, than what was accepted waits for
 * "popkeep policy accept".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_STATE_H
#define PK_POLICY_STATE_H

#include <stdio.h>

#include "engine/policy.h"
#include "engine/policy_file.h"

#define PK_POLICY_STATE_FILE "accepted.conf"

/* How long ahead an effective-from must be: everybody can see it coming. */
#define PK_POLICY_NOTICE (24 * 60 * 60)

/*
 * Set braked in the rules of p, compared with accepted (NULL: nothing was ever
 * accepted, the first start: no brake).  brake is called for each rule that is
 * braked, with its name and why.
 */
void pk_policy_brake(struct pk_policy *p, const struct pk_policy *accepted,
    int64_t now, void (*brake)(void *arg, const char *rule, const char *why),
    void *arg);

/*
 * Write what is accepted now to f, in the syntax of the policy file: the rules
 * of p.  While some of them are braked: of those the accepted version, if there
 * is one, and around it every rule and every user that was accepted, so that
 * the brake is the same when it is asked for again.  And the holds, so that it
 * is recorded which came and went while policyd did not run.  0, or -1.
 */
int pk_policy_state_write(FILE *f, const struct pk_policy *p,
    const struct pk_policy *accepted) PK_WARN_UNUSED;

/*
 * The same as a policy in memory, to compare the next one with.  NULL: error
 * said why.
 */
struct pk_policy *pk_policy_state_next(const struct pk_policy *p,
    const struct pk_policy *accepted, int64_t now, pk_policy_say *error,
    void *arg) PK_WARN_UNUSED;

/*
 * Load what was accepted from the directory dirfd.  *accepted_r is NULL if there
 * is no file.  PK_ERR_IO, PK_ERR_SYNTAX: it cannot be read, and error said so.
 */
enum pk_err pk_policy_state_load(int dirfd, int64_t now,
    struct pk_policy **accepted_r, pk_policy_say *error, void *arg)
    PK_WARN_UNUSED;

/* Replace the file in dirfd, durably.  0, or -1 and errno. */
int pk_policy_state_save(int dirfd, const struct pk_policy *p,
    const struct pk_policy *accepted) PK_WARN_UNUSED;

#endif
