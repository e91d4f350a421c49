/*
 * Spellings of policy files, several of them as one, their hash, and warnings.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "tests/policy_said.h"

#define DAY	INT64_C(86400)

/* ---- durations and days -------------------------------------------------- */

static void
test_policy_file_knows_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		const char *again;
	} cases[] = {
		{ "0", 0, "0" }, { "never", PK_NEVER, "never" },
		{ "0d", 0, "0" }, { "1m", 60, "1m" }, { "60m", 3600, "1h" },
		{ "90m", 5400, "90m" }, { "24h", DAY, "1d" },
		{ "36h", 129600, "36h" }, { "7d", 7 * DAY, "1w" },
		{ "90d", 90 * DAY, "90d" }, { "60d", 60 * DAY, "60d" },
		{ "2w", 14 * DAY, "2w" }, { "365d", 365 * DAY, "1y" },
		{ "100d", 100 * DAY, "100d" }, { "007d", 7 * DAY, "1w" },
		{ "1000y", 365000 * DAY, "1000y" },
		{ "365000d", 365000 * DAY, "1000y" },
	};
	char out[PK_DURATION_SIZE];
	int64_t seconds = 77;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(cases[i].text, pk_duration_parse(cases[i].text,
		    &seconds));
		expect(cases[i].text, seconds == cases[i].seconds);
		assert_string_equal(pk_duration_format(seconds, out),
		    cases[i].again);
	}
	assert_string_equal(pk_duration_format(61, out), "61s");
	assert_false(pk_duration_parse("365001d", &seconds));
	assert_false(pk_duration_parse("never ", &seconds));
	assert_false(pk_duration_parse("7dd", &seconds));
	assert_false(pk_duration_parse("18446744073709551617m", &seconds));
}

static void
test_policy_file_knows_days(void **state)
{
	static const struct {
		const char *text;
		int64_t days;
	} cases[] = {
		{ "1970-01-01", 0 }, { "1970-12-31", 364 },
		{ "1972-02-29", 789 }, { "1972-03-01", 790 },
		{ "2000-02-29", 11016 }, { "2000-12-31", 11322 },
		{ "2024-10-04", 20000 }, { "2100-02-28", 47540 },
		{ "2100-03-01", 47541 }, { "2400-02-29", 157113 },
		{ "9999-12-31", 2932896 },
	};
	int64_t t = 77;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(cases[i].text, pk_date_parse(cases[i].text, &t));
		expect(cases[i].text, t == cases[i].days * DAY);
	}
	assert_false(pk_date_parse("2100-02-29", &t));
	assert_false(pk_date_parse("1969-12-31", &t));
	assert_false(pk_date_parse("", &t));
}

/* ---- spellings ----------------------------------------------------------- */

static void
test_policy_file_takes_comments_and_quotes_everywhere(void **state)
{
	struct pk_policy *p = parse_fine("# one\r\n"
	    "retention /* two */ 'a' // three\r\n"
	    "{ # four }\r\n"
	    "\tusers /* \"five */ = # six\n"
	    "{ \"a#b\", # seven, \"no\"\n"
	    "/* eight\n nine */ 'b//c' , c /*ten*/, \"d\\\"\\\\e\", 'it\\'s',\r\n"
	    "}\n"
	    "mode=dry-run}// end ${NOT}\n"
	    "hold\"h\"{note=\"a /* no comment */ 'b' {$}\"}#");
	const struct pk_patterns *u = &p->retention[0].users;

	(void)state;
	assert_int_equal(p->retentions, 1);
	assert_string_equal(p->retention[0].rule.name, "a");
	assert_int_equal(p->retention[0].place.line, 2);
	assert_int_equal(u->count, 5);
	assert_string_equal(u->text[0], "a#b");
	assert_string_equal(u->text[1], "b//c");
	assert_string_equal(u->text[2], "c");
	assert_string_equal(u->text[3], "d\"\\e");
	assert_string_equal(u->text[4], "it's");
	assert_string_equal(p->hold[0].note, "a /* no comment */ 'b' {$}");
	assert_int_equal(p->hold[0].place.line, 10);
	pk_policy_free(&p);
}

