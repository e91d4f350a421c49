/*
 * The canonical user name: the one spelling that policy, locks, facts, the
 * secret store and the logs use.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_USERNAME_H
#define PK_USERNAME_H

#include <stdbool.h>

#include "engine/err.h"
#include "engine/span.h"

#define PK_USERNAME_MAX		255			/* octets */
#define PK_USERNAME_SIZE	(PK_USERNAME_MAX + 1)	/* with a NUL */

/* How a site spells its users. */
struct pk_username_rules {
	bool fold;			/* ASCII letters to lower case */
	char detail;			/* cut from this octet to the "@"; NUL: no */
	const char *default_domain;	/* appended where no "@"; NULL: none */
};

/*
 * Turn name, as a client typed it or PAM returned it, into its canonical
 * spelling with a NUL.
 * PK_ERR_SYNTAX: empty, or a control octet, space, DEL, "/" or NUL in it, or
 * it (or the part after the "@") begins with ".", or ".." is in it, or it has a
 * second "@", or nothing stands before or after "@" or before the detail
 * separator: such names never reach a path, a log or PAM.
 * PK_ERR_LIMIT: longer than PK_USERNAME_MAX.
 */
enum pk_err pk_username_canonical(const struct pk_username_rules *rules,
    struct pk_span name, char out[PK_USERNAME_SIZE]) PK_WARN_UNUSED;

#endif
