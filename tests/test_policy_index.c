/*
 * The index of the policy against a plain scan, and snapshots of groups.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/policy_fixture.h"

/* ---- groups -------------------------------------------------------------- */

static void
test_policy_asks_the_snapshot_for_groups(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_groups *g = policy_groups("sales:anna staff:anna staff:bob none:");

	(void)state;
	policy_add_retention(p, "none", "@none");
	policy_add_retention(p, "sales", "@sales");
	policy_add_retention(p, "staff", "@staff");
	policy_prepare(p);
	policy_expect_rule(p, g, "anna", "sales");
	policy_expect_rule(p, g, "bob", "staff");
	policy_expect_rule(p, g, "carl", NULL);
	policy_expect_rule(p, g, "@sales", NULL);
	pk_groups_free(&g);
	pk_policy_free(&p);
}

static void
test_policy_says_when_an_unknown_group_decides(void **state)
{
	struct pk_policy *p = policy_new();
	struct pk_groups *g = policy_groups("sales:anna");
	struct pk_user_policy up = { .holds = 42 };

	(void)state;
	policy_add_retention(p, "sales", "@sales");
	policy_add_retention(p, "names", "bob @staff");
	policy_add_retention(p, "staff", "@staff");
	policy_add_retention(p, "rest", "");
	policy_prepare(p);
	/* Whatever staff is, an earlier or the same rule is certain. */
	policy_expect_rule(p, g, "anna", "sales");
	policy_expect_rule(p, g, "bob", "names");
	assert_int_equal(pk_policy_user(p, g, "carl", NULL, NOW, &up),
	    PK_ERR_LIMIT);
	assert_int_equal(pk_policy_user(p, NULL, "anna", NULL, NOW, &up),
	    PK_ERR_LIMIT);
	assert_int_equal(up.holds, 42);
	assert_int_equal(pk_groups_add_group(g, "staff"), PK_OK);
	policy_expect_rule(p, g, "carl", "rest");
	pk_groups_free(&g);
	pk_policy_free(&p);
}

static void
test_policy_names_its_groups_once(void **state)
{
	struct pk_policy *p = policy_new();

	(void)state;
	policy_add_retention(p, "a", "@staff @sales bob");
	policy_add_hold(p, "b", "@sales @law", PK_NEVER);
	policy_add_login(p, PK_KIND_APOP, "c", "@boxes", NULL, PK_ALLOW_TLS);
	policy_add_login(p, PK_KIND_PASSWORD, "d", "@admins @staff", NULL,
	    PK_ALLOW_TLS);
	policy_prepare(p);
	assert_int_equal(pk_policy_group_count(p), 5);
	assert_string_equal(pk_policy_group(p, 0), "admins");
	assert_string_equal(pk_policy_group(p, 1), "boxes");
	assert_string_equal(pk_policy_group(p, 2), "law");
	assert_string_equal(pk_policy_group(p, 3), "sales");
	assert_string_equal(pk_policy_group(p, 4), "staff");
	pk_policy_free(&p);
	p = policy_new();
	policy_prepare(p);
	assert_int_equal(pk_policy_group_count(p), 0);
	pk_policy_free(&p);
}

static void
test_policy_groups_count_members_once(void **state)
{
	struct pk_groups *g = policy_groups("a:x a:y a:x b: b: b:x");

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

static const char *const copied[] = { "b", "unknown", "empty", "a", "b" };
#define COPIED (sizeof(copied) / sizeof(copied[0]))

static void
test_policy_groups_copy_those_that_are_named(void **state)
{
	struct pk_groups *from = policy_groups("o:x a:x a:y b:y b:z empty:");
	struct pk_groups *g = policy_groups("c:z b:w a:");
	struct pk_groups *want = policy_groups("a:x a:y b:w b:y b:z c:z "
	    "empty:");

	(void)state;
	assert_int_equal(pk_groups_copy(g, from, copied, 0), PK_OK);
	assert_int_equal(pk_groups_members(g, "b"), 1);
	assert_int_equal(pk_groups_copy(g, from, copied, COPIED), PK_OK);
	assert_true(pk_groups_equal(g, want));
	assert_false(pk_groups_knows(g, "unknown"));
	pk_groups_free(&want);
	pk_groups_free(&from);
	pk_groups_free(&g);
}

static void
test_policy_groups_copy_says_when_there_is_no_memory(void **state)
{
	struct pk_groups *from = policy_groups("a:x a:y b:y b:z");
	enum pk_err err = PK_ERR_NOMEM;
	struct pk_groups *g;
	long n;

	(void)state;
	for (n = 0; err == PK_ERR_NOMEM; n++) {
		g = policy_groups("");
		alloc_arm(n);
		err = pk_groups_copy(g, from, copied, COPIED);
		alloc_arm(-1);
		if (err == PK_OK)
			assert_true(pk_groups_equal(g, from));
		pk_groups_free(&g);
	}
	assert_int_equal(err, PK_OK);
	assert_true(n > 5);
	pk_groups_free(&from);
}

static char *
text_of(const struct pk_groups *g, size_t *len_r)
{
	char *text;

	assert_int_equal(pk_groups_text(g, &text, len_r), PK_OK);
	return text;
}

static bool
same_text(const struct pk_groups *a, const struct pk_groups *b)
{
	size_t a_len, b_len;
	char *a_text = text_of(a, &a_len), *b_text = text_of(b, &b_len);
	bool same = a_len == b_len && memcmp(a_text, b_text, a_len) == 0;

	free(a_text);
	free(b_text);
	return same;
}

static void
test_groups_have_a_text(void **state)
{
	static const char expected[] = "a\na\tx\na\ty\nab\nb\nb\tx\n";
	struct pk_groups *g = policy_groups("b:x a:y ab: a:x");
	long n, failures = 0;
	enum pk_err err;
	char *text;
	size_t len;

	(void)state;
	text = text_of(g, &len);
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(text, expected, len);
	free(text);
	for (n = 0; n < 10; n++) {
		text = NULL;
		alloc_arm(n);
		err = pk_groups_text(g, &text, &len);
		alloc_arm(-1);
		failures += err == PK_ERR_NOMEM;
		assert_true(err == PK_OK || err == PK_ERR_NOMEM);
		free(text);
	}
	assert_true(failures >= 2);
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
		struct pk_groups *a = policy_groups(cases[i].a);
		struct pk_groups *b = policy_groups(cases[i].b);

		expect(cases[i].a, pk_groups_equal(a, b) == cases[i].equal);
		expect(cases[i].a, pk_groups_equal(b, a) == cases[i].equal);
		expect(cases[i].a, same_text(a, b) == cases[i].equal);
		pk_groups_free(&a);
		pk_groups_free(&b);
	}
}

