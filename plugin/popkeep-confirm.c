/*
 * Which downloads are confirmed (engine/session.h): by a later line of the
 * client whose first octet was read when the reply had left, and which cannot
 * have been on its way here before.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-session.h"
#include "array.h"
#include "istream.h"
#include "ostream.h"

#include <sys/ioctl.h>
#include <linux/sockios.h>

static uoff_t queued(int fd, unsigned long request)
{
	int octets;

	return ioctl(fd, request, &octets) == 0 && octets > 0 ?
		(uoff_t)octets : 0;
}

/*
 * Inside TLS the other end of fd_out is a login process, which has them then:
 * that far can be seen.
 */
uoff_t popkeep_session_left(const struct popkeep_session *s)
{
	const struct ostream *output = s->client->output;
	uoff_t waiting = o_stream_get_buffer_used_size(output) +
		queued(s->client->fd_out, SIOCOUTQ);

	return waiting < output->offset ? output->offset - waiting : 0;
}

bool popkeep_session_awaits(const struct popkeep_session *s)
{
	return array_is_created(&s->downloads) &&
		s->confirmed < array_count(&s->downloads);
}

void popkeep_session_sent(struct popkeep_session *s, uint32_t msgno)
{
	uint8_t *event = popkeep_session_event(s, msgno);
	struct popkeep_download *d;

	if (event == NULL)
		return;
	/* Once for each message: the first download is the first confirmed. */
	if ((*event & PK_EVENT_SENT) == 0) {
		if (!array_is_created(&s->downloads))
			i_array_init(&s->downloads, 16);
		d = array_append_space(&s->downloads);
		d->msgno = msgno;
		d->end_at = s->client->output->offset;
		d->horizon = s->input->v_offset +
			i_stream_get_data_size(s->input) +
			queued(s->client->fd_in, FIONREAD);
	}
	*event |= PK_EVENT_SENT;
}

void popkeep_session_line(struct popkeep_session *s, uoff_t at)
{
	uoff_t left = at >= s->read_at ? s->left : s->left_before;
	const struct popkeep_download *d;
	uint8_t *event;

	for (; popkeep_session_awaits(s); s->confirmed++) {
		d = array_idx(&s->downloads, s->confirmed);
		if (at < d->horizon || left < d->end_at)
			break;
		event = popkeep_session_event(s, d->msgno);
		if (event != NULL)
			*event |= PK_EVENT_CONFIRMED;
	}
}
