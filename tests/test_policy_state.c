/*
 * Brake (c): every way in which a rule may delete earlier, or match more, than
 * what was accepted brakes it; nothing else does; and it lasts.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standalone/policy_state.h"
#include "tests/harness.h"

#define RULE(name, body) "retention \"" name "\" {\n" body "}\n"
#define DAY 86400

static int64_t now;

/* ---- the fixture -------------------------------------------------------- */

static void
say(void *arg, const char *line)
{
	(void)arg;
	print_message("said: %s\n", line);
}

static struct pk_policy *
parse(const char *text)
{
	struct pk_policy_text file = { "policy.conf", text, strlen(text) };
	struct pk_policy *p = pk_policy_parse(&file, 1, now, say, say, NULL);

	if (p == NULL)
		fail_msg("no policy: %s", text);
	return p;
}

/* Names of braked rules, a space before each, and why the last one is. */
static char braked[512], reason[512];

static void
on_brake(void *arg, const char *rule, const char *why)
{
	size_t len = strlen(braked);

	assert_ptr_equal(arg, braked);
	(void)snprintf(braked + len, sizeof(braked) - len, " %s", rule);
	(void)snprintf(reason, sizeof(reason), "%s", why);
}

static void
brake(struct pk_policy *p, const struct pk_policy *accepted)
{
	size_t i, told = 0, set = 0;
	const char *at;

	braked[0] = reason[0] = '\0';
	pk_policy_brake(p, accepted, now, on_brake, braked);
	for (i = 0; i < p->retentions; i++)
		set += p->retention[i].rule.braked;
	for (at = braked; *at != '\0'; at++)
		told += *at == ' ';
	assert_int_equal(set, told);
}

static struct pk_policy *
next(const struct pk_policy *p, const struct pk_policy *accepted)
{
	struct pk_policy *n = pk_policy_state_next(p, accepted, now, say,
	    NULL);

	assert_non_null(n);
	return n;
}

static int
setup(void **state)
{
	(void)state;
	return pk_date_parse("2026-11-20", &now) ? 0 : -1;
}

/* ---- what brakes -------------------------------------------------------- */

#define BASE "after-delivery = \"30d\"\n after-download = \"14d\"\n" \
	" unread = \"60d\"\n minimum = \"7d\"\n"

