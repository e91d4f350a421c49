/*
 * The net role: accepts connections, does TLS, and talks to clients until they
 * have logged in.  It holds no secret but the TLS key, opens no file, and
 * decides nothing about credentials.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "engine/apop.h"
#include "standalone/address.h"
#include "standalone/log.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"
#include "standalone/stream.h"
#include "standalone/tls.h"

/* A login waits for auth no longer than so many pam-timeouts. */
#define ASKED_FACTOR 4

/* Octets relayed at a time between a TLS client and its session process. */
#define RELAY_MAX (64 * 1024)

enum conn_state {
	CONN_HANDSHAKE,		/* TLS is negotiated before the greeting */
	CONN_STLS,		/* TLS is negotiated after STLS */
	CONN_TALK,		/* commands and replies */
	CONN_ASKED,		/* auth has been asked; nothing is read */
	CONN_APPROVED,		/* auth said yes; replies are still being sent */
	CONN_DELAYED,		/* auth said no; the refusal waits */
	CONN_RELAY,		/* TLS for a session process */
};

struct conn {
	enum conn_state state;
	uint64_t id;
	struct pk_stream st;		/* the client */
	struct pk_stream inner;		/* CONN_RELAY: the session process */
	struct pk_session *session;	/* before login */
	struct event rd, wr, timer;
	struct event *inner_rd, *inner_wr;
	enum pk_login_result result;	/* CONN_DELAYED: what to say */
	char rhost[PK_ADDRESS_SIZE];
	char challenge[PK_APOP_CHALLENGE_SIZE];
};

/*
 * A connection counts from accept(2) until it is closed, or, if a session
 * process has it, until the parent says that the session has ended.
 */
struct slot {
	uint32_t serial;		/* upper half of the id */
	bool claimed;			/* PK_MSG_RELEASED is still to come */
	struct conn *conn;
	struct pk_address *address;	/* NULL: the slot is free */
};

struct listener {
	struct event *ev;
	const struct pk_listen *listen;
};

static struct {
	const struct pk_settings *settings;
	enum pk_allow apop;
	struct event_base *base;
	SSL_CTX *tls;
	int parent, auth;		/* auth: -1 when it is gone */
	struct event *parent_ev, *auth_ev, *resume_ev;
	struct listener *listeners;
	struct pk_addresses *addresses;
	struct slot *slots;
	uint32_t *free_slots;		/* a stack */
	uint32_t used, free_count;
	uint32_t live;			/* connections that are ours */
	bool draining;
} net;

static uint8_t relay_buf[RELAY_MAX];

static time_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* ---- slots -------------------------------------------------------------------- */

static struct slot *
slot_of(uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i >= net.settings->max_connections ||
	    net.slots[i].address == NULL ||
	    net.slots[i].serial != (uint32_t)(id >> 32))
		return NULL;
	return &net.slots[i];
}

static void
slot_take(struct conn *c, struct pk_address *address)
{
	uint32_t i = net.free_slots[--net.free_count];
	struct slot *s = &net.slots[i];

	s->serial++;
	s->claimed = false;
	s->conn = c;
	s->address = address;
	c->id = (uint64_t)s->serial << 32 | i;
}

static void
slot_release(struct slot *s)
{
	if (s->conn != NULL || s->claimed)
		return;
	pk_address_release(net.addresses, s->address);
	s->address = NULL;
	net.free_slots[net.free_count++] = (uint32_t)(s - net.slots);
}

/* ---- connections -------------------------------------------------------------- */

static void conn_serve(struct conn *c);
static void relay_run(struct conn *c);

static void
end_if_drained(void)
{
	if (net.draining && net.live == 0)
		event_base_loopbreak(net.base);
}

