/*
 * What policyd is asked and told, and what it answers.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "engine/decide.h"
#include "standalone/intent.h"
#include "standalone/log.h"
#include "standalone/policyd_peers.h"

/* Records of one user that may wait while the log cannot be written. */
#define KEPT_MAX (PK_AUDIT_LOG_WAITING / 16)

static uint8_t out_buf[PK_WIRE_MAX];

/* ---- what the policy says ---------------------------------------------------------------- */

static bool
may_name(const struct pk_peer *p, const char *user)
{
	return p->trusted || p->anybody || (p->only[0] != '\0' &&
	    strcmp(p->only, user) == 0);
}

/*
 * As the policy spells the user, whoever asks.  false: it is no name, and stays
 * as it is.
 */
static bool
spell(char user[PK_AUDIT_USER_SIZE])
{
	struct pk_span name = { (const uint8_t *)user, strlen(user) };
	char canonical[PK_USERNAME_SIZE];

	if (pk_username_canonical(&pk_policyd.settings->names, name,
	    canonical) != PK_OK)
		return false;
	memcpy(user, canonical, strlen(canonical) + 1);
	return true;
}

/*
 * While the clock cannot be trusted, nothing that protects a message ends by it.
 */
static void
freeze(struct pk_user_policy *up)
{
	up->clock_brake = pk_policyd.clock_brake;
	if (!up->clock_brake)
		return;
	if (up->holds > 0)
		up->held_until = PK_NEVER;
	if (up->has_rule && up->rule.minimum > 0)
		up->rule.minimum = PK_NEVER;
}

static enum pk_wire_result
ask_user(struct pk_peer *p, struct pk_wire_user *m, struct pk_wire_user_is *a)
{
	int64_t now = pk_policyd_earliest();

	if (!spell(m->user) || !may_name(p, m->user))
		return PK_WIRE_DENIED;
	switch (pk_policy_user(pk_policyd.policy, pk_policyd.groups, m->user,
	    m->rule[0] != '\0' ? m->rule : NULL, now, &a->policy)) {
	case PK_OK:
		freeze(&a->policy);
		return PK_WIRE_OK;
	case PK_ERR_NOTFOUND:
		pk_log(PK_LOG_ERR, "policy: user=%s the users file names the "
		    "rule \"%s\", which does not exist", m->user, m->rule);
		pk_peer_charge(p, 0, PK_SHARE_LOG_LINE);
		return PK_WIRE_UNKNOWN_RULE;
	case PK_ERR_LIMIT:
		return PK_WIRE_NOT_YET;
	case PK_ERR_NOMEM:
	case PK_ERR_SYNTAX:
	case PK_ERR_CRYPTO:
	case PK_ERR_IO:
		break;
	}
	return PK_WIRE_FAILED;
}

static bool
on_user(struct pk_peer *p, struct pk_wire *in, uint32_t id)
{
	struct pk_wire_user m;
	struct pk_wire_user_is a;
	struct pk_wire w;

	if (!pk_wire_get_user(in, &m))
		return false;
	memset(&a, 0, sizeof(a));
	a.result = ask_user(p, &m, &a);
	a.serial = pk_policyd.serial;
	/* Without an audit nobody can close them. */
	a.unfinished = a.result == PK_WIRE_OK &&
	    pk_policyd.policy->audit != PK_AUDIT_OFF ?
	    (uint32_t)pk_unfinished_count(pk_policyd.unfinished,
	    pk_policyd_name_of(m.user)) : 0;
	pk_wire_begin(&w, out_buf, PK_WIRE_USER_IS, 0, id);
	pk_wire_put_user_is(&w, &a);
	pk_peer_send(p, &w);
	return true;
}

static enum pk_wire_result
ask_login(const struct pk_peer *p, struct pk_wire_login *m,
    struct pk_wire_login_is *a)
{
	const struct pk_login_rule *rule = NULL;
	int64_t now = pk_policyd_now();
	uint8_t address[16];

