/*
 * Is a configuration fit to run with?
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_CHECK_H
#define PK_CHECK_H

#include <stdio.h>

#include "standalone/settings.h"

/*
 * pk_settings_read(), and everything it names that can be tried without
 * starting: certificate and key, the users file, the user of the net role.
 * NULL: all errors went to errors, a line each.
 */
struct pk_settings *pk_settings_check(const char *file, FILE *errors)
    __attribute__((__warn_unused_result__));

#endif
