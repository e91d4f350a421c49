/*
 * The net role: accepts connections, does TLS, and talks to clients until they
 * have logged in.  It holds no secret but the TLS key, opens no file, and
 * decides nothing about credentials.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "standalone/log.h"
#include "standalone/net_private.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"
#include "standalone/tls.h"

struct listener {
	struct event *ev;
	const struct pk_listen *listen;
};

struct pk_net pk_net;

static struct listener *listeners;

time_t
pk_net_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* ---- slots -------------------------------------------------------------------- */

struct slot *
pk_slot_of(uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i >= pk_net.settings->max_connections ||
	    pk_net.slots[i].address == NULL ||
	    pk_net.slots[i].serial != (uint32_t)(id >> 32))
		return NULL;
	return &pk_net.slots[i];
}

static void
slot_take(struct conn *c, struct pk_address *address)
{
	uint32_t i = pk_net.free_slots[--pk_net.free_count];
	struct slot *s = &pk_net.slots[i];

	s->serial++;
	s->claimed = false;
	s->conn = c;
	s->address = address;
	c->id = (uint64_t)s->serial << 32 | i;
}

void
pk_slot_release(struct slot *s)
{
	if (s->conn != NULL || s->claimed)
		return;
	pk_address_release(pk_net.addresses, s->address);
	s->address = NULL;
	pk_net.free_slots[pk_net.free_count++] = (uint32_t)(s - pk_net.slots);
}

void
pk_net_end_if_drained(void)
{
	if (pk_net.draining && pk_net.live == 0)
		event_base_loopbreak(pk_net.base);
}

/* ---- accepting ---------------------------------------------------------------- */

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

	if (pk_net.free_count == 0) {
		refuse_connection(fd, l, peer, "max-connections");
		return;
	}
	address = pk_address_hold(pk_net.addresses, peer, pk_net_now());
	if (address != NULL && pk_address_connections(address) >
	    pk_net.settings->max_per_address) {
		pk_address_release(pk_net.addresses, address);
		refuse_connection(fd, l, peer, "max-per-address");
		return;
	}
	c = address != NULL ? pk_conn_new(fd, peer, l) : NULL;
	if (c == NULL) {
		if (address != NULL)
			pk_address_release(pk_net.addresses, address);
		refuse_connection(fd, l, peer, "out of memory");
		return;
	}
	slot_take(c, address);
	pk_net.live++;
	pk_conn_start(c, l);
}

static void
listeners_enable(bool enable)
{
	size_t i;

	for (i = 0; i < pk_net.settings->listens; i++) {
		if (enable)
			event_add(listeners[i].ev, NULL);
		else
			event_del(listeners[i].ev);
	}
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!pk_net.draining)
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
			event_add(pk_net.resume_ev, &second);
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

	event_del(pk_net.auth_ev);
	close(pk_net.auth);
	pk_net.auth = -1;
	for (i = 0; i < pk_net.settings->max_connections; i++) {
		struct conn *c = pk_net.slots[i].conn;

		if (pk_net.slots[i].address != NULL && c != NULL &&
		    c->state == CONN_ASKED)
			pk_conn_verdict(c, PK_LOGIN_TEMPORARY);
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
			s = pk_slot_of(m.verdict.id);
			if (s != NULL && s->conn != NULL &&
			    s->conn->state == CONN_ASKED)
				pk_conn_verdict(s->conn, (enum pk_login_result)
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

	pk_net.draining = true;
	for (i = 0; i < pk_net.settings->listens; i++) {
		evutil_socket_t fd = event_get_fd(listeners[i].ev);

		event_del(listeners[i].ev);
		close(fd);
	}
	pk_net_end_if_drained();
}

static void
released(uint64_t id)
{
	struct slot *s = pk_slot_of(id);

	if (s != NULL && s->claimed) {
		s->claimed = false;
		pk_slot_release(s);
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
			else if (!pk_net.draining)
				drain();
			break;
		case PK_RECEIVED_NOTHING:
			return;
		case PK_RECEIVED_NO_DESCRIPTOR:
		case PK_RECEIVED_END:
		case PK_RECEIVED_NONSENSE:
			event_base_loopbreak(pk_net.base);
			return;
		}
	}
}

