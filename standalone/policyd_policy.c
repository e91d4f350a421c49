/*
 * The policy that policyd has in force: reading it, the brakes on it, and who must
 * know of it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/hex.h"
#include "standalone/log.h"
#include "standalone/login_table.h"
#include "standalone/policy_load.h"
#include "standalone/policy_state.h"
#include "standalone/policyd_private.h"

/* Octets that a status keeps for how many braked rules it does not name. */
#define STATUS_MORE	64

/* Milliseconds in which the parent must take what was said before. */
#define PARENT_PATIENCE	2000

/* Where the lines of a load go: the log, and the first one to who asked. */
struct saying {
	char *text;			/* NULL: nobody asked */
	unsigned errors;
};

static void
say_error(void *arg, const char *line)
{
	struct saying *s = arg;

	pk_log(PK_LOG_ERR, "policy: %s", line);
	if (s->text != NULL && s->errors == 0)
		(void)snprintf(s->text, PK_WIRE_TEXT + 1, "%s", line);
	s->errors++;
}

static void
say_warning(void *arg, const char *line)
{
	(void)arg;
	pk_log(PK_LOG_WARNING, "policy: %s", line);
}

static void
say_brake(void *arg, const char *rule, const char *why)
{
	char text[512];

	(void)arg;
	pk_policyd.braked++;
	(void)snprintf(text, sizeof(text), "policy: %s: dry-run until "
	    "\"popkeep policy accept\"", why);
	pk_log(PK_LOG_ERR, "brake: rule=%s %s", rule, text);
	pk_policyd_record(PK_AUDIT_BRAKE, rule, text);
}

/* Can net and auth be told of it? */
static bool
has_table(const struct pk_policy *p, struct saying *s)
{
	int fd = pk_policyd.parent != -1 ? pk_login_table_make(p) : -1;

	if (pk_policyd.parent != -1 && fd == -1)
		say_error(s, errno == EFBIG ? "apop and passwords: too many "
		    "networks" : strerror(errno));
	if (fd != -1)
		close(fd);
	return pk_policyd.parent == -1 || fd != -1;
}

/* Is there a key, if the policy hides users? */
static bool
has_key(const struct pk_policy *p, struct saying *s)
{
	char why[PK_PSEUDONYM_WHY], text[PK_PSEUDONYM_WHY + 32];

	if (!p->pseudonyms || pk_policyd_names_need(why))
		return true;
	(void)snprintf(text, sizeof(text), "pseudonyms = yes: %s", why);
	say_error(s, text);
	return false;
}

/* What must not be lost where a load has much to say. */
bool
pk_policyd_tell_parent(enum pk_msg_type type, int pass)
{
	struct pollfd p = { .fd = pk_policyd.parent, .events = POLLOUT };

	if (pk_channel_send(pk_policyd.parent, type, NULL, pass) == 0)
		return true;
	return errno == EAGAIN && poll(&p, 1, PARENT_PATIENCE) == 1 &&
	    pk_channel_send(pk_policyd.parent, type, NULL, pass) == 0;
}

/* What net and auth must know of it, by way of the parent. */
void
pk_policyd_send_table(void)
{
	int fd;

	if (pk_policyd.parent == -1)
		return;
	fd = pk_login_table_make(pk_policyd.policy);
	pk_policyd.table_due = fd == -1 || !pk_policyd_tell_parent(PK_MSG_TABLE, fd);
	if (pk_policyd.table_due)
		pk_log(PK_LOG_ERR, "policy: apop and passwords: %s",
		    strerror(errno));
	if (fd != -1)
		close(fd);
}

/* What was accepted is what will be compared with, after a restart as well. */
static void
save_accepted(void)
{
	struct saying s = { NULL, 0 };
	struct pk_policy *next;

	if (pk_policy_state_save(pk_policyd.state_dir, pk_policyd.policy,
	    pk_policyd.accepted) != 0)
		pk_log(PK_LOG_ERR, "policy: %s/" PK_POLICY_STATE_FILE ": %s",
		    pk_policyd.settings->state_dir, strerror(errno));
	/* A state that cannot be saved must not end the brakes. */
	next = pk_policy_state_next(pk_policyd.policy, pk_policyd.accepted,
	    pk_policyd_clock(CLOCK_REALTIME), say_error, &s);
	if (next == NULL)
		return;
	pk_policy_free(&pk_policyd.accepted);
	pk_policyd.accepted = next;
}

