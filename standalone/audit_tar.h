/*
 * Writing a tar that is the same whenever its members are: all of them are
 * regular files of root, of one time, that may only be read.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_TAR_H
#define PK_AUDIT_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pk_audit_tar;

/* Begin one in out, whose members are of that time (seconds).  NULL: errno. */
struct pk_audit_tar *pk_audit_tar_new(FILE *out, int64_t time)
    __attribute__((__warn_unused_result__));

/* A member, and its octets: as many as that.  false: errno. */
bool pk_audit_tar_begin(struct pk_audit_tar *t, const char *name,
    uint64_t size) __attribute__((__warn_unused_result__));
bool pk_audit_tar_put(struct pk_audit_tar *t, const void *data, size_t len)
    __attribute__((__warn_unused_result__));

/* It has all its members. */
bool pk_audit_tar_end(struct pk_audit_tar *t)
    __attribute__((__warn_unused_result__));

/* Was any of these false? */
bool pk_audit_tar_has_failed(const struct pk_audit_tar *t);

void pk_audit_tar_free(struct pk_audit_tar **tp);

#endif
