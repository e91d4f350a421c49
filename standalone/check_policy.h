/*
 * Is the policy fit to run with, and does it fit the configuration?  For
 * "popkeep check" and "popkeepd -t".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_CHECK_POLICY_H
#define PK_CHECK_POLICY_H

#include <stdbool.h>
#include <stdio.h>

#include "standalone/settings.h"

/*
 * Read the policy whose main file is policy, and write what is wrong with it,
 * or odd, to errors, a line each with file and line where there is one.  s: the
 * configuration that it must fit; NULL: none.  false: there were errors, not
 * only warnings.
 */
bool pk_check_policy(const struct pk_settings *s, const char *policy,
    FILE *errors) __attribute__((__warn_unused_result__));

/*
 * The same for the configuration file (NULL: there is none) and the policy
 * (NULL: the one that the configuration names).  What is fine is written to
 * standard output.
 */
bool pk_check_all(const char *file, const char *policy, FILE *errors)
    __attribute__((__warn_unused_result__));

#endif
