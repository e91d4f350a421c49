/*
 * A mailbox in the hands of the tool: see tool_box.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/intent.h"
#include "standalone/tool_box_private.h"

void
pk_tool_box_init(struct pk_tool_box *b, const struct pk_settings *settings,
    const struct pk_account *account, struct pk_policy_ask *ask,
    const char *session)
{
	memset(b, 0, sizeof(*b));
	b->settings = settings;
	b->account = account;
	b->ask = ask;
	(void)snprintf(b->context.user, sizeof(b->context.user), "%s",
	    account->user);
	(void)snprintf(b->context.session, sizeof(b->context.session), "%s",
	    session);
}

void
pk_tool_box_deinit(struct pk_tool_box *b)
{
	pk_maildir_close(&b->retained);
	pk_maildir_close(&b->md);
}

/* ---- policyd ----------------------------------------------------------- */

enum pk_tool_box_end
pk_tool_box_fail(struct pk_tool_box *b, const char *why)
{
	if (why != b->why)
		(void)snprintf(b->why, sizeof(b->why), "%s", why);
	return PK_TOOL_BOX_FAILED;
}

void
pk_tool_box_take(struct pk_tool_box *b, const struct pk_wire_user_is *a)
{
	b->up = a->policy;
	b->serial = a->serial;
	b->unfinished = a->unfinished;
	(void)snprintf(b->context.rule, sizeof(b->context.rule), "%s",
	    a->policy.has_rule ? a->policy.rule.name : "");
}

enum pk_tool_box_end
pk_tool_box_ask(struct pk_tool_box *b)
{
	struct pk_wire_user_is a;

	if (!pk_policy_ask_user(b->ask, b->account->user, b->account->rule,
	    &a))
		return pk_tool_box_fail(b, b->ask->why);
	if (a.result == PK_WIRE_UNKNOWN_RULE)
		return pk_tool_box_fail(b, "the users file names a rule "
		    "that does not exist");
	if (a.result == PK_WIRE_NOT_YET)
		return pk_tool_box_fail(b, "the rule depends on a group that "
		    "popkeep-policyd does not know yet");
	if (a.result != PK_WIRE_OK)
		return pk_tool_box_fail(b, pk_wire_result_name(a.result));
	pk_tool_box_take(b, &a);
	return PK_TOOL_BOX_OK;
}

/* ---- opening ----------------------------------------------------------- */

static bool
is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool
pk_tool_box_has_retained(const struct pk_tool_box *b)
{
	return is_there(b->account->retained);
}

static enum pk_tool_box_end
open_maildir(struct pk_tool_box *b, const char *path, const char *retained,
    const char *folders, struct pk_maildrop **md_r)
{
	struct pk_maildir_settings set = { .nfs = b->settings->nfs,
	    .retained = retained, .folders = folders };

	b->why[0] = '\0';
	if (!is_there(path))
		return PK_TOOL_BOX_ABSENT;
	switch (pk_maildir_open(path, &set, md_r, b->why)) {
	case PK_MAILDIR_OK:
		return PK_TOOL_BOX_OK;
	case PK_MAILDIR_IN_USE:
		return PK_TOOL_BOX_BUSY;
	case PK_MAILDIR_TEMPORARY:
	case PK_MAILDIR_PERMANENT:
	case PK_MAILDIR_SCAN:
		break;
	}
	return PK_TOOL_BOX_FAILED;
}

enum pk_tool_box_end
pk_tool_box_open(struct pk_tool_box *b)
{
	return open_maildir(b, b->account->maildir, b->account->retained,
	    NULL, &b->md);
}

enum pk_tool_box_end
pk_tool_box_open_retained(struct pk_tool_box *b)
{
	return open_maildir(b, b->account->retained, NULL,
	    b->account->maildir, &b->retained);
}