/* ---- the index against a plain scan -------------------------------------- */

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
	struct pk_policy *p = policy_new();
	uint32_t i, n = random_below(6);
	char users[64], name[16];

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		policy_add_retention(p, name, pick_patterns(users));
		policy_add_hold(p, name, pick_patterns(users), PK_NEVER);
		policy_add_login(p, PK_KIND_APOP, name, pick_patterns(users),
		    PICK(some_networks), PK_ALLOW_TLS);
	}
	policy_prepare(p);
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

/* ---- allocations that fail ----------------------------------------------- */

static struct pk_policy *
policy_of_each_pattern(void)
{
	struct pk_policy *p = policy_new();

	policy_add_retention(p, "a", "anna bob *@x @g a*b");
	policy_add_retention(p, "b", "*@y c*d anna @h e*f");
	policy_add_retention(p, "e", "*");
	policy_add_hold(p, "c", "carl * @g", PK_NEVER);
	policy_add_login(p, PK_KIND_APOP, "d", "@g x*y", NULL, PK_ALLOW_TLS);
	return p;
}

static void
test_policy_survives_every_failed_allocation(void **state)
{
	struct pk_policy *p = policy_of_each_pattern();
	struct pk_user_policy up = { .holds = 42 };
	long n, total;

	(void)state;
	alloc_arm(-1);
	policy_prepare(p);
	total = alloc_count();
	alloc_arm(0);
	assert_int_equal(pk_policy_user(p, NULL, "bob", NULL, NOW, &up),
	    PK_ERR_NOMEM);
	alloc_arm(-1);
	assert_int_equal(up.holds, 42);
	pk_policy_free(&p);
	p = policy_of_each_pattern();
	assert_true(total > 20);
	for (n = 0; n < total; n++) {
		enum pk_err err;

		alloc_arm(n);
		err = pk_policy_prepare(p);
		alloc_arm(-1);
		assert_int_equal(err, PK_ERR_NOMEM);
		assert_null(p->index);
	}
	pk_policy_free(&p);
}

/* Add with each allocation failed in turn: nothing may have changed by that. */
static void
add_until_it_fits(struct pk_groups *g, const char *group, const char *user)
{
	struct pk_groups *before = policy_groups("a:x a:y b:x");
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
		g = policy_groups("a:x a:y b:x");
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
		cmocka_unit_test(test_policy_asks_the_snapshot_for_groups),
		cmocka_unit_test(
		    test_policy_says_when_an_unknown_group_decides),
		cmocka_unit_test(test_policy_names_its_groups_once),
		cmocka_unit_test(test_groups_have_a_text),
		cmocka_unit_test(test_policy_groups_count_members_once),
		cmocka_unit_test(test_policy_groups_are_equal_in_any_order),
		cmocka_unit_test(test_policy_index_equals_a_plain_scan),
		cmocka_unit_test(test_policy_survives_every_failed_allocation),
		cmocka_unit_test(
		    test_policy_groups_survive_every_failed_allocation),
		cmocka_unit_test(test_policy_groups_grow),
		cmocka_unit_test(test_policy_groups_copy_those_that_are_named),
		cmocka_unit_test(
		    test_policy_groups_copy_says_when_there_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
