/*
 * The connections of the net role: the dialogue before login, TLS, and relaying
 * it afterwards.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "standalone/log.h"
#include "standalone/net_private.h"
#include "standalone/role.h"

static uint8_t relay_buf[PK_RELAY_MAX];

/* ---- connections -------------------------------------------------------------- */

static void conn_serve(struct conn *c);
static void relay_run(struct conn *c);

static void
conn_free(struct conn *c)
{
	struct slot *s = pk_slot_of(c->id);

	event_del(&c->rd);
	event_del(&c->wr);
	event_del(&c->timer);
	if (c->inner_rd != NULL)
		event_free(c->inner_rd);
	if (c->inner_wr != NULL)
		event_free(c->inner_wr);
	pk_stream_deinit(&c->st);
	if (c->state == CONN_RELAY)
		pk_stream_deinit(&c->inner);
	pk_session_free(&c->session);
	if (s != NULL) {
		s->conn = NULL;
		pk_slot_release(s);
	}
	free(c);
	pk_net.live--;
	pk_net_end_if_drained();
}

/* Wait for the client: to write if something is pending, else to read. */
static void
conn_wait(struct conn *c)
{
	if (c->st.want_write) {
		event_del(&c->rd);
		event_add(&c->wr, NULL);
	} else {
		event_add(&c->rd, NULL);
	}
}

static void
conn_stop_waiting(struct conn *c)
{
	event_del(&c->rd);
	event_del(&c->wr);
}

static void
conn_timer(struct conn *c, double seconds)
{
	struct timeval tv = { (time_t)seconds,
	    (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) };

	event_add(&c->timer, &tv);
}

static void
conn_refuse(struct conn *c, enum pk_login_result result)
{
	c->state = CONN_TALK;
	conn_timer(c, pk_net.settings->login_timeout);
	pk_session_login_failed(c->session, result);
	conn_serve(c);
}

/* ---- logging in --------------------------------------------------------------- */

static bool
ask_auth(struct conn *c)
{
	const struct pk_credential *cred = pk_session_credential(c->session);
	struct pk_msg_login m;
	int rc;

	memset(&m, 0, offsetof(struct pk_msg_login, secret));
	m.id = c->id;
	m.mech = (uint32_t)cred->mech;
	m.tls = c->st.ssl != NULL;
	/* A name that is longer than any is refused there as a name. */
	m.user_len = (uint16_t)(cred->user.len < sizeof(m.user) ?
	    cred->user.len : 0);
	memcpy(m.user, cred->user.data, m.user_len);
	m.secret_len = (uint16_t)(cred->secret.len < sizeof(m.secret) ?
	    cred->secret.len : 0);
	memcpy(m.secret, cred->secret.data, m.secret_len);
	memcpy(m.challenge, c->challenge, sizeof(m.challenge));
	memcpy(m.rhost, c->rhost, sizeof(m.rhost));
	rc = pk_net.auth == -1 ? -1 :
	    pk_channel_send(pk_net.auth, PK_MSG_LOGIN, &m, -1);
	OPENSSL_cleanse(&m, sizeof(m));
	return rc == 0;
}

static void
conn_login(struct conn *c)
{
	conn_stop_waiting(c);
	if (!ask_auth(c)) {
		pk_log(PK_LOG_WARNING, "login-failed: rhost=%s reason=auth "
		    "does not keep up", c->rhost);
		conn_refuse(c, PK_LOGIN_TEMPORARY);
		return;
	}
	c->state = CONN_ASKED;
	/* auth answers within this, or drops the login. */
	conn_timer(c, pk_login_patience(pk_net.settings) + 1);
}

static void
on_inner(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	relay_run(arg);
}

