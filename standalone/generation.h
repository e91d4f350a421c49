/*
 * A generation is a pair of net and auth with one configuration.  A reload, and
 * the death of either, begins a new generation; the old one serves what it has
 * and ends.  What auth approves is paired here with the connection that net has.
 * Logged-in sessions in clear outlive their generation.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_GENERATION_H
#define PK_GENERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#include "standalone/listeners.h"
#include "standalone/login_table.h"
#include "standalone/settings.h"

/* What the parent lends; it stays the parent's. */
struct pk_generation_env {
	struct event_base *base;
	const struct pk_settings *settings;
	const struct pk_listeners *listeners;
	const struct pk_login_table *table;
	void (*ready)(void);	/* the newest accepts connections */
	void (*failed)(void);	/* it ended unasked, or could not be started */
};

/* For the generations that are started from now on. */
void pk_generations_configure(const struct pk_generation_env *env);

/* Start one.  When it is ready, the older ones retire. */
bool pk_generation_start(void) __attribute__((__warn_unused_result__));

/* policyd is there again: every auth gets a channel. */
void pk_generations_policy(void);

/* A child was reaped.  true: it was net or auth of one. */
bool pk_generations_reaped(pid_t pid, int status);

/* A session has ended that claim of the generation began (sessions.h). */
void pk_generations_released(uint64_t generation, uint64_t claim);

/* popkeepd stops: close every channel, which ends them; or kill them. */
void pk_generations_stop(void);
void pk_generations_kill(void);

#endif
