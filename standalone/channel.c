/*
 * Messages between the roles: see channel.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "standalone/channel.h"

/* Octets of a type whose variable tail is full: without padding after it. */
#define FULL(type, tail) \
	(offsetof(struct type, tail) + sizeof(((struct type *)0)->tail))

/*
 * The form of each type: octets before a variable tail, octets at most, and
 * whether a descriptor comes with it.
 */
static const struct form {
	size_t least, most;
	bool fd_required, fd_allowed;
} forms[PK_MSG_TYPES] = {
	[PK_MSG_READY] = { 0, 0, false, false },
	[PK_MSG_LOG] = { offsetof(struct pk_msg_log, text) + 1,
	    FULL(pk_msg_log, text), false, false },
	[PK_MSG_LOGIN] = { offsetof(struct pk_msg_login, secret),
	    FULL(pk_msg_login, secret), false, false },
	[PK_MSG_VERDICT] = { sizeof(struct pk_msg_verdict),
	    sizeof(struct pk_msg_verdict), false, false },
	[PK_MSG_CHECKED] = { sizeof(struct pk_msg_checked),
	    sizeof(struct pk_msg_checked), false, true },
	[PK_MSG_APPROVAL] = { sizeof(struct pk_msg_approval),
	    sizeof(struct pk_msg_approval), false, true },
	[PK_MSG_CLAIM] = { offsetof(struct pk_msg_claim, leftover),
	    FULL(pk_msg_claim, leftover), true, true },
	[PK_MSG_OPEN] = { offsetof(struct pk_msg_open, leftover),
	    FULL(pk_msg_open, leftover), true, true },
	[PK_MSG_CLOSED] = { sizeof(struct pk_msg_closed),
	    sizeof(struct pk_msg_closed), false, false },
	[PK_MSG_RELEASED] = { sizeof(struct pk_msg_released),
	    sizeof(struct pk_msg_released), false, false },
	[PK_MSG_DRAIN] = { 0, 0, false, false },
	[PK_MSG_TABLE] = { 0, 0, true, true },
	[PK_MSG_RELOAD] = { sizeof(struct pk_msg_reload),
	    sizeof(struct pk_msg_reload), false, false },
	[PK_MSG_PEER] = { sizeof(struct pk_msg_peer),
	    sizeof(struct pk_msg_peer), true, true },
	[PK_MSG_POLICY] = { 0, 0, true, true },
	[PK_MSG_FIGURES] = { sizeof(struct pk_msg_figures),
	    sizeof(struct pk_msg_figures), false, false },
};

const char *
pk_session_end_name(enum pk_session_end end)
{
	static const char *const names[PK_SESSION_ENDS] = {
		[PK_ENDED_QUIT] = "quit",
		[PK_ENDED_UPDATE_FAILED] = "update-failed",
		[PK_ENDED_DROPPED] = "dropped",
		[PK_ENDED_IDLE] = "idle",
		[PK_ENDED_TAKEOVER] = "takeover",
		[PK_ENDED_READ_ERROR] = "read-error",
		[PK_ENDED_IN_USE] = "in-use",
		[PK_ENDED_UNAVAILABLE] = "unavailable",
		[PK_ENDED_TOO_EARLY] = "login-delay",
		[PK_ENDED_SHUTDOWN] = "shutdown",
		[PK_ENDED_CRASHED] = "crashed",
	};

	return names[end];
}

int
pk_channel_pair(int fds[2], bool nonblock)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    (nonblock ? SOCK_NONBLOCK : 0), 0, fds);
}

void
pk_channel_make_room(int fd)
{
	int octets = PK_CHANNEL_ROOM;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets,
	    sizeof(octets)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets,
		    sizeof(octets));
}

/* Octets of a message, its tail included. */
static size_t
length_of(enum pk_msg_type type, const union pk_msg *m)
{
	size_t len = forms[type].least;

	switch (type) {
	case PK_MSG_LOG:
		return len + strnlen(m->log.text, sizeof(m->log.text) - 1);
	case PK_MSG_LOGIN:
		return len + m->login.secret_len;
	case PK_MSG_CLAIM:
		return len + m->claim.leftover_len;
	case PK_MSG_OPEN:
		return len + m->open.leftover_len;
	case PK_MSG_READY:
	case PK_MSG_VERDICT:
	case PK_MSG_CHECKED:
	case PK_MSG_APPROVAL:
	case PK_MSG_CLOSED:
	case PK_MSG_RELEASED:
	case PK_MSG_DRAIN:
	case PK_MSG_TABLE:
	case PK_MSG_RELOAD:
	case PK_MSG_PEER:
	case PK_MSG_POLICY:
	case PK_MSG_FIGURES:
		break;
	}
	return len;
}

int
pk_channel_send(int fd, enum pk_msg_type type, const void *msg, int pass)
{
	uint32_t head = (uint32_t)type;
	struct iovec iov[2] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)msg,
		    .iov_len = length_of(type, msg) },
	};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	if (iov[1].iov_len > forms[type].most) {
		errno = EMSGSIZE;
		return -1;
	}
	if (pass != -1) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int