/* Hand the client over; for TLS our end of a pair stands in for it. */
static void
conn_claim(struct conn *c)
{
	struct slot *s = pk_slot_of(c->id);
	struct pk_msg_claim m = { .id = c->id };
	int pair[2] = { -1, -1 }, fd = c->st.fd;

	if (c->st.ssl != NULL) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0, pair) != 0) {
			conn_refuse(c, PK_LOGIN_TEMPORARY);
			return;
		}
		fd = pair[1];
	}
	m.leftover_len = (uint32_t)c->st.in_len;
	if (c->st.in_len > 0)
		memcpy(m.leftover, c->st.in, c->st.in_len);
	if (pk_channel_send(pk_net.parent, PK_MSG_CLAIM, &m, fd) != 0) {
		pk_log(PK_LOG_WARNING, "login-failed: rhost=%s reason=parent "
		    "does not keep up", c->rhost);
		if (pair[0] != -1) {
			close(pair[0]);
			close(pair[1]);
		}
		conn_refuse(c, PK_LOGIN_TEMPORARY);
		return;
	}
	s->claimed = true;
	if (c->st.ssl == NULL) {
		/* The session process has the connection now: no goodbye. */
		c->st.gone = true;
		conn_free(c);
		return;
	}
	close(pair[1]);
	event_del(&c->timer);
	pk_session_free(&c->session);
	pk_stream_init_relay(&c->inner, pair[0], PK_RELAY_NET);
	c->state = CONN_RELAY;
	c->inner_rd = event_new(pk_net.base, pair[0], EV_READ | EV_PERSIST,
	    on_inner, c);
	c->inner_wr = event_new(pk_net.base, pair[0], EV_WRITE, on_inner, c);
	if (c->inner_rd == NULL || c->inner_wr == NULL) {
		conn_free(c);
		return;
	}
	pk_stream_forget_input(&c->st);
	relay_run(c);
}

/* Everything said before the login must have left before another goes on. */
static void
conn_approved(struct conn *c)
{
	c->state = CONN_APPROVED;
	if (!pk_stream_flush(&c->st)) {
		event_add(&c->wr, NULL);
		return;
	}
	if (c->st.gone)
		conn_free(c);
	else
		conn_claim(c);
}

void
pk_conn_verdict(struct conn *c, enum pk_login_result result)
{
	struct slot *s = pk_slot_of(c->id);
	double delay = 0;

	conn_timer(c, pk_net.settings->login_timeout);
	switch (result) {
	case PK_LOGIN_OK:
		conn_approved(c);
		return;
	case PK_LOGIN_CREDENTIAL:
	case PK_LOGIN_EXPIRED:
	case PK_LOGIN_NEW_PASSWORD:
	case PK_LOGIN_DENIED:
		delay = pk_address_failed(s->address, pk_net_now(),
		    pk_net.settings->failure_delay,
		    pk_net.settings->failure_delay_max);
		break;
	case PK_LOGIN_TEMPORARY:
	case PK_LOGIN_PERMANENT:
	case PK_LOGIN_IN_USE:
	case PK_LOGIN_TOO_EARLY:
		break;
	}
	if (delay == 0) {
		conn_refuse(c, result);
		return;
	}
	c->state = CONN_DELAYED;
	c->result = result;
	conn_timer(c, delay);
}

/* ---- TLS ---------------------------------------------------------------------- */

static void
conn_handshake(struct conn *c)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(c->st.ssl);
	if (rc == 1) {
		if (c->state == CONN_STLS)
			pk_session_tls_started(c->session);
		c->state = CONN_TALK;
		c->st.want_write = false;
		conn_serve(c);
		return;
	}
	switch (SSL_get_error(c->st.ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		c->st.want_write = false;
		conn_wait(c);
		break;
	case SSL_ERROR_WANT_WRITE:
		c->st.want_write = true;
		conn_wait(c);
		break;
	default: {
		const char *why = ERR_reason_error_string(ERR_peek_error());

		pk_log(PK_LOG_INFO, "tls-failed: rhost=%s reason=%s",
		    c->rhost, why != NULL ? why : "connection lost");
		c->st.gone = true;
		conn_free(c);
		break;
	}
	}
}

