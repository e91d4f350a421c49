/*
 * The PAM client against stacks of our own, of PAM's, and of pam_wrapper's
 * (tests/test_pam_wrapper.sh runs that part).
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/wait.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <crypt.h>
#include <security/pam_appl.h>

#include "engine/apop.h"
#include "pam/client.h"
#include "tests/pam_stack.h"

#define CHALLENGE "<1896.697170952@dbc.mtview.ca.us>"

static struct pk_pam_login
login_of(const char *service, const char *user, const char *secret)
{
	struct pk_pam_login login = { .service = service, .confdir = stack_dir,
	    .user = user, .secret = secret, .rhost = "192.0.2.7",
	    .tty = "pop3" };

	return login;
}

/* One attempt without keeping the handle. */
static struct pk_pam_outcome
attempt(const char *service, const char *user, const char *secret)
{
	struct pk_pam_login login = login_of(service, user, secret);
	struct pk_pam_outcome outcome;

	pk_pam_login(&login, &outcome, NULL);
	return outcome;
}

/* In a process of its own: libpam leaks when pam_start(3) fails. */
static enum pk_login_result
attempt_apart(const char *service)
{
	int status;

	if (fork() == 0)
		_exit((int)attempt(service, "ann", "x").result);
	assert_true(wait(&status) > 0);
	assert_true(WIFEXITED(status));
	return (enum pk_login_result)WEXITSTATUS(status);
}

static int
setup(void **state)
{
	if (stack_setup(state) == -1)
		return -1;
	stack_service("scripted",
	    "auth required " PAM_SCRIPTED " log=%s/log\n"
	    "account required " PAM_SCRIPTED " log=%s/log\n"
	    "session required " PAM_SCRIPTED " log=%s/log\n",
	    stack_dir, stack_dir, stack_dir);
	return 0;
}

/* The contract in pam/client.h, code by code. */
static const struct {
	int code;
	enum pk_login_result auth, acct, cred;
} codes[] = {
#define ALL(code, result) { code, result, result, result }
#define T PK_LOGIN_TEMPORARY
	ALL(PAM_OPEN_ERR, PK_LOGIN_PERMANENT),
	ALL(PAM_SYMBOL_ERR, PK_LOGIN_PERMANENT),
	ALL(PAM_SERVICE_ERR, T),
	ALL(PAM_SYSTEM_ERR, T),
	ALL(PAM_BUF_ERR, T),
	{ PAM_PERM_DENIED, PK_LOGIN_CREDENTIAL, PK_LOGIN_DENIED,
	    PK_LOGIN_DENIED },
	{ PAM_AUTH_ERR, PK_LOGIN_CREDENTIAL, PK_LOGIN_DENIED,
	    PK_LOGIN_DENIED },
	{ PAM_CRED_INSUFFICIENT, PK_LOGIN_CREDENTIAL, T, T },
	ALL(PAM_AUTHINFO_UNAVAIL, T),
	{ PAM_USER_UNKNOWN, PK_LOGIN_CREDENTIAL, PK_LOGIN_DENIED,
	    PK_LOGIN_DENIED },
	{ PAM_MAXTRIES, PK_LOGIN_CREDENTIAL, T, T },
	ALL(PAM_NEW_AUTHTOK_REQD, PK_LOGIN_NEW_PASSWORD),
	ALL(PAM_ACCT_EXPIRED, PK_LOGIN_EXPIRED),
	ALL(PAM_SESSION_ERR, T),
	ALL(PAM_CRED_UNAVAIL, T),
	{ PAM_CRED_EXPIRED, T, T, PK_LOGIN_DENIED },
	ALL(PAM_CRED_ERR, T),
	ALL(PAM_NO_MODULE_DATA, PK_LOGIN_PERMANENT),
	ALL(PAM_CONV_ERR, T),
	ALL(PAM_AUTHTOK_ERR, T),
	ALL(PAM_AUTHTOK_RECOVERY_ERR, T),
	ALL(PAM_AUTHTOK_LOCK_BUSY, T),
	ALL(PAM_AUTHTOK_DISABLE_AGING, T),
	ALL(PAM_TRY_AGAIN, T),
	/* A stack of which nothing counts is PAM_PERM_DENIED. */
	{ PAM_IGNORE, PK_LOGIN_CREDENTIAL, PK_LOGIN_DENIED, PK_LOGIN_DENIED },
	ALL(PAM_ABORT, PK_LOGIN_PERMANENT),
	ALL(PAM_AUTHTOK_EXPIRED, PK_LOGIN_NEW_PASSWORD),
	ALL(PAM_MODULE_UNKNOWN, PK_LOGIN_PERMANENT),
	ALL(PAM_BAD_ITEM, PK_LOGIN_PERMANENT),
	ALL(PAM_CONV_AGAIN, T),
	ALL(PAM_INCOMPLETE, T),
#undef T
#undef ALL
};

