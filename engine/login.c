/*
 * The words for mechanisms and login results in logs and policy.
 *
 * SPDX-License-Identifier: ISC
 */
#include "engine/login.h"

static const char *const mechanism_names[PK_MECHANISMS] = {
	[PK_MECH_PASS] = "USER",
	[PK_MECH_APOP] = "APOP",
	[PK_MECH_PLAIN] = "PLAIN",
	[PK_MECH_LOGIN] = "LOGIN",
};

static const char *const result_names[PK_LOGIN_RESULTS] = {
	[PK_LOGIN_OK] = "ok",
	[PK_LOGIN_CREDENTIAL] = "credential",
	[PK_LOGIN_EXPIRED] = "expired",
	[PK_LOGIN_NEW_PASSWORD] = "new-password",
	[PK_LOGIN_DENIED] = "denied",
	[PK_LOGIN_TEMPORARY] = "temporary",
	[PK_LOGIN_PERMANENT] = "permanent",
	[PK_LOGIN_IN_USE] = "in-use",
	[PK_LOGIN_TOO_EARLY] = "login-delay",
};

const char *
pk_mechanism_name(enum pk_mechanism mech)
{
	return mechanism_names[mech];
}

const char *
pk_login_result_name(enum pk_login_result result)
{
	return result_names[result];
}