static const struct change {
	const char *old, *new;
	const char *braked;	/* as in braked[]; "": none */
	const char *why;
} changes[] = {
	/* Limits. */
	{ RULE("a", BASE), RULE("a", BASE), "", "" },
	{ RULE("a", "after-delivery = \"30d\"\n"),
	    RULE("a", "after-delivery = \"29d\"\n"), " a",
	    "after-delivery was 30d and is 29d" },
	{ RULE("a", "after-delivery = \"29d\"\n"),
	    RULE("a", "after-delivery = \"30d\"\n"), "", "" },
	{ RULE("a", "after-delivery = \"never\"\n"),
	    RULE("a", "after-delivery = \"1000y\"\n"), " a",
	    "after-delivery was never" },
	{ RULE("a", ""), RULE("a", "after-download = \"0\"\n"), " a",
	    "after-download was never and is 0" },
	{ RULE("a", "after-download = \"0\"\n"), RULE("a", ""), "", "" },
	{ RULE("a", "unread = \"60d\"\n"), RULE("a", "unread = \"59d\"\n"),
	    " a", "unread was 60d and is 59d" },
	{ RULE("a", "minimum = \"7d\"\n"), RULE("a", ""), " a",
	    "minimum was" },
	{ RULE("a", ""), RULE("a", "minimum = \"7d\"\n"), "", "" },
	{ RULE("a", ""), RULE("a", "unconfirmed-limit = 3\n"), " a",
	    "unconfirmed-limit was 0 and is 3" },
	{ RULE("a", "unconfirmed-limit = 3\n"),
	    RULE("a", "unconfirmed-limit = 2\n"), " a", "was 3 and is 2" },
	{ RULE("a", "unconfirmed-limit = 3\n"),
	    RULE("a", "unconfirmed-limit = 4\n"), "", "" },
	{ RULE("a", "unconfirmed-limit = 3\n"), RULE("a", ""), "", "" },
	{ RULE("a", "unread = \"60d\"\n"),
	    RULE("a", "unread = \"60d\"\n unread-from = delivery\n"), " a",
	    "unread-from" },
	{ RULE("a", "unread = \"60d\"\n unread-from = delivery\n"),
	    RULE("a", "unread = \"60d\"\n"), "", "" },
	{ RULE("a", ""), RULE("a", "unread-from = delivery\n"), "", "" },
	{ RULE("a", "dispose = \"folder:Expired\"\n"), RULE("a", ""), " a",
	    "dispose was folder:Expired" },
	{ RULE("a", ""), RULE("a", "dispose = \"folder:Expired\"\n"), "",
	    "" },
	{ RULE("a", BASE "mode = dry-run\n"), RULE("a", BASE), " a",
	    "it was in dry-run and is in force" },
	{ "mode = dry-run\n" RULE("a", BASE), RULE("a", BASE), " a",
	    "it was in dry-run and is in force" },
	{ RULE("a", BASE "mode = dry-run\n"),
	    RULE("a", BASE "mode = dry-run\n"), "", "" },
	{ RULE("a", BASE), RULE("a", BASE "mode = dry-run\n"), "", "" },
	{ RULE("a", BASE), RULE("a", BASE "top = deny\n max-share = 90%\n"
	    "login-delay = \"1h\"\n"), "", "" },
	/* Users. */
	{ RULE("a", "users = { \"anna\" }\n"),
	    RULE("a", "users = { \"anna\", \"bob\" }\n"), " a",
	    "may be more" },
	{ RULE("a", "users = { \"anna\", \"bob\" }\n"),
	    RULE("a", "users = { \"bob\" }\n"), "", "" },
	{ RULE("a", "users = { \"anna\", \"bob\" }\n"),
	    RULE("a", "users = { \"bob\", \"anna\" }\n"), "", "" },
	{ RULE("a", "users = { \"anna\" }\n"), RULE("a", ""), " a",
	    "may be more" },
	{ RULE("a", "users = { \"anna\" }\n"),
	    RULE("a", "users = { \"*\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"*\" }\n"), RULE("a", ""), "", "" },
	{ RULE("a", ""), RULE("a", "users = { \"@staff\", \"x*\" }\n"), "",
	    "" },
	{ RULE("a", "users = { \"@staff\" }\n"),
	    RULE("a", "users = { \"@all\" }\n"), " a", "may be more" },
	/* Fewer users in other words, where that is certain. */
	{ RULE("a", "users = { \"*@a\" }\n"),
	    RULE("a", "users = { \"x@a\" }\n"), "", "" },
	{ RULE("a", "users = { \"x@a\" }\n"),
	    RULE("a", "users = { \"*@a\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"b\", \"?[n]*\" }\n"),
	    RULE("a", "users = { \"anna\", \"b\" }\n"), "", "" },
	{ RULE("a", "users = { \"a*\" }\n"),
	    RULE("a", "users = { \"anna\", \"bob\" }\n"), " a",
	    "may be more" },
	{ RULE("a", "users = { \"*@a\" }\n"),
	    RULE("a", "users = { \"x@a.b\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"a*\" }\n"),
	    RULE("a", "users = { \"an*\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"a*\" }\n"),
	    RULE("a", "users = { \"a?\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"[!b]*\" }\n"),
	    RULE("a", "users = { \"@g\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"@g\" }\n"),
	    RULE("a", "users = { \"g\" }\n"), " a", "may be more" },
	{ RULE("a", "users = { \"[]\" }\n"),
	    RULE("a", "users = { \"[]\" }\n"), "", "" },
	/* Rules that are new, or gone. */
	{ "", RULE("a", ""), " a", "the rule is new" },
	{ RULE("a", ""), RULE("b", ""), " b", "the rule is new" },
	{ RULE("a", "users = { \"x\" }\n"), RULE("b", "users = { \"x\" }\n"),
	    " b", "the rule is new" },
	{ RULE("a", "") RULE("b", "users = { \"x\" }\n"), RULE("a", ""), "",
	    "" },
	{ RULE("a", "users = { \"anna\" }\n") RULE("b", ""), RULE("b", ""),
	    " b", "users that the rule a" },
	{ RULE("a", "users = { \"anna\" }\n") RULE("b", "users = { \"bob\" }"
	    "\n"), RULE("b", "users = { \"bob\" }\n"), "", "" },
	{ RULE("a", "users = { \"a*\" }\n") RULE("b", "users = { \"bob\" }"
	    "\n"), RULE("b", "users = { \"bob\" }\n"), "", "" },
	{ RULE("a", "users = { \"b*\" }\n") RULE("b", "users = { \"bob\" }"
	    "\n"), RULE("b", "users = { \"bob\" }\n"), " b", "the rule a" },
	{ RULE("a", "users = { \"bob\" }\n") RULE("b", "users = { \"b*\" }"
	    "\n"), RULE("b", "users = { \"b*\" }\n"), " b", "the rule a" },
	{ RULE("a", "users = { \"@g\" }\n") RULE("b", "users = { \"bob\" }"
	    "\n"), RULE("b", "users = { \"bob\" }\n"), " b", "the rule a" },
	{ RULE("a", "users = { \"a*\" }\n") RULE("b", "users = { \"*b\" }"
	    "\n"), RULE("b", "users = { \"*b\" }\n"), " b", "the rule a" },
	/* Another order, or fewer users before. */
	{ RULE("a", "users = { \"anna\" }\n") RULE("b", ""),
	    RULE("b", "") RULE("a", "users = { \"anna\" }\n"), " b",
	    "users that the rule a" },
	{ RULE("a", "users = { \"anna\" }\n") RULE("b", ""),
	    RULE("a", "users = { \"carl\" }\n") RULE("b", ""), " a b", "" },
	{ RULE("a", "users = { \"anna\", \"bob\" }\n") RULE("b", ""),
	    RULE("a", "users = { \"anna\" }\n") RULE("b", ""), " b",
	    "users that the rule a" },
	{ RULE("a", "users = { \"anna\" }\n") RULE("b", ""),
	    RULE("a", "users = { \"anna\" }\n") RULE("c", "users = { \"c\" }"
	    "\n") RULE("b", ""), " c", "the rule is new" },
	{ RULE("b", "") RULE("a", "users = { \"anna\" }\n"),
	    RULE("a", "users = { \"anna\" }\n") RULE("b", ""), " a",
	    "users that the rule b" },
	/* Before it the same users, or more, in other words. */
	{ RULE("a", "users = { \"anna\" }\n") RULE("b", ""),
	    RULE("a", "users = { \"a*\" }\n") RULE("b", ""), " a",
	    "may be more" },
	{ RULE("a", "users = { \"a*\" }\n") RULE("b", ""),
	    RULE("a", "users = { \"anna\" }\n") RULE("b", ""), " b",
	    "users that the rule a" },
	/* effective-from. */
	{ RULE("a", "after-delivery = \"30d\"\n"),
	    RULE("a", "after-delivery = \"1d\"\n effective-from = "
	    "\"2026-11-21\"\n"), "", "" },
	{ RULE("a", "after-delivery = \"30d\"\n"),
	    RULE("a", "after-delivery = \"1d\"\n effective-from = "
	    "\"2026-11-20\"\n"), " a", "after-delivery" },
	{ RULE("a", "effective-from = \"2026-12-20\"\n"),
	    RULE("a", "effective-from = \"2026-11-20\"\n"), " a",
	    "effective-from is earlier" },
	{ RULE("a", "effective-from = \"2026-12-20\"\n"), RULE("a", ""),
	    " a", "effective-from is earlier" },
	{ RULE("a", "effective-from = \"2026-12-20\"\n"),
	    RULE("a", "effective-from = \"2026-11-22\"\n"), "", "" },
	{ RULE("a", "effective-from = \"2026-11-01\"\n"), RULE("a", ""), "",
	    "" },
	{ "", RULE("a", "effective-from = \"2026-11-21\"\n"), "", "" },
};