pk_channel_send_patiently(int fd, enum pk_msg_type type, const void *msg,
    int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (pk_channel_send(fd, type, msg, -1) == 0)
		return 0;
	return errno == EAGAIN && poll(&p, 1, ms) == 1 ?
	    pk_channel_send(fd, type, msg, -1) : -1;
}

/* Does text hold a NUL within its size? */
#define IS_STRING(text) (memchr((text), '\0', sizeof(text)) != NULL)

static bool
account_is_sound(const struct pk_account *a)
{
	return IS_STRING(a->user) && IS_STRING(a->rule) &&
	    IS_STRING(a->maildir) && IS_STRING(a->retained);
}

/* The tail must be as long as its length field says, and strings must end. */
static bool
is_sound(enum pk_msg_type type, union pk_msg *m, size_t len)
{
	size_t tail = len - forms[type].least;

	switch (type) {
	case PK_MSG_LOG:
		m->log.text[tail] = '\0';
		return m->log.level <= PK_LOG_INFO;
	case PK_MSG_LOGIN:
		return m->login.secret_len == tail &&
		    m->login.secret_len < sizeof(m->login.secret) &&
		    m->login.user_len < sizeof(m->login.user) &&
		    m->login.mech < PK_MECHANISMS && m->login.tls <= 1 &&
		    IS_STRING(m->login.challenge) && IS_STRING(m->login.rhost);
	case PK_MSG_VERDICT:
		return m->verdict.result < PK_LOGIN_RESULTS;
	case PK_MSG_CHECKED:
		return m->checked.result < PK_LOGIN_RESULTS &&
		    IS_STRING(m->checked.reason) &&
		    account_is_sound(&m->checked.account);
	case PK_MSG_APPROVAL:
		return m->approval.mech < PK_MECHANISMS &&
		    m->approval.tls <= 1 &&
		    IS_STRING(m->approval.session) &&
		    IS_STRING(m->approval.rhost) &&
		    account_is_sound(&m->approval.account);
	case PK_MSG_CLAIM:
		return m->claim.leftover_len == tail;
	case PK_MSG_OPEN:
		return m->open.leftover_len == tail &&
		    m->open.mech < PK_MECHANISMS && m->open.tls <= 1 &&
		    IS_STRING(m->open.session) && IS_STRING(m->open.rhost) &&
		    account_is_sound(&m->open.account);
	case PK_MSG_PEER:
		return m->peer.trusted <= 1 && IS_STRING(m->peer.only);
	case PK_MSG_RELOAD:
		return m->reload.fold <= 1 && m->reload.has_virtual_uid <= 1 &&
		    m->reload.has_login_uid <= 1 &&
		    m->reload.group_refresh > 0 &&
		    m->reload.audit_seal > 0 &&
		    m->reload.audit_keep >= 0 &&
		    IS_STRING(m->reload.default_domain);
	case PK_MSG_CLOSED:
		return m->closed.end < PK_SESSION_ENDS;
	case PK_MSG_READY:
	case PK_MSG_RELEASED:
	case PK_MSG_DRAIN:
	case PK_MSG_TABLE:
	case PK_MSG_POLICY:
	case PK_MSG_FIGURES:
		return true;
	}
	return false;
}

/* Take descriptors out of mh: one at most is kept, others are closed. */
static int
take_descriptor(struct msghdr *mh, bool *extra_r)
{
	struct cmsghdr *c;
	int kept = -1;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		size_t i, n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(fd));
			if (kept == -1) {
				kept = fd;
			} else {
				close(fd);
				*extra_r = true;
			}
		}
	}
	return kept;
}

enum pk_received
pk_channel_recv(int fd, unsigned permitted, enum pk_msg_type *type_r,
    union pk_msg *msg, int *pass_r)
{
	uint32_t head;
	struct iovec iov[2] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = msg, .iov_len = sizeof(*msg) },
	};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2,
	    .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	bool bad = false, lost;
	size_t len;
	int pass;

	/* The peer ended with input unread: what it said before is still there. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ?
		    PK_RECEIVED_NOTHING : PK_RECEIVED_END;
	pass = take_descriptor(&mh, &bad);
	if (n == 0) {
		if (pass != -1)
			close(pass);
		return PK_RECEIVED_END;
	}
	len = (size_t)n - sizeof(head);
	/* The descriptor did not fit our table: that is not the peer's fault. */
	lost = pass == -1 && (mh.msg_flags & MSG_CTRUNC) != 0;
	if (bad || (mh.msg_flags & MSG_TRUNC) != 0 ||
	    ((mh.msg_flags & MSG_CTRUNC) != 0 && !lost) ||
	    (size_t)n < sizeof(head) || head >= PK_MSG_TYPES ||
	    (PK_MSG_BIT(head) & permitted) == 0 ||
	    len < forms[head].least || len > forms[head].most ||
	    (lost && !forms[head].fd_allowed) ||
	    (pass == -1 && !lost && forms[head].fd_required) ||
	    (pass != -1 && !forms[head].fd_allowed) ||
	    !is_sound((enum pk_msg_type)head, msg, len)) {
		if (pass != -1)
			close(pass);
		return PK_RECEIVED_NONSENSE;
	}
	*type_r = (enum pk_msg_type)head;
	*pass_r = pass;
	return lost ? PK_RECEIVED_NO_DESCRIPTOR : PK_RECEIVED;
}
