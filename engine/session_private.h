/*
 * The inside of a session, shared by session.c, reply.c and one file for each
 * state.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SESSION_PRIVATE_H
#define PK_SESSION_PRIVATE_H

#include <openssl/types.h>

#include "engine/command.h"
#include "engine/session.h"
#include "engine/stuffing.h"
#include "engine/username.h"

enum state {
	AUTHORIZATION = 1 << 0,
	TRANSACTION = 1 << 1,
	UPDATE = 1 << 2,		/* PK_WANT_UPDATE is asked */
	ENDED = 1 << 3,			/* nothing but closing is left */
};

/* Which response of a SASL exchange comes next (RFC 5034 section 4). */
enum sasl_step {
	SASL_NONE,
	SASL_PLAIN,
	SASL_LOGIN_NAME,
	SASL_LOGIN_PASSWORD,
};

/* A reply that is still being written. */
enum reply {
	REPLY_NONE,
	REPLY_GREETING,
	REPLY_LOGIN,		/* of a login that another process verified */
	REPLY_REFUSAL,		/* of a login that failed */
	REPLY_UPDATED,		/* of QUIT after UPDATE */
	REPLY_SCAN,		/* LIST */
	REPLY_UNIQUE_IDS,	/* UIDL */
	REPLY_MESSAGE,		/* RETR, TOP */
	REPLY_LOOK_AHEAD,	/* TOP beyond the limit: does the body fit? */
};

/* A download that is not confirmed yet. */
struct download {
	uint32_t msgno;
	uint64_t end_at;	/* octets of output up to the end of its reply */
	uint64_t horizon;	/* the input octet from which a line confirms */
};

struct pk_hash;			/* hash.c's own */

struct pk_session {
	struct pk_session_settings settings;
	enum state state;
	enum pk_end end;

	/* The line being read; it holds the secret while one is asked about. */
	uint8_t line[PK_LINE_MAX];
	size_t line_len;
	bool line_ready;		/* whole, and not executed yet */
	bool line_too_long;		/* the rest is skipped to its LF */

	/* AUTHORIZATION */
	enum pk_want question;		/* unanswered, or PK_WANT_INPUT */
	enum sasl_step sasl;
	uint8_t user[PK_USERNAME_MAX];	/* of USER, or of AUTH LOGIN */
	size_t user_len;		/* 0: none given */
	struct pk_credential credential;
	enum pk_login_result refused;	/* what REPLY_REFUSAL says */
	unsigned failures;

	/* TRANSACTION */
	struct pk_maildrop *md;
	uint8_t *events;		/* bits of enum pk_event, per message */
	uint32_t count;			/* messages, marked ones too */
	uint32_t kept;			/* messages not marked */
	uint64_t kept_octets;
	uint32_t left;			/* what UPDATE could not remove */
	struct pk_session_totals totals;

	/*
	 * Octets in all: taken and written before this run, and at its end if
	 * it uses up io->in and io->out.
	 */
	uint64_t in_total, out_total;
	uint64_t in_end, out_end;
	uint64_t in_given;		/* ever given: taken, or to come again */

	/* Each message once at most, in the order of the replies. */
	struct download *downloads;
	size_t download_room, download_count;
	size_t settled;			/* those that _waiting() has seen */
	size_t confirmed;		/* the first ones, which are done with */

	struct pk_hash *hashes;		/* of each message; NULL: none yet */
	EVP_MD_CTX *hash_ctx;

	/* The reply being written. */
	enum reply reply;
	uint32_t next;			/* message number, in a listing */
	uint32_t msgno;			/* of RETR or TOP */
	uint64_t announced;		/* octets, by RETR */
	uint32_t lines;			/* as TOP asks for */
	size_t share;			/* octets this run may still look ahead */
	struct pk_stuffing stuffing;
	struct pk_top top;
	bool is_top;
	bool hashing;			/* the message, as it is sent */
	bool body_done;
	bool cut;			/* octets after the last line wanted */
};

/* ---- reply.c: everything that is written -------------------------------- */

/* One status line without its CRLF; its callers bound every argument. */
void pk_reply_say(struct pk_io *io, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Append octets that are known to fit. */
void pk_reply_put(struct pk_io *io, const void *data, size_t len);

/* Go on with s->reply; true: it is whole.  false: more room is needed. */
bool pk_reply_continue(struct pk_session *s, struct pk_io *io);

/* Is APOP accepted on this connection, now or after STLS? */
bool pk_session_offers_apop(const struct pk_session *s);

/* ---- the handlers of the commands --------------------------------------- */

/*
 * A handler writes a status line (there is room for one), or sets s->reply, or
 * sets s->question.  Its argument rule has been checked.
 */
typedef void pk_handler(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io);

/* authorization.c */
pk_handler pk_do_apop, pk_do_auth, pk_do_pass, pk_do_stls, pk_do_user;

/* A line of a SASL exchange that is under way. */
void pk_sasl_response(struct pk_session *s, struct pk_span line,
    struct pk_io *io);

/* transaction.c */
pk_handler pk_do_dele, pk_do_list, pk_do_retr, pk_do_rset, pk_do_stat,
    pk_do_top, pk_do_uidl;

/*
 * TOP of s->msgno, with s->lines of the body: the status line, and s->reply is
 * set; or the line that refuses, and s->reply is as it was.
 */
void pk_top_begin(struct pk_session *s, struct pk_io *io);

/* Begin TRANSACTION with md.  PK_ERR_NOMEM: nothing has changed. */
enum pk_err pk_transaction_begin(struct pk_session *s,
    struct pk_maildrop *md) PK_WARN_UNUSED;

/* ---- confirm.c: octets counted, downloads confirmed --------------------- */

/* Before and after anything is taken from io->in or written to io->out. */
void pk_confirm_run_begins(struct pk_session *s, const struct pk_io *io);
void pk_confirm_run_ends(struct pk_session *s, const struct pk_io *io);

/* RETR of s->msgno has written its last octet, and all that it announced. */
void pk_confirm_sent(struct pk_session *s, const struct pk_io *io);

/* The next octet of io->in, which is there, begins a line. */
void pk_confirm_line(struct pk_session *s, const struct pk_io *io);

/* ---- hash.c: SHA-256 of what is sent ------------------------------------ */

/* RETR of s->msgno begins: s->hashing from now on, if that can be. */
void pk_hash_begin(struct pk_session *s);

/*
 * Octets as they are sent, while s->hashing; in_line: the first of
 * them does not begin a line.
 */
void pk_hash_add(struct pk_session *s, const uint8_t *data, size_t len,
    bool in_line);

/*
 * Its last octet was sent, while s->hashing: the hash is known if these were
 * all that RETR had announced.
 */
void pk_hash_end(struct pk_session *s);

void pk_hash_free(struct pk_session *s);

#endif