/* ---- starting ------------------------------------------------------------------- */

static _Noreturn void
fail(const char *what)
{
	pk_log(PK_LOG_ERR, "%s: %s", what, strerror(errno));
	_exit(1);
}

static void
load_tls(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *errors;

	if (pk_net.settings->tls_certificate == NULL)
		return;
	errors = open_memstream(&text, &size);
	if (errors == NULL)
		fail("out of memory");
	pk_net.tls = pk_tls_new(pk_net.settings, errors);
	fclose(errors);
	if (pk_net.tls == NULL) {
		text[strcspn(text, "\n")] = '\0';
		pk_log(PK_LOG_ERR, "%s", text);
		_exit(1);
	}
	free(text);
}

static void
give_up_privileges(void)
{
	const char *user = pk_net.settings->net_user;
	struct passwd *pw;

	if (geteuid() == 0) {
		pw = getpwnam(user);
		if (pw == NULL) {
			pk_log(PK_LOG_ERR, "user = %s: there is no such "
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
	uint32_t i, n = pk_net.settings->max_connections;

	pk_net.addresses = pk_addresses_new();
	pk_net.slots = calloc(n, sizeof(*pk_net.slots));
	pk_net.free_slots = calloc(n, sizeof(*pk_net.free_slots));
	listeners = calloc(pk_net.settings->listens,
	    sizeof(*listeners));
	if (pk_net.addresses == NULL) {
		pk_log(PK_LOG_ERR, "out of memory, or OpenSSL has no random "
		    "octets (FIPS mode without its provider?)");
		_exit(1);
	}
	if (pk_net.slots == NULL ||
	    pk_net.free_slots == NULL || listeners == NULL)
		fail("out of memory");
	for (i = 0; i < n; i++)
		pk_net.free_slots[i] = n - 1 - i;
	pk_net.free_count = n;
}

static void
make_events(const int *listen_fds)
{
	size_t i;

	pk_net.base = event_base_new();
	if (pk_net.base == NULL)
		fail("event_base_new");
	pk_net.parent_ev = event_new(pk_net.base, pk_net.parent, EV_READ | EV_PERSIST,
	    on_parent, NULL);
	pk_net.auth_ev = event_new(pk_net.base, pk_net.auth, EV_READ | EV_PERSIST,
	    on_auth, NULL);
	pk_net.resume_ev = event_new(pk_net.base, -1, 0, on_resume, NULL);
	for (i = 0; i < pk_net.settings->listens; i++) {
		struct listener *l = &listeners[i];

		l->listen = &pk_net.settings->listen[i];
		l->ev = event_new(pk_net.base, listen_fds[i],
		    EV_READ | EV_PERSIST, on_accept, l);
		if (l->ev == NULL || event_add(l->ev, NULL) != 0)
			fail("listening");
	}
	if (event_add(pk_net.parent_ev, NULL) != 0 ||
	    event_add(pk_net.auth_ev, NULL) != 0 || pk_net.resume_ev == NULL)
		fail("events");
}

void
pk_net_main(const struct pk_settings *settings,
    const struct pk_login_table *table, int parent, int auth,
    const int *listen_fds)
{
	pk_title_set("net");
	pk_net.settings = settings;
	pk_net.parent = parent;
	pk_net.auth = auth;
	pk_net.table = table;
	pk_net.apop = pk_apop_is_available();
	pk_sandbox_null_stdio();
	pk_sandbox_raise_files();
	load_tls();
	make_tables();
	make_events(listen_fds);
	give_up_privileges();
	if (pk_channel_send(parent, PK_MSG_READY, NULL, -1) != 0)
		fail("parent");
	event_base_dispatch(pk_net.base);
	pk_addresses_free(&pk_net.addresses);
	_exit(0);
}
