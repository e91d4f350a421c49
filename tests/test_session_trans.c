/*
 * The TRANSACTION and UPDATE states: every command of RFC 1939 sections 5 to 7.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "tests/session_fixture.h"

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, dialogue_setup, \
	    dialogue_teardown)

#define UID_35 "01234567890123456789012345678901234"
#define UID_70 UID_35 UID_35

static void
test_session_refuses_authorization_commands_after_login(void **state)
{
	static const char *const lines[] = {
		"USER ann\r\n", "PASS secret\r\n", "APOP ann x\r\n",
		"AUTH PLAIN\r\n", "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n",
		"STLS\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	dialogue_log_in(d);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		says(d, lines[i], "-ERR*\r\n");
	says(d, "STAT\r\n", "+OK 4 49\r\n");
	assert_int_equal(d->logins, 1);
}

static void
test_session_refuses_malformed_commands_after_login(void **state)
{
	static const char *const lines[] = {
		"\r\n", "XYZZ\r\n", "STAT x\r\n", "STAT  \r\n", "NOOP x\r\n",
		"RSET 1\r\n", "LIST 1 2\r\n", "LIST  1\r\n", "LIST -1\r\n",
		"LIST +1\r\n", "LIST 01\r\n", "LIST 1x\r\n", "LIST x\r\n",
		"LIST 4294967297\r\n", "LIST 18446744073709551617\r\n",
		"LIST 0\r\n", "LIST 5\r\n", "UIDL 0\r\n", "UIDL 5\r\n",
		"UIDL x\r\n", "UIDL 1 2\r\n", "RETR\r\n", "RETR 0\r\n",
		"RETR 5\r\n", "RETR x\r\n", "RETR 1 2\r\n",
		"RETR 4294967297\r\n", "DELE\r\n", "DELE 0\r\n", "DELE 5\r\n",
		"DELE x\r\n", "DELE 1 2\r\n", "TOP\r\n", "TOP 1\r\n",
		"TOP 0 0\r\n", "TOP 5 0\r\n", "TOP x 0\r\n", "TOP 1 x\r\n",
		"TOP 1 -1\r\n", "TOP 1 +1\r\n", "TOP 1 4294967296\r\n",
		"TOP 1 1 1\r\n", "QUIT now\r\n", "CAPA x\r\n", "RETR\t1\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	dialogue_log_in(d);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		says(d, lines[i], "-ERR*\r\n");
	says(d, "STAT\r\n", "+OK 4 49\r\n");
	assert_int_equal(d->md.opened, 0);
}

static void
test_session_takes_keywords_in_any_case_and_a_bare_lf(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	says(d, "sTaT\r\nstat\nSTAT \r\nNoOp\r\n",
	    "+OK 4 49\r\n+OK 4 49\r\n+OK 4 49\r\n+OK*\r\n");
}

/* ---- STAT, LIST, UIDL --------------------------------------------------- */

static void
test_list_shows_each_message(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	says(d, "LIST\r\n", "+OK*\r\n1 20\r\n2 16\r\n3 0\r\n4 13\r\n.\r\n");
	says(d, "LIST 1\r\nLIST 4\r\n", "+OK 1 20\r\n+OK 4 13\r\n");
}

static void
test_uidl_shows_each_message(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	says(d, "UIDL\r\n", "+OK*\r\n1 u1\r\n2 " UID_70 "\r\n3 !~\r\n4 u4\r\n"
	    ".\r\n");
	says(d, "UIDL 2\r\nUIDL 3\r\n", "+OK 2 " UID_70 "\r\n+OK 3 !~\r\n");
}

static void
test_session_serves_an_empty_maildrop(void **state)
{
	struct dialogue *d = *state;

	d->md.count = 0;
	dialogue_log_in(d);
	says(d, "STAT\r\nLIST\r\nUIDL\r\nRSET\r\n",
	    "+OK 0 0\r\n+OK*\r\n.\r\n+OK*\r\n.\r\n+OK*\r\n");
	says(d, "LIST 1\r\nDELE 1\r\n", "-ERR*\r\n-ERR*\r\n");
	says(d, "QUIT\r\n", "+OK*\r\n");
	assert_int_equal(d->updates, 1);
}