static void
check_change(const struct change *c)
{
	struct pk_policy *old = parse(c->old), *p = parse(c->new), *acc, *acc2;

	brake(p, old);
	if (strcmp(braked, c->braked) != 0 || strstr(reason, c->why) == NULL)
		fail_msg("\n%s-> %s: braked are \"%s\" (%s)", c->old, c->new,
		    braked, reason);
	/* A restart or a reload changes nothing in that. */
	acc = next(p, old);
	pk_policy_free(&p);
	p = parse(c->new);
	brake(p, acc);
	if (strcmp(braked, c->braked) != 0)
		fail_msg("\n%s-> %s: reloaded: \"%s\" (%s)", c->old, c->new,
		    braked, reason);
	acc2 = next(p, acc);
	pk_policy_free(&p);
	p = parse(c->new);
	brake(p, acc2);
	assert_string_equal(braked, c->braked);
	/* Back to what was: no brake, unless that is new by now. */
	pk_policy_free(&p);
	p = parse(c->old);
	brake(p, acc2);
	if (c->braked[0] != '\0')
		assert_string_equal(braked, "");
	pk_policy_free(&acc2);
	pk_policy_free(&acc);
	pk_policy_free(&p);
	pk_policy_free(&old);
}

static void
test_policy_state_brakes_what_deletes_more(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		check_change(&changes[i]);
}

