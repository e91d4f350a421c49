/*
 * Right policy files: what they come to.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/policy_said.h"

#define DAY	INT64_C(86400)

/* ---- the example --------------------------------------------------------- */

static const char example[] =
    "mode  = enforce                     # enforce | dry-run\n"
    "audit = required                    # required | best-effort | off\n"
    "\n"
    "retention \"download-and-delete\" {\n"
    "    users          = { \"*@finance.example.org\", \"@finance\", "
    "\"anna\" }  # globs\n"
    "    after-download = \"0\"            # \"0\": at the QUIT; \"7d\"\n"
    "    after-delivery = \"never\"\n"
    "    unread         = \"60d\"          # not read within\n"
    "    unread-from    = first-seen     # first-seen | delivery\n"
    "    minimum        = \"0\"            # before this age\n"
    "    unconfirmed-limit = 0           # n: the n-th; 0: never\n"
    "    top            = headers        # allow | headers | deny\n"
    "    login-delay    = \"0\"\n"
    "    dispose        = destroy        # destroy | \"folder:Expired\"\n"
    "    effective-from = \"2026-12-01\"   # until then\n"
    "    mode           = enforce        # this rule alone\n"
    "    max-share      = 50%            # brake\n"
    "}\n"
    "\n"
    "hold \"case-2026-17\" { users = { \"alice\" }  until = \"2027-12-31\"  "
    "note = \"...\" }     # no until: until released\n"
    "\n"
    "apop {                              # no such block: APOP is off\n"
    "    rule \"printers\" { users = { \"printer-*\" }  networks = { "
    "\"10.0.0.0/8\" }  allow = always }\n"
    "    rule \"sunset\"   { users = { \"*\" }  allow = tls  until = "
    "\"2027-06-30\"  warn-from = \"2027-03-31\" }\n"
    "    minimum-secret = 16             # octets\n"
    "    exclusive      = yes            # RFC 1939 section 13\n"
    "}\n"
    "\n"
    "passwords {                         # no such block: allow = tls\n"
    "    rule \"internal\" { networks = { \"10.0.0.0/8\", \"::1/128\" }  "
    "allow = always }\n"
    "    rule \"rest\"     { allow = tls }\n"
    "}\n";

static void
test_policy_file_reads_the_example(void **state)
{
	struct pk_policy *p = parse_fine(example);
	const struct pk_rule *r;

	(void)state;
	assert_false(p->dry_run);
	assert_int_equal(p->audit, PK_AUDIT_REQUIRED);
	assert_int_equal(p->retentions, 1);
	assert_int_equal(p->retention[0].users.count, 3);
	assert_string_equal(p->retention[0].users.text[0],
	    "*@finance.example.org");
	assert_string_equal(p->retention[0].users.text[2], "anna");
	r = &p->retention[0].rule;
	assert_string_equal(r->name, "download-and-delete");
	assert_true(r->after_download == 0);
	assert_true(r->after_delivery == PK_NEVER);
	assert_true(r->unread == 60 * DAY);
	assert_int_equal(r->unread_from, PK_UNREAD_FIRST_SEEN);
	assert_true(r->minimum == 0);
	assert_int_equal(r->unconfirmed_limit, 0);
	assert_int_equal(r->top, PK_TOP_HEADERS);
	assert_int_equal(r->login_delay, 0);
	assert_string_equal(r->folder, "");
	assert_true(r->effective_from == 20788 * DAY);
	assert_false(r->dry_run);
	assert_false(r->braked);
	assert_int_equal(r->max_share, 50);
	assert_string_equal(p->retention[0].place.file, "f");
	assert_int_equal(p->retention[0].place.line, 4);
	pk_policy_free(&p);
}

