/*
 * Users and where their mail is: no name leads anywhere it should not.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "standalone/users.h"

static char file[] = "/tmp/test_users.XXXXXX";
static char *text;
static size_t text_size;

/* A uid that may be served here: without root only the own one. */
static uid_t
valid_uid(void)
{
	return geteuid() == 0 ? 5000 : geteuid();
}

static struct pk_settings
virtual_settings(void)
{
	static char home[] = "/m/%d/%n", maildir[] = "%h/Maildir";
	static char retained[] = "/r/%u";
	struct pk_settings s;

	memset(&s, 0, sizeof(s));
	s.users = PK_USERS_VIRTUAL;
	s.first_valid_uid = 1000;
	s.virtual_uid = valid_uid();
	s.virtual_gid = 5001;
	s.home = home;
	s.maildir = maildir;
	s.retained = retained;
	return s;
}

static struct pk_users_source *
open_source(const struct pk_settings *s)
{
	struct pk_users_source *src;
	FILE *errors;

	free(text);
	text = NULL;
	errors = open_memstream(&text, &text_size);
	assert_non_null(errors);
	src = pk_users_open(s, errors);
	fclose(errors);
	return src;
}

static struct pk_users_source *
open_file(struct pk_settings *s, const char *content)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	s->users_file = file;
	return open_source(s);
}

static void
test_users_expand_the_template(void **state)
{
	static char same[] = "/m/%u", by_domain[] = "/r/%d/%n";
	struct pk_settings s = virtual_settings();
	struct pk_users_source *src = open_source(&s);
	struct pk_account a;

	(void)state;
	assert_non_null(src);
	assert_int_equal(pk_users_find(src, "anna@example.org", &a),
	    PK_USERS_FOUND);
	assert_string_equal(a.maildir, "/m/example.org/anna/Maildir");
	assert_string_equal(a.retained, "/r/anna@example.org");
	assert_string_equal(a.rule, "");
	assert_string_equal(a.user, "anna@example.org");
	assert_int_equal(a.uid, valid_uid());
	assert_int_equal(a.gid, 5001);
	/* Without a domain "/m//anna" would be somebody else's place. */
	assert_int_equal(pk_users_find(src, "anna", &a), PK_USERS_UNKNOWN);
	assert_false(pk_users_may_wait(src));
	pk_users_close(&src);
	/* Nor is there one for what is retained. */
	s.home = s.maildir = same;
	s.retained = by_domain;
	src = open_source(&s);
	assert_int_equal(pk_users_find(src, "anna", &a), PK_USERS_UNKNOWN);
	assert_int_equal(pk_users_find(src, "anna@d", &a), PK_USERS_FOUND);
	assert_string_equal(a.retained, "/r/d/anna");
	pk_users_close(&src);
}

static void
test_users_refuse_a_path_that_is_too_long(void **state)
{
	struct pk_settings s = virtual_settings();
	char home[PK_PATH_SIZE], name[] = "n@d";
	struct pk_users_source *src;
	struct pk_account a;

	(void)state;
	memset(home, 'x', sizeof(home));
	home[0] = '/';
	home[sizeof(home) - 1] = '\0';
	s.home = home;
	src = open_source(&s);
	assert_int_equal(pk_users_find(src, name, &a), PK_USERS_TOO_LONG);
	/* "/Maildir" fits exactly, and not one octet more. */
	home[PK_PATH_SIZE - 1 - strlen("/Maildir")] = '\0';
	assert_int_equal(pk_users_find(src, name, &a), PK_USERS_FOUND);
	assert_int_equal(strlen(a.maildir), PK_PATH_SIZE - 1);
	pk_users_close(&src);
}

static void
test_users_never_serve_low_uids(void **state)
{
	static const uid_t bad[] = { 0, 1, 999, (uid_t)-1 };
	struct pk_settings s = virtual_settings();
	struct pk_users_source *src = open_source(&s);
	struct pk_account a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		s.virtual_uid = bad[i];
		assert_int_equal(pk_users_find(src, "a@b", &a),
		    PK_USERS_FORBIDDEN);
	}
	pk_users_close(&src);
}