static void
test_policy_state_wants_a_day_of_notice(void **state)
{
	struct pk_policy *old = parse(RULE("a", "after-delivery = \"30d\"\n"));
	struct pk_policy *p = parse(RULE("a", "after-delivery = \"1d\"\n"
	    "effective-from = \"2026-12-01\"\n"));

	(void)state;
	now = p->retention[0].rule.effective_from - 24 * 60 * 60;
	brake(p, old);
	assert_string_equal(braked, "");
	now++;
	brake(p, old);
	assert_string_equal(braked, " a");
	pk_policy_free(&old);
	pk_policy_free(&p);
}

/* What was announced in time stays announced when the time has come. */
static void
test_policy_state_remembers_that_there_was_notice(void **state)
{
	struct pk_policy *old = parse(RULE("a", "after-delivery = \"30d\"\n")
	    RULE("z", ""));
	struct pk_policy *p = parse(RULE("n", "users = { \"n\" }\n"
	    "effective-from = \"2026-12-01\"\n") RULE("a", "after-delivery ="
	    "\"1d\"\n effective-from = \"2026-12-01\"\n")
	    RULE("z", "unread = \"1d\"\n"));
	struct pk_policy *acc;

	(void)state;
	/* Also where another rule is braked meanwhile. */
	brake(p, old);
	assert_string_equal(braked, " z");
	acc = next(p, old);
	now = p->retention[0].rule.effective_from + DAY;
	brake(p, acc);
	assert_string_equal(braked, " z");
	pk_policy_free(&acc);
	pk_policy_free(&old);
	pk_policy_free(&p);
}

static void
test_policy_state_accepts_everything_at_the_first_start(void **state)
{
	struct pk_policy *p = parse(RULE("a", BASE) RULE("b", "unread = \"1d\""
	    "\n"));

	(void)state;
	p->retention[0].rule.braked = true;
	brake(p, NULL);
	assert_string_equal(braked, "");
	assert_false(p->retention[0].rule.braked);
	pk_policy_free(&p);
}

static void
test_policy_state_keeps_the_old_minimum_while_braked(void **state)
{
	struct pk_policy *old = parse(RULE("a", BASE)), *p, *acc;

	(void)state;
	p = parse(RULE("a", "after-delivery = \"1d\"\n minimum = \"1d\"\n"));
	brake(p, old);
	assert_int_equal(p->retention[0].rule.minimum, 7 * DAY);
	acc = next(p, old);
	assert_int_equal(acc->retention[0].rule.minimum, 7 * DAY);
	assert_int_equal(acc->retention[0].rule.after_delivery, 30 * DAY);
	pk_policy_free(&p);
	/* A longer one protects at once. */
	p = parse(RULE("a", "after-delivery = \"1d\"\n minimum = \"9d\"\n"));
	brake(p, acc);
	assert_string_equal(braked, " a");
	assert_int_equal(p->retention[0].rule.minimum, 9 * DAY);
	pk_policy_free(&p);
	pk_policy_free(&acc);
	pk_policy_free(&old);
}

