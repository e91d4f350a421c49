/*
 * Listening sockets: bound by the parent, or handed over by systemd.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_LISTENERS_H
#define PK_LISTENERS_H

#include <stdio.h>

#include "standalone/settings.h"

/* The sockets of one configuration, in the order of its listen sections. */
struct pk_listeners {
	struct pk_listen *listen;	/* copies; name is not kept */
	int *fds;
	size_t count;
};

/*
 * A listening socket for each listen section: one of old's with the same
 * address (it moves over), one that systemd passed (sd_listen_fds(3)), or a
 * new one.  NULL: the errors went to errors, and old is as it was.
 */
struct pk_listeners *pk_listeners_open(const struct pk_settings *settings,
    struct pk_listeners *old, FILE *errors)
    __attribute__((__warn_unused_result__));

/* Close what is left and free; *lp = NULL. */
void pk_listeners_close(struct pk_listeners **lp);

#endif
