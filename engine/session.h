/*
 * The POP3 session (RFC 1939, 2449, 2595, 3206, 5034): octets in, octets out,
 * and questions to the wrapper.  It reads no clock, socket or file.
 *
 * A wrapper calls pk_session_run() with what the client sent and with room for
 * the answer, sends what was written, answers the question if there is one,
 * and calls again.  One session object goes through every state, or one
 * process runs AUTHORIZATION and another, with an object of its own, the rest.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SESSION_H
#define PK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/login.h"
#include "engine/maildrop.h"
#include "engine/policy.h"
#include "engine/span.h"

/* Least room for output: a status line (RFC 1939 section 3: 512 octets). */
#define PK_REPLY_MAX 512

struct pk_session;

/*
 * What CAPA says of the policy (RFC 2449 sections 6.5 and 6.7).  Before login
 * a value that varies with the user is shown with USER; after login it is the
 * user's own.
 */
struct pk_capa_policy {
	int64_t expire_days;		/* EXPIRE; -1: NEVER */
	bool expire_varies;
	uint32_t login_delay;		/* LOGIN-DELAY in seconds */
	bool login_delay_varies;	/* LOGIN-DELAY 0 is then shown too */
};

/*
 * How a session begins; copied, but the strings and *capa must outlive the
 * session.
 */
struct pk_session_settings {
	const char *host;		/* name in the greeting */
	const char *implementation;	/* for CAPA; NULL: withheld */
	/*
	 * The banner timestamp "<...>"; NULL: no APOP.  Shown, and APOP
	 * accepted, only as apop allows.
	 */
	const char *challenge;
	enum pk_allow apop;
	enum pk_allow passwords;	/* USER/PASS, AUTH PLAIN and LOGIN */
	bool tls;			/* TLS is active from the first octet */
	bool stls;			/* STLS can be had */
	unsigned max_failures;		/* logins refused before closing; 0: any */
	/*
	 * Lines of the body that TOP may ask for, or PK_TOP_*: mind that 0 is
	 * PK_TOP_HEADERS.  A TOP that asks for more is answered only where the
	 * whole body has no more lines, and else refused.
	 */
	uint32_t top;
	const struct pk_capa_policy *capa;	/* NULL: EXPIRE NEVER alone */
	bool hash;			/* RETR finds _sha256() out */
};

/* The octets of one call; run() moves the pointers and lowers the lengths. */
struct pk_io {
	const uint8_t *in;	/* from the client */
	size_t in_len;
	uint8_t *out;		/* room for the client's octets */
	size_t out_len;		/* at least PK_REPLY_MAX to make progress */
	uint8_t *scratch;	/* for reading messages; contents not kept */
	size_t scratch_len;	/* larger than 0 if a maildrop is open */
	/*
	 * Octets of output, of all that this session object has written, that
	 * had left every queue that the wrapper can see when in was read: one
	 * value for all of in, and for input given again that of the time when
	 * it was read.  Too small a value is safe, 0 always is.
	 */
	uint64_t left;
};

enum pk_want {
	PK_WANT_INPUT,		/* everything is answered; more octets, please */
	PK_WANT_OUTPUT,		/* send what is written and come with room */
	PK_WANT_LOGIN,		/* answer with _login_ok() or _login_failed() */
	PK_WANT_TLS,		/* send all, start TLS, _tls_started() */
	PK_WANT_UPDATE,		/* QUIT: decide by _events(), then _updated() */
	PK_WANT_CLOSE,		/* send all, then close the connection */
};

/* Why a session ends, for the log. */
enum pk_end {
	PK_END_NONE = 0,	/* it has not ended by itself: the wrapper knows */
	PK_END_QUIT,		/* QUIT, and UPDATE left nothing behind */
	PK_END_UPDATE_FAILED,	/* QUIT, but not all could be removed */
	PK_END_FAILURES,	/* too many refused logins */
	PK_END_READ,		/* a message could not be read to its end */
};

/* What happened to a message in a session: bits. */
enum pk_event {
	PK_EVENT_DELE = 1 << 0,		/* marked, and no RSET since */
	PK_EVENT_SENT = 1 << 1,		/* RETR wrote all octets announced */
	PK_EVENT_CONFIRMED = 1 << 2,	/* that download is confirmed */
	PK_EVENT_TOP_WHOLE = 1 << 3,	/* TOP wrote every line of the body */
};