void
pk_tool_box_complain(const struct pk_tool_box *b, enum pk_tool_box_end end,
    FILE *err)
{
	const struct pk_account *a = b->account;

	switch (end) {
	case PK_TOOL_BOX_OK:
		break;
	case PK_TOOL_BOX_ABSENT:
		fprintf(err, "popkeep: user %s: there is no Maildir %s\n",
		    a->user, a->maildir);
		break;
	case PK_TOOL_BOX_BUSY:
		fprintf(err, "popkeep: user %s: IN-USE: a session or a sweep "
		    "has the lock: try again later\n", a->user);
		break;
	case PK_TOOL_BOX_VETOED:
	case PK_TOOL_BOX_FAILED:
		fprintf(err, "popkeep: user %s: %s\n", a->user, b->why);
		break;
	}
}

void
pk_tool_box_unlock(struct pk_tool_box *b)
{
	if (b->retained != NULL)
		pk_maildir_unlock(b->retained);
	if (b->md != NULL)
		pk_maildir_unlock(b->md);
}

/* ---- records ----------------------------------------------------------- */

void
pk_tool_box_begin(struct pk_tool_box *b, struct pk_wire *w, uint32_t flags)
{
	pk_policy_ask_begin(b->ask, w, PK_WIRE_RECORDS, flags);
	pk_wire_put_context(w, &b->context, b->serial);
}

bool
pk_tool_box_record(struct pk_tool_box *b, struct pk_wire *w)
{
	enum pk_wire_result result;

	if (!pk_policy_ask_records(b->ask, w, &result)) {
		(void)pk_tool_box_fail(b, b->ask->why);
		return false;
	}
	if (result == PK_WIRE_OK)
		return true;
	(void)snprintf(b->why, sizeof(b->why), "records refused: %s",
	    pk_wire_result_name(result));
	return false;
}

/* Those from message msgno to the one before end. */
static bool
record_outcomes(struct pk_tool_box *b, const struct pk_verdicts *v,
    uint32_t msgno, uint32_t end)
{
	struct pk_wire w;

	for (;;) {
		pk_tool_box_begin(b, &w, 0);
		if (!pk_verdicts_put_outcomes(v, &w, &msgno, end))
			return true;
		if (!pk_tool_box_record(b, &w))
			return false;
	}
}

static bool
record_would(struct pk_tool_box *b, const struct pk_verdicts *v)
{
	uint32_t msgno = 1, said = 0;
	struct pk_wire w;

	while (v->would > 0) {
		pk_tool_box_begin(b, &w, 0);
		if (!pk_verdicts_put_would(v, &w, &msgno, &said))
			break;
		if (!pk_tool_box_record(b, &w))
			return false;
	}
	return true;
}

/* One intent or outcome of its own. */
static bool
record_item(struct pk_tool_box *b, const struct pk_audit_item *item,
    uint32_t flags, enum pk_wire_result *result_r)
{
	struct pk_wire w;

	pk_tool_box_begin(b, &w, flags);
	if (!pk_wire_put_item(&w, item))
		return false;
	if (pk_policy_ask_records(b->ask, &w, result_r))
		return true;
	(void)pk_tool_box_fail(b, b->ask->why);
	return false;
}

/* ---- intents of the past ----------------------------------------------- */

/* Those that one packet tells; *closed_r 0: there are none any more. */
static bool
close_some(struct pk_tool_box *b, const struct pk_closing *c,
    uint32_t *closed_r)
{
	struct pk_audit_item item;
	struct pk_wire w, in;

	*closed_r = 0;
	pk_policy_ask_begin(b->ask, &w, PK_WIRE_UNFINISHED, 0);
	pk_wire_put_name(&w, b->account->user);
	if (!pk_policy_ask_send(b->ask, &w, PK_WIRE_UNFINISHED_IS, &in)) {
		(void)pk_tool_box_fail(b, b->ask->why);
		return false;
	}
	pk_tool_box_begin(b, &w, 0);
	while (pk_wire_get_item(&in, &item)) {
		pk_closing_item(c, &item);
		if (!pk_wire_put_item(&w, &item))
			break;
		(*closed_r)++;
	}
	return *closed_r == 0 || pk_tool_box_record(b, &w);
}

