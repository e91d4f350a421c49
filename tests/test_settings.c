/*
 * popkeepd.conf: every wrong line gets its file, its line and what was expected.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "standalone/policy_load.h"
#include "standalone/policyd.h"
#include "standalone/settings.h"

/* The least that is fine. */
#define VIRTUAL "users = virtual\nhome = \"/home/%d/%n\"\n" \
	"virtual-uid = \"5000\" virtual-gid = \"5000\"\n"
#define FINE "hostname = \"pop.example.org\"\n" \
	"listen \"127.0.0.1:1110\" { tls = none }\n"

static char file[] = "/tmp/test_settings.XXXXXX";
static char *text;
static size_t text_size;

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

/* Read content as a configuration; what it complains about is in text. */
static struct pk_settings *
read_settings(const char *content)
{
	struct pk_settings *s;
	FILE *f = fopen(file, "w"), *errors;

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	free(text);
	text = NULL;
	errors = open_memstream(&text, &text_size);
	assert_non_null(errors);
	s = pk_settings_read(file, errors);
	fclose(errors);
	return s;
}

static void
test_settings_reads_every_default(void **state)
{
	struct pk_settings *s = read_settings(FINE);

	(void)state;
	assert_string_equal(text, "");
	assert_non_null(s);
	assert_int_equal(s->listens, 1);
	assert_int_equal(s->listen[0].tls, PK_LISTEN_CLEAR);
	assert_int_equal(s->apop_through, PK_APOP_PAM);
	assert_int_equal(s->users, PK_USERS_SYSTEM);
	assert_int_equal(s->idle_timeout, 600);
	assert_int_equal(s->first_valid_uid, 1000);
	assert_string_equal(s->maildir, "%h/Maildir");
	assert_string_equal(s->retained, "%h/popkeep-retained");
	assert_string_equal(s->log, "syslog");
	assert_string_equal(s->policy, PK_POLICY_FILE);
	assert_string_equal(s->policy_socket, PK_POLICY_SOCKET);
	assert_string_equal(s->policy_user, PK_POLICY_USER);
	/* The default group may not be there, which is no error. */
	assert_null(s->policy_group);
	assert_false(s->has_login_uid);
	assert_string_equal(s->policy_state, PK_POLICY_STATE_DIR);
	assert_string_equal(s->audit_log, PK_AUDIT_FILE);
	assert_int_equal(s->group_refresh, 300);
	assert_int_equal(s->audit_seal, 3600);
	assert_int_equal(s->audit_rotate, 256 * 1024 * 1024);
	assert_int_equal(s->audit_keep, 0);
	assert_null(s->audit_anchor);
	assert_null(s->metrics);
	assert_null(s->metrics_socket);
	pk_settings_free(&s);
	assert_null(s);
}

static void
test_settings_takes_what_is_written(void **state)
{
	struct pk_settings *s = read_settings(FINE
	    "apop-through = store\n"
	    "failure-delay = 0.25\nidle-timeout = 700\nfold-case = true\n"
	    "detail-separator = \"+\"\ndefault-domain = \"example.org\"\n");

	(void)state;
	assert_string_equal(text, "");
	assert_non_null(s);
	assert_int_equal(s->apop_through, PK_APOP_STORE);
	assert_true(s->failure_delay > 0.24 && s->failure_delay < 0.26);
	assert_int_equal(s->idle_timeout, 700);
	assert_true(s->names.fold);
	assert_int_equal(s->names.detail, '+');
	assert_string_equal(s->names.default_domain, "example.org");
	pk_settings_free(&s);
}

