/*
 * Policies made by hand.  Whatever fails here fails the test.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_POLICY_FIXTURE_H
#define PK_TESTS_POLICY_FIXTURE_H

#include "engine/policy.h"
#include "tests/harness.h"

#define DAY	INT64_C(86400)
#define NOW	(20000 * DAY)	/* 2024-10-04 */

/* No block yet; policy_prepare() when it is complete. */
struct pk_policy *policy_new(void);
void policy_prepare(struct pk_policy *p);

/*
 * Add a block.  users: patterns with a space between each two; "": everybody.
 * What is returned is valid until the next block of its kind is added.
 */
struct pk_rule *policy_add_retention(struct pk_policy *p, const char *name,
    const char *users);
void policy_add_hold(struct pk_policy *p, const char *name, const char *users,
    int64_t until);
struct pk_login_rule *policy_add_login(struct pk_policy *p,
    enum pk_credential_kind kind, const char *name, const char *users,
    const char *net, enum pk_allow allow);

/* "10.0.0.0/8", "::/0": always with a prefix. */
struct pk_network policy_network(const char *text);

/* A snapshot: "group:user" or "group:", with a space between each two. */
struct pk_groups *policy_groups(const char *list);

/* Fail unless the user's rule at NOW is the one of that name; NULL: none. */
void policy_expect_rule(const struct pk_policy *p, const struct pk_groups *g,
    const char *user, const char *name);

#endif
