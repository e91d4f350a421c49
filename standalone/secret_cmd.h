/*
 * popkeep secret: the shared secrets for APOP.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SECRET_CMD_H
#define PK_SECRET_CMD_H

/*
 * Run the subcommand argv[0] with the arguments after it; argv[argc] is NULL.
 * The exit status: PK_EXIT_OK, PK_EXIT_FAILED or PK_EXIT_USAGE.
 */
int pk_secret_command(int argc, char **argv);

#endif
