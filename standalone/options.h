/*
 * What the command lines of the daemons have in common.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_OPTIONS_H
#define PK_OPTIONS_H

#include <stdio.h>

/*
 * Answer what no option of its own does: -V, -h, and anything else, which is
 * wrong.  Returns the exit status of program.
 */
int pk_options_other(int opt, const char *program, void (*usage)(FILE *to));

#endif
