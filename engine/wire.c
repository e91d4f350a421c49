/*
 * Packets of policyd's protocol: see wire.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/wire.h"

#define HEAD_LEN	12

/* ---- octets in and out ---------------------------------------------------- */

static void
put(struct pk_wire *w, const void *data, size_t len)
{
	if (w->bad || len > PK_WIRE_MAX - w->len) {
		w->bad = true;
		return;
	}
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void
put_number(struct pk_wire *w, uint64_t value, size_t octets)
{
	uint8_t buf[8];
	size_t i;

	for (i = 0; i < octets; i++)
		buf[i] = (uint8_t)(value >> 8 * i);
	put(w, buf, octets);
}

static void
put_time(struct pk_wire *w, int64_t value)
{
	put_number(w, (uint64_t)value, 8);
}

static void
put_string(struct pk_wire *w, const char *text)
{
	size_t len = strlen(text);

	put_number(w, len, 2);
	put(w, text, len);
}

static bool
get(struct pk_wire *w, void *data_r, size_t len)
{
	if (w->bad || len > w->len - w->at) {
		w->bad = true;
		return false;
	}
	memcpy(data_r, w->data + w->at, len);
	w->at += len;
	return true;
}

/* 0 once the packet is bad. */
static uint64_t
get_number(struct pk_wire *w, size_t octets)
{
	uint8_t buf[8];
	uint64_t value = 0;
	size_t i;

	if (!get(w, buf, octets))
		return 0;
	for (i = 0; i < octets; i++)
		value |= (uint64_t)buf[i] << 8 * i;
	return value;
}

static int64_t
get_time(struct pk_wire *w)
{
	return (int64_t)get_number(w, 8);
}

/* A duration, or a time that policyd knows: never before 1970. */
static int64_t
get_span(struct pk_wire *w)
{
	int64_t value = get_time(w);

	if (value < 0)
		w->bad = true;
	return value;
}

static bool
get_bool(struct pk_wire *w)
{
	uint64_t value = get_number(w, 1);

	if (value > 1)
		w->bad = true;
	return value == 1;
}

/* A value of an enumeration, below limit. */
static unsigned
get_word(struct pk_wire *w, unsigned limit)
{
	uint64_t value = get_number(w, 1);

	if (value >= limit) {
		w->bad = true;
		return 0;
	}
	return (unsigned)value;
}

/* Into size octets, with a NUL; a string with a NUL in it is malformed. */
static void
get_string(struct pk_wire *w, char *text_r, size_t size)
{
	size_t len = (size_t)get_number(w, 2);

	text_r[0] = '\0';
	if (len >= size)
		w->bad = true;
	if (w->bad || !get(w, text_r, len)) {
		text_r[0] = '\0';
		return;
	}
	if (memchr(text_r, '\0', len) != NULL)
		w->bad = true;
	text_r[len] = '\0';
}

/* Was everything there, and nothing more? */
static bool
is_whole(const struct pk_wire *w)
{
	return !w->bad && w->at == w->len;
}

/* ---- the head -------------------------------------------------------------- */

void
pk_wire_begin(struct pk_wire *w, uint8_t *data, enum pk_wire_type type,
    uint32_t flags, uint32_t id)
{
	memset(w, 0, sizeof(*w));
	w->data = data;
	put_number(w, PK_WIRE_VERSION, 1);
	put_number(w, type, 1);
	put_number(w, 0, 2);
	put_number(w, flags, 4);
	put_number(w, id, 4);
}

bool
pk_wire_open(struct pk_wire *w, uint8_t *data, size_t len,
    struct pk_wire_head *head_r)
{
	unsigned type;

	memset(w, 0, sizeof(*w));
	w->data = data;
	w->len = len;
	if (len > PK_WIRE_MAX || get_number(w, 1) != PK_WIRE_VERSION)
		w->bad = true;
	type = get_word(w, PK_WIRE_TYPES);
	if (get_number(w, 2) != 0)
		w->bad = true;
	head_r->type = (enum pk_wire_type)type;
	head_r->flags = (uint32_t)get_number(w, 4);
	head_r->id = (uint32_t)get_number(w, 4);
	return !w->bad;
}

/* ---- what the policy says of a user ------------------------------------------- */

void
pk_wire_put_user(struct pk_wire *w, const struct pk_wire_user *m)
{
	put_string(w, m->user);
	put_string(w, m->rule);
}

bool
pk_wire_get_user(struct pk_wire *w, struct pk_wire_user *m_r)
{
	get_string(w, m_r->user, sizeof(m_r->user));
	get_string(w, m_r->rule, sizeof(m_r->rule));
	return is_whole(w);
}

static void
put_rule(struct pk_wire *w, const struct pk_rule *r)
{
	put_string(w, r->name);
	put_time(w, r->after_download);
	put_time(w, r->after_delivery);
	put_time(w, r->unread);
	put_number(w, r->unread_from, 1);
	put_time(w, r->minimum);
	put_number(w, r->unconfirmed_limit, 4);
	put_number(w, r->top, 4);
	put_number(w, r->login_delay, 4);
	put_string(w, r->folder);
	put_time(w, r->effective_from);
	put_number(w, r->dry_run, 1);
	put_number(w, r->braked, 1);
	put_number(w, r->max_share, 4);
}

static void
get_rule(struct pk_wire *w, struct pk_rule *r)
{
	get_string(w, r->name, sizeof(r->name));
	r->after_download = get_span(w);
	r->after_delivery = get_span(w);
	r->unread = get_span(w);
	r->unread_from = (enum pk_unread_from)get_word(w, 2);
	r->minimum = get_span(w);
	r->unconfirmed_limit = (uint32_t)get_number(w, 4);
	r->top = (uint32_t)get_number(w, 4);
	r->login_delay = (uint32_t)get_number(w, 4);
	get_string(w, r->folder, sizeof(r->folder));
	r->effective_from = get_span(w);
	r->dry_run = get_bool(w);
	r->braked = get_bool(w);
	r->max_share = (uint32_t)get_number(w, 4);
}

static void
put_policy(struct pk_wire *w, const struct pk_user_policy *p)
{
	size_t i;

	put_number(w, p->has_rule, 1);
	put_rule(w, &p->rule);
	put_number(w, p->holds, 4);
	for (i = 0; i < PK_HOLD_NAMES; i++)
		put_string(w, p->hold[i]);
	put_time(w, p->held_until);
	put_number(w, p->dry_run, 1);
	put_number(w, p->clock_brake, 1);
	put_number(w, p->login_delay_varies, 1);
	put_number(w, p->audit, 1);
	put_number(w, p->audit_hash, 1);
	put(w, p->hash, sizeof(p->hash));
}

static void
get_policy(struct pk_wire *w, struct pk_user_policy *p)
{
	size_t i;

	p->has_rule = get_bool(w);
	get_rule(w, &p->rule);
	p->holds = (uint32_t)get_number(w, 4);
	for (i = 0; i < PK_HOLD_NAMES; i++)
		get_string(w, p->hold[i], sizeof(p->hold[i]));
	p->held_until = get_span(w);
	p->dry_run = get_bool(w);
	p->clock_brake = get_bool(w);
	p->login_delay_varies = get_bool(w);
	p->audit = (enum pk_audit)get_word(w, PK_AUDIT_OFF + 1);
	p->audit_hash = get_bool(w);
	(void)get(w, p->hash, sizeof(p->hash));
	/* No rule acts where the file is a dry-run: the rule says so, too. */
	if (p->has_rule && p->dry_run && !p->rule.dry_run)
		w->bad = true;
}

void
pk_wire_put_user_is(struct pk_wire *w, const struct pk_wire_user_is *m)
{
	put_number(w, m->result, 1);
	put_number(w, m->serial, 8);
	put_number(w, m->unfinished, 4);
	put_policy(w, &m->policy);
}

bool
pk_wire_get_user_is(struct pk_wire *w, struct pk_wire_user_is *m_r)
{
	memset(m_r, 0, sizeof(*m_r));
	m_r->result = (enum pk_wire_result)get_word(w, PK_WIRE_RESULTS);
	m_r->serial = get_number(w, 8);
	m_r->unfinished = (uint32_t)get_number(w, 4);
	get_policy(w, &m_r->policy);
	return is_whole(w);
}

/* ---- logins ------------------------------------------------------------------- */

void
pk_wire_put_login(struct pk_wire *w, const struct pk_wire_login *m)
{
	put_string(w, m->user);
	put_string(w, m->ip);
	put_number(w, m->kind, 1);
	put_number(w, m->tls, 1);
}

bool
pk_wire_get_login(struct pk_wire *w, struct pk_wire_login *m_r)
{
	get_string(w, m_r->user, sizeof(m_r->user));
	get_string(w, m_r->ip, sizeof(m_r->ip));
	m_r->kind = (enum pk_credential_kind)get_word(w, PK_KINDS);
	m_r->tls = get_bool(w);
	return is_whole(w);
}

void
pk_wire_put_login_is(struct pk_wire *w, const struct pk_wire_login_is *m)
{
	put_number(w, m->result, 1);
	put_number(w, m->verdict, 1);
	put_string(w, m->rule);
	put_number(w, m->minimum_secret, 4);
	put_number(w, m->exclusive, 1);
	put_number(w, m->needs_tls, 1);
}

bool
pk_wire_get_login_is(struct pk_wire *w, struct pk_wire_login_is *m_r)
{
	m_r->result = (enum pk_wire_result)get_word(w, PK_WIRE_RESULTS);
	m_r->verdict = (enum pk_login_verdict)get_word(w,
	    PK_LOGIN_RULE_UNKNOWN + 1);
	get_string(w, m_r->rule, sizeof(m_r->rule));
	m_r->minimum_secret = (uint32_t)get_number(w, 4);
	m_r->exclusive = get_bool(w);
	m_r->needs_tls = get_bool(w);
	return is_whole(w);
}

/* ---- records -------------------------------------------------------------------- */

void
pk_wire_put_context(struct pk_wire *w, const struct pk_audit_context *c,
    uint64_t serial)
{
	put_number(w, serial, 8);
	put_string(w, c->user);
	put_string(w, c->session);
	put_string(w, c->ip);
	put_string(w, c->mech);
	put_string(w, c->rule);
	put_number(w, c->tls, 1);
}

bool
pk_wire_get_context(struct pk_wire *w, struct pk_audit_context *c_r,
    uint64_t *serial_r)
{
	uint64_t serial = get_number(w, 8);

	get_string(w, c_r->user, sizeof(c_r->user));
	get_string(w, c_r->session, sizeof(c_r->session));
	get_string(w, c_r->ip, sizeof(c_r->ip));
	get_string(w, c_r->mech, sizeof(c_r->mech));
	get_string(w, c_r->rule, sizeof(c_r->rule));
	c_r->tls = get_bool(w);
	if (!w->bad)
		*serial_r = serial;
	return !w->bad;
}

bool
pk_wire_put_item(struct pk_wire *w, const struct pk_audit_item *i)
{
	size_t before = w->len;

	if (w->bad)
		return false;
	put_number(w, i->event, 1);
	put_string(w, i->uidl);
	put_string(w, i->message_id);
	put_string(w, i->reason);
	put_number(w, i->has_size, 1);
	put_number(w, i->size, 8);
	put_number(w, i->has_sha256, 1);
	put(w, i->sha256, i->has_sha256 ? sizeof(i->sha256) : 0);
	if (!w->bad)
		return true;
	w->len = before;
	w->bad = false;
	return false;
}

bool
pk_wire_get_item(struct pk_wire *w, struct pk_audit_item *i_r)
{
	if (w->bad || w->at == w->len)
		return false;
	i_r->event = (enum pk_audit_event)get_word(w, PK_AUDIT_EVENTS);
	get_string(w, i_r->uidl, sizeof(i_r->uidl));
	get_string(w, i_r->message_id, sizeof(i_r->message_id));
	get_string(w, i_r->reason, sizeof(i_r->reason));
	i_r->has_size = get_bool(w);
	i_r->size = get_number(w, 8);
	/* JSON's integers, in which the log tells it, have a sign. */
	if (i_r->size > INT64_MAX)
		w->bad = true;
	i_r->has_sha256 = get_bool(w);
	memset(i_r->sha256, 0, sizeof(i_r->sha256));
	if (i_r->has_sha256)
		(void)get(w, i_r->sha256, sizeof(i_r->sha256));
	return !w->bad;
}

void
pk_wire_put_recorded(struct pk_wire *w, enum pk_wire_result result)
{
	put_number(w, result, 1);
}

bool
pk_wire_get_recorded(struct pk_wire *w, enum pk_wire_result *result_r)
{
	*result_r = (enum pk_wire_result)get_word(w, PK_WIRE_RESULTS);
	return is_whole(w);
}

void
pk_wire_put_name(struct pk_wire *w, const char *user)
{
	put_string(w, user);
}

bool
pk_wire_get_name(struct pk_wire *w, char user_r[PK_AUDIT_USER_SIZE])
{
	get_string(w, user_r, PK_AUDIT_USER_SIZE);
	return is_whole(w);
}

/* ---- for a person --------------------------------------------------------- */

void
pk_wire_put_text(struct pk_wire *w, const char *text)
{
	put_string(w, text);
}

bool
pk_wire_get_text(struct pk_wire *w, char text_r[PK_WIRE_TEXT + 1])
{
	get_string(w, text_r, PK_WIRE_TEXT + 1);
	return is_whole(w);
}

void
pk_wire_put_done(struct pk_wire *w, enum pk_wire_result result,
    const char *text)
{
	put_number(w, result, 1);
	put_string(w, text);
}

bool
pk_wire_get_done(struct pk_wire *w, struct pk_wire_done *m_r)
{
	m_r->result = (enum pk_wire_result)get_word(w, PK_WIRE_RESULTS);
	get_string(w, m_r->text, sizeof(m_r->text));
	return is_whole(w);
}

const char *
pk_wire_result_name(enum pk_wire_result result)
{
	static const char *const names[PK_WIRE_RESULTS] = {
		[PK_WIRE_OK] = "ok",
		[PK_WIRE_UNKNOWN_RULE] = "unknown-rule",
		[PK_WIRE_NOT_YET] = "not-yet",
		[PK_WIRE_STALE] = "stale",
		[PK_WIRE_BRAKED] = "braked",
		[PK_WIRE_FAILED] = "failed",
		[PK_WIRE_DENIED] = "denied",
		[PK_WIRE_ERROR] = "error",
	};

	return names[result];
}
