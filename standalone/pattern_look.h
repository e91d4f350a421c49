/*
 * Could a pattern of the policy match anybody?  What it takes is a guess, for
 * warnings: users and groups come and go.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_PATTERN_LOOK_H
#define PK_PATTERN_LOOK_H

#include "standalone/users.h"

enum pk_pattern_look {
	PK_PATTERN_FINE,	/* it does, or that cannot be told */
	PK_PATTERN_NO_NAME,	/* no user can be called so */
	PK_PATTERN_MISSPELT,	/* no user is: the name has another spelling */
	PK_PATTERN_NO_USER,	/* there is none of this name now */
	PK_PATTERN_NO_GROUP,	/* there is no such group now */
};

/*
 * Look at the pattern; why_r says what is wrong, if it is not fine.  source
 * NULL: users are not known; names NULL: nor how they are spelt.  May wait for
 * a name service.
 */
#define PK_PATTERN_WHY (PK_USERNAME_SIZE + 64)
enum pk_pattern_look pk_pattern_look(const struct pk_username_rules *names,
    const struct pk_users_source *source, const char *pattern,
    char why_r[PK_PATTERN_WHY]) __attribute__((__warn_unused_result__));

#endif