static void
check_code(const char *phase, const char *call, int code,
    enum pk_login_result expected)
{
	struct pk_pam_outcome outcome;
	char user[32];

	snprintf(user, sizeof(user), "%s.%d", phase, code);
	outcome = attempt("scripted", user, "x");
	if (outcome.result != expected)
		print_error("%s: %s\n", user, outcome.reason);
	assert_string_equal(pk_login_result_name(outcome.result),
	    pk_login_result_name(expected));
	assert_memory_equal(outcome.reason, call, strlen(call));
	assert_int_equal(outcome.reason[strlen(call)], ':');
}

static void
test_pam_client_maps_every_code(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(sizeof(codes) / sizeof(codes[0]),
	    _PAM_RETURN_VALUES - 1);
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		check_code("auth", "pam_authenticate", codes[i].code,
		    codes[i].auth);
		check_code("acct", "pam_acct_mgmt", codes[i].code,
		    codes[i].acct);
		check_code("cred", "pam_setcred", codes[i].code,
		    codes[i].cred);
	}
}

static void
test_pam_client_calls_in_order(void **state)
{
	struct pk_pam_outcome outcome;

	(void)state;
	outcome = attempt("scripted", "ann", "x");
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_string_equal(outcome.user, "ann");
	assert_string_equal(outcome.reason, "");
	assert_string_equal(stack_read("log"),
	    "auth rhost=192.0.2.7 tty=pop3 null=0 challenge=-\n"
	    "acct challenge=-\ncred establish\ncred delete\n");
}

static struct pk_pam_outcome
account(const char *service, const char *user)
{
	struct pk_pam_login login = login_of(service, user, NULL);
	struct pk_pam_outcome outcome;

	pk_pam_account(&login, &outcome);
	return outcome;
}

/* The credential is checked elsewhere, and has no ticket either. */
static void
test_pam_client_asks_for_an_account_alone(void **state)
{
	struct pk_pam_outcome outcome;
	size_t i;

	(void)state;
	stack_service("who", "account required pam_access.so "
	    "accessfile=%s/access noaudit\n", stack_dir);
	stack_write("access", 0644, "- : daemon : 192.0.2.0/24\n");
	outcome = account("scripted", "ann");
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_string_equal(outcome.user, "ann");
	assert_string_equal(outcome.reason, "");
	assert_string_equal(stack_read("log"), "acct challenge=-\n");
	/* PAM_RHOST is there. */
	assert_int_equal(account("who", "nobody").result, PK_LOGIN_OK);
	assert_int_equal(account("who", "daemon").result, PK_LOGIN_DENIED);
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		char user[32];

		snprintf(user, sizeof(user), "acct.%d", codes[i].code);
		assert_string_equal(pk_login_result_name(account("scripted",
		    user).result), pk_login_result_name(codes[i].acct));
	}
	assert_int_equal(account("scripted", "").result, PK_LOGIN_CREDENTIAL);
	/* Of a login there is nothing left. */
	assert_null(strstr(stack_read("log"), "auth"));
	assert_null(strstr(stack_read("log"), "cred"));
}

