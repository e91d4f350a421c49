/*
 * Sessions whose octets come and go in pieces of any size, end anywhere, or
 * meet a system without memory.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/command.h"
#include "tests/session_fixture.h"

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, dialogue_setup, \
	    dialogue_teardown)

/* Every kind of reply once. */
static const char transcript[] =
    "CAPA\r\nUSER eve\r\nSTLS\r\n"
    "AUTH LOGIN\r\nYW5u\r\n*\r\nAUTH PLAIN\r\nAGFubgBzZWNyZXQ=\r\n"
    "STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nbogus\r\nLIST 9\r\n"
    "RETR 2\r\nDELE 2\r\nDELE 3\r\nLIST\r\nUIDL\r\nRSET\r\nDELE 4\r\n"
    "NOOP\r\nCAPA\r\nRETR 3\r\nQUIT\r\n";

/* The input up to and with STLS; the rest comes when TLS has started. */
static size_t
clear_len(void)
{
	return (size_t)(strstr(transcript, "STLS\r\n") - transcript) + 6;
}

/* Send the first len octets of the transcript to a new session. */
static void
play(struct dialogue *d, size_t len)
{
	size_t clear = len < clear_len() ? len : clear_len();

	d->out_len = d->seen = d->updates = 0;
	pk_session_free(&d->s);
	dialogue_begin(d);
	dialogue_send(d, (struct pk_span){ (const uint8_t *)transcript,
	    clear });
	dialogue_send(d, (struct pk_span){ (const uint8_t *)transcript + clear,
	    len - clear });
}

struct whole {
	uint8_t out[16384];
	size_t len;
	uint8_t events[FAKE_COUNT];
};

static void
play_whole(struct dialogue *d, struct whole *whole)
{
	play(d, sizeof(transcript) - 1);
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(d->updates, 1);
	assert_true(d->out_len <= sizeof(whole->out));
	whole->len = d->out_len;
	memcpy(whole->out, d->out, d->out_len);
	memcpy(whole->events, pk_session_events(d->s), FAKE_COUNT);
}

static const struct {
	size_t step, room, scratch, read_max;
} sizes[] = {
	{ 1, 512, 4096, SIZE_MAX },
	{ 1, 512, 1, SIZE_MAX },
	{ 2, 513, 1, 1 },
	{ 3, 515, 7, 2 },
	{ 7, 600, 256, 3 },
	{ 64, 767, 4096, 5 },
	{ SIZE_MAX, 512, 4096, SIZE_MAX },
	{ SIZE_MAX, 512, 4096, 1 },
	{ SIZE_MAX, 1023, 512, SIZE_MAX },
	{ SIZE_MAX, 65536, 65536, SIZE_MAX },
};

static void
test_session_says_the_same_in_pieces_of_any_size(void **state)
{
	struct dialogue *d = *state;
	struct whole whole;
	size_t i;

	play_whole(d, &whole);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		d->step = sizes[i].step;
		d->room = sizes[i].room;
		d->scratch = sizes[i].scratch;
		d->md.read_max = sizes[i].read_max;
		play(d, sizeof(transcript) - 1);
		assert_int_equal(d->out_len, whole.len);
		assert_memory_equal(d->out, whole.out, whole.len);
		assert_memory_equal(pk_session_events(d->s), whole.events,
		    FAKE_COUNT);
		assert_int_equal(d->updates, 1);
	}
}

/* After login: what is sent at a time, and whether all replies had left. */
static const struct {
	const char *in;
	bool drained;
} exchanges[] = {
	{ "RETR 1\r\nTOP 3 0\r\nRETR 2\r\nSTA", false },
	{ "T\r\nLIST\r\n", true },		/* its T begins no line */
	{ "RETR 4\r\nTOP 2 1\r\nUID", false },
	{ "L\r\nTOP 2 0\r\nTOP 1 2\r\nTOP 2 9\r\nXYZZ\r\n", false },
	{ "DELE 2\r\nRETR 3\r\nNOOP\r\n", false },
	{ "QUIT\r\n", false },
};

/* Like play(), with a limit for TOP: 1 and 2 are confirmed, 3 and 4 are not. */
static void
play_exchanges(struct dialogue *d)
{
	size_t i;

	d->out_len = d->seen = d->left = 0;
	d->settings.top = 1;
	dialogue_log_in(d);
	for (i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		if (exchanges[i].drained)
			dialogue_drain(d);
		dialogue_send(d, span_of(exchanges[i].in));
	}
	assert_true(dialogue_events(d, "sc dsct st s"));
	pk_session_free(&d->s);
}

