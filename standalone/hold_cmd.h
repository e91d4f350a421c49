/*
 * popkeep hold: holds as files of policy.d, one each.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_HOLD_CMD_H
#define PK_HOLD_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv; the exit status. */
int pk_hold_command(struct pk_tool *t, int argc, char **argv);

#endif
