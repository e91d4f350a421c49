/*
 * One client of a session process: see session_private.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/log.h"
#include "standalone/session_private.h"

/* ---- ending ----------------------------------------------------------------------- */

void
pk_client_say_why(const struct client *c)
{
	const char *why = pk_maildir_why(c->md);

	if (why[0] != '\0')
		pk_log(PK_LOG_WARNING, "maildrop: user=%s %s",
		    c->context.user, why);
}

void
pk_client_close_maildrop(struct client *c)
{
	if (c->md == NULL)
		return;
	pk_client_say_why(c);
	pk_maildir_close(&c->md);
}

static void
client_free(struct client *c)
{
	pk_policy_client_forget(pk_role.policyd, c);
	pk_verdicts_deinit(&c->verdicts);
	pk_closing_end(&c->closing);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	free(c->open);
	free(c->maildir);
	free(c->retained);
	free(c);
}

void
pk_client_end(struct client *c, enum pk_session_end end)
{
	struct pk_session_totals t = { 0, 0, 0, 0 };
	struct pk_msg_closed m;

	memset(&m, 0, sizeof(m));
	if (c->session != NULL) {
		pk_session_totals(c->session, &t);
		pk_client_dropped(c);
	}
	m.id = c->id;
	m.end = (uint32_t)end;
	m.messages = c->messages;
	m.retr = t.retr;
	m.top = t.top;
	m.dele = t.dele;
	m.octets = t.octets;
	m.left = c->left;
	event_del(&c->rd);
	event_del(&c->wr);
	event_del(&c->timer);
	/* The lock goes before the connection: a client may come back at once. */
	pk_session_free(&c->session);
	pk_client_close_maildrop(c);
	if (c->state != CLIENT_OPENING)
		pk_stream_deinit(&c->st);
	else if (c->fd != -1)
		close(c->fd);
	client_free(c);
	pk_role_tell_parent(&m);
}

static enum pk_session_end
end_of(const struct client *c)
{
	switch (pk_session_end(c->session)) {
	case PK_END_QUIT:
		return PK_ENDED_QUIT;
	case PK_END_UPDATE_FAILED:
		return PK_ENDED_UPDATE_FAILED;
	case PK_END_READ:
		return PK_ENDED_READ_ERROR;
	case PK_END_NONE:
	case PK_END_FAILURES:
		break;
	}
	return PK_ENDED_DROPPED;
}

/* ---- serving ---------------------------------------------------------------------- */

void
pk_client_serve(struct client *c)
{
	bool active = false;
	enum pk_served got;

	got = pk_stream_serve(&c->st, c->session, &active);
	/* A client that takes a long message is not silent. */
	if (active || c->st.took)
		c->active = pk_role_now();
	c->st.took = false;
	switch (got) {
	case PK_SERVED_UPDATE:
		event_del(&c->rd);
		event_del(&c->wr);
		pk_client_update(c);
		break;
	case PK_SERVED_WAIT:
		if (c->st.want_write) {
			event_del(&c->rd);
			event_add(&c->wr, NULL);
		} else {
			event_add(&c->rd, NULL);
		}
		break;
	case PK_SERVED_AGAIN:
		event_add(&c->rd, NULL);
		event_active(&c->rd, EV_READ, 0);
		break;
	case PK_SERVED_CLOSE:
	case PK_SERVED_GONE:
		pk_client_end(c, end_of(c));
		break;
	case PK_SERVED_LOGIN:
	case PK_SERVED_TLS:
		pk_client_end(c, PK_ENDED_DROPPED);
		break;
	}
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pk_client_serve(arg);
}

static void
client_timer(struct client *c, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(&c->timer, &tv);
}

/* Autologout: no UPDATE, no response (RFC 1939 section 3). */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	int64_t idle = pk_role.settings->idle_timeout * INT64_C(1000);
	int64_t left = c->active + idle - pk_role_now();

	(void)fd;
	(void)what;
	if (c->state == CLIENT_UPDATING)
		client_timer(c, idle);
	else if (left <= 0)
		pk_client_end(c, PK_ENDED_IDLE);
	else
		client_timer(c, left);
}

bool
pk_client_take_over(const char *maildir)
{
	struct client *c;

	if (pk_role.settings->takeover == 0)
		return false;
	for (c = pk_role.clients; c != NULL; c = c->next)
		if (c->state == CLIENT_SERVING && c->md != NULL &&
		    strcmp(c->maildir, maildir) == 0 &&
		    pk_role_now() - c->active >= pk_role.settings->takeover *
		    INT64_C(1000)) {
			pk_client_end(c, PK_ENDED_TAKEOVER);
			return true;
		}
	return false;
}