/* No account check for a wrong secret, no credentials for a closed account. */
static void
test_pam_client_stops_at_the_first_refusal(void **state)
{
	(void)state;
	attempt("scripted", "auth.7", "x");
	assert_null(strstr(stack_read("log"), "acct"));
	attempt("scripted", "acct.13", "x");
	assert_null(strstr(stack_read("log"), "cred"));
	attempt("scripted", "cred.17", "x");
	assert_null(strstr(stack_read("log"), "delete"));
}

static void
test_pam_client_lets_only_authentication_see_the_challenge(void **state)
{
	struct pk_pam_login login = login_of("scripted", "ann", "x");
	struct pk_pam_session *ps;
	struct pk_pam_outcome outcome;
	char reason[128];

	(void)state;
	login.challenge = CHALLENGE;
	pk_pam_login(&login, &outcome, &ps);
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_true(pk_pam_session_open(ps, reason, sizeof(reason)));
	pk_pam_session_close(&ps);
	assert_null(ps);
	assert_string_equal(stack_read("log"),
	    "auth rhost=192.0.2.7 tty=pop3 null=0 challenge=" CHALLENGE "\n"
	    "acct challenge=-\ncred establish\n"
	    "open challenge=-\nclose\ncred delete\n");
}

static void
test_pam_client_refuses_long_challenge(void **state)
{
	struct pk_pam_login login = login_of("scripted", "ann", "x");
	struct pk_pam_outcome outcome;
	char challenge[PK_APOP_CHALLENGE_SIZE + 8];

	(void)state;
	memset(challenge, 'c', sizeof(challenge));
	challenge[sizeof(challenge) - 1] = '\0';
	login.challenge = challenge;
	pk_pam_login(&login, &outcome, NULL);
	assert_int_equal(outcome.result, PK_LOGIN_TEMPORARY);
	assert_string_equal(stack_read("log"), "");
}

static void
test_pam_client_reports_refused_session(void **state)
{
	struct pk_pam_login login = login_of("scripted", "open.14", "x");
	struct pk_pam_session *ps;
	struct pk_pam_outcome outcome;
	char reason[128];

	(void)state;
	pk_pam_login(&login, &outcome, &ps);
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_non_null(ps);
	assert_false(pk_pam_session_open(ps, reason, sizeof(reason)));
	assert_memory_equal(reason, "pam_open_session: ", 18);
	pk_pam_session_close(&ps);
	assert_null(strstr(stack_read("log"), "close"));
	assert_non_null(strstr(stack_read("log"), "cred delete"));
}

static void
test_pam_client_keeps_no_failed_handle(void **state)
{
	struct pk_pam_login login = login_of("scripted", "acct.13", "x");
	struct pk_pam_session *ps = (struct pk_pam_session *)1;
	struct pk_pam_outcome outcome;

	(void)state;
	pk_pam_login(&login, &outcome, &ps);
	assert_int_equal(outcome.result, PK_LOGIN_EXPIRED);
	assert_null(ps);
	pk_pam_session_close(&ps);
}

static void
check_unanswered(const char *user)
{
	struct pk_pam_login login = login_of("scripted", user, "x");
	struct pk_pam_session *ps;
	struct pk_pam_outcome outcome;
	char reason[128];

	pk_pam_login(&login, &outcome, &ps);
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_false(pk_pam_session_open(ps, reason, sizeof(reason)));
	pk_pam_session_close(&ps);
	assert_non_null(strstr(stack_read("log"), "conv failed"));
	assert_null(strstr(stack_read("log"), "answered"));
}

/* The strings are no longer ours when a session begins. */
static void
test_pam_client_answers_no_session(void **state)
{
	(void)state;
	check_unanswered("session-asks-secret");
	check_unanswered("session-asks-user");
}

static void
test_pam_client_answers_prompts(void **state)
{
	(void)state;
	assert_int_equal(attempt("scripted", "ask", "s3").result, PK_LOGIN_OK);
	assert_non_null(strstr(stack_read("log"),
	    "off=s3 on=ask last=-\n"));
	assert_int_equal(attempt("scripted", "ask-badly", "s3").result,
	    PK_LOGIN_TEMPORARY);
	assert_non_null(strstr(stack_read("log"), "conv failed\n"));
}

