/*
 * What happened to each message of a session, above all: which downloads are
 * confirmed.
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

/* Send in, and forget the replies. */
static void
does(struct dialogue *d, const char *in)
{
	dialogue_send(d, span_of(in));
	d->seen = d->out_len;
}

/* ---- when there are events ---------------------------------------------- */

static void
test_events_begin_with_the_transaction(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	assert_null(pk_session_events(d->s));
	assert_false(pk_session_awaits(d->s));
	says(d, LOGIN, LOGGED_IN);
	assert_true(dialogue_events(d, "- - - -"));
}

static void
test_events_stay_after_update(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 2\r\nDELE 1\r\nTOP 3 0\r\n");
	dialogue_drain(d);
	does(d, "QUIT\r\nDELE 2\r\n");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_true(dialogue_events(d, "d sc t -"));
}

static void
test_events_of_an_empty_maildrop_are_none(void **state)
{
	struct dialogue *d = *state;

	d->md.count = 0;
	dialogue_log_in(d);
	assert_non_null(pk_session_events(d->s));
	assert_true(dialogue_events(d, ""));
}

static void
test_rset_takes_back_dele_alone(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 1\r\nRETR 4\r\nTOP 2 9\r\nDELE 1\r\nDELE 2\r\nDELE 3\r\n");
	assert_true(dialogue_events(d, "ds dt d s"));
	dialogue_drain(d);
	does(d, "RSET\r\n");
	assert_true(dialogue_events(d, "sc t - sc"));
	says(d, "STAT\r\n", "+OK 4 49\r\n");
}

/* LIST and UIDL leave out what is marked, and nothing else. */
static void
test_messages_with_other_events_are_listed(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 1\r\nTOP 2 9\r\nTOP 3 0\r\nDELE 4\r\n");
	dialogue_drain(d);
	says(d, "LIST\r\nLIST 1\r\nLIST 2\r\n", "+OK*\r\n1 20\r\n2 16\r\n"
	    "3 0\r\n.\r\n+OK 1 20\r\n+OK 2 16\r\n");
	assert_true(dialogue_events(d, "sc t t d"));
}

/* ---- sent --------------------------------------------------------------- */

static void
test_retr_of_all_octets_is_a_download(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 3\r\nRETR 2\r\n");
	assert_true(dialogue_events(d, "- s s -"));
	does(d, "RETR 1\r\nRETR 4\r\n");
	assert_true(dialogue_events(d, "s s s s"));
}

/* The announced size is one octet too small, then one too large. */
static void
test_retr_of_another_size_is_no_download(void **state)
{
	static const struct fake_message wrong[] = {
		{ { (const uint8_t *)"S: a\n\n.dot\nlast\n", 16 }, 19, "u", 1 },
		{ { (const uint8_t *)"S: a\n\n.dot\nlast\n", 16 }, 21, "v", 1 },
		{ { (const uint8_t *)"", 0 }, 1, "w", 1 },
	};
	struct dialogue *d = *state;

	d->md.messages = wrong;
	d->md.count = 3;
	dialogue_log_in(d);
	does(d, "RETR 1\r\nRETR 2\r\nRETR 3\r\n");
	assert_false(pk_session_awaits(d->s));
	assert_int_equal(d->md.closed_whole, 3);
	dialogue_drain(d);
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "- - -"));
}

/* The store has corrected its records meanwhile. */
static void
test_retr_again_with_the_right_size_is_a_download(void **state)
{
	struct fake_message messages[] = {
		{ { (const uint8_t *)"S: a\n", 5 }, 5, "u", 1 },
	};
	struct dialogue *d = *state;

	d->md.messages = messages;
	d->md.count = 1;
	dialogue_log_in(d);
	does(d, "RETR 1\r\n");
	assert_true(dialogue_events(d, "-"));
	messages[0].octets = 6;
	does(d, "RETR 1\r\n");
	assert_true(dialogue_events(d, "s"));
}

static void
test_retr_that_cannot_be_read_is_no_download(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 2\r\n");
	d->md.read_max = 6;
	d->md.read_fails_at = 12;
	dialogue_drain(d);
	does(d, "RETR 1\r\nNOOP\r\n");
	assert_int_equal(pk_session_end(d->s), PK_END_READ);
	assert_true(dialogue_events(d, "- sc - -"));
}