static void
test_policy_file_reads_the_example_s_logins_and_hold(void **state)
{
	struct pk_policy *p = parse_fine(example);
	const struct pk_login_rule *l = p->login[PK_KIND_APOP].rule;

	(void)state;
	assert_int_equal(p->holds, 1);
	assert_string_equal(p->hold[0].name, "case-2026-17");
	assert_string_equal(p->hold[0].users.text[0], "alice");
	assert_string_equal(p->hold[0].note, "...");
	assert_true(p->hold[0].until == 21184 * DAY);
	assert_int_equal(p->hold[0].place.line, 20);
	assert_int_equal(p->login[PK_KIND_APOP].count, 2);
	assert_string_equal(l[0].name, "printers");
	assert_int_equal(l[0].network_count, 1);
	assert_int_equal(l[0].networks[0].prefix, 104);
	assert_int_equal(l[0].networks[0].address[12], 10);
	assert_int_equal(l[0].allow, PK_ALLOW_ALWAYS);
	assert_true(l[0].until == PK_NEVER);
	assert_true(l[0].warn_from == PK_NEVER);
	assert_string_equal(l[1].name, "sunset");
	assert_int_equal(l[1].allow, PK_ALLOW_TLS);
	assert_true(l[1].until == 21000 * DAY);
	assert_true(l[1].warn_from == 20908 * DAY);
	assert_int_equal(l[1].place.line, 24);
	assert_int_equal(p->minimum_secret, 16);
	assert_true(p->exclusive);
	assert_int_equal(p->login[PK_KIND_PASSWORD].count, 2);
	l = p->login[PK_KIND_PASSWORD].rule;
	assert_int_equal(l[0].network_count, 2);
	assert_int_equal(l[0].networks[1].prefix, 128);
	assert_int_equal(l[1].network_count, 0);
	assert_int_equal(l[1].users.count, 0);
	pk_policy_free(&p);
}

static void
test_policy_file_installed_is_fine(void **state)
{
	static char content[16384];
	FILE *f = fopen(SRCDIR "/packaging/policy.conf", "r");
	struct pk_policy *p;

	(void)state;
	assert_non_null(f);
	content[fread(content, 1, sizeof(content) - 1, f)] = '\0';
	(void)fclose(f);
	p = parse_fine(content);
	assert_false(p->dry_run);
	assert_int_equal(p->audit, PK_AUDIT_REQUIRED);
	assert_int_equal(p->retentions, 0);
	assert_int_equal(p->holds, 0);
	assert_int_equal(p->login[PK_KIND_APOP].count, 0);
	assert_int_equal(p->login[PK_KIND_PASSWORD].count, 1);
	assert_int_equal(p->login[PK_KIND_PASSWORD].rule[0].allow,
	    PK_ALLOW_TLS);
	pk_policy_free(&p);
}

/* The examples in its comments: without "# " before what is in columns. */
static void
test_policy_file_installed_has_examples_that_work(void **state)
{
	static char content[16384], line[256];
	FILE *f = fopen(SRCDIR "/packaging/policy.conf", "r");
	struct pk_policy *p;
	size_t len = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		const char *end = line + strcspn(line, "\n");
		bool example_line = strncmp(line, "#\t", 2) == 0 ||
		    strncmp(line, "# }", 3) == 0 ||
		    (line[0] == '#' && end[-1] == '{');

		len += (size_t)snprintf(content + len, sizeof(content) - len,
		    "%s", line + (example_line ? 1 : 0));
	}
	(void)fclose(f);
	p = parse_fine(content);
	assert_int_equal(p->retentions, 2);
	assert_int_equal(p->holds, 1);
	assert_int_equal(p->login[PK_KIND_APOP].count, 2);
	pk_policy_free(&p);
}

/* ---- what is not written ------------------------------------------------- */

static void
expect_no_rules(const struct pk_policy *p)
{
	const struct pk_login_rule *l = p->login[PK_KIND_PASSWORD].rule;

	assert_false(p->dry_run);
	assert_int_equal(p->audit, PK_AUDIT_REQUIRED);
	assert_int_equal(p->retentions, 0);
	assert_int_equal(p->holds, 0);
	assert_int_equal(p->minimum_secret, 0);
	assert_false(p->exclusive);
	assert_int_equal(p->login[PK_KIND_APOP].count, 0);
	assert_int_equal(p->login[PK_KIND_PASSWORD].count, 1);
	assert_string_equal(l->name, "default");
	assert_int_equal(l->allow, PK_ALLOW_TLS);
	assert_true(l->until == PK_NEVER);
	assert_true(l->warn_from == PK_NEVER);
	assert_int_equal(l->users.count, 0);
	assert_int_equal(l->network_count, 0);
	assert_int_equal(l->place.line, 0);
}

static void
test_policy_file_without_blocks_has_defaults(void **state)
{
	static const char *const contents[] = { "", "\n", "# nothing",
	    "/* nothing */", "   \t", "// nothing\n\n" };
	struct pk_policy *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		p = parse_fine(contents[i]);
		expect_no_rules(p);
		assert_string_equal(p->login[PK_KIND_PASSWORD].rule->place.file,
		    "f");
		pk_policy_free(&p);
	}
	p = parse_files(NULL, 0);
	assert_non_null(p);
	assert_string_equal(said, "");
	expect_no_rules(p);
	pk_policy_free(&p);
}

