/*
 * The inside of popkeep-policyd: policyd.c has the clock, the log and the loop,
 * policyd_open.c opens everything, policyd_policy.c has the policy,
 * policyd_archive.c keeps those that were in force,
 * policyd_peers.c has the connections of those who ask, policyd_turns.c listens
 * to them in turn, policyd_share.c knows how much each may have written,
 * policyd_answers.c has the answers, policyd_groups.c resolves groups in the
 * background, policyd_seal.c seals the log, policyd_rotate.c rotates and prunes
 * it, policyd_anchor.c tells of its seals, policyd_names.c hides users in it,
 * policyd_metrics.c tells what policyd knows of all this, and
 * policyd_metrics_socket.c is where it is asked.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICYD_PRIVATE_H
#define PK_POLICYD_PRIVATE_H

#include <time.h>

#include <event2/event.h>

#include "engine/overdue.h"
#include "engine/policy.h"
#include "engine/wire.h"
#include "standalone/audit_log.h"
#include "standalone/audit_seal.h"
#include "standalone/channel.h"
#include "standalone/exposition.h"
#include "standalone/metrics.h"
#include "standalone/policyd.h"
#include "standalone/pseudonym.h"
#include "standalone/unfinished.h"

struct pk_policyd {
	const struct pk_policyd_settings *settings;
	struct pk_policyd_settings own;	/* what settings is */
	struct event_base *base;
	struct pk_policy *policy;
	struct pk_groups *groups;	/* NULL: no snapshot yet */
	struct pk_audit_log *log;
	struct pk_unfinished *unfinished;
	uint64_t serial;		/* of policy, groups and brakes */
	bool clock_brake;
	bool log_failing;
	unsigned failures;		/* how often it began to */
	char log_why[PK_AUDIT_LOG_WHY];
	unsigned peers;
	bool ending;

	int parent;			/* -1: a program of its own */
	int policy_dir, state_dir, audit_dir, audit_fd, socket_fd;
	int metrics_dir, metrics_fd;	/* the file's; the socket */
	int64_t clock;			/* wall clock - boot clock, at the start */
	struct pk_policy *accepted;	/* brake (c): NULL: nothing yet */
	unsigned braked;		/* rules, by brake (c) */
	struct event *tick;
	bool ready;			/* the parent was told */
	bool table_due;			/* the parent has not got it yet */
	int64_t marked;			/* when the mark was saved, boot clock */
	struct pk_metrics metrics;
	struct pk_swept swept;
	uint64_t first_serial;
	int64_t groups_time;		/* when they were resolved, boot clock */
	bool has_figures;		/* the parent's */
	struct pk_msg_figures figures;
};

extern struct pk_policyd pk_policyd;

/* ---- policyd.c -------------------------------------------------------------------- */

/* Seconds of a clock. */
int64_t pk_policyd_clock(clockid_t id);

/*
 * Seconds since 1970, after a look at brake (a); _earliest(): where the wall clock
 * has run away, the earlier of it and what the boot clock says.
 */
int64_t pk_policyd_now(void);
int64_t pk_policyd_earliest(void);

/* The groups are known, or will not be for a while: popkeepd may go on. */
void pk_policyd_ready(void);

/* Record something that policyd itself knows; it may wait to be written. */
void pk_policyd_record(enum pk_audit_event event, const char *rule,
    const char *reason);

/* Have a record written; false: it was not taken. */
bool pk_policyd_add(const struct pk_audit_source *source,
    const struct pk_audit_context *c, const struct pk_audit_item *i)
    PK_WARN_UNUSED;

/* Write what waits, and tell of a log that fails or is mended. */
bool pk_policyd_commit(bool durable);

/* End once nothing is left to be written. */
void pk_policyd_end_if_done(void);

/* ---- policyd_open.c ---------------------------------------------------------------- */

/* Open everything that needs more rights than policyd keeps, and give them up. */
bool pk_policyd_open_files(void) PK_WARN_UNUSED;

/* Log that something failed with errno; false. */
bool pk_policyd_fail(const char *what, const char *name);

/* ---- policyd_policy.c --------------------------------------------------------------- */

/* What was accepted, and the first policy. */
bool pk_policyd_load_first(void) PK_WARN_UNUSED;

/* Tell the parent what net and auth must know; it is tried again if need be. */
void pk_policyd_send_table(void);

/* What must not be lost where a load has much to say. */
bool pk_policyd_tell_parent(enum pk_msg_type type, int pass) PK_WARN_UNUSED;

/* RELOAD and ACCEPT: read the policy again; text says how it went. */
enum pk_wire_result pk_policyd_reload(const char *who, bool accept,
    char text[PK_WIRE_TEXT + 1]);