/* ---- opening ---------------------------------------------------------------------- */

/* The login was right, but there is no session. */
static void
refuse(struct client *c, enum pk_login_result result)
{
	const char *line = pk_login_refusal(result);
	enum pk_session_end end = PK_ENDED_UNAVAILABLE;
	struct pk_stream st;

	if (result == PK_LOGIN_IN_USE)
		end = PK_ENDED_IN_USE;
	else if (result == PK_LOGIN_TOO_EARLY)
		end = PK_ENDED_TOO_EARLY;
	pk_client_close_maildrop(c);
	pk_stream_init_relay(&st, c->fd, c->open->tls != 0 ?
	    PK_RELAY_SESSION : PK_RELAY_NONE);
	c->fd = -1;
	(void)pk_stream_write(&st, (const uint8_t *)line, strlen(line));
	pk_stream_deinit(&st);
	pk_client_end(c, end);
}

static enum pk_login_result
result_of(enum pk_maildir_status status)
{
	switch (status) {
	case PK_MAILDIR_OK:
		return PK_LOGIN_OK;
	case PK_MAILDIR_IN_USE:
		return PK_LOGIN_IN_USE;
	case PK_MAILDIR_SCAN:
	case PK_MAILDIR_TEMPORARY:
		return PK_LOGIN_TEMPORARY;
	case PK_MAILDIR_PERMANENT:
		break;
	}
	return PK_LOGIN_PERMANENT;
}

/*
 * login-delay (RFC 2449 section 8.1.1): is it too early?  A login that is
 * refused for that is not counted, so that it does not begin the delay anew.
 */
static bool
is_too_early(struct client *c)
{
	int64_t now = time(NULL), last = pk_maildir_last_login(c->md);

	if (c->policy != POLICY_KNOWN || !pk_rule_binds(&c->up, now) ||
	    c->up.rule.login_delay == 0)
		return false;
	if (last > 0 && last <= now && now - last <
	    (int64_t)c->up.rule.login_delay)
		return true;
	pk_maildir_logged_in(c->md, now);
	return false;
}

/* What the rule has to do with the dialogue; without one: nothing. */
static void
apply_rule(struct client *c, struct pk_session_settings *set)
{
	int64_t now = time(NULL);
	bool binds;

	c->capa.expire_days = -1;
	set->top = PK_TOP_ALLOW;
	set->capa = &c->capa;
	if (c->policy != POLICY_KNOWN)
		return;
	set->hash = c->up.audit_hash;
	binds = pk_rule_binds(&c->up, now);
	c->capa.expire_days = pk_expire_days(&c->up, now);
	c->capa.login_delay = binds ? c->up.rule.login_delay : 0;
	c->capa.login_delay_varies = c->up.login_delay_varies;
	if (binds)
		set->top = c->up.rule.top;
	if (c->up.has_rule)
		memcpy(c->context.rule, c->up.rule.name,
		    sizeof(c->context.rule));
}

static void
begin_session(struct client *c)
{
	const struct pk_msg_open *m = c->open;
	struct pk_session_settings set = {
		.host = pk_role.settings->hostname,
		.implementation = PACKAGE_NAME,
		.passwords = PK_ALLOW_ALWAYS,
		.tls = m->tls != 0,
	};

	apply_rule(c, &set);
	c->session = pk_session_new_transaction(&set, c->md);
	pk_stream_init_relay(&c->st, c->fd, m->tls != 0 ? PK_RELAY_SESSION :
	    PK_RELAY_NONE);
	if (c->session == NULL || !pk_stream_preload(&c->st, m->leftover,
	    m->leftover_len)) {
		c->st.fd = -1;
		refuse(c, PK_LOGIN_TEMPORARY);
		return;
	}
	free(c->open);
	c->open = NULL;
	c->state = CLIENT_SERVING;
	c->active = pk_role_now();
	c->messages = c->md->ops->count(c->md);
	client_timer(c, pk_role.settings->idle_timeout * INT64_C(1000));
	pk_client_serve(c);
}

static void
check_delay(struct client *c)
{
	if (is_too_early(c))
		refuse(c, PK_LOGIN_TOO_EARLY);
	else
		begin_session(c);
}

/* Both the maildrop and the policy are needed. */
static void
on_opened(struct client *c)
{
	if (c->status == PK_MAILDIR_SCAN || c->policy == POLICY_ASKED)
		return;
	if (c->status != PK_MAILDIR_OK)
		refuse(c, result_of(c->status));
	else if (c->policy == POLICY_REFUSED)
		refuse(c, PK_LOGIN_TEMPORARY);
	else if (c->unfinished > 0)
		pk_client_close_unfinished(c, check_delay);
	else
		check_delay(c);
}

