/*
 * A PAM helper: a process in which a PAM stack may block, leak or crash without
 * harm to others.  auth has a pool of them and ends those that take too long.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "pam/client.h"
#include "pam/secrets.h"
#include "standalone/log.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"

/*
 * pam-session = yes: the session process is a child of the process that holds
 * the PAM handle, which waits for it and then closes the PAM session.
 */
static int
begin_session(const struct pk_settings *settings, struct pk_pam_session *ps,
    struct pk_msg_checked *c, pid_t *pid_r)
{
	int pair[2];

	if (!pk_pam_session_open(ps, c->reason, sizeof(c->reason))) {
		c->result = PK_LOGIN_TEMPORARY;
		return -1;
	}
	if (pk_channel_pair(pair, true) != 0) {
		c->result = PK_LOGIN_TEMPORARY;
		return -1;
	}
	*pid_r = pk_role_fork();
	if (*pid_r == 0) {
		pk_pam_session_forget(&ps);
		pk_sandbox_close(STDERR_FILENO + 1, &pair[1], 1);
		pk_session_main(settings, pair[1], c->account.uid,
		    c->account.gid);
	}
	close(pair[1]);
	if (*pid_r == -1) {
		close(pair[0]);
		c->result = PK_LOGIN_TEMPORARY;
		return -1;
	}
	return pair[0];
}

static _Noreturn void
hold_session(struct pk_pam_session *ps, pid_t pid, int channel)
{
	close(channel);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	pk_pam_session_close(&ps);
	_exit(0);
}

static struct pk_secrets *
open_store(const struct pk_settings *settings)
{
	char why[PK_SECRETS_WHY];
	struct pk_secrets *store;

	if (settings->apop_through != PK_APOP_STORE)
		return NULL;
	store = pk_secrets_open(settings->secrets, settings->secrets_key,
	    PK_SECRETS_READ, why);
	return store;
}

static void
serve(const struct pk_settings *settings, const struct pk_users_source *users,
    struct pk_secrets *store, struct pk_msg_login *login, int channel)
{
	struct pk_pam_session *ps = NULL;
	struct pk_msg_checked c;
	pid_t pid = -1;
	int session = -1;

	pk_login_check(settings, users, store, login, &c,
	    settings->pam_session ? &ps : NULL);
	/* Before anything is forked, and before a session is waited for. */
	OPENSSL_cleanse(login, sizeof(*login));
	if (c.result == PK_LOGIN_OK && ps != NULL)
		session = begin_session(settings, ps, &c, &pid);
	if (pk_channel_send(channel, PK_MSG_CHECKED, &c, session) != 0)
		_exit(1);
	if (session != -1) {
		close(session);
		hold_session(ps, pid, channel);
	}
	pk_pam_session_close(&ps);
}

void
pk_helper_main(const struct pk_settings *settings,
    const struct pk_users_source *users, int channel)
{
	struct pk_secrets *store;
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	pk_title_set("helper");
	pk_sandbox_null_stdio();
	store = open_store(settings);
	while (pk_channel_recv(channel, PK_MSG_BIT(PK_MSG_LOGIN), &type, &m,
	    &pass) == PK_RECEIVED) {
		serve(settings, users, store, &m.login, channel);
	}
	pk_secrets_close(&store);
	_exit(0);
}
