/*
 * The audit log as a file: records in, lines out, each with the hash of the one
 * before.  policyd alone writes it; a lock keeps a second policyd away.
 *
 * Records wait in memory until they are written together.  What cannot be
 * written stays there and is tried again; intents do not wait, they fail.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_LOG_H
#define PK_AUDIT_LOG_H

#include <sys/types.h>

#include <stdbool.h>

#include "engine/audit.h"
#include "standalone/latency.h"

#define PK_AUDIT_LOG_WHY 512

/* Records that may wait; more of them are lost, and their number is recorded. */
#define PK_AUDIT_LOG_WAITING 16384

struct pk_audit_log;

/* Who reports a record, and under which policy. */
struct pk_audit_source {
	uid_t uid;
	pid_t pid;
	const uint8_t *policy;	/* PK_POLICY_HASH_LEN octets, or NULL */
};

/* Called for a record that is in the file. */
typedef void pk_audit_seen(void *arg, const char *user,
    const struct pk_audit_item *item);

/*
 * A place in the log before which every intent has its outcome: the last line
 * before it, and the octets up to there in the file or segment that it is in.
 */
struct pk_audit_mark {
	uint64_t size;
	uint64_t seq;
	uint8_t prev[PK_AUDIT_HASH_LEN];	/* the line's SHA-256 */
};

/*
 * Open the log that fd is (for reading and appending; now the log's), whose name
 * is path, in the directory dirfd (the caller's, and stays open; -1: one that is
 * never rotated).  Its segments come first, as one with it: it continues the
 * last of them even if it is empty.  Every record that is there is shown to
 * seen, in order, and from then on every intent that is written.  A last line
 * without its end, from a crash in mid-write, is cut off.  With a mark, what is
 * before it is not read but for the line that ends there; a mark that does not
 * fit is as good as NULL, unless the log ends before it beside segments: then
 * records are gone, and it is not opened.  Nor is one whose first records are
 * missing unless a record says that they were pruned.  NULL: why says why; fd is
 * still open.
 */
struct pk_audit_log *pk_audit_log_open(int dirfd, int fd, const char *path,
    const struct pk_audit_mark *mark, pk_audit_seen *seen, void *arg,
    char why[PK_AUDIT_LOG_WHY]) PK_WARN_UNUSED;

/* The end of what is on disk.  false: something is not yet, or nothing is. */
bool pk_audit_log_mark(const struct pk_audit_log *l,
    struct pk_audit_mark *mark_r);

/* Octets of the file that is written, without its segments. */
uint64_t pk_audit_log_size(const struct pk_audit_log *l);

/* Lines since the last seal, or since the place where reading began. */
uint64_t pk_audit_log_unsealed(const struct pk_audit_log *l);

/*
 * The last seal that was read or written; valid until the next is.  NULL: none.
 */
const struct pk_seal *pk_audit_log_last_seal(const struct pk_audit_log *l);

/* What happened since it was opened. */
struct pk_audit_figures {
	uint64_t written, lost;		/* records */
	uint64_t seals;			/* those of the written that are one */
	struct pk_latency sync;		/* of each wait for the disk */
	int64_t sealed;			/* when the last seal was made, even if
					   before that; microseconds; 0: none */
};

/* Valid as long as the log is open. */
const struct pk_audit_figures *pk_audit_log_figures(
    const struct pk_audit_log *l);

/* Write what waits, close, and set *lp to NULL. */
void pk_audit_log_close(struct pk_audit_log **lp);

/*
 * Let a record wait to be written.  PK_ERR_LIMIT: there is no room or no memory
 * for it; it is not taken and, unless it is an intent, counted as lost.  An
 * intent is either written by the next _commit() or thrown away by it.
 */
enum pk_err pk_audit_log_add(struct pk_audit_log *l,
    const struct pk_audit_source *source,
    const struct pk_audit_context *context, const struct pk_audit_item *item)
    PK_WARN_UNUSED;

/* A record is lost because others need the room. */
void pk_audit_log_lose(struct pk_audit_log *l);

/* Records that wait. */
size_t pk_audit_log_waiting(const struct pk_audit_log *l);

/*
 * Write everything that waits; durable: and have it on disk.  PK_ERR_IO: it is
 * not (why says why); intents are thrown away, other records go on waiting.
 */
enum pk_err pk_audit_log_commit(struct pk_audit_log *l, bool durable,
    char why[PK_AUDIT_LOG_WHY]) PK_WARN_UNUSED;

/*
 * Commit, and have one line more on disk: the seal, signed with private.  Any
 * error: there is no seal (why says why); what waited is on disk unless it is
 * _commit() that failed.
 */
enum pk_err pk_audit_log_seal(struct pk_audit_log *l,
    const struct pk_audit_source *source, const struct pk_seal *seal,
    const uint8_t private[PK_SEAL_KEY_LEN], char why[PK_AUDIT_LOG_WHY])
    PK_WARN_UNUSED;

/*
 * Commit, make the file a segment, and go on with a new one, unless it is empty.
 * Both files are locked as long as one of them has the log's name.  Any error:
 * why says why, and the log goes on in its file.
 */
enum pk_err pk_audit_log_rotate(struct pk_audit_log *l,
    char why[PK_AUDIT_LOG_WHY]) PK_WARN_UNUSED;

#endif
