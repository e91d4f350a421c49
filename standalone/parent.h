/*
 * The parent role: starts the others, watches them, and pairs what auth approves
 * with the connection that net has.  It parses nothing from the network.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_PARENT_H
#define PK_PARENT_H

#include "standalone/settings.h"

/*
 * Run until SIGTERM or SIGINT.  file is read again at SIGHUP.  settings belong
 * to the parent from now on.  An octet is written to ready (-1: no) and it is
 * closed when connections are accepted.  Returns the exit status of popkeepd.
 */
int pk_parent_main(struct pk_settings *settings, const char *file, int ready);

#endif
