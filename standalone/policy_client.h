/*
 * Asking policyd from an event loop: many questions at once over one channel,
 * each answered once, by policyd or by the word that it is away.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_CLIENT_H
#define PK_POLICY_CLIENT_H

#include <stdbool.h>

#include <event2/event.h>

#include "engine/wire.h"

/* Seconds that an answer may take; longer ones count as away. */
#define PK_POLICY_PATIENCE 5

struct pk_policy_client;

/* head is NULL: policyd is away.  The packet is valid during the call. */
typedef void pk_policy_answer(void *arg, const struct pk_wire_head *head,
    struct pk_wire *w);

/* A client with no channel yet; NULL: out of memory. */
struct pk_policy_client *pk_policy_client_new(struct event_base *base)
    PK_WARN_UNUSED;

/*
 * Use channel fd, which is now the client's, from now on.  Who waits for an
 * answer over the old one is told that policyd is away.
 */
void pk_policy_client_connect(struct pk_policy_client *c, int fd);

/* Begin a packet of a type that is then filled with pk_wire_put_*(). */
void pk_policy_client_begin(struct pk_policy_client *c, struct pk_wire *w,
    enum pk_wire_type type, uint32_t flags);

/*
 * Send it.  answer is called later, once, with arg; NULL: no answer comes (the
 * packet is PK_WIRE_QUIET).  false: policyd is away, and answer is not called.
 */
bool pk_policy_client_send(struct pk_policy_client *c, struct pk_wire *w,
    pk_policy_answer *answer, void *arg) PK_WARN_UNUSED;

/* arg is no more: what it waits for is not told to anybody. */
void pk_policy_client_forget(struct pk_policy_client *c, const void *arg);

/* Write what has not been sent yet, waiting up to ms milliseconds. */
void pk_policy_client_flush(struct pk_policy_client *c, int ms);

#endif