static void
test_policy_file_gives_defaults_to_rules(void **state)
{
	struct pk_policy *p = parse_fine("retention a { users = b }\n"
	    "hold b { }\n");
	const struct pk_rule *r = &p->retention[0].rule;

	(void)state;
	assert_true(r->after_download == PK_NEVER);
	assert_true(r->after_delivery == PK_NEVER);
	assert_true(r->unread == PK_NEVER);
	assert_int_equal(r->unread_from, PK_UNREAD_FIRST_SEEN);
	assert_true(r->minimum == 0);
	assert_int_equal(r->unconfirmed_limit, 0);
	assert_int_equal(r->top, PK_TOP_ALLOW);
	assert_int_equal(r->login_delay, 0);
	assert_string_equal(r->folder, "");
	assert_true(r->effective_from == 0);
	assert_false(r->dry_run);
	assert_int_equal(r->max_share, 50);
	assert_true(p->hold[0].until == PK_NEVER);
	assert_null(p->hold[0].note);
	assert_int_equal(p->hold[0].users.count, 0);
	pk_policy_free(&p);
}

/* ---- values -------------------------------------------------------------- */

static void
test_policy_file_reads_every_value(void **state)
{
	struct pk_policy *p = parse_fine("retention a {\n"
	    "after-download = 90m after-delivery = 36h unread = 2w\n"
	    "unread-from = delivery minimum = 10y unconfirmed-limit = 1000\n"
	    "top = 4294967293 login-delay = 1y\n"
	    "dispose = 'folder:Old Mail.2026_a-b' effective-from = 1970-01-02\n"
	    "mode = dry-run max-share = 100%}\n"
	    "audit = best-effort audit-hash = on pseudonyms = yes\n");
	const struct pk_rule *r = &p->retention[0].rule;

	(void)state;
	assert_int_equal(p->audit, PK_AUDIT_BEST_EFFORT);
	assert_true(p->audit_hash && p->pseudonyms);
	assert_true(r->after_download == 5400);
	assert_true(r->after_delivery == 129600);
	assert_true(r->unread == 14 * DAY);
	assert_int_equal(r->unread_from, PK_UNREAD_DELIVERY);
	assert_true(r->minimum == 3650 * DAY);
	assert_int_equal(r->unconfirmed_limit, 1000);
	assert_int_equal(r->top, UINT32_MAX - 2);
	assert_int_equal(r->login_delay, 365 * DAY);
	assert_string_equal(r->folder, "Old Mail.2026_a-b");
	assert_true(r->effective_from == DAY);
	assert_true(r->dry_run);
	assert_int_equal(r->max_share, 100);
	pk_policy_free(&p);
}

static void
test_policy_file_reads_every_word(void **state)
{
	struct pk_policy *p = parse_fine("audit = off mode = dry-run\n"
	    "audit-hash = off pseudonyms = no\n"
	    "apop { exclusive = no minimum-secret = 1024\n"
	    "rule a { allow = never users = 'b' }\n"
	    "rule b { allow = tls networks = '::1' }\n"
	    "rule c { allow = always networks = { 192.0.2.7, } } }\n");
	const struct pk_login_rule *l = p->login[PK_KIND_APOP].rule;

	(void)state;
	assert_int_equal(p->audit, PK_AUDIT_OFF);
	assert_false(p->audit_hash || p->pseudonyms);
	assert_true(p->dry_run);
	assert_false(p->exclusive);
	assert_int_equal(p->minimum_secret, 1024);
	assert_int_equal(l[0].allow, PK_ALLOW_NEVER);
	assert_int_equal(l[1].allow, PK_ALLOW_TLS);
	assert_int_equal(l[1].networks[0].prefix, 128);
	assert_int_equal(l[1].networks[0].address[15], 1);
	assert_int_equal(l[2].allow, PK_ALLOW_ALWAYS);
	assert_int_equal(l[2].networks[0].prefix, 128);
	assert_int_equal(l[2].networks[0].address[15], 7);
	pk_policy_free(&p);
}

static void
test_policy_file_takes_the_least_values(void **state)
{
	struct pk_policy *p = parse_fine("retention a { unread = 1m "
	    "after-download = 0 minimum = 0 login-delay = 1m "
	    "max-share = 1% unconfirmed-limit = 0 dispose = folder:a "
	    "effective-from = 1970-01-01 }\napop { minimum-secret = 0 rule r "
	    "{ allow = tls } }\n"
	    "hold h { until = 9999-12-31 note = '' }\n"
	    "passwords { rule r { allow = tls networks = '0.0.0.0/0' } }\n");
	const struct pk_rule *r = &p->retention[0].rule;

	(void)state;
	assert_true(r->unread == 60);
	assert_true(r->after_download == 0);
	assert_true(r->minimum == 0);
	assert_int_equal(r->login_delay, 60);
	assert_int_equal(r->max_share, 1);
	assert_string_equal(r->folder, "a");
	assert_true(r->effective_from == 0);
	assert_string_equal(p->hold[0].note, "");
	assert_true(p->hold[0].until == 2932897 * DAY);
	assert_int_equal(p->login[PK_KIND_PASSWORD].rule->networks[0].prefix,
	    96);
	pk_policy_free(&p);
}

