/*
 * The inside of the audit log as a file: audit_log_read.c reads what is there,
 * audit_log_rotate.c begins the next file, audit_log.c does everything else.
 * Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_LOG_PRIVATE_H
#define PK_AUDIT_LOG_PRIVATE_H

#include <openssl/evp.h>

#include "standalone/audit_log.h"

struct pk_audit_waiting {
	int64_t time;			/* microseconds */
	uid_t uid;
	pid_t pid;
	bool has_policy;
	uint8_t policy[PK_POLICY_HASH_LEN];
	struct pk_audit_context context;
	struct pk_audit_item item;
};

/* Where the chain is: what the next line continues. */
struct pk_audit_chain {
	uint64_t seq;			/* of the last line; 0: none */
	uint8_t prev[PK_AUDIT_HASH_LEN];	/* its hash; zeros: none */
};

struct pk_audit_log {
	int dirfd;			/* the caller's; -1: no segments */
	int fd;
	uint64_t first;			/* number of the first line; 0: none */
	bool unnamed;			/* its name may not be on disk */
	off_t size;			/* whole lines, all written */
	off_t synced;			/* those of them that are on disk */
	bool ragged;			/* there may be octets behind size */
	char *again;			/* lines to be written once more */
	size_t again_len;
	struct pk_audit_chain chain;
	struct pk_audit_waiting *waiting;
	size_t count, room;
	uint64_t lost;
	uint64_t unsealed;		/* lines behind the last seal */
	bool has_seal;
	struct pk_seal last_seal;
	struct pk_audit_figures figures;
	char *out;			/* lines under construction */
	size_t out_len, out_room;
	EVP_MD_CTX *md;
	pk_audit_seen *seen;
	void *arg;
	char host[256];
	char *path;
};

/* That was the last line, a seal of time (microseconds). */
void pk_audit_log_note_seal(struct pk_audit_log *l,
    const struct pk_seal *seal, int64_t time);

/*
 * Lock the file and read it, from the mark on if there is one that fits, and cut
 * off a torn line.  false: why says why.
 */
bool pk_audit_log_read(struct pk_audit_log *l, int fd,
    const struct pk_audit_mark *mark, char why[PK_AUDIT_LOG_WHY])
    PK_WARN_UNUSED;

#endif
