/*
 * Moving messages: durable in order, whole at any call that fails or is the last,
 * and on a full disk.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/retain_fixture.h"

/* ---- durable ------------------------------------------------------------ */

static void
test_retain_is_durable_in_order(void **state)
{
	/* The way there is synced first; the index is written last. */
	static const struct {
		const char *name, *rival;
		int err;
		const char *trace;
	} cases[] = {
		{ "rename", NULL, 0, "dd" "r" "do" "wf" },
		{ "link", NULL, EINVAL, "dd" "ldu" "o" "wf" },
		{ "copy", NULL, EXDEV, "dd" "wfrdu" "o" "wf" },
		{ "known", "a\n", 0, "dd" "fdu" "o" "wf" },
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	make_retained("kept");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		box_put("cur/1.a:2,", "a\n");
		if (cases[i].rival != NULL)
			box_put("kept/cur/1.a:2,S", cases[i].rival);
		calls.rename_errno = cases[i].err;
		md = box_open();
		memset(calls.trace, 0, sizeof(calls.trace));
		expect(cases[i].name, one(md, PK_RETAIN, "") ==
		    PK_OUTCOME_RETAINED);
		assert_string_equal(calls.trace, cases[i].trace);
		pk_maildir_close(&md);
		(void)unlinkat(boxfd, "kept/cur/1.a:2,", 0);
	}
}

static void
test_retain_makes_its_place_durable(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	memset(calls.trace, 0, sizeof(calls.trace));
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_string_equal(calls.trace, "mmmm" "dd" "r" "do" "wf");
	pk_maildir_close(&md);
}

static void
mend_fsync(void)
{
	calls.fail_errno = 0;
}

static void
break_fsync(void)
{
	calls.fail_call = CALL_FSYNC;
	calls.fail_errno = EIO;
	calls.hook = mend_fsync;
}

static void
test_retain_claims_no_move_that_is_not_durable(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	make_retained("kept");
	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	md = box_open();
	/* After two for the way there: of the place itself, and no other. */
	calls.hook_call = CALL_FSYNC;
	calls.hook_name = "dir";
	calls.hook_skip = 2;
	calls.hook = break_fsync;
	assert_int_equal(update(md, (uint8_t[]){ PK_RETAIN, PK_DISPOSE }, ""),
	    1);
	assert_null(calls.hook);
	assert_reason(md, "where messages were moved to: fsync");
	assert_int_equal(outcomes[0], PK_OUTCOME_FAILED);
	assert_int_equal(outcomes[1], PK_OUTCOME_DISPOSED);
	pk_maildir_close(&md);
}

static void
test_retain_claims_nothing_that_is_not_durable(void **state)
{
	static const struct {
		int err;
		enum pk_outcome outcome;
	} cases[] = {
		{ EIO, PK_OUTCOME_FAILED }, { EINVAL, PK_OUTCOME_RETAINED },
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		box_put("cur/1.a:2,", "a\n");
		md = box_open();
		calls.fail_call = CALL_FSYNC;
		calls.fail_name = "dir";
		calls.fail_errno = cases[i].err;
		assert_int_equal(one(md, PK_RETAIN, ""), cases[i].outcome);
		calls.fail_errno = 0;
		pk_maildir_close(&md);
	}
}

/* ---- each call fails, or is the last ------------------------------------ */

static const uint8_t fates[] = { PK_RETAIN, PK_DISPOSE, PK_KEEP };

enum rivals { NO_RIVALS, COPIES, OTHERS, NO_TARGETS };

static void
set_scene(enum rivals rivals)
{
	if (rivals != NO_TARGETS) {
		make_retained("kept");
		make_retained(".Old");
	}
	box_put("new/1.a", texts[0]);
	box_put("cur/2.b:2,S", texts[1]);
	box_put("cur/3.c:2,", texts[2]);
	if (rivals == COPIES || rivals == OTHERS) {
		box_put("kept/cur/1.a:2,T", rivals == COPIES ? texts[0] :
		    "other 1\n");
		box_put(".Old/cur/2.b:2,S", rivals == COPIES ? texts[1] :
		    "other 2\n");
	}
}

/* Whatever happened: nothing is lost, doubled in a place, or altered. */
static void
assert_whole(const char *what, enum rivals rivals)
{
	size_t i;

	take_stock();
	for (i = 0; i < 3; i++) {
		expect(what, stock[HERE].text[i] <= 1);
		expect(what, stock[i].text[i] <= 1);
		expect(what, stock[HERE].text[i] + stock[i].text[i] >= 1);
	}
	expect(what, stock[HERE].all <= 3);
	if (rivals == OTHERS) {
		expect(what, has_text("kept/cur/1.a:2,T", "other 1\n"));
		expect(what, has_text(".Old/cur/2.b:2,S", "other 2\n"));
	}
}

static void
assert_outcomes_true(const char *what)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		switch ((enum pk_outcome)outcomes[i]) {
		case PK_OUTCOME_RETAINED:
		case PK_OUTCOME_DISPOSED:
			expect(what, outcomes[i] == (fates[i] == PK_RETAIN ?
			    PK_OUTCOME_RETAINED : PK_OUTCOME_DISPOSED));
			expect(what, stock[i].text[i] == 1);
			expect(what, stock[HERE].text[i] == 0);
			break;
		case PK_OUTCOME_KEPT:
			expect(what, fates[i] == PK_KEEP);
			break;
		case PK_OUTCOME_FAILED:
			expect(what, fates[i] != PK_KEEP);
			break;
		case PK_OUTCOME_VANISHED:
			fail_msg("case \"%s\": vanished", what);
		}
	}
}