/* STATUS: lines for a person, into out. */
void pk_policyd_status(char *out, size_t size);

/* A snapshot is there: it is policyd's now. */
void pk_policyd_take_groups(struct pk_groups *groups);

/* ---- policyd_archive.c ------------------------------------------------------------------- */

/*
 * There is a new policy in force; or there are other groups, with that hash.
 * false: it is not known.  _if_due(): where that failed, again.
 */
void pk_policyd_archive(void);
bool pk_policyd_archive_groups(uint8_t hash_r[PK_POLICY_HASH_LEN]);
void pk_policyd_archive_if_due(void);

/* ---- policyd_peers.c ---------------------------------------------------------------- */

/* Listen on a socket that is there already; 0 or -1. */
int pk_peers_listen(int fd) PK_WARN_UNUSED;

/*
 * Talk to a peer on fd, which is now policyd's: a process of popkeepd of which
 * the parent says uid, and the one user that it may name ("": any), and whether
 * it may record logins.
 */
void pk_peers_add(int fd, uid_t uid, pid_t pid, const char *only,
    bool trusted);

/* Answer those who wait for the disk: the log was committed, or was not. */
void pk_peers_committed(bool ok);

/* ---- policyd_seal.c --------------------------------------------------------------------- */

/* Seal the log, if there is anything new and a key; say if that fails. */
void pk_policyd_seal(void);

/* The same, if it is time to. */
void pk_policyd_seal_if_due(void);

/* Is it time to, for the number of records? */
bool pk_policyd_has_many_unsealed(void);

/* Is every line of the log sealed, or is there no key? */
bool pk_policyd_is_sealed(void);

/* Where sealing fails it is tried again at the next tick. */
void pk_policyd_seal_soon(void);

/* How it went the last time. */
enum pk_audit_sealed pk_policyd_seal_state(void);

/* ---- policyd_rotate.c ------------------------------------------------------------------- */

/* Begin the next file of the log if this one is large enough. */
void pk_policyd_rotate_if_due(void);

/* Begin to prune what is too old, if it is time to look for it. */
void pk_policyd_prune_if_due(void);

/* The settings of both have changed. */
void pk_policyd_rotate_soon(void);

/* ---- policyd_anchor.c ------------------------------------------------------------------- */

/* There is a new seal, the last record of the log: tell of it. */
void pk_policyd_anchor(const struct pk_audit_mark *end,
    const struct pk_seal *seal);

/* Look after the command, every second; _finish(): for the last time. */
void pk_policyd_anchor_tick(void);
void pk_policyd_anchor_finish(void);

/* ---- policyd_metrics.c ----------------------------------------------------------------- */

/* A record was taken, or would be if there were an audit. */
void pk_policyd_count(const struct pk_audit_context *c,
    const struct pk_audit_item *i);

/* All metrics. */
void pk_policyd_expose(struct pk_exposition *x);

/* The same to the file, if it is time to, or now. */
void pk_policyd_metrics_tick(void);
void pk_policyd_metrics_write(void);

/* ---- policyd_metrics_socket.c ------------------------------------------------------------ */

/* Answer on a socket that is there already; 0 or -1. */
int pk_policyd_metrics_listen(int fd) PK_WARN_UNUSED;

/* Take connections again, if it was not possible. */
void pk_policyd_metrics_again(void);

/* ---- policyd_names.c -------------------------------------------------------------------- */

/* Before the log is read: the key of pseudonyms, if there is one. */
void pk_policyd_names_begin(void);

/* A policy wants pseudonyms: there is a key.  false: why says why not. */
bool pk_policyd_names_need(char why[PK_PSEUDONYM_WHY]) PK_WARN_UNUSED;

/*
 * What intents of a user are remembered under; _in_log(): of one whom the log
 * has under that name.  Valid until the next call.
 */
const char *pk_policyd_name_of(const char *user);
const char *pk_policyd_name_in_log(const char *user);

/* Put pseudonyms for user and ip.  false: libcrypto failed. */
bool pk_policyd_names_hide(struct pk_audit_context *c) PK_WARN_UNUSED;

/* ---- policyd_groups.c ---------------------------------------------------------------- */

/* Resolve the policy's groups now, and again every so often.  0 or -1. */
int pk_groups_start(void) PK_WARN_UNUSED;

/* The policy has changed. */
void pk_groups_refresh(void);

/*
 * The settings have changed.  Where names are spelled differently now, nothing
 * is known of the members of groups until they are resolved again.
 */
void pk_groups_adopt(bool same_names);

#endif
