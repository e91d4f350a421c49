/*
 * What the session needs from a store of messages.  Maildir is one; the
 * session knows nothing else of storage.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDROP_H
#define PK_MAILDROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/message_id.h"

/* Longest unique-id, in octets (RFC 1939 section 7). */
#define PK_UNIQUE_ID_MAX 70

/* One line of the scan listing and the unique-id listing. */
struct pk_message_info {
	uint64_t octets;	/* as RETR sends it: CRLF, no doubled dots */
	const char *uid;	/* 1 to 70 octets 0x21-0x7E; no NUL after them */
	size_t uid_len;
};

/* What becomes of a message in the UPDATE state. */
enum pk_verdict {
	PK_KEEP = 0,
	PK_DISPOSE,		/* unlink, or move to the rule's folder */
	PK_RETAIN,		/* move to the Retained place */
};

/*
 * What is known of a message and its mailbox.  Times are seconds since
 * 1970-01-01 00:00 UTC; 0: not known to have happened.
 */
struct pk_facts {
	int64_t delivered;
	int64_t facts_since;	/* when facts began; 0: unknown */
	bool facts_lost;	/* there were facts before, and they are lost */
	int64_t downloaded;	/* confirmed, in a session that ended with QUIT */
	int64_t read;		/* by a whole TOP; downloading counts as well */
	uint32_t unconfirmed;	/* unconfirmed downloads, 1 h apart */
	int64_t unconfirmed_last;
};

/* What a session adds to the facts. */
enum pk_note {
	PK_NOTE_DOWNLOADED,	/* confirmed, and QUIT came */
	PK_NOTE_READ,		/* TOP sent it whole, and QUIT came */
	PK_NOTE_UNCONFIRMED,	/* RETR sent it whole, and that is all */
};

/* What became of a message. */
enum pk_outcome {
	PK_OUTCOME_KEPT = 0,	/* as the plan says */
	PK_OUTCOME_DISPOSED,
	PK_OUTCOME_RETAINED,
	PK_OUTCOME_VANISHED,	/* somebody else had removed it */
	PK_OUTCOME_FAILED,	/* it is still there */
};

/* The UPDATE state of one maildrop. */
struct pk_update {
	const uint8_t *plan;	/* an enum pk_verdict for each message */
	uint8_t *outcome;	/* set: an enum pk_outcome for each message */
	const char *folder;	/* where DISPOSE moves to; "": destroy */
};

struct pk_maildrop;

/*
 * A maildrop is open and locked for one session from before the session gets
 * it until the wrapper closes it.  The set of messages and their numbers (1
 * to count) do not change meanwhile (RFC 1939 section 4).
 */
struct pk_maildrop_ops {
	/* The number of messages. */
	uint32_t (*count)(const struct pk_maildrop *md);

	/* *info_r of message msgno, valid while the maildrop is open. */
	void (*info)(const struct pk_maildrop *md, uint32_t msgno,
	    struct pk_message_info *info_r);

	/*
	 * Open message msgno for reading from its first octet.  At most one
	 * is open at a time.  PK_ERR_NOTFOUND: it is gone (another program
	 * removed it).  PK_ERR_IO, PK_ERR_NOMEM: nothing is open.
	 */
	enum pk_err (*open)(struct pk_maildrop *md, uint32_t msgno);

	/*
	 * Read up to size octets of the open message as it is stored, any
	 * line ends.  *len_r = 0: its end.  PK_ERR_IO: it cannot be read on.
	 */
	enum pk_err (*read)(struct pk_maildrop *md, uint8_t *buf, size_t size,
	    size_t *len_r);

	/*
	 * Close the open message.  whole: it was read to its end, and sent
	 * says how many octets that were for the client; where that differs
	 * from what info announced, the store corrects its records.
	 */
	void (*close)(struct pk_maildrop *md, bool whole, uint64_t sent);

	/*
	 * The Message-ID of message msgno, as it was seen when the message was
	 * read; if it was not, and look, its header is read now, while no
	 * message is open.  "": it has none, or it is not known.
	 */
	void (*message_id)(struct pk_maildrop *md, uint32_t msgno, bool look,
	    char id_r[PK_MESSAGE_ID_SIZE]);

	/*
	 * The SHA-256 of message msgno as it was sent (32 octets, audit.h), valid
	 * until the next call; NULL: not known.  A store whose messages the
	 * session object sends has none: then this may be NULL.
	 */
	const uint8_t *(*sha256)(const struct pk_maildrop *md, uint32_t msgno);

	/* What is known of message msgno at time now. */
	void (*facts)(const struct pk_maildrop *md, uint32_t msgno,
	    int64_t now, struct pk_facts *facts_r);

	/*
	 * Add to the facts of message msgno that something happened at time
	 * when; written with the index, at update or close.  An unconfirmed
	 * download within 1 h of the last one counted is not counted again.
	 */
	void (*note)(struct pk_maildrop *md, uint32_t msgno,
	    enum pk_note note, int64_t when);

	/*
	 * The UPDATE state.  u->outcome has room for each message and is set.
	 * Returns how many messages that the plan does not keep are still
	 * there; one that was already gone is not.  Durable on return, as far
	 * as the outcomes say so; each message is whole in at least one place
	 * at any instant.
	 */
	uint32_t (*update)(struct pk_maildrop *md, const struct pk_update *u);
};

/* The head of every store's own structure. */
struct pk_maildrop {
	const struct pk_maildrop_ops *ops;
};

#endif
