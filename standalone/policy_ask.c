/*
 * Asking policyd and waiting: see policy_ask.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/policy_ask.h"

static bool
away(struct pk_policy_ask *a, const char *what)
{
	(void)snprintf(a->why, sizeof(a->why), "popkeep-policyd is away: %s: "
	    "%s", a->socket, what);
	return false;
}

static bool
connect_to(struct pk_policy_ask *a)
{
	struct timeval patience = { PK_POLICY_ASK_PATIENCE, 0 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (a->socket[0] == '\0') {
		(void)snprintf(a->why, sizeof(a->why), "popkeep-policyd "
		    "cannot be asked: policy-socket is empty");
		return false;
	}
	if (strlen(a->socket) >= sizeof(sun.sun_path))
		return away(a, strerror(ENAMETOOLONG));
	memcpy(sun.sun_path, a->socket, strlen(a->socket) + 1);
	a->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (a->fd == -1 || setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO,
	    &patience, sizeof(patience)) != 0 || setsockopt(a->fd, SOL_SOCKET,
	    SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
	    connect(a->fd, (struct sockaddr *)&sun, sizeof(sun)) != 0)
		return away(a, strerror(errno));
	return true;
}

struct pk_policy_ask *
pk_policy_ask_open(const char *socket, FILE *errors)
{
	struct pk_policy_ask *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		fprintf(errors, "popkeep: out of memory\n");
		return NULL;
	}
	a->fd = -1;
	a->socket = socket;
	if (!connect_to(a)) {
		fprintf(errors, "popkeep: %s\n", a->why);
		pk_policy_ask_close(&a);
	}
	return a;
}

void
pk_policy_ask_close(struct pk_policy_ask **ap)
{
	if (*ap == NULL)
		return;
	if ((*ap)->fd != -1)
		close((*ap)->fd);
	free(*ap);
	*ap = NULL;
}

void
pk_policy_ask_begin(struct pk_policy_ask *a, struct pk_wire *w,
    enum pk_wire_type type, uint32_t flags)
{
	pk_wire_begin(w, a->out, type, flags, ++a->last_id);
}

static ssize_t
receive(struct pk_policy_ask *a)
{
	ssize_t n;

	do
		n = recv(a->fd, a->in, sizeof(a->in), 0);
	while (n == -1 && errno == EINTR);
	return n;
}

/* An answer that comes after its time is not the one to this question. */
static bool
await(struct pk_policy_ask *a, enum pk_wire_type wanted, struct pk_wire *in_r)
{
	struct pk_wire_head head;
	ssize_t n;

	do {
		n = receive(a);
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			a->silent = true;
			return away(a, "no answer in time");
		}
		if (n <= 0)
			return away(a, n == 0 ? "the connection was closed" :
			    strerror(errno));
		if (!pk_wire_open(in_r, a->in, (size_t)n, &head))
			return away(a, "malformed answer");
	} while (head.id != a->last_id);
	return head.type == wanted || away(a, "unexpected answer");
}

bool
pk_policy_ask_send(struct pk_policy_ask *a, struct pk_wire *w,
    enum pk_wire_type wanted, struct pk_wire *in_r)
{
	ssize_t n;

	if (w->bad)
		return away(a, "the question is too long");
	do
		n = send(a->fd, w->data, w->len, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return away(a, strerror(errno));
	return await(a, wanted, in_r);
}

bool
pk_policy_ask_user(struct pk_policy_ask *a, const char *user,
    const char *rule, struct pk_wire_user_is *answer_r)
{
	struct pk_wire_user m;
	struct pk_wire w, in;

	memset(&m, 0, sizeof(m));
	(void)snprintf(m.user, sizeof(m.user), "%s", user);
	(void)snprintf(m.rule, sizeof(m.rule), "%s", rule);
	pk_policy_ask_begin(a, &w, PK_WIRE_USER, 0);
	pk_wire_put_user(&w, &m);
	return pk_policy_ask_send(a, &w, PK_WIRE_USER_IS, &in) &&
	    (pk_wire_get_user_is(&in, answer_r) ||
	    away(a, "malformed answer"));
}

bool
pk_policy_ask_records(struct pk_policy_ask *a, struct pk_wire *w,
    enum pk_wire_result *result_r)
{
	struct pk_wire in;

	return pk_policy_ask_send(a, w, PK_WIRE_RECORDED, &in) &&
	    (pk_wire_get_recorded(&in, result_r) ||
	    away(a, "malformed answer"));
}

bool
pk_policy_ask_narrow(struct pk_policy_ask *a, const char *user)
{
	enum pk_wire_result result;
	struct pk_wire w;

	pk_policy_ask_begin(a, &w, PK_WIRE_NARROW, 0);
	pk_wire_put_name(&w, user);
	return pk_policy_ask_records(a, &w, &result) &&
	    (result == PK_WIRE_OK || away(a, pk_wire_result_name(result)));
}

bool
pk_policy_ask_done(struct pk_policy_ask *a, enum pk_wire_type type,
    const char *text, struct pk_wire_done *answer_r)
{
	struct pk_wire w, in;

	pk_policy_ask_begin(a, &w, type, 0);
	if (text != NULL)
		pk_wire_put_text(&w, text);
	return pk_policy_ask_send(a, &w, PK_WIRE_DONE, &in) &&
	    (pk_wire_get_done(&in, answer_r) || away(a, "malformed answer"));
}
