/*
 * Which rule, holds and login rule a user has.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "tests/policy_fixture.h"

/* ---- the rule of a user -------------------------------------------------- */

static void
test_policy_finds_the_first_rule_that_matches(void **state)
{
	static const struct {
		const char *user, *rule;
	} cases[] = {
		{ "anna", "names" },
		{ "ann", "globs" },
		{ "anna@example.org", "domain" },
		{ "x@y@example.org", "domain" },
		{ "x@sub.example.org", "sub" },
		{ "ann9", "globs" },
		{ "bob", "names" },
		{ "bobby", "question" },
		{ "zed", NULL },
		{ "printer-1", "globs" },
		{ "printer", NULL },
		{ "a*b", "names" },
		{ "a+b", "class" },
		{ "b+b", NULL },
		{ "back\\slash", "names" },
		{ "", NULL },
		{ "example.org", NULL },
		{ "@example.org", "domain" },
	};
	struct pk_policy *p = policy_new();
	size_t i;

	(void)state;
	policy_add_retention(p, "names", "bob anna back\\slash a[*]b");
	policy_add_retention(p, "domain", "*@example.org");
	policy_add_retention(p, "globs", "printer-* ann*");
	policy_add_retention(p, "sub", "*@*.example.org");
	policy_add_retention(p, "question", "bobb?");
	policy_add_retention(p, "class", "[ac]+b");
	policy_add_retention(p, "late", "anna bob *@example.org ann* bobb?");
	policy_prepare(p);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		policy_expect_rule(p, NULL, cases[i].user, cases[i].rule);
	pk_policy_free(&p);
	assert_null(p);
	pk_policy_free(&p);
}

static void
test_policy_without_users_matches_everybody(void **state)
{
	struct pk_policy *p = policy_new();

	(void)state;
	policy_add_retention(p, "bob", "bob");
	policy_add_retention(p, "all", "");
	policy_add_retention(p, "star", "*");
	policy_prepare(p);
	policy_expect_rule(p, NULL, "bob", "bob");
	policy_expect_rule(p, NULL, "anna", "all");
	pk_policy_free(&p);
}

static void
test_policy_copies_everything_of_the_rule_but_the_brake(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_user_policy up = { .clock_brake = true, .holds = 7 };
	struct pk_rule *r;

	(void)state;
	r = policy_add_retention(p, "r", "anna");
	r->unread = 77;
	r->braked = true;
	p->dry_run = true;
	policy_add_retention(p, "s", "")->login_delay = 1;
	policy_prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_true(up.has_rule);
	assert_int_equal(up.rule.unread, 77);
	assert_true(up.rule.braked);
	assert_true(up.dry_run);
	assert_true(up.clock_brake);
	assert_true(up.login_delay_varies);
	assert_int_equal(up.audit, PK_AUDIT_BEST_EFFORT);
	assert_true(up.audit_hash);
	assert_int_equal(up.holds, 0);
	assert_int_equal(up.held_until, 0);
	assert_memory_equal(up.hash, p->hash, sizeof(up.hash));
	pk_policy_free(&p);
}

static void
test_policy_without_login_delay_does_not_vary(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_user_policy up;

	(void)state;
	policy_add_retention(p, "r", "bob");
	policy_prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_false(up.has_rule);
	assert_false(up.login_delay_varies);
	assert_false(up.dry_run);
	pk_policy_free(&p);
}

static void
test_policy_finds_holds_by_name(void **state)
{
	struct pk_policy *p = policy_new();

	(void)state;
	assert_null(pk_policy_find_hold(p, "a"));
	policy_add_hold(p, "a", "anna", PK_NEVER);
	policy_add_hold(p, "b", "bob", PK_NEVER);
	assert_ptr_equal(pk_policy_find_hold(p, "b"), &p->hold[1]);
	assert_null(pk_policy_find_hold(p, "c"));
	pk_policy_free(&p);
}