static void
test_settings_takes_what_policyd_is_told(void **state)
{
	struct pk_settings *s = read_settings(FINE
	    "audit-rotate = 6000000000\naudit-keep = \"2y\"\n"
	    "policy = \"/p/policy.conf\"\npolicy-state = \"/p/state\"\n"
	    "policy-user = \"nobody\"\npolicy-group = \"\"\n"
	    "login-user = \"daemon\"\n"
	    "audit-log = \"/p/audit\"\ngroup-refresh = 86400\naudit-seal = 7\n"
	    "audit-anchor = \"/bin/sh\"\n"
	    "metrics = \"/p/m.prom\"\nmetrics-socket = \"/p/m.sock\"\n"
	    "policy-socket = \"/123456789/123456789/123456789/123456789"
	    "/123456789/123456789/123456789/123456789/123456789/123456789/123"
	    "456\"\n");

	(void)state;
	assert_string_equal(text, "");
	assert_non_null(s);
	assert_string_equal(s->policy, "/p/policy.conf");
	assert_string_equal(s->policy_state, "/p/state");
	assert_int_equal(s->audit_rotate, 6000000000);
	assert_int_equal(s->audit_keep, 730 * 86400);
	assert_string_equal(s->policy_user, "nobody");
	assert_string_equal(s->policy_group, "");
	assert_true(s->has_login_uid);
	assert_int_equal(s->login_uid, getpwnam("daemon")->pw_uid);
	assert_string_equal(s->audit_log, "/p/audit");
	assert_int_equal(s->group_refresh, 86400);
	assert_int_equal(s->audit_seal, 7);
	assert_string_equal(s->audit_anchor, "/bin/sh");
	assert_string_equal(s->metrics, "/p/m.prom");
	assert_string_equal(s->metrics_socket, "/p/m.sock");
	assert_int_equal(strlen(s->policy_socket), 107);
	pk_settings_free(&s);
	/* No socket at all. */
	s = read_settings(FINE "policy-socket = \"\"\n");
	assert_non_null(s);
	assert_string_equal(s->policy_socket, "");
	pk_settings_free(&s);
}

/* Beside each Maildir, and never the same for two of them. */
static void
test_settings_puts_what_is_retained_beside_the_maildir(void **state)
{
	static const struct { const char *maildir, *retained; } cases[] = {
		{ "%h/Maildir", "%h/popkeep-retained" },
		{ "%h/mail/INBOX", "%h/mail/popkeep-retained" },
		{ "/mail/%u/Maildir", "/mail/%u/popkeep-retained" },
		{ "/mail/%d/%n/m", "/mail/%d/%n/popkeep-retained" },
		{ "/mail/%u", "/mail/.popkeep-retained.%u" },
		{ "/mail/%d/%n", "/mail/%d/.popkeep-retained.%n" },
		{ "/mail/%n/%d", "/mail/%n/.popkeep-retained.%d" },
		{ "/mail/%n/%d/m", "/mail/%n/%d/popkeep-retained" },
		{ "/mail/x%n/", "/mail/.popkeep-retained.x%n" },
	};
	char content[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pk_settings *s;

		print_message("case: %s\n", cases[i].maildir);
		snprintf(content, sizeof(content), FINE "maildir = \"%s\"\n",
		    cases[i].maildir);
		s = read_settings(content);
		assert_non_null(s);
		assert_string_equal(s->retained, cases[i].retained);
		pk_settings_free(&s);
	}
}

static void
test_settings_reads_addresses(void **state)
{
	static const char *const good[] = { "0.0.0.0:110", "[::]:995",
	    "[2001:db8::1]:110", "*:110", "127.0.0.1:1" };
	char content[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct pk_settings *s;

		print_message("case: %s\n", good[i]);
		snprintf(content, sizeof(content), "hostname = \"h\"\n"
		    "listen \"%s\" { tls = none }\n", good[i]);
		s = read_settings(content);
		assert_string_equal(text, "");
		assert_non_null(s);
		pk_settings_free(&s);
	}
}

