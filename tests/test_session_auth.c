/*
 * The AUTHORIZATION state: greeting, CAPA, USER and PASS, APOP, AUTH, STLS.
 *
 * SPDX-License-Identifier: ISC
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "engine/command.h"
#include "engine/username.h"
#include "tests/session_fixture.h"

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, dialogue_setup, \
	    dialogue_teardown)

/* ---- greeting ----------------------------------------------------------- */

static const struct {
	const char *name;
	enum pk_allow apop;
	bool tls, stls, challenge, shown;
} greetings[] = {
	{ "always", PK_ALLOW_ALWAYS, false, false, true, true },
	{ "no challenge", PK_ALLOW_ALWAYS, false, false, false, false },
	{ "never", PK_ALLOW_NEVER, true, true, true, false },
	{ "TLS, in TLS", PK_ALLOW_TLS, true, false, true, true },
	{ "TLS, with STLS", PK_ALLOW_TLS, false, true, true, true },
	{ "TLS, none to be had", PK_ALLOW_TLS, false, false, true, false },
};

static void
test_session_greets_with_the_timestamp_that_apop_needs(void **state)
{
	struct dialogue *d = *state;
	size_t i;

	for (i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		d->settings.apop = greetings[i].apop;
		d->settings.tls = greetings[i].tls;
		d->settings.stls = greetings[i].stls;
		d->settings.challenge = greetings[i].challenge ?
		    CHALLENGE : NULL;
		d->s = pk_session_new(&d->settings);
		dialogue_send(d, span_of(""));
		expect(greetings[i].name, dialogue_matches(d,
		    greetings[i].shown ?
		    "+OK pop.example POP3 server ready " CHALLENGE "\r\n" :
		    "+OK pop.example POP3 server ready\r\n"));
		pk_session_free(&d->s);
	}
}

/* RFC 1939 section 3: a status line has at most 512 octets. */
static void
test_session_greets_in_one_line_whatever_the_host(void **state)
{
	struct dialogue *d = *state;
	char host[1000];

	memset(host, 'h', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	d->settings.host = host;
	dialogue_begin(d);
	assert_true(d->out_len <= PK_REPLY_MAX);
	assert_memory_equal(d->out + d->out_len - sizeof(CHALLENGE "\r\n") +
	    1, CHALLENGE "\r\n", sizeof(CHALLENGE "\r\n") - 1);
}

/* ---- CAPA --------------------------------------------------------------- */

#define CAPA_HEAD \
	"+OK*\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n" \
	"PIPELINING\r\nEXPIRE NEVER\r\n"

static void
test_capa_lists_what_works_in_clear(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "CAPA\r\n", CAPA_HEAD "STLS\r\nUSER\r\nSASL PLAIN LOGIN\r\n"
	    "IMPLEMENTATION popkeep\r\n.\r\n");
	says(d, LOGIN, LOGGED_IN);
	says(d, "CAPA\r\n", CAPA_HEAD "USER\r\nSASL PLAIN LOGIN\r\n"
	    "IMPLEMENTATION popkeep\r\n.\r\n");
}

static void
test_capa_hides_passwords_until_tls(void **state)
{
	struct dialogue *d = *state;

	d->settings.passwords = PK_ALLOW_TLS;
	d->settings.implementation = NULL;
	dialogue_begin(d);
	says(d, "CAPA\r\n", CAPA_HEAD "STLS\r\n.\r\n");
	says(d, "STLS\r\n", "+OK*\r\n");
	says(d, "CAPA\r\n", CAPA_HEAD "USER\r\nSASL PLAIN LOGIN\r\n.\r\n");
}

static void
test_capa_lists_no_stls_where_it_is_not_to_be_had(void **state)
{
	struct dialogue *d = *state;

	d->settings.stls = false;
	d->settings.passwords = PK_ALLOW_NEVER;
	d->settings.implementation = NULL;
	dialogue_begin(d);
	says(d, "CAPA\r\n", CAPA_HEAD ".\r\n");
	says(d, "CAPA x\r\n", "-ERR*\r\n");
}

static void
test_capa_lists_no_stls_inside_tls(void **state)
{
	struct dialogue *d = *state;

	d->settings.tls = true;
	d->settings.passwords = PK_ALLOW_NEVER;
	d->settings.implementation = NULL;
	dialogue_begin(d);
	says(d, "CAPA\r\n", CAPA_HEAD ".\r\n");
	says(d, "STLS\r\n", "-ERR*\r\n");
}