/* What a session did, for the log. */
struct pk_session_totals {
	uint32_t retr, top;	/* messages sent to their end */
	uint32_t dele;		/* DELE since the last RSET */
	uint64_t octets;		/* of messages, as LIST counts them */
};

/*
 * A session in the AUTHORIZATION state whose greeting is the first output.
 * NULL: out of memory.
 */
struct pk_session *pk_session_new(const struct pk_session_settings *settings)
    PK_WARN_UNUSED;

/*
 * A session that was authenticated elsewhere: TRANSACTION state, and the first
 * output answers that login (+OK with the drop listing, as PASS does).  The
 * maildrop is borrowed until _free().  NULL: out of memory.
 */
struct pk_session *pk_session_new_transaction(
    const struct pk_session_settings *settings, struct pk_maildrop *md)
    PK_WARN_UNUSED;

/* Wipe and free *sp and set it to NULL; *sp may be NULL. */
void pk_session_free(struct pk_session **sp);

/*
 * Execute commands from io->in and write replies to io->out, in order, until
 * the session wants something.  Input that it did not consume is given again.
 * With PK_WANT_OUTPUT there may be nothing to send: a long message is looked
 * through in pieces, so that the wrapper can serve others in between.
 * With PK_WANT_TLS all input is consumed: what a client sent in clear after
 * STLS is discarded (RFC 2595 section 4), and so must what was not yet read.
 */
enum pk_want pk_session_run(struct pk_session *s, struct pk_io *io);

/* After PK_WANT_LOGIN: the attempt.  Valid until it is answered. */
const struct pk_credential *pk_session_credential(const struct pk_session *s);

/*
 * Answer PK_WANT_LOGIN.  The stored credential is wiped.  _failed(): result is
 * not PK_LOGIN_OK, and the reply is written by the next run (the wrapper may
 * delay that).  _ok(): the session enters TRANSACTION with md, as
 * pk_session_new_transaction() does; PK_ERR_NOMEM: call _failed() instead.
 */
void pk_session_login_failed(struct pk_session *s,
    enum pk_login_result result);
enum pk_err pk_session_login_ok(struct pk_session *s, struct pk_maildrop *md)
    PK_WARN_UNUSED;

/* Answer PK_WANT_TLS: the handshake is done; what was typed before is forgotten. */
void pk_session_tls_started(struct pk_session *s);

/*
 * The events of each message, as bits of enum pk_event: of message msgno at
 * [msgno - 1].  Valid until _free(), in the UPDATE state and after a connection
 * was lost as well; NULL before TRANSACTION.
 */
const uint8_t *pk_session_events(const struct pk_session *s);

/*
 * The SHA-256 of message msgno as RETR sent all that it had announced: every
 * line with CRLF, before dots are doubled, without the final dot.  Valid until
 * _free().  NULL: it is not known, or s is NULL.
 */
#define PK_SHA256_LEN 32
const uint8_t *pk_session_sha256(const struct pk_session *s, uint32_t msgno);

/*
 * Confirmed downloads.  A download (PK_EVENT_SENT) is confirmed by a later
 * line of the client, of whatever kind, whose first octet was read when the
 * last octet of the reply had left (struct pk_io), and which cannot have been
 * on its way here before.  So the session must know what input there was at
 * the end of that reply: after every run, if _sent_pending(), the wrapper asks
 * how many octets wait in the receive queue, beyond those given to run(), and
 * calls _waiting() with that number, 0 too.  Downloads are not confirmed before
 * that call: where the wrapper cannot tell now, it leaves the call out, and the
 * next one will do for them as well.
 */
bool pk_session_sent_pending(const struct pk_session *s);
void pk_session_waiting(struct pk_session *s, uint64_t octets);

/* Is any download not confirmed yet, so that left of struct pk_io matters? */
bool pk_session_awaits(const struct pk_session *s);

/*
 * Answer PK_WANT_UPDATE, at once or later: so many messages to be removed are
 * still there.
 */
void pk_session_updated(struct pk_session *s, uint32_t left);

/* Totals so far, and why the session ended by itself. */
void pk_session_totals(const struct pk_session *s,
    struct pk_session_totals *totals_r);
enum pk_end pk_session_end(const struct pk_session *s);

#endif