	if (!p->trusted && !p->logins)
		return PK_WIRE_DENIED;
	if (!pk_address_parse(m->ip, address))
		return PK_WIRE_FAILED;
	a->minimum_secret = pk_policyd.policy->minimum_secret;
	a->exclusive = pk_policyd.policy->exclusive;
	/* popkeepd's auth, which has said so already, names nobody then. */
	if (spell(m->user) || m->user[0] == '\0')
		a->verdict = pk_policy_login(pk_policyd.policy,
		    pk_policyd.groups, m->kind, m->user, address, m->tls, now,
		    &rule);
	if (rule != NULL)
		memcpy(a->rule, rule->name, sizeof(a->rule));
	/* The same answer to everybody, so that it does not tell who exists. */
	a->needs_tls = !m->tls && a->verdict != PK_LOGIN_RULE_ALLOWS &&
	    a->verdict != PK_LOGIN_RULE_WARNS &&
	    pk_policy_login_some(pk_policyd.policy, m->kind, address, now) ==
	    PK_ALLOW_TLS;
	return a->verdict == PK_LOGIN_RULE_UNKNOWN ? PK_WIRE_NOT_YET :
	    PK_WIRE_OK;
}

static bool
on_login(struct pk_peer *p, struct pk_wire *in, uint32_t id)
{
	struct pk_wire_login m;
	struct pk_wire_login_is a;
	struct pk_wire w;

	if (!pk_wire_get_login(in, &m))
		return false;
	memset(&a, 0, sizeof(a));
	a.verdict = PK_LOGIN_RULE_REFUSES;
	a.result = ask_login(p, &m, &a);
	pk_wire_begin(&w, out_buf, PK_WIRE_LOGIN_IS, 0, id);
	pk_wire_put_login_is(&w, &a);
	pk_peer_send(p, &w);
	return true;
}

static bool
on_unfinished(struct pk_peer *p, struct pk_wire *in, uint32_t id)
{
	char user[PK_AUDIT_USER_SIZE];
	struct pk_audit_item item;
	const void *place = NULL;
	bool more = false;
	const char *name;
	struct pk_wire w;

	if (!pk_wire_get_name(in, user))
		return false;
	(void)spell(user);
	name = pk_policyd_name_of(user);
	pk_wire_begin(&w, out_buf, PK_WIRE_UNFINISHED_IS, 0, id);
	/* What does not fit is told when these are closed. */
	while (may_name(p, user) && !more &&
	    pk_unfinished_next(pk_policyd.unfinished, name, &place, &item))
		more = !pk_wire_put_item(&w, &item);
	pk_peer_send(p, &w);
	return true;
}

/* ---- records ------------------------------------------------------------------------------ */

/* What the process of a mailbox may report of its user. */
static const bool for_anybody[PK_AUDIT_EVENTS] = {
	[PK_AUDIT_LOGIN] = true,
	[PK_AUDIT_DOWNLOADED] = true,
	[PK_AUDIT_DOWNLOADED_UNCONFIRMED] = true,
	[PK_AUDIT_TOP_WHOLE] = true,
	[PK_AUDIT_DISPOSE_INTENT] = true,
	[PK_AUDIT_DISPOSED] = true,
	[PK_AUDIT_RETAINED] = true,
	[PK_AUDIT_PURGED] = true,
	[PK_AUDIT_RESTORED] = true,
	[PK_AUDIT_VANISHED] = true,
	[PK_AUDIT_CLOSED_UNKNOWN] = true,
	[PK_AUDIT_WOULD_DISPOSE] = true,
	[PK_AUDIT_MOVED] = true,
};

/* And Dovecot's auth process, of everybody. */
static const bool for_logins[PK_AUDIT_EVENTS] = {
	[PK_AUDIT_LOGIN] = true,
	[PK_AUDIT_LOGIN_FAILED] = true,
	[PK_AUDIT_APOP_WARN] = true,
};

static bool
may_report(const struct pk_peer *p, const char *user, enum pk_audit_event event)
{
	if (event == PK_AUDIT_SEAL || event == PK_AUDIT_PRUNED)
		return false;
	return p->trusted || (p->logins && for_logins[event]) ||
	    (may_name(p, user) && for_anybody[event]);
}

/* An intent to dispose by policy: what brake (a) stops. */
static bool
is_braked(const struct pk_audit_item *i)
{
	if (!pk_policyd.clock_brake || i->event != PK_AUDIT_DISPOSE_INTENT)
		return false;
	switch (pk_reason_of(i->reason)) {
	case PK_REASON_AFTER_DOWNLOAD:
	case PK_REASON_AFTER_DELIVERY:
	case PK_REASON_UNREAD:
	case PK_REASON_RELEASED:
		return true;
	case PK_REASON_NONE:
	case PK_REASON_DELE:
	case PK_REASON_HOLD:
	case PK_REASON_MINIMUM:
		break;
	}
	return false;
}