/* What CAPA says of the policy before and after login. */
static const struct {
	const char *name;
	struct pk_capa_policy policy;
	const char *before, *after;
} policies[] = {
	{ "zero", { 0, false, 0, false }, "EXPIRE 0\r\n", "EXPIRE 0\r\n" },
	{ "never", { -1, false, 0, false }, "EXPIRE NEVER\r\n",
	    "EXPIRE NEVER\r\n" },
	{ "expire", { 30, true, 0, false }, "EXPIRE 30 USER\r\n",
	    "EXPIRE 30\r\n" },
	{ "delay", { -1, false, 60, false },
	    "EXPIRE NEVER\r\nLOGIN-DELAY 60\r\n",
	    "EXPIRE NEVER\r\nLOGIN-DELAY 60\r\n" },
	{ "both vary", { 7, true, 900, true },
	    "EXPIRE 7 USER\r\nLOGIN-DELAY 900 USER\r\n",
	    "EXPIRE 7\r\nLOGIN-DELAY 900\r\n" },
	{ "a delay of others", { 7, false, 0, true },
	    "EXPIRE 7\r\nLOGIN-DELAY 0 USER\r\n",
	    "EXPIRE 7\r\nLOGIN-DELAY 0\r\n" },
};

#define POLICY_HEAD \
	"+OK*\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"

static bool
lists(struct dialogue *d, const char *policy)
{
	char pattern[PK_REPLY_MAX];

	(void)snprintf(pattern, sizeof(pattern), POLICY_HEAD "%sUSER\r\n"
	    "SASL PLAIN LOGIN\r\n.\r\n", policy);
	dialogue_send(d, span_of("CAPA\r\n"));
	return dialogue_matches(d, pattern);
}

static void
test_capa_tells_the_policy_with_user_before_login_only(void **state)
{
	struct dialogue *d = *state;
	size_t i;

	d->settings.stls = false;
	d->settings.implementation = NULL;
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		d->settings.capa = &policies[i].policy;
		dialogue_begin(d);
		expect(policies[i].name, lists(d, policies[i].before));
		says(d, LOGIN, LOGGED_IN);
		expect(policies[i].name, lists(d, policies[i].after));
		pk_session_free(&d->s);
	}
}

static void
test_capa_lists_top_unless_it_is_denied(void **state)
{
	static const uint32_t tops[] = {
		PK_TOP_ALLOW, PK_TOP_HEADERS, 5, PK_TOP_DENY - 1, PK_TOP_DENY,
	};
	struct dialogue *d = *state;
	size_t i;

	d->settings.stls = false;
	d->settings.implementation = NULL;
	d->settings.passwords = PK_ALLOW_NEVER;
	for (i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		d->settings.top = tops[i];
		dialogue_begin(d);
		says(d, "CAPA\r\n", tops[i] == PK_TOP_DENY ?
		    "+OK*\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
		    "PIPELINING\r\nEXPIRE NEVER\r\n.\r\n" :
		    CAPA_HEAD ".\r\n");
		pk_session_free(&d->s);
	}
}

/* ---- states ------------------------------------------------------------- */

static void
test_session_refuses_other_states_commands_before_login(void **state)
{
	static const char *const lines[] = {
		"STAT\r\n", "LIST\r\n", "LIST 1\r\n", "RETR 1\r\n",
		"DELE 1\r\n", "NOOP\r\n", "RSET\r\n", "TOP 1 0\r\n",
		"UIDL\r\n", "UIDL 1\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	dialogue_begin(d);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		says(d, lines[i], "-ERR*\r\n");
	says(d, LOGIN, LOGGED_IN);
}

static void
test_session_refuses_malformed_commands_before_login(void **state)
{
	static const char *const lines[] = {
		"\r\n", "\n", " \r\n", "XYZZ\r\n", "AUTHX\r\n", "QUIT x\r\n",
		"STLS x\r\n", "USER\r\n", "USER \r\n", "USER a b\r\n",
		"USER  a\r\n", "PASS x\r\n", "PASS\r\n", "APOP\r\n",
		"APOP ann\r\n", "APOP ann x y\r\n", "AUTH\r\n",
		"AUTH PLAIN = =\r\n", "USER a\rb\r\n", "\r\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	dialogue_begin(d);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		says(d, lines[i], "-ERR*\r\n");
	assert_int_equal(d->logins, 0);
	says(d, LOGIN, LOGGED_IN);
}

static void
test_session_quits_without_update_before_login(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "QUIT\r\nCAPA\r\n", "+OK*\r\n");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(d->updates, 0);
	assert_int_equal(pk_session_end(d->s), PK_END_QUIT);
	says(d, "CAPA\r\n", "");
}

/* ---- USER and PASS ------------------------------------------------------ */

static void
test_pass_asks_with_name_and_password(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "user Ann@example.org\r\npass  two  words \r\n",
	    "+OK*\r\n+OK*4 messages*49 octets*\r\n");
	assert_int_equal(d->mech, PK_MECH_PASS);
	assert_string_equal(d->user, "Ann@example.org");
	assert_string_equal(d->secret, " two  words ");
	assert_int_equal(d->logins, 1);
}

