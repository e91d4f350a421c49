/*
 * Asking policyd: see popkeep-ask.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-ask.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct connection {
	char *socket;			/* NULL: not connected */
	uid_t uid;
	int fd;
	/* It has let a question time out: the next one does not wait. */
	time_t silent_until;
};

struct popkeep_ask {
	char *socket;
	uint32_t last_id;		/* of its last question */
	struct connection *conn;	/* the process's, or its own */
	struct connection own;
};

/* Of the question and of the answer; there is one at a time. */
static uint8_t ask_out[PK_WIRE_MAX], ask_in[PK_WIRE_MAX + 1];

/* No two questions of a process have the same. */
static uint32_t question_id;

/*
 * The connection of the process: sessions ask one after the other, each question
 * to its end.  policyd knows its peers by the uid that they had when they
 * connected, so another uid has another connection.
 */
static struct connection shared;

static struct popkeep_ask *ask_alloc(const char *socket)
{
	struct popkeep_ask *ask = i_new(struct popkeep_ask, 1);

	ask->socket = i_strdup(socket);
	return ask;
}

struct popkeep_ask *popkeep_ask_init(const char *socket)
{
	struct popkeep_ask *ask = ask_alloc(socket);

	ask->conn = &shared;
	return ask;
}

struct popkeep_ask *popkeep_ask_init_own(const char *socket)
{
	struct popkeep_ask *ask = ask_alloc(socket);

	ask->conn = &ask->own;
	return ask;
}

static void disconnect(struct connection *conn)
{
	if (conn->socket == NULL)
		return;
	i_free(conn->socket);
	if (conn->fd != -1)
		i_close_fd(&conn->fd);
}

void popkeep_ask_deinit(struct popkeep_ask **_ask)
{
	struct popkeep_ask *ask = *_ask;

	if (ask == NULL)
		return;
	*_ask = NULL;
	disconnect(&ask->own);
	i_free(ask->socket);
	i_free(ask);
}

void popkeep_ask_disconnect(void)
{
	disconnect(&shared);
}

static bool is_connected(const struct popkeep_ask *ask)
{
	const struct connection *conn = ask->conn;

	return conn->socket != NULL && (conn == &ask->own ||
		(conn->uid == geteuid() &&
		 strcmp(conn->socket, ask->socket) == 0));
}

static int fail(struct popkeep_ask *ask, const char *what,
		const char **error_r)
{
	*error_r = t_strdup_printf("popkeep-policyd is away: %s: %s",
				   ask->socket, what);
	disconnect(ask->conn);
	return -1;
}

static int connect_to(struct popkeep_ask *ask, const char **error_r)
{
	struct timeval patience = { POPKEEP_ASK_PATIENCE, 0 };
	struct connection *conn = ask->conn;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (is_connected(ask))
		return 0;
	if (time(NULL) < conn->silent_until)
		return fail(ask, "it did not answer a moment ago", error_r);
	if (i_strocpy(sun.sun_path, ask->socket, sizeof(sun.sun_path)) < 0)
		return fail(ask, strerror(ENAMETOOLONG), error_r);
	disconnect(conn);
	conn->socket = i_strdup(ask->socket);
	conn->uid = geteuid();
	conn->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (conn->fd == -1 ||
	    setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(conn->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return fail(ask, strerror(errno), error_r);
	return 0;
}

void popkeep_ask_begin(struct popkeep_ask *ask, struct pk_wire *w,
		       enum pk_wire_type type, uint32_t flags)
{
	ask->last_id = ++question_id;
	pk_wire_begin(w, ask_out, type, flags, ask->last_id);
}

static int send_packet(struct popkeep_ask *ask, const struct pk_wire *w,
		       const char **error_r)
{
	ssize_t n;

	if (w->bad)
		return fail(ask, "the question is too long", error_r);
	if (connect_to(ask, error_r) < 0)
		return -1;
	do {
		n = send(ask->conn->fd, w->data, w->len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? fail(ask, strerror(errno), error_r) : 0;
}

/* A connection that was kept may have been closed since: once more, then. */
static int send_anew(struct popkeep_ask *ask, const struct pk_wire *w,
		     const char **error_r)
{
	bool old = is_connected(ask);

	if (send_packet(ask, w, error_r) == 0)
		return 0;
	return old && !w->bad ? send_packet(ask, w, error_r) : -1;
}

static int receive(struct popkeep_ask *ask, enum pk_wire_type wanted,
		   struct pk_wire *in_r, const char **error_r)
{
	struct pk_wire_head head;
	ssize_t n;

	do {
		do {
			n = recv(ask->conn->fd, ask_in, sizeof(ask_in), 0);
		} while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EAGAIN) {
			ask->conn->silent_until = time(NULL) + POPKEEP_ASK_PATIENCE;
			return fail(ask, "no answer in time", error_r);
		}
		if (n < 0)
			return fail(ask, strerror(errno), error_r);
		if (n == 0)
			return fail(ask, "it closed the connection", error_r);
		if (!pk_wire_open(in_r, ask_in, (size_t)n, &head))
			return fail(ask, "malformed answer", error_r);
	} while (head.id != ask->last_id);
	if (head.type != wanted)
		return fail(ask, "unexpected answer", error_r);
	return 0;
}

int popkeep_ask_send(struct popkeep_ask *ask, struct pk_wire *w,
		     enum pk_wire_type wanted, struct pk_wire *in_r,
		     const char **error_r)
{
	if (send_anew(ask, w, error_r) < 0)
		return -1;
	return receive(ask, wanted, in_r, error_r);
}

int popkeep_ask_tell(struct popkeep_ask *ask, struct pk_wire *w,
		     const char **error_r)
{
	return send_anew(ask, w, error_r);
}

int popkeep_ask_records(struct popkeep_ask *ask, struct pk_wire *w,
			enum pk_wire_result *result_r, const char **error_r)
{
	struct pk_wire in;

	if (popkeep_ask_send(ask, w, PK_WIRE_RECORDED, &in, error_r) < 0)
		return -1;
	if (!pk_wire_get_recorded(&in, result_r))
		return fail(ask, "malformed answer", error_r);
	return 0;
}
