/*
 * popkeep report: what the audit logs tell, for people who do not read JSON.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_CMD_H
#define PK_REPORT_CMD_H

#include "standalone/tool.h"

/* Run it with the arguments argv; the exit status. */
int pk_report_command(struct pk_tool *t, int argc, char **argv);

#endif
