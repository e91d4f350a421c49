/*
 * TOP: whether it sent every line of the body.
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_top_is_whole_if_the_message_ends_within_its_lines),
		TEST(test_top_that_was_whole_stays_so),
		TEST(test_top_that_cannot_be_read_is_not_whole),
		TEST(test_retr_is_no_whole_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