static void
conn_start_tls(struct conn *c, enum conn_state state)
{
	c->st.ssl = SSL_new(pk_net.tls);
	if (c->st.ssl == NULL || SSL_set_fd(c->st.ssl, c->st.fd) != 1) {
		conn_free(c);
		return;
	}
	SSL_set_accept_state(c->st.ssl);
	c->state = state;
	conn_handshake(c);
}

/* ---- relaying ----------------------------------------------------------------- */

/*
 * Move octets from one stream to the other, size at a time, until from has none,
 * or to takes no more.  Adds what was moved.  false: one of them is gone.
 */
static bool
relay_move(struct pk_stream *from, struct pk_stream *to, size_t size,
    uint64_t *moved)
{
	unsigned round;

	if (!pk_stream_flush(to))
		return true;
	for (round = 0; round < 8 && to->out == NULL; round++) {
		size_t n = pk_stream_read(from, relay_buf, size);

		if (n == 0)
			break;
		*moved += n;
		if (!pk_stream_write(to, relay_buf, n))
			return false;
	}
	return !from->gone && !to->gone;
}

/* Octets of TLS that were read. */
static uint64_t
tls_read(const struct conn *c)
{
	return BIO_number_read(SSL_get_rbio(c->st.ssl));
}

/*
 * The session process cannot see what the client has not taken yet: it is told
 * with what the client sends.  All or nothing: how many octets of TLS wait in
 * the kernel says little of ours.  And what had come before the last reply went
 * says nothing of that reply, however late it is read.
 */
static void
relay_report(struct conn *c)
{
	if (c->inner.out == NULL && c->st.out == NULL &&
	    tls_read(c) >= c->come && SSL_has_pending(c->st.ssl) == 0 &&
	    pk_stream_unsent(&c->st) == 0)
		c->inner.left = c->taken;
}

/* Read from one side only while the other side keeps up. */
static void
relay_wait(struct event *rd, struct event *wr, const struct pk_stream *own,
    const struct pk_stream *other)
{
	if (other->out != NULL)
		event_del(rd);
	else
		event_add(rd, NULL);
	if (own->out != NULL)
		event_add(wr, NULL);
	else
		event_del(wr);
}

static void
relay_run(struct conn *c)
{
	uint64_t come = tls_read(c) + pk_stream_waiting(&c->st);
	uint64_t given = 0, taken = c->taken;
	bool alive, wrote = c->st.out != NULL;

	relay_report(c);
	alive = relay_move(&c->st, &c->inner, PK_STREAM_IN, &given);

	/* A session that takes no more may still have said something. */
	if (!alive && !c->st.gone)
		c->inner.gone = false;
	alive = !c->st.gone && relay_move(&c->inner, &c->st,
	    sizeof(relay_buf), &c->taken);
	if (wrote || c->taken != taken)
		c->come = come;

	if (!alive && !c->st.gone && c->st.out != NULL &&
	    !pk_stream_flush(&c->st)) {
		/* The session has ended: its last words are still to be sent. */
		event_del(c->inner_rd);
		event_del(&c->rd);
		event_add(&c->wr, NULL);
		conn_timer(c, pk_net.settings->login_timeout);
		return;
	}
	if (!alive) {
		conn_free(c);
		return;
	}
	relay_wait(&c->rd, &c->wr, &c->st, &c->inner);
	relay_wait(c->inner_rd, c->inner_wr, &c->inner, &c->st);
	/* TLS may hold decrypted octets that no event will tell of. */
	if (c->inner.out == NULL && SSL_pending(c->st.ssl) > 0)
		event_active(&c->rd, EV_READ, 0);
}

/* ---- events ------------------------------------------------------------------- */

