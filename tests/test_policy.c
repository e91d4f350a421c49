/*
 * Which rule, holds and login rule a user has.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "engine/policy.h"
#include "tests/harness.h"

#define DAY	INT64_C(86400)
#define NOW	(20000 * DAY)

/* ---- policies made by hand ----------------------------------------------------- */

static char *
dup_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* Patterns with a space between each two; "": everybody. */
static struct pk_patterns
patterns(const char *list)
{
	struct pk_patterns users = { NULL, 0 };

	while (*list != '\0') {
		size_t len = strcspn(list, " ");

		users.text = realloc(users.text,
		    (users.count + 1) * sizeof(*users.text));
		assert_non_null(users.text);
		users.text[users.count++] = dup_text(list, len);
		list += len + (list[len] == ' ');
	}
	return users;
}

static struct pk_policy *
new_policy(void)
{
	struct pk_policy *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	memset(p->hash, 0xab, sizeof(p->hash));
	p->audit = PK_AUDIT_BEST_EFFORT;
	return p;
}

static struct pk_rule *
add_retention(struct pk_policy *p, const char *name, const char *users)
{
	struct pk_retention *t;

	p->retention = realloc(p->retention,
	    (p->retentions + 1) * sizeof(*t));
	assert_non_null(p->retention);
	t = &p->retention[p->retentions++];
	memset(t, 0, sizeof(*t));
	memcpy(t->rule.name, name, strlen(name) + 1);
	t->rule.after_download = t->rule.after_delivery = PK_NEVER;
	t->rule.unread = PK_NEVER;
	t->users = patterns(users);
	return &t->rule;
}

static void
add_hold(struct pk_policy *p, const char *name, const char *users,
    int64_t until)
{
	struct pk_hold *h;

	p->hold = realloc(p->hold, (p->holds + 1) * sizeof(*h));
	assert_non_null(p->hold);
	h = &p->hold[p->holds++];
	memset(h, 0, sizeof(*h));
	memcpy(h->name, name, strlen(name) + 1);
	h->until = until;
	h->users = patterns(users);
}

/* "10.0.0.0/8": as written, IPv4 prefixes count from 96. */
static struct pk_network
network(const char *text)
{
	struct pk_network n;
	size_t len = strcspn(text, "/");
	char address[64];

	memcpy(address, text, len);
	address[len] = '\0';
	assert_true(pk_address_parse(address, n.address));
	n.prefix = (uint8_t)(strtoul(text + len + 1, NULL, 10) +
	    (strchr(address, ':') == NULL ? 96 : 0));
	return n;
}

static struct pk_login_rule *
add_login(struct pk_policy *p, enum pk_credential_kind kind, const char *name,
    const char *users, const char *net, enum pk_allow allow)
{
	struct pk_login_rules *all = &p->login[kind];
	struct pk_login_rule *r;

	all->rule = realloc(all->rule, (all->count + 1) * sizeof(*r));
	assert_non_null(all->rule);
	r = &all->rule[all->count++];
	memset(r, 0, sizeof(*r));
	memcpy(r->name, name, strlen(name) + 1);
	r->users = patterns(users);
	r->allow = allow;
	r->until = r->warn_from = PK_NEVER;
	if (net != NULL) {
		r->networks = malloc(sizeof(*r->networks));
		assert_non_null(r->networks);
		r->networks[0] = network(net);
		r->network_count = 1;
	}
	return r;
}

static void
prepare(struct pk_policy *p)
{
	assert_int_equal(pk_policy_prepare(p), PK_OK);
}

/* A snapshot: "group:user" or "group:" with a space between each two. */
static struct pk_groups *
snapshot(const char *list)
{
	struct pk_groups *g = pk_groups_new();
	char group[64], user[64];
	size_t len;

	assert_non_null(g);
	for (; *list != '\0'; list += len + (list[len] == ' ')) {
		const char *colon = strchr(list, ':');

		len = strcspn(list, " ");
		assert_non_null(colon);
		memcpy(group, list, (size_t)(colon - list));
		group[colon - list] = '\0';
		memcpy(user, colon + 1, len - (size_t)(colon + 1 - list));
		user[len - (size_t)(colon + 1 - list)] = '\0';
		if (user[0] == '\0')
			assert_int_equal(pk_groups_add_group(g, group), PK_OK);
		else
			assert_int_equal(pk_groups_add(g, group, user), PK_OK);
	}
	return g;
}

