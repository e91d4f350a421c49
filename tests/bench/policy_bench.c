/*
 * How long the policy takes to say what it says of a user: 1,000 rules of mixed
 * patterns, 100 holds, 100,000 users, groups with 100,000 memberships.
 *
 * usage: policy_bench [RULES [USERS]]
 *
 * Prints nanoseconds per question for users of each kind; run it by hand on an
 * idle machine, and look at ratios rather than figures.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/policy_file.h"

#define ROUNDS	5	/* the quickest counts */

static unsigned rules = 1000, users = 100000;

static void
die(const char *what)
{
	fprintf(stderr, "policy_bench: %s\n", what);
	exit(1);
}

static void
on_said(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

/* Each fourth rule is by a name, a domain, a glob, a group. */
static void
write_pattern(FILE *f, unsigned i)
{
	static const struct {
		const char *before, *after;
	} forms[] = {
		{ "u", "" }, { "*@d", ".example.org" }, { "box-*-", "" },
		{ "@g", "" },
	};

	fprintf(f, "{ \"%s%u%s\" }", forms[i % 4].before, i,
	    forms[i % 4].after);
}

static char *
write_policy(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	unsigned i;

	if (f == NULL)
		die("out of memory");
	for (i = 0; i < rules; i++) {
		fprintf(f, "retention r%u { after-download = 7d users = ", i);
		write_pattern(f, i);
		fprintf(f, " }\n");
	}
	for (i = 0; i < rules; i += 9) {
		fprintf(f, "hold h%u { users = ", i);
		write_pattern(f, i);
		fprintf(f, " }\n");
	}
	fprintf(f, "apop {\n");
	for (i = 0; i < rules; i++) {
		fprintf(f, "rule r%u { allow = tls networks = \"10.%u.0.0/16\" "
		    "users = ", i, i % 256);
		write_pattern(f, i);
		fprintf(f, " }\n");
	}
	fprintf(f, "rule rest { allow = tls } }\n");
	(void)fclose(f);
	return text;
}

static struct pk_policy *
read_policy(void)
{
	char *text = write_policy();
	struct pk_policy_text file = { "bench", text, strlen(text) };
	struct pk_policy *p = pk_policy_parse(&file, 1, 1, on_said, on_said,
	    NULL);

	free(text);
	if (p == NULL)
		die("the policy is wrong");
	return p;
}

/* Each user is in one group; all groups of the policy are known. */
static struct pk_groups *
make_groups(const struct pk_policy *p)
{
	struct pk_groups *g = pk_groups_new();
	size_t n = pk_policy_group_count(p);
	char user[64];
	unsigned i;

	for (i = 0; g != NULL && i < n; i++)
		if (pk_groups_add_group(g, pk_policy_group(p, i)) != PK_OK)
			die("out of memory");
	for (i = 0; g != NULL && n > 0 && i < users; i++) {
		(void)snprintf(user, sizeof(user), "m%u", i);
		if (pk_groups_add(g, pk_policy_group(p, i % n), user) != PK_OK)
			die("out of memory");
	}
	if (g == NULL)
		die("out of memory");
	return g;
}

/* The name service says that all groups are empty: the members stay. */
static void
keep_groups(const struct pk_policy *p, const struct pk_groups *old)
{
	struct pk_groups *g = pk_groups_new();
	size_t i, n = pk_policy_group_count(p);
	const char **names = calloc(n + 1, sizeof(*names));

	if (g == NULL || names == NULL)
		die("out of memory");
	for (i = 0; i < n; i++)
		names[i] = pk_policy_group(p, i);
	if (pk_groups_copy(g, old, names, n) != PK_OK)
		die("out of memory");
	pk_groups_free(&g);
	free(names);
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Names that match by each kind of pattern, and by none. */
static void
make_name(char *out, size_t size, unsigned kind, unsigned i)
{
	unsigned rule = i % (rules / 4 > 0 ? rules / 4 : 1) * 4;

	if (kind == 0)
		(void)snprintf(out, size, "u%u", rule);
	else if (kind == 1)
		(void)snprintf(out, size, "x%u@d%u.example.org", i, rule + 1);
	else if (kind == 2)
		(void)snprintf(out, size, "box-%u-%u", i, rule + 2);
	else
		(void)snprintf(out, size, "%c%u", kind == 3 ? 'm' : 'z', i);
}

#define NAME_SIZE 64

static char *
make_names(unsigned kind)
{
	char *names = malloc((size_t)users * NAME_SIZE);
	unsigned i;

	if (names == NULL)
		die("out of memory");
	/* In no order that the caches like. */
	for (i = 0; i < users; i++)
		make_name(names + (size_t)i * NAME_SIZE, NAME_SIZE, kind,
		    (unsigned)((uint64_t)i * 2654435761U % users));
	return names;
}

static double
ask_users(const struct pk_policy *p, const struct pk_groups *g,
    const char *names, unsigned *found)
{
	struct pk_user_policy up = { .clock_brake = false };
	double begin = now_ns();
	unsigned i;

	*found = 0;
	for (i = 0; i < users; i++)
		if (pk_policy_user(p, g, names + (size_t)i * NAME_SIZE, NULL,
		    1, &up) == PK_OK && up.has_rule)
			++*found;
	return (now_ns() - begin) / users;
}

static double
ask_logins(const struct pk_policy *p, const struct pk_groups *g,
    const char *names)
{
	static const uint8_t address[16] = { [10] = 0xff, 0xff, 10, 1, 2, 3 };
	const struct pk_login_rule *r;
	double begin = now_ns();
	unsigned i;

	for (i = 0; i < users; i++)
		if (pk_policy_login(p, g, PK_KIND_APOP,
		    names + (size_t)i * NAME_SIZE, address, true, 1, &r) !=
		    PK_LOGIN_RULE_ALLOWS)
			die("a login is not allowed");
	return (now_ns() - begin) / users;
}

static void
measure(const struct pk_policy *p, const struct pk_groups *g, unsigned kind)
{
	static const char *const kinds[] = { "name", "domain", "glob",
	    "group", "none" };
	double rule = 0, login = 0, t;
	char *names = make_names(kind);
	unsigned found = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		t = ask_users(p, g, names, &found);
		rule = i == 0 || t < rule ? t : rule;
		t = ask_logins(p, g, names);
		login = i == 0 || t < login ? t : login;
	}
	printf("%-8s %9.0f %9.0f %9u\n", kinds[kind], rule, login, found);
	free(names);
}

int
main(int argc, char **argv)
{
	struct pk_policy *p;
	struct pk_groups *g;
	double begin = now_ns();
	unsigned kind;

	if (argc > 1)
		rules = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		users = (unsigned)strtoul(argv[2], NULL, 10);
	if (rules == 0 || users == 0)
		die("usage: policy_bench [RULES [USERS]]");
	p = read_policy();
	printf("%u rules read in %.1f ms\n", rules, (now_ns() - begin) / 1e6);
	begin = now_ns();
	g = make_groups(p);
	printf("%u memberships in %.1f ms\n", users,
	    (now_ns() - begin) / 1e6);
	begin = now_ns();
	keep_groups(p, g);
	printf("kept in %.1f ms\n", (now_ns() - begin) / 1e6);
	printf("%-8s %9s %9s %9s\n", "match by", "user, ns", "login, ns",
	    "with rule");
	for (kind = 0; kind < 5; kind++)
		measure(p, g, kind);
	pk_groups_free(&g);
	pk_policy_free(&p);
	return 0;
}