static void
test_pam_client_does_not_wait(void **state)
{
	struct timespec before, after;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(attempt("scripted", "delay", "x").result,
	    PK_LOGIN_CREDENTIAL);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 2);
}

static void
test_pam_client_takes_the_final_user(void **state)
{
	struct pk_pam_outcome outcome;

	(void)state;
	outcome = attempt("scripted", "rename", "x");
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_string_equal(outcome.user, "renamed");
	outcome = attempt("scripted", "longest", "x");
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_int_equal(strlen(outcome.user), PK_USERNAME_MAX);
	assert_int_equal(attempt("scripted", "too-long", "x").result,
	    PK_LOGIN_PERMANENT);
	outcome = attempt("scripted", "unname", "x");
	assert_int_not_equal(outcome.result, PK_LOGIN_OK);
	assert_int_equal(outcome.result, PK_LOGIN_PERMANENT);
}

static void
test_pam_client_refuses_what_does_not_fit(void **state)
{
	char text[PAM_MAX_RESP_SIZE + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[PAM_MAX_RESP_SIZE] = '\0';
	assert_int_equal(attempt("scripted", "ann", text).result,
	    PK_LOGIN_CREDENTIAL);
	assert_int_equal(attempt("scripted", "", "x").result,
	    PK_LOGIN_CREDENTIAL);
	text[PK_USERNAME_SIZE] = '\0';
	assert_int_equal(attempt("scripted", text, "x").result,
	    PK_LOGIN_CREDENTIAL);
	assert_string_equal(stack_read("log"), "");
	text[PAM_MAX_RESP_SIZE - 1] = '\0';
	assert_int_equal(attempt("scripted", "ann", text).result, PK_LOGIN_OK);
}

static void
test_pam_client_reports_broken_setups(void **state)
{
	(void)state;
	stack_service("no-module", "auth required /nonexistent/pam_x.so\n");
	stack_service("no-account", "auth required pam_permit.so\n"
	    "account required /nonexistent/pam_x.so\n");
	assert_int_equal(attempt_apart("no-service"), PK_LOGIN_PERMANENT);
	assert_int_equal(attempt("no-module", "ann", "x").result,
	    PK_LOGIN_PERMANENT);
	assert_int_equal(attempt("no-account", "ann", "x").result,
	    PK_LOGIN_PERMANENT);
}

/* An empty stack is no permission. */
static void
test_pam_client_refuses_empty_stacks(void **state)
{
	(void)state;
	stack_service("empty", "# nothing\n");
	stack_service("other", "# nothing\n");
	assert_int_not_equal(attempt("empty", "ann", "x").result, PK_LOGIN_OK);
}

static void
write_pwdfile(const char *account)
{
	const char *hash = crypt("tanstaaf", "$6$rounds=1000$popkeeptest");
	char text[512];

	assert_non_null(hash);
	snprintf(text, sizeof(text), "ann:%s\ndaemon:%s\n", hash, hash);
	stack_write("pwdfile", 0600, text);
	stack_service("pwdfile-stack",
	    "auth required pam_pwdfile.so pwdfile=%s/pwdfile\n"
	    "account %s\n", stack_dir, account);
}

static void
test_pam_client_serves_a_password_file(void **state)
{
	(void)state;
	write_pwdfile("required pam_permit.so");
	assert_int_equal(attempt("pwdfile-stack", "ann", "tanstaaf").result,
	    PK_LOGIN_OK);
	assert_int_equal(attempt("pwdfile-stack", "ann", "tanstaag").result,
	    PK_LOGIN_CREDENTIAL);
	assert_int_equal(attempt("pwdfile-stack", "bob", "tanstaaf").result,
	    PK_LOGIN_CREDENTIAL);
	assert_int_equal(attempt("pwdfile-stack", "ann", "").result,
	    PK_LOGIN_CREDENTIAL);
}

/* From there no, from elsewhere yes: the address reaches the stack. */
static void
test_pam_client_lets_access_decide(void **state)
{
	char account[256];
	struct pk_pam_login login = login_of("pwdfile-stack", "daemon",
	    "tanstaaf");
	struct pk_pam_outcome outcome;

	(void)state;
	snprintf(account, sizeof(account), "required pam_access.so "
	    "accessfile=%s/access noaudit", stack_dir);
	stack_write("access", 0644, "- : daemon : 192.0.2.0/24\n");
	write_pwdfile(account);
	pk_pam_login(&login, &outcome, NULL);
	assert_int_equal(outcome.result, PK_LOGIN_DENIED);
	login.rhost = "198.51.100.1";
	pk_pam_login(&login, &outcome, NULL);
	assert_int_equal(outcome.result, PK_LOGIN_OK);
}

/* After two wrong ones the right one is as wrong. */
static void
test_pam_client_is_locked_out(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("pam_faillock: not run, root is needed\n");
		skip();
	}
	write_pwdfile("required pam_permit.so");
	stack_service("faillock",
	    "auth required pam_faillock.so preauth dir=%s/tally deny=2\n"
	    "auth sufficient pam_pwdfile.so pwdfile=%s/pwdfile\n"
	    "auth [default=die] pam_faillock.so authfail dir=%s/tally deny=2\n"
	    "account required pam_permit.so\n",
	    stack_dir, stack_dir, stack_dir);
	assert_int_equal(attempt("faillock", "daemon", "tanstaaf").result,
	    PK_LOGIN_OK);
	attempt("faillock", "daemon", "wrong");
	attempt("faillock", "daemon", "wrong");
	assert_int_equal(attempt("faillock", "daemon", "tanstaaf").result,
	    PK_LOGIN_CREDENTIAL);
}