/* ---- the rule of a user -------------------------------------------------------- */

static void
expect_rule(const struct pk_policy *p, const struct pk_groups *g,
    const char *user, const char *name)
{
	struct pk_user_policy up = { .clock_brake = false };

	expect(user, pk_policy_user(p, g, user, NULL, NOW, &up) == PK_OK);
	expect(user, up.has_rule == (name != NULL));
	if (name != NULL)
		assert_string_equal(up.rule.name, name);
}

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
	struct pk_policy *p = new_policy();
	size_t i;

	(void)state;
	add_retention(p, "names", "bob anna back\\slash a[*]b");
	add_retention(p, "domain", "*@example.org");
	add_retention(p, "globs", "printer-* ann*");
	add_retention(p, "sub", "*@*.example.org");
	add_retention(p, "question", "bobb?");
	add_retention(p, "class", "[ac]+b");
	add_retention(p, "late", "anna bob *@example.org ann* bobb?");
	prepare(p);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_rule(p, NULL, cases[i].user, cases[i].rule);
	pk_policy_free(&p);
	assert_null(p);
	pk_policy_free(&p);
}

static void
test_policy_without_users_matches_everybody(void **state)
{
	struct pk_policy *p = new_policy();

	(void)state;
	add_retention(p, "bob", "bob");
	add_retention(p, "all", "");
	add_retention(p, "star", "*");
	prepare(p);
	expect_rule(p, NULL, "bob", "bob");
	expect_rule(p, NULL, "anna", "all");
	pk_policy_free(&p);
}

static void
test_policy_copies_everything_of_the_rule_but_the_brake(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_user_policy up = { .clock_brake = true, .holds = 7 };
	struct pk_rule *r;

	(void)state;
	r = add_retention(p, "r", "anna");
	r->unread = 77;
	r->braked = true;
	p->dry_run = true;
	add_retention(p, "s", "")->login_delay = 1;
	prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_true(up.has_rule);
	assert_int_equal(up.rule.unread, 77);
	assert_true(up.rule.braked);
	assert_true(up.dry_run);
	assert_true(up.clock_brake);
	assert_true(up.login_delay_varies);
	assert_int_equal(up.audit, PK_AUDIT_BEST_EFFORT);
	assert_int_equal(up.holds, 0);
	assert_int_equal(up.held_until, 0);
	assert_memory_equal(up.hash, p->hash, sizeof(up.hash));
	pk_policy_free(&p);
}

static void
test_policy_without_login_delay_does_not_vary(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_user_policy up;

	(void)state;
	add_retention(p, "r", "bob");
	prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_false(up.has_rule);
	assert_false(up.login_delay_varies);
	assert_false(up.dry_run);
	pk_policy_free(&p);
}

static void
test_policy_takes_the_rule_that_is_named(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_user_policy up = { .holds = 42 };

	(void)state;
	add_retention(p, "all", "");
	add_retention(p, "other", "@nobody-knows");
	prepare(p);
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

/* ---- groups --------------------------------------------------------------------- */

static void
test_policy_asks_the_snapshot_for_groups(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_groups *g = snapshot("sales:anna staff:anna staff:bob none:");

	(void)state;
	add_retention(p, "none", "@none");
	add_retention(p, "sales", "@sales");
	add_retention(p, "staff", "@staff");
	prepare(p);
	expect_rule(p, g, "anna", "sales");
	expect_rule(p, g, "bob", "staff");
	expect_rule(p, g, "carl", NULL);
	expect_rule(p, g, "@sales", NULL);
	pk_groups_free(&g);
	pk_policy_free(&p);
}

static void
test_policy_says_when_an_unknown_group_decides(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_groups *g = snapshot("sales:anna");
	struct pk_user_policy up = { .holds = 42 };

	(void)state;
	add_retention(p, "sales", "@sales");
	add_retention(p, "names", "bob @staff");
	add_retention(p, "staff", "@staff");
	add_retention(p, "rest", "");
	prepare(p);
	/* Whatever staff is, an earlier or the same rule is certain. */
	expect_rule(p, g, "anna", "sales");
	expect_rule(p, g, "bob", "names");
	assert_int_equal(pk_policy_user(p, g, "carl", NULL, NOW, &up),
	    PK_ERR_LIMIT);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_ERR_LIMIT);
	assert_int_equal(up.holds, 42);
	assert_int_equal(pk_groups_add_group(g, "staff"), PK_OK);
	expect_rule(p, g, "carl", "rest");
	pk_groups_free(&g);
	pk_policy_free(&p);
}