static void
test_policy_takes_the_rule_that_is_named(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_user_policy up = { .holds = 42 };

	(void)state;
	policy_add_retention(p, "all", "");
	policy_add_retention(p, "other", "@nobody-knows");
	policy_prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", "othe", NOW, &up),
	    PK_ERR_NOTFOUND);
	assert_int_equal(up.holds, 42);
	assert_int_equal(pk_policy_user(p, NULL, "anna", "other", NOW, &up),
	    PK_OK);
	assert_string_equal(up.rule.name, "other");
	assert_ptr_equal(pk_policy_find_rule(p, "other"), &p->retention[1]);
	assert_null(pk_policy_find_rule(p, ""));
	pk_policy_free(&p);
}

/* ---- holds --------------------------------------------------------------- */

static void
test_policy_counts_holds_until_they_are_over(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_user_policy up;

	(void)state;
	policy_add_hold(p, "over", "anna", NOW);
	policy_add_hold(p, "last-second", "anna", NOW + 1);
	policy_add_hold(p, "other", "bob", PK_NEVER);
	policy_add_hold(p, "long", "ann* anna * @law", NOW + 500);
	policy_add_hold(p, "short", "", NOW + 20);
	policy_prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_int_equal(up.holds, 3);
	assert_string_equal(up.hold[0], "last-second");
	assert_string_equal(up.hold[1], "long");
	assert_string_equal(up.hold[2], "short");
	assert_string_equal(up.hold[3], "");
	assert_true(up.held_until == NOW + 500);
	assert_int_equal(pk_policy_user(p, NULL, "bob", NULL, NOW + 20, &up),
	    PK_OK);
	assert_int_equal(up.holds, 2);
	assert_string_equal(up.hold[0], "other");
	assert_true(up.held_until == PK_NEVER);
	pk_policy_free(&p);
}

static void
test_policy_holds_by_an_unknown_group_are_in_force(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_groups *g = policy_groups("law:bob");
	struct pk_user_policy up;

	(void)state;
	policy_add_hold(p, "law", "@law", PK_NEVER);
	policy_add_hold(p, "unknown", "@unknown", PK_NEVER);
	policy_add_hold(p, "unknown-over", "@unknown", NOW);
	policy_prepare(p);
	assert_int_equal(pk_policy_user(p, g, "anna", NULL, NOW, &up), PK_OK);
	assert_int_equal(up.holds, 1);
	assert_string_equal(up.hold[0], "unknown");
	assert_int_equal(pk_policy_user(p, g, "bob", NULL, NOW, &up), PK_OK);
	assert_int_equal(up.holds, 2);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_int_equal(up.holds, 2);
	pk_groups_free(&g);
	pk_policy_free(&p);
}

static void
test_policy_names_four_holds_and_counts_more(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_user_policy up;
	char name[8];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "h%d", i);
		policy_add_hold(p, name, i % 2 == 0 ? "anna" : "bob", NOW + 1 + i);
	}
	policy_prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_int_equal(up.holds, 10);
	assert_string_equal(up.hold[0], "h0");
	assert_string_equal(up.hold[3], "h6");
	assert_true(up.held_until == NOW + 19);
	pk_policy_free(&p);
}

/* ---- does the rule act, and what EXPIRE says ----------------------------- */

