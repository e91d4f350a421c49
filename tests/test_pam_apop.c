/*
 * APOP from end to end: the PAM client, a stack with pam_apop.so, the store.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/apop.h"
#include "pam/client.h"
#include "pam/secrets.h"
#include "tests/pam_stack.h"

/* The example of RFC 1939 section 7. */
#define CHALLENGE "<1896.697170952@dbc.mtview.ca.us>"
#define SECRET "tanstaaf"
#define DIGEST "c4c9334bac560ecc979e58001b3e22fb"

static void
set_secret(const char *user, const char *secret)
{
	struct pk_span span = { (const uint8_t *)secret, strlen(secret) };
	char why[PK_SECRETS_WHY] = "";
	struct pk_secrets *store;

	store = pk_secrets_open(stack_path("store"), stack_path("key"),
	    PK_SECRETS_WRITE, why);
	assert_string_equal(why, "");
	assert_non_null(store);
	assert_int_equal(pk_secrets_set(store, user, span), PK_OK);
	pk_secrets_close(&store);
}

static int
setup(void **state)
{
	if (stack_setup(state) == -1)
		return -1;
	set_secret("ann", SECRET);
	stack_service("apop", "auth required " PAM_APOP
	    " secrets=%s/store key=%s/key\naccount required pam_permit.so\n",
	    stack_dir, stack_dir);
	return 0;
}

static struct pk_pam_outcome
attempt(const char *service, const char *user, const char *challenge,
    const char *secret)
{
	struct pk_pam_login login = { .service = service,
	    .confdir = stack_dir, .user = user, .secret = secret,
	    .challenge = challenge, .rhost = "192.0.2.7", .tty = "pop3" };
	struct pk_pam_outcome outcome;

	pk_pam_login(&login, &outcome, NULL);
	return outcome;
}

static void
test_pam_apop_accepts_the_digest(void **state)
{
	struct pk_pam_outcome outcome;

	(void)state;
	outcome = attempt("apop", "ann", CHALLENGE, DIGEST);
	assert_string_equal(outcome.reason, "");
	assert_int_equal(outcome.result, PK_LOGIN_OK);
	assert_string_equal(outcome.user, "ann");
}

/* Nothing that leaves the stack tells one from the other. */
static void
test_pam_apop_refuses_wrong_and_unknown_alike(void **state)
{
	struct pk_pam_outcome wrong, unknown, name;

	(void)state;
	wrong = attempt("apop", "ann", "<1@x>", DIGEST);
	unknown = attempt("apop", "eve", "<1@x>", DIGEST);
	name = attempt("apop", " nobody", "<1@x>", DIGEST);
	assert_int_equal(wrong.result, PK_LOGIN_CREDENTIAL);
	assert_int_equal(unknown.result, PK_LOGIN_CREDENTIAL);
	assert_int_equal(name.result, PK_LOGIN_CREDENTIAL);
	assert_string_equal(wrong.reason, unknown.reason);
	assert_string_equal(wrong.reason, name.reason);
}

static void
test_pam_apop_refuses_what_is_no_digest(void **state)
{
	static const char *const digests[] = { SECRET, "", DIGEST "0",
	    "C4C9334BAC560ECC979E58001B3E22FB",
	    "c4c9334bac560ecc979e58001b3e22f" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		assert_int_equal(attempt("apop", "ann", CHALLENGE,
		    digests[i]).result, PK_LOGIN_CREDENTIAL);
}

/*
 * Without a challenge of the server's there is none, whatever a client puts
 * into what it sends, or a shell into the environment of the process.
 */
static void
test_pam_apop_takes_no_challenge_from_elsewhere(void **state)
{
	(void)state;
	assert_int_equal(attempt("apop", "ann", NULL, DIGEST).result,
	    PK_LOGIN_TEMPORARY);
	assert_int_equal(attempt("apop", PK_PAM_CHALLENGE "=" CHALLENGE, NULL,
	    PK_PAM_CHALLENGE "=" CHALLENGE).result, PK_LOGIN_TEMPORARY);
	assert_int_equal(setenv(PK_PAM_CHALLENGE, CHALLENGE, 1), 0);
	assert_int_equal(attempt("apop", "ann", NULL, DIGEST).result,
	    PK_LOGIN_TEMPORARY);
	assert_int_equal(attempt("apop", "ann", "<1@x>", DIGEST).result,
	    PK_LOGIN_CREDENTIAL);
	unsetenv(PK_PAM_CHALLENGE);
}

static void
test_pam_apop_says_when_the_store_is_away(void **state)
{
	(void)state;
	unlink(stack_path("store"));
	assert_int_equal(attempt("apop", "ann", CHALLENGE, DIGEST).result,
	    PK_LOGIN_TEMPORARY);
	assert_int_equal(attempt("apop", "eve", CHALLENGE, DIGEST).result,
	    PK_LOGIN_TEMPORARY);
}

static void
test_pam_apop_refuses_unknown_options(void **state)
{
	static const char *const options[] = { "secret=/x", "secrets=x",
	    "key=", "debug", "secrets" };
	struct pk_pam_outcome outcome;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		stack_service("options", "auth required " PAM_APOP
		    " secrets=%s/store key=%s/key %s\n"
		    "account required pam_permit.so\n", stack_dir, stack_dir,
		    options[i]);
		outcome = attempt("options", "ann", CHALLENGE, DIGEST);
		assert_int_equal(outcome.result, PK_LOGIN_TEMPORARY);
		assert_non_null(strstr(outcome.reason, "service module"));
	}
}

/* The module has no account phase: another one decides. */
static void
test_pam_apop_leaves_the_account_to_others(void **state)
{
	(void)state;
	stack_service("denied", "auth required " PAM_APOP
	    " secrets=%s/store key=%s/key\naccount required pam_deny.so\n",
	    stack_dir, stack_dir);
	assert_int_not_equal(attempt("denied", "ann", CHALLENGE,
	    DIGEST).result, PK_LOGIN_OK);
	assert_int_equal(attempt("denied", "ann", "<1@x>", DIGEST).result,
	    PK_LOGIN_CREDENTIAL);
}

/* Nothing stays open between two logins: a new secret counts at once. */
static void
test_pam_apop_sees_a_new_secret(void **state)
{
	(void)state;
	assert_int_equal(attempt("apop", "ann", CHALLENGE, DIGEST).result,
	    PK_LOGIN_OK);
	set_secret("ann", "replaced");
	assert_int_equal(attempt("apop", "ann", CHALLENGE, DIGEST).result,
	    PK_LOGIN_CREDENTIAL);
	set_secret("ann", SECRET);
	assert_int_equal(attempt("apop", "ann", CHALLENGE, DIGEST).result,
	    PK_LOGIN_OK);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_pam_apop_##name, setup, \
	    stack_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accepts_the_digest),
		TEST(refuses_wrong_and_unknown_alike),
		TEST(refuses_what_is_no_digest),
		TEST(takes_no_challenge_from_elsewhere),
		TEST(says_when_the_store_is_away),
		TEST(refuses_unknown_options),
		TEST(leaves_the_account_to_others),
		TEST(sees_a_new_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