static void
test_policy_names_its_groups_once(void **state)
{
	struct pk_policy *p = new_policy();

	(void)state;
	add_retention(p, "a", "@staff @sales bob");
	add_hold(p, "b", "@sales @law", PK_NEVER);
	add_login(p, PK_KIND_APOP, "c", "@boxes", NULL, PK_ALLOW_TLS);
	add_login(p, PK_KIND_PASSWORD, "d", "@admins @staff", NULL,
	    PK_ALLOW_TLS);
	prepare(p);
	assert_int_equal(pk_policy_group_count(p), 5);
	assert_string_equal(pk_policy_group(p, 0), "admins");
	assert_string_equal(pk_policy_group(p, 1), "boxes");
	assert_string_equal(pk_policy_group(p, 2), "law");
	assert_string_equal(pk_policy_group(p, 3), "sales");
	assert_string_equal(pk_policy_group(p, 4), "staff");
	pk_policy_free(&p);
	p = new_policy();
	prepare(p);
	assert_int_equal(pk_policy_group_count(p), 0);
	pk_policy_free(&p);
}

static void
test_policy_groups_count_members_once(void **state)
{
	struct pk_groups *g = snapshot("a:x a:y a:x b: b: b:x");

	(void)state;
	assert_true(pk_groups_knows(g, "a"));
	assert_true(pk_groups_knows(g, "b"));
	assert_false(pk_groups_knows(g, "c"));
	assert_false(pk_groups_knows(g, "x"));
	assert_int_equal(pk_groups_members(g, "a"), 2);
	assert_int_equal(pk_groups_members(g, "b"), 1);
	assert_int_equal(pk_groups_members(g, "c"), 0);
	assert_true(pk_groups_has(g, "a", "y"));
	assert_false(pk_groups_has(g, "b", "y"));
	assert_false(pk_groups_has(g, "c", "x"));
	assert_false(pk_groups_has(g, "a", "z"));
	pk_groups_free(&g);
	assert_null(g);
	pk_groups_free(&g);
}

static void
test_policy_groups_are_equal_in_any_order(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{ "", "", true },
		{ "a:x a:y b:x", "b:x a:y a:x", true },
		{ "a:x", "a:x a:x", true },
		{ "a: b:", "b: a:", true },
		{ "a:", "", false },
		{ "a:", "b:", false },
		{ "a:x", "a:", false },
		{ "a:x", "a:y", false },
		{ "a:x b:y", "a:y b:x", false },
		{ "a:x", "a:x b:", false },
		{ "a:x b:", "a:x a:y", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_groups *a = snapshot(cases[i].a);
		struct pk_groups *b = snapshot(cases[i].b);

		expect(cases[i].a, pk_groups_equal(a, b) == cases[i].equal);
		expect(cases[i].a, pk_groups_equal(b, a) == cases[i].equal);
		pk_groups_free(&a);
		pk_groups_free(&b);
	}
}

/* ---- holds ------------------------------------------------------------------------ */

static void
test_policy_counts_holds_until_they_are_over(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_user_policy up;

	(void)state;
	add_hold(p, "over", "anna", NOW);
	add_hold(p, "last-second", "anna", NOW + 1);
	add_hold(p, "other", "bob", PK_NEVER);
	add_hold(p, "long", "ann* anna * @law", NOW + 500);
	add_hold(p, "short", "", NOW + 20);
	prepare(p);
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
	struct pk_policy *p = new_policy();
	struct pk_groups *g = snapshot("law:bob");
	struct pk_user_policy up;

	(void)state;
	add_hold(p, "law", "@law", PK_NEVER);
	add_hold(p, "unknown", "@unknown", PK_NEVER);
	add_hold(p, "unknown-over", "@unknown", NOW);
	prepare(p);
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
	struct pk_policy *p = new_policy();
	struct pk_user_policy up;
	char name[8];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "h%d", i);
		add_hold(p, name, i % 2 == 0 ? "anna" : "bob", NOW + 1 + i);
	}
	prepare(p);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_OK);
	assert_int_equal(up.holds, 10);
	assert_string_equal(up.hold[0], "h0");
	assert_string_equal(up.hold[3], "h6");
	assert_true(up.held_until == NOW + 19);
	pk_policy_free(&p);
}

