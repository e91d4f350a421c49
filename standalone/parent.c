/*
 * The parent role: see parent.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "engine/apop.h"
#include "standalone/check.h"
#include "standalone/generation.h"
#include "standalone/listeners.h"
#include "standalone/log.h"
#include "standalone/parent.h"
#include "standalone/policy_role.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"
#include "standalone/sessions.h"

#define STOP_SECONDS	5	/* until the rest is killed */
#define RETRY_SECONDS	1	/* before a generation that failed is replaced */
#define FIGURES_SECONDS	5	/* between two reports to policyd */

static struct {
	struct event_base *base;
	struct pk_settings *settings;
	struct pk_listeners *listeners;
	const char *file;
	struct event *retry, *policy_retry, *figures;
	int ready;			/* tell who waits for us, or -1 */
	bool started;			/* some generation was ready once */
	bool stopping;
	int status;
} parent;

/* ---- generations ------------------------------------------------------------------ */

static void
announce(void)
{
	size_t i;
	char where[256] = "";

	for (i = 0; i < parent.settings->listens; i++)
		snprintf(where + strlen(where), sizeof(where) - strlen(where),
		    "%s%s", i > 0 ? "," : "", parent.settings->listen[i].name);
	pk_log(PK_LOG_INFO, "start: version=%s listen=%s privileges=%s%s",
	    PACKAGE_VERSION, where,
	    geteuid() == 0 ? "separated" : "none (not started as root)",
	    !pk_apop_is_available() ? " apop=off (OpenSSL refuses MD5, as in "
	    "FIPS mode)" : "");
}

static void
on_ready(void)
{
	announce();
	parent.started = true;
	if (parent.ready == -1)
		return;
	if (write(parent.ready, "", 1) != 1)
		pk_log(PK_LOG_WARNING, "start: who started popkeepd is gone");
	close(parent.ready);
	parent.ready = -1;
}

/* At the start that is the end; later it is tried again. */
static void
on_failed(void)
{
	struct timeval pause = { RETRY_SECONDS, 0 };

	if (parent.started) {
		event_add(parent.retry, &pause);
	} else {
		parent.status = 1;
		event_base_loopbreak(parent.base);
	}
}

static bool
start_generation(void)
{
	struct pk_generation_env env = {
		.base = parent.base,
		.settings = parent.settings,
		.listeners = parent.listeners,
		.table = pk_policy_role_table(),
		.ready = on_ready,
		.failed = on_failed,
	};

	pk_generations_configure(&env);
	return pk_generation_start();
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!parent.stopping)
		(void)start_generation();
}

/* ---- policyd ---------------------------------------------------------------------- */

/* Nobody is let in before the policy is known once. */
static void
on_policy_ready(void)
{
	if (!parent.started && !parent.stopping) {
		(void)start_generation();
		return;
	}
	pk_generations_policy();
	pk_sessions_policy();
}

/* Without anybody who exports them there is nothing to say. */
static void
on_figures(evutil_socket_t fd, short what, void *arg)
{
	const struct pk_settings *s = parent.settings;

	(void)fd;
	(void)what;
	(void)arg;
	if (s->metrics != NULL || s->metrics_socket != NULL)
		pk_policy_role_figures(pk_sessions_figures());
}

/* What is offered before login has changed with the policy. */
static void
on_policy_changed(void)
{
	if (parent.started && !parent.stopping)
		(void)start_generation();
}

static void
on_policy_failed(void)
{
	struct timeval pause = { RETRY_SECONDS, 0 };

	if (parent.stopping)
		return;
	if (parent.started) {
		event_add(parent.policy_retry, &pause);
	} else {
		parent.status = 1;
		event_base_loopbreak(parent.base);
	}
}

static bool
start_policyd(void)
{
	struct pk_policy_env env = {
		.base = parent.base,
		.settings = parent.settings,
		.ready = on_policy_ready,
		.changed = on_policy_changed,
		.failed = on_policy_failed,
	};

	pk_policy_role_configure(&env);
	return pk_policy_role_start();
}

static void
on_policy_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!parent.stopping && !start_policyd())
		on_policy_failed();
}

/* ---- children ----------------------------------------------------------------------- */

static bool
children_left(void)
{
	return waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	int status;
	pid_t pid;

	(void)sig;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!pk_sessions_reaped(pid, status) &&
		    !pk_policy_role_reaped(pid, status))
			(void)pk_generations_reaped(pid, status);
	if (parent.stopping && !children_left())
		event_base_loopbreak(parent.base);
}

/* ---- reload and stop ------------------------------------------------------------------ */

static void
log_lines(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) != NULL)
		if (*line != '\0')
			pk_log(PK_LOG_ERR, "reload: %s", line);
}

static const char *
text_of(const char *text)
{
	return text != NULL ? text : "";
}

/* policyd has opened its files with rights that it has no longer. */
static void
tell_policyd_stays(const struct pk_settings *settings)
{
	const struct pk_settings *old = parent.settings;
	const struct { const char *key, *old, *new; } keys[] = {
		{ "policy", old->policy, settings->policy },
		{ "policy-socket", old->policy_socket,
		    settings->policy_socket },
		{ "policy-user", old->policy_user, settings->policy_user },
		{ "policy-group", text_of(old->policy_group),
		    text_of(settings->policy_group) },
		{ "policy-state", old->policy_state, settings->policy_state },
		{ "audit-log", old->audit_log, settings->audit_log },
		{ "audit-anchor", text_of(old->audit_anchor),
		    text_of(settings->audit_anchor) },
		{ "metrics", text_of(old->metrics),
		    text_of(settings->metrics) },
		{ "metrics-socket", text_of(old->metrics_socket),
		    text_of(settings->metrics_socket) },
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].old, keys[i].new) != 0)
			pk_log(PK_LOG_WARNING, "reload: %s = \"%s\" takes "
			    "effect when popkeepd is started anew",
			    keys[i].key, keys[i].new);
}

