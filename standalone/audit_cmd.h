/*
 * popkeep audit: verifying audit logs.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_CMD_H
#define PK_AUDIT_CMD_H

#include "standalone/tool.h"

/* argv[0] is "audit", argv[argc] is NULL.  Returns the exit status. */
int pk_audit_command(struct pk_tool *t, int argc, char **argv);

#endif
