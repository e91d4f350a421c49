/*
 * TOP: whether it sent every line of the body, and how many it may be asked
 * for.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/session_fixture.h"

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, dialogue_setup, \
	    dialogue_teardown)

/* A maildrop with one message, as it is stored. */
static void
begin(struct dialogue *d, struct fake_message *message, const char *stored)
{
	d->out_len = d->seen = 0;
	*message = (struct fake_message){ span_of(stored), 0, "u", 1 };
	d->md.messages = message;
	d->md.count = 1;
	dialogue_log_in(d);
}

static void
top(struct dialogue *d, uint32_t lines)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "TOP 1 %lu\r\n",
	    (unsigned long)lines);
	dialogue_send(d, span_of(line));
}

/* Messages, and how many lines their bodies have. */
static const struct {
	const char *stored;
	uint32_t lines;
} bodies[] = {
	{ "", 0 },
	{ "h", 0 },
	{ "h\n", 0 },
	{ "h\ni\n", 0 },
	{ "h\r\n", 0 },
	{ "h\n\n", 0 },
	{ "h\r\n\r\n", 0 },
	{ "\n", 0 },
	{ "\r\n", 0 },
	{ "h\n\r", 0 },			/* no empty line without its LF */
	{ "h\n\nb", 1 },
	{ "h\n\nb\n", 1 },
	{ "h\r\n\r\nb", 1 },
	{ "h\r\n\r\nb\r\n", 1 },
	{ "h\r\n\r\nb\r", 1 },
	{ "h\n\n\n", 1 },
	{ "h\n\n\r\n", 1 },
	{ "h\n\n.", 1 },
	{ "\nb\n", 1 },
	{ "h\n\nb\nc", 2 },
	{ "h\n\nb\nc\n", 2 },
	{ "h\r\n\r\nb\r\nc\r\n", 2 },
	{ "h\n\nb\n\n", 2 },
	{ "h\n\n\n\n", 2 },
	{ "h\n\nb\nc\nd\ne\n", 4 },
};
enum { BODIES = sizeof(bodies) / sizeof(bodies[0]) };

static const size_t scratches[] = { 1, 2, 3, 5, 256 };
enum { SCRATCHES = sizeof(scratches) / sizeof(scratches[0]) };

/* ---- every line --------------------------------------------------------- */

static void
test_top_is_whole_if_the_message_ends_within_its_lines(void **state)
{
	struct dialogue *d = *state;
	struct fake_message message;
	size_t i;
	uint32_t n;

	for (i = 0; i < BODIES * SCRATCHES; i++) {
		uint32_t lines = bodies[i / SCRATCHES].lines;

		d->scratch = scratches[i % SCRATCHES];
		for (n = 0; n <= lines + 1; n++) {
			begin(d, &message, bodies[i / SCRATCHES].stored);
			top(d, n);
			expect(bodies[i / SCRATCHES].stored,
			    dialogue_events(d, n < lines ? "-" : "t"));
			pk_session_free(&d->s);
		}
	}
}

/* A TOP that sends less takes nothing back; neither does one that fails. */
static void
test_top_that_was_whole_stays_so(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	dialogue_send(d, span_of("TOP 1 2\r\nTOP 1 1\r\nRSET\r\n"));
	assert_true(dialogue_events(d, "t - - -"));
	d->md.read_max = 6;
	d->md.read_fails_at = 6;
	dialogue_send(d, span_of("TOP 1 2\r\n"));
	assert_int_equal(pk_session_end(d->s), PK_END_READ);
	assert_true(dialogue_events(d, "t - - -"));
}

static void
test_top_that_cannot_be_read_is_not_whole(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	d->md.read_max = d->md.read_fails_at = 16;
	/* All that was asked for was sent; what follows is not known. */
	says(d, "TOP 1 2\r\nNOOP\r\n", "+OK*\r\nS: a\r\n\r\n..dot\r\nlast\r\n"
	    ".\r\n+OK\r\n");
	dialogue_send(d, span_of("TOP 1 3\r\n"));
	assert_int_equal(pk_session_end(d->s), PK_END_READ);
	assert_true(dialogue_events(d, "- - - -"));
}

static void
test_retr_is_no_whole_top(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	dialogue_send(d, span_of("RETR 1\r\n"));
	assert_true(dialogue_events(d, "s - - -"));
}

/* ---- limits ------------------------------------------------------------- */

/* What TOP answers where there is no limit. */
struct unlimited {
	uint8_t out[256];
	size_t len;
};

static void
play_unlimited(struct dialogue *d, const char *stored, uint32_t n,
    struct unlimited *u)
{
	struct fake_message message;

	d->settings.top = PK_TOP_ALLOW;
	begin(d, &message, stored);
	top(d, n);
	u->len = d->out_len - d->seen;
	assert_true(u->len <= sizeof(u->out));
	memcpy(u->out, d->out + d->seen, u->len);
	pk_session_free(&d->s);
}

