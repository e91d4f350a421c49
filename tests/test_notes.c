/*
 * Tests of engine/notes.c: events of a session as facts.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/notes.h"
#include "engine/session.h"
#include "tests/harness.h"

#define NOW	INT64_C(1700000000)

/* ---- a maildrop that is none -------------------------------------------- */

static struct {
	struct pk_maildrop head;
	uint32_t unconfirmed;		/* that each message has already */
	char said[64];			/* "1d 2u 2r" */
} fake;

static void
fake_facts(const struct pk_maildrop *md, uint32_t msgno, int64_t now,
    struct pk_facts *facts_r)
{
	(void)md;
	(void)msgno;
	assert_true(now == NOW);
	memset(facts_r, 0, sizeof(*facts_r));
	facts_r->unconfirmed = fake.unconfirmed;
}

static void
fake_note(struct pk_maildrop *md, uint32_t msgno, enum pk_note note,
    int64_t when)
{
	size_t len = strlen(fake.said);

	(void)md;
	assert_true(when == NOW);
	(void)snprintf(fake.said + len, sizeof(fake.said) - len, "%s%u%c",
	    len > 0 ? " " : "", msgno, "dru"[note]);
}

static const struct pk_maildrop_ops fake_ops = {
	.facts = fake_facts,
	.note = fake_note,
};

#define SENT	PK_EVENT_SENT
#define CONF	(PK_EVENT_SENT | PK_EVENT_CONFIRMED)
#define TOP	PK_EVENT_TOP_WHOLE

/* ---- tests -------------------------------------------------------------- */

static void
test_notes_say_what_a_session_did(void **state)
{
	static const struct {
		uint8_t events[3];
		bool quit;
		uint32_t limit, before;
		const char *said;
	} cases[] = {
		{ { CONF, 0, PK_EVENT_DELE }, true, 0, 0, "1d" },
		{ { CONF, SENT, TOP }, true, 0, 0, "1d 2u 3r" },
		/* Without QUIT nothing is confirmed, or read. */
		{ { CONF, SENT, TOP }, false, 0, 0, "1u 2u" },
		/* A download does not take a whole TOP away. */
		{ { SENT | TOP, CONF | TOP, 0 }, true, 0, 0, "1u 1r 2d" },
		{ { SENT | TOP, 0, 0 }, false, 0, 0, "1u" },
		/* Enough of them are counted already. */
		{ { SENT, CONF, SENT | TOP }, true, 2, 2, "2d 3r" },
		{ { SENT, 0, 0 }, true, 2, 1, "1u" },
		{ { SENT, 0, 0 }, true, 0, 9, "1u" },
	};
	struct pk_user_policy up;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case %zu\n", i);
		memset(&fake, 0, sizeof(fake));
		memset(&up, 0, sizeof(up));
		fake.head.ops = &fake_ops;
		fake.unconfirmed = cases[i].before;
		up.has_rule = true;
		up.rule.unconfirmed_limit = cases[i].limit;
		pk_note_events(&fake.head, cases[i].events, 3, &up,
		    cases[i].quit, NOW);
		assert_string_equal(fake.said, cases[i].said);
	}
}

static void
test_notes_know_no_limit_without_a_rule(void **state)
{
	static const uint8_t events[] = { SENT };
	struct pk_user_policy up;

	(void)state;
	memset(&up, 0, sizeof(up));
	memset(&fake, 0, sizeof(fake));
	fake.head.ops = &fake_ops;
	fake.unconfirmed = 5;
	up.rule.unconfirmed_limit = 1;
	pk_note_events(&fake.head, events, 1, &up, true, NOW);
	pk_note_events(&fake.head, events, 1, NULL, true, NOW);
	assert_string_equal(fake.said, "1u 1u");
}

static void
test_notes_name_their_records(void **state)
{
	enum pk_audit_event event;
	enum pk_note note;

	(void)state;
	assert_false(pk_note_of(PK_EVENT_DELE, true, &note, &event));
	assert_false(pk_note_of(TOP, false, &note, &event));
	assert_true(pk_note_of(CONF | TOP, true, &note, &event));
	assert_int_equal(event, PK_AUDIT_DOWNLOADED);
	assert_true(pk_note_of(CONF, false, &note, &event));
	assert_int_equal(event, PK_AUDIT_DOWNLOADED_UNCONFIRMED);
	assert_true(pk_note_of(TOP, true, &note, &event));
	assert_int_equal(event, PK_AUDIT_TOP_WHOLE);
}

static void
test_notes_keep_the_first_time_that_can_be(void **state)
{
	int64_t time = 0;

	(void)state;
	assert_true(pk_fact_first(&time, NOW));
	assert_false(pk_fact_first(&time, NOW + 1));
	assert_true(time == NOW);
	/* What is to come, or before all time, was not. */
	assert_true(pk_fact_first(&time, NOW - 1));
	assert_true(time == NOW - 1);
	time = -5;
	assert_true(pk_fact_known(time, NOW) == 0);
	assert_true(pk_fact_first(&time, NOW));
	assert_true(pk_fact_known(NOW, NOW) == NOW);
	assert_true(pk_fact_known(NOW + 1, NOW) == 0);
}

static void
test_notes_count_an_hour_apart(void **state)
{
	uint32_t count = 0;
	int64_t last = 0;

	(void)state;
	assert_true(pk_fact_unconfirmed(&count, &last, NOW));
	assert_false(pk_fact_unconfirmed(&count, &last, NOW + 3599));
	assert_true(last == NOW && count == 1);
	assert_true(pk_fact_unconfirmed(&count, &last, NOW + 3600));
	assert_true(last == NOW + 3600 && count == 2);
	count = UINT32_MAX;
	assert_true(pk_fact_unconfirmed(&count, &last, NOW + 7200));
	assert_true(count == UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notes_say_what_a_session_did),
		cmocka_unit_test(test_notes_know_no_limit_without_a_rule),
		cmocka_unit_test(test_notes_name_their_records),
		cmocka_unit_test(test_notes_keep_the_first_time_that_can_be),
		cmocka_unit_test(test_notes_count_an_hour_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