static void
test_retr_is_no_download_before_its_last_octet(void **state)
{
	static const char in[] = "RETR 1\r\n";
	struct dialogue *d = *state;
	uint8_t out[PK_REPLY_MAX], scratch[1];
	struct pk_io io = {
		(const uint8_t *)in, sizeof(in) - 1, out, sizeof(out), scratch,
		sizeof(scratch), 0,
	};
	unsigned runs = 0;

	dialogue_log_in(d);
	while (pk_session_run(d->s, &io) == PK_WANT_OUTPUT) {
		assert_true(dialogue_events(d, "- - - -"));
		assert_false(pk_session_awaits(d->s));
		io.out = out;
		io.out_len = sizeof(out);
		runs++;
	}
	assert_true(runs > 0);
	assert_true(dialogue_events(d, "s - - -"));
	assert_true(pk_session_awaits(d->s));
}

/* ---- confirmed ---------------------------------------------------------- */

static void
test_download_is_confirmed_by_the_next_line(void **state)
{
	static const char *const lines[] = {
		"NOOP\r\n", "QUIT\r\n", "DELE 1\r\n", "RETR 1\r\n", "XYZZ\r\n",
		"\r\n", "\n", "USER ann\r\n", "AGFubgBzZWNyZXQ=\r\n", "x", "\r",
	};
	struct dialogue *d = *state;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		d->out_len = d->seen = d->left = 0;
		dialogue_log_in(d);
		does(d, "RETR 1\r\n");
		assert_true(pk_session_awaits(d->s));
		assert_true(dialogue_events(d, "s - - -"));
		dialogue_drain(d);
		dialogue_send(d, span_of(lines[i]));
		expect(lines[i], !pk_session_awaits(d->s));
		expect(lines[i], (pk_session_events(d->s)[0] &
		    PK_EVENT_CONFIRMED) != 0);
		pk_session_free(&d->s);
	}
}

static void
test_download_is_not_confirmed_by_input_that_was_there(void **state)
{
	static const char *const ins[] = {
		"RETR 1\r\nQUIT\r\n", "RETR 1\r\nNOOP\r\nQUIT\r\n",
		"RETR 1\r\nRETR 1\r\n\r\nQUIT\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	for (i = 0; i < 2 * sizeof(ins) / sizeof(ins[0]); i++) {
		d->out_len = d->seen = 0;
		/* Even if the wrapper is wrong: nothing can have left yet. */
		d->left = UINT64_MAX;
		d->step = i % 2 == 0 ? SIZE_MAX : 1;
		dialogue_log_in(d);
		does(d, ins[i / 2]);
		assert_int_equal(d->want, PK_WANT_CLOSE);
		assert_true(dialogue_events(d, "s - - -"));
		pk_session_free(&d->s);
	}
}

/* One octet of the reply, the last LF, was still in a queue. */
static void
test_download_is_not_confirmed_before_its_last_octet_left(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 2\r\n");
	d->left = d->out_len - 1;
	does(d, "NOOP\r\nNOOP\r\n");
	assert_true(dialogue_events(d, "- s - -"));
	assert_true(pk_session_awaits(d->s));
	d->left++;
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "- sc - -"));
	assert_false(pk_session_awaits(d->s));
}

static void
test_downloads_are_confirmed_as_far_as_they_have_left(void **state)
{
	struct dialogue *d = *state;
	uint64_t left;

	dialogue_log_in(d);
	does(d, "RETR 2\r\n");
	left = d->out_len;
	does(d, "RETR 1\r\nRETR 4\r\n");
	d->left = left;
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "s sc - s"));
	assert_true(pk_session_awaits(d->s));
	dialogue_drain(d);
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "sc sc - sc"));
	assert_false(pk_session_awaits(d->s));
}

/* The RETR that confirms the first has a download of its own. */
static void
test_downloads_are_confirmed_one_by_another(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 1\r\n");
	dialogue_drain(d);
	does(d, "RETR 2\r\nRETR 3\r\n");
	assert_true(dialogue_events(d, "sc s s -"));
	dialogue_drain(d);
	does(d, "QUIT\r\n");
	assert_true(dialogue_events(d, "sc sc sc -"));
}

static void
test_download_is_not_confirmed_by_the_rest_of_a_line(void **state)
{
	static const char *const rests[] = { "T\r\n", "\r\n", "\n", "T" };
	struct dialogue *d = *state;
	size_t i;

	for (i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
		d->out_len = d->seen = d->left = 0;
		dialogue_log_in(d);
		does(d, "RETR 1\r\nS");
		dialogue_drain(d);
		does(d, "TA");
		does(d, rests[i]);
		assert_true(dialogue_events(d, "s - - -"));
		pk_session_free(&d->s);
	}
}

