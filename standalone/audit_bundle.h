/*
 * Reading an evidence bundle, the tar of "popkeep audit export".  Who has made
 * it is not known: nothing of it is unpacked, no link or path is followed, and
 * memory is bounded whatever it holds.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_BUNDLE_H
#define PK_AUDIT_BUNDLE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

/* Octets of a file that show whether it is a tar. */
#define PK_AUDIT_BUNDLE_BEGIN 512

bool pk_audit_is_bundle(const char *begin, size_t len);

enum pk_audit_member_fault {
	PK_AUDIT_MEMBER_CHANGED,	/* it is not what the MANIFEST says */
	PK_AUDIT_MEMBER_MISSING,
	PK_AUDIT_MEMBER_UNEXPECTED,	/* the MANIFEST does not have it */
	PK_AUDIT_MEMBER_MISPLACED,	/* it comes again, or too late */
	PK_AUDIT_MEMBER_DAMAGED,	/* behind its begin it is no tar */
};
#define PK_AUDIT_MEMBER_FAULTS 5

/* member is in printable ASCII. */
typedef void pk_audit_member_faulty(void *arg,
    enum pk_audit_member_fault fault, const char *member);

struct pk_audit_bundle;

/*
 * Read one from fd, which stays the caller's; len octets of it, at begin, were
 * read already.  faulty is told what differs from the MANIFEST; NULL: nothing
 * is compared.  NULL: errno.
 */
struct pk_audit_bundle *pk_audit_bundle_open(int fd, const char *begin,
    size_t len, pk_audit_member_faulty *faulty, void *arg)
    __attribute__((__warn_unused_result__));

/*
 * 1: the next member that is part of a log, *name_r ("log/NAME/FILE"), valid
 * until the next call; 0: there is none.  -1 and errno; EBADMSG: it is damaged,
 * and there is no faulty to tell.
 */
int pk_audit_bundle_next(struct pk_audit_bundle *b, const char **name_r)
    __attribute__((__warn_unused_result__));

/* Octets of it, as read(2). */
ssize_t pk_audit_bundle_read(struct pk_audit_bundle *b, char *buf,
    size_t size) __attribute__((__warn_unused_result__));

void pk_audit_bundle_close(struct pk_audit_bundle **bp);

#endif