/* TOP 1 n with limit of a message with so many lines. */
static void
check_limit(struct dialogue *d, size_t body, uint32_t n, uint32_t limit)
{
	uint32_t lines = bodies[body].lines;
	struct unlimited u;
	struct fake_message message;
	char refusal[64];

	play_unlimited(d, bodies[body].stored, n, &u);
	d->settings.top = limit;
	begin(d, &message, bodies[body].stored);
	top(d, n);
	assert_int_equal(d->want, PK_WANT_INPUT);
	if (n > limit && lines > limit) {
		(void)snprintf(refusal, sizeof(refusal), "-ERR TOP is limited"
		    " to %u lines*\r\n", (unsigned)limit);
		expect(bodies[body].stored, dialogue_matches(d, refusal));
		expect(bodies[body].stored, dialogue_events(d, "-"));
	} else {
		expect(bodies[body].stored, d->out_len - d->seen == u.len);
		expect(bodies[body].stored, memcmp(d->out + d->seen, u.out,
		    u.len) == 0);
		expect(bodies[body].stored, dialogue_events(d, n < lines ?
		    "-" : "t"));
	}
	assert_int_equal(d->md.opened, d->md.closed);
	assert_int_equal(d->md.closed_whole, 0);
	pk_session_free(&d->s);
}

static void
test_top_keeps_its_limit_unless_the_whole_body_fits(void **state)
{
	struct dialogue *d = *state;
	uint32_t n, limit;
	size_t i;

	for (i = 0; i < BODIES * SCRATCHES; i++) {
		d->scratch = scratches[i % SCRATCHES];
		for (limit = 0; limit < 4; limit++) {
			for (n = 0; n < 5; n++)
				check_limit(d, i / SCRATCHES, n, limit);
			check_limit(d, i / SCRATCHES, UINT32_MAX, limit);
		}
	}
}

static void
test_top_knows_the_largest_limits(void **state)
{
	struct dialogue *d = *state;

	d->settings.top = PK_TOP_DENY - 1;
	dialogue_log_in(d);
	says(d, "TOP 2 4294967293\r\n",
	    "+OK*\r\nS: b\r\n\r\nno end\r\n.\r\n");
	assert_int_equal(d->md.opened, 1);
	/* Beyond the limit: it is opened twice. */
	says(d, "TOP 2 4294967294\r\n",
	    "+OK*\r\nS: b\r\n\r\nno end\r\n.\r\n");
	assert_int_equal(d->md.opened, 3);
	pk_session_free(&d->s);
	d->settings.top = PK_TOP_ALLOW;
	dialogue_log_in(d);
	says(d, "TOP 2 4294967295\r\n",
	    "+OK*\r\nS: b\r\n\r\nno end\r\n.\r\n");
	assert_int_equal(d->md.opened, 4);
}

