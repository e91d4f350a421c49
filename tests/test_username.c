/*
 * The canonical user name.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/username.h"
#include "tests/harness.h"

static const struct pk_username_rules plain = { false, '\0', NULL };
static const struct pk_username_rules fold = { true, '\0', NULL };
static const struct pk_username_rules detail = { false, '+', NULL };
static const struct pk_username_rules site = { true, '+', "Example.ORG" };
static const struct pk_username_rules no_domain = { false, '\0', "" };

static const struct {
	const struct pk_username_rules *rules;
	const char *name;
	const char *canonical;		/* NULL: PK_ERR_SYNTAX */
} cases[] = {
	{ &plain, "ann", "ann" },
	{ &plain, "Ann", "Ann" },
	{ &plain, "ann@example.org", "ann@example.org" },
	{ &plain, "ann+x", "ann+x" },
	{ &plain, "a.b@c.d", "a.b@c.d" },
	{ &plain, "\303\204nn", "\303\204nn" },
	{ &plain, "ann.", "ann." },
	{ &plain, "~!#$%^&*()", "~!#$%^&*()" },
	{ &fold, "AnnZ@Example.ORG", "annz@example.org" },
	{ &fold, "[`{", "[`{" },
	{ &fold, "\303\204", "\303\204" },
	{ &detail, "ann+x", "ann" },
	{ &detail, "ann+x@example.org", "ann@example.org" },
	{ &detail, "ann+", "ann" },
	{ &detail, "ann+x+y@z", "ann@z" },
	{ &detail, "ann@a+b", "ann@a+b" },
	{ &site, "Ann", "ann@example.org" },
	{ &site, "Ann+List", "ann@example.org" },
	{ &site, "Ann+List@Other.org", "ann@other.org" },
	{ &no_domain, "ann", "ann" },

	{ &plain, "", NULL },
	{ &plain, "a b", NULL },
	{ &plain, "a\tb", NULL },
	{ &plain, "a\nb", NULL },
	{ &plain, "a\r", NULL },
	{ &plain, "a\033[m", NULL },
	{ &plain, "a\177", NULL },
	{ &plain, "a\001", NULL },
	{ &plain, "a/b", NULL },
	{ &plain, "/", NULL },
	{ &plain, ".", NULL },
	{ &plain, "..", NULL },
	{ &plain, ".a", NULL },
	{ &plain, "a..b", NULL },
	{ &plain, "a@.b", NULL },
	{ &plain, "a@b..c", NULL },
	{ &plain, "@", NULL },
	{ &plain, "@b", NULL },
	{ &plain, "a@", NULL },
	{ &plain, "a@b@c", NULL },
	{ &plain, "a@@b", NULL },
	{ &plain, "a@b/c", NULL },
	{ &detail, "+x", NULL },
	{ &detail, "+x@b", NULL },
	{ &detail, "a+/@b", NULL },
	{ &detail, "a+..@b", NULL },
	{ &site, "", NULL },
	{ &site, "a@", NULL },
};

static void
test_username_spells_each_case(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *name = cases[i].name;
		struct pk_span in = guard_copy(name, strlen(name));
		char out[PK_USERNAME_SIZE] = "untouched";
		enum pk_err err = pk_username_canonical(cases[i].rules, in,
		    out);

		expect(name, err == (cases[i].canonical == NULL ?
		    PK_ERR_SYNTAX : PK_OK));
		expect(name, strcmp(out, cases[i].canonical == NULL ?
		    "untouched" : cases[i].canonical) == 0);
		guard_free(in.data, in.len);
	}
}

static void
test_username_refuses_nul(void **state)
{
	char out[PK_USERNAME_SIZE];

	(void)state;
	assert_int_equal(pk_username_canonical(&plain, LITERAL("a\0b"), out),
	    PK_ERR_SYNTAX);
	assert_int_equal(pk_username_canonical(&plain, LITERAL("a\0"), out),
	    PK_ERR_SYNTAX);
}

/* Every spelling of a name is one name: canonical again changes nothing. */
static void
test_username_is_stable(void **state)
{
	char once[PK_USERNAME_SIZE], twice[PK_USERNAME_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].canonical == NULL)
			continue;
		assert_int_equal(pk_username_canonical(cases[i].rules,
		    span_of(cases[i].name), once), PK_OK);
		assert_int_equal(pk_username_canonical(cases[i].rules,
		    span_of(once), twice), PK_OK);
		assert_string_equal(once, twice);
	}
}

static enum pk_err
spell_long(const struct pk_username_rules *rules, size_t len, char *out)
{
	uint8_t name[2 * PK_USERNAME_MAX];

	memset(name, 'a', sizeof(name));
	return pk_username_canonical(rules, (struct pk_span){ name, len },
	    out);
}

static void
test_username_refuses_what_is_too_long(void **state)
{
	/* "@Example.ORG" has 12 octets. */
	const size_t most = PK_USERNAME_MAX - 12;
	char *out = (char *)guard_room(PK_USERNAME_SIZE);

	(void)state;
	assert_int_equal(spell_long(&plain, PK_USERNAME_MAX, out), PK_OK);
	assert_int_equal(strlen(out), PK_USERNAME_MAX);
	assert_int_equal(spell_long(&plain, PK_USERNAME_MAX + 1, out),
	    PK_ERR_LIMIT);
	assert_int_equal(spell_long(&site, most, out), PK_OK);
	assert_int_equal(strlen(out), PK_USERNAME_MAX);
	assert_int_equal(spell_long(&site, most + 1, out), PK_ERR_LIMIT);
	assert_int_equal(spell_long(&site, PK_USERNAME_MAX, out),
	    PK_ERR_LIMIT);
	guard_free((uint8_t *)out, PK_USERNAME_SIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_username_spells_each_case),
		cmocka_unit_test(test_username_refuses_nul),
		cmocka_unit_test(test_username_is_stable),
		cmocka_unit_test(test_username_refuses_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
