/*
 * The Message-ID of a message, for its records in the audit log: found in the
 * header (RFC 5322) as it is read, octet by octet or more at a time.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MESSAGE_ID_H
#define PK_MESSAGE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of it that are kept; the rest is cut off. */
#define PK_MESSAGE_ID_MAX	250
#define PK_MESSAGE_ID_SIZE	(PK_MESSAGE_ID_MAX + 1)

/* Octets of a message that are looked at; what ends no header is no mail. */
#define PK_MESSAGE_ID_LOOK	(64 * 1024)

/*
 * The first Message-ID field counts, whatever follows its colon: unfolded
 * (section 2.2.3), comments left alone, without blanks at its begin and end and
 * without NULs.  Lines end with CRLF or LF.
 */
struct pk_message_id {
	char text[PK_MESSAGE_ID_SIZE];	/* once done; "": there is none */
	bool done;		/* nothing more matters */
	uint8_t state;
	bool after_cr;		/* of the value */
	size_t len;		/* of text */
	size_t matched;		/* octets of the field's name */
	size_t left;		/* octets still to be looked at */
};

/* Begin a message. */
void pk_message_id_init(struct pk_message_id *m);

/* The next len octets of the stored message; once m->done, none are needed. */
void pk_message_id_feed(struct pk_message_id *m, const uint8_t *in,
    size_t len);

/* The message ends here: m is done. */
void pk_message_id_end(struct pk_message_id *m);

#endif