static void
test_policy_file_limits_patterns_to_255_octets(void **state)
{
	char content[400];
	struct pk_policy *p;

	(void)state;
	(void)snprintf(content, sizeof(content),
	    "hold a { users = { b,\n\"%0255d\" } }", 0);
	p = parse_fine(content);
	assert_int_equal(strlen(p->hold[0].users.text[1]), 255);
	pk_policy_free(&p);
	(void)snprintf(content, sizeof(content),
	    "hold a { users = { b,\n\"%0256d\" } }", 0);
	assert_null(parse(content));
	assert_non_null(strstr(said, "f:2: users = \"0"));
	assert_non_null(strstr(said, "\": expected 1 to 255 octets"));
}

static void
test_policy_file_takes_the_longest_names(void **state)
{
	char content[400];
	struct pk_policy *p;

	(void)state;
	(void)snprintf(content, sizeof(content), "retention %064d { "
	    "dispose = folder:%064d after-delivery = 1d unread-from = %s\n"
	    "unread = 5d } apop { rule %064d { allow = tls until = 9999-12-31 "
	    "warn-from = 9999-12-31 } }", 1, 2, "delivery", 3);
	p = parse_fine(content);
	assert_int_equal(strlen(p->retention[0].rule.name), 64);
	assert_int_equal(strlen(p->retention[0].rule.folder), 64);
	assert_int_equal(strlen(p->login[PK_KIND_APOP].rule[0].name), 64);
	pk_policy_free(&p);
}

/* ---- several files ------------------------------------------------------- */

static void
test_policy_file_keeps_the_order_of_files(void **state)
{
	struct pk_policy_text files[] = {
		TEXT("z", "retention a { users = { x } }\npasswords { }"),
		TEXT("y", "\nretention b { users = { x, y } }\n"
		    "apop { rule r { allow = tls } }"),
		TEXT("x", "hold c { } retention c { }"),
	};
	struct pk_policy *p = parse_files(files, 3);

	(void)state;
	assert_string_equal(said, "z:2: warning: passwords: there is no rule "
	    "in it: everybody is refused");
	assert_non_null(p);
	assert_int_equal(p->retentions, 3);
	assert_string_equal(p->retention[0].rule.name, "a");
	assert_string_equal(p->retention[1].rule.name, "b");
	assert_string_equal(p->retention[2].rule.name, "c");
	assert_string_equal(p->retention[1].place.file, "y");
	assert_int_equal(p->retention[1].place.line, 2);
	assert_int_equal(p->login[PK_KIND_PASSWORD].count, 0);
	assert_int_equal(p->login[PK_KIND_APOP].count, 1);
	assert_int_equal(p->file_count, 3);
	assert_string_equal(p->files[2], "x");
	pk_policy_free(&p);
}

static void
test_policy_file_finds_the_same_in_two_files(void **state)
{
	struct pk_policy_text files[] = {
		TEXT("a", "mode = enforce\nretention r { }\nhold h { }\n"
		    "apop { rule r { allow = tls } }\n"),
		TEXT("b", "hold h { }\n\nmode = dry-run\napop { }\n"
		    "retention r { top = x }\nhold r { }\n"),
	};

	(void)state;
	assert_null(parse_files(files, 2));
	assert_string_equal(said,
	    "b:1: hold \"h\": expected only once: it is in a:3 already\n"
	    "b:3: mode: expected only once: it is in a:1 already\n"
	    "b:4: apop: expected only once: it is in a:4 already\n"
	    "b:5: retention \"r\": expected only once: it is in a:2 already");
}

