/*
 * The members of an evidence bundle: where their octets are, how many, and their
 * SHA-256.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_MEMBERS_H
#define PK_AUDIT_MEMBERS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/audit.h"
#include "standalone/audit_tar.h"

struct pk_audit_member {
	char *name;
	char *path;		/* NULL: fd alone */
	int fd;			/* -1: path is opened when it is needed */
	dev_t dev;		/* path must be that file */
	ino_t ino;
	uint64_t size;
	uint8_t hash[PK_AUDIT_HASH_LEN];
};

struct pk_audit_members {
	struct pk_audit_member *member;
	size_t count, room;
};

/*
 * One more, whose hash is taken: name is formatted.  The file at path, if it is
 * still that of dev and ino, or fd, which stays the caller's until all is
 * written.  false: a line was printed.
 */
bool pk_audit_members_add(struct pk_audit_members *m,
    const struct pk_audit_member *from, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4), __warn_unused_result__));

/* The last one was not added. */
void pk_audit_members_drop(struct pk_audit_members *m);

/* The same of what is in f, a temporary file. */
bool pk_audit_members_add_text(struct pk_audit_members *m, const char *name,
    FILE *f) __attribute__((__warn_unused_result__));

/* In the order of their names. */
void pk_audit_members_sort(struct pk_audit_members *m);

/* Lines for sha256sum -c. */
void pk_audit_members_list(const struct pk_audit_members *m, FILE *to);

/*
 * Write them all.  false: a line was printed: one is not what it was when it was
 * added, or could not be written.
 */
bool pk_audit_members_write(const struct pk_audit_members *m,
    struct pk_audit_tar *t) __attribute__((__warn_unused_result__));

void pk_audit_members_free(struct pk_audit_members *m);

#endif