/* After such an intent the message is still there, in one place or another. */
static bool
is_protective(const char *reason)
{
	return pk_reason_of(reason) == PK_REASON_HOLD ||
	    strcmp(reason, PK_INTENT_RESTORE) == 0 ||
	    strcmp(reason, PK_INTENT_DOUBLE) == 0;
}

/* An outcome is of an intent, where intents are recorded. */
static bool
ends_nothing(const struct pk_audit_context *c, const struct pk_audit_item *i)
{
	return pk_unfinished_is_outcome(i->event) &&
	    pk_policyd.policy->audit != PK_AUDIT_OFF &&
	    !pk_unfinished_has(pk_policyd.unfinished,
	    pk_policyd_name_of(c->user), i->uidl);
}

static enum pk_wire_result
check_item(const struct pk_peer *p, const struct pk_audit_context *c,
    uint64_t serial, bool held, const struct pk_audit_item *i)
{
	bool intent = i->event == PK_AUDIT_DISPOSE_INTENT;

	if (!may_report(p, c->user, i->event))
		return PK_WIRE_DENIED;
	if (ends_nothing(c, i))
		return PK_WIRE_DENIED;
	/*
	 * Whoever asks may be mistaken, or worse: who is held has nothing
	 * disposed of.
	 */
	if (intent && (serial != pk_policyd.serial || (held &&
	    !is_protective(i->reason))))
		return PK_WIRE_STALE;
	if (is_braked(i))
		return PK_WIRE_BRAKED;
	/* They are remembered until they end, and memory is for everybody. */
	if (intent && pk_unfinished_is_full(pk_policyd.unfinished,
	    pk_policyd_name_of(c->user)))
		return PK_WIRE_FAILED;
	return PK_WIRE_OK;
}

/* All items of a packet, or none. */
static enum pk_wire_result
check_items(const struct pk_peer *p, const struct pk_wire *in,
    const struct pk_audit_context *c, uint64_t serial, bool *bad_r)
{
	enum pk_wire_result result = may_name(p, c->user) || p->logins ?
	    PK_WIRE_OK : PK_WIRE_DENIED;
	struct pk_wire w = *in;
	struct pk_audit_item item;
	bool held;

	/* Whether the clock can be trusted is asked for each packet. */
	held = pk_policy_is_held(pk_policyd.policy, pk_policyd.groups,
	    c->user, pk_policyd_earliest());
	while (result == PK_WIRE_OK && pk_wire_get_item(&w, &item))
		result = check_item(p, c, serial, held, &item);
	*bad_r = w.bad;
	return result;
}

/*
 * While the log cannot be written, what waits must not be one user's alone:
 * memory is for everybody.
 */
static bool
has_room(const struct pk_peer *p)
{
	struct pk_share *s = p->share;

	if (!pk_policyd.log_failing || !s->limited)
		return true;
	if (s->failure != pk_policyd.failures)
		s->kept = 0;
	s->failure = pk_policyd.failures;
	return s->kept++ < KEPT_MAX;
}

static bool
add_item(const struct pk_peer *p, const struct pk_audit_source *source,
    const struct pk_audit_context *c, const struct pk_audit_item *i)
{
	if (i->event == PK_AUDIT_DISPOSE_INTENT || has_room(p))
		return pk_policyd_add(source, c, i);
	pk_audit_log_lose(pk_policyd.log);
	return false;
}

static enum pk_wire_result
add_items(struct pk_peer *p, struct pk_wire *in,
    const struct pk_audit_context *c)
{
	struct pk_audit_source source = { .uid = p->uid, .pid = p->pid,
	    .policy = pk_policyd.policy->hash };
	enum pk_wire_result result = PK_WIRE_OK;
	size_t context = in->at;
	struct pk_audit_item item;
	unsigned count = 0;

	while (pk_wire_get_item(in, &item)) {
		count++;
		/* The second outcome in the packet of one intent. */
		if (ends_nothing(c, &item))
			result = PK_WIRE_DENIED;
		else if (!add_item(p, &source, c, &item))
			result = PK_WIRE_FAILED;
	}
	pk_peer_charge(p, count, pk_share_lines(count, context,
	    in->len - context));
	return result;
}

/* Without an audit they are counted all the same. */
static void
count_items(struct pk_wire *in, const struct pk_audit_context *c)
{
	struct pk_audit_item item;

	while (pk_wire_get_item(in, &item))
		pk_policyd_count(c, &item);
}

