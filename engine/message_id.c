/*
 * Finding the Message-ID: see message_id.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/message_id.h"

/* Where the next octet is. */
enum state {
	LINE,		/* the first of a line */
	CR,		/* behind a CR that was the first of a line */
	NAME,		/* in what may be the field's name */
	COLON,		/* behind the name, where blanks may be */
	SKIP,		/* in a line that does not matter */
	VALUE,		/* behind the colon */
	FOLD,		/* the first of the line after that */
};

void
pk_message_id_init(struct pk_message_id *m)
{
	m->text[0] = '\0';
	m->done = m->after_cr = false;
	m->state = LINE;
	m->len = m->matched = 0;
	m->left = PK_MESSAGE_ID_LOOK;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

void
pk_message_id_end(struct pk_message_id *m)
{
	while (m->len > 0 && is_blank((uint8_t)m->text[m->len - 1]))
		m->len--;
	m->text[m->len] = '\0';
	m->done = true;
}

static void
put(struct pk_message_id *m, uint8_t c)
{
	if (c == '\0' || (m->len == 0 && is_blank(c)))
		return;
	m->text[m->len++] = (char)c;
	if (m->len == PK_MESSAGE_ID_MAX)
		pk_message_id_end(m);
}

/* A CR belongs to the line end only where an LF follows it. */
static void
take_value(struct pk_message_id *m, uint8_t c)
{
	if (c == '\n') {
		m->after_cr = false;
		m->state = FOLD;
		return;
	}
	if (m->after_cr)
		put(m, '\r');
	m->after_cr = c == '\r';
	if (!m->after_cr && !m->done)
		put(m, c);
}

/* ASCII alone, whatever the locale says of case. */
static void
take_name(struct pk_message_id *m, uint8_t c)
{
	static const char name[] = "message-id";
	uint8_t lower = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;

	if (lower != (uint8_t)name[m->matched])
		m->state = c == '\n' ? LINE : SKIP;
	else if (++m->matched == sizeof(name) - 1)
		m->state = COLON;
}

static void
take(struct pk_message_id *m, uint8_t c)
{
	switch ((enum state)m->state) {
	case LINE:
		if (c == '\n') {
			pk_message_id_end(m);
		} else if (c == '\r') {
			m->state = CR;
		} else {
			m->matched = 0;
			m->state = NAME;
			take_name(m, c);
		}
		break;
	case CR:
		if (c == '\n')
			pk_message_id_end(m);
		m->state = SKIP;
		break;
	case NAME:
		take_name(m, c);
		break;
	case COLON:
		if (!is_blank(c))
			m->state = c == ':' ? VALUE : c == '\n' ? LINE : SKIP;
		break;
	case SKIP:
		if (c == '\n')
			m->state = LINE;
		break;
	case VALUE:
		take_value(m, c);
		break;
	case FOLD:
		m->state = VALUE;
		if (is_blank(c))
			take_value(m, c);
		else
			pk_message_id_end(m);
		break;
	}
}

void
pk_message_id_feed(struct pk_message_id *m, const uint8_t *in, size_t len)
{
	const uint8_t *end, *lf;

	if (len > m->left)
		len = m->left;
	m->left -= len;
	end = in + len;
	while (in < end && !m->done) {
		/* Most of a header does not matter. */
		if (m->state == SKIP) {
			lf = memchr(in, '\n', (size_t)(end - in));
			in = lf != NULL ? lf : end - 1;
		}
		take(m, *in++);
	}
	if (m->left == 0 && !m->done)
		pk_message_id_end(m);
}