static void
test_policy_rule_acts_when_nothing_stops_it(void **state)
{
	static const struct {
		const char *name;
		struct pk_user_policy up;
		bool acts, binds;
	} cases[] = {
		{ "no rule", { .has_rule = false }, false, false },
		{ "plain", { .has_rule = true }, true, true },
		{ "dry-run", { .has_rule = true, .rule.dry_run = true },
		    false, false },
		{ "braked", { .has_rule = true, .rule.braked = true },
		    false, true },
		{ "clock", { .has_rule = true, .clock_brake = true },
		    false, true },
		{ "from now", { .has_rule = true,
		    .rule.effective_from = NOW }, true, true },
		{ "from then", { .has_rule = true,
		    .rule.effective_from = NOW + 1 }, false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(cases[i].name, pk_rule_acts(&cases[i].up, NOW) ==
		    cases[i].acts);
		expect(cases[i].name, pk_rule_binds(&cases[i].up, NOW) ==
		    cases[i].binds);
	}
}

static void
test_policy_expires_by_the_least_limit(void **state)
{
	const struct {
		const char *name;
		int64_t download, delivery, unread, from;
		int64_t days;
	} cases[] = {
		{ "none", PK_NEVER, PK_NEVER, PK_NEVER, 0, -1 },
		{ "none yet", PK_NEVER, PK_NEVER, PK_NEVER, NOW + DAY, -1 },
		{ "at quit", 0, PK_NEVER, PK_NEVER, 0, 0 },
		{ "download", 7 * DAY, 30 * DAY, 60 * DAY, 0, 7 },
		{ "delivery", 30 * DAY, 7 * DAY, 60 * DAY, 0, 7 },
		{ "unread", PK_NEVER, PK_NEVER, 60 * DAY, 0, 60 },
		{ "rounded", 2 * DAY - 1, PK_NEVER, PK_NEVER, 0, 1 },
		{ "an hour", 3600, PK_NEVER, PK_NEVER, 0, 0 },
		{ "from later", 0, PK_NEVER, PK_NEVER, NOW + 9 * DAY, 9 },
		{ "from almost", 0, PK_NEVER, PK_NEVER, NOW + 9 * DAY - 1, 8 },
		{ "from sooner", 7 * DAY, 60 * DAY, PK_NEVER, NOW + DAY, 7 },
		{ "from past", 7 * DAY, PK_NEVER, PK_NEVER, NOW - DAY, 7 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_user_policy up = { .has_rule = true, .rule = {
			.after_download = cases[i].download,
			.after_delivery = cases[i].delivery,
			.unread = cases[i].unread,
			.effective_from = cases[i].from,
			.minimum = 900 * DAY, .folder = "Old" } };

		expect(cases[i].name, pk_expire_days(&up, NOW) ==
		    cases[i].days);
		up.holds = 1;
		up.clock_brake = true;
		expect(cases[i].name, pk_expire_days(&up, NOW) ==
		    cases[i].days);
	}
}

static void
test_policy_expires_never_where_no_rule_runs(void **state)
{
	struct pk_user_policy up = { .has_rule = true };

	(void)state;
	assert_int_equal(pk_expire_days(&up, NOW), 0);
	up.rule.dry_run = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up.rule.dry_run = false;
	up.rule.braked = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up.rule.braked = false;
	up.has_rule = false;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
}

/* ---- networks and logins ------------------------------------------------- */

static void
test_policy_reads_addresses(void **state)
{
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 7 };
	static const char *const wrong[] = { "", "192.0.2", "192.0.2.256",
	    "::1%lo", "[::1]", "host", "192.0.2.7 ", "1.2.3.4/8" };
	uint8_t a[16] = { 1 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		expect(wrong[i], !pk_address_parse(wrong[i], a));
		expect(wrong[i], a[0] == 1);
	}
	assert_true(pk_address_parse("192.0.2.7", a));
	assert_memory_equal(a, v4, sizeof(v4));
	assert_true(pk_address_parse("::ffff:192.0.2.7", a));
	assert_memory_equal(a, v4, sizeof(v4));
	assert_true(pk_address_parse("2001:db8::1", a));
	assert_int_equal(a[0], 0x20);
	assert_int_equal(a[15], 1);
}

static void
test_policy_networks_have_their_addresses(void **state)
{
	static const struct {
		const char *net, *address;
		bool has;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "10.0.0.0/8", "2001:db8::1", false },
		{ "10.0.0.0/9", "10.127.0.1", true },
		{ "10.0.0.0/9", "10.128.0.1", false },
		{ "192.0.2.7/32", "192.0.2.7", true },
		{ "192.0.2.7/32", "192.0.2.6", false },
		{ "192.0.2.6/31", "192.0.2.7", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "192.0.2.7", false },
		{ "::/95", "::1", true },
		{ "::ffff:0:0/96", "192.0.2.7", true },
		{ "2001:db8::/32", "2001:db8:ffff::", true },
		{ "2001:db8::/32", "2001:db9::", false },
		{ "::1/128", "::1", true },
		{ "::1/128", "::2", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_network n = policy_network(cases[i].net);
		uint8_t a[16];

		expect(cases[i].net, pk_address_parse(cases[i].address, a));
		expect(cases[i].net, pk_network_has(&n, a) == cases[i].has);
	}
}

/* Ask, and compare the verdict and the name of the rule. */
static void
expect_login(const struct pk_policy *p, const struct pk_groups *g,
    const char *user, const char *address, bool tls, int64_t now,
    enum pk_login_verdict verdict, const char *name)
{
	const struct pk_login_rule *r = (const void *)p;
	uint8_t a[16];

	assert_true(pk_address_parse(address, a));
	expect(user, pk_policy_login(p, g, PK_KIND_APOP, user, a, tls, now,
	    &r) == verdict);
	expect(user, (r != NULL) == (name != NULL));
	if (name != NULL)
		assert_string_equal(r->name, name);
}

static void
test_policy_login_takes_the_first_rule_that_matches(void **state)
{
	struct pk_policy *p = policy_new();

	(void)state;
	policy_add_login(p, PK_KIND_APOP, "inside", "printer-*", "10.0.0.0/8",
	    PK_ALLOW_ALWAYS);
	policy_add_login(p, PK_KIND_APOP, "banned", "eve", NULL, PK_ALLOW_NEVER);
	policy_add_login(p, PK_KIND_APOP, "net", "", "2001:db8::/32",
	    PK_ALLOW_ALWAYS);
	policy_add_login(p, PK_KIND_APOP, "tls", "anna eve", NULL, PK_ALLOW_TLS);
	policy_add_login(p, PK_KIND_PASSWORD, "no", "", NULL, PK_ALLOW_NEVER);
	policy_prepare(p);
	expect_login(p, NULL, "printer-1", "10.1.1.1", false, NOW,
	    PK_LOGIN_RULE_ALLOWS, "inside");
	expect_login(p, NULL, "printer-1", "11.1.1.1", true, NOW,
	    PK_LOGIN_RULE_REFUSES, NULL);
	expect_login(p, NULL, "eve", "2001:db8::1", true, NOW,
	    PK_LOGIN_RULE_REFUSES, "banned");
	expect_login(p, NULL, "bob", "2001:db8::1", false, NOW,
	    PK_LOGIN_RULE_ALLOWS, "net");
	expect_login(p, NULL, "anna", "2001:db8::1", false, NOW,
	    PK_LOGIN_RULE_ALLOWS, "net");
	expect_login(p, NULL, "anna", "192.0.2.7", false, NOW,
	    PK_LOGIN_RULE_TLS, "tls");
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW,
	    PK_LOGIN_RULE_ALLOWS, "tls");
	expect_login(p, NULL, "bob", "192.0.2.7", true, NOW,
	    PK_LOGIN_RULE_REFUSES, NULL);
	pk_policy_free(&p);
}

