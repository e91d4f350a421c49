/*
 * popkeepd's own policyd: started and watched by the parent, which makes a
 * channel to it for each process that has something to ask.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_ROLE_H
#define PK_POLICY_ROLE_H

#include <stdbool.h>
#include <sys/types.h>

#include <event2/event.h>

#include "standalone/channel.h"
#include "standalone/login_table.h"
#include "standalone/settings.h"

struct pk_policy_env {
	struct event_base *base;
	const struct pk_settings *settings;
	/* It is there (again): give everybody a channel. */
	void (*ready)(void);
	/* What net and auth must know is another: start them anew. */
	void (*changed)(void);
	/* It ended unasked, or could not be started. */
	void (*failed)(void);
};

/* For the next start. */
void pk_policy_role_configure(const struct pk_policy_env *env);

bool pk_policy_role_start(void) __attribute__((__warn_unused_result__));

/* What net and auth must know; NULL before the first ready.  Not the caller's. */
const struct pk_login_table *pk_policy_role_table(void);

/*
 * One end of a new channel, for a process pid with uid that may name only one
 * user ("": any); trusted: it may record logins.  The caller's; -1: policyd is
 * away.
 */
int pk_policy_role_peer(uid_t uid, pid_t pid, const char *only, bool trusted)
    __attribute__((__warn_unused_result__));

/* These settings from now on (not copied); it reads the policy again. */
void pk_policy_role_reload(const struct pk_settings *settings);

/* What it exports of the parent's; lost if it does not keep up. */
void pk_policy_role_figures(const struct pk_msg_figures *figures);

/* A child was reaped.  true: it was policyd. */
bool pk_policy_role_reaped(pid_t pid, int status);

/* popkeepd stops: it ends when nobody has anything to ask any more; or now. */
void pk_policy_role_stop(void);
void pk_policy_role_kill(void);

#endif