static void
test_session_tells_the_same_events_in_pieces_of_any_size(void **state)
{
	struct dialogue *d = *state;
	size_t i, len;

	play_exchanges(d);
	len = d->out_len;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		d->step = sizes[i].step;
		d->room = sizes[i].room;
		d->scratch = sizes[i].scratch;
		d->md.read_max = sizes[i].read_max;
		play_exchanges(d);
		assert_int_equal(d->out_len, len);
	}
}

static void
test_session_updates_only_when_quit_is_whole(void **state)
{
	struct dialogue *d = *state;
	struct whole whole;
	size_t len;

	play_whole(d, &whole);
	d->md.updated = 0;
	for (len = 0; len < sizeof(transcript) - 1; len++) {
		play(d, len);
		assert_int_equal(d->want, PK_WANT_INPUT);
		assert_int_equal(d->updates, 0);
		assert_int_equal(d->md.updated, 0);
		assert_int_equal(pk_session_end(d->s), PK_END_NONE);
		assert_true(d->out_len < whole.len);
		assert_memory_equal(d->out, whole.out, d->out_len);
	}
}

static bool
has_confirmed(const struct dialogue *d)
{
	const uint8_t *events = pk_session_events(d->s);
	uint32_t i;

	for (i = 0; events != NULL && i < FAKE_COUNT; i++)
		if ((events[i] & PK_EVENT_CONFIRMED) != 0)
			return true;
	return false;
}

/*
 * DELE stands three times in the transcript; a flipped bit adds none.  No
 * octet of output has left, as far as the session knows: nothing is confirmed.
 */
static void
test_session_survives_any_flipped_bit(void **state)
{
	struct dialogue *d = *state;
	struct pk_session_totals totals;
	uint8_t in[sizeof(transcript) - 1];
	size_t bit;

	for (bit = 0; bit < sizeof(in) * 8; bit++) {
		memcpy(in, transcript, sizeof(in));
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
		d->out_len = d->seen = 0;
		dialogue_begin(d);
		dialogue_send(d, (struct pk_span){ in, clear_len() });
		dialogue_send(d, (struct pk_span){ in + clear_len(),
		    sizeof(in) - clear_len() });
		pk_session_totals(d->s, &totals);
		assert_in_range(totals.dele, 0, 3);
		assert_false(has_confirmed(d));
		pk_session_free(&d->s);
	}
}

/* ---- large messages ----------------------------------------------------- */

enum { BIG = 40000 };

/* Lines of LF with dots, and what a client must get of them. */
struct big {
	uint8_t stored[BIG], expected[2 * BIG + 2];
	size_t expected_len;
	struct fake_message message;
};

static void
make_big(struct big *big)
{
	size_t i, n = 0;

	for (i = 0; i < BIG; i++) {
		static const char octets[] = "\n.abcdefgh";

		big->stored[i] = (uint8_t)octets[random_below(10)];
		if (big->stored[i] == '\n')
			big->expected[n++] = '\r';
		big->expected[n++] = big->stored[i];
	}
	if (big->stored[BIG - 1] != '\n') {
		big->expected[n++] = '\r';
		big->expected[n++] = '\n';
	}
	big->expected_len = n;
	big->message = (struct fake_message){ { big->stored, BIG }, n, "u", 1 };
}

/* Undo dot-stuffing as a client does; returns the octets of the message. */
static size_t
unstuff(const uint8_t *in, size_t len, uint8_t *out)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (in[i] == '.' && (i == 0 || in[i - 1] == '\n')) {
			i++;
			if (in[i] == '\r') {
				assert_int_equal(i + 2, len);
				return n;
			}
		}
		out[n++] = in[i];
	}
	fail_msg("the final dot is missing");
	return 0;
}

static void
test_retr_sends_a_large_message_through_any_room(void **state)
{
	struct dialogue *d = *state;
	struct big *big = malloc(sizeof(*big));
	uint8_t *got = malloc(2 * BIG + 2);
	size_t i, head, n;

	random_begin();
	make_big(big);
	d->md.messages = &big->message;
	d->md.count = 1;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		d->room = sizes[i].room;
		d->scratch = sizes[i].scratch;
		d->out_len = d->seen = 0;
		dialogue_log_in(d);
		dialogue_send(d, span_of("RETR 1\r\n"));
		head = d->seen + strcspn((char *)d->out + d->seen, "\n") + 1;
		n = unstuff(d->out + head, d->out_len - head, got);
		assert_int_equal(n, big->expected_len);
		assert_memory_equal(got, big->expected, n);
		assert_int_equal(d->md.sent, n);
		pk_session_free(&d->s);
	}
	free(got);
	free(big);
}

