/*
 * A wrapper for sessions under test: see session_fixture.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "tests/session_fixture.h"

/* No unique-id has a NUL after it. */
#define UID_35 "01234567890123456789012345678901234"
#define UID_70 UID_35 UID_35

const struct fake_message fake_messages[] = {
	{ { (const uint8_t *)"S: a\n\n.dot\nlast\n", 16 }, 20, "u1xx", 2 },
	{ { (const uint8_t *)"S: b\r\n\r\nno end", 14 }, 16, UID_70 "x", 70 },
	{ { (const uint8_t *)"", 0 }, 0, "!~xx", 2 },
	{ { (const uint8_t *)"S: d\n\na\0b\r\n", 11 }, 13, "u4xx", 2 },
};

/* ---- the maildrop ------------------------------------------------------- */

static uint32_t
fake_count(const struct pk_maildrop *head)
{
	return ((const struct fake_maildrop *)head)->count;
}

static void
fake_info(const struct pk_maildrop *head, uint32_t msgno,
    struct pk_message_info *info_r)
{
	const struct fake_maildrop *md = (const struct fake_maildrop *)head;
	const struct fake_message *message = &md->messages[msgno - 1];

	assert_in_range(msgno, 1, md->count);
	info_r->octets = message->octets;
	info_r->uid = message->uid;
	info_r->uid_len = message->uid_len;
}

static enum pk_err
fake_open(struct pk_maildrop *head, uint32_t msgno)
{
	struct fake_maildrop *md = (struct fake_maildrop *)head;

	assert_null(md->message);
	assert_in_range(msgno, 1, md->count);
	if (md->open_err != PK_OK && md->opened >= md->opens_well)
		return md->open_err;
	md->message = &md->messages[msgno - 1];
	md->position = 0;
	md->opened++;
	return PK_OK;
}

static enum pk_err
fake_read(struct pk_maildrop *head, uint8_t *buf, size_t size, size_t *len_r)
{
	struct fake_maildrop *md = (struct fake_maildrop *)head;
	size_t left = md->message->stored.len - md->position;

	assert_true(size > 0);
	md->reads++;
	if (md->position >= md->read_fails_at)
		return PK_ERR_IO;
	if (size > left)
		size = left;
	if (size > md->read_max)
		size = md->read_max;
	memcpy(buf, md->message->stored.data + md->position, size);
	md->position += size;
	*len_r = size;
	return PK_OK;
}

static void
fake_close(struct pk_maildrop *head, bool whole, uint64_t sent)
{
	struct fake_maildrop *md = (struct fake_maildrop *)head;

	assert_non_null(md->message);
	if (whole)
		assert_int_equal(md->position, md->message->stored.len);
	md->message = NULL;
	md->closed++;
	md->closed_whole += whole;
	md->sent = sent;
}

static uint32_t
fake_update(struct pk_maildrop *head, const struct pk_update *u)
{
	struct fake_maildrop *md = (struct fake_maildrop *)head;

	assert_null(md->message);
	memcpy(md->plan, u->plan, md->count);
	md->updated++;
	return md->left;
}

static const struct pk_maildrop_ops fake_ops = {
	.count = fake_count,
	.info = fake_info,
	.open = fake_open,
	.read = fake_read,
	.close = fake_close,
	.update = fake_update,
};

/* ---- the wrapper -------------------------------------------------------- */

static void
keep_span(char *out, size_t size, struct pk_span span)
{
	assert_true(span.len < size);
	memcpy(out, span.data, span.len);
	out[span.len] = '\0';
}

static void
answer_login(struct dialogue *d)
{
	const struct pk_credential *cred = pk_session_credential(d->s);

	d->logins++;
	d->mech = cred->mech;
	keep_span(d->user, sizeof(d->user), cred->user);
	keep_span(d->secret, sizeof(d->secret), cred->secret);
	if (d->login != PK_LOGIN_OK)
		pk_session_login_failed(d->s, d->login);
	else if (pk_session_login_ok(d->s, &d->md.head) != PK_OK)
		pk_session_login_failed(d->s, PK_LOGIN_TEMPORARY);
}

static void
keep_output(struct dialogue *d, const uint8_t *data, size_t len)
{
	assert_true(len <= sizeof(d->out) - d->out_len);
	if (len > 0)
		memcpy(d->out + d->out_len, data, len);
	d->out_len += len;
}

/* One run with len octets of input; returns how many it consumed. */
static size_t
run(struct dialogue *d, const uint8_t *in, size_t len)
{
	struct pk_span guarded = guard_copy(in, len);
	uint8_t *out = guard_room(d->room);
	uint8_t *scratch = guard_room(d->scratch);
	struct pk_io io = {
		guarded.data, len, out, d->room, scratch, d->scratch, d->left,
	};
	size_t written;
	unsigned reads = d->md.reads;

	d->want = pk_session_run(d->s, &io);
	written = (size_t)(io.out - out);
	assert_int_equal(written, d->room - io.out_len);
	assert_int_equal(io.in - guarded.data, len - io.in_len);
	if (d->want == PK_WANT_OUTPUT)
		assert_true(written > 0 || d->md.reads > reads);
	if (d->want == PK_WANT_INPUT || d->want == PK_WANT_TLS)
		assert_int_equal(io.in_len, 0);
	keep_output(d, out, written);
	guard_free(scratch, d->scratch);
	guard_free(out, d->room);
	guard_free(guarded.data, len);
	return len - io.in_len;
}