static void
conn_free(struct conn *c)
{
	struct slot *s = slot_of(c->id);

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
		slot_release(s);
	}
	free(c);
	net.live--;
	end_if_drained();
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
	conn_timer(c, net.settings->login_timeout);
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
	rc = net.auth == -1 ? -1 :
	    pk_channel_send(net.auth, PK_MSG_LOGIN, &m, -1);
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
	/* auth answers within its own limits; this is for its death. */
	conn_timer(c, ASKED_FACTOR * (double)net.settings->pam_timeout +
	    net.settings->login_timeout);
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
	struct slot *s = slot_of(c->id);
	struct pk_msg_claim m = { .id = c->id };
	int pair[2] = { -1, -1 }, fd = c->st.fd;

	if (c->st.ssl != NULL) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0, pair) != 0) {
			conn_refuse(c, PK_LOGIN_TEMPORARY);
			return;
		}
		fd = pair[1];
	}
	m.leftover_len = (uint32_t)c->st.in_len;
	if (c->st.in_len > 0)
		memcpy(m.leftover, c->st.in, c->st.in_len);
	if (pk_channel_send(net.parent, PK_MSG_CLAIM, &m, fd) != 0) {
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
	pk_stream_init(&c->inner, pair[0]);
	c->state = CONN_RELAY;
	c->inner_rd = event_new(net.base, pair[0], EV_READ | EV_PERSIST,
	    on_inner, c);
	c->inner_wr = event_new(net.base, pair[0], EV_WRITE, on_inner, c);
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

static void
conn_verdict(struct conn *c, enum pk_login_result result)
{
	struct slot *s = slot_of(c->id);
	double delay = 0;

	conn_timer(c, net.settings->login_timeout);
	switch (result) {
	case PK_LOGIN_OK:
		conn_approved(c);
		return;
	case PK_LOGIN_CREDENTIAL:
	case PK_LOGIN_EXPIRED:
	case PK_LOGIN_NEW_PASSWORD:
	case PK_LOGIN_DENIED:
		delay = pk_address_failed(s->address, now(),
		    net.settings->failure_delay,
		    net.settings->failure_delay_max);
		break;
	case PK_LOGIN_TEMPORARY:
	case PK_LOGIN_PERMANENT:
	case PK_LOGIN_IN_USE:
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
	c->st.ssl = SSL_new(net.tls);
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
 * Move octets from one stream to the other until from has none, or to takes no
 * more.  false: one of them is gone.
 */
static bool
relay_move(struct pk_stream *from, struct pk_stream *to)
{
	unsigned round;

	if (!pk_stream_flush(to))
		return true;
	for (round = 0; round < 8 && to->out == NULL; round++) {
		size_t n = pk_stream_read(from, relay_buf,
		    sizeof(relay_buf));

		if (n == 0)
			break;
		if (!pk_stream_write(to, relay_buf, n))
			return false;
	}
	return !from->gone && !to->gone;
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
	bool alive = relay_move(&c->st, &c->inner);

	/* A session that takes no more may still have said something. */
	if (!alive && !c->st.gone)
		c->inner.gone = false;
	alive = !c->st.gone && relay_move(&c->inner, &c->st);

	if (!alive && !c->st.gone && c->st.out != NULL &&
	    !pk_stream_flush(&c->st)) {
		/* The session has ended: its last words are still to be sent. */
		event_del(c->inner_rd);
		event_del(&c->rd);
		event_add(&c->wr, NULL);
		conn_timer(c, net.settings->login_timeout);
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

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONN_DELAYED)
		conn_refuse(c, c->result);
	else if (c->state == CONN_ASKED)
		conn_refuse(c, PK_LOGIN_TEMPORARY);
	else
		conn_free(c);	/* without a word (RFC 1939 section 3) */
}

/* ---- accepting ---------------------------------------------------------------- */

static bool
apop_can_be_used(const struct pk_listen *l)
{
	return net.apop == PK_ALLOW_ALWAYS ||
	    (net.apop == PK_ALLOW_TLS && l->tls != PK_LISTEN_CLEAR);
}

static bool
conn_new_session(struct conn *c, const struct pk_listen *l)
{
	uint8_t random[PK_APOP_RANDOM_LEN];
	struct pk_session_settings set = {
		.host = net.settings->hostname,
		.implementation = PACKAGE_NAME,
		.apop = net.apop,
		.passwords = net.settings->passwords,
		.tls = l->tls == PK_LISTEN_IMPLICIT,
		.stls = l->tls == PK_LISTEN_STARTTLS,
		.max_failures = net.settings->max_failures,
	};

	if (apop_can_be_used(l)) {
		if (RAND_bytes(random, sizeof(random)) != 1 ||
		    pk_apop_challenge(random, net.settings->hostname,
		    c->challenge) != PK_OK)
			return false;
		set.challenge = c->challenge;
	}
	c->session = pk_session_new(&set);
	return c->session != NULL;
}

static struct conn *
conn_new(int fd, const struct sockaddr *peer, const struct pk_listen *l)
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
	event_assign(&c->rd, net.base, fd, EV_READ | EV_PERSIST, on_client, c);
	event_assign(&c->wr, net.base, fd, EV_WRITE, on_client, c);
	event_assign(&c->timer, net.base, -1, 0, on_timer, c);
	return c;
}

static void
refuse_connection(int fd, const struct pk_listen *l,
    const struct sockaddr *peer, const char *why)
{
	static const char line[] =
	    "-ERR [SYS/TEMP] Too many connections, try again later\r\n";
	char rhost[PK_ADDRESS_SIZE];

	pk_address_text(peer, rhost);
	pk_log(PK_LOG_NOTICE, "refused: rhost=%s reason=%s", rhost, why);
	if (l->tls != PK_LISTEN_IMPLICIT)
		(void)send(fd, line, sizeof(line) - 1,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void
accepted(int fd, const struct sockaddr *peer, const struct pk_listen *l)
{
	struct pk_address *address;
	struct conn *c;

	if (net.free_count == 0) {
		refuse_connection(fd, l, peer, "max-connections");
		return;
	}
	address = pk_address_hold(net.addresses, peer, now());
	if (address != NULL && pk_address_connections(address) >
	    net.settings->max_per_address) {
		pk_address_release(net.addresses, address);
		refuse_connection(fd, l, peer, "max-per-address");
		return;
	}
	c = address != NULL ? conn_new(fd, peer, l) : NULL;
	if (c == NULL) {
		if (address != NULL)
			pk_address_release(net.addresses, address);
		refuse_connection(fd, l, peer, "out of memory");
		return;
	}
	slot_take(c, address);
	net.live++;
	conn_timer(c, net.settings->login_timeout);
	if (l->tls == PK_LISTEN_IMPLICIT)
		conn_start_tls(c, CONN_HANDSHAKE);
	else
		conn_serve(c);
}

static void
listeners_enable(bool enable)
{
	size_t i;

	for (i = 0; i < net.settings->listens; i++) {
		if (enable)
			event_add(net.listeners[i].ev, NULL);
		else
			event_del(net.listeners[i].ev);
	}
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!net.draining)
		listeners_enable(true);
}

static void
on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	const struct listener *l = arg;
	struct timeval second = { 1, 0 };
	unsigned i;

	(void)what;
	for (i = 0; i < 32; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted(fd, (struct sockaddr *)&peer, l->listen);
		} else if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM) {
			pk_log(PK_LOG_ERR, "accept: %s: pausing a second",
			    strerror(errno));
			listeners_enable(false);
			event_add(net.resume_ev, &second);
			return;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		}
	}
}

