/*
 * A process of the tool with the uid of a mailbox: root never opens what a user
 * owns.  Its text goes to the parent, which shows it, so that it has nothing
 * of the terminal; jobs go one way and results the other, of one size each.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TOOL_CHILD_H
#define PK_TOOL_CHILD_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "standalone/channel.h"

/* Octets of a job or result at most. */
#define PK_TOOL_CHILD_MAX 16384

/* The parent's side; pid 0: there is none. */
struct pk_tool_child {
	pid_t pid;
	int fd;
};

/* The child's side: where text for standard output and error goes. */
struct pk_tool_child_io {
	int fd;
	FILE *out, *err;
};

/* What the child does; it ends when this returns. */
typedef void pk_tool_child_main(struct pk_tool_child_io *io, void *arg);

/*
 * Start a child for mailboxes of the account's uid and gid.  It keeps the
 * descriptor keep (-1: none) and what the caller has in memory.  false: a line
 * was printed.
 */
bool pk_tool_child_start(struct pk_tool_child *c,
    const struct pk_account *account, int keep, pk_tool_child_main *main,
    void *arg) __attribute__((__warn_unused_result__));

/* Give it a job.  false: it has died. */
bool pk_tool_child_give(const struct pk_tool_child *c, const void *job,
    size_t size) __attribute__((__warn_unused_result__));

/*
 * Show its text until there is a result.  before, if not NULL, is called before
 * anything is shown.  false: it has ended without one, or sent nonsense.
 */
bool pk_tool_child_await(const struct pk_tool_child *c, void *result,
    size_t size, void (*before)(void *), void *arg)
    __attribute__((__warn_unused_result__));

/* No more jobs: wait for its end. */
void pk_tool_child_end(struct pk_tool_child *c);

/* In the child: the next job (false: there are no more), and its result. */
bool pk_tool_child_next(const struct pk_tool_child_io *io, void *job,
    size_t size) __attribute__((__warn_unused_result__));
void pk_tool_child_answer(struct pk_tool_child_io *io, const void *result,
    size_t size);

#endif
