/*
 * What users.c (one user) and users_each.c (all of them) share.  Nobody else
 * includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_USERS_PRIVATE_H
#define PK_USERS_PRIVATE_H

#include "standalone/users.h"

/* A line of the users file. */
struct pk_users_entry {
	char *user;
	char *home;
	char *rule;			/* "": none */
	uid_t uid;
	gid_t gid;
	unsigned line;
};

struct pk_users_source {
	const struct pk_settings *settings;
	struct pk_users_entry *entries;	/* sorted by user */
	size_t count;
};

/*
 * %u user, %n what stands before the "@", %d after it, %h home.  false: it does
 * not fit.
 */
bool pk_users_expand(const char *template, const char *user,
    const char *home, char out[PK_PATH_SIZE]);

#endif
