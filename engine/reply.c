/*
 * The replies: status lines at once, the greeting, listings and messages in
 * as many pieces as the room for output asks for.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/session_private.h"

void
pk_reply_put(struct pk_io *io, const void *data, size_t len)
{
	assert(len <= io->out_len);
	memcpy(io->out, data, len);
	io->out += len;
	io->out_len -= len;
}

void
pk_reply_say(struct pk_io *io, const char *format, ...)
{
	char line[PK_REPLY_MAX];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 2, format, ap);
	va_end(ap);
	assert(n > 0 && (size_t)n < sizeof(line) - 2);
	memcpy(line + n, "\r\n", 2);
	pk_reply_put(io, line, (size_t)n + 2);
}

/* Decimal digits of value into out (at least 20 octets); returns how many. */
static size_t
decimal(uint64_t value, uint8_t *out)
{
	uint8_t digits[20];
	size_t n = 0, i;

	do {
		digits[n++] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	for (i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

bool
pk_session_offers_apop(const struct pk_session *s)
{
	const struct pk_session_settings *set = &s->settings;

	if (set->challenge == NULL)
		return false;
	return set->apop == PK_ALLOW_ALWAYS ||
	    (set->apop == PK_ALLOW_TLS && (set->tls || set->stls));
}

/* Each writer returns true when its reply is whole. */
static bool
write_greeting(struct pk_session *s, struct pk_io *io)
{
	bool apop = pk_session_offers_apop(s);

	pk_reply_say(io, "+OK %.200s POP3 server ready%s%s", s->settings.host,
	    apop ? " " : "", apop ? s->settings.challenge : "");
	return true;
}

static bool
write_login(struct pk_session *s, struct pk_io *io)
{
	pk_reply_say(io, "+OK Maildrop has %" PRIu32 " messages (%" PRIu64 " octets)",
	    s->kept, s->kept_octets);
	return true;
}

static bool
write_refusal(struct pk_session *s, struct pk_io *io)
{
	const char *line = pk_login_refusal(s->refused);

	pk_reply_put(io, line, strlen(line));
	if (s->settings.max_failures != 0 &&
	    s->failures >= s->settings.max_failures) {
		s->state = ENDED;
		s->end = PK_END_FAILURES;
	}
	return true;
}

static bool
write_updated(struct pk_session *s, struct pk_io *io)
{
	/* RFC 1939 section 6: +OK only when everything marked is gone. */
	if (s->left == 0) {
		pk_reply_say(io, "+OK POP3 server signing off");
		s->end = PK_END_QUIT;
	} else {
		pk_reply_say(io, "-ERR [SYS/TEMP] %" PRIu32
		    " deleted messages not removed", s->left);
		s->end = PK_END_UPDATE_FAILED;
	}
	s->state = ENDED;
	return true;
}

/* The lines of LIST or UIDL, from s->next on; marked messages are left out. */
static bool
write_listing(struct pk_session *s, struct pk_io *io)
{
	enum { LINE_ROOM = 10 + 1 + PK_UNIQUE_ID_MAX + 2 };
	struct pk_message_info info;

	for (; s->next <= s->count; s->next++) {
		uint8_t *p = io->out;

		if ((s->events[s->next - 1] & PK_EVENT_DELE) != 0)
			continue;
		if (io->out_len < LINE_ROOM)
			return false;
		s->md->ops->info(s->md, s->next, &info);
		p += decimal(s->next, p);
		*p++ = ' ';
		if (s->reply == REPLY_SCAN) {
			p += decimal(info.octets, p);
		} else {
			memcpy(p, info.uid, info.uid_len);
			p += info.uid_len;
		}
		*p++ = '\r';
		*p++ = '\n';
		io->out_len -= (size_t)(p - io->out);
		io->out = p;
	}
	if (io->out_len < 3)
		return false;
	pk_reply_put(io, ".\r\n", 3);
	return true;
}

static void
message_failed(struct pk_session *s)
{
	/*
	 * The client has been told a size and is reading: a final dot would
	 * make it believe that it has the whole message.
	 */
	s->md->ops->close(s->md, false, 0);
	s->state = ENDED;
	s->end = PK_END_READ;
}

/* Has TOP sent every line?  If it took all that was read, read on. */
static bool
top_is_whole(struct pk_session *s, const struct pk_io *io)
{
	size_t len;

	return !s->cut && s->md->ops->read(s->md, io->scratch, 1, &len) ==
	    PK_OK && len == 0;
}

static void
message_sent(struct pk_session *s, const struct pk_io *io)
{
	s->totals.octets += s->stuffing.octets;
	if (s->is_top) {
		s->totals.top++;
		if (top_is_whole(s, io))
			s->events[s->msgno - 1] |= PK_EVENT_TOP_WHOLE;
	} else {
		s->totals.retr++;
		if (s->stuffing.octets == s->announced)
			pk_confirm_sent(s, io);
		if (s->hashing)
			pk_hash_end(s);
	}
	s->md->ops->close(s->md, !s->is_top, s->stuffing.octets);
}

/* Convert the next octets of the message; PK_OK with body_done at its end. */
static enum pk_err
write_chunk(struct pk_session *s, struct pk_io *io, size_t size)
{
	size_t len, n;
	bool in_line = s->stuffing.in_line;
	enum pk_err err = s->md->ops->read(s->md, io->scratch, size, &len);

	if (err != PK_OK)
		return err;
	if (len == 0)
		s->body_done = true;
	if (s->is_top) {
		n = pk_top_take(&s->top, io->scratch, len);
		s->cut = n < len;
		s->body_done = s->body_done || s->top.done;
		len = n;
	}
	n = pk_stuffing_convert(&s->stuffing, io->scratch, len, io->out);
	if (s->hashing)
		pk_hash_add(s, io->out, n, in_line);
	io->out += n;
	io->out_len -= n;
	return PK_OK;
}

static bool
write_message(struct pk_session *s, struct pk_io *io)
{
	enum { TAIL = PK_STUFFING_END_ROOM + 3 };
	size_t len;

	while (!s->body_done) {
		size_t size = io->out_len / 2;

		if (size > io->scratch_len)
			size = io->scratch_len;
		assert(size > 0);
		if (write_chunk(s, io, size) != PK_OK) {
			message_failed(s);
			return true;
		}
		/* Few large reads: what is left is sent before the next. */
		if (!s->body_done && io->out_len < io->scratch_len)
			return false;
		if (io->out_len < PK_REPLY_MAX)
			return false;
	}
	if (io->out_len < TAIL)
		return false;
	len = pk_stuffing_end(&s->stuffing, io->out);
	if (s->hashing)
		pk_hash_add(s, io->out, len, true);
	io->out += len;
	io->out_len -= len;
	pk_reply_put(io, ".\r\n", 3);
	message_sent(s, io);
	return true;
}

/* A TOP that asks for too much: -ERR, unless the whole body is short enough. */
static bool
write_look_ahead(struct pk_session *s, struct pk_io *io)
{
	const struct pk_maildrop_ops *ops = s->md->ops;
	size_t len;

	do {
		/* Others have their turn before a long message goes on. */
		if (s->share == 0)
			return false;
		if (ops->read(s->md, io->scratch, s->share, &len) != PK_OK) {
			ops->close(s->md, false, 0);
			pk_reply_say(io, "-ERR [SYS/TEMP] Message %" PRIu32
			    " cannot be read now", s->msgno);
			return true;
		}
		s->share -= len;
		if (pk_top_take(&s->top, io->scratch, len) < len) {
			ops->close(s->md, false, 0);
			pk_reply_say(io, "-ERR TOP is limited to %" PRIu32
			    " lines of the body", s->settings.top);
			return true;
		}
	} while (len > 0);
	ops->close(s->md, false, 0);
	pk_top_begin(s, io);
	/* Not whole, unless it could not be opened again. */
	return s->reply == REPLY_LOOK_AHEAD;
}

static bool (*const writers[])(struct pk_session *, struct pk_io *) = {
	[REPLY_GREETING] = write_greeting,
	[REPLY_LOGIN] = write_login,
	[REPLY_REFUSAL] = write_refusal,
	[REPLY_UPDATED] = write_updated,
	[REPLY_SCAN] = write_listing,
	[REPLY_UNIQUE_IDS] = write_listing,
	[REPLY_MESSAGE] = write_message,
	[REPLY_LOOK_AHEAD] = write_look_ahead,
};

bool
pk_reply_continue(struct pk_session *s, struct pk_io *io)
{
	return writers[s->reply](s, io);
}