/* A line without an end begins once, however long it gets. */
static void
test_download_is_not_confirmed_by_the_rest_of_a_long_line(void **state)
{
	struct dialogue *d = *state;
	char line[3000];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	dialogue_log_in(d);
	dialogue_send(d, span_of("RETR 1\r\n"));
	dialogue_send(d, span_of(line));
	dialogue_drain(d);
	dialogue_send(d, span_of("x"));
	dialogue_send(d, span_of("\n"));
	assert_true(dialogue_events(d, "s - - -"));
	dialogue_send(d, span_of("\n"));
	assert_true(dialogue_events(d, "sc - - -"));
}

static void
test_download_is_confirmed_once_and_for_all(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "RETR 1\r\n");
	dialogue_drain(d);
	does(d, "RETR 1\r\n");
	assert_true(dialogue_events(d, "sc - - -"));
	assert_false(pk_session_awaits(d->s));
	assert_false(pk_session_sent_pending(d->s));
	does(d, "DELE 1\r\nRSET\r\nRETR 1\r\n");
	assert_true(dialogue_events(d, "sc - - -"));
}

/* The first of two downloads of a message is the one to be confirmed. */
static void
test_download_that_waits_is_not_put_off_by_another(void **state)
{
	struct dialogue *d = *state;
	uint64_t left;

	dialogue_log_in(d);
	does(d, "RETR 1\r\n");
	left = d->out_len;
	does(d, "RETR 1\r\n");
	d->left = left;
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "sc - - -"));
}

static void
test_top_waits_for_no_confirmation(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	does(d, "TOP 1 99\r\n");
	assert_false(pk_session_awaits(d->s));
	dialogue_drain(d);
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "t - - -"));
}

/* ---- the horizon -------------------------------------------------------- */

/* A wrapper by hand: runs on given octets, with room for any reply. */
struct hand {
	struct dialogue *d;
	uint8_t out[4096], scratch[256];
	uint64_t written;
};

/* Give in with left; returns what was consumed. */
static size_t
give(struct hand *h, const char *in, size_t room, uint64_t left)
{
	struct pk_io io = {
		(const uint8_t *)in, strlen(in), h->out, room, h->scratch,
		sizeof(h->scratch), left,
	};

	h->d->want = pk_session_run(h->d->s, &io);
	h->written += room - io.out_len;
	return strlen(in) - io.in_len;
}

static void
hand_begin(struct hand *h, struct dialogue *d)
{
	h->d = d;
	h->written = 0;
	d->s = pk_session_new_transaction(&d->settings, &d->md.head);
	assert_non_null(d->s);
	assert_int_equal(give(h, "", sizeof(h->out), 0), 0);
}

static void
test_download_waits_for_the_word_on_the_queue(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	assert_false(pk_session_sent_pending(h.d->s));
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	assert_true(pk_session_sent_pending(h.d->s));
	assert_true(pk_session_awaits(h.d->s));
	/* Without that word nothing is known of when this was sent. */
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "s - - -"));
	assert_true(pk_session_sent_pending(h.d->s));
	pk_session_waiting(h.d->s, 0);
	assert_false(pk_session_sent_pending(h.d->s));
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc - - -"));
}

/* NOOP was in the kernel's queue when the reply was not sent yet. */
static void
test_download_is_not_confirmed_by_what_waited_in_the_queue(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 7);
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "s - - -"));
	/* The seventh octet begins a line, and the eighth goes on with it. */
	give(&h, "N", sizeof(h.out), h.written);
	give(&h, "OOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "s - - -"));
	give(&h, "N", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc - - -"));
}

static void
test_download_is_confirmed_right_after_what_waited(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 6);
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "s - - -"));
	give(&h, "N", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc - - -"));
}

/* The word on the queue is for new downloads alone. */
static void
test_waiting_does_not_put_off_earlier_downloads(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 0);
	give(&h, "RETR 2\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 6);
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc s - -"));
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc sc - -"));
}

/* Octets that wait all the time are counted once, not for each download. */
static void
test_waiting_counts_a_queue_once(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 14);
	give(&h, "RETR 2\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 6);
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "s s - -"));
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc sc - -"));
}

/* The queue seemed to shrink: what had arrived before has arrived. */
static void
test_waiting_does_not_forget_what_had_arrived(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 14);
	give(&h, "RETR 2\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 0);
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "s s - -"));
	give(&h, "NOOP\r\n", sizeof(h.out), h.written);
	assert_true(dialogue_events(h.d, "sc sc - -"));
}

static void
test_waiting_takes_any_number(void **state)
{
	struct hand h;

	hand_begin(&h, *state);
	pk_session_waiting(h.d->s, 0);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, UINT64_MAX);
	give(&h, "NOOP\r\n", sizeof(h.out), UINT64_MAX);
	assert_true(dialogue_events(h.d, "s - - -"));
}