/* ---- does the rule act, and what EXPIRE says --------------------------------------- */

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
		{ "file's dry-run", { .has_rule = true, .dry_run = true },
		    false, false },
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
	up.dry_run = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up.dry_run = false;
	up.rule.dry_run = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up.rule.dry_run = false;
	up.rule.braked = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up.rule.braked = false;
	up.has_rule = false;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
}

/* ---- networks and logins ------------------------------------------------------------ */

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
		struct pk_network n = network(cases[i].net);
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
	struct pk_policy *p = new_policy();

	(void)state;
	add_login(p, PK_KIND_APOP, "inside", "printer-*", "10.0.0.0/8",
	    PK_ALLOW_ALWAYS);
	add_login(p, PK_KIND_APOP, "banned", "eve", NULL, PK_ALLOW_NEVER);
	add_login(p, PK_KIND_APOP, "net", "", "2001:db8::/32",
	    PK_ALLOW_ALWAYS);
	add_login(p, PK_KIND_APOP, "tls", "anna eve", NULL, PK_ALLOW_TLS);
	add_login(p, PK_KIND_PASSWORD, "no", "", NULL, PK_ALLOW_NEVER);
	prepare(p);
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
	struct pk_policy *p = new_policy();

	(void)state;
	prepare(p);
	expect_login(p, NULL, "anna", "192.0.2.7", true, NOW,
	    PK_LOGIN_RULE_REFUSES, NULL);
	pk_policy_free(&p);
}

static void
test_policy_login_warns_and_ends_at_its_seconds(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_login_rule *r;

	(void)state;
	r = add_login(p, PK_KIND_APOP, "sunset", "anna", NULL, PK_ALLOW_TLS);
	r->warn_from = NOW;
	r->until = NOW + DAY;
	add_login(p, PK_KIND_APOP, "rest", "", NULL, PK_ALLOW_ALWAYS);
	prepare(p);
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
	struct pk_policy *p = new_policy();
	struct pk_groups *g = snapshot("staff:");

	(void)state;
	add_login(p, PK_KIND_APOP, "inside", "@staff", "10.0.0.0/8",
	    PK_ALLOW_ALWAYS);
	add_login(p, PK_KIND_APOP, "rest", "", NULL, PK_ALLOW_TLS);
	prepare(p);
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
}

/* ---- the index against a plain scan -------------------------------------------------- */

static const char *const some_patterns[] = {
	"a", "b", "ab", "a@x", "b@x.y", "c", "*", "*@x", "*@x.y", "*@y@x",
	"a*", "*b", "?", "[ab]", "[!a]", "*@*", "?@x", "a*b", "aa*a", "*x",
	"*.y", "*@?", "@g", "@h", "@i", "@j", "[", "*[", "a?",
};
static const char *const some_users[] = {
	"a", "b", "c", "d", "ab", "aab", "aa", "a@x", "b@x", "b@x.y", "c@y",
	"a@y@x", "aaa", "*", "[", "@g", "x", "@x", "a@", "*b", "b@y@x.y",
};
static const char *const some_groups[] = { "g", "h", "i", "j" };
static const char *const some_networks[] = { NULL, NULL, "10.0.0.0/8",
    "10.1.0.0/16", "::/0", "2001:db8::/32", "0.0.0.0/0" };
static const char *const some_addresses[] = { "10.0.0.1", "10.1.0.1",
    "192.0.2.7", "2001:db8::1", "::1" };

#define PICK(array) \
	((array)[random_below(sizeof(array) / sizeof((array)[0]))])

static const char *
pick_patterns(char out[64])
{
	uint32_t i, n = random_below(4);

	out[0] = '\0';
	for (i = 0; i < n; i++)
		(void)snprintf(out + strlen(out), 64 - strlen(out), "%s%s",
		    i > 0 ? " " : "", PICK(some_patterns));
	return out;
}

static struct pk_policy *
random_policy(void)
{
	struct pk_policy *p = new_policy();
	uint32_t i, n = random_below(6);
	char users[64], name[16];

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		add_retention(p, name, pick_patterns(users));
		add_hold(p, name, pick_patterns(users), PK_NEVER);
		add_login(p, PK_KIND_APOP, name, pick_patterns(users),
		    PICK(some_networks), PK_ALLOW_TLS);
	}
	prepare(p);
	return p;
}

