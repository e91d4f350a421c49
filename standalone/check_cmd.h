/*
 * popkeep check: is the configuration, with its policy, fit to run with?
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_CHECK_CMD_H
#define PK_CHECK_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv; the exit status. */
int pk_check_command(struct pk_tool *t, int argc, char **argv);

#endif
