/*
 * Import of secrets into the store, from a passwd-file or "user:secret" lines.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SECRET_IMPORT_H
#define PK_SECRET_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/span.h"
#include "engine/username.h"
#include "pam/secrets.h"

enum pk_import_format {
	PK_IMPORT_AUTO,		/* by the line; an ambiguous one is refused */
	PK_IMPORT_PASSWD,	/* Dovecot's: user:{PLAIN}secret:... */
	PK_IMPORT_PLAIN,	/* user:secret, the rest of the line */
};

/* "auto", "passwd", "plain".  false: there is no such format. */
bool pk_import_format(const char *name, enum pk_import_format *format_r);

/* Shorter ones are imported with a warning (RFC 1939 section 7). */
#define PK_SECRET_SHORT 16

/* Why secret cannot be stored, or NULL. */
const char *pk_secret_fault(struct pk_span secret);

/* Why pk_username_canonical() refused a name. */
const char *pk_username_fault(enum pk_err err);

/*
 * Import every line of fd, called name in messages, which go to standard
 * error.  What is refused is named and does not stop the rest.  true: nothing
 * was refused and all is written.
 */
bool pk_secret_import(struct pk_secrets *store,
    const struct pk_username_rules *rules, enum pk_import_format format,
    int fd, const char *name);

#endif