static void
conn_serve(struct conn *c)
{
	bool active = false;

	switch (pk_stream_serve(&c->st, c->session, &active)) {
	case PK_SERVED_WAIT:
		conn_wait(c);
		break;
	case PK_SERVED_AGAIN:
		event_add(&c->rd, NULL);
		event_active(&c->rd, EV_READ, 0);
		break;
	case PK_SERVED_LOGIN:
		conn_login(c);
		break;
	case PK_SERVED_TLS:
		conn_start_tls(c, CONN_STLS);
		break;
	case PK_SERVED_UPDATE:		/* net has no maildrop */
	case PK_SERVED_CLOSE:
	case PK_SERVED_GONE:
		conn_free(c);
		break;
	}
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	switch (c->state) {
	case CONN_HANDSHAKE:
	case CONN_STLS:
		conn_handshake(c);
		break;
	case CONN_TALK:
		conn_serve(c);
		break;
	case CONN_APPROVED:
		conn_approved(c);
		break;
	case CONN_RELAY:
		relay_run(c);
		break;
	case CONN_ASKED:
	case CONN_DELAYED:
		break;
	}
}

/*
 * auth has not answered in time.  The connection ends with its id: an answer
 * that still comes must not be taken for that of another login.
 */
static void
conn_give_up(struct conn *c)
{
	const char *line = pk_login_refusal(PK_LOGIN_TEMPORARY);

	pk_log(PK_LOG_WARNING, "login-failed: rhost=%s reason=auth does not "
	    "answer", c->rhost);
	(void)pk_stream_write(&c->st, (const uint8_t *)line, strlen(line));
	conn_free(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONN_DELAYED)
		conn_refuse(c, c->result);
	else if (c->state == CONN_ASKED)
		conn_give_up(c);
	else
		conn_free(c);	/* without a word (RFC 1939 section 3) */
}

/* ---- beginning ------------------------------------------------------------------ */

/* What some user may use from this address, before it is known who it is. */
static enum pk_allow
some_may(const struct conn *c, enum pk_credential_kind kind)
{
	uint8_t address[16];

	if (!pk_address_parse(c->rhost, address))
		return PK_ALLOW_NEVER;
	return pk_login_table_some(pk_net.table, kind, address, time(NULL));
}

static bool
conn_new_session(struct conn *c, const struct pk_listen *l)
{
	uint8_t random[PK_APOP_RANDOM_LEN];
	struct pk_session_settings set = {
		.host = pk_net.settings->hostname,
		.implementation = PACKAGE_NAME,
		.apop = pk_net.apop ? some_may(c, PK_KIND_APOP) :
		    PK_ALLOW_NEVER,
		.passwords = some_may(c, PK_KIND_PASSWORD),
		.tls = l->tls == PK_LISTEN_IMPLICIT,
		.stls = l->tls == PK_LISTEN_STARTTLS,
		.max_failures = pk_net.settings->max_failures,
		.top = PK_TOP_ALLOW,
		.capa = &c->capa,
	};

	pk_login_table_capa(pk_net.table, time(NULL), &c->capa);
	/* The timestamp is there only where it can be of use. */
	if (set.apop == PK_ALLOW_ALWAYS || (set.apop == PK_ALLOW_TLS &&
	    l->tls != PK_LISTEN_CLEAR)) {
		if (RAND_bytes(random, sizeof(random)) != 1 ||
		    pk_apop_challenge(random, pk_net.settings->hostname,
		    c->challenge) != PK_OK)
			return false;
		set.challenge = c->challenge;
	}
	c->session = pk_session_new(&set);
	return c->session != NULL;
}

struct conn *
pk_conn_new(int fd, const struct sockaddr *peer, const struct pk_listen *l)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->state = CONN_TALK;
	pk_address_text(peer, c->rhost);
	if (!conn_new_session(c, l)) {
		free(c);
		return NULL;
	}
	pk_stream_init(&c->st, fd);
	event_assign(&c->rd, pk_net.base, fd, EV_READ | EV_PERSIST, on_client, c);
	event_assign(&c->wr, pk_net.base, fd, EV_WRITE, on_client, c);
	event_assign(&c->timer, pk_net.base, -1, 0, on_timer, c);
	return c;
}

void
pk_conn_start(struct conn *c, const struct pk_listen *l)
{
	conn_timer(c, pk_net.settings->login_timeout);
	if (l->tls == PK_LISTEN_IMPLICIT)
		conn_start_tls(c, CONN_HANDSHAKE);
	else
		conn_serve(c);
}
