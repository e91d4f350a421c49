/*
 * Where a user's mail is and whose uid it has: the system's users, or virtual
 * ones by a template and optionally a users file.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_USERS_H
#define PK_USERS_H

#include <stdbool.h>
#include <stdio.h>

#include "standalone/channel.h"
#include "standalone/settings.h"

struct pk_users_source;

/*
 * Read the users file, if the settings name one (user:uid:gid:home:rule, "#"
 * begins a comment).  NULL: the errors, a line each with file and line, went
 * to errors.
 */
struct pk_users_source *pk_users_open(const struct pk_settings *settings,
    FILE *errors) __attribute__((__warn_unused_result__));
void pk_users_close(struct pk_users_source **sourcep);

enum pk_users_found {
	PK_USERS_FOUND,
	PK_USERS_UNKNOWN,	/* there is no such user here */
	PK_USERS_FORBIDDEN,	/* uid 0, or below first-valid-uid */
	PK_USERS_FAILED,	/* the user database cannot be asked now */
	PK_USERS_TOO_LONG,	/* the path does not fit PK_PATH_SIZE */
};

/* "found", "unknown-user", ...: for the log. */
const char *pk_users_found_name(enum pk_users_found found);

/*
 * Complete *account_r for the canonical name user.  May wait for a name
 * service where the users are the system's.
 */
enum pk_users_found pk_users_find(const struct pk_users_source *source,
    const char *user, struct pk_account *account_r)
    __attribute__((__warn_unused_result__));

/* May pk_users_find() wait for a name service? */
bool pk_users_may_wait(const struct pk_users_source *source);

/* May a process with this uid be made for a mailbox? */
bool pk_users_uid_is_valid(const struct pk_settings *settings, uid_t uid);

#endif
