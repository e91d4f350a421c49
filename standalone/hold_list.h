/*
 * The holds of the policy's files, in force or not.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_HOLD_LIST_H
#define PK_HOLD_LIST_H

#include <stdbool.h>

/*
 * Write those of the policy whose main file is policy to standard output.
 * false: it has errors, which were printed.
 */
bool pk_hold_list(const char *policy, bool json)
    __attribute__((__warn_unused_result__));

#endif
