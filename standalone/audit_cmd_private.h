/*
 * The inside of popkeep audit: audit_cmd.c has the small subcommands, the others
 * have files of their own.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_CMD_PRIVATE_H
#define PK_AUDIT_CMD_PRIVATE_H

#include <stdio.h>

#include "standalone/audit_cmd.h"

/* Print the usage of all subcommands; returns status. */
int pk_audit_usage(FILE *to, int status);

/* The log that is configured, after pk_tool_read_policy(). */
const char *pk_audit_file(const struct pk_tool *t);

/* argv[0] is the subcommand's name.  The exit status. */
int pk_audit_verify_command(struct pk_tool *t, int argc, char **argv);
int pk_audit_show_command(struct pk_tool *t, int argc, char **argv);
int pk_audit_export_command(struct pk_tool *t, int argc, char **argv);
int pk_pseudonym_command(struct pk_tool *t, int argc, char **argv);

#endif