/* ---- the channels --------------------------------------------------------------- */

/* auth is gone: who waits for it is told to try again. */
static void
lose_auth(void)
{
	uint32_t i;

	event_del(net.auth_ev);
	close(net.auth);
	net.auth = -1;
	for (i = 0; i < net.settings->max_connections; i++) {
		struct conn *c = net.slots[i].conn;

		if (net.slots[i].address != NULL && c != NULL &&
		    c->state == CONN_ASKED)
			conn_verdict(c, PK_LOGIN_TEMPORARY);
	}
}

static void
on_auth(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	struct slot *s;
	unsigned i;
	int pass;

	(void)what;
	(void)arg;
	for (i = 0; i < 32; i++) {
		switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_VERDICT), &type,
		    &m, &pass)) {
		case PK_RECEIVED:
			s = slot_of(m.verdict.id);
			if (s != NULL && s->conn != NULL &&
			    s->conn->state == CONN_ASKED)
				conn_verdict(s->conn, (enum pk_login_result)
				    m.verdict.result);
			break;
		case PK_RECEIVED_NOTHING:
			return;
		case PK_RECEIVED_NO_DESCRIPTOR:
		case PK_RECEIVED_END:
		case PK_RECEIVED_NONSENSE:
			lose_auth();
			return;
		}
	}
}

static void
drain(void)
{
	size_t i;

	net.draining = true;
	for (i = 0; i < net.settings->listens; i++) {
		evutil_socket_t fd = event_get_fd(net.listeners[i].ev);

		event_del(net.listeners[i].ev);
		close(fd);
	}
	end_if_drained();
}

static void
released(uint64_t id)
{
	struct slot *s = slot_of(id);

	if (s != NULL && s->claimed) {
		s->claimed = false;
		slot_release(s);
	}
}