static void
test_policy_file_takes_top_by_word_and_number(void **state)
{
	static const struct {
		const char *content;
		uint32_t top;
	} cases[] = {
		{ "retention a { top = allow }", PK_TOP_ALLOW },
		{ "retention a { top = headers }", PK_TOP_HEADERS },
		{ "retention a { top = deny }", PK_TOP_DENY },
		{ "retention a { top = 0 }", PK_TOP_HEADERS },
		{ "retention a { top = 20 }", 20 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_policy *p = parse_fine(cases[i].content);

		expect(cases[i].content,
		    p->retention[0].rule.top == cases[i].top);
		pk_policy_free(&p);
	}
}

static void
test_policy_file_makes_all_rules_dry_run(void **state)
{
	struct pk_policy_text files[] = {
		TEXT("a", "retention a { mode = enforce users = b }"),
		TEXT("b", "mode = dry-run retention b { }"),
	};
	struct pk_policy *p = parse_files(files, 2);

	(void)state;
	assert_string_equal(said, "");
	assert_non_null(p);
	assert_true(p->dry_run);
	assert_true(p->retention[0].rule.dry_run);
	assert_true(p->retention[1].rule.dry_run);
	pk_policy_free(&p);
}

static void
test_policy_file_ends_at_the_end_of_a_day(void **state)
{
	struct pk_policy *p = parse_fine("hold a { until = 2027-12-31 }\n"
	    "passwords { rule b { allow = always until = 2027-12-31\n"
	    "warn-from = 2027-12-31 } }\n");
	int64_t day = 21183 * DAY;
	const uint8_t address[16] = { 0 };
	const struct pk_login_rule *l;
	struct pk_user_policy up;

	(void)state;
	assert_int_equal(pk_policy_user(p, NULL, "x", NULL, day + DAY - 1,
	    &up), PK_OK);
	assert_int_equal(up.holds, 1);
	assert_int_equal(pk_policy_user(p, NULL, "x", NULL, day + DAY, &up),
	    PK_OK);
	assert_int_equal(up.holds, 0);
	assert_int_equal(pk_policy_login(p, NULL, PK_KIND_PASSWORD, "x",
	    address, false, day - 1, &l), PK_LOGIN_RULE_ALLOWS);
	assert_int_equal(pk_policy_login(p, NULL, PK_KIND_PASSWORD, "x",
	    address, false, day + DAY - 1, &l), PK_LOGIN_RULE_WARNS);
	assert_int_equal(pk_policy_login(p, NULL, PK_KIND_PASSWORD, "x",
	    address, false, day + DAY, &l), PK_LOGIN_RULE_REFUSES);
	pk_policy_free(&p);
}

static void
test_policy_file_takes_a_rule_from_its_day_on(void **state)
{
	struct pk_policy *p = parse_fine(
	    "retention a { effective-from = 2026-12-01 }\n");
	struct pk_user_policy up = { .clock_brake = false };

	(void)state;
	assert_int_equal(pk_policy_user(p, NULL, "x", NULL, NOW, &up), PK_OK);
	assert_false(pk_rule_acts(&up, 20788 * DAY - 1));
	assert_true(pk_rule_acts(&up, 20788 * DAY));
	pk_policy_free(&p);
}

/* ---- allocations that fail, sizes ---------------------------------------- */

/*
 * A failed allocation is an error, and nothing else is said; or it was one of
 * libcrypto's that nothing depends on, and the policy is as it should be.
 */
static void
parse_without_memory(const struct pk_policy_text *files, size_t count)
{
	struct pk_policy *p = parse_files(files, count), *whole;
	long n, total, fine = 0;

	/* libcrypto has what it keeps by now. */
	assert_non_null(p);
	pk_policy_free(&p);
	alloc_arm(-1);
	whole = parse_files(files, count);
	total = alloc_count();
	assert_non_null(whole);
	for (n = 0; n < total; n++) {
		alloc_arm(n);
		p = parse_files(files, count);
		alloc_arm(-1);
		assert_string_equal(said, p == NULL ? "out of memory" : "");
		if (p == NULL)
			continue;
		assert_memory_equal(p->hash, whole->hash, sizeof(p->hash));
		assert_int_equal(p->retentions, whole->retentions);
		assert_int_equal(p->holds, whole->holds);
		assert_int_equal(p->file_count, whole->file_count);
		assert_int_equal(p->login[PK_KIND_PASSWORD].count,
		    whole->login[PK_KIND_PASSWORD].count);
		fine++;
		pk_policy_free(&p);
	}
	assert_true(total > 10 && fine < 5);
	pk_policy_free(&whole);
}

static void
test_policy_file_survives_every_failed_allocation(void **state)
{
	struct pk_policy_text files[] = {
		TEXT("a", example),
		TEXT("b", "retention b { users = { c, d, e } }"),
	};
	/* The passwords block that is not there is made. */
	struct pk_policy_text none = TEXT("a", "");

	(void)state;
	parse_without_memory(files, 2);
	parse_without_memory(&none, 1);
}

/*
 * libConfuse reads its text from a stream.  Where that fails or ends early
 * there must be no policy, rather than one that lacks a hold.
 */
static enum { WHOLE, NONE, SHORT } stream = WHOLE;

__attribute__((__visibility__("default")))
FILE *fmemopen(void *buf, size_t size, const char *mode);

FILE *
fmemopen(void *buf, size_t size, const char *mode)
{
	static FILE *(*real)(void *, size_t, const char *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fmemopen");
	return stream == NONE ? NULL : real(buf, stream == SHORT ? 1 : size,
	    mode);
}

static void
test_policy_file_survives_a_stream_that_fails(void **state)
{
	struct pk_policy *p;

	(void)state;
	stream = NONE;
	p = parse(" hold a { }");
	assert_null(p);
	expect_said("no stream", "out of memory");
	stream = SHORT;
	p = parse(" hold a { }");
	stream = WHOLE;
	assert_null(p);
	expect_said("a short stream", "out of memory");
}

static void
test_policy_file_reads_a_thousand_rules(void **state)
{
	size_t size = 200000, len = 0, i;
	char *content = malloc(size);
	struct pk_policy *p;

	(void)state;
	assert_non_null(content);
	for (i = 0; i < 1000; i++)
		len += (size_t)snprintf(content + len, size - len,
		    "retention r%zu {\n\tusers = { u%zu, \"*@d%zu\" }\n"
		    "\tafter-download = %zud\n}\n", i, i, i, i);
	p = parse_fine(content);
	assert_int_equal(p->retentions, 1000);
	assert_string_equal(p->retention[999].rule.name, "r999");
	assert_true(p->retention[999].rule.after_download == 999 * DAY);
	assert_int_equal(p->retention[999].place.line, 3997);
	pk_policy_free(&p);
	free(content);
}

/* A file cut off anywhere is an error, or has no half of a rule. */
static void
test_policy_file_cut_off_never_has_half_a_rule(void **state)
{
	char content[sizeof(example)];
	struct pk_policy *p;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(example); len++) {
		memcpy(content, example, len);
		content[len] = '\0';
		p = parse(content);
		if (p != NULL && p->retentions > 0) {
			assert_int_equal(p->retention[0].users.count, 3);
			assert_int_equal(p->retention[0].rule.top,
			    PK_TOP_HEADERS);
			assert_true(p->retention[0].rule.effective_from > 0);
		}
		assert_true(p != NULL || said[0] != '\0');
		pk_policy_free(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_file_reads_the_example),
		cmocka_unit_test(
		    test_policy_file_reads_the_example_s_logins_and_hold),
		cmocka_unit_test(test_policy_file_installed_is_fine),
		cmocka_unit_test(
		    test_policy_file_installed_has_examples_that_work),
		cmocka_unit_test(test_policy_file_without_blocks_has_defaults),
		cmocka_unit_test(test_policy_file_gives_defaults_to_rules),
		cmocka_unit_test(test_policy_file_reads_every_value),
		cmocka_unit_test(test_policy_file_reads_every_word),
		cmocka_unit_test(test_policy_file_takes_the_least_values),
		cmocka_unit_test(test_policy_file_takes_top_by_word_and_number),
		cmocka_unit_test(test_policy_file_makes_all_rules_dry_run),
		cmocka_unit_test(test_policy_file_ends_at_the_end_of_a_day),
		cmocka_unit_test(test_policy_file_takes_a_rule_from_its_day_on),
		cmocka_unit_test(
		    test_policy_file_survives_every_failed_allocation),
		cmocka_unit_test(test_policy_file_survives_a_stream_that_fails),
		cmocka_unit_test(test_policy_file_reads_a_thousand_rules),
		cmocka_unit_test(
		    test_policy_file_cut_off_never_has_half_a_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
