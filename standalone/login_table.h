/*
 * What the policy says of connections, before it is known who the user is: which
 * kinds of credential some user, or every user, may use there, and what CAPA
 * announces before login.  Made by policyd, handed by the parent to net and auth
 * with the rest of their configuration.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_LOGIN_TABLE_H
#define PK_LOGIN_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/session.h"
#include "engine/policy.h"

/* Octets of a table at most. */
#define PK_LOGIN_TABLE_MAX (4 * 1024 * 1024)

struct pk_login_table;

/*
 * The table of a policy, as a sealed file in memory: its descriptor (the
 * caller's), or -1 and errno; EFBIG: it would be larger than the maximum.
 */
int pk_login_table_make(const struct pk_policy *p) PK_WARN_UNUSED;

/* Read a table from fd, which stays the caller's.  NULL: it is none. */
struct pk_login_table *pk_login_table_read(int fd) PK_WARN_UNUSED;

void pk_login_table_free(struct pk_login_table **tp);

/* Do they say the same? */
bool pk_login_table_equal(const struct pk_login_table *a,
    const struct pk_login_table *b);

/*
 * The most that some user may do with a kind of credential from address
 * (16 octets): PK_ALLOW_ALWAYS: without TLS, too.
 */
enum pk_allow pk_login_table_some(const struct pk_login_table *t,
    enum pk_credential_kind kind, const uint8_t address[16], int64_t now);

/* The same of what every user may do. */
enum pk_allow pk_login_table_all(const struct pk_login_table *t,
    enum pk_credential_kind kind, const uint8_t address[16], int64_t now);

/* Must auth look at secrets (minimum-secret, exclusive)? */
bool pk_login_table_wants_secrets(const struct pk_login_table *t);

/* What CAPA announces before login (RFC 2449 section 6.5 and 6.7). */
void pk_login_table_capa(const struct pk_login_table *t, int64_t now,
    struct pk_capa_policy *capa_r);

#endif