static struct pk_groups *
random_groups(void)
{
	struct pk_groups *g;
	uint32_t i, n = random_below(12);

	if (n == 11)
		return NULL;
	g = pk_groups_new();
	assert_non_null(g);
	for (i = 0; i < n; i++) {
		const char *group = PICK(some_groups);

		assert_int_equal(random_below(4) == 0 ?
		    pk_groups_add_group(g, group) :
		    pk_groups_add(g, group, PICK(some_users)), PK_OK);
	}
	return g;
}

enum match { NO, MAYBE, YES };

static enum match
plain_match(const struct pk_patterns *users, const struct pk_groups *g,
    const char *user)
{
	enum match m = users->count == 0 ? YES : NO;
	size_t i;

	for (i = 0; i < users->count && m != YES; i++) {
		const char *t = users->text[i];

		if (t[0] != '@') {
			if (fnmatch(t, user, FNM_NOESCAPE) == 0)
				m = YES;
		} else if (g == NULL || !pk_groups_knows(g, t + 1)) {
			m = MAYBE;
		} else if (pk_groups_has(g, t + 1, user)) {
			m = YES;
		}
	}
	return m;
}

static void
compare_rule(const struct pk_policy *p, const struct pk_groups *g,
    const char *user)
{
	struct pk_user_policy up;
	enum match m = NO;
	enum pk_err err;
	size_t i;

	for (i = 0; i < p->retentions && m == NO; i++)
		m = plain_match(&p->retention[i].users, g, user);
	err = pk_policy_user(p, g, user, NULL, NOW, &up);
	assert_int_equal(err, m == MAYBE ? PK_ERR_LIMIT : PK_OK);
	if (err != PK_OK)
		return;
	assert_int_equal(up.has_rule, m == YES);
	if (m == YES)
		assert_string_equal(up.rule.name,
		    p->retention[i - 1].rule.name);
}

static void
compare_holds(const struct pk_policy *p, const struct pk_groups *g,
    const char *user)
{
	struct pk_user_policy up;
	uint32_t held = 0;
	size_t i;

	/* Whatever the rule is. */
	if (p->retentions == 0)
		return;
	assert_int_equal(pk_policy_user(p, g, user, "0", NOW, &up), PK_OK);
	for (i = 0; i < p->holds; i++) {
		if (plain_match(&p->hold[i].users, g, user) == NO)
			continue;
		if (held < PK_HOLD_NAMES)
			assert_string_equal(up.hold[held], p->hold[i].name);
		held++;
	}
	assert_int_equal(up.holds, held);
}

static void
compare_login(const struct pk_policy *p, const struct pk_groups *g,
    const char *user)
{
	const struct pk_login_rules *all = &p->login[PK_KIND_APOP];
	const struct pk_login_rule *r;
	enum pk_login_verdict v;
	enum match m = NO;
	uint8_t a[16];
	size_t i;

	assert_true(pk_address_parse(PICK(some_addresses), a));
	for (i = 0; i < all->count && m == NO; i++)
		if (all->rule[i].network_count == 0 ||
		    pk_network_has(&all->rule[i].networks[0], a))
			m = plain_match(&all->rule[i].users, g, user);
	v = pk_policy_login(p, g, PK_KIND_APOP, user, a, true, NOW, &r);
	assert_int_equal(v, m == MAYBE ? PK_LOGIN_RULE_UNKNOWN :
	    m == YES ? PK_LOGIN_RULE_ALLOWS : PK_LOGIN_RULE_REFUSES);
	assert_ptr_equal(r, m == YES ? &all->rule[i - 1] : NULL);
}

static void
test_policy_index_equals_a_plain_scan(void **state)
{
	int i;
	size_t u;

	(void)state;
	random_begin();
	for (i = 0; i < 4000; i++) {
		struct pk_policy *p = random_policy();
		struct pk_groups *g = random_groups();

		for (u = 0; u < sizeof(some_users) / sizeof(some_users[0]);
		    u++) {
			compare_rule(p, g, some_users[u]);
			compare_holds(p, g, some_users[u]);
			compare_login(p, g, some_users[u]);
		}
		pk_groups_free(&g);
		pk_policy_free(&p);
	}
}