static void
test_pass_follows_user_immediately(void **state)
{
	static const char *const between[] = {
		"CAPA\r\n", "NOOP\r\n", "XYZZ\r\n", "USER\r\n", "\r\n",
		"USER a b\r\n", "APOP x\r\n", "AUTH NONE\r\n", "PASS\r\n",
		"PASS \r\n", "STAT\r\n", "AUTH PLAIN\r\n*\r\n",
		"AUTH LOGIN\r\nYW5u\r\n*\r\n", "AUTH LOGIN\r\nYW5u\r\n?\r\n",
		"AUTH LOGIN\r\nYW5u\r\n\r\n",
	};
	struct dialogue *d = *state;
	size_t i;

	dialogue_begin(d);
	for (i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
		says(d, "USER ann\r\n", "+OK*\r\n");
		dialogue_send(d, span_of(between[i]));
		d->seen = d->out_len;
		dialogue_send(d, span_of("PASS secret\r\n"));
		expect(between[i], dialogue_matches(d, "-ERR*\r\n"));
	}
	assert_int_equal(d->logins, 0);
}

static void
test_pass_needs_user_again_after_a_refusal(void **state)
{
	struct dialogue *d = *state;

	d->login = PK_LOGIN_CREDENTIAL;
	dialogue_begin(d);
	says(d, LOGIN, "+OK*\r\n-ERR [AUTH]*\r\n");
	says(d, "PASS secret\r\n", "-ERR*\r\n");
	assert_int_equal(d->logins, 1);
	d->login = PK_LOGIN_OK;
	says(d, LOGIN, LOGGED_IN);
}

static void
test_user_takes_names_up_to_its_limit(void **state)
{
	struct dialogue *d = *state;
	char line[5 + PK_USERNAME_MAX + 1 + 2 + 1] = "USER ";

	dialogue_begin(d);
	memset(line + 5, 'a', PK_USERNAME_MAX);
	memcpy(line + 5 + PK_USERNAME_MAX, "\r\n", 3);
	says(d, line, "+OK*\r\n");
	says(d, "PASS x\r\n", "+OK*\r\n");
	assert_int_equal(strlen(d->user), PK_USERNAME_MAX);
}

static void
test_user_refuses_a_name_that_is_too_long(void **state)
{
	struct dialogue *d = *state;
	char line[5 + PK_USERNAME_MAX + 1 + 2 + 1] = "USER ";

	dialogue_begin(d);
	memset(line + 5, 'a', PK_USERNAME_MAX + 1);
	memcpy(line + 5 + PK_USERNAME_MAX + 1, "\r\n", 3);
	says(d, line, "-ERR*\r\n");
	says(d, "PASS x\r\n", "-ERR*\r\n");
}

static void
test_session_refuses_passwords_where_they_are_not_allowed(void **state)
{
	static const enum pk_allow allow[] = { PK_ALLOW_NEVER, PK_ALLOW_TLS };
	struct dialogue *d = *state;
	size_t i;

	for (i = 0; i < 4; i++) {
		d->settings.passwords = allow[i / 2];
		d->settings.stls = i % 2;
		d->settings.tls = false;
		dialogue_begin(d);
		says(d, "USER ann\r\n", "-ERR [AUTH]*\r\n");
		says(d, "PASS secret\r\n", "-ERR*\r\n");
		says(d, "AUTH PLAIN\r\n", "-ERR [AUTH]*\r\n");
		says(d, "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", "-ERR [AUTH]*\r\n");
		says(d, "AUTH LOGIN\r\n", "-ERR [AUTH]*\r\n");
		pk_session_free(&d->s);
	}
	assert_int_equal(d->logins, 0);
}

