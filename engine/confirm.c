/*
 * Which downloads are confirmed (session.h): the octets of a session counted
 * in both directions, and the downloads that wait for a later line.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "engine/session_private.h"

void
pk_confirm_run_begins(struct pk_session *s, const struct pk_io *io)
{
	s->in_end = s->in_total + io->in_len;
	s->out_end = s->out_total + io->out_len;
	/* A wrapper may give less again than it gave before. */
	if (s->in_given < s->in_end)
		s->in_given = s->in_end;
}

void
pk_confirm_run_ends(struct pk_session *s, const struct pk_io *io)
{
	s->in_total = s->in_end - io->in_len;
	s->out_total = s->out_end - io->out_len;
}

/* Room for one download more; false: out of memory. */
static bool
grow(struct pk_session *s)
{
	/* Each message is there once at most, so the sum is bounded. */
	size_t room = 2 * s->download_room + 8;
	struct download *grown;

	if (s->download_count < s->download_room)
		return true;
	grown = realloc(s->downloads, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	s->downloads = grown;
	s->download_room = room;
	return true;
}

void
pk_confirm_sent(struct pk_session *s, const struct pk_io *io)
{
	uint8_t *event = &s->events[s->msgno - 1];

	/*
	 * Once for each message: the first download is the first to be
	 * confirmed.  Without memory it never is, and the message is kept.
	 */
	if ((*event & PK_EVENT_SENT) == 0 && grow(s))
		s->downloads[s->download_count++] = (struct download){
			.msgno = s->msgno,
			.end_at = s->out_end - io->out_len,
		};
	*event |= PK_EVENT_SENT;
}

void
pk_confirm_line(struct pk_session *s, const struct pk_io *io)
{
	uint64_t at = s->in_end - io->in_len;

	/*
	 * In order: what had left and what had arrived at the end of a reply
	 * had so at that of a later one, whatever _waiting() was told.
	 */
	for (; s->confirmed < s->settled; s->confirmed++) {
		const struct download *d = &s->downloads[s->confirmed];

		if (at < d->horizon || io->left < d->end_at)
			break;
		s->events[d->msgno - 1] |= PK_EVENT_CONFIRMED;
	}
}

bool
pk_session_sent_pending(const struct pk_session *s)
{
	return s->settled < s->download_count;
}

void
pk_session_waiting(struct pk_session *s, uint64_t octets)
{
	uint64_t horizon = octets > UINT64_MAX - s->in_given ? UINT64_MAX :
	    s->in_given + octets;

	for (; s->settled < s->download_count; s->settled++)
		s->downloads[s->settled].horizon = horizon;
}

bool
pk_session_awaits(const struct pk_session *s)
{
	return s->confirmed < s->download_count;
}
