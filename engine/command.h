/*
 * One command line of a client, taken apart (RFC 1939 section 3).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_COMMAND_H
#define PK_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/span.h"

/*
 * Longest line read, in octets with its CRLF.  RFC 2449 section 4 asks for
 * 255; a SASL response in base64 (RFC 5034 section 4) may need more.
 */
#define PK_LINE_MAX 1024

/* Arguments that any command takes. */
#define PK_ARGS_MAX 2

/* Keywords; the order is that of the tables indexed by it. */
enum pk_verb {
	PK_VERB_APOP,
	PK_VERB_AUTH,
	PK_VERB_CAPA,
	PK_VERB_DELE,
	PK_VERB_LIST,
	PK_VERB_NOOP,
	PK_VERB_PASS,
	PK_VERB_QUIT,
	PK_VERB_RETR,
	PK_VERB_RSET,
	PK_VERB_STAT,
	PK_VERB_STLS,
	PK_VERB_TOP,
	PK_VERB_UIDL,
	PK_VERB_USER,
	PK_VERB_UNKNOWN,	/* no keyword of ours */
};

struct pk_command {
	enum pk_verb verb;
	unsigned argc;		/* arguments, PK_ARGS_MAX + 1: too many */
	struct pk_span arg[PK_ARGS_MAX];
	/*
	 * Everything after the keyword and the one space that follows it, as
	 * it came (PASS takes it whole: a password may hold spaces); data is
	 * NULL where no space followed.
	 */
	struct pk_span rest;
};

/*
 * Take line apart; line has no line end.  Keywords are case-insensitive,
 * arguments are separated by single spaces, and one trailing space is
 * ignored.  PASS has no arguments, only rest: spaces belong to the password.
 * The spans in *cmd_r point into line.
 * PK_ERR_SYNTAX: NUL or CR in the line, or (but for PASS) a space too many.
 */
enum pk_err pk_command_parse(struct pk_span line, struct pk_command *cmd_r)
    PK_WARN_UNUSED;

/*
 * A decimal number without sign, leading zero (but "0" itself) or anything
 * else, no larger than UINT32_MAX.  PK_ERR_SYNTAX otherwise, PK_ERR_LIMIT
 * if it is larger.
 */
enum pk_err pk_command_number(struct pk_span arg, uint32_t *number_r)
    PK_WARN_UNUSED;

#endif
