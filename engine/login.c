/*
 * The words for mechanisms and login results in logs and policy.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>

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

const char *
pk_login_refusal(enum pk_login_result result)
{
	static const char *const lines[PK_LOGIN_RESULTS] = {
		[PK_LOGIN_CREDENTIAL] = "-ERR [AUTH] Authentication failed\r\n",
		[PK_LOGIN_EXPIRED] = "-ERR [AUTH] The account has expired\r\n",
		[PK_LOGIN_NEW_PASSWORD] =
		    "-ERR [AUTH] The password must be changed first\r\n",
		[PK_LOGIN_DENIED] =
		    "-ERR [AUTH] Login is not permitted now or from here\r\n",
		[PK_LOGIN_TEMPORARY] =
		    "-ERR [SYS/TEMP] The server cannot do this now, "
		    "try again later\r\n",
		[PK_LOGIN_PERMANENT] =
		    "-ERR [SYS/PERM] The server is not set up for this, "
		    "tell its administrator\r\n",
		[PK_LOGIN_IN_USE] =
		    "-ERR [IN-USE] Another session has the maildrop open\r\n",
		[PK_LOGIN_TOO_EARLY] =
		    "-ERR [LOGIN-DELAY] Too soon after the last login, "
		    "try again later\r\n",
	};

	assert(result != PK_LOGIN_OK);
	return lines[result];
}