static void
test_list_shows_the_largest_numbers(void **state)
{
	static const struct fake_message huge = {
		{ NULL, 0 }, UINT64_MAX, "u", 1,
	};
	struct dialogue *d = *state;

	d->md.messages = &huge;
	d->md.count = 1;
	dialogue_log_in(d);
	says(d, "STAT\r\nLIST 1\r\nLIST\r\n",
	    "+OK 1 18446744073709551615\r\n+OK 1 18446744073709551615\r\n"
	    "+OK*\r\n1 18446744073709551615\r\n.\r\n");
}

/* ---- DELE and RSET ------------------------------------------------------ */

static void
test_dele_hides_the_message_everywhere(void **state)
{
	static const char *const lines[] = {
		"LIST 2\r\n", "UIDL 2\r\n", "RETR 2\r\n", "TOP 2 0\r\n",
		"DELE 2\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	dialogue_log_in(d);
	says(d, "DELE 2\r\n", "+OK*\r\n");
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		says(d, lines[i], "-ERR*\r\n");
	says(d, "STAT\r\n", "+OK 3 33\r\n");
	says(d, "LIST\r\n", "+OK*\r\n1 20\r\n3 0\r\n4 13\r\n.\r\n");
	says(d, "UIDL\r\n", "+OK*\r\n1 u1\r\n3 !~\r\n4 u4\r\n.\r\n");
	assert_int_equal(d->md.updated, 0);
}

static void
test_rset_unmarks_all(void **state)
{
	struct dialogue *d = *state;
	struct pk_session_totals totals;

	dialogue_log_in(d);
	says(d, "DELE 1\r\nDELE 4\r\n", "+OK*\r\n+OK*\r\n");
	says(d, "STAT\r\nRSET\r\nSTAT\r\n",
	    "+OK 2 16\r\n+OK*\r\n+OK 4 49\r\n");
	says(d, "LIST\r\n", "+OK*\r\n1 20\r\n2 16\r\n3 0\r\n4 13\r\n.\r\n");
	pk_session_totals(d->s, &totals);
	assert_int_equal(totals.dele, 0);
	says(d, "QUIT\r\n", "+OK*\r\n");
	assert_memory_equal(d->md.plan, "\0\0\0\0", FAKE_COUNT);
}

static void
test_session_serves_a_maildrop_that_is_all_marked(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	says(d, "DELE 1\r\nDELE 2\r\nDELE 3\r\nDELE 4\r\n",
	    "+OK*\r\n+OK*\r\n+OK*\r\n+OK*\r\n");
	says(d, "STAT\r\nLIST\r\nUIDL\r\n",
	    "+OK 0 0\r\n+OK*\r\n.\r\n+OK*\r\n.\r\n");
}

/* ---- RETR and TOP ------------------------------------------------------- */

static void
test_retr_sends_each_message(void **state)
{
	struct dialogue *d = *state;
	static const char with_nul[] =
	    "+OK 13 octets\r\nS: d\r\n\r\na\0b\r\n.\r\n";

	dialogue_log_in(d);
	says(d, "RETR 1\r\n",
	    "+OK 20 octets\r\nS: a\r\n\r\n..dot\r\nlast\r\n.\r\n");
	assert_int_equal(d->md.sent, 20);
	says(d, "RETR 2\r\n",
	    "+OK 16 octets\r\nS: b\r\n\r\nno end\r\n.\r\n");
	assert_int_equal(d->md.sent, 16);
	says(d, "RETR 3\r\n", "+OK 0 octets\r\n.\r\n");
	assert_int_equal(d->md.sent, 0);
	dialogue_send(d, span_of("RETR 4\r\n"));
	assert_int_equal(d->out_len - d->seen, sizeof(with_nul) - 1);
	assert_memory_equal(d->out + d->seen, with_nul, sizeof(with_nul) - 1);
	assert_int_equal(d->md.sent, 13);
	assert_int_equal(d->md.closed_whole, 4);
}

static const struct {
	const char *in, *pattern;
} tops[] = {
	{ "TOP 1 0\r\n", "+OK*\r\nS: a\r\n\r\n.\r\n" },
	{ "TOP 1 1\r\n", "+OK*\r\nS: a\r\n\r\n..dot\r\n.\r\n" },
	{ "TOP 1 2\r\n", "+OK*\r\nS: a\r\n\r\n..dot\r\nlast\r\n.\r\n" },
	{ "TOP 1 4294967295\r\n",
	    "+OK*\r\nS: a\r\n\r\n..dot\r\nlast\r\n.\r\n" },
	{ "TOP 2 0\r\n", "+OK*\r\nS: b\r\n\r\n.\r\n" },
	{ "TOP 2 9\r\n", "+OK*\r\nS: b\r\n\r\nno end\r\n.\r\n" },
	{ "TOP 3 9\r\n", "+OK*\r\n.\r\n" },
};

static void
test_top_sends_each_case(void **state)
{
	struct dialogue *d = *state;
	struct pk_session_totals totals;
	size_t i;

	dialogue_log_in(d);
	for (i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		says(d, tops[i].in, tops[i].pattern);
	pk_session_totals(d->s, &totals);
	assert_int_equal(totals.top, i);
	assert_int_equal(totals.retr, 0);
	assert_int_equal(d->md.closed, i);
	/* Rule 54: TOP is no download. */
	assert_int_equal(d->md.closed_whole, 0);
}

static void
test_retr_sends_all_after_top_sent_less(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	says(d, "TOP 1 0\r\nRETR 1\r\n", "+OK*\r\nS: a\r\n\r\n.\r\n"
	    "+OK 20 octets\r\nS: a\r\n\r\n..dot\r\nlast\r\n.\r\n");
	assert_int_equal(d->md.closed_whole, 1);
}

static void
test_retr_goes_on_when_a_message_cannot_be_opened(void **state)
{
	static const enum pk_err errs[] = {
		PK_ERR_IO, PK_ERR_NOMEM, PK_ERR_LIMIT, PK_ERR_SYNTAX,
		PK_ERR_CRYPTO,
	};
	struct dialogue *d = *state;
	struct pk_session_totals totals;
	size_t i;

	dialogue_log_in(d);
	d->md.open_err = PK_ERR_NOTFOUND;
	says(d, "RETR 1\r\nTOP 1 0\r\n", "-ERR*\r\n-ERR*\r\n");
	for (i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		d->md.open_err = errs[i];
		says(d, "RETR 1\r\nTOP 1 0\r\n",
		    "-ERR [SYS/TEMP]*\r\n-ERR [SYS/TEMP]*\r\n");
	}
	d->md.open_err = PK_OK;
	says(d, "RETR 3\r\n", "+OK*\r\n.\r\n");
	pk_session_totals(d->s, &totals);
	assert_int_equal(totals.retr, 1);
	assert_int_equal(totals.top, 0);
}

static void
test_retr_ends_the_session_when_reading_fails(void **state)
{
	struct dialogue *d = *state;
	struct pk_session_totals totals;

	dialogue_log_in(d);
	d->md.read_max = 6;
	d->md.read_fails_at = 6;
	says(d, "RETR 1\r\nNOOP\r\nQUIT\r\n", "+OK*\r\nS: a\r\n\r\n");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(pk_session_end(d->s), PK_END_READ);
	assert_int_equal(d->md.closed, 1);
	assert_int_equal(d->md.closed_whole, 0);
	assert_int_equal(d->md.updated, 0);
	pk_session_totals(d->s, &totals);
	assert_int_equal(totals.retr, 0);
	assert_int_equal(totals.octets, 0);
}

static void
test_top_ends_the_session_when_reading_fails(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	d->md.read_max = 3;
	d->md.read_fails_at = 3;
	says(d, "DELE 2\r\nTOP 1 9\r\nQUIT\r\n", "+OK*\r\n+OK*\r\nS: ");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(pk_session_end(d->s), PK_END_READ);
	assert_int_equal(d->updates, 0);
}

static void
test_top_does_not_read_what_it_does_not_send(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	d->md.read_max = 6;
	d->md.read_fails_at = 12;
	says(d, "TOP 1 1\r\n", "+OK*\r\nS: a\r\n\r\n..dot\r\n.\r\n");
	assert_int_equal(d->want, PK_WANT_INPUT);
	assert_true(dialogue_events(d, "- - - -"));
}

/* ---- QUIT --------------------------------------------------------------- */

static void
test_quit_disposes_of_what_is_marked(void **state)
{
	struct dialogue *d = *state;
	struct pk_session_totals totals;

	dialogue_log_in(d);
	says(d, "RETR 2\r\nDELE 2\r\nDELE 4\r\nTOP 1 0\r\n",
	    "+OK*\r\nS: b\r\n\r\nno end\r\n.\r\n+OK*\r\n+OK*\r\n"
	    "+OK*\r\nS: a\r\n\r\n.\r\n");
	assert_int_equal(d->md.updated, 0);
	says(d, "QUIT\r\nSTAT\r\n", "+OK*\r\n");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(d->md.updated, 1);
	assert_memory_equal(d->md.plan, ((uint8_t[]){ PK_KEEP, PK_DISPOSE,
	    PK_KEEP, PK_DISPOSE }), FAKE_COUNT);
	assert_int_equal(pk_session_end(d->s), PK_END_QUIT);
	pk_session_totals(d->s, &totals);
	assert_int_equal(totals.retr, 1);
	assert_int_equal(totals.top, 1);
	assert_int_equal(totals.dele, 2);
	assert_int_equal(totals.octets, 16 + 8);
}

static void
test_quit_tells_what_was_not_removed(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	d->md.left = 1;
	says(d, "DELE 1\r\nDELE 2\r\nQUIT\r\n",
	    "+OK*\r\n+OK*\r\n-ERR [SYS/TEMP] 1 *\r\n");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(pk_session_end(d->s), PK_END_UPDATE_FAILED);
}

static void
test_session_ends_without_update_unless_by_quit(void **state)
{
	struct dialogue *d = *state;

	dialogue_log_in(d);
	says(d, "DELE 1\r\n", "+OK*\r\n");
	assert_int_equal(pk_session_end(d->s), PK_END_NONE);
	pk_session_free(&d->s);
	assert_int_equal(d->md.updated, 0);
}

/* ---- a session of another process --------------------------------------- */

static void
test_session_begins_in_transaction(void **state)
{
	struct dialogue *d = *state;

	d->s = pk_session_new_transaction(&d->settings, &d->md.head);
	assert_non_null(d->s);
	says(d, "STAT\r\nUSER ann\r\n",
	    "+OK*4 messages (49 octets)\r\n+OK 4 49\r\n-ERR*\r\n");
	assert_int_equal(d->logins, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_refuses_authorization_commands_after_login),
		TEST(test_session_refuses_malformed_commands_after_login),
		TEST(test_session_takes_keywords_in_any_case_and_a_bare_lf),
		TEST(test_list_shows_each_message),
		TEST(test_uidl_shows_each_message),
		TEST(test_session_serves_an_empty_maildrop),
		TEST(test_list_shows_the_largest_numbers),
		TEST(test_dele_hides_the_message_everywhere),
		TEST(test_rset_unmarks_all),
		TEST(test_session_serves_a_maildrop_that_is_all_marked),
		TEST(test_retr_sends_each_message),
		TEST(test_top_sends_each_case),
		TEST(test_retr_sends_all_after_top_sent_less),
		TEST(test_retr_goes_on_when_a_message_cannot_be_opened),
		TEST(test_retr_ends_the_session_when_reading_fails),
		TEST(test_top_ends_the_session_when_reading_fails),
		TEST(test_top_does_not_read_what_it_does_not_send),
		TEST(test_quit_disposes_of_what_is_marked),
		TEST(test_quit_tells_what_was_not_removed),
		TEST(test_session_ends_without_update_unless_by_quit),
		TEST(test_session_begins_in_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