static void
test_policy_file_says_the_errors_of_all_files(void **state)
{
	struct pk_policy_text files[] = {
		TEXT("a", "mode = x\n{"),
		TEXT("b", "\naudit = x\nhold h { until = x }\n"),
		TEXT("c", "nonsense = x\n"),
		TEXT("d", "\0"),
	};

	(void)state;
	assert_null(parse_files(files, 4));
	assert_string_equal(said,
	    "a:2: expected a key or a block\n"
	    "b:2: audit = x: expected required, best-effort or off\n"
	    "b:3: until = x: expected a day from 1970 on, as \"2026-12-31\"\n"
	    "c:1: no such option 'nonsense': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords\n"
	    "d: expected text: there is a NUL octet in it");
}

/* ---- the hash ------------------------------------------------------------ */

static void
test_policy_file_hashes_names_and_texts(void **state)
{
	static const char whole[] = "11:policy.conf14:mode = enforce"
	    "6:a.conf0:";
	struct pk_policy_text files[] = {
		TEXT("/etc/popkeep/policy.conf", "mode = enforce"),
		TEXT("policy.d/a.conf", ""),
	};
	struct pk_policy *p = parse_files(files, 2);
	uint8_t hash[EVP_MAX_MD_SIZE];

	(void)state;
	assert_non_null(p);
	assert_int_equal(EVP_Digest(whole, sizeof(whole) - 1, hash, NULL,
	    EVP_sha256(), NULL), 1);
	assert_memory_equal(p->hash, hash, PK_POLICY_HASH_LEN);
	pk_policy_free(&p);
}

/* ---- warnings ------------------------------------------------------------ */

#define UNUSED	": it is never used: all that it matches is matched before, " \
	"the last of it by "
#define HIDDEN	": all its users match before, the last of them in "
#define NAMED	": only a users file that names it will use it"

