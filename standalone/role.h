/*
 * The roles of popkeepd: each is a process, started by the parent (a helper by
 * auth) with fork(2), and never returns.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_ROLE_H
#define PK_ROLE_H

#include "standalone/channel.h"
#include "standalone/login_table.h"
#include "standalone/settings.h"
#include "standalone/users.h"

/*
 * net: TLS and everything before login.  parent and auth are its channels;
 * listen_fds has a listening socket for each of the settings' listens.
 */
_Noreturn void pk_net_main(const struct pk_settings *settings,
    const struct pk_login_table *table, int parent, int auth,
    const int *listen_fds);

/* auth: credentials.  Ends when net's channel closes. */
_Noreturn void pk_auth_main(const struct pk_settings *settings,
    const struct pk_login_table *table, struct pk_users_source *users,
    int parent, int net);

/* A PAM helper: answers each PK_MSG_LOGIN on channel with a PK_MSG_CHECKED. */
_Noreturn void pk_helper_main(const struct pk_settings *settings,
    const struct pk_users_source *users, int channel);

/*
 * session: the maildrops of one uid.  Becomes uid and gid first, if popkeepd
 * runs as root.  Ends when the parent closes the channel and no client is
 * left, or at SIGTERM.
 */
_Noreturn void pk_session_main(const struct pk_settings *settings, int parent,
    uid_t uid, gid_t gid);

/*
 * Seconds that a login may take from net's question to auth's answer: pam-timeout
 * for its stack, as long again in the queue before it, and what policyd may take.
 */
double pk_login_patience(const struct pk_settings *settings);

/*
 * Check a credential and find the account: PAM or the secret store (NULL: not
 * open), then the users.  Used by the helpers, and by auth itself where nothing
 * can wait.  keep_r as in pk_pam_login(): set only if PAM was asked and said
 * yes, even where the account then is not found.
 */
struct pk_secrets;
struct pk_pam_session;
void pk_login_check(const struct pk_settings *settings,
    const struct pk_users_source *users, struct pk_secrets *secrets,
    const struct pk_msg_login *login, struct pk_msg_checked *checked_r,
    struct pk_pam_session **keep_r);

/* "popkeepd: name" in ps(1). */
void pk_title_init(int argc, char **argv);
void pk_title_set(const char *name);

/* fork(2) for a role: in the child, signals are back to their defaults. */
pid_t pk_role_fork(void);

#endif