static void
test_session_closes_a_message_that_is_being_sent(void **state)
{
	struct dialogue *d = *state;
	struct big *big = malloc(sizeof(*big));
	uint8_t out[PK_REPLY_MAX + 100], scratch[64];
	struct pk_io io = {
		(const uint8_t *)"RETR 1\r\n", 8, out, sizeof(out), scratch,
		sizeof(scratch), 0,
	};

	make_big(big);
	d->md.messages = &big->message;
	d->md.count = 1;
	dialogue_log_in(d);
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_OUTPUT);
	assert_int_equal(d->md.opened, 1);
	assert_int_equal(d->md.closed, 0);
	pk_session_free(&d->s);
	assert_int_equal(d->md.closed, 1);
	assert_int_equal(d->md.closed_whole, 0);
	free(big);
}

static void
test_list_shows_many_messages_through_any_room(void **state)
{
	enum { MANY = 3000 };
	struct dialogue *d = *state;
	struct fake_message *many = calloc(MANY, sizeof(*many));
	size_t i, at, n;

	for (i = 0; i < MANY; i++)
		many[i] = fake_messages[1];
	d->md.messages = many;
	d->md.count = MANY;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		d->room = sizes[i].room;
		d->out_len = d->seen = 0;
		dialogue_log_in(d);
		at = d->seen;
		dialogue_send(d, span_of("UIDL\r\nDELE 7\r\nUIDL\r\n"));
		for (n = 0; at < d->out_len; at++)
			n += d->out[at] == '\n';
		assert_int_equal(n, 2 * MANY - 1 + 5);
		pk_session_free(&d->s);
	}
	free(many);
}

/* ---- pipelining --------------------------------------------------------- */

static void
test_session_answers_hundreds_of_commands_in_order(void **state)
{
	enum { TIMES = 400 };
	static const char in[] = "RETR 2\r\nSTAT\r\nLIST 9\r\n";
	static const char reply[] = "+OK 16 octets\r\nS: b\r\n\r\nno end\r\n"
	    ".\r\n+OK 4 49\r\n-ERR No such message, the maildrop has 4\r\n";
	struct dialogue *d = *state;
	char *all = malloc(TIMES * sizeof(in));
	size_t i, at;

	for (i = 0; i < TIMES; i++)
		memcpy(all + i * (sizeof(in) - 1), in, sizeof(in));
	for (d->room = PK_REPLY_MAX; d->room < 9000; d->room += 4001) {
		d->out_len = d->seen = 0;
		dialogue_log_in(d);
		at = d->seen;
		dialogue_send(d, span_of(all));
		assert_int_equal(d->out_len - at, TIMES * (sizeof(reply) - 1));
		for (; at < d->out_len; at += sizeof(reply) - 1)
			assert_memory_equal(d->out + at, reply,
			    sizeof(reply) - 1);
		pk_session_free(&d->s);
	}
	free(all);
}

static void
test_session_keeps_what_follows_a_login(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, LOGIN "STAT\r\nDELE 1\r\nQUIT\r\nSTAT\r\n",
	    LOGGED_IN "+OK 4 49\r\n+OK*\r\n+OK*\r\n");
	assert_int_equal(d->updates, 1);
}

/* ---- questions ---------------------------------------------------------- */

static void
test_session_consumes_nothing_while_a_question_is_open(void **state)
{
	struct dialogue *d = *state;
	uint8_t out[2 * PK_REPLY_MAX];
	struct pk_io io = {
		(const uint8_t *)LOGIN "STAT\r\n", sizeof(LOGIN "STAT\r\n") - 1,
		out, sizeof(out), NULL, 0, 0,
	};
	size_t room;

	dialogue_begin(d);
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_LOGIN);
	room = io.out_len;
	assert_int_equal(io.in_len, 6);
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_LOGIN);
	assert_int_equal(io.in_len, 6);
	assert_int_equal(io.out_len, room);
	assert_true(span_is(pk_session_credential(d->s)->secret, "secret"));
}

static void
test_session_discards_all_input_until_tls_has_started(void **state)
{
	struct dialogue *d = *state;
	uint8_t out[PK_REPLY_MAX];
	struct pk_io io = {
		(const uint8_t *)"STLS\r\nUSER eve\r\n", 16, out, sizeof(out),
		NULL, 0, 0,
	};

	dialogue_begin(d);
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_TLS);
	assert_int_equal(io.in_len, 0);
	io.in = (const uint8_t *)"PASS x\r\n";
	io.in_len = 8;
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_TLS);
	assert_int_equal(io.in_len, 0);
	pk_session_tls_started(d->s);
	says(d, "CAPA\r\n", "+OK*\r\nTOP\r\nUIDL\r\nRESP-CODES\r\n"
	    "AUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUSER\r\n"
	    "SASL PLAIN LOGIN\r\nIMPLEMENTATION popkeep\r\n.\r\n");
}