/*
 * There is no room for all of LIST, so NOOP is kept.  Its octets were read
 * before the last octet of RETR's reply had left, whatever has by now.
 */
static void
test_kept_input_confirms_nothing_with_its_old_left(void **state)
{
	static const char in[] = "LIST\r\nNOOP\r\n";
	struct hand h;
	size_t taken;
	uint64_t end;

	hand_begin(&h, *state);
	give(&h, "RETR 1\r\n", sizeof(h.out), 0);
	pk_session_waiting(h.d->s, 0);
	end = h.written;
	taken = give(&h, in, PK_REPLY_MAX, end - 1);
	assert_int_equal(taken, 6);
	assert_int_equal(h.d->want, PK_WANT_OUTPUT);
	while (taken < sizeof(in) - 1)
		taken += give(&h, in + taken, PK_REPLY_MAX, end - 1);
	assert_true(dialogue_events(h.d, "s - - -"));
	give(&h, "N", PK_REPLY_MAX, end);
	assert_true(dialogue_events(h.d, "sc - - -"));
}

/* Input is kept, and given again in smaller pieces: it was there before. */
static void
test_kept_input_given_in_pieces_confirms_nothing(void **state)
{
	static const char in[] = "RETR 1\r\nRETR 2\r\nRETR 3\r\nNOOP\r\nNOOP\r\n";
	struct hand h;
	size_t taken;

	hand_begin(&h, *state);
	taken = give(&h, in, PK_REPLY_MAX, 0);
	assert_int_equal(h.d->want, PK_WANT_OUTPUT);
	while (taken < sizeof(in) - 1) {
		char piece[2] = { in[taken], '\0' };

		taken += give(&h, piece, PK_REPLY_MAX, UINT64_MAX);
		if (pk_session_sent_pending(h.d->s))
			pk_session_waiting(h.d->s, 0);
	}
	assert_true(dialogue_events(h.d, "s s s -"));
	give(&h, "N", PK_REPLY_MAX, h.written);
	assert_true(dialogue_events(h.d, "sc sc sc -"));
}

/* What one session object wrote before login counts for it as well. */
static void
test_output_is_counted_from_the_greeting_on(void **state)
{
	struct dialogue *d = *state;

	d->room = PK_REPLY_MAX;
	dialogue_log_in(d);
	does(d, "CAPA\r\nLIST\r\nUIDL\r\nXYZZ\r\nRETR 3\r\n");
	d->left = d->out_len - 1;
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "- - s -"));
	d->left = d->out_len - 5;		/* without the "+OK\r\n" */
	does(d, "NOOP\r\n");
	assert_true(dialogue_events(d, "- - sc -"));
}

static void
test_input_discarded_by_stls_is_counted(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	does(d, "STLS\r\nNOOP\r\nNOOP\r\nNOOP\r\n");
	says(d, LOGIN, LOGGED_IN);
	does(d, "RETR 3\r\n");
	dialogue_drain(d);
	does(d, "N");
	assert_true(dialogue_events(d, "- - sc -"));
}

/* ---- many --------------------------------------------------------------- */

static void
test_downloads_are_remembered_for_each_message(void **state)
{
	enum { MANY = 1000 };
	struct dialogue *d = *state;
	struct fake_message *many = calloc(MANY, sizeof(*many));
	char line[32];
	uint32_t i;

	for (i = 0; i < MANY; i++)
		many[i] = fake_messages[i % FAKE_COUNT];
	d->md.messages = many;
	d->md.count = MANY;
	dialogue_log_in(d);
	for (i = 0; i < 2 * MANY; i++) {
		(void)snprintf(line, sizeof(line), "RETR %u\r\n",
		    (unsigned)(i % MANY + 1));
		does(d, line);
	}
	dialogue_drain(d);
	does(d, "NOOP\r\n");
	for (i = 0; i < MANY; i++)
		assert_int_equal(pk_session_events(d->s)[i], PK_EVENT_SENT |
		    PK_EVENT_CONFIRMED);
	assert_false(pk_session_awaits(d->s));
	pk_session_free(&d->s);
	free(many);
}

