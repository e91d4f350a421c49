/*
 * Sealing the audit log (policy.md section 7): the keys in policyd's state
 * directory, and the order in which they change hands.  The next key is on disk
 * before the seal that names it, that seal is before the key that signed it is
 * destroyed.  Whatever is interrupted or fails in between, the next call goes
 * on from what it finds in the directory and in the log.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_SEAL_H
#define PK_AUDIT_SEAL_H

#include "standalone/audit_log.h"

#define PK_AUDIT_SEAL_KEY	"seal.key"	/* of the epoch that is not over */
#define PK_AUDIT_SEAL_NEXT	"seal.next"	/* there in the midst of sealing */

/* The state directory: open, and its name for messages. */
struct pk_audit_seal_dir {
	int fd;
	const char *path;
};

/*
 * Make the first key, of the directory's owner and group and on disk.  false:
 * there is one, or it cannot be made: why says which.
 */
bool pk_audit_seal_setup(const struct pk_audit_seal_dir *dir,
    uint8_t public_r[PK_SEAL_KEY_LEN], char why[PK_AUDIT_LOG_WHY])
    PK_WARN_UNUSED;

/*
 * Was a sealing interrupted?  Whether its seal is in the log is only known to
 * who has read all of it.
 */
bool pk_audit_seal_is_midway(int dirfd);

enum pk_audit_sealed {
	PK_AUDIT_SEALED,	/* every line is, and the key is the next one */
	PK_AUDIT_SEAL_NO_KEY,
	PK_AUDIT_SEAL_FAILED,	/* why says why; to be tried again */
};

/*
 * Complete a sealing that was interrupted; then seal what is in the log and
 * waits for it, unless nothing has come since the last seal.
 */
enum pk_audit_sealed pk_audit_seal(const struct pk_audit_seal_dir *dir,
    struct pk_audit_log *l, const struct pk_audit_source *source,
    char why[PK_AUDIT_LOG_WHY]) PK_WARN_UNUSED;

#endif
