/*
 * Checking one credential: PAM, or the secret store, and then the account it
 * leads to.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "pam/client.h"
#include "pam/secrets.h"
#include "standalone/policy_client.h"
#include "standalone/role.h"

double
pk_login_patience(const struct pk_settings *settings)
{
	return 2.0 * settings->pam_timeout + PK_POLICY_PATIENCE + 1;
}

static void
set_reason(struct pk_msg_checked *c, const char *text)
{
	snprintf(c->reason, sizeof(c->reason), "%s", text);
}

static enum pk_login_result
check_store(struct pk_secrets *secrets, const struct pk_msg_login *login,
    struct pk_msg_checked *c)
{
	struct pk_span challenge = { (const uint8_t *)login->challenge,
	    strlen(login->challenge) };
	struct pk_span digest = { (const uint8_t *)login->secret,
	    login->secret_len };
	bool match = false;

	if (secrets == NULL) {
		set_reason(c, "the secret store is not open");
		return PK_LOGIN_PERMANENT;
	}
	if (pk_secrets_apop(secrets, login->user, challenge, digest,
	    &match) != PK_OK) {
		set_reason(c, "the secret store failed");
		return PK_LOGIN_TEMPORARY;
	}
	if (!match) {
		set_reason(c, "unknown user or wrong digest");
		return PK_LOGIN_CREDENTIAL;
	}
	return PK_LOGIN_OK;
}

/* login->user becomes what PAM made of it. */
static enum pk_login_result
check_pam(const struct pk_settings *s, struct pk_msg_login *login,
    struct pk_msg_checked *c, struct pk_pam_session **keep_r)
{
	bool apop = login->mech == PK_MECH_APOP;
	struct pk_pam_login pam = {
		.service = apop ? s->pam_apop_service : s->pam_service,
		.confdir = s->pam_confdir,
		.user = login->user,
		.secret = login->secret,
		.challenge = apop ? login->challenge : NULL,
		.rhost = login->rhost,
		.tty = "pop3",
	};
	struct pk_pam_outcome out;
	struct pk_span name;

	pk_pam_login(&pam, &out, keep_r);
	set_reason(c, out.reason);
	if (out.result != PK_LOGIN_OK)
		return out.result;
	name.data = (const uint8_t *)out.user;
	name.len = strlen(out.user);
	if (pk_username_canonical(&s->names, name, login->user) != PK_OK) {
		set_reason(c, "PAM_USER is no valid user name");
		return PK_LOGIN_PERMANENT;
	}
	return PK_LOGIN_OK;
}

static enum pk_login_result
find_account(const struct pk_users_source *users, const char *user,
    struct pk_msg_checked *c)
{
	enum pk_users_found found = pk_users_find(users, user, &c->account);

	if (found == PK_USERS_FOUND)
		return PK_LOGIN_OK;
	set_reason(c, pk_users_found_name(found));
	switch (found) {
	case PK_USERS_FOUND:
	case PK_USERS_UNKNOWN:
	case PK_USERS_FORBIDDEN:
		/* As if the credential were wrong: the name is not for us. */
		return PK_LOGIN_CREDENTIAL;
	case PK_USERS_FAILED:
		return PK_LOGIN_TEMPORARY;
	case PK_USERS_TOO_LONG:
		break;
	}
	return PK_LOGIN_PERMANENT;
}

void
pk_login_check(const struct pk_settings *settings,
    const struct pk_users_source *users, struct pk_secrets *secrets,
    const struct pk_msg_login *request, struct pk_msg_checked *c,
    struct pk_pam_session **keep_r)
{
	struct pk_msg_login login = *request;
	struct pk_span name = { (const uint8_t *)request->user,
	    request->user_len };
	enum pk_login_result result;

	memset(c, 0, sizeof(*c));
	if (keep_r != NULL)
		*keep_r = NULL;
	c->id = request->id;
	login.secret[login.secret_len] = '\0';
	if (pk_username_canonical(&settings->names, name, login.user) !=
	    PK_OK) {
		set_reason(c, "not a valid user name");
		result = PK_LOGIN_CREDENTIAL;
	} else if (login.secret_len == 0 ||
	    strlen(login.secret) != login.secret_len) {
		set_reason(c, "the secret is empty or has a NUL");
		result = PK_LOGIN_CREDENTIAL;
	} else if (login.mech == PK_MECH_APOP &&
	    settings->apop_through == PK_APOP_STORE) {
		result = check_store(secrets, &login, c);
	} else {
		result = check_pam(settings, &login, c, keep_r);
	}
	/* The only way to success. */
	if (result == PK_LOGIN_OK)
		result = find_account(users, login.user, c);
	OPENSSL_cleanse(&login, sizeof(login));
	c->result = (uint32_t)result;
}