/* DELE disposes; the reply to QUIT is asked for by the next run. */
static void
answer_update(struct dialogue *d)
{
	const uint8_t *events = pk_session_events(d->s);
	uint8_t plan[sizeof(d->md.plan)] = { PK_KEEP };
	uint32_t i;

	assert_in_range(d->md.count, 0, sizeof(plan));
	for (i = 0; i < d->md.count; i++)
		if ((events[i] & PK_EVENT_DELE) != 0)
			plan[i] = PK_DISPOSE;
	d->updates++;
	pk_session_updated(d->s, d->md.head.ops->update(&d->md.head,
	    &(struct pk_update){ .plan = plan }));
}

/* Answer what the last run wanted; false: the dialogue is over. */
static bool
answer(struct dialogue *d)
{
	switch (d->want) {
	case PK_WANT_LOGIN:
		answer_login(d);
		return true;
	case PK_WANT_TLS:
		d->tls_started++;
		pk_session_tls_started(d->s);
		return true;
	case PK_WANT_UPDATE:
		answer_update(d);
		return true;
	case PK_WANT_INPUT:
	case PK_WANT_OUTPUT:
		return true;
	case PK_WANT_CLOSE:
		return false;
	}
	return false;
}

void
dialogue_send(struct dialogue *d, struct pk_span in)
{
	do {
		size_t n = in.len < d->step ? in.len : d->step;
		size_t taken = run(d, in.data, n);

		in.data += taken;
		in.len -= taken;
		d->runs++;
		/* What this client has sent waits beyond what was given. */
		if (pk_session_sent_pending(d->s))
			pk_session_waiting(d->s, in.len - (n - taken));
		/* What was sent in clear with STLS, but not read in time. */
		if (d->want == PK_WANT_TLS)
			in.len = 0;
	} while (answer(d) && (in.len > 0 || d->want != PK_WANT_INPUT));
}

/* ---- the client --------------------------------------------------------- */

void
dialogue_drain(struct dialogue *d)
{
	d->left = d->out_len;
}

bool
dialogue_events(const struct dialogue *d, const char *events)
{
	static const char letters[] = "dsct";
	const uint8_t *p = pk_session_events(d->s);
	char text[64] = "";
	size_t len = 0, i, bit;

	for (i = 0; i < d->md.count; i++) {
		if (i > 0)
			text[len++] = ' ';
		for (bit = 0; bit < sizeof(letters) - 1; bit++)
			if ((p[i] & 1 << bit) != 0)
				text[len++] = letters[bit];
		if ((p[i] & ~0xf) != 0)
			text[len++] = '?';
		if (p[i] == 0)
			text[len++] = '-';
		assert_true(len < sizeof(text) - 8);
	}
	text[len] = '\0';
	if (strcmp(text, events) != 0)
		print_error("events are \"%s\"\n", text);
	return strcmp(text, events) == 0;
}

static bool
is_match(const uint8_t *p, const uint8_t *end, const char *pattern)
{
	for (; *pattern != '*'; pattern++, p++) {
		if (*pattern == '\0')
			return p == end;
		if (p == end || *p != (uint8_t)*pattern)
			return false;
	}
	for (; p < end && *p != '\r'; p++)
		if (is_match(p, end, pattern + 1))
			return true;
	return is_match(p, end, pattern + 1);
}

bool
dialogue_matches(struct dialogue *d, const char *pattern)
{
	size_t seen = d->seen;

	d->seen = d->out_len;
	return is_match(d->out + seen, d->out + d->out_len, pattern);
}

void
says(struct dialogue *d, const char *in, const char *pattern)
{
	size_t seen = d->seen;

	dialogue_send(d, span_of(in));
	if (!dialogue_matches(d, pattern))
		fail_msg("to \"%.200s\" came \"%.*s\" but not \"%s\"", in,
		    (int)(d->out_len - seen), (char *)d->out + seen, pattern);
}

int
dialogue_setup(void **state)
{
	struct dialogue *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->settings = (struct pk_session_settings){
		.host = "pop.example",
		.implementation = "popkeep",
		.challenge = CHALLENGE,
		.apop = PK_ALLOW_ALWAYS,
		.passwords = PK_ALLOW_ALWAYS,
		.stls = true,
		.top = PK_TOP_ALLOW,
	};
	d->md.head.ops = &fake_ops;
	d->md.messages = fake_messages;
	d->md.count = FAKE_COUNT;
	d->md.read_fails_at = d->md.read_max = SIZE_MAX;
	d->step = SIZE_MAX;
	d->room = 8192;
	d->scratch = 4096;
	*state = d;
	return 0;
}

int
dialogue_teardown(void **state)
{
	struct dialogue *d = *state;

	pk_session_free(&d->s);
	assert_null(d->s);
	assert_int_equal(d->md.opened, d->md.closed);
	free(d);
	return 0;
}

void
dialogue_begin(struct dialogue *d)
{
	d->s = pk_session_new(&d->settings);
	assert_non_null(d->s);
	says(d, "", GREETED);
}

void
dialogue_log_in(struct dialogue *d)
{
	dialogue_begin(d);
	says(d, LOGIN, LOGGED_IN);
}
