/*
 * What the net role remembers of client addresses: how many connections each
 * has, and how many of its logins failed lately.  IPv6 clients are counted by
 * their /64.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_ADDRESS_H
#define PK_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include "standalone/channel.h"

struct pk_address;
struct pk_addresses;

/* An empty table, or NULL. */
struct pk_addresses *pk_addresses_new(void);

/* Free all of it, entries that are held too; *allp = NULL. */
void pk_addresses_free(struct pk_addresses **allp);

/*
 * The entry for a peer, with one connection more; pk_address_release() takes
 * that back.  NULL: out of memory.  now in seconds of a monotonic clock.
 */
struct pk_address *pk_address_hold(struct pk_addresses *all,
    const struct sockaddr *peer, time_t now);
void pk_address_release(struct pk_addresses *all, struct pk_address *address);

/* Connections that hold it. */
unsigned pk_address_connections(const struct pk_address *address);

/*
 * A login failed.  Returns the seconds to wait before saying so: first, twice
 * that for the next failure, and so on up to most.  After ten quiet minutes
 * it begins anew.
 */
double pk_address_failed(struct pk_address *address, time_t now, double first,
    double most);

/* The numeric address, with a NUL; an IPv4 address mapped to IPv6 as IPv4. */
void pk_address_text(const struct sockaddr *peer, char out[PK_ADDRESS_SIZE]);

#endif
