/*
 * popkeep explain: what the policy does to a user's messages, and why.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_EXPLAIN_CMD_H
#define PK_EXPLAIN_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv (without a name); the exit status. */
int pk_explain_command(struct pk_tool *t, int argc, char **argv);

#endif