static void
test_policy_login_without_rules_is_refused(void **state)
{
	struct pk_policy *p = policy_new();

	(void)state;
	policy_prepare(p);
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW,
	    PK_LOGIN_RULE_REFUSES, NULL);
	pk_policy_free(&p);
}

static void
test_policy_login_warns_and_ends_at_its_seconds(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_login_rule *r;

	(void)state;
	r = policy_add_login(p, PK_KIND_APOP, "sunset", "anna", NULL, PK_ALLOW_TLS);
	r->warn_from = NOW;
	r->until = NOW + DAY;
	policy_add_login(p, PK_KIND_APOP, "rest", "", NULL, PK_ALLOW_ALWAYS);
	policy_prepare(p);
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW - 1,
	    PK_LOGIN_RULE_ALLOWS, "sunset");
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW,
	    PK_LOGIN_RULE_WARNS, "sunset");
	expect_login(p, NULL, "anna", "192.0.2.7", false, NOW,
	    PK_LOGIN_RULE_TLS, "sunset");
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW + DAY - 1,
	    PK_LOGIN_RULE_WARNS, "sunset");
	/* It does not fall through to the later rule. */
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW + DAY,
	    PK_LOGIN_RULE_REFUSES, "sunset");
	expect_login(p, NULL, "anna", "192.0.2.7", false, NOW + DAY,
	    PK_LOGIN_RULE_REFUSES, "sunset");
	expect_login(p, NULL, "bob", "192.0.2.7", false, NOW + DAY,
	    PK_LOGIN_RULE_ALLOWS, "rest");
	pk_policy_free(&p);
}