static void
log_why(const struct client *c, const char *why)
{
	bool bad = c->status == PK_MAILDIR_TEMPORARY ||
	    c->status == PK_MAILDIR_PERMANENT;

	if (why[0] != '\0')
		pk_log(bad ? PK_LOG_ERR : PK_LOG_WARNING,
		    "maildrop: user=%s %s", c->context.user, why);
}

void
pk_client_opened(struct client *c, struct pk_maildrop *md,
    enum pk_maildir_status status, const char *why)
{
	c->md = md;
	c->status = status;
	log_why(c, why);
	if (status != PK_MAILDIR_OK)
		pk_maildir_close(&c->md);
	on_opened(c);
}

static void
take_policy(struct client *c, const struct pk_wire_user_is *a)
{
	switch (a->result) {
	case PK_WIRE_OK:
		c->policy = POLICY_KNOWN;
		c->up = a->policy;
		c->serial = a->serial;
		c->unfinished = a->unfinished;
		return;
	case PK_WIRE_UNKNOWN_RULE:
	case PK_WIRE_NOT_YET:
		c->policy = POLICY_REFUSED;
		break;
	case PK_WIRE_STALE:
	case PK_WIRE_BRAKED:
	case PK_WIRE_FAILED:
	case PK_WIRE_DENIED:
	case PK_WIRE_ERROR:
		c->policy = POLICY_AWAY;
		break;
	}
	pk_log(PK_LOG_ERR, "policy: user=%s policyd says: %s",
	    c->context.user, pk_wire_result_name(a->result));
}

static void
on_policy(void *arg, const struct pk_wire_head *head, struct pk_wire *w)
{
	struct client *c = arg;
	struct pk_wire_user_is a;

	if (head != NULL && head->type == PK_WIRE_USER_IS &&
	    pk_wire_get_user_is(w, &a)) {
		take_policy(c, &a);
	} else {
		c->policy = POLICY_AWAY;
		pk_log(PK_LOG_WARNING, "policy: user=%s policyd is away: "
		    "nothing is disposed of", c->context.user);
	}
	on_opened(c);
}

bool
pk_client_ask_policy(struct client *c, pk_policy_answer *answer)
{
	struct pk_wire_user m;
	struct pk_wire w;

	memset(&m, 0, sizeof(m));
	memcpy(m.user, c->context.user, sizeof(m.user));
	memcpy(m.rule, c->rule, sizeof(m.rule));
	pk_policy_client_begin(pk_role.policyd, &w, PK_WIRE_USER, 0);
	pk_wire_put_user(&w, &m);
	return pk_policy_client_send(pk_role.policyd, &w, answer, c);
}

static void
set_context(struct client *c, const struct pk_msg_open *m)
{
	struct pk_audit_context *x = &c->context;

	memcpy(x->user, m->account.user, sizeof(x->user));
	memcpy(x->session, m->session, sizeof(x->session));
	memcpy(x->ip, m->rhost, sizeof(x->ip));
	(void)snprintf(x->mech, sizeof(x->mech), "%s",
	    pk_mechanism_name((enum pk_mechanism)m->mech));
	x->tls = m->tls != 0;
	memcpy(c->rule, m->account.rule, sizeof(c->rule));
}

static struct client *
client_alloc(const struct pk_msg_open *m)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->open = malloc(sizeof(*c->open));
	c->maildir = strdup(m->account.maildir);
	c->retained = strdup(m->account.retained);
	if (c->open == NULL || c->maildir == NULL || c->retained == NULL) {
		free(c->open);
		free(c->maildir);
		free(c->retained);
		free(c);
		return NULL;
	}
	*c->open = *m;
	return c;
}

struct client *
pk_client_new(const struct pk_msg_open *m, int fd)
{
	struct client *c = client_alloc(m);

	if (c == NULL) {
		close(fd);
		pk_role_tell_end(m->id, PK_ENDED_UNAVAILABLE);
		return NULL;
	}
	c->id = m->id;
	c->fd = fd;
	c->status = PK_MAILDIR_SCAN;
	set_context(c, m);
	event_assign(&c->rd, pk_role.base, fd, EV_READ | EV_PERSIST, on_client, c);
	event_assign(&c->wr, pk_role.base, fd, EV_WRITE, on_client, c);
	event_assign(&c->timer, pk_role.base, -1, 0, on_timer, c);
	c->next = pk_role.clients;
	c->prev = &pk_role.clients;
	if (c->next != NULL)
		c->next->prev = &c->next;
	pk_role.clients = c;
	if (!pk_client_ask_policy(c, on_policy))
		on_policy(c, NULL, NULL);
	return c;
}
