/*
 * Messages between the roles of popkeepd: SOCK_SEQPACKET pairs, one struct per
 * message type, lengths checked on both sides, a descriptor attached where the
 * type has one.  Each receiver says which types a peer may send now; anything
 * else ends that peer.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_CHANNEL_H
#define PK_CHANNEL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/apop.h"
#include "engine/audit.h"
#include "engine/command.h"
#include "engine/login.h"
#include "engine/session.h"
#include "engine/username.h"

#define PK_ADDRESS_SIZE	46	/* INET6_ADDRSTRLEN: numeric, with a NUL */
#define PK_LEFTOVER_MAX	2048	/* octets of pipelined input that travel along */
#define PK_PATH_SIZE	1024	/* of a Maildir, with a NUL */
#define PK_LOG_SIZE	768	/* one line for the log, with a NUL */

enum pk_msg_type {
	PK_MSG_READY,		/* any role -> parent: it has started */
	PK_MSG_LOG,		/* any role -> parent: one line */
	PK_MSG_LOGIN,		/* net -> auth, auth -> helper: check this */
	PK_MSG_VERDICT,		/* auth -> net: the result of a LOGIN */
	PK_MSG_CHECKED,		/* helper -> auth: the result of a LOGIN */
	PK_MSG_APPROVAL,	/* auth -> parent: this login may have this uid */
	PK_MSG_CLAIM,		/* net -> parent: the descriptor of a login */
	PK_MSG_OPEN,		/* parent -> session: serve this */
	PK_MSG_CLOSED,		/* session -> parent: a session has ended */
	PK_MSG_RELEASED,	/* parent -> net: a session has ended */
	PK_MSG_DRAIN,		/* parent -> net: accept no more, end when idle */
	PK_MSG_TABLE,		/* policyd -> parent: what net and auth must know */
	PK_MSG_RELOAD,		/* parent -> policyd: read the policy again */
	PK_MSG_PEER,		/* parent -> policyd: somebody who asks */
	PK_MSG_POLICY,		/* parent -> auth, session: a channel to policyd */
	PK_MSG_FIGURES,		/* parent -> policyd: for its metrics */
};
#define PK_MSG_TYPES 16

/* A bit per type, for the set that a peer may send. */
#define PK_MSG_BIT(type) (1u << (type))

/* Log levels: who must act (syslog(3) values are chosen in log.c). */
enum pk_level {
	PK_LOG_ERR,		/* the administrator must act */
	PK_LOG_WARNING,		/* degraded */
	PK_LOG_NOTICE,		/* security-relevant decision */
	PK_LOG_INFO,		/* totals */
};

struct pk_msg_log {
	uint32_t level;			/* enum pk_level */
	char text[PK_LOG_SIZE];		/* sent up to its NUL */
};

/* One attempt to log in.  id is the sender's, unique for its life. */
struct pk_msg_login {
	uint64_t id;
	uint32_t mech;			/* enum pk_mechanism */
	uint32_t tls;			/* 0 or 1 */
	uint16_t user_len;
	uint16_t secret_len;
	char user[PK_USERNAME_SIZE];	/* as typed, then canonical */
	char challenge[PK_APOP_CHALLENGE_SIZE];
	char rhost[PK_ADDRESS_SIZE];
	char secret[PK_LINE_MAX];	/* sent up to secret_len */
};

struct pk_msg_verdict {
	uint64_t id;
	uint32_t result;		/* enum pk_login_result */
};

/* Where a login leads: whose uid, whose mail. */
struct pk_account {
	uint32_t uid, gid;
	char user[PK_USERNAME_SIZE];	/* canonical */
	char rule[PK_POLICY_NAME_SIZE];	/* named by a users file; "": none */
	char maildir[PK_PATH_SIZE];
	char retained[PK_PATH_SIZE];	/* the Retained place */
};

/* With a descriptor: the session process that pam-session has begun. */
struct pk_msg_checked {
	uint64_t id;
	uint32_t result;
	char reason[128];		/* for the log */
	struct pk_account account;	/* with PK_LOGIN_OK */
};

struct pk_msg_approval {
	uint64_t id;
	uint32_t mech;
	uint32_t tls;
	char session[PK_AUDIT_SESSION_SIZE];	/* its id in log and records */
	char rhost[PK_ADDRESS_SIZE];
	struct pk_account account;
};

struct pk_msg_claim {
	uint64_t id;
	uint32_t leftover_len;
	uint8_t leftover[PK_LEFTOVER_MAX];	/* sent up to leftover_len */
};

struct pk_msg_open {
	uint64_t id;
	uint32_t mech;			/* enum pk_mechanism */
	uint32_t tls;
	uint32_t leftover_len;
	char session[PK_AUDIT_SESSION_SIZE];	/* for log and records */
	char rhost[PK_ADDRESS_SIZE];
	struct pk_account account;
	uint8_t leftover[PK_LEFTOVER_MAX];	/* sent up to leftover_len */
};

struct pk_msg_closed {
	uint64_t id;
	uint32_t end;			/* enum pk_session_end */
	uint32_t messages;
	uint32_t retr, top, dele, left;
	uint64_t octets;
};