/* Those that are remembered already stay so, and are confirmed. */
static void
test_downloads_survive_each_failing_allocation(void **state)
{
	enum { SOME = 40 };
	struct dialogue *d = *state;
	struct fake_message some[SOME];
	long n, total = 1;
	uint32_t i, confirmed;
	char line[32];

	for (i = 0; i < SOME; i++)
		some[i] = fake_messages[2];
	d->md.messages = some;
	d->md.count = SOME;
	for (n = 0; n < total; n++) {
		d->out_len = d->seen = d->left = 0;
		dialogue_log_in(d);
		alloc_arm(n);
		for (i = 1; i <= SOME; i++) {
			(void)snprintf(line, sizeof(line), "RETR %u\r\n",
			    (unsigned)i);
			does(d, line);
		}
		/* One failed, and the next one tried again. */
		total = alloc_count();
		alloc_arm(-1);
		dialogue_drain(d);
		does(d, "NOOP\r\n");
		for (i = confirmed = 0; i < SOME; i++)
			confirmed += (pk_session_events(d->s)[i] &
			    PK_EVENT_CONFIRMED) != 0;
		assert_int_equal(confirmed, n < total - 1 ? SOME - 1 : SOME);
		pk_session_free(&d->s);
	}
	assert_true(total >= 3);
}

/* ---- UPDATE, answered later --------------------------------------------- */

static void
test_session_does_nothing_until_update_is_answered(void **state)
{
	static const char in[] = "RETR 2\r\nDELE 1\r\nQUIT\r\nRSET\r\nDELE 2\r\n";
	struct hand h;
	size_t taken;
	unsigned i;

	hand_begin(&h, *state);
	taken = give(&h, in, sizeof(h.out), 0);
	assert_int_equal(h.d->want, PK_WANT_UPDATE);
	assert_true(span_is((struct pk_span){ (const uint8_t *)in + taken,
	    sizeof(in) - 1 - taken }, "RSET\r\nDELE 2\r\n"));
	pk_session_waiting(h.d->s, 0);
	h.written = 0;
	for (i = 0; i < 3; i++) {
		assert_int_equal(give(&h, in + taken, i == 2 ? 0 :
		    sizeof(h.out), UINT64_MAX), 0);
		assert_int_equal(h.d->want, PK_WANT_UPDATE);
		assert_int_equal(h.written, 0);
		assert_true(dialogue_events(h.d, "d s - -"));
		assert_int_equal(pk_session_end(h.d->s), PK_END_NONE);
	}
	pk_session_updated(h.d->s, 0);
	assert_int_equal(give(&h, in + taken, sizeof(h.out), UINT64_MAX), 0);
	assert_int_equal(h.d->want, PK_WANT_CLOSE);
	assert_int_equal(memcmp(h.out, "+OK", 3), 0);
	assert_true(dialogue_events(h.d, "d s - -"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_begin_with_the_transaction),
		TEST(test_events_stay_after_update),
		TEST(test_events_of_an_empty_maildrop_are_none),
		TEST(test_rset_takes_back_dele_alone),
		TEST(test_messages_with_other_events_are_listed),
		TEST(test_retr_of_all_octets_is_a_download),
		TEST(test_retr_of_another_size_is_no_download),
		TEST(test_retr_again_with_the_right_size_is_a_download),
		TEST(test_retr_that_cannot_be_read_is_no_download),
		TEST(test_retr_is_no_download_before_its_last_octet),
		TEST(test_download_is_confirmed_by_the_next_line),
		TEST(test_download_is_not_confirmed_by_input_that_was_there),
		TEST(test_download_is_not_confirmed_before_its_last_octet_left),
		TEST(test_downloads_are_confirmed_as_far_as_they_have_left),
		TEST(test_downloads_are_confirmed_one_by_another),
		TEST(test_download_is_not_confirmed_by_the_rest_of_a_line),
		TEST(test_download_is_not_confirmed_by_the_rest_of_a_long_line),
		TEST(test_download_is_confirmed_once_and_for_all),
		TEST(test_download_that_waits_is_not_put_off_by_another),
		TEST(test_top_waits_for_no_confirmation),
		TEST(test_download_waits_for_the_word_on_the_queue),
		TEST(test_download_is_not_confirmed_by_what_waited_in_the_queue),
		TEST(test_download_is_confirmed_right_after_what_waited),
		TEST(test_waiting_does_not_put_off_earlier_downloads),
		TEST(test_waiting_counts_a_queue_once),
		TEST(test_waiting_does_not_forget_what_had_arrived),
		TEST(test_waiting_takes_any_number),
		TEST(test_kept_input_confirms_nothing_with_its_old_left),
		TEST(test_kept_input_given_in_pieces_confirms_nothing),
		TEST(test_output_is_counted_from_the_greeting_on),
		TEST(test_input_discarded_by_stls_is_counted),
		TEST(test_downloads_are_remembered_for_each_message),
		TEST(test_downloads_survive_each_failing_allocation),
		TEST(test_session_does_nothing_until_update_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