static void
on_parent(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	unsigned i;
	int pass;

	(void)what;
	(void)arg;
	for (i = 0; i < 64; i++) {
		switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_RELEASED) |
		    PK_MSG_BIT(PK_MSG_DRAIN), &type, &m, &pass)) {
		case PK_RECEIVED:
			if (type == PK_MSG_RELEASED)
				released(m.released.id);
			else if (!net.draining)
				drain();
			break;
		case PK_RECEIVED_NOTHING:
			return;
		case PK_RECEIVED_NO_DESCRIPTOR:
		case PK_RECEIVED_END:
		case PK_RECEIVED_NONSENSE:
			event_base_loopbreak(net.base);
			return;
		}
	}
}

/* ---- starting ------------------------------------------------------------------- */

static _Noreturn void
fail(const char *what)
{
	pk_log(PK_LOG_ERR, "net: %s: %s", what, strerror(errno));
	_exit(1);
}

static void
load_tls(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *errors;

	if (net.settings->tls_certificate == NULL)
		return;
	errors = open_memstream(&text, &size);
	if (errors == NULL)
		fail("out of memory");
	net.tls = pk_tls_new(net.settings, errors);
	fclose(errors);
	if (net.tls == NULL) {
		text[strcspn(text, "\n")] = '\0';
		pk_log(PK_LOG_ERR, "net: %s", text);
		_exit(1);
	}
	free(text);
}

static void
give_up_privileges(void)
{
	const char *user = net.settings->net_user;
	struct passwd *pw;

	if (geteuid() == 0) {
		pw = getpwnam(user);
		if (pw == NULL) {
			pk_log(PK_LOG_ERR, "net: user = %s: there is no such "
			    "user", user);
			_exit(1);
		}
		if (pk_sandbox_chroot() != 0)
			fail("chroot");
		if (pk_sandbox_become(pw->pw_uid, pw->pw_gid) != 0)
			fail("giving up root");
	}
	if (pk_sandbox_filter(PK_SANDBOX_NET) != 0)
		fail("seccomp");
}

static void
make_tables(void)
{
	uint32_t i, n = net.settings->max_connections;

	net.addresses = pk_addresses_new();
	net.slots = calloc(n, sizeof(*net.slots));
	net.free_slots = calloc(n, sizeof(*net.free_slots));
	net.listeners = calloc(net.settings->listens,
	    sizeof(*net.listeners));
	if (net.addresses == NULL || net.slots == NULL ||
	    net.free_slots == NULL || net.listeners == NULL)
		fail("out of memory");
	for (i = 0; i < n; i++)
		net.free_slots[i] = n - 1 - i;
	net.free_count = n;
}

static void
make_events(const int *listen_fds)
{
	size_t i;

	net.base = event_base_new();
	if (net.base == NULL)
		fail("event_base_new");
	net.parent_ev = event_new(net.base, net.parent, EV_READ | EV_PERSIST,
	    on_parent, NULL);
	net.auth_ev = event_new(net.base, net.auth, EV_READ | EV_PERSIST,
	    on_auth, NULL);
	net.resume_ev = event_new(net.base, -1, 0, on_resume, NULL);
	for (i = 0; i < net.settings->listens; i++) {
		struct listener *l = &net.listeners[i];

		l->listen = &net.settings->listen[i];
		l->ev = event_new(net.base, listen_fds[i],
		    EV_READ | EV_PERSIST, on_accept, l);
		if (l->ev == NULL || event_add(l->ev, NULL) != 0)
			fail("listening");
	}
	if (event_add(net.parent_ev, NULL) != 0 ||
	    event_add(net.auth_ev, NULL) != 0 || net.resume_ev == NULL)
		fail("events");
}

void
pk_net_main(const struct pk_settings *settings, int parent, int auth,
    const int *listen_fds)
{
	pk_title_set("net");
	net.settings = settings;
	net.parent = parent;
	net.auth = auth;
	net.apop = pk_apop_is_available() ? settings->apop : PK_ALLOW_NEVER;
	pk_sandbox_null_stdio();
	pk_sandbox_raise_files();
	load_tls();
	make_tables();
	make_events(listen_fds);
	give_up_privileges();
	if (pk_channel_send(parent, PK_MSG_READY, NULL, -1) != 0)
		fail("parent");
	event_base_dispatch(net.base);
	pk_addresses_free(&net.addresses);
	_exit(0);
}
