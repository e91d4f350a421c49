/*
 * popkeepd's own policyd: see policy_role.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standalone/channel.h"
#include "standalone/log.h"
#include "standalone/policy_role.h"
#include "standalone/policyd.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"

static struct {
	struct pk_policy_env env;
	pid_t pid;			/* 0: none */
	int channel;			/* -1: none */
	struct event *ev;
	struct pk_login_table *table;
	bool ready, stopping;
} role = { .channel = -1 };

void
pk_policy_role_configure(const struct pk_policy_env *env)
{
	role.env = *env;
}

const struct pk_login_table *
pk_policy_role_table(void)
{
	return role.table;
}

static void
close_channel(void)
{
	if (role.ev != NULL)
		event_free(role.ev);
	role.ev = NULL;
	if (role.channel != -1)
		close(role.channel);
	role.channel = -1;
	role.ready = false;
}

/* ---- what it says ------------------------------------------------------------------ */

static void
on_table(int fd)
{
	struct pk_login_table *t = pk_login_table_read(fd), *old = role.table;

	close(fd);
	if (t == NULL) {
		pk_log(PK_LOG_ERR, "policyd: sent a table that is none");
		return;
	}
	role.table = t;
	if (old != NULL && !pk_login_table_equal(t, old))
		role.env.changed();
	pk_login_table_free(&old);
}

static void
on_message(enum pk_msg_type type, const union pk_msg *m, int fd)
{
	if (type == PK_MSG_TABLE) {
		on_table(fd);
	} else if (type == PK_MSG_READY) {
		role.ready = true;
		role.env.ready();
	} else {
		pk_log((enum pk_level)m->log.level, "%s", m->log.text);
	}
}

static void
on_channel(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	unsigned i;
	int pass;

	(void)what;
	(void)arg;
	for (i = 0; i < 64 && role.channel != -1; i++) {
		switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_READY) |
		    PK_MSG_BIT(PK_MSG_LOG) | PK_MSG_BIT(PK_MSG_TABLE), &type,
		    &m, &pass)) {
		case PK_RECEIVED:
			on_message(type, &m, pass);
			break;
		case PK_RECEIVED_NOTHING:
		case PK_RECEIVED_NO_DESCRIPTOR:
			return;
		case PK_RECEIVED_NONSENSE:
			pk_log(PK_LOG_ERR, "policyd: sent nonsense and is "
			    "ended");
			(void)kill(role.pid, SIGKILL);
			/* FALLTHROUGH */
		case PK_RECEIVED_END:
			close_channel();
			return;
		}
	}
}

/* ---- starting ------------------------------------------------------------------------ */

static bool
has_virtual_uid(const struct pk_settings *s)
{
	return s->users == PK_USERS_VIRTUAL && s->virtual_uid != (uid_t)-1;
}

static _Noreturn void
child(int channel)
{
	const struct pk_settings *s = role.env.settings;
	struct pk_policyd_settings set = {
		.policy = s->policy,
		.audit_log = s->audit_log,
		.socket = s->policy_socket,
		.state_dir = s->policy_state,
		.user = s->policy_user,
		.group = s->policy_group,
		.has_virtual_uid = has_virtual_uid(s),
		.virtual_uid = s->virtual_uid,
		.has_login_uid = s->has_login_uid,
		.login_uid = s->login_uid,
		.group_refresh = s->group_refresh,
		.audit_seal = s->audit_seal,
		.audit_rotate = s->audit_rotate,
		.audit_keep = s->audit_keep,
		.audit_anchor = s->audit_anchor != NULL ? s->audit_anchor :
		    "",
		.metrics = s->metrics,
		.metrics_socket = s->metrics_socket,
		.names = s->names,
	};

	pk_title_set("policyd");
	pk_log_to_parent(channel);
	pk_sandbox_close(STDERR_FILENO + 1, &channel, 1);
	pk_sandbox_null_stdio();
	_exit(pk_policyd_main(&set, channel));
}

bool
pk_policy_role_start(void)
{
	int pair[2];

	if (pk_channel_pair(pair, true) != 0)
		return false;
	role.pid = pk_role_fork();
	if (role.pid == 0)
		child(pair[1]);
	close(pair[1]);
	role.channel = pair[0];
	role.ev = role.pid > 0 ? event_new(role.env.base, pair[0],
	    EV_READ | EV_PERSIST, on_channel, NULL) : NULL;
	if (role.ev != NULL && event_add(role.ev, NULL) == 0)
		return true;
	pk_log(PK_LOG_ERR, "policyd: it cannot be started: %s",
	    strerror(errno));
	if (role.pid > 0)
		(void)kill(role.pid, SIGKILL);
	role.pid = 0;
	close_channel();
	return false;
}

/* ---- for the parent ----------------------------------------------------------------------- */

int
pk_policy_role_peer(uid_t uid, pid_t pid, const char *only, bool trusted)
{
	struct pk_msg_peer m;
	int pair[2];

	if (!role.ready || pk_channel_pair(pair, true) != 0)
		return -1;
	memset(&m, 0, sizeof(m));
	m.uid = uid;
	m.pid = pid;
	m.trusted = trusted;
	(void)snprintf(m.only, sizeof(m.only), "%s", only);
	if (pk_channel_send(role.channel, PK_MSG_PEER, &m, pair[1]) != 0) {
		close(pair[0]);
		pair[0] = -1;
	}
	close(pair[1]);
	return pair[0];
}

void
pk_policy_role_reload(const struct pk_settings *s)
{
	struct pk_msg_reload m;

	role.env.settings = s;
	memset(&m, 0, sizeof(m));
	m.fold = s->names.fold;
	m.detail = s->names.detail;
	if (s->names.default_domain != NULL)
		(void)snprintf(m.default_domain, sizeof(m.default_domain),
		    "%s", s->names.default_domain);
	m.has_virtual_uid = has_virtual_uid(s);
	m.virtual_uid = s->virtual_uid;
	m.has_login_uid = s->has_login_uid;
	m.login_uid = s->login_uid;
	m.group_refresh = s->group_refresh;
	m.audit_seal = s->audit_seal;
	m.audit_rotate = s->audit_rotate;
	m.audit_keep = s->audit_keep;
	if (role.channel == -1 || pk_channel_send(role.channel,
	    PK_MSG_RELOAD, &m, -1) != 0)
		pk_log(PK_LOG_ERR, "policyd: it does not hear that it should "
		    "reload");
}

void
pk_policy_role_figures(const struct pk_msg_figures *figures)
{
	if (role.ready)
		(void)!pk_channel_send(role.channel, PK_MSG_FIGURES, figures,
		    -1);
}

bool
pk_policy_role_reaped(pid_t pid, int status)
{
	if (pid != role.pid)
		return false;
	if (role.channel != -1)
		on_channel(role.channel, EV_READ, NULL);
	if (!role.stopping && WIFSIGNALED(status))
		pk_log(PK_LOG_ERR, "policyd: pid=%ld died of signal %d",
		    (long)pid, WTERMSIG(status));
	else if (!role.stopping)
		pk_log(PK_LOG_ERR, "policyd: pid=%ld ended with status %d",
		    (long)pid, WEXITSTATUS(status));
	role.pid = 0;
	close_channel();
	if (!role.stopping)
		role.env.failed();
	return true;
}

void
pk_policy_role_stop(void)
{
	role.stopping = true;
	if (role.channel != -1)
		(void)shutdown(role.channel, SHUT_WR);
}

void
pk_policy_role_kill(void)
{
	if (role.pid > 0)
		(void)kill(role.pid, SIGKILL);
}