/* How a session ended, as its process saw it. */
enum pk_session_end {
	PK_ENDED_QUIT,
	PK_ENDED_UPDATE_FAILED,
	PK_ENDED_DROPPED,		/* the client went away */
	PK_ENDED_IDLE,			/* autologout (RFC 1939 section 3) */
	PK_ENDED_TAKEOVER,		/* silent, and its user logged in again */
	PK_ENDED_READ_ERROR,		/* a message could not be read whole */
	PK_ENDED_IN_USE,		/* refused: another session has the lock */
	PK_ENDED_UNAVAILABLE,		/* refused: the maildrop cannot be opened */
	PK_ENDED_TOO_EARLY,		/* refused: login-delay */
	PK_ENDED_SHUTDOWN,		/* popkeepd stopped */
	PK_ENDED_CRASHED,		/* its process died (parent's own word) */
};
#define PK_SESSION_ENDS 11

/* "quit", "update-failed", ...: as log and metrics spell it. */
const char *pk_session_end_name(enum pk_session_end end);

/* Of the parent's life; open and processes: now. */
struct pk_msg_figures {
	uint32_t open, processes;
	uint64_t ended[PK_SESSION_ENDS];
	uint64_t retr, top, dele;	/* messages */
	uint64_t octets;		/* sent after login */
};

struct pk_msg_released {
	uint64_t id;			/* of the CLAIM */
};

/* What policyd takes over without being started anew. */
struct pk_msg_reload {
	uint32_t fold;			/* 0 or 1; see engine/username.h */
	char detail;			/* NUL: none */
	char default_domain[PK_USERNAME_SIZE];	/* "": none */
	uint32_t has_virtual_uid;	/* 0 or 1 */
	uint32_t virtual_uid;
	uint32_t has_login_uid;		/* 0 or 1 */
	uint32_t login_uid;
	uint32_t group_refresh;		/* seconds */
	uint32_t audit_seal;		/* seconds */
	uint64_t audit_rotate;		/* octets; 0: never */
	int64_t audit_keep;		/* seconds; 0: for ever */
};

/* With a descriptor: the other end of its channel. */
struct pk_msg_peer {
	uint32_t uid;			/* that it runs as */
	uint32_t trusted;		/* 0 or 1: it may record logins */
	int32_t pid;
	char only[PK_USERNAME_SIZE];	/* the user it may name; "": any */
};

/* Room for any message. */
union pk_msg {
	struct pk_msg_log log;
	struct pk_msg_login login;
	struct pk_msg_verdict verdict;
	struct pk_msg_checked checked;
	struct pk_msg_approval approval;
	struct pk_msg_claim claim;
	struct pk_msg_open open;
	struct pk_msg_closed closed;
	struct pk_msg_released released;
	struct pk_msg_peer peer;
	struct pk_msg_reload reload;
	struct pk_msg_figures figures;
};

/*
 * Make a connected pair, close-on-exec; nonblocking where asked for.
 * 0, or -1 and errno.
 */
int pk_channel_pair(int fds[2], bool nonblock)
    __attribute__((__warn_unused_result__));

/*
 * Octets that may wait in a channel of logins: a message of each of some 10,000
 * clients that log in at the same instant, for none has more than one on its
 * way.
 */
#define PK_CHANNEL_ROOM	(24 * 1024 * 1024)

/*
 * Let so much of what is sent at fd wait; without CAP_NET_ADMIN no more than
 * net.core.wmem_max.  See socket(7).
 */
void pk_channel_make_room(int fd);

/*
 * Send a message of type, with descriptor pass if it is not -1 (it stays the
 * caller's).  The length follows from the type and the message's own length
 * field.  0, or -1 and errno: EAGAIN where the peer does not keep up.
 */
int pk_channel_send(int fd, enum pk_msg_type type, const void *msg, int pass)
    __attribute__((__warn_unused_result__));

/*
 * The same without a descriptor, and if the peer does not keep up, once more
 * after it has for up to ms milliseconds been waited for.  0, or -1.
 */
int pk_channel_send_patiently(int fd, enum pk_msg_type type, const void *msg,
    int ms) __attribute__((__warn_unused_result__));

enum pk_received {
	PK_RECEIVED,		/* *type_r, *msg, *pass_r (-1: none) are set */
	PK_RECEIVED_NOTHING,	/* EAGAIN or EINTR */
	PK_RECEIVED_NO_DESCRIPTOR,	/* well-formed, but we had none free */
	PK_RECEIVED_END,	/* the peer is gone */
	PK_RECEIVED_NONSENSE,	/* not permitted, or not well-formed: end it */
};

/*
 * Receive one message of a type in permitted (PK_MSG_BIT()).  Strings in it
 * are NUL-terminated and lengths within their arrays.  A descriptor that the
 * type does not have is closed, and nonsense.
 */
enum pk_received pk_channel_recv(int fd, unsigned permitted,
    enum pk_msg_type *type_r, union pk_msg *msg, int *pass_r)
    __attribute__((__warn_unused_result__));

#endif
