/*
 * A wrapper for sessions under test: a maildrop in memory, and a client that
 * sends and receives in pieces of any size.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_SESSION_FIXTURE_H
#define PK_TESTS_SESSION_FIXTURE_H

#include "engine/session.h"
#include "tests/harness.h"

#define CHALLENGE	"<1896.697170952@dbc.mtview.ca.us>"

/* Greeting, and a login that succeeds, with the pattern of its replies. */
#define LOGIN		"USER ann\r\nPASS secret\r\n"
#define GREETED		"+OK*\r\n"
#define LOGGED_IN	"+OK*\r\n+OK*\r\n"

struct fake_message {
	struct pk_span stored;
	uint64_t octets;		/* as they are announced */
	const char *uid;
	size_t uid_len;
};

/* Messages of 20, 16, 0 and 13 octets. */
extern const struct fake_message fake_messages[];
#define FAKE_COUNT	4
#define FAKE_OCTETS	49

struct fake_maildrop {
	struct pk_maildrop head;
	const struct fake_message *messages;
	uint32_t count;
	/* What goes wrong. */
	enum pk_err open_err;
	unsigned opens_well;		/* so many times, before that */
	size_t read_fails_at;		/* octet of a message; SIZE_MAX: none */
	size_t read_max;		/* octets per read, at most */
	uint32_t left;			/* update: what remains */
	/* What has been done. */
	const struct fake_message *message;	/* the open one */
	size_t position;
	unsigned opened, reads, closed, closed_whole, updated;
	uint64_t sent;			/* as the last close was told */
	uint8_t plan[16];		/* as update was told */
};

struct dialogue {
	struct pk_session_settings settings;	/* before dialogue_begin() */
	struct fake_maildrop md;
	size_t step;			/* octets of input per run */
	size_t room;			/* room for output per run */
	size_t scratch;
	enum pk_login_result login;	/* what is answered */
	uint64_t left;			/* as each run is told */

	struct pk_session *s;
	enum pk_want want;		/* of the last run */
	unsigned logins, tls_started, updates, runs;
	enum pk_mechanism mech;		/* of the last login */
	char user[PK_REPLY_MAX], secret[2 * PK_REPLY_MAX];
	uint8_t out[1 << 20];		/* all that was ever written */
	size_t out_len;
	size_t seen;			/* of it, that was compared */
};

/* Setup and teardown of a test: *state is a dialogue that has not begun. */
int dialogue_setup(void **state);
int dialogue_teardown(void **state);

/* Make the session; its greeting is taken and compared to GREETED. */
void dialogue_begin(struct dialogue *d);

/* The same, and log in. */
void dialogue_log_in(struct dialogue *d);

/* Send octets, answer every question, and keep what is written. */
void dialogue_send(struct dialogue *d, struct pk_span in);

/*
 * Send in; what comes back must match pattern, where "*" stands for any
 * octets up to the next CR.
 */
void says(struct dialogue *d, const char *in, const char *pattern);

/*
 * All output has left when the next input is read.  (Until then d->left is what
 * it was.)  Only for a session whose output all stands in d->out.
 */
void dialogue_drain(struct dialogue *d);

/*
 * Are these the events of the messages?  "d" DELE, "s" SENT, "c" CONFIRMED, "t"
 * TOP_WHOLE, "-" none; a space between messages.
 */
bool dialogue_events(const struct dialogue *d, const char *events);

/* What has been written since the last look matches pattern. */
bool dialogue_matches(struct dialogue *d, const char *pattern);

#endif