static bool
on_records(struct pk_peer *p, struct pk_wire *in,
    const struct pk_wire_head *head)
{
	struct pk_audit_context c;
	enum pk_wire_result result;
	uint64_t serial;
	bool bad;

	if (!pk_wire_get_context(in, &c, &serial))
		return false;
	/* Who is refused for having no name is reported as it was typed. */
	(void)spell(c.user);
	result = check_items(p, in, &c, serial, &bad);
	if (bad)
		return false;
	if (result == PK_WIRE_OK && pk_policyd.policy->audit != PK_AUDIT_OFF)
		result = add_items(p, in, &c);
	else if (result == PK_WIRE_OK)
		count_items(in, &c);
	if ((head->flags & PK_WIRE_QUIET) == 0) {
		if (result == PK_WIRE_OK &&
		    (head->flags & PK_WIRE_DURABLE) != 0 &&
		    pk_policyd.policy->audit != PK_AUDIT_OFF)
			pk_peer_wait_for_disk(p, head->id);
		else
			pk_peer_recorded(p, head->id, result);
	}
	pk_peers_have_written();
	return true;
}

/* ---- the administrator ---------------------------------------------------------------------- */

static void
answer_done(struct pk_peer *p, uint32_t id, enum pk_wire_result result,
    const char *text)
{
	struct pk_wire w;

	pk_wire_begin(&w, out_buf, PK_WIRE_DONE, 0, id);
	pk_wire_put_done(&w, result, text);
	pk_peer_send(p, &w);
}

static bool
on_reload(struct pk_peer *p, struct pk_wire *in, const struct pk_wire_head *head)
{
	char text[PK_WIRE_TEXT + 1] = "only root may do this";
	enum pk_wire_result result = PK_WIRE_DENIED;
	char who[PK_WIRE_TEXT + 1];

	if (!pk_wire_get_text(in, who))
		return false;
	if (p->trusted)
		result = pk_policyd_reload(who,
		    head->type == PK_WIRE_ACCEPT, text);
	answer_done(p, head->id, result, text);
	return true;
}

static bool
on_status(struct pk_peer *p, const struct pk_wire *in, uint32_t id)
{
	char text[PK_WIRE_TEXT + 1] = "only root may do this";

	if (in->at != in->len)
		return false;
	if (p->trusted)
		pk_policyd_status(text, sizeof(text));
	answer_done(p, id, p->trusted ? PK_WIRE_OK : PK_WIRE_DENIED, text);
	return true;
}

/* Before a peer becomes somebody else: what it keeps must be no more than his. */
static bool
on_narrow(struct pk_peer *p, struct pk_wire *in, uint32_t id)
{
	enum pk_wire_result result = p->trusted ? PK_WIRE_OK : PK_WIRE_DENIED;
	char user[PK_AUDIT_USER_SIZE];

	if (!pk_wire_get_name(in, user))
		return false;
	(void)spell(user);
	if (p->trusted) {
		p->trusted = false;
		p->anybody = user[0] == '\0';
		p->share->limited = !p->anybody;
		memcpy(p->only, user, sizeof(p->only));
	}
	pk_peer_recorded(p, id, result);
	return true;
}

/* ---- packets ---------------------------------------------------------------------------------- */

bool
pk_answer(struct pk_peer *p, uint8_t *data, size_t len)
{
	struct pk_wire_head head;
	struct pk_wire w;

	if (!pk_wire_open(&w, data, len, &head))
		return false;
	switch (head.type) {
	case PK_WIRE_USER:
		return on_user(p, &w, head.id);
	case PK_WIRE_LOGIN:
		return on_login(p, &w, head.id);
	case PK_WIRE_RECORDS:
		return on_records(p, &w, &head);
	case PK_WIRE_UNFINISHED:
		return on_unfinished(p, &w, head.id);
	case PK_WIRE_RELOAD:
	case PK_WIRE_ACCEPT:
		return on_reload(p, &w, &head);
	case PK_WIRE_STATUS:
		return on_status(p, &w, head.id);
	case PK_WIRE_NARROW:
		return on_narrow(p, &w, head.id);
	case PK_WIRE_USER_IS:
	case PK_WIRE_LOGIN_IS:
	case PK_WIRE_RECORDED:
	case PK_WIRE_UNFINISHED_IS:
	case PK_WIRE_DONE:
		break;
	}
	return false;
}