/* Another name, or a rule in between, is no way around it. */
static void
test_policy_state_keeps_the_minimum_of_other_names(void **state)
{
	static const struct { const char *text; int64_t minimum; } rows[] = {
		{ RULE("b", "users = { \"anna\" }\n"), 7 * DAY },
		{ RULE("b", "users = { \"a*\" }\n"), 7 * DAY },
		{ RULE("b", "users = { \"@staff\" }\n"), 7 * DAY },
		{ RULE("b", "") RULE("a", "users = { \"anna\" }\n" BASE),
		    7 * DAY },
		{ RULE("b", "minimum = \"8d\"\n"), 8 * DAY },
		{ RULE("b", "users = { \"bob\" }\n"), 0 },
	};
	struct pk_policy *old = parse(RULE("a", "users = { \"anna\" }\n" BASE)
	    RULE("z", "users = { \"zoe\" }\n")), *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = parse(rows[i].text);
		brake(p, old);
		expect(rows[i].text, p->retention[0].rule.braked &&
		    p->retention[0].rule.minimum == rows[i].minimum);
		pk_policy_free(&p);
	}
	/* A rule that takes over what another leaves. */
	p = parse(RULE("z", ""));
	brake(p, old);
	assert_int_equal(p->retention[0].rule.minimum, 7 * DAY);
	pk_policy_free(&p);
	pk_policy_free(&old);
}

static void
test_policy_state_brakes_twice_against_what_was_accepted(void **state)
{
	struct pk_policy *acc = parse(RULE("a", "unread = \"90d\"\n")), *p;
	static const struct { const char *text, *braked; } steps[] = {
		{ RULE("a", "unread = \"30d\"\n"), " a" },
		{ RULE("a", "unread = \"60d\"\n"), " a" },
		{ RULE("a", "unread = \"90d\"\n"), "" },
		{ RULE("a", "unread = \"100d\"\n"), "" },
		{ RULE("a", "unread = \"90d\"\n"), " a" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct pk_policy *old = acc;

		p = parse(steps[i].text);
		brake(p, old);
		expect(steps[i].text, strcmp(braked, steps[i].braked) == 0);
		acc = next(p, old);
		pk_policy_free(&old);
		pk_policy_free(&p);
	}
	pk_policy_free(&acc);
}

static void
test_policy_state_forgets_the_rest_once_accepted(void **state)
{
	struct pk_policy *old = parse(RULE("a", "users = { \"anna\" }\n")
	    RULE("b", "")), *p = parse(RULE("b", "")), *acc;

	(void)state;
	brake(p, old);
	assert_string_equal(braked, " b");
	/* As accept does. */
	brake(p, NULL);
	acc = next(p, old);
	assert_int_equal(acc->retentions, 1);
	brake(p, acc);
	assert_string_equal(braked, "");
	pk_policy_free(&p);
	/* And a rule that comes back is a new one. */
	p = parse(RULE("a", "users = { \"anna\" }\n") RULE("b", ""));
	brake(p, acc);
	assert_string_equal(braked, " a");
	pk_policy_free(&p);
	pk_policy_free(&acc);
	pk_policy_free(&old);
}

/* ---- against a model: who may be deleted from, and how soon? ------------ */

#define USERS 4
static const char *const users[USERS] = { "anna", "bob", "carl", "dora" };

#define RULES 4
struct draft {
	unsigned count;
	struct { unsigned id, days, users; } rule[RULES];
};

static struct pk_policy *
parse_draft(const struct draft *d)
{
	char text[2048] = "";
	size_t len = 0;
	unsigned i, k;

	for (i = 0; i < d->count; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "retention \"r%u\" { after-delivery = \"%ud\" "
		    "users = {\"nobody%u\"", d->rule[i].id, d->rule[i].days,
		    d->rule[i].id);
		for (k = 0; k < USERS; k++)
			if ((d->rule[i].users & 1u << k) != 0)
				len += (size_t)snprintf(text + len,
				    sizeof(text) - len, ", \"%s\"", users[k]);
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "} }\n");
	}
	return parse(text);
}

static void
random_draft(struct draft *d)
{
	unsigned i;

	d->count = RULES;
	for (i = 0; i < RULES; i++) {
		d->rule[i].id = i;
		d->rule[i].days = 1 + random_below(4);
		d->rule[i].users = random_below(1u << USERS);
	}
}