/* The text, and the warnings; "": none. */
static const struct {
	const char *content, *said;
} warnings[] = {
	{ "retention a { after-delivery = 1d }\n"
	    "retention b { users = x }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = { y, \"*\" } }\nretention b { }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = x }\nretention b { users = y }\n"
	    "retention c { users = { y, x } }",
	    "f:3: warning: retention \"c\"" HIDDEN "\"b\" (f:2)" NAMED },
	{ "retention a { users = x }\nretention b { users = { x, y } }", "" },
	{ "retention a { users = 'x*' }\nretention b { users = xy }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = '*@x' }\nretention b { users = y@x }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = '*@x*' }\nretention b { users = '*@xy' }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = '*@x' }\nretention b { users = '*@x' }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	/* This glob matches the text "*@x", but not each user of x. */
	{ "retention a { users = '?@x' }\nretention b { users = '*@x' }", "" },
	{ "retention a { users = '[*]@x' }\nretention b { users = '*@x' }",
	    "" },
	{ "retention a { users = '*[*]@x' }\nretention b { users = '*@x' }",
	    "" },
	{ "retention a { users = 'a*b' }\nretention b { users = 'a*b' }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = 'a*' }\nretention b { users = 'a*b' }", "" },
	{ "retention a { users = @g }\nretention b { users = @g }",
	    "f:2: warning: retention \"b\"" HIDDEN "\"a\" (f:1)" NAMED },
	{ "retention a { users = @g }\nretention b { users = { x, @h } }", "" },
	{ "retention a { users = '*@g' }\nretention b { users = @g }", "" },
	{ "retention a { users = x }\nretention b { }", "" },

	{ "apop { rule a { allow = tls }\nrule b { allow = never } }",
	    "f:2: warning: rule \"b\"" UNUSED "\"a\" (f:1)" },
	{ "apop { rule a { allow = tls networks = '10.0.0.0/8' }\n"
	    "rule b { allow = never } }", "" },
	{ "apop { rule a { allow = tls networks = '10.0.0.0/8' }\n"
	    "rule b { allow = never networks = { 10.1.0.0/16, 10.2.0.1 } } }",
	    "f:2: warning: rule \"b\"" UNUSED "\"a\" (f:1)" },
	{ "apop { rule a { allow = tls networks = '10.0.0.0/8' }\n"
	    "rule b { allow = never networks = { 10.1.0.0/16, ::1 } } }", "" },
	{ "apop { rule a { allow = tls networks = '10.0.0.0/16' }\n"
	    "rule b { allow = never networks = '10.0.0.0/8' } }", "" },
	{ "apop { rule a { allow = tls networks = '::/0' }\n"
	    "rule b { allow = never networks = '10.0.0.0/8' } }", "" },
	{ "passwords { rule a { allow = tls users = x }\n"
	    "rule b { allow = never networks = ::1 users = x } }",
	    "f:2: warning: rule \"b\"" UNUSED "\"a\" (f:1)" },

	{ "retention a {\nafter-delivery = 0 }", "f:2: warning: "
	    "after-delivery = 0: it disposes of mail that nobody has read" },
	{ "retention a {\nunread-from = delivery }", "f:2: warning: "
	    "unread-from: it means nothing without unread" },
	{ "retention a {\nunconfirmed-limit = 3 }", "f:2: warning: "
	    "unconfirmed-limit: it means nothing without after-download or "
	    "unread" },
	{ "retention a { unconfirmed-limit = 3 unread = 1d }", "" },
	{ "retention a { unconfirmed-limit = 3 after-download = 0 }", "" },
	{ "hold a { users = x\nuntil = 2024-10-03 }", "f:2: warning: "
	    "until: hold \"a\" is over, and holds nothing" },
	{ "hold a { until = 2024-10-04 }", "" },
	{ "hold a { users = @x.org }", "f:1: warning: users = \"@x.org\": "
	    "this is a group; the users of a domain are \"*@x.org\"" },
	{ "retention a { users = { b, @x.org } }", "f:1: warning: users = "
	    "\"@x.org\": this is a group; the users of a domain are "
	    "\"*@x.org\"" },
	{ "apop {\nrule a { allow = tls users = @x.org } }", "f:2: warning: "
	    "users = \"@x.org\": this is a group; the users of a domain are "
	    "\"*@x.org\"" },
	{ "hold a { users = { @staff, b.c } }", "" },
	{ "apop { rule a { allow = tls\nuntil = 2024-10-03 } }",
	    "f:2: warning: until: rule \"a\" is over, and refuses whom it "
	    "matches" },
	{ "apop { rule a { allow = tls until = 2024-10-04 } }", "" },
	{ "apop { rule a { allow = never\nuntil = 2027-10-03 } }",
	    "f:2: warning: until: it means nothing with allow = never: rule "
	    "\"a\" refuses before and after" },
	{ "\napop { }", "f:2: warning: apop: there is no rule in it: "
	    "everybody is refused" },
};

static void
test_policy_file_warns_of_what_is_hardly_meant(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		struct pk_policy *p = parse(warnings[i].content);

		expect_said(warnings[i].content, warnings[i].said);
		assert_non_null(p);
		pk_policy_free(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_file_knows_durations),
		cmocka_unit_test(test_policy_file_knows_days),
		cmocka_unit_test(
		    test_policy_file_takes_comments_and_quotes_everywhere),
		cmocka_unit_test(
		    test_policy_file_limits_patterns_to_255_octets),
		cmocka_unit_test(test_policy_file_takes_the_longest_names),
		cmocka_unit_test(test_policy_file_keeps_the_order_of_files),
		cmocka_unit_test(test_policy_file_finds_the_same_in_two_files),
		cmocka_unit_test(test_policy_file_says_the_errors_of_all_files),
		cmocka_unit_test(test_policy_file_hashes_names_and_texts),
		cmocka_unit_test(
		    test_policy_file_warns_of_what_is_hardly_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
