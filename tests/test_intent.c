/*
 * Intents without outcome: each is closed by what is found of its message.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "standalone/intent.h"
#include "tests/retain_fixture.h"

#define STILL_THERE	"interrupted: the message is still there"
#define IS_RETAINED	"interrupted: the message is retained"
#define IS_GONE		"interrupted: the message is gone"

/* 1.a is in the maildrop, 2.b in the Retained place, 3.c nowhere. */
static const struct row {
	const char *uidl, *reason;
	enum pk_audit_event event;
	const char *closed;		/* the reason of the record */
} rows[] = {
	{ "1.a", "after-download", PK_AUDIT_CLOSED_UNKNOWN, STILL_THERE },
	{ "1.a", "hold:x", PK_AUDIT_CLOSED_UNKNOWN, STILL_THERE },
	{ "1.a", "released", PK_AUDIT_CLOSED_UNKNOWN, STILL_THERE },
	{ "1.a", "restore", PK_AUDIT_RESTORED, "restore" },
	{ "1.a", "double", PK_AUDIT_CLOSED_UNKNOWN, STILL_THERE },
	{ "2.b", "hold:x", PK_AUDIT_RETAINED, "hold:x" },
	{ "2.b", "minimum", PK_AUDIT_RETAINED, "minimum" },
	{ "2.b", "double", PK_AUDIT_RETAINED, "double" },
	{ "2.b", "dele", PK_AUDIT_CLOSED_UNKNOWN, IS_RETAINED },
	{ "2.b", "restore", PK_AUDIT_CLOSED_UNKNOWN, IS_RETAINED },
	{ "2.b", "released", PK_AUDIT_CLOSED_UNKNOWN, IS_RETAINED },
	{ "3.c", "dele", PK_AUDIT_CLOSED_UNKNOWN, IS_GONE },
	{ "3.c", "hold:x", PK_AUDIT_CLOSED_UNKNOWN, IS_GONE },
	{ "3.c", "restore", PK_AUDIT_CLOSED_UNKNOWN, IS_GONE },
	{ "1.", "dele", PK_AUDIT_CLOSED_UNKNOWN, IS_GONE },
	{ "1.ab", "dele", PK_AUDIT_CLOSED_UNKNOWN, IS_GONE },
	{ "", "dele", PK_AUDIT_CLOSED_UNKNOWN, IS_GONE },
};

static void
check_rows(const struct pk_closing *c, const char *where, const char *kept,
    const char *gone)
{
	struct pk_audit_item item;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		const char *closed = r->closed;
		enum pk_audit_event event = r->event;

		if (strcmp(r->uidl, "2.b") == 0 && strcmp(kept, IS_RETAINED)) {
			event = PK_AUDIT_CLOSED_UNKNOWN;
			closed = kept;
		} else if (strcmp(closed, IS_GONE) == 0) {
			closed = gone;
		}
		memset(&item, 0, sizeof(item));
		item.event = PK_AUDIT_DISPOSE_INTENT;
		(void)snprintf(item.uidl, sizeof(item.uidl), "%s", r->uidl);
		(void)snprintf(item.reason, sizeof(item.reason), "%s",
		    r->reason);
		pk_closing_item(c, &item);
		if (item.event != event || strcmp(item.reason, closed) != 0)
			fail_msg("%s: %s %s: event %d, %s", where, r->uidl,
			    r->reason, item.event, item.reason);
	}
}

static void
fill(void)
{
	struct pk_maildrop *md;

	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	md = box_open();
	assert_int_equal(update(md, (uint8_t[]){ PK_KEEP, PK_RETAIN }, ""), 0);
	pk_maildir_close(&md);
}

static void
test_intent_is_closed_by_what_is_found(void **state)
{
	struct pk_maildrop *md, *kept;
	struct pk_closing c;

	(void)state;
	fill();
	md = box_open();
	assert_int_equal(pk_closing_begin(&c, md, retained, false), PK_OK);
	check_rows(&c, "both", IS_RETAINED, IS_GONE);
	pk_closing_end(&c);
	pk_closing_end(&c);
	/* It is free again. */
	kept = open_retained();
	pk_maildir_close(&kept);
	pk_maildir_close(&md);
}

static void
test_intent_is_closed_without_a_retained_place(void **state)
{
	struct pk_maildrop *md;
	struct pk_closing c;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	assert_int_equal(pk_closing_begin(&c, md, retained, false), PK_OK);
	check_rows(&c, "no place", IS_GONE, IS_GONE);
	pk_closing_end(&c);
	assert_int_not_equal(access(retained, F_OK), 0);
	pk_maildir_close(&md);
}

/* Whoever has the Retained place open may be about to restore it. */
static void
test_intent_says_when_it_cannot_look(void **state)
{
	static const char hidden[] = "interrupted: the message is not in the "
	    "maildrop, the Retained place cannot be opened";
	struct pk_maildrop *md, *kept;
	struct pk_closing c;

	(void)state;
	fill();
	md = box_open();
	kept = open_retained();
	assert_int_equal(pk_closing_begin(&c, md, retained, false), PK_OK);
	check_rows(&c, "in use", hidden, hidden);
	pk_closing_end(&c);
	pk_maildir_close(&kept);
	pk_maildir_close(&md);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_intent_is_closed_by_what_is_found, retain_setup,
		    retain_teardown),
		cmocka_unit_test_setup_teardown(
		    test_intent_is_closed_without_a_retained_place,
		    retain_setup, retain_teardown),
		cmocka_unit_test_setup_teardown(
		    test_intent_says_when_it_cannot_look, retain_setup,
		    retain_teardown),
	};

	return cmocka_run_group_tests_name("intent", tests, NULL, NULL);
}