/* pam_unix's account phase and the system's shadow file. */
static void
test_pam_client_lets_unix_expire(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("pam_unix: not run, root is needed\n");
		skip();
	}
	stack_service("unix", "auth required pam_permit.so\n"
	    "account required pam_unix.so\n");
	assert_int_equal(attempt("unix", "daemon", "x").result, PK_LOGIN_OK);
	assert_int_equal(attempt("unix", "nobody-is-this", "x").result,
	    PK_LOGIN_DENIED);
}

/* Under pam_wrapper: the script has made the service "matrix". */
static void
test_pam_client_serves_under_pam_wrapper(void **state)
{
	struct pk_pam_login login = login_of("matrix", "ann", "tanstaaf");
	struct pk_pam_outcome outcome;

	(void)state;
	login.confdir = NULL;
	pk_pam_login(&login, &outcome, NULL);
	assert_string_equal(outcome.reason, "");
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	login.secret = "tanstaag";
	pk_pam_login(&login, &outcome, NULL);
	assert_int_equal(outcome.result, PK_LOGIN_CREDENTIAL);
	login.user = "bob";
	pk_pam_login(&login, &outcome, NULL);
	assert_int_equal(outcome.result, PK_LOGIN_CREDENTIAL);
	login.service = "no-such-service";
	pk_pam_login(&login, &outcome, NULL);
	assert_int_equal(outcome.result, PK_LOGIN_PERMANENT);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_pam_client_##name, setup, \
	    stack_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(maps_every_code),
		TEST(calls_in_order),
		TEST(asks_for_an_account_alone),
		TEST(stops_at_the_first_refusal),
		TEST(lets_only_authentication_see_the_challenge),
		TEST(refuses_long_challenge),
		TEST(reports_refused_session),
		TEST(keeps_no_failed_handle),
		TEST(answers_no_session),
		TEST(answers_prompts),
		TEST(does_not_wait),
		TEST(takes_the_final_user),
		TEST(refuses_what_does_not_fit),
		TEST(reports_broken_setups),
		TEST(refuses_empty_stacks),
		TEST(serves_a_password_file),
		TEST(lets_access_decide),
		TEST(is_locked_out),
		TEST(lets_unix_expire),
	};
	const struct CMUnitTest wrapped[] = {
		TEST(serves_under_pam_wrapper),
	};

	if (getenv("PAM_WRAPPER") != NULL)
		return cmocka_run_group_tests(wrapped, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