static void
test_top_is_refused_where_it_is_denied(void **state)
{
	static const char *const lines[] = {
		"TOP 1 0\r\n", "TOP 3 0\r\n", "TOP 9 0\r\n", "TOP x y\r\n",
		"TOP 1 4294967295\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	d->settings.top = PK_TOP_DENY;
	dialogue_log_in(d);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		says(d, lines[i], "-ERR TOP is not permitted\r\n");
	assert_int_equal(d->md.opened, 0);
	assert_true(dialogue_events(d, "- - - -"));
}

static void
test_top_beyond_its_limit_refuses_other_errors_first(void **state)
{
	struct dialogue *d = *state;

	d->settings.top = PK_TOP_HEADERS;
	dialogue_log_in(d);
	says(d, "DELE 1\r\nTOP 1 9\r\nTOP 9 9\r\nTOP 2 x\r\n",
	    "+OK*\r\n-ERR Message 1 is deleted\r\n-ERR No such*\r\n"
	    "-ERR TOP takes*\r\n");
	assert_int_equal(d->md.opened, 0);
}

static void
test_top_beyond_its_limit_tells_what_cannot_be_read(void **state)
{
	struct dialogue *d = *state;
	struct pk_session_totals totals;

	d->settings.top = 1;
	dialogue_log_in(d);
	d->md.open_err = PK_ERR_NOTFOUND;
	says(d, "TOP 2 9\r\n", "-ERR Message 2 was removed*\r\n");
	d->md.open_err = PK_ERR_IO;
	says(d, "TOP 2 9\r\n", "-ERR [SYS/TEMP]*opened now\r\n");
	/* It goes while it is looked at. */
	d->md.opens_well = d->md.opened + 1;
	says(d, "TOP 2 9\r\nNOOP\r\n", "-ERR [SYS/TEMP]*opened now\r\n+OK\r\n");
	d->md.open_err = PK_OK;
	d->md.read_max = d->md.read_fails_at = 6;
	says(d, "TOP 2 9\r\nNOOP\r\n", "-ERR [SYS/TEMP]*read now\r\n+OK\r\n");
	pk_session_totals(d->s, &totals);
	assert_int_equal(totals.top, 0);
	assert_true(dialogue_events(d, "- - - -"));
	assert_int_equal(d->md.opened, 2);
	assert_int_equal(d->md.closed, 2);
	d->md.read_fails_at = SIZE_MAX;
	says(d, "TOP 2 9\r\n", "+OK*\r\nS: b\r\n\r\nno end\r\n.\r\n");
	assert_true(dialogue_events(d, "- t - -"));
}

/* ---- huge messages ------------------------------------------------------ */

enum { HUGE_LEN = 100000, SHARE = 512 };

/* A header without end: it must be read to its last octet. */
static char *
begin_huge(struct dialogue *d, struct fake_message *message)
{
	char *stored = malloc(HUGE_LEN + 1);

	memset(stored, 'h', HUGE_LEN);
	stored[HUGE_LEN] = '\0';
	d->settings.top = PK_TOP_HEADERS;
	d->scratch = SHARE;
	begin(d, message, stored);
	return stored;
}

static void
test_top_looks_ahead_a_share_at_a_time(void **state)
{
	struct dialogue *d = *state;
	struct fake_message message;
	char *stored = begin_huge(d, &message);
	uint8_t out[2 * PK_REPLY_MAX], scratch[SHARE];
	struct pk_io io = {
		(const uint8_t *)"TOP 1 1\r\n", 9, out, sizeof(out), scratch,
		sizeof(scratch), 0,
	};
	size_t before = 0;

	while (pk_session_run(d->s, &io) == PK_WANT_OUTPUT &&
	    d->md.opened == 1) {
		assert_int_equal(io.out_len, sizeof(out));
		assert_int_equal(d->md.position - before, SHARE);
		before = d->md.position;
	}
	assert_true(HUGE_LEN - before < SHARE);
	assert_int_equal(memcmp(out, "+OK", 3), 0);
	dialogue_send(d, span_of(""));
	assert_true(dialogue_events(d, "t"));
	free(stored);
}

/* Many of them in one piece of input are no way around that. */
static void
test_top_looks_ahead_a_share_for_all_commands_of_a_run(void **state)
{
	enum { TIMES = 50 };
	struct dialogue *d = *state;
	struct fake_message message;
	char *stored = begin_huge(d, &message), in[TIMES * 9 + 1] = "";
	size_t i;

	memcpy(stored + 10, "\n\nb\nc", 5);
	for (i = 0; i < TIMES; i++)
		memcpy(in + i * 9, "TOP 1 9\r\n", 10);
	d->runs = 0;
	dialogue_send(d, span_of(in));
	assert_int_equal(d->md.closed, TIMES);
	assert_in_range(d->runs, TIMES, 2 * TIMES);
	free(stored);
}

static void
test_top_looks_ahead_no_further_than_it_must(void **state)
{
	struct dialogue *d = *state;
	struct fake_message message;
	char *stored = begin_huge(d, &message);

	memcpy(stored + SHARE, "\n\nb\n", 4);
	says(d, "TOP 1 1\r\n", "-ERR TOP is limited to 0 lines*\r\n");
	assert_int_equal(d->md.position, 2 * SHARE);
	free(stored);
}

static void
test_session_closes_a_message_that_is_looked_at(void **state)
{
	struct dialogue *d = *state;
	struct fake_message message;
	char *stored = begin_huge(d, &message);
	uint8_t out[PK_REPLY_MAX], scratch[SHARE];
	struct pk_io io = {
		(const uint8_t *)"TOP 1 1\r\n", 9, out, sizeof(out), scratch,
		sizeof(scratch), 0,
	};

	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_OUTPUT);
	assert_int_equal(d->md.opened, 1);
	assert_int_equal(d->md.closed, 0);
	pk_session_free(&d->s);
	assert_int_equal(d->md.closed, 1);
	assert_int_equal(d->md.closed_whole, 0);
	free(stored);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_top_is_whole_if_the_message_ends_within_its_lines),
		TEST(test_top_that_was_whole_stays_so),
		TEST(test_top_that_cannot_be_read_is_not_whole),
		TEST(test_retr_is_no_whole_top),
		TEST(test_top_keeps_its_limit_unless_the_whole_body_fits),
		TEST(test_top_knows_the_largest_limits),
		TEST(test_top_is_refused_where_it_is_denied),
		TEST(test_top_beyond_its_limit_refuses_other_errors_first),
		TEST(test_top_beyond_its_limit_tells_what_cannot_be_read),
		TEST(test_top_looks_ahead_a_share_at_a_time),
		TEST(test_top_looks_ahead_a_share_for_all_commands_of_a_run),
		TEST(test_top_looks_ahead_no_further_than_it_must),
		TEST(test_session_closes_a_message_that_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