static void
test_policy_login_says_when_an_unknown_group_decides(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_groups *g = policy_groups("staff:");

	(void)state;
	policy_add_login(p, PK_KIND_APOP, "inside", "@staff", "10.0.0.0/8",
	    PK_ALLOW_ALWAYS);
	policy_add_login(p, PK_KIND_APOP, "rest", "", NULL, PK_ALLOW_TLS);
	policy_prepare(p);
	expect_login(p, NULL, "anna", "10.0.0.1", true, NOW,
	    PK_LOGIN_RULE_UNKNOWN, NULL);
	/* From there the group does not matter. */
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW,
	    PK_LOGIN_RULE_ALLOWS, "rest");
	expect_login(p, g, "anna", "10.0.0.1", true, NOW,
	    PK_LOGIN_RULE_ALLOWS, "rest");
	pk_groups_free(&g);
	pk_policy_free(&p);
}

static void
test_policy_has_words(void **state)
{
	(void)state;
	assert_string_equal(pk_audit_name(PK_AUDIT_REQUIRED), "required");
	assert_string_equal(pk_audit_name(PK_AUDIT_BEST_EFFORT),
	    "best-effort");
	assert_string_equal(pk_audit_name(PK_AUDIT_OFF), "off");
	assert_string_equal(pk_allow_name(PK_ALLOW_NEVER), "never");
	assert_string_equal(pk_allow_name(PK_ALLOW_TLS), "tls");
	assert_string_equal(pk_allow_name(PK_ALLOW_ALWAYS), "always");
	assert_string_equal(pk_unread_from_name(PK_UNREAD_FIRST_SEEN),
	    "first-seen");
	assert_string_equal(pk_unread_from_name(PK_UNREAD_DELIVERY),
	    "delivery");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_finds_the_first_rule_that_matches),
		cmocka_unit_test(test_policy_without_users_matches_everybody),
		cmocka_unit_test(
		    test_policy_copies_everything_of_the_rule_but_the_brake),
		cmocka_unit_test(test_policy_without_login_delay_does_not_vary),
		cmocka_unit_test(test_policy_finds_holds_by_name),
		cmocka_unit_test(test_policy_takes_the_rule_that_is_named),
		cmocka_unit_test(test_policy_counts_holds_until_they_are_over),
		cmocka_unit_test(
		    test_policy_holds_by_an_unknown_group_are_in_force),
		cmocka_unit_test(test_policy_names_four_holds_and_counts_more),
		cmocka_unit_test(test_policy_rule_acts_when_nothing_stops_it),
		cmocka_unit_test(test_policy_expires_by_the_least_limit),
		cmocka_unit_test(test_policy_expires_never_where_no_rule_runs),
		cmocka_unit_test(test_policy_reads_addresses),
		cmocka_unit_test(test_policy_networks_have_their_addresses),
		cmocka_unit_test(
		    test_policy_login_takes_the_first_rule_that_matches),
		cmocka_unit_test(test_policy_login_without_rules_is_refused),
		cmocka_unit_test(
		    test_policy_login_warns_and_ends_at_its_seconds),
		cmocka_unit_test(
		    test_policy_login_says_when_an_unknown_group_decides),
		cmocka_unit_test(test_policy_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
