/*
 * The body of a multi-line reply: line ends become CRLF, a "." that begins a
 * line is doubled (RFC 1939 section 3), and octets are counted as the client
 * will count them (section 11).  This is the hot path of RETR.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_STUFFING_H
#define PK_STUFFING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The rules, for stuffing and counting alike:
 * - LF not preceded by CR is sent as CRLF; CRLF stays; every other octet (a
 *   bare CR and NUL included) is sent as it is.
 * - A message that is not empty and does not end in LF gets a final CRLF,
 *   which counts.  A message of 0 octets is sent as 0 octets.
 * - A "." at the first octet of the message or after an LF is doubled; the
 *   second dot is never counted.
 */
struct pk_stuffing {
	uint64_t octets;	/* sent so far, as LIST counts: no doubled dots */
	bool in_line;		/* the last octet was not LF (false at start) */
	bool after_cr;		/* the last octet was CR */
};

/* Room that pk_stuffing_convert() may need for len octets of input. */
#define PK_STUFFING_ROOM(len)	(2 * (len))
/* Room that pk_stuffing_end() may need. */
#define PK_STUFFING_END_ROOM	2

/* Begin a message. */
void pk_stuffing_init(struct pk_stuffing *st);

/*
 * Convert the next len octets of the stored message.  out has room for
 * PK_STUFFING_ROOM(len) octets and does not overlap in.  Chunks may be cut
 * anywhere.  Returns the octets written to out.
 */
size_t pk_stuffing_convert(struct pk_stuffing *st, const uint8_t *in,
    size_t len, uint8_t *out);

/*
 * The message has ended: write the CRLF that its last line lacks, if it does,
 * to out (PK_STUFFING_END_ROOM octets).  Returns the octets written.
 */
size_t pk_stuffing_end(struct pk_stuffing *st, uint8_t *out);

/*
 * The same without output: after _count() of every chunk and _count_end(),
 * st->octets is exactly what _convert() and _end() would have reached.
 */
void pk_stuffing_count(struct pk_stuffing *st, const uint8_t *in, size_t len);
void pk_stuffing_count_end(struct pk_stuffing *st);

/*
 * Where TOP ends (RFC 1939 section 7): the header, the empty line, and so many
 * lines of the body.
 */
struct pk_top {
	uint64_t lines;		/* body lines still to come */
	bool in_body;		/* the empty line has passed */
	bool in_line;		/* the current line has octets besides CR */
	bool after_cr;		/* the last octet was CR, the first of its line */
	bool done;		/* the last line wanted has ended */
};

/* Begin a message of which TOP wants lines lines of the body. */
void pk_top_init(struct pk_top *top, uint64_t lines);

/*
 * How many of the next len octets of the stored message belong to the reply.
 * Less than len, or top->done, means that nothing after them does.
 */
size_t pk_top_take(struct pk_top *top, const uint8_t *in, size_t len);

#endif