/* What is wrong, the line it is on (0: none), and what is said of it. */
static const struct {
	const char *content;
	int line;
	const char *expected;
} wrong[] = {
	{ FINE "no-such-key = 1\n", 3, "no such option 'no-such-key'" },
	/* These are the policy's. */
	{ FINE "passwords = never\n", 3, "no such option 'passwords'" },
	{ FINE "apop = always\n", 3, "no such option 'apop'" },
	{ FINE "policy = policy.conf\n", 3, "policy = policy.conf: expected an "
	    "absolute path" },
	{ FINE "policy-user = root\n", 3, "policy-user = root: expected an "
	    "existing user that is not root" },
	{ FINE "policy-group = no-such-group\n", 3, "policy-group = "
	    "no-such-group: there is no such group" },
	{ FINE "policy-socket = here\n", 3, "policy-socket = here: expected an "
	    "absolute path of fewer than 108 octets" },
	{ FINE "audit-log = audit.log\n", 3, "audit-log = audit.log: expected "
	    "an absolute path" },
	{ FINE "policy-state = state\n", 3, "policy-state = state: expected an "
	    "absolute path" },
	{ FINE "group-refresh = 0\n", 3, "group-refresh = 0: expected 1 to "
	    "86400" },
	{ FINE "retained = \"/var/%x\"\n", 3, "after % expected one of the "
	    "letters undh%" },
	{ FINE "retained = \"%h/Maildir/\"\n", 3, "expected a place outside of "
	    "every user's Maildir by maildir = %h/Maildir" },
	{ FINE "maildir = \"/m/%u/\"\nretained = \"/m/%u/.Retained\"\n", 4,
	    "expected a place outside of every user's Maildir by maildir = "
	    "/m/%u/" },
	{ FINE "maildir = \"%h/r/m\"\nretained = \"%h/r\"\n", 4,
	    "expected a place outside of every user's Maildir by maildir = "
	    "%h/r/m" },
	{ FINE VIRTUAL "maildir = \"/m/%d/%n\"\nretained = \"/r/%n\"\n", 7,
	    "retained = /r/%n: expected %u in it" },
	{ FINE VIRTUAL "maildir = \"%h/%n\"\nretained = \"/r/%n\"\n", 7,
	    "retained = /r/%n: expected %u in it" },
	{ FINE VIRTUAL "maildir = \"/m/%d/%n\"\n"
	    "retained = \"/m/%d/%n.kept\"\n", 7, "expected a place outside" },
	{ FINE VIRTUAL "maildir = \"/m/%d/%n\"\nretained = \"/m/kept/%u\"\n",
	    7, "expected a place outside" },
	{ FINE VIRTUAL "maildir = \"/m/%d/x%n\"\n"
	    "retained = \"/m/%d/xx-%n\"\n", 7, "expected a place outside" },
	{ FINE VIRTUAL "maildir = \"%h/M\"\nretained = \"/home/%u/%u/M/r\"\n",
	    7, "expected a place outside" },
	{ FINE VIRTUAL "maildir = \"%h/M/x\"\nretained = \"/home/%u/M\"\n",
	    7, "and not around one" },
	{ FINE "retained = \"/var/retained/%%u\"\n", 3, "expected %u in it, "
	    "or all of %h, %n and %d that maildir = %h/Maildir needs" },
	{ FINE "apop-through = ldap\n", 3, "expected one of pam, store" },
	{ FINE "users = all\n", 3, "expected one of system, virtual" },
	{ FINE "\n\nidle-timeout = 0\n", 5, "idle-timeout = 0: expected 1 to "
	    "86400" },
	{ FINE "idle-timeout = soon\n", 3, "invalid integer value" },
	{ FINE "pam-helpers = 0\n", 3, "pam-helpers = 0: expected 1 to 1000" },
	{ FINE "max-connections = -1\n", 3, "expected 1 to 1000000" },
	{ FINE "max-per-address = 0\n", 3, "expected 1 to 1000000" },
	{ FINE "first-valid-uid = 0\n", 3, "expected 1 to 4294967294" },
	{ FINE "failure-delay = 61\n", 3, "expected 0 to 60 seconds" },
	{ FINE "failure-delay-max = -1\n", 3, "expected 0 to 60 seconds" },
	{ FINE "create-maildir = perhaps\n", 3, "invalid boolean value" },
	{ FINE "hostname = \"a b\"\n", 3, "hostname = a b: expected" },
	{ FINE "hostname = \"<x>\"\n", 3, "hostname = <x>: expected" },
	{ FINE "log = \"var/log\"\n", 3, "expected stderr, syslog or an "
	    "absolute path" },
	{ FINE "pid-file = \"pid\"\n", 3, "expected an absolute path" },
	{ FINE "secrets = \"x\"\n", 3, "expected an absolute path" },
	{ FINE "maildir = \"Maildir\"\n", 3, "expected an absolute path or "
	    "one below %h" },
	{ FINE "maildir = \"/m/%q\"\n", 3, "after % expected one of the "
	    "letters undh%" },
	{ FINE "home = \"/m/%h\"\n", 3, "after % expected one of the letters "
	    "und%" },
	{ FINE "tls-certificate = \"/nowhere/c.pem\"\n", 3,
	    "No such file or directory" },
	{ FINE "detail-separator = \"++\"\n", 3, "expected one of + - _ = #" },
	{ FINE "virtual-uid = \"no such user\"\n", 3,
	    "there is no such user" },
	{ FINE "virtual-gid = \"no such group\"\n", 3,
	    "there is no such group" },
	{ "hostname = \"h\"\nlisten \"localhost:110\" { tls = none }\n", 2,
	    "expected a numeric address and a port" },
	{ "hostname = \"h\"\nlisten \"127.0.0.1\" { tls = none }\n", 2,
	    "expected address:port" },
	{ "hostname = \"h\"\nlisten \"::1:110\" { tls = none }\n", 2,
	    "expected an IPv6 address in brackets" },
	{ "hostname = \"h\"\nlisten \"127.0.0.1:99999\" { tls = none }\n", 2,
	    "expected a port, 1 to 65535" },
	{ "hostname = \"h\"\nlisten \"127.0.0.1:\" { tls = none }\n", 2,
	    "expected a port, 1 to 65535" },
	{ "hostname = \"h\"\nlisten \"127.0.0.1:1\" { tls = maybe }\n", 2,
	    "expected one of none, starttls, implicit" },
	{ FINE "listen \"127.0.0.1:1110\" { tls = none }\n", 3,
	    "127.0.0.1:1110" },
	{ FINE "listen \"127.0.0.1:1111\" { port = 1 }\n", 3,
	    "no such option 'port'" },
	{ FINE "users = \n\n", 5, "" },
	/* Comments, which libConfuse counts as lines. */
	{ "# a\n#\n\n" FINE "users = x\n", 6, "users = x: expected one of" },
	{ FINE "nfs = true # \"a\n# b\nusers = x # c\n", 5, "users = x: " },
	{ "// a\n" FINE "// b /* c\nusers = x\n", 5, "users = x: " },
	{ FINE "/* a */ /* b\n * c\n */\nusers = x\n", 6, "users = x: " },
	{ FINE "/* a */ users = x\n", 3, "users = x: " },
	{ FINE "users = # a\n x\n", 4, "users = x: " },
	{ FINE "maildir = \"/a//b # /* %u\"\nusers = x\n", 4, "users = x: " },
	{ FINE "# a\nlisten \"127.0.0.1:2\" { # b\n\ttls = x\n}\n", 5,
	    "tls = x: expected one of" },
	{ FINE "# a\nno-such-key = 1\n", 4, "no such option" },
	{ FINE "# a\ntls-key = \"/dev/null\"\n", 4, "expected both or" },
	{ FINE "\n/* a\nnfs = true\n", 4, "the comment that begins here has "
	    "no end: expected \"*/\"" },
	{ "hostname = \"h\"\n", 0, "no listen" },
	{ "hostname = \"h\"\nlisten \"127.0.0.1:1\" { }\n", 2,
	    "expected a tls-certificate and a tls-key" },
	{ FINE "tls-key = \"/dev/null\"\n", 3, "expected both or neither" },
	{ FINE "pam-session = true\napop-through = store\n", 3,
	    "pam-session = true needs apop-through = pam" },
	{ FINE "users = virtual\n", 3, "expected home" },
	{ FINE "users = virtual\nhome = \"/m/%u\"\n", 3,
	    "expected virtual-uid and virtual-gid" },
	{ FINE "home = \"/m/%u\"\n", 3, "are for users = virtual" },
	{ FINE "user = \"no-such-user-here\"\n", 3,
	    "expected an existing user that is not root" },
	{ FINE "user = \"root\"\n", 3,
	    "expected an existing user that is not root" },
	{ FINE "pam-service = \"\"\n", 3, "expected the name of a PAM "
	    "service" },
	{ FINE "pam-apop-service = \"../x\"\n", 3, "expected the name of a "
	    "PAM service" },
	{ FINE "pam-confdir = \"/dev/null\"\n", 3, "expected the absolute "
	    "path of a directory" },
	{ FINE "default-domain = \"a/../b\"\n", 3, "expected what may stand "
	    "after the \"@\"" },
	{ FINE "default-domain = \"\"\n", 3, "expected what may stand" },
	{ FINE "virtual-gid = \"0\"\n", 3, "expected a group that is not "
	    "root's" },
	{ FINE "failure-delay = 5\nfailure-delay-max = 1\n", 3,
	    "expected no more than failure-delay-max" },
	{ FINE "takeover = 60\nsessions-per-process = 1\n", 3,
	    "needs sessions that share a process" },
	{ FINE "virtual-uid = \"1\"\n", 3, "virtual-uid = 1: expected" },
	{ FINE "policy = \"policy.conf\"\n", 3, "policy = policy.conf: "
	    "expected an absolute path" },
	{ FINE "policy-state = \"\"\n", 3, "expected an absolute path" },
	{ FINE "audit-log = \"audit.log\"\n", 3, "expected an absolute "
	    "path" },
	{ FINE "policy-socket = \"policy.sock\"\n", 3, "policy-socket = "
	    "policy.sock: expected an absolute path of fewer than 108 "
	    "octets" },
	{ FINE "policy-socket = \"/123456789/123456789/123456789/123456789"
	    "/123456789/123456789/123456789/123456789/123456789/123456789/123"
	    "4567\"\n", 3, "expected an absolute path of fewer" },
	{ FINE "policy-user = \"no-such-user-here\"\n", 3,
	    "expected an existing user that is not root" },
	{ FINE "policy-user = \"root\"\n", 3,
	    "expected an existing user that is not root" },
	{ FINE "login-user = \"root\"\n", 3, "login-user = root: expected "
	    "an existing user that is not root" },
	{ FINE "policy-group = \"no such group\"\n", 3,
	    "there is no such group" },
	{ FINE "group-refresh = 0\n", 3, "expected 1 to 86400" },
	{ FINE "audit-anchor = \"anchor\"\n", 3, "expected an absolute path" },
	{ FINE "audit-anchor = \"/no/such\"\n", 3, "expected a program" },
	{ FINE "audit-seal = 0\n", 3, "expected 1 to 86400" },
	{ FINE "audit-rotate = -1\n", 3, "expected 0 to " },
	{ FINE "audit-keep = \"1 year\"\n", 3, "audit-keep = 1 year: "
	    "expected a duration like" },
	{ FINE "audit-seal = 86401\n", 3, "expected 1 to 86400" },
	{ FINE "metrics = \"m.prom\"\n", 3, "absolute path of a file" },
	{ FINE "metrics = \"\"\n", 3, "absolute path of a file" },
	{ FINE "metrics = \"/m/\"\n", 3, "absolute path of a file" },
	{ FINE "metrics-socket = \"\"\n", 3, "expected an absolute path" },
	{ FINE "metrics-socket = \"m\"\n", 3, "expected an absolute path" },
	{ FINE "group-refresh = 86401\n", 3, "expected 1 to 86400" },
	{ FINE "retained = \"retained\"\n", 3, "expected an absolute path "
	    "or one below %h" },
	{ FINE "retained = \"%h/%x\"\n", 3, "after % expected one of the "
	    "letters undh%" },
};