/* A second session completes what is left. */
static void
assert_completes(const char *what, enum rivals rivals)
{
	struct pk_maildrop *md;
	uint8_t plan[3];
	uint32_t i;

	memset(&calls, 0, sizeof(calls));
	md = box_open();
	for (i = 0; i < md->ops->count(md); i++)
		plan[i] = fates[uid_of(md, i + 1)[0] - '1'];
	if (update(md, plan, "Old") != 0)
		fail_msg("case \"%s\": %s", what, pk_maildir_why(md));
	pk_maildir_close(&md);
	assert_whole(what, rivals);
	expect(what, stock[HERE].all == 1);
	for (i = 0; i < 3; i++)
		expect(what, stock[i].text[i] == 1);
	for (i = 0; i < 2; i++)
		expect(what, stock[i].all == (rivals == OTHERS ? 2 : 1));
	expect(what, count_in("kept/tmp", NULL) == 0);
	expect(what, count_in(".Old/tmp", NULL) == 0);
}

/* One update in that scene, where call number at is the special one. */
static unsigned
act(const char *what, enum rivals rivals, int rename_errno, int stepping,
    unsigned at)
{
	struct pk_maildrop *md;
	unsigned steps;

	set_scene(rivals);
	md = box_open();
	calls.rename_errno = rename_errno;
	calls.at = at;
	calls.step = 0;
	calls.stepping = stepping;
	(void)update(md, fates, "Old");
	calls.stepping = STEP_NONE;
	steps = calls.step;
	pk_maildir_close(&md);
	assert_whole(what, rivals);
	assert_outcomes_true(what);
	return steps;
}

/* The same in a process that ends there. */
static void
act_and_crash(const char *what, enum rivals rivals, int rename_errno,
    unsigned at)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)act(what, rivals, rename_errno, STEP_CRASH, at);
		_exit(0);
	}
	assert_crashes(what, pid);
	assert_whole(what, rivals);
}

static void
try_each_step(enum rivals rivals, size_t way)
{
	static const int steppings[] = { STEP_FAIL, STEP_FAIL_ON, STEP_CRASH };
	unsigned n, total;
	char what[128];
	size_t i;

	total = act("count", rivals, ways[way].err, STEP_COUNT, 0);
	assert_completes("count", rivals);
	assert_true(total > 20);
	crashes = 0;
	for (i = 0; i < sizeof(steppings) / sizeof(steppings[0]); i++) {
		for (n = 0; n < total; n++) {
			(void)snprintf(what, sizeof(what),
			    "%s, rivals %d, %d at %u of %u", ways[way].name,
			    rivals, steppings[i], n, total);
			clear_scene();
			if (steppings[i] == STEP_CRASH)
				act_and_crash(what, rivals, ways[way].err, n);
			else
				(void)act(what, rivals, ways[way].err,
				    steppings[i], n);
			assert_completes(what, rivals);
		}
	}
	assert_true(crashes >= total - total / 4);
	clear_scene();
}

static void
test_retain_loses_nothing_at_any_call(void **state)
{
	size_t way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		try_each_step(NO_RIVALS, way);
		try_each_step(OTHERS, way);
	}
	try_each_step(COPIES, 0);
	try_each_step(NO_TARGETS, 0);
}

static void
test_retain_loses_nothing_for_a_lack_of_memory(void **state)
{
	struct pk_maildrop *md;
	size_t way;
	char what[64];
	long n, total;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		total = 1;
		for (n = 0; n < total; n++) {
			(void)snprintf(what, sizeof(what), "%s: %ld",
			    ways[way].name, n);
			set_scene(OTHERS);
			md = box_open();
			calls.rename_errno = ways[way].err;
			alloc_arm(n);
			(void)update(md, fates, "Old");
			total = alloc_count();
			alloc_arm(-1);
			pk_maildir_close(&md);
			assert_whole(what, OTHERS);
			assert_outcomes_true(what);
			assert_completes(what, OTHERS);
			clear_scene();
		}
		assert_true(total > 5);
	}
}

/* ---- a full disk -------------------------------------------------------- */

static void
full_disk_session(void)
{
	struct pk_maildrop *md;

	set_scene(NO_RIVALS);
	box_visit();
	box_fill_disk();
	md = box_open();
	/* A copy has no room, and fails cleanly. */
	calls.rename_errno = EXDEV;
	assert_int_equal(update(md, fates, "Old"), 2);
	assert_reason(md, "No space left");
	assert_whole("full", NO_RIVALS);
	assert_int_equal(stock[RETAINED].all + stock[FOLDER].all, 0);
	assert_int_equal(count_in("kept/tmp", NULL), 0);
	/* A move needs none. */
	calls.rename_errno = 0;
	assert_int_equal(update(md, fates, "Old"), 0);
	assert_reason(md, "popkeep.index cannot be written: No space left");
	pk_maildir_close(&md);
	assert_whole("full", NO_RIVALS);
	assert_int_equal(stock[RETAINED].all + stock[FOLDER].all, 2);
}

static void
test_retain_works_on_a_full_disk(void **state)
{
	(void)state;
	if (!box_mount("size=64k,mode=700"))
		skip();
	full_disk_session();
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, retain_setup, retain_teardown)
#define MEMORY_TEST(test) \
	cmocka_unit_test_setup_teardown(test, memory_setup, retain_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_retain_is_durable_in_order),
		BOX_TEST(test_retain_makes_its_place_durable),
		BOX_TEST(test_retain_claims_no_move_that_is_not_durable),
		BOX_TEST(test_retain_claims_nothing_that_is_not_durable),
		MEMORY_TEST(test_retain_loses_nothing_at_any_call),
		MEMORY_TEST(test_retain_loses_nothing_for_a_lack_of_memory),
		BOX_TEST(test_retain_works_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
