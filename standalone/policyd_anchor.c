/*
 * Anchors: policyd tells of each seal where it cannot change it later: in its
 * log (syslog, which may send it to another host), and to a command.  The
 * command has a minute; while it runs, later anchors wait, and the last of them
 * stands for all.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/hex.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"

/* Seconds that the command may take; and at a stop. */
#define COMMAND_SECONDS	60
#define STOP_SECONDS	3

/* "SEQ:SHA256", and a public key. */
#define ANCHOR_SIZE	(20 + 1 + 2 * PK_AUDIT_HASH_LEN + 1)
#define KEY_SIZE	(2 * PK_SEAL_KEY_LEN + 1)

struct anchor {
	char text[ANCHOR_SIZE];
	char key[KEY_SIZE];
};

static struct {
	bool waits;			/* next is to be told */
	struct anchor next;
	struct anchor now;		/* what the child tells */
	pid_t child;			/* 0: none */
	bool killed;			/* it was, and has yet to end */
	int64_t since;			/* boot clock */
} anchors;

static void
complain(const char *what, int value)
{
	pk_log(PK_LOG_ERR, "audit: audit-anchor: %s: %s %d: the anchor %s is "
	    "in this log alone", pk_policyd.settings->audit_anchor, what,
	    value, anchors.now.text);
}

/* ---- the command ------------------------------------------------------------------ */

/* Nothing of policyd's is for it: no signal mask, no environment. */
static int
spawn(const char *path, char *const argv[], pid_t *pid_r)
{
	static char search[] = "PATH=/usr/bin:/bin";
	char *const environment[] = { search, NULL };
	posix_spawnattr_t attr;
	sigset_t all, none;
	int rc = posix_spawnattr_init(&attr);

	if (rc != 0)
		return rc;
	sigfillset(&all);
	sigemptyset(&none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid_r, path, NULL, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	return rc;
}

static void
start(void)
{
	char path[PK_POLICYD_PATH_MAX];
	char *const argv[] = { path, anchors.next.text, anchors.next.key,
	    NULL };
	int rc;

	(void)snprintf(path, sizeof(path), "%s",
	    pk_policyd.settings->audit_anchor);
	anchors.waits = anchors.killed = false;
	anchors.since = pk_policyd_clock(CLOCK_BOOTTIME);
	anchors.now = anchors.next;
	rc = spawn(path, argv, &anchors.child);
	if (rc == 0)
		return;
	anchors.child = 0;
	pk_log(PK_LOG_ERR, "audit: audit-anchor: %s: %s: the anchor %s is in "
	    "this log alone", path, strerror(rc), anchors.now.text);
}

/* Has it ended?  If it did not do its work, say so. */
static bool
reap(int options)
{
	int status;
	pid_t pid = waitpid(anchors.child, &status, options);

	if (pid == 0 || (pid == -1 && errno == EINTR))
		return false;
	anchors.child = 0;
	if (anchors.killed)
		return true;	/* which is told already */
	if (pid > 0 && WIFSIGNALED(status))
		complain("ended by signal", WTERMSIG(status));
	else if (pid > 0 && WEXITSTATUS(status) != 0)
		complain("exit status", WEXITSTATUS(status));
	return true;
}

/* Nobody waits for its end: it may be in the kernel, where no signal gets. */
static void
kill_child(void)
{
	anchors.killed = true;
	complain("it was killed after seconds:", (int)(pk_policyd_clock(
	    CLOCK_BOOTTIME) - anchors.since));
	(void)kill(-anchors.child, SIGKILL);
}

/* ---- when ------------------------------------------------------------------------- */

void
pk_policyd_anchor(const struct pk_audit_mark *end, const struct pk_seal *seal)
{
	char digits[2 * PK_AUDIT_HASH_LEN];
	struct anchor *a = &anchors.next;

	(void)pk_hex_put(digits, end->prev, PK_AUDIT_HASH_LEN);
	(void)snprintf(a->text, sizeof(a->text), "%" PRIu64 ":%.*s", end->seq,
	    (int)sizeof(digits), digits);
	*pk_hex_put(a->key, seal->next, PK_SEAL_KEY_LEN) = '\0';
	pk_log(PK_LOG_NOTICE, "audit: sealed, epoch %" PRIu64 ": --anchor %s; "
	    "the next seal: --key %s", seal->epoch, a->text, a->key);
	anchors.waits = pk_policyd.settings->audit_anchor[0] != '\0';
	pk_policyd_anchor_tick();
}

void
pk_policyd_anchor_tick(void)
{
	if (anchors.child != 0 && !reap(WNOHANG) && !anchors.killed &&
	    pk_policyd_clock(CLOCK_BOOTTIME) - anchors.since >=
	    COMMAND_SECONDS)
		kill_child();
	if (anchors.child == 0 && anchors.waits)
		start();
}

void
pk_policyd_anchor_finish(void)
{
	const struct timespec moment = { 0, 20000000 };
	int64_t end = pk_policyd_clock(CLOCK_BOOTTIME) + STOP_SECONDS;

	pk_policyd_anchor_tick();
	while (anchors.child != 0 && pk_policyd_clock(CLOCK_BOOTTIME) < end) {
		(void)nanosleep(&moment, NULL);
		pk_policyd_anchor_tick();
	}
	if (anchors.child != 0 && !anchors.killed)
		kill_child();
}