enum pk_tool_box_end
pk_tool_box_close_intents(struct pk_tool_box *b, uint32_t *closed_r)
{
	struct pk_closing c;
	uint32_t some = 1;
	bool taken = true;

	*closed_r = 0;
	if (b->unfinished == 0)
		return PK_TOOL_BOX_OK;
	if (pk_closing_begin(&c, b->md, b->account->retained,
	    b->settings->nfs) != PK_OK)
		return pk_tool_box_fail(b, "out of memory");
	while (taken && some > 0 && b->unfinished > 0) {
		taken = close_some(b, &c, &some);
		*closed_r += taken ? some : 0;
		b->unfinished -= some < b->unfinished ? some : b->unfinished;
	}
	pk_closing_end(&c);
	return taken ? PK_TOOL_BOX_OK : PK_TOOL_BOX_FAILED;
}

/* ---- deciding and carrying out ----------------------------------------- */

/*
 * A packet of intents on disk, then their messages, then the outcomes, until
 * nothing is planned any more.  *again_r: the policy has changed, ask again.
 */
static bool
carry_out(struct pk_tool_box *b, struct pk_verdicts *v, bool *again_r)
{
	enum pk_wire_result result;
	uint32_t msgno = 1, from;
	struct pk_wire w;

	*again_r = false;
	b->why[0] = '\0';
	for (;;) {
		from = msgno;
		pk_tool_box_begin(b, &w, PK_WIRE_DURABLE);
		if (!pk_verdicts_put_intents(v, &w, &msgno))
			return true;
		if (!pk_policy_ask_records(b->ask, &w, &result)) {
			/* They may be on disk: the next opening closes them. */
			(void)pk_tool_box_fail(b, b->ask->why);
			return false;
		}
		if (result != PK_WIRE_OK) {
			*again_r = result == PK_WIRE_STALE ||
			    result == PK_WIRE_BRAKED;
			(void)snprintf(b->why, sizeof(b->why), "no record, "
			    "no disposal: %s", pk_wire_result_name(result));
			return false;
		}
		pk_verdicts_carry_out(v, from, msgno);
		if (b->why[0] == '\0')
			(void)snprintf(b->why, sizeof(b->why), "%s",
			    pk_maildir_why(v->md));
		if (b->up.audit != PK_AUDIT_OFF &&
		    !record_outcomes(b, v, from, msgno))
			return false;
	}
}

enum pk_tool_box_end
pk_tool_box_update(struct pk_tool_box *b, enum pk_occasion occasion,
    struct pk_verdicts *v, pk_tool_box_look *look, void *arg)
{
	struct pk_maildrop *md = occasion == PK_OCCASION_RETAINED ?
	    b->retained : b->md;
	bool again = true;
	unsigned tries;

	for (tries = 0; again && tries < PK_TOOL_BOX_TRIES; tries++) {
		if (tries > 0 && pk_tool_box_ask(b) != PK_TOOL_BOX_OK)
			return PK_TOOL_BOX_FAILED;
		if (pk_verdicts_decide(v, md, occasion, NULL, &b->up,
		    b->serial, time(NULL)) != PK_OK)
			return pk_tool_box_fail(b, "out of memory");
		if (!look(arg, v))
			return PK_TOOL_BOX_VETOED;
		if (b->ask == NULL)
			return PK_TOOL_BOX_OK;
		if (tries == 0 && !record_would(b, v))
			return PK_TOOL_BOX_FAILED;
		/* Without an audit, too: policyd knows of holds since then. */
		if (carry_out(b, v, &again))
			return memchr(v->outcome, PK_OUTCOME_FAILED,
			    v->count) != NULL ? PK_TOOL_BOX_FAILED :
			    PK_TOOL_BOX_OK;
	}
	return PK_TOOL_BOX_FAILED;
}

/* ---- both places ------------------------------------------------------- */

