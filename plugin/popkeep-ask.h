/*
 * Asking popkeep-policyd from a process that opens mailboxes: one question at a
 * time, each with a time limit.  Dovecot's storage blocks as well where it reads
 * files and takes locks; the gate in the auth process does not use this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_ASK_H
#define POPKEEP_ASK_H

#include "popkeep-compat.h"

#include "engine/wire.h"

/* Seconds that an answer may take; longer ones count as away. */
#define POPKEEP_ASK_PATIENCE 5

struct popkeep_ask;

/*
 * Not connected yet: that happens at the first question, with the uid of that
 * moment, and again after a connection was lost.  All that ask the same socket
 * as the same uid share a connection, which stays for later ones.
 */
struct popkeep_ask *popkeep_ask_init(const char *socket);
/* With a connection of its own, whose uid stays what it was. */
struct popkeep_ask *popkeep_ask_init_own(const char *socket);
/* *ask may be NULL. */
void popkeep_ask_deinit(struct popkeep_ask **ask);
/* Close the connection, if there is one: nobody asks any more. */
void popkeep_ask_disconnect(void);

/*
 * Begin a packet of a type, to be filled with pk_wire_put_*().  There is one
 * packet in a process at any time.
 */
void popkeep_ask_begin(struct popkeep_ask *ask, struct pk_wire *w,
		       enum pk_wire_type type, uint32_t flags);

/*
 * Send it and wait for its answer of type wanted, which *in_r is until the next
 * question of anybody.  -1: policyd is away or speaks nonsense; *error_r says
 * why, and the connection is closed.
 */
int popkeep_ask_send(struct popkeep_ask *ask, struct pk_wire *w,
		     enum pk_wire_type wanted, struct pk_wire *in_r,
		     const char **error_r);

/* Send a packet that is PK_WIRE_QUIET. */
int popkeep_ask_tell(struct popkeep_ask *ask, struct pk_wire *w,
		     const char **error_r);

/* Send records, and wait until they are taken (PK_WIRE_DURABLE: on disk). */
int popkeep_ask_records(struct popkeep_ask *ask, struct pk_wire *w,
			enum pk_wire_result *result_r, const char **error_r);

#endif
