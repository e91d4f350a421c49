/*
 * The parent's book of session processes and the sessions in them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SESSIONS_H
#define PK_SESSIONS_H

#include <stdbool.h>

#include <event2/event.h>

#include "standalone/channel.h"
#include "standalone/settings.h"

/*
 * Set up.  released is called once for every session that was begun, when it
 * has ended, with what begin was given.
 */
void pk_sessions_init(struct event_base *base,
    void (*released)(uint64_t generation, uint64_t claim));

/*
 * Begin the approved session on descriptor fd, which is the caller's to close:
 * in a process of the account's uid, or in the one at the other end of channel
 * (pam-session) unless that is -1; channel now belongs to the book.  false: no
 * process could be had (it was logged), and released is not called.
 */
bool pk_sessions_begin(const struct pk_settings *settings,
    const struct pk_msg_approval *a, const struct pk_msg_claim *claim,
    uint64_t generation, int fd, int channel)
    __attribute__((__warn_unused_result__));

/* policyd is there again: every process gets a channel. */
void pk_sessions_policy(void);

/* Sessions in all, of every generation. */
unsigned pk_sessions_count(void);

/* What is counted of them, up to now; valid until the next call of anything. */
const struct pk_msg_figures *pk_sessions_figures(void);

/* The configuration has changed: processes end when their sessions have. */
void pk_sessions_retire(void);

/* A child was reaped.  true: it was a session process. */
bool pk_sessions_reaped(pid_t pid, int status);

/* popkeepd stops: tell every process. */
void pk_sessions_stop(void);

/* They have ended: take their last words, and free everything. */
void pk_sessions_finish(void);

#endif
