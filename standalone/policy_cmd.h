/*
 * popkeep policy: the state of policyd; taking brakes off; reading files again.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_CMD_H
#define PK_POLICY_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv; the exit status. */
int pk_policy_command(struct pk_tool *t, int argc, char **argv);

#endif
