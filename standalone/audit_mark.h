/*
 * The mark of the audit log, in a file: so that a start does not take longer the
 * larger the log is.  It is believed only as far as the log bears it out.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_MARK_H
#define PK_AUDIT_MARK_H

#include "standalone/audit_log.h"

#define PK_AUDIT_MARK_FILE "audit.mark"

/*
 * Read the mark in the directory dirfd.  false: there is none that makes sense,
 * or a sealing was interrupted, whose seal may stand before it.
 */
bool pk_audit_mark_load(int dirfd, struct pk_audit_mark *mark_r);

/* Replace it.  0, or -1 and errno. */
int pk_audit_mark_save(int dirfd, const struct pk_audit_mark *mark)
    PK_WARN_UNUSED;

#endif