static void
test_session_writes_nothing_without_room_for_a_reply(void **state)
{
	struct dialogue *d = *state;
	uint8_t out[PK_REPLY_MAX];
	struct pk_io io = {
		(const uint8_t *)"STAT\r\n", 6, out, sizeof(out) - 1, NULL, 0, 0,
	};

	d->s = pk_session_new(&d->settings);
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_OUTPUT);
	assert_int_equal(io.out_len, sizeof(out) - 1);
	io.out_len++;
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_OUTPUT);
	assert_true(io.out_len < sizeof(out));
	dialogue_send(d, span_of(""));
	assert_true(dialogue_matches(d, "-ERR*\r\n"));
}

/* ---- lines -------------------------------------------------------------- */

/* PASS with a password that makes the line len octets with its CRLF. */
static void
send_pass(struct dialogue *d, size_t len)
{
	uint8_t line[PK_LINE_MAX + 1];

	assert_true(len <= sizeof(line));
	memset(line, 'x', len);
	memcpy(line, "PASS ", 5);
	memcpy(line + len - 2, "\r\n", 2);
	says(d, "USER ann\r\n", "+OK*\r\n");
	dialogue_send(d, (struct pk_span){ line, len });
}

static void
test_session_takes_lines_up_to_its_limit(void **state)
{
	struct dialogue *d = *state;

	for (d->step = 1; d->step <= 3 * PK_LINE_MAX;
	    d->step += PK_LINE_MAX - 1) {
		d->logins = 0;
		dialogue_begin(d);
		send_pass(d, PK_LINE_MAX + 1);
		assert_true(dialogue_matches(d, "-ERR*\r\n"));
		assert_int_equal(d->logins, 0);
		send_pass(d, PK_LINE_MAX);
		assert_true(dialogue_matches(d, "+OK*\r\n"));
		assert_int_equal(d->logins, 1);
		assert_int_equal(strlen(d->secret), PK_LINE_MAX - 7);
		pk_session_free(&d->s);
	}
}

static void
send_long(struct dialogue *d, const char *end)
{
	enum { LONG = 100000 };
	uint8_t *line = malloc(LONG);

	memset(line, 'x', LONG);
	dialogue_send(d, (struct pk_span){ line, LONG });
	assert_true(dialogue_matches(d, ""));
	dialogue_send(d, span_of(end));
	free(line);
}

static void
test_session_answers_a_long_line_once(void **state)
{
	struct dialogue *d = *state;

	d->step = 777;
	dialogue_log_in(d);
	send_long(d, "\r\n");
	assert_true(dialogue_matches(d, "-ERR*\r\n"));
	send_long(d, "\nSTAT\r\n");
	assert_true(dialogue_matches(d, "-ERR*\r\n+OK 4 49\r\n"));
	says(d, "STAT\r\n", "+OK 4 49\r\n");
}

static void
test_session_forgets_user_and_sasl_at_a_long_line(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "USER ann\r\n", "+OK*\r\n");
	send_long(d, "\r\nPASS secret\r\n");
	assert_true(dialogue_matches(d, "-ERR*\r\n-ERR*\r\n"));
	says(d, "AUTH LOGIN\r\nYW5u\r\n", "+*\r\n+*\r\n");
	send_long(d, "\r\nPASS secret\r\n");
	assert_true(dialogue_matches(d, "-ERR*\r\n-ERR PASS*\r\n"));
	assert_int_equal(d->logins, 0);
	says(d, LOGIN, LOGGED_IN);
}

static void
test_session_answers_a_line_with_nul_once(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	dialogue_send(d, LITERAL("USER a\0b\r\n"));
	assert_true(dialogue_matches(d, "-ERR*\r\n"));
	dialogue_send(d, LITERAL("\0\0\r\n\0\n"));
	assert_true(dialogue_matches(d, "-ERR*\r\n-ERR*\r\n"));
	says(d, "USER ann\r\n", "+OK*\r\n");
	dialogue_send(d, LITERAL("PASS sec\0ret\r\n"));
	assert_true(dialogue_matches(d, "-ERR*\r\n"));
	dialogue_send(d, LITERAL("AUTH PLAIN\r\nAGFubgBzZWNyZXQ\0\r\n"));
	assert_true(dialogue_matches(d, "+ \r\n-ERR*\r\n"));
	assert_int_equal(d->logins, 0);
	says(d, LOGIN "STAT\r\n", LOGGED_IN "+OK 4 49\r\n");
}

