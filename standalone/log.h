/*
 * The log: one line per event.  The parent alone writes it; the other roles
 * send it their lines.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_LOG_H
#define PK_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "standalone/channel.h"

/*
 * Open the log at where: "stderr", "syslog" or a path (appended to).
 * 0, or -1 and errno.  Opening again moves the log.
 */
int pk_log_open(const char *where) __attribute__((__warn_unused_result__));

/* From now on lines go to the parent through channel (nonblocking). */
void pk_log_to_parent(int channel);

/*
 * Write name, as a client typed it, to out (size octets, with a NUL) so that it
 * cannot pass for more than one field: space, "=", "%", and whatever is not
 * printable ASCII become %XX.  It is cut to fit.
 */
void pk_log_field(const char *name, size_t len, char *out, size_t size);

/*
 * One line.  Octets that are not printable ASCII, and "\", come out as \xNN; a
 * line is cut at PK_LOG_SIZE - 1 octets.  In a role whose parent does not
 * keep up, the line is dropped and counted; the count is logged when it can.
 */
void pk_log(enum pk_level level, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

#endif
