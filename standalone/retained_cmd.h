/*
 * popkeep retained: what a hold or a minimum keeps in the Retained place.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_RETAINED_CMD_H
#define PK_RETAINED_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv; the exit status. */
int pk_retained_command(struct pk_tool *t, int argc, char **argv);

#endif