static bool
same_patterns(const struct pk_patterns *a, const struct pk_patterns *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (strcmp(a->text[i], b->text[i]) != 0)
			return false;
	return true;
}

static void
record_hold(enum pk_audit_event event, const struct pk_hold *h,
    const char *who)
{
	char text[PK_AUDIT_REASON_SIZE];

	(void)snprintf(text, sizeof(text), "hold:%s %s%s%s", h->name, who,
	    h->note != NULL ? ": " : "", h->note != NULL ? h->note : "");
	pk_policyd_record(event, "", text);
	pk_log(PK_LOG_NOTICE, "%s: %s", pk_audit_event_name(event), text);
}

/* Holds that are new or changed, and those that are gone. */
static void
record_holds(const struct pk_policy *old, const char *who)
{
	const struct pk_policy *p = pk_policyd.policy;
	size_t i;

	for (i = 0; i < p->holds; i++) {
		const struct pk_hold *h = &p->hold[i];
		const struct pk_hold *was = old == NULL ? NULL :
		    pk_policy_find_hold(old, h->name);

		if (was == NULL || was->until != h->until ||
		    !same_patterns(&was->users, &h->users))
			record_hold(PK_AUDIT_HOLD, h, who);
	}
	for (i = 0; old != NULL && i < old->holds; i++)
		if (pk_policy_find_hold(p, old->hold[i].name) == NULL)
			record_hold(PK_AUDIT_RELEASE, &old->hold[i], who);
}

static void
adopt(struct pk_policy *p, const char *who, bool accept)
{
	struct pk_policy *old = pk_policyd.policy;

	pk_policyd.policy = p;
	pk_policyd.serial++;
	pk_policyd_archive();
	pk_policyd_record(PK_AUDIT_POLICY, "", who);
	pk_policyd.braked = 0;
	pk_policy_brake(p, accept ? NULL : pk_policyd.accepted,
	    pk_policyd_clock(CLOCK_REALTIME), say_brake, NULL);
	record_holds(old != NULL ? old : pk_policyd.accepted, who);
	save_accepted();
	pk_policy_free(&old);
	pk_log(PK_LOG_INFO, "policy: file=%s rules=%zu holds=%zu braked=%u "
	    "audit=%s%s", pk_policyd.settings->policy, p->retentions,
	    p->holds, pk_policyd.braked, pk_audit_name(p->audit),
	    p->dry_run ? " mode=dry-run" : "");
}

/* The new policy, or none of it. */
static bool
load(const char *who, bool accept, char *text)
{
	struct saying s = { text, 0 };
	struct pk_policy *p;

	p = pk_policy_load(pk_policyd.policy_dir, pk_policyd.settings->policy,
	    pk_policyd_clock(CLOCK_REALTIME), say_error, say_warning, &s);
	if (p == NULL || !has_table(p, &s) || !has_key(p, &s)) {
		pk_policy_free(&p);
		return false;
	}
	adopt(p, who, accept);
	pk_policyd_send_table();
	return true;
}

enum pk_wire_result
pk_policyd_reload(const char *who, bool accept, char text[PK_WIRE_TEXT + 1])
{
	text[0] = '\0';
	if (!load(who, accept, text)) {
		pk_log(PK_LOG_ERR, "policy: it could not be read: the old one "
		    "stays in force");
		return PK_WIRE_ERROR;
	}
	(void)pk_policyd_commit(true);
	pk_policyd_seal_soon();
	pk_groups_refresh();
	if (pk_policyd.braked > 0)
		(void)snprintf(text, PK_WIRE_TEXT + 1, "%u rules wait for "
		    "\"popkeep policy accept\": see \"popkeep policy\"",
		    pk_policyd.braked);
	return PK_WIRE_OK;
}

