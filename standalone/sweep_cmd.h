/*
 * popkeep sweep: the time-based rules applied without a login.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SWEEP_CMD_H
#define PK_SWEEP_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv; the exit status. */
int pk_sweep_command(struct pk_tool *t, int argc, char **argv);

/* Sweep everybody whom the patterns match; t was read.  The exit status. */
int pk_sweep_matching(struct pk_tool *t, const struct pk_patterns *only);

#endif
