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

/* Called with one user; false: no more of them. */
typedef bool pk_users_seen(void *arg, const struct pk_account *account);

/*
 * Every user who could log in and has a mailbox, from the same source as
 * pk_users_find(), until seen says that it is enough:
 * - all of the users file, whether the Maildir is there or not;
 * - virtual users without such a file: those whose names follow from the
 *   directories that the template's %u, %n and %d stand for.  A template with
 *   neither %u nor %n tells no names; one with %n alone those without a domain
 *   (or with default-domain).  Of a name that can be read in two ways, or is a
 *   symbolic link, it is not certain whose it is: that is a reason for false;
 * - the system's users with a uid of at least first-valid-uid and a Maildir, as
 *   far as the name service lists them (getpwent(3)).
 * false: not all of them could be found, and a line for each reason went to
 * errors.
 */
bool pk_users_each(const struct pk_users_source *source, pk_users_seen *seen,
    void *arg, FILE *errors) __attribute__((__warn_unused_result__));

/* How many users pk_users_each() will tell; 0: not known before. */
size_t pk_users_count(const struct pk_users_source *source);

/* The lines of the users file that name a rule, in the order of users. */
typedef void pk_users_named(void *arg, const char *user, const char *rule,
    unsigned line);
void pk_users_each_rule(const struct pk_users_source *source,
    pk_users_named *named, void *arg);

/* May pk_users_find() wait for a name service? */
bool pk_users_may_wait(const struct pk_users_source *source);

/* May a process with this uid be made for a mailbox? */
bool pk_users_uid_is_valid(const struct pk_settings *settings, uid_t uid);

#endif