static void
test_session_answers_each_line_of_garbage_once(void **state)
{
	enum { LINES = 500, LONGEST = 3 * PK_LINE_MAX };
	struct dialogue *d = *state;
	uint8_t line[LONGEST];
	size_t i, n, len;

	random_begin();
	dialogue_log_in(d);
	for (i = 0; i < LINES; i++) {
		d->step = 1 + random_below(LONGEST);
		len = 2 + random_below(LONGEST - 1);
		for (n = 0; n < len; n++)
			line[n] = (uint8_t)random_below(256);
		for (n = 0; n < len; n++)
			if (line[n] == '\n')
				line[n] = '\0';
		line[0] = 'x';
		line[len - 1] = '\n';
		dialogue_send(d, (struct pk_span){ line, len });
		assert_true(dialogue_matches(d, "-ERR*\r\n"));
	}
	says(d, "STAT\r\n", "+OK 4 49\r\n");
}

/* ---- no memory ---------------------------------------------------------- */

/* A download that cannot be remembered is not confirmed, and that is all. */
static void
test_session_serves_without_memory_for_downloads(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	alloc_arm(0);
	says(d, "RETR 3\r\n", "+OK*\r\n.\r\n");
	assert_int_equal(alloc_count(), 1);
	alloc_arm(-1);
	assert_false(pk_session_awaits(d->s));
	assert_false(pk_session_sent_pending(d->s));
	dialogue_drain(d);
	dialogue_send(d, span_of("RETR 3\r\nRETR 4\r\n"));
	dialogue_drain(d);
	dialogue_send(d, span_of("NOOP\r\n"));
	assert_true(dialogue_events(d, "- - s sc"));
}

static void
test_session_survives_each_failing_allocation(void **state)
{
	struct dialogue *d = *state;
	long n, total;

	alloc_arm(-1);
	play(d, sizeof(transcript) - 1);
	total = alloc_count();
	assert_int_equal(total, 3);
	pk_session_free(&d->s);
	alloc_arm(0);
	assert_null(pk_session_new(&d->settings));
	for (n = 0; n < 2; n++) {
		alloc_arm(n);
		assert_null(pk_session_new_transaction(&d->settings,
		    &d->md.head));
	}
	alloc_arm(2);
	play(d, sizeof(transcript) - 1);
	alloc_arm(-1);
	assert_int_equal(d->want, PK_WANT_CLOSE);
}

static void
test_session_refuses_a_login_without_memory(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	alloc_arm(0);
	says(d, LOGIN, "+OK*\r\n-ERR [SYS/TEMP]*\r\n");
	alloc_arm(-1);
	says(d, "STAT\r\n", "-ERR*\r\n");
	says(d, LOGIN "STAT\r\n", LOGGED_IN "+OK 4 49\r\n");
}

static void
test_session_free_takes_nothing(void **state)
{
	struct pk_session *none = NULL;

	(void)state;
	pk_session_free(&none);
	assert_null(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_says_the_same_in_pieces_of_any_size),
		TEST(test_session_tells_the_same_events_in_pieces_of_any_size),
		TEST(test_session_updates_only_when_quit_is_whole),
		TEST(test_session_survives_any_flipped_bit),
		TEST(test_retr_sends_a_large_message_through_any_room),
		TEST(test_session_closes_a_message_that_is_being_sent),
		TEST(test_list_shows_many_messages_through_any_room),
		TEST(test_session_answers_hundreds_of_commands_in_order),
		TEST(test_session_keeps_what_follows_a_login),
		TEST(test_session_consumes_nothing_while_a_question_is_open),
		TEST(test_session_discards_all_input_until_tls_has_started),
		TEST(test_session_writes_nothing_without_room_for_a_reply),
		TEST(test_session_takes_lines_up_to_its_limit),
		TEST(test_session_answers_a_long_line_once),
		TEST(test_session_forgets_user_and_sasl_at_a_long_line),
		TEST(test_session_answers_a_line_with_nul_once),
		TEST(test_session_answers_each_line_of_garbage_once),
		TEST(test_session_survives_each_failing_allocation),
		TEST(test_session_serves_without_memory_for_downloads),
		TEST(test_session_refuses_a_login_without_memory),
		cmocka_unit_test(test_session_free_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