/* ---- allocations that fail ------------------------------------------------------------ */

static void
test_policy_survives_every_failed_allocation(void **state)
{
	struct pk_policy *p = new_policy();
	struct pk_user_policy up = { .holds = 42 };
	enum pk_err err = PK_ERR_NOMEM;
	long n;

	(void)state;
	add_retention(p, "a", "anna bob *@x @g a*b");
	add_retention(p, "b", "*@y c*d anna @h e*f");
	add_hold(p, "c", "carl * @g", PK_NEVER);
	add_login(p, PK_KIND_APOP, "d", "@g x*y", NULL, PK_ALLOW_TLS);
	for (n = 0; err == PK_ERR_NOMEM; n++) {
		assert_null(p->index);
		alloc_arm(n);
		err = pk_policy_prepare(p);
		alloc_arm(-1);
	}
	assert_int_equal(err, PK_OK);
	assert_true(n > 15);
	alloc_arm(0);
	err = pk_policy_user(p, NULL, "anna", NULL, NOW, &up);
	alloc_arm(-1);
	assert_int_equal(err, PK_ERR_NOMEM);
	assert_int_equal(up.holds, 42);
	pk_policy_free(&p);
}

/* Add with each allocation failed in turn: nothing may have changed by that. */
static void
add_until_it_fits(struct pk_groups *g, const char *group, const char *user)
{
	struct pk_groups *before = snapshot("a:x a:y b:x");
	enum pk_err err = PK_ERR_NOMEM;
	long n;

	for (n = 0; err == PK_ERR_NOMEM; n++) {
		assert_true(pk_groups_equal(g, before));
		assert_true(pk_groups_equal(before, g));
		assert_false(pk_groups_has(g, group, user));
		alloc_arm(n);
		err = pk_groups_add(g, group, user);
		alloc_arm(-1);
	}
	assert_int_equal(err, PK_OK);
	assert_true(pk_groups_has(g, group, user));
	pk_groups_free(&before);
}

static void
test_policy_groups_survive_every_failed_allocation(void **state)
{
	static const char *const add[][2] = { { "c", "z" }, { "c", "x" },
	    { "b", "z" }, { "d", "y" } };
	struct pk_groups *g;
	size_t i;

	(void)state;
	alloc_arm(0);
	g = pk_groups_new();
	alloc_arm(-1);
	assert_null(g);
	for (i = 0; i < sizeof(add) / sizeof(add[0]); i++) {
		g = snapshot("a:x a:y b:x");
		add_until_it_fits(g, add[i][0], add[i][1]);
		pk_groups_free(&g);
	}
}

static void
test_policy_groups_grow(void **state)
{
	struct pk_groups *g = pk_groups_new();
	char group[16], user[16];
	uint32_t i;

	(void)state;
	assert_non_null(g);
	for (i = 0; i < 3000; i++) {
		(void)snprintf(group, sizeof(group), "g%u", i % 70);
		(void)snprintf(user, sizeof(user), "u%u", i % 1000);
		assert_int_equal(pk_groups_add(g, group, user), PK_OK);
	}
	for (i = 0; i < 3000; i++) {
		(void)snprintf(group, sizeof(group), "g%u", i % 70);
		(void)snprintf(user, sizeof(user), "u%u", i % 1000);
		assert_true(pk_groups_has(g, group, user));
	}
	assert_false(pk_groups_has(g, "g1", "u0"));
	assert_int_equal(pk_groups_members(g, "g0"), 43);
	pk_groups_free(&g);
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
		cmocka_unit_test(test_policy_takes_the_rule_that_is_named),
		cmocka_unit_test(test_policy_asks_the_snapshot_for_groups),
		cmocka_unit_test(
		    test_policy_says_when_an_unknown_group_decides),
		cmocka_unit_test(test_policy_names_its_groups_once),
		cmocka_unit_test(test_policy_groups_count_members_once),
		cmocka_unit_test(test_policy_groups_are_equal_in_any_order),
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
		cmocka_unit_test(test_policy_index_equals_a_plain_scan),
		cmocka_unit_test(test_policy_survives_every_failed_allocation),
		cmocka_unit_test(
		    test_policy_groups_survive_every_failed_allocation),
		cmocka_unit_test(test_policy_groups_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