static void
test_settings_names_file_line_and_expectation(void **state)
{
	char where[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		print_message("case: %s", wrong[i].content);
		assert_null(read_settings(wrong[i].content));
		if (wrong[i].line > 0)
			snprintf(where, sizeof(where), "%s:%d: ", file,
			    wrong[i].line);
		else
			snprintf(where, sizeof(where), "%s: ", file);
		if (strstr(text, where) == NULL ||
		    strstr(text, wrong[i].expected) == NULL)
			print_message("said: %s", text);
		assert_non_null(strstr(text, where));
		assert_non_null(strstr(text, wrong[i].expected));
	}
}

static void
test_settings_reports_all_errors_together(void **state)
{
	(void)state;
	assert_null(read_settings(FINE "users = x\napop-through = y\n"
	    "idle-timeout = 0\n"));
	assert_non_null(strstr(text, ":3: users"));
	assert_non_null(strstr(text, ":4: apop-through"));
	assert_non_null(strstr(text, ":5: idle-timeout"));
}

/* Behind it, everything would be ignored. */
static void
test_settings_refuses_nul(void **state)
{
	FILE *f = fopen(file, "w"), *errors;

	(void)state;
	assert_non_null(f);
	fputs(FINE, f);
	fputc('\0', f);
	fclose(f);
	free(text);
	text = NULL;
	errors = open_memstream(&text, &text_size);
	assert_null(pk_settings_read(file, errors));
	fclose(errors);
	assert_non_null(strstr(text, "there is a NUL octet in it"));
}

static void
test_settings_says_which_file_is_missing(void **state)
{
	FILE *errors;

	(void)state;
	free(text);
	text = NULL;
	errors = open_memstream(&text, &text_size);
	assert_null(pk_settings_read("/nowhere/popkeepd.conf", errors));
	fclose(errors);
	assert_string_equal(text, "/nowhere/popkeepd.conf: No such file or "
	    "directory\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_reads_every_default),
		cmocka_unit_test(test_settings_takes_what_is_written),
		cmocka_unit_test(test_settings_takes_what_policyd_is_told),
		cmocka_unit_test(
		    test_settings_puts_what_is_retained_beside_the_maildir),
		cmocka_unit_test(test_settings_reads_addresses),
		cmocka_unit_test(
		    test_settings_names_file_line_and_expectation),
		cmocka_unit_test(test_settings_reports_all_errors_together),
		cmocka_unit_test(test_settings_refuses_nul),
		cmocka_unit_test(test_settings_says_which_file_is_missing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
