/*
 * The line for the log that says what a Maildir could not do.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_WHY_H
#define PK_MAILDIR_WHY_H

#include <stddef.h>

#include "standalone/maildir.h"

/* Room for the printable form of a file name. */
#define PK_WHY_NAME 128

/* Add a reason to why, after "; " if it holds one; what is too long is cut. */
void pk_why_add(char why[PK_MAILDIR_WHY], const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/*
 * name as it may stand in a log: every octet but 0x21-0x7E becomes "?", and
 * what is too long is cut.  Returns buf.
 */
const char *pk_why_name(char buf[PK_WHY_NAME], const char *name);

/*
 * Is err (an errno) something that somebody must mend, or a disk or limit
 * that may recover?
 */
enum pk_maildir_status pk_why_status(int err);

#endif
