/*
 * The TRANSACTION state (RFC 1939 section 5 and 7).
 *
 * SPDX-License-Identifier: ISC
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/session_private.h"

enum pk_err
pk_transaction_begin(struct pk_session *s, struct pk_maildrop *md)
{
	uint32_t count = md->ops->count(md), msgno;
	uint8_t *events = calloc(count > 0 ? count : 1, 1);
	struct pk_message_info info;

	if (events == NULL)
		return PK_ERR_NOMEM;
	s->md = md;
	s->events = events;
	s->count = s->kept = count;
	s->kept_octets = 0;
	for (msgno = 1; msgno <= count; msgno++) {
		md->ops->info(md, msgno, &info);
		s->kept_octets += info.octets;
	}
	s->state = TRANSACTION;
	s->reply = REPLY_LOGIN;
	return PK_OK;
}

/*
 * The message that arg names: out-of-range numbers and messages marked as
 * deleted are refused (RFC 1939 section 5).  Returns 0 after refusing.
 */
static uint32_t
message_number(const struct pk_session *s, struct pk_span arg,
    struct pk_io *io)
{
	uint32_t msgno;
	enum pk_err err = pk_command_number(arg, &msgno);

	if (err == PK_ERR_SYNTAX) {
		pk_reply_say(io, "-ERR A message number has digits only");
		return 0;
	}
	if (err != PK_OK || msgno == 0 || msgno > s->count) {
		pk_reply_say(io, "-ERR No such message, the maildrop has %"
		    PRIu32, s->count);
		return 0;
	}
	if ((s->events[msgno - 1] & PK_EVENT_DELE) != 0) {
		pk_reply_say(io, "-ERR Message %" PRIu32 " is deleted", msgno);
		return 0;
	}
	return msgno;
}

void
pk_do_stat(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	(void)cmd;
	pk_reply_say(io, "+OK %" PRIu32 " %" PRIu64, s->kept, s->kept_octets);
}

void
pk_do_list(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	struct pk_message_info info;
	uint32_t msgno;

	if (cmd->argc == 0) {
		pk_reply_say(io, "+OK %" PRIu32 " messages (%" PRIu64
		    " octets)", s->kept, s->kept_octets);
		s->next = 1;
		s->reply = REPLY_SCAN;
		return;
	}
	msgno = message_number(s, cmd->arg[0], io);
	if (msgno == 0)
		return;
	s->md->ops->info(s->md, msgno, &info);
	pk_reply_say(io, "+OK %" PRIu32 " %" PRIu64, msgno, info.octets);
}

void
pk_do_uidl(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	struct pk_message_info info;
	uint32_t msgno;

	if (cmd->argc == 0) {
		pk_reply_say(io, "+OK Unique-id listing follows");
		s->next = 1;
		s->reply = REPLY_UNIQUE_IDS;
		return;
	}
	msgno = message_number(s, cmd->arg[0], io);
	if (msgno == 0)
		return;
	s->md->ops->info(s->md, msgno, &info);
	pk_reply_say(io, "+OK %" PRIu32 " %.*s", msgno, (int)info.uid_len,
	    info.uid);
}

/* Open s->msgno for RETR or TOP; false after refusing. */
static bool
open_message(struct pk_session *s, struct pk_io *io)
{
	switch (s->md->ops->open(s->md, s->msgno)) {
	case PK_OK:
		break;
	case PK_ERR_NOTFOUND:
		pk_reply_say(io, "-ERR Message %" PRIu32
		    " was removed by another program", s->msgno);
		return false;
	case PK_ERR_NOMEM:
	case PK_ERR_LIMIT:
	case PK_ERR_SYNTAX:
	case PK_ERR_CRYPTO:
	case PK_ERR_IO:
		pk_reply_say(io, "-ERR [SYS/TEMP] Message %" PRIu32
		    " cannot be opened now", s->msgno);
		return false;
	}
	pk_stuffing_init(&s->stuffing);
	s->body_done = false;
	s->reply = REPLY_MESSAGE;
	return true;
}

void
pk_do_retr(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	struct pk_message_info info;

	s->msgno = message_number(s, cmd->arg[0], io);
	if (s->msgno == 0 || !open_message(s, io))
		return;
	s->is_top = false;
	s->md->ops->info(s->md, s->msgno, &info);
	s->announced = info.octets;
	if (s->settings.hash)
		pk_hash_begin(s);
	pk_reply_say(io, "+OK %" PRIu64 " octets", info.octets);
}

void
pk_top_begin(struct pk_session *s, struct pk_io *io)
{
	if (!open_message(s, io))
		return;
	s->is_top = true;
	pk_top_init(&s->top, s->lines);
	pk_reply_say(io, "+OK Top of message follows");
}

void
pk_do_top(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	if (s->settings.top == PK_TOP_DENY) {
		pk_reply_say(io, "-ERR TOP is not permitted");
		return;
	}
	s->msgno = message_number(s, cmd->arg[0], io);
	if (s->msgno == 0)
		return;
	if (pk_command_number(cmd->arg[1], &s->lines) != PK_OK) {
		pk_reply_say(io, "-ERR TOP takes a number of lines, 0 to %"
		    PRIu32, UINT32_MAX);
	} else if (s->lines <= s->settings.top) {
		pk_top_begin(s, io);
	} else if (open_message(s, io)) {
		/* A shortened answer may lose mail: all of the body, or none. */
		pk_top_init(&s->top, s->settings.top);
		s->reply = REPLY_LOOK_AHEAD;
	}
}

void
pk_do_dele(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	uint32_t msgno = message_number(s, cmd->arg[0], io);
	struct pk_message_info info;

	if (msgno == 0)
		return;
	s->md->ops->info(s->md, msgno, &info);
	s->events[msgno - 1] |= PK_EVENT_DELE;
	s->kept--;
	s->kept_octets -= info.octets;
	s->totals.dele++;
	pk_reply_say(io, "+OK Message %" PRIu32 " marked for deletion", msgno);
}

void
pk_do_rset(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	struct pk_message_info info;
	uint32_t msgno;

	(void)cmd;
	for (msgno = 1; msgno <= s->count; msgno++) {
		if ((s->events[msgno - 1] & PK_EVENT_DELE) == 0)
			continue;
		s->md->ops->info(s->md, msgno, &info);
		s->events[msgno - 1] &= (uint8_t)~PK_EVENT_DELE;
		s->kept++;
		s->kept_octets += info.octets;
	}
	s->totals.dele = 0;
	pk_reply_say(io, "+OK Maildrop has %" PRIu32 " messages (%" PRIu64
	    " octets)", s->kept, s->kept_octets);
}
