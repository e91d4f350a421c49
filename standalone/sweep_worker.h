/*
 * What a sweep does with one mailbox, in a process with the mailbox's uid.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SWEEP_WORKER_H
#define PK_SWEEP_WORKER_H

#include "standalone/tool_box.h"
#include "standalone/tool_child.h"

/* Of one sweep; the worker has a copy. */
struct pk_sweep {
	const struct pk_settings *settings;
	struct pk_policy_ask *ask;	/* the worker's own connection */
	bool dry_run;			/* say what would be done, no more */
	bool force;			/* brake (b) is off */
};

/* What can be counted. */
enum pk_sweep_count {
	PK_SWEEP_DISPOSED,
	PK_SWEEP_RETAINED,
	PK_SWEEP_PURGED,
	PK_SWEEP_VANISHED,
	PK_SWEEP_NOT_DONE,	/* planned, and still there */
	PK_SWEEP_WOULD,		/* if the rule acted */
	PK_SWEEP_DOUBLES,	/* removed: they were retained already */
	PK_SWEEP_CLOSED,	/* intents of the past */
};
#define PK_SWEEP_COUNTS 8

/* The result for a job, which is a struct pk_account. */
struct pk_sweep_result {
	uint32_t end;		/* enum pk_tool_box_end; VETOED: brake (b) */
	uint32_t away;		/* 1: policyd has gone; 2: it does not answer */
	uint32_t count[PK_SWEEP_COUNTS];
	uint32_t messages, by_policy, max_share;	/* for brake (b) */
	uint32_t overdue;	/* messages that the rule wants gone, and are not */
	int64_t oldest;		/* seconds that one of them has been due */
	char rule[PK_POLICY_NAME_SIZE];
	char why[PK_TOOL_BOX_WHY];
};

/* Serve jobs until there are no more; arg is a struct pk_sweep. */
void pk_sweep_worker(struct pk_tool_child_io *io, void *arg);

#endif