/* Is message msgno of md in the Retained place, too? */
static bool
is_double(const struct pk_tool_box *b, const struct pk_uid_set *kept,
    uint32_t msgno)
{
	struct pk_message_info one, two;
	uint32_t other;

	b->md->ops->info(b->md, msgno, &one);
	other = pk_uid_set_find(kept, one.uid, one.uid_len);
	if (other == 0)
		return false;
	b->retained->ops->info(b->retained, other, &two);
	return one.octets == two.octets;
}

/* Plan to retain (again) each message of the maildrop that is in both. */
static bool
plan_doubles(const struct pk_tool_box *b, struct pk_verdicts *v)
{
	struct pk_uid_set kept;
	uint32_t i;

	if (pk_verdicts_decide(v, b->md, PK_OCCASION_SWEEP, NULL, &b->up,
	    b->serial, time(NULL)) != PK_OK ||
	    pk_uid_set_init(&kept, b->retained) != PK_OK)
		return false;
	v->planned = 0;
	for (i = 0; i < v->count; i++) {
		v->plan[i] = is_double(b, &kept, i + 1) ? PK_RETAIN : PK_KEEP;
		v->fate[i].reason = PK_REASON_NONE;
		v->planned += v->plan[i] != PK_KEEP;
	}
	pk_uid_set_deinit(&kept);
	return true;
}

/* Intents (durable) or outcomes of all that are planned. */
static bool
record_doubles(struct pk_tool_box *b, const struct pk_verdicts *v,
    bool intents)
{
	enum pk_wire_result result;
	struct pk_audit_item item;
	uint32_t i;

	for (i = 0; i < v->count; i++) {
		if (v->plan[i] == PK_KEEP)
			continue;
		pk_verdicts_item(v->md, NULL, i + 1, intents ?
		    PK_AUDIT_DISPOSE_INTENT : PK_AUDIT_RETAINED, &item);
		(void)snprintf(item.reason, sizeof(item.reason),
		    PK_INTENT_DOUBLE);
		if (!intents && pk_maildir_present(v->md, item.uidl,
		    strlen(item.uidl))) {
			item.event = PK_AUDIT_CLOSED_UNKNOWN;
			(void)snprintf(item.reason, sizeof(item.reason),
			    "not carried out: not the same as what is "
			    "retained");
		}
		if (!record_item(b, &item, intents ? PK_WIRE_DURABLE : 0,
		    &result))
			return false;
		if (result != PK_WIRE_OK) {
			(void)pk_tool_box_fail(b, pk_wire_result_name(result));
			return false;
		}
	}
	return true;
}

static enum pk_tool_box_end
drop(struct pk_tool_box *b, const struct pk_verdicts *v, uint32_t *dropped_r)
{
	bool audit = b->up.audit != PK_AUDIT_OFF;

	if (audit && !record_doubles(b, v, true))
		return PK_TOOL_BOX_FAILED;
	*dropped_r = pk_maildir_drop_doubles(b->md, b->retained);
	if (audit && !record_doubles(b, v, false))
		return PK_TOOL_BOX_FAILED;
	if (pk_maildir_why(b->md)[0] != '\0')
		return pk_tool_box_fail(b, pk_maildir_why(b->md));
	return PK_TOOL_BOX_OK;
}

enum pk_tool_box_end
pk_tool_box_drop_doubles(struct pk_tool_box *b, uint32_t *dropped_r)
{
	enum pk_tool_box_end end = PK_TOOL_BOX_OK;
	struct pk_verdicts v;

	memset(&v, 0, sizeof(v));
	*dropped_r = 0;
	if (!plan_doubles(b, &v))
		end = pk_tool_box_fail(b, "out of memory");
	else if (v.planned > 0)
		end = drop(b, &v, dropped_r);
	pk_verdicts_deinit(&v);
	if (end != PK_TOOL_BOX_OK || *dropped_r == 0)
		return end;
	/* What is gone is not to be decided about. */
	pk_maildir_close(&b->md);
	return pk_tool_box_open(b);
}