static void
swap_rules(struct draft *d, unsigned i, unsigned k)
{
	struct draft copy = *d;

	d->rule[i] = copy.rule[k];
	d->rule[k] = copy.rule[i];
}

/* One change, as an administrator makes it. */
static void
change_draft(struct draft *d)
{
	unsigned i = random_below(RULES), k = random_below(RULES);

	if (i >= d->count) {
		/* One that went away may come back, somewhere. */
		if (d->count < RULES)
			d->count++;
		return;
	}
	switch (random_below(5)) {
	case 0:
		d->rule[i].days = 1 + random_below(4);
		break;
	case 1:
	case 2:
		d->rule[i].users ^= 1u << random_below(USERS);
		break;
	case 3:
		if (k < d->count)
			swap_rules(d, i, k);
		break;
	default:
		/* Behind the end: gone for now. */
		swap_rules(d, i, d->count - 1);
		d->count--;
		break;
	}
}

/* The age at which a message of user goes, as far as no brake is on. */
static int64_t
age_of(const struct pk_policy *p, const char *user)
{
	struct pk_user_policy up;

	assert_int_equal(pk_policy_user(p, NULL, user, NULL, now, &up), PK_OK);
	return up.has_rule && !up.rule.braked ? up.rule.after_delivery :
	    PK_NEVER;
}

/*
 * Whatever is reloaded, nobody's message goes earlier than a policy that was
 * accepted, or a later one that deletes later, ever said.
 */
static void
test_policy_state_never_lets_anybody_lose_mail_unannounced(void **state)
{
	int64_t least[USERS], age;
	struct pk_policy *p, *acc, *old;
	unsigned round, step, u, gone = 0;
	struct draft d;

	(void)state;
	random_begin();
	for (round = 0; round < 1000; round++) {
		random_draft(&d);
		p = parse_draft(&d);
		brake(p, NULL);
		for (u = 0; u < USERS; u++)
			least[u] = age_of(p, users[u]);
		acc = next(p, NULL);
		pk_policy_free(&p);
		for (step = 0; step < 8; step++) {
			change_draft(&d);
			p = parse_draft(&d);
			brake(p, acc);
			for (u = 0; u < USERS; u++) {
				age = age_of(p, users[u]);
				gone += age != PK_NEVER;
				assert_true(age >= least[u]);
			}
			old = acc;
			acc = next(p, old);
			pk_policy_free(&old);
			pk_policy_free(&p);
		}
		pk_policy_free(&acc);
	}
	/* It is a test only if some rules went on. */
	assert_true(gone > 5000);
}

/* ---- the file ----------------------------------------------------------- */

static char dir[] = "/tmp/test_policy_state.XXXXXX";
static int dirfd_ = -1;

static int
setup_dir(void **state)
{
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	if (setup(state) != 0 || mkdtemp(dir) == NULL)
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	return 0;
}

static int
teardown_dir(void **state)
{
	(void)state;
	(void)unlinkat(dirfd_, PK_POLICY_STATE_FILE, 0);
	(void)unlinkat(dirfd_, PK_POLICY_STATE_FILE, AT_REMOVEDIR);
	(void)unlinkat(dirfd_, PK_POLICY_STATE_FILE ".tmp", 0);
	close(dirfd_);
	return rmdir(dir);
}

/* All that the library might take for something else. */
#define AWKWARD "users = { 'o\\'brien', 'back\\\\slash', 'qu\"ote', '#x', " \
	"'a,b', '{x}', '$x', '[a-c]*', '@group', '/*', '//', '\\\\\\'', " \
	"'x\\\\n', '%s', '\xc3\xa4', '=', '~', '+=' }\n"