/* The new configuration and its sockets, or neither. */
static bool
adopt(struct pk_settings *settings, FILE *errors)
{
	struct pk_listeners *ls = pk_listeners_open(settings,
	    parent.listeners, errors);

	if (ls == NULL)
		return false;
	if (pk_log_open(settings->log) != 0) {
		fprintf(errors, "log = %s: %s\n", settings->log,
		    strerror(errno));
		pk_listeners_close(&ls);
		return false;
	}
	tell_policyd_stays(settings);
	pk_listeners_close(&parent.listeners);
	pk_settings_free(&parent.settings);
	parent.listeners = ls;
	parent.settings = settings;
	return true;
}

static void
on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct pk_settings *settings;
	char *text = NULL;
	size_t size = 0;
	FILE *errors = open_memstream(&text, &size);
	bool ok = false;

	(void)sig;
	(void)what;
	(void)arg;
	if (errors == NULL || parent.stopping)
		return;
	settings = pk_settings_check(parent.file, errors);
	if (settings != NULL) {
		ok = adopt(settings, errors);
		if (!ok)
			pk_settings_free(&settings);
	}
	fclose(errors);
	log_lines(text);
	free(text);
	if (!ok) {
		pk_log(PK_LOG_ERR, "reload: the old configuration stays in "
		    "force");
		return;
	}
	pk_log(PK_LOG_INFO, "reload: file=%s", parent.file);
	pk_policy_role_reload(parent.settings);
	pk_sessions_retire();
	(void)start_generation();
}

static void
on_stop_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	pk_generations_kill();
	pk_policy_role_kill();
	event_base_loopbreak(parent.base);
}

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct timeval limit = { STOP_SECONDS, 0 };

	(void)what;
	(void)arg;
	if (parent.stopping)
		return;
	parent.stopping = true;
	pk_log(PK_LOG_INFO, "stop: signal=%d", (int)sig);
	pk_sessions_stop();
	pk_generations_stop();
	pk_policy_role_stop();
	if (!children_left() || event_base_once(parent.base, -1, EV_TIMEOUT,
	    on_stop_timeout, NULL, &limit) != 0)
		event_base_loopbreak(parent.base);
}

/* ---- main ----------------------------------------------------------------------------- */

static bool
make_timers(void)
{
	struct timeval figures = { FIGURES_SECONDS, 0 };

	parent.retry = event_new(parent.base, -1, 0, on_retry, NULL);
	parent.policy_retry = event_new(parent.base, -1, 0, on_policy_retry,
	    NULL);
	parent.figures = event_new(parent.base, -1, EV_PERSIST, on_figures,
	    NULL);
	return parent.retry != NULL && parent.policy_retry != NULL &&
	    parent.figures != NULL && event_add(parent.figures, &figures) == 0;
}

static bool
on_signal(int sig, event_callback_fn callback)
{
	struct event *ev = evsignal_new(parent.base, sig, callback, NULL);

	return ev != NULL && event_add(ev, NULL) == 0;
}

static bool
open_listeners(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *errors = open_memstream(&text, &size);

	if (errors == NULL)
		return false;
	parent.listeners = pk_listeners_open(parent.settings, NULL, errors);
	fclose(errors);
	if (parent.listeners == NULL) {
		text[strcspn(text, "\n")] = '\0';
		pk_log(PK_LOG_ERR, "start: %s", text);
	}
	free(text);
	return parent.listeners != NULL;
}

/* Only once the sockets are ours is the file ours too; file may be NULL. */
static bool
write_pid(const char *file, char **file_r)
{
	FILE *f;
	bool ok;

	*file_r = NULL;
	if (file == NULL)
		return true;
	f = fopen(file, "we");
	ok = f != NULL && fprintf(f, "%ld\n", (long)getpid()) > 0;
	if (f != NULL && fclose(f) != 0)
		ok = false;
	if (!ok)
		pk_log(PK_LOG_ERR, "start: pid-file = %s: %s", file,
		    strerror(errno));
	else
		*file_r = strdup(file);
	return ok;
}

int
pk_parent_main(struct pk_settings *settings, const char *file, int ready)
{
	char *pid_file;

	pk_title_set("parent");
	pk_sandbox_raise_files();
	if (pk_sandbox_prepare() != 0) {
		pk_log(PK_LOG_ERR, "start: the system call filters cannot be "
		    "made");
		return 1;
	}
	parent.ready = ready;
	parent.settings = settings;
	parent.file = file;
	parent.base = event_base_new();
	if (parent.base == NULL || !open_listeners() ||
	    !write_pid(settings->pid_file, &pid_file))
		return 1;
	pk_sessions_init(parent.base, pk_generations_released);
	if (!make_timers() || !on_signal(SIGTERM, on_stop) ||
	    !on_signal(SIGINT, on_stop) || !on_signal(SIGHUP, on_reload) ||
	    !on_signal(SIGCHLD, on_child) || !start_policyd())
		return 1;
	event_base_dispatch(parent.base);
	pk_sessions_finish();
	if (pid_file != NULL)
		(void)unlink(pid_file);
	free(pid_file);
	if (parent.status == 0)
		pk_log(PK_LOG_INFO, "stopped");
	pk_listeners_close(&parent.listeners);
	return parent.status;
}
