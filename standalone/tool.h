/*
 * What the commands of the tool popkeep have in common.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TOOL_H
#define PK_TOOL_H

/* Exit statuses of every command. */
enum pk_exit {
	PK_EXIT_OK = 0,
	PK_EXIT_FAILED = 1,	/* no such user, or something went wrong */
	PK_EXIT_USAGE = 2,
};

#endif