static void
test_policy_state_keeps_awkward_patterns(void **state)
{
	struct pk_policy *p = parse(RULE("a.b-c_d", AWKWARD BASE
	    "unread-from = delivery\n unconfirmed-limit = 1000\n"
	    "dispose = \"folder:Old mail.x\"\n"
	    "effective-from = \"2026-12-01\"\n") RULE("b", ""));
	struct pk_policy *back;
	size_t i;

	(void)state;
	assert_int_equal(pk_policy_state_save(dirfd_, p, NULL), 0);
	assert_int_equal(pk_policy_state_load(dirfd_, now, &back, say, NULL),
	    PK_OK);
	assert_non_null(back);
	assert_int_equal(back->retentions, 2);
	assert_int_equal(back->retention[0].users.count,
	    p->retention[0].users.count);
	for (i = 0; i < p->retention[0].users.count; i++)
		assert_string_equal(back->retention[0].users.text[i],
		    p->retention[0].users.text[i]);
	assert_memory_equal(&back->retention[0].rule, &p->retention[0].rule,
	    sizeof(struct pk_rule));
	assert_int_equal(back->retention[1].users.count, 0);
	assert_true(back->retention[1].rule.unread == PK_NEVER);
	brake(p, back);
	assert_string_equal(braked, "");
	pk_policy_free(&p);
	pk_policy_free(&back);
}

static void
test_policy_state_tells_no_state_from_a_bad_one(void **state)
{
	struct pk_policy *acc = (struct pk_policy *)1;
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(pk_policy_state_load(dirfd_, now, &acc, say, NULL),
	    PK_OK);
	assert_null(acc);
	fd = openat(dirfd_, PK_POLICY_STATE_FILE, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "retention {", 11), 11);
	close(fd);
	assert_int_equal(pk_policy_state_load(dirfd_, now, &acc, say, NULL),
	    PK_ERR_SYNTAX);
	assert_null(acc);
	/* It is replaced, and for nobody else to read. */
	acc = parse("");
	assert_int_equal(pk_policy_state_save(dirfd_, acc, NULL), 0);
	pk_policy_free(&acc);
	assert_int_equal(fstatat(dirfd_, PK_POLICY_STATE_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(faccessat(dirfd_, PK_POLICY_STATE_FILE ".tmp", F_OK,
	    0), -1);
	/* A policy without rules is not the same as no state. */
	assert_int_equal(pk_policy_state_load(dirfd_, now, &acc, say, NULL),
	    PK_OK);
	assert_non_null(acc);
	pk_policy_free(&acc);
}

static void
test_policy_state_says_that_it_cannot_be_saved(void **state)
{
	struct pk_policy *p = parse(RULE("a", ""));

	(void)state;
	assert_int_equal(mkdirat(dirfd_, PK_POLICY_STATE_FILE, 0700), 0);
	assert_int_equal(pk_policy_state_save(dirfd_, p, NULL), -1);
	/* No way through a link that somebody left there. */
	assert_int_equal(unlinkat(dirfd_, PK_POLICY_STATE_FILE ".tmp", 0), 0);
	assert_int_equal(symlinkat("/dev/null", dirfd_,
	    PK_POLICY_STATE_FILE ".tmp"), 0);
	assert_int_equal(pk_policy_state_save(dirfd_, p, NULL), -1);
	pk_policy_free(&p);
}

static void
test_policy_state_says_that_it_cannot_be_written(void **state)
{
	struct pk_policy *p = parse(RULE("a", ""));
	FILE *f = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(f);
	assert_int_equal(pk_policy_state_write(f, p, NULL), -1);
	fclose(f);
	pk_policy_free(&p);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
#define TEST_DIR(f) cmocka_unit_test_setup_teardown(f, setup_dir, \
	teardown_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_policy_state_brakes_what_deletes_more),
		TEST(test_policy_state_wants_a_day_of_notice),
		TEST(test_policy_state_remembers_that_there_was_notice),
		TEST(test_policy_state_accepts_everything_at_the_first_start),
		TEST(test_policy_state_keeps_the_old_minimum_while_braked),
		TEST(test_policy_state_keeps_the_minimum_of_other_names),
		TEST(test_policy_state_brakes_twice_against_what_was_accepted),
		TEST(test_policy_state_forgets_the_rest_once_accepted),
		TEST(test_policy_state_never_lets_anybody_lose_mail_unannounced
		    ),
		TEST_DIR(test_policy_state_keeps_awkward_patterns),
		TEST_DIR(test_policy_state_tells_no_state_from_a_bad_one),
		TEST_DIR(test_policy_state_says_that_it_cannot_be_saved),
		TEST_DIR(test_policy_state_says_that_it_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