static void
test_session_allows_passwords_in_tls(void **state)
{
	struct dialogue *d = *state;

	d->settings.passwords = PK_ALLOW_TLS;
	d->settings.tls = true;
	dialogue_log_in(d);
}

/* ---- results ------------------------------------------------------------ */

static void
test_session_says_why_a_login_failed(void **state)
{
	static const char *const codes[PK_LOGIN_RESULTS] = {
		NULL, "[AUTH]", "[AUTH]", "[AUTH]", "[AUTH]", "[SYS/TEMP]",
		"[SYS/PERM]", "[IN-USE]", "[LOGIN-DELAY]",
	};
	struct dialogue *d = *state;
	unsigned i;

	dialogue_begin(d);
	for (i = 1; i < PK_LOGIN_RESULTS; i++) {
		const char *line = pk_login_refusal((enum pk_login_result)i);

		expect(codes[i], strncmp(line, "-ERR ", 5) == 0);
		expect(codes[i], strncmp(line + 5, codes[i],
		    strlen(codes[i])) == 0);
		expect(codes[i], strlen(line) <= PK_REPLY_MAX);
		d->login = (enum pk_login_result)i;
		dialogue_send(d, span_of(LOGIN));
		expect(codes[i], strncmp((char *)d->out + d->out_len -
		    strlen(line), line, strlen(line)) == 0);
	}
	assert_int_equal(d->want, PK_WANT_INPUT);
}

static void
test_session_closes_after_too_many_failures(void **state)
{
	struct dialogue *d = *state;

	d->settings.max_failures = 2;
	d->login = PK_LOGIN_CREDENTIAL;
	dialogue_begin(d);
	says(d, LOGIN, "+OK*\r\n-ERR*\r\n");
	assert_int_equal(d->want, PK_WANT_INPUT);
	says(d, "APOP ann x\r\nCAPA\r\n", "-ERR*\r\n");
	assert_int_equal(d->want, PK_WANT_CLOSE);
	assert_int_equal(pk_session_end(d->s), PK_END_FAILURES);
}

static void
test_session_does_not_keep_what_was_typed(void **state)
{
	struct dialogue *d = *state;

	d->login = PK_LOGIN_CREDENTIAL;
	dialogue_begin(d);
	says(d, "USER sesame-user\r\nPASS sesame-pass\r\n",
	    "+OK*\r\n-ERR*\r\n");
	/* The session is one block of memory: look through all of it. */
	assert_false(span_has((struct pk_span){ (const uint8_t *)d->s,
	    malloc_usable_size(d->s) }, "sesame"));
}

/* ---- APOP --------------------------------------------------------------- */

static void
test_apop_asks_with_name_and_digest(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n",
	    "+OK*4 messages*\r\n");
	assert_int_equal(d->mech, PK_MECH_APOP);
	assert_string_equal(d->user, "mrose");
	assert_string_equal(d->secret, "c4c9334bac560ecc979e58001b3e22fb");
}

static void
test_apop_works_after_a_failed_login(void **state)
{
	struct dialogue *d = *state;

	d->login = PK_LOGIN_CREDENTIAL;
	dialogue_begin(d);
	says(d, LOGIN "APOP ann x\r\n",
	    "+OK*\r\n-ERR [AUTH]*\r\n-ERR [AUTH]*\r\n");
	d->login = PK_LOGIN_OK;
	says(d, "APOP ann x\r\n", "+OK*\r\n");
}

static void
test_apop_is_refused_where_it_is_not_offered(void **state)
{
	struct dialogue *d = *state;

	d->settings.challenge = NULL;
	dialogue_begin(d);
	says(d, "APOP ann x\r\n", "-ERR*\r\n");
	pk_session_free(&d->s);
	d->settings.challenge = CHALLENGE;
	d->settings.apop = PK_ALLOW_NEVER;
	dialogue_begin(d);
	says(d, "APOP ann x\r\n", "-ERR*\r\n");
	assert_int_equal(d->logins, 0);
}

static void
test_apop_waits_for_tls_if_it_must(void **state)
{
	struct dialogue *d = *state;

	d->settings.apop = PK_ALLOW_TLS;
	dialogue_begin(d);
	says(d, "APOP ann x\r\n", "-ERR [AUTH]*\r\n");
	assert_int_equal(d->logins, 0);
	says(d, "STLS\r\n", "+OK*\r\n");
	says(d, "APOP ann x\r\n", "+OK*\r\n");
	assert_int_equal(d->logins, 1);
}

