/*
 * All users by the directories of a template: each mailbox under its owner's
 * name, or under none.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "standalone/users.h"

#define TWO_WAYS "it can be read in two ways"
#define LINK "it is a symbolic link"

/* home, directories and links ("name>target") under it, users, complaints */
static const struct row {
	const char *home;
	const char *entries[6];
	const char *users[6];
	const char *complaints[4];
} rows[] = {
	{ "/%u", { "anna", "bob@d.org" }, { "anna", "bob@d.org" }, { 0 } },
	{ "/%d/%n", { "d.org/anna", "e.org/anna", "e.org/.x" },
	    { "anna@d.org", "anna@e.org" }, { 0 } },
	{ "/%n@%d", { "anna@d.org", "anna", "a@b@c" }, { "anna@d.org" },
	    { 0 } },
	{ "/box-%u.d", { "box-anna.d", "box-a.b.d", "box-.d", "anna" },
	    { "anna", "a.b" }, { 0 } },
	{ "/%n", { "anna", "a@b" }, { "anna" }, { 0 } },
	/* What is known does not leave a choice. */
	{ "/%d/%n.%d", { "d.org/a.b.d.org", "d.org/a.e.org" },
	    { "a.b@d.org" }, { 0 } },
	{ "/%n/%n", { "anna/anna", "anna/bob" }, { "anna" }, { 0 } },
	/* One octet that may stand in either. */
	{ "/%d-%n", { "d-anna", "b-corp.example-ann" }, { "anna@d" },
	    { "\"b-corp.example-ann\", where the template says %d-%n: "
	    TWO_WAYS } },
	{ "/%n%d", { "xy", "xyz" }, { "x@y" }, { "\"xyz\", where the "
	    "template says %n%d: " TWO_WAYS } },
	{ "/%n.%d", { "anna.org", "anna.d.org" }, { "anna@org" },
	    { "\"anna.d.org\", where the template says %n.%d: " TWO_WAYS } },
	/* A mailbox by two names. */
	{ "/%d/%n", { "d.org/anna", "e.org>d.org" }, { "anna@d.org" },
	    { "\"e.org\", where the template says %d: " LINK } },
	{ "/%d/%n", { "d.org/anna", "d.org/bob>anna" }, { "anna@d.org" },
	    { "\"bob\", where the template says %n: " LINK } },
	{ "/%d/%n", { "d.org/anna", "d.org/bob/x",
	    "d.org/bob/Maildir>../anna/Maildir" }, { "anna@d.org" },
	    { "user bob@d.org: the Maildir is a symbolic link" } },
	/* These are nobody's. */
	{ "/%d/%n", { "d.org/anna", "e.org>nowhere", "note>/dev/null" },
	    { "anna@d.org" }, { 0 } },
	{ "/%d/%n", { "d.org/-", "d.org/..x", "d.org/a b" }, { "-@d.org" },
	    { 0 } },
};

static char top[64];
static const char *const *expected;
static unsigned told, wrong;