static void
test_users_file_is_read(void **state)
{
	struct pk_settings s = virtual_settings();
	struct pk_users_source *src;
	struct pk_account a;
	char content[256];

	(void)state;
	snprintf(content, sizeof(content), "# users\n\nzoe:%u:5:/h/zoe\n"
	    "anna:%u:6:/h/a:rule-1\nmia:%u:7:/h/mia\n", valid_uid(),
	    valid_uid(), valid_uid());
	src = open_file(&s, content);
	assert_string_equal(text, "");
	assert_non_null(src);
	assert_int_equal(pk_users_find(src, "anna", &a), PK_USERS_FOUND);
	assert_string_equal(a.maildir, "/h/a/Maildir");
	assert_int_equal(a.gid, 6);
	assert_string_equal(a.rule, "rule-1");
	assert_int_equal(pk_users_find(src, "zoe", &a), PK_USERS_FOUND);
	assert_string_equal(a.rule, "");
	assert_int_equal(pk_users_find(src, "mia", &a), PK_USERS_FOUND);
	assert_int_equal(pk_users_find(src, "ann", &a), PK_USERS_UNKNOWN);
	assert_int_equal(pk_users_find(src, "annaa", &a), PK_USERS_UNKNOWN);
	pk_users_close(&src);
}

static const struct {
	const char *line;
	const char *expected;
} wrong[] = {
	{ "anna:5000", "expected user:uid:gid:home" },
	{ "anna:5000:1:/h:rule:", "expected user:uid:gid:home" },
	{ "anna:5000:1:/h:6789012345678901234567890123456789012345678901234567"
	    "890123456789012", "expected the name of a retention rule" },
	{ "anna:x:1:/h", "expected numbers" },
	{ "anna:-1:1:/h", "expected numbers" },
	{ "anna:5000:99999999999:/h", "expected numbers" },
	{ "anna:0:0:/h", "first-valid-uid" },
	{ "anna:999:1:/h", "first-valid-uid" },
	{ "../x:5000:1:/h", "expected a canonical user name" },
	{ ":5000:1:/h", "expected a canonical user name" },
};

static void
test_users_file_names_the_wrong_line(void **state)
{
	struct pk_settings s = virtual_settings();
	char where[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char content[128];

		print_message("case: %s\n", wrong[i].line);
		snprintf(content, sizeof(content), "#\n%s\n", wrong[i].line);
		assert_null(open_file(&s, content));
		snprintf(where, sizeof(where), "%s:2: ", file);
		assert_non_null(strstr(text, where));
		assert_non_null(strstr(text, wrong[i].expected));
	}
}

static void
test_users_file_refuses_a_user_twice(void **state)
{
	struct pk_settings s = virtual_settings();
	char content[128];

	(void)state;
	snprintf(content, sizeof(content), "a:%u:1:/h\nb:%u:1:/h\na:%u:1:/i\n",
	    valid_uid(), valid_uid(), valid_uid());
	assert_null(open_file(&s, content));
	assert_non_null(strstr(text, "the user a is there twice"));
}

static void
test_users_file_refuses_a_place_twice(void **state)
{
	static char flat[] = "%h/";
	struct pk_settings s = virtual_settings();
	char content[128];

	(void)state;
	snprintf(content, sizeof(content), "bob:%u:1:/h/b\nann:%u:1:/h/a\n"
	    "cy:%u:1:/h//b/\n", valid_uid(), valid_uid(), valid_uid());
	assert_null(open_file(&s, content));
	assert_non_null(strstr(text, ":3: the Maildir of cy is the Maildir of "
	    "bob: /h/b/Maildir: expected a place for each\n"));
	/* One user's mail must not be what is retained of another's. */
	s.maildir = s.retained = flat;
	snprintf(content, sizeof(content), "ann:%u:1:/h/a\n", valid_uid());
	assert_null(open_file(&s, content));
	assert_non_null(strstr(text, "Retained place of ann"));
}

static void
test_users_of_the_system_have_their_own_uid(void **state)
{
	struct pk_settings s = virtual_settings();
	struct pk_users_source *src;
	struct pk_account a;

	(void)state;
	s.users = PK_USERS_SYSTEM;
	src = open_source(&s);
	assert_true(pk_users_may_wait(src));
	assert_int_equal(pk_users_find(src, "root", &a), PK_USERS_FORBIDDEN);
	assert_int_equal(pk_users_find(src, "no-such-user-here", &a),
	    PK_USERS_UNKNOWN);
	pk_users_close(&src);
}

static int
setup(void **state)
{
	int fd = mkstemp(file);

	(void)state;
	return fd == -1 ? -1 : close(fd);
}

static int
teardown(void **state)
{
	(void)state;
	free(text);
	return unlink(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_expand_the_template),
		cmocka_unit_test(test_users_refuse_a_path_that_is_too_long),
		cmocka_unit_test(test_users_never_serve_low_uids),
		cmocka_unit_test(test_users_file_is_read),
		cmocka_unit_test(test_users_file_names_the_wrong_line),
		cmocka_unit_test(test_users_file_refuses_a_user_twice),
		cmocka_unit_test(test_users_file_refuses_a_place_twice),
		cmocka_unit_test(test_users_of_the_system_have_their_own_uid),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