/* ---- AUTH --------------------------------------------------------------- */

/* AGFubgBzZWNyZXQ= is NUL ann NUL secret; YW5u is ann, c2VjcmV0 secret. */
static const struct {
	const char *in, *pattern;
	const char *secret;		/* NULL: no question was asked */
} auths[] = {
	{ "AUTH PLAIN\r\nAGFubgBzZWNyZXQ=\r\n", "+ \r\n+OK*\r\n", "secret" },
	{ "auth plain AGFubgBzZWNyZXQ=\r\n", "+OK*\r\n", "secret" },
	{ "AUTH PLAIN YW5uAGFubgBzZWNyZXQ=\r\n", "+OK*\r\n", "secret" },
	{ "AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\n",
	    "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK*\r\n", "secret" },
	{ "AUTH PLAIN\r\n*\r\n", "+ \r\n-ERR*cancel*\r\n", NULL },
	{ "AUTH LOGIN\r\n*\r\n", "+*\r\n-ERR*\r\n", NULL },
	{ "AUTH LOGIN\r\nYW5u\r\n*\r\n", "+*\r\n+*\r\n-ERR*\r\n", NULL },
	{ "AUTH PLAIN\r\nQUIT\r\n", "+ \r\n-ERR*\r\n", NULL },
	{ "AUTH PLAIN\r\n?\r\n", "+ \r\n-ERR*\r\n", NULL },
	{ "AUTH PLAIN\r\n\r\n", "+ \r\n-ERR*\r\n", NULL },
	{ "AUTH PLAIN ?\r\n", "-ERR*\r\n", NULL },
	{ "AUTH PLAIN =\r\n", "-ERR*PLAIN*\r\n", NULL },
	{ "AUTH PLAIN *\r\n", "-ERR*\r\n", NULL },
	{ "AUTH PLAIN YW5u\r\n", "-ERR*\r\n", NULL },
	/* No one may act for another: authzid bob, an, annx; authcid ann. */
	{ "AUTH PLAIN Ym9iAGFubgBzZWNyZXQ=\r\n", "-ERR [AUTH]*\r\n", NULL },
	{ "AUTH PLAIN YW4AYW5uAHNlY3JldA==\r\n", "-ERR [AUTH]*\r\n", NULL },
	{ "AUTH PLAIN YW5ueABhbm4Ac2VjcmV0\r\n", "-ERR [AUTH]*\r\n", NULL },
	{ "AUTH LOGIN\r\n\r\n", "+*\r\n-ERR*\r\n", NULL },
	{ "AUTH LOGIN\r\nYW5u\r\n\r\n", "+*\r\n+*\r\n-ERR*\r\n", NULL },
	{ "AUTH LOGIN\r\nYW5u\r\n?\r\n", "+*\r\n+*\r\n-ERR*\r\n", NULL },
	/* LOGIN with the name as its initial response. */
	{ "AUTH LOGIN YW5u\r\nc2VjcmV0\r\n", "+*\r\n+OK*\r\n",
	    "secret" },
	{ "AUTH LOGIN =\r\n", "-ERR*\r\n", NULL },
	{ "AUTH PLAI\r\n", "-ERR*\r\n", NULL },
	{ "AUTH PLAINX\r\n", "-ERR*\r\n", NULL },
	{ "AUTH P\x0c" "AIN\r\n", "-ERR*\r\n", NULL },
	{ "AUTH CRAM-MD5\r\n", "-ERR*\r\n", NULL },
	{ "AUTH *\r\n", "-ERR*\r\n", NULL },
};

static void
test_auth_answers_each_case(void **state)
{
	struct dialogue *d = *state;
	size_t i;

	for (i = 0; i < sizeof(auths) / sizeof(auths[0]); i++) {
		d->logins = 0;
		dialogue_begin(d);
		says(d, auths[i].in, auths[i].pattern);
		expect(auths[i].in, d->logins == (auths[i].secret != NULL));
		if (auths[i].secret != NULL) {
			expect(auths[i].in, strcmp(d->user, "ann") == 0);
			expect(auths[i].in,
			    strcmp(d->secret, auths[i].secret) == 0);
		} else {
			says(d, LOGIN, LOGGED_IN);
		}
		pk_session_free(&d->s);
	}
}