static void
make(const char *entry)
{
	char path[256], link[256];
	const char *target = strchr(entry, '>');
	char *slash;

	if (target != NULL) {
		snprintf(link, sizeof(link), "%s/%.*s", top,
		    (int)(target - entry), entry);
		assert_int_equal(symlink(target + 1, link), 0);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s/Maildir", top, entry);
	for (slash = path + strlen(top); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		snprintf(link, sizeof(link), "%.*s", (int)(slash - path),
		    path);
		(void)mkdir(link, 0755);
	}
	assert_int_equal(mkdir(path, 0755), 0);
}

static bool
on_user(void *arg, const struct pk_account *account)
{
	unsigned i;

	(void)arg;
	told++;
	for (i = 0; expected[i] != NULL; i++)
		if (strcmp(expected[i], account->user) == 0)
			return true;
	print_error("told: %s\n", account->user);
	wrong++;
	return true;
}

static unsigned
count(const char *const *list, unsigned max)
{
	unsigned n = 0;

	while (n < max && list[n] != NULL)
		n++;
	return n;
}

static void
check_row(const struct row *r)
{
	char home[128], maildir[] = "%h/Maildir", retained[] = "/r/%u";
	struct pk_settings s;
	struct pk_users_source *src;
	char *text = NULL;
	size_t size, i, lines = 0;
	FILE *errors = open_memstream(&text, &size);
	bool whole;

	snprintf(home, sizeof(home), "%s%s", top, r->home);
	memset(&s, 0, sizeof(s));
	s.users = PK_USERS_VIRTUAL;
	s.first_valid_uid = 1000;
	s.virtual_uid = geteuid() == 0 ? 5000 : geteuid();
	s.virtual_gid = 5001;
	s.home = home;
	s.maildir = maildir;
	s.retained = retained;
	src = pk_users_open(&s, errors);
	assert_non_null(src);
	expected = r->users;
	told = wrong = 0;
	whole = pk_users_each(src, on_user, NULL, errors);
	pk_users_close(&src);
	fclose(errors);
	for (i = 0; text[i] != '\0'; i++)
		lines += text[i] == '\n';
	print_message("%s: %s", r->home, lines > 0 ? text : "\n");
	assert_int_equal(wrong, 0);
	assert_int_equal(told, count(r->users, 6));
	assert_int_equal(lines, count(r->complaints, 4));
	assert_int_equal(whole, lines == 0);
	for (i = 0; i < lines; i++)
		assert_non_null(strstr(text, r->complaints[i]));
	free(text);
}

static void
test_users_each_knows_whose_a_directory_is(void **state)
{
	char command[128];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strcpy(top, "/tmp/test_users_each.XXXXXX");
		assert_non_null(mkdtemp(top));
		for (k = 0; k < 6 && rows[i].entries[k] != NULL; k++)
			make(rows[i].entries[k]);
		check_row(&rows[i]);
		snprintf(command, sizeof(command), "rm -rf %s", top);
		assert_int_equal(system(command), 0);
	}
}

/* Users of a file whose homes are the same by a link. */
static void
test_users_each_tells_no_twins(void **state)
{
	static const char *const users[] = { "ann", "dan", NULL };
	char home[] = "/none", maildir[] = "%h/Maildir", retained[] = "/r/%u";
	char file[128], *text = NULL, link[128];
	unsigned uid = geteuid() == 0 ? 5000 : geteuid();
	struct pk_settings s;
	struct pk_users_source *src;
	size_t size;
	FILE *errors = open_memstream(&text, &size), *f;

	(void)state;
	strcpy(top, "/tmp/test_users_each.XXXXXX");
	assert_non_null(mkdtemp(top));
	make("a");
	make("b");
	make("c>b");
	snprintf(file, sizeof(file), "%s/users", top);
	f = fopen(file, "w");
	/* Who has no mailbox yet is a user all the same. */
	fprintf(f, "bob:%u:1:%s/b\nann:%u:1:%s/a\ncy:%u:1:%s/c\n"
	    "dan:%u:1:%s/d\n", uid, top, uid, top, uid, top, uid, top);
	fclose(f);
	memset(&s, 0, sizeof(s));
	s.users = PK_USERS_VIRTUAL;
	s.first_valid_uid = 1000;
	s.users_file = file;
	s.home = home;
	s.maildir = maildir;
	s.retained = retained;
	src = pk_users_open(&s, errors);
	assert_non_null(src);
	expected = users;
	told = wrong = 0;
	assert_false(pk_users_each(src, on_user, NULL, errors));
	pk_users_close(&src);
	fclose(errors);
	assert_int_equal(wrong, 0);
	assert_int_equal(told, 2);
	assert_non_null(strstr(text, "user bob: the Maildir is that of user "
	    "cy, too"));
	assert_non_null(strstr(text, "user cy: the Maildir is that of user "
	    "bob, too"));
	free(text);
	snprintf(link, sizeof(link), "rm -rf %s", top);
	assert_int_equal(system(link), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_each_knows_whose_a_directory_is),
		cmocka_unit_test(test_users_each_tells_no_twins),
	};

	return cmocka_run_group_tests_name("users_each", tests, NULL, NULL);
}
