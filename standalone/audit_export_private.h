/*
 * The inside of popkeep audit export: audit_gather.c finds out what goes into
 * the bundle, audit_policies.c which archived policies that are, audit_export.c
 * writes it.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_EXPORT_PRIVATE_H
#define PK_AUDIT_EXPORT_PRIVATE_H

#include <sys/types.h>

#include <stdio.h>

#include "engine/audit.h"
#include "standalone/audit_when.h"

/* Names in the bundle. */
#define PK_AUDIT_LOG_DIR	"log"
#define PK_AUDIT_POLICY_DIR	"policies"

/* ---- audit_policies.c --------------------------------------------------- */

/* A file of the archive. */
struct pk_audit_policy {
	char *name;			/* below the archive */
	dev_t dev;
	ino_t ino;
	uint64_t size;
	uint8_t hash[PK_POLICY_HASH_LEN];
	bool pending;			/* wanted if the file that names it is */
	bool wanted;
	bool altered;			/* it has not its hash: left out */
};

struct pk_audit_policies {
	char *path;			/* of the archive */
	bool exists;
	struct pk_audit_policy *file;	/* by hash, then by name */
	size_t count, room;
};

/* List the archive of policies below state_dir.  false: a line was printed. */
bool pk_audit_policies_list(struct pk_audit_policies *p,
    const char *state_dir) PK_WARN_UNUSED;
void pk_audit_policies_free(struct pk_audit_policies *p);

/* A record names that one; it is pending.  false: it is not in the archive. */
bool pk_audit_policies_note(struct pk_audit_policies *p,
    const uint8_t hash[PK_POLICY_HASH_LEN]);

/* What is pending is wanted, or is not. */
void pk_audit_policies_settle(struct pk_audit_policies *p, bool wanted);

/* ---- audit_gather.c ------------------------------------------------------ */

/* A file of a log. */
struct pk_audit_part {
	char *path;
	dev_t dev;
	ino_t ino;
	uint64_t number;		/* in its name in the bundle */
	uint64_t size;			/* octets, in whole lines */
	uint64_t first, last;		/* records; 0: none */
	uint64_t unarchived;		/* records whose policy is not there */
	int64_t newest;			/* time of a record, microseconds */
	bool matches;			/* one of them is of the time */
};

struct pk_audit_source_log {
	const char *name;		/* as it was given */
	char *dir;			/* in the bundle, below PK_AUDIT_LOG_DIR */
	struct pk_audit_part *part;
	size_t count;
	int last_fd;			/* the last part, which may be renamed */
	size_t begin, end;		/* parts that are wanted */
	uint64_t seq;			/* of the last record */
	uint64_t missing;		/* up to it, some were pruned */
	bool whole;			/* a record that is no seal was there */
	bool told, proved;		/* of it, and behind that a seal */
	size_t proof;			/* parts until then */
};

struct pk_audit_gather {
	struct pk_audit_when when;
	struct pk_audit_policies policies;
	FILE *keys;			/* keys.json */
	uint64_t seals;
	struct pk_audit_source_log *log;
	size_t logs;
};

/* Read all logs.  false: a line was printed. */
bool pk_audit_gather_logs(struct pk_audit_gather *g, const char *const *name,
    size_t names) PK_WARN_UNUSED;
void pk_audit_gather_free(struct pk_audit_gather *g);

#endif