static void
test_auth_names_its_mechanism(void **state)
{
	struct dialogue *d = *state;

	d->login = PK_LOGIN_CREDENTIAL;
	dialogue_begin(d);
	says(d, "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", "-ERR [AUTH]*\r\n");
	assert_int_equal(d->mech, PK_MECH_PLAIN);
	says(d, "AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\n",
	    "+*\r\n+*\r\n-ERR [AUTH]*\r\n");
	assert_int_equal(d->mech, PK_MECH_LOGIN);
}

/* A name of 256 octets in base64. */
static void
test_auth_login_refuses_a_name_that_is_too_long(void **state)
{
	struct dialogue *d = *state;
	char line[344 + 2 + 1];

	dialogue_begin(d);
	says(d, "AUTH LOGIN\r\n", "+*\r\n");
	memset(line, 'Y', 344);
	memcpy(line + 342, "==\r\n", 5);
	memcpy(line + 340, "YQ", 2);
	says(d, line, "-ERR*\r\n");
	says(d, "PASS x\r\n", "-ERR*\r\n");
}

/* ---- STLS --------------------------------------------------------------- */

static void
test_stls_discards_what_came_in_clear(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "STLS\r\nUSER eve\r\nPASS evil\r\nCAPA\r\n", "+OK*\r\n");
	assert_int_equal(d->tls_started, 1);
	assert_int_equal(d->logins, 0);
	says(d, LOGIN, LOGGED_IN);
	assert_string_equal(d->user, "ann");
}

static void
test_stls_discards_half_a_line(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "STLS\r\nUSER eve\r\nPA", "+OK*\r\n");
	says(d, "SS x\r\n", "-ERR*\r\n");
	assert_int_equal(d->logins, 0);
}

static void
test_stls_forgets_the_user_name(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "USER ann\r\nSTLS\r\n", "+OK*\r\n+OK*\r\n");
	says(d, "PASS secret\r\n", "-ERR*\r\n");
	assert_int_equal(d->logins, 0);
}

static void
test_stls_is_refused_twice_and_where_not_offered(void **state)
{
	struct dialogue *d = *state;

	dialogue_begin(d);
	says(d, "STLS\r\n", "+OK*\r\n");
	says(d, "STLS\r\n", "-ERR*\r\n");
	assert_int_equal(d->tls_started, 1);
	pk_session_free(&d->s);
	d->settings.stls = false;
	dialogue_begin(d);
	says(d, "STLS\r\n", "-ERR*\r\n");
	assert_int_equal(d->tls_started, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_greets_with_the_timestamp_that_apop_needs),
		TEST(test_session_greets_in_one_line_whatever_the_host),
		TEST(test_capa_lists_what_works_in_clear),
		TEST(test_capa_hides_passwords_until_tls),
		TEST(test_capa_lists_no_stls_where_it_is_not_to_be_had),
		TEST(test_capa_lists_no_stls_inside_tls),
		TEST(test_capa_tells_the_policy_with_user_before_login_only),
		TEST(test_capa_lists_top_unless_it_is_denied),
		TEST(test_session_refuses_other_states_commands_before_login),
		TEST(test_session_refuses_malformed_commands_before_login),
		TEST(test_session_quits_without_update_before_login),
		TEST(test_pass_asks_with_name_and_password),
		TEST(test_pass_follows_user_immediately),
		TEST(test_pass_needs_user_again_after_a_refusal),
		TEST(test_user_takes_names_up_to_its_limit),
		TEST(test_user_refuses_a_name_that_is_too_long),
		TEST(test_session_refuses_passwords_where_they_are_not_allowed),
		TEST(test_session_allows_passwords_in_tls),
		TEST(test_session_says_why_a_login_failed),
		TEST(test_session_closes_after_too_many_failures),
		TEST(test_session_does_not_keep_what_was_typed),
		TEST(test_apop_asks_with_name_and_digest),
		TEST(test_apop_works_after_a_failed_login),
		TEST(test_apop_is_refused_where_it_is_not_offered),
		TEST(test_apop_waits_for_tls_if_it_must),
		TEST(test_auth_answers_each_case),
		TEST(test_auth_names_its_mechanism),
		TEST(test_auth_login_refuses_a_name_that_is_too_long),
		TEST(test_stls_discards_what_came_in_clear),
		TEST(test_stls_discards_half_a_line),
		TEST(test_stls_forgets_the_user_name),
		TEST(test_stls_is_refused_twice_and_where_not_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