/* Which members the groups have from now on, for years to come. */
static void
record_groups(void)
{
	uint8_t hash[PK_POLICY_HASH_LEN];
	char reason[sizeof(PK_AUDIT_GROUPS) + 2 * PK_POLICY_HASH_LEN] =
	    PK_AUDIT_GROUPS;

	if (pk_policy_group_count(pk_policyd.policy) == 0 ||
	    !pk_policyd_archive_groups(hash))
		return;
	*pk_hex_put(reason + sizeof(PK_AUDIT_GROUPS) - 1, hash,
	    sizeof(hash)) = '\0';
	pk_policyd_record(PK_AUDIT_POLICY, "", reason);
}

void
pk_policyd_take_groups(struct pk_groups *groups)
{
	if (groups == NULL)
		return;
	pk_policyd.groups_time = pk_policyd_clock(CLOCK_BOOTTIME);
	if (pk_policyd.groups != NULL &&
	    pk_groups_equal(groups, pk_policyd.groups)) {
		pk_groups_free(&groups);
		return;
	}
	pk_groups_free(&pk_policyd.groups);
	pk_policyd.groups = groups;
	pk_policyd.serial++;
	record_groups();
}

static size_t append(char *out, size_t size, size_t len,
    const char *format, ...)
    __attribute__((__format__(__printf__, 4, 5)));

/* Behind len octets of out, whole or not at all; the new length. */
static size_t
append(char *out, size_t size, size_t len, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(out + len, size - len, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < size - len)
		return len + (size_t)n;
	out[len] = '\0';
	return len;
}

/* One line each, as far as there is room, and how many there are more. */
static void
append_braked(char *out, size_t size, size_t len, const struct pk_policy *p)
{
	size_t i, room = size - STATUS_MORE, before;
	unsigned more = 0;

	for (i = 0; i < p->retentions; i++) {
		if (!p->retention[i].rule.braked)
			continue;
		before = len;
		if (more == 0 && len < room)
			len = append(out, room, len, "brake: rule %s waits "
			    "for \"popkeep policy accept\"\n",
			    p->retention[i].rule.name);
		more += len == before;
	}
	if (more > 0)
		(void)append(out, size, len, "brake: and %u rules more wait "
		    "for that\n", more);
}

void
pk_policyd_status(char *out, size_t size)
{
	const struct pk_policy *p = pk_policyd.policy;
	size_t len;

	len = append(out, size, 0, "policy %.256s: %zu rules, %zu holds, "
	    "mode %s, audit %s\ngroups %s\n", pk_policyd.settings->policy,
	    p->retentions, p->holds, p->dry_run ? "dry-run" : "enforce",
	    pk_audit_name(p->audit), pk_policyd.groups == NULL ?
	    "not resolved yet" : "resolved");
	if (pk_policyd.clock_brake)
		len = append(out, size, len, "brake: the wall clock ran away: "
		    "no disposal by policy\n");
	if (pk_policyd.log_failing)
		len = append(out, size, len, "audit log: %.400s: nothing is "
		    "disposed of\n", pk_policyd.log_why);
	append_braked(out, size, len, p);
}

bool
pk_policyd_load_first(void)
{
	struct saying s = { NULL, 0 };

	if (pk_policy_state_load(pk_policyd.state_dir, pk_policyd_clock(CLOCK_REALTIME),
	    &pk_policyd.accepted, say_error, &s) != PK_OK) {
		pk_log(PK_LOG_ERR, "policy: %s/" PK_POLICY_STATE_FILE
		    " cannot be read: every rule waits for \"popkeep policy "
		    "accept\"", pk_policyd.settings->state_dir);
		pk_policyd.accepted = calloc(1, sizeof(*pk_policyd.accepted));
		if (pk_policyd.accepted == NULL ||
		    pk_policy_prepare(pk_policyd.accepted) != PK_OK)
			return pk_policyd_fail("starting", "memory");
	}
	pk_policyd_record(PK_AUDIT_START, "", PACKAGE_VERSION);
	return load("start", false, NULL);
}
