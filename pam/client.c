/*
 * The PAM client: authentication, account, credentials, and if wanted a
 * session that outlives the login.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <security/pam_appl.h>

#include "engine/apop.h"
#include "pam/client.h"

/* The stack may not take an empty password, and whom would it talk to? */
#define FLAGS (PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK)

struct pk_pam_session {
	pam_handle_t *pamh;
	int code;		/* of the last call, for pam_end(3) */
	bool established;	/* credentials are to be deleted */
	bool open;		/* a session is to be closed */
	const char *user;	/* answers of the conversation... */
	const char *secret;	/* ...NULL when the login is over */
};

/* A PAM code and what it means in one phase. */
struct meaning {
	int code;
	enum pk_login_result result;
};

/* One call of a login; its meanings end with PAM_SUCCESS. */
struct phase {
	const char *name;
	int (*call)(struct pk_pam_session *, const struct pk_pam_login *);
	const struct meaning *meanings;
};

/* What a code means wherever it comes from; all that is not listed may pass. */
static const struct meaning common_meanings[] = {
	{ PAM_ACCT_EXPIRED, PK_LOGIN_EXPIRED },
	{ PAM_NEW_AUTHTOK_REQD, PK_LOGIN_NEW_PASSWORD },
	{ PAM_AUTHTOK_EXPIRED, PK_LOGIN_NEW_PASSWORD },
	{ PAM_OPEN_ERR, PK_LOGIN_PERMANENT },
	{ PAM_SYMBOL_ERR, PK_LOGIN_PERMANENT },
	{ PAM_MODULE_UNKNOWN, PK_LOGIN_PERMANENT },
	{ PAM_NO_MODULE_DATA, PK_LOGIN_PERMANENT },
	{ PAM_BAD_ITEM, PK_LOGIN_PERMANENT },
	{ PAM_ABORT, PK_LOGIN_PERMANENT },
	{ PAM_SUCCESS, PK_LOGIN_TEMPORARY }
};

static const struct meaning auth_meanings[] = {
	{ PAM_AUTH_ERR, PK_LOGIN_CREDENTIAL },
	{ PAM_USER_UNKNOWN, PK_LOGIN_CREDENTIAL },
	{ PAM_MAXTRIES, PK_LOGIN_CREDENTIAL },
	{ PAM_PERM_DENIED, PK_LOGIN_CREDENTIAL },
	{ PAM_CRED_INSUFFICIENT, PK_LOGIN_CREDENTIAL },
	{ PAM_SUCCESS, PK_LOGIN_TEMPORARY }
};

/* From here on the secret was right. */
static const struct meaning account_meanings[] = {
	{ PAM_AUTH_ERR, PK_LOGIN_DENIED },
	{ PAM_PERM_DENIED, PK_LOGIN_DENIED },
	{ PAM_USER_UNKNOWN, PK_LOGIN_DENIED },
	{ PAM_SUCCESS, PK_LOGIN_TEMPORARY }
};

static const struct meaning credential_meanings[] = {
	{ PAM_AUTH_ERR, PK_LOGIN_DENIED },
	{ PAM_PERM_DENIED, PK_LOGIN_DENIED },
	{ PAM_USER_UNKNOWN, PK_LOGIN_DENIED },
	{ PAM_CRED_EXPIRED, PK_LOGIN_DENIED },
	{ PAM_SUCCESS, PK_LOGIN_TEMPORARY }
};

static const struct meaning no_meanings[] = {
	{ PAM_SUCCESS, PK_LOGIN_TEMPORARY }
};

/* Never PK_LOGIN_OK, whatever the code. */
static enum pk_login_result
result_of(const struct meaning *own, int code)
{
	const struct meaning *m;

	for (m = own; m->code != PAM_SUCCESS; m++)
		if (m->code == code)
			return m->result;
	for (m = common_meanings; m->code != PAM_SUCCESS; m++)
		if (m->code == code)
			return m->result;
	return PK_LOGIN_TEMPORARY;
}

/* PAM_FAIL_DELAY: the network process delays, without a process that waits. */
static void
no_delay(int code, unsigned int usec, void *data)
{
	(void)code;
	(void)usec;
	(void)data;
}

/* The answer to one message: a copy, or NULL where none is expected. */
static int
answer(const struct pk_pam_session *ps, int style, char **resp_r)
{
	const char *text;

	switch (style) {
	case PAM_PROMPT_ECHO_OFF:
		text = ps->secret;
		break;
	case PAM_PROMPT_ECHO_ON:
		text = ps->user;
		break;
	case PAM_ERROR_MSG:
	case PAM_TEXT_INFO:
		*resp_r = NULL;
		return PAM_SUCCESS;
	default:
		return PAM_CONV_ERR;
	}
	if (text == NULL)
		return PAM_CONV_ERR;
	*resp_r = strdup(text);
	return *resp_r == NULL ? PAM_BUF_ERR : PAM_SUCCESS;
}

static void
responses_free(struct pam_response *resp, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (resp[i].resp == NULL)
			continue;
		OPENSSL_cleanse(resp[i].resp, strlen(resp[i].resp));
		free(resp[i].resp);
	}
	free(resp);
}

/* On success the responses belong to the module (pam_conv(3)). */
static int
converse(int count, const struct pam_message **msg,
    struct pam_response **resp_r, void *data)
{
	const struct pk_pam_session *ps = data;
	struct pam_response *resp;
	int code, i;

	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	resp = calloc((size_t)count, sizeof(*resp));
	if (resp == NULL)
		return PAM_BUF_ERR;
	for (i = 0; i < count; i++) {
		code = answer(ps, msg[i]->msg_style, &resp[i].resp);
		if (code != PAM_SUCCESS) {
			responses_free(resp, count);
			return code;
		}
	}
	*resp_r = resp;
	return PAM_SUCCESS;
}

/* An item without a value stays unset: modules test for NULL, not for "". */
static int
set_text(pam_handle_t *pamh, int item, const char *text)
{
	if (text == NULL || *text == '\0')
		return PAM_SUCCESS;
	return pam_set_item(pamh, item, text);
}

static int
start(struct pk_pam_session *ps, const struct pk_pam_login *login)
{
	const struct pam_conv conv = { converse, ps };
	int code;

	if (login->confdir != NULL)
		code = pam_start_confdir(login->service, login->user, &conv,
		    login->confdir, &ps->pamh);
	else
		code = pam_start(login->service, login->user, &conv, &ps->pamh);
	if (code != PAM_SUCCESS) {
		ps->pamh = NULL;
		return code;
	}
	code = pam_set_item(ps->pamh, PAM_FAIL_DELAY, (const void *)no_delay);
	if (code == PAM_SUCCESS)
		code = set_text(ps->pamh, PAM_RHOST, login->rhost);
	if (code == PAM_SUCCESS)
		code = set_text(ps->pamh, PAM_TTY, login->tty);
	return code;
}

/*
 * The challenge is in the handle's environment for the authentication only:
 * no session inherits it.
 */
static int
authenticate(struct pk_pam_session *ps, const struct pk_pam_login *login)
{
	char env[sizeof(PK_PAM_CHALLENGE "=") + PK_APOP_CHALLENGE_SIZE];
	int code, len, removed;

	if (login->challenge == NULL)
		return pam_authenticate(ps->pamh, FLAGS);
	len = snprintf(env, sizeof(env), "%s=%s", PK_PAM_CHALLENGE,
	    login->challenge);
	if (len < 0 || (size_t)len >= sizeof(env))
		return PAM_BUF_ERR;
	code = pam_putenv(ps->pamh, env);
	if (code != PAM_SUCCESS)
		return code;
	code = pam_authenticate(ps->pamh, FLAGS);
	removed = pam_putenv(ps->pamh, PK_PAM_CHALLENGE);
	return code != PAM_SUCCESS ? code : removed;
}

static int
check_account(struct pk_pam_session *ps, const struct pk_pam_login *login)
{
	(void)login;
	return pam_acct_mgmt(ps->pamh, FLAGS);
}

static int
establish(struct pk_pam_session *ps, const struct pk_pam_login *login)
{
	int code;

	(void)login;
	code = pam_setcred(ps->pamh, PAM_ESTABLISH_CRED | PAM_SILENT);
	ps->established = code == PAM_SUCCESS;
	return code;
}

static const struct phase login_phases[] = {
	{ "pam_start", start, no_meanings },
	{ "pam_authenticate", authenticate, auth_meanings },
	{ "pam_acct_mgmt", check_account, account_meanings },
	{ "pam_setcred", establish, credential_meanings },
	{ NULL, NULL, NULL }
};

static const struct phase account_phases[] = {
	{ "pam_start", start, no_meanings },
	{ "pam_acct_mgmt", check_account, account_meanings },
	{ NULL, NULL, NULL }
};

/* Not for a success, which has no reason. */
static void
refuse(struct pk_pam_outcome *outcome, enum pk_login_result result,
    const char *call, const char *reason)
{
	assert(result != PK_LOGIN_OK);
	outcome->result = result;
	snprintf(outcome->reason, sizeof(outcome->reason), "%s: %s", call,
	    reason);
}

static bool
run_phases(const struct phase *p, struct pk_pam_session *ps,
    const struct pk_pam_login *login, struct pk_pam_outcome *outcome)
{
	for (; p->name != NULL; p++) {
		ps->code = p->call(ps, login);
		if (ps->code != PAM_SUCCESS) {
			refuse(outcome, result_of(p->meanings, ps->code),
			    p->name, pam_strerror(ps->pamh, ps->code));
			return false;
		}
	}
	return true;
}

/* A module may have put another name in the place of the one given. */
static bool
final_user(struct pk_pam_session *ps, struct pk_pam_outcome *outcome)
{
	const void *item = NULL;
	size_t len;

	ps->code = pam_get_item(ps->pamh, PAM_USER, &item);
	len = ps->code == PAM_SUCCESS && item != NULL ? strlen(item) : 0;
	if (len == 0 || len >= sizeof(outcome->user)) {
		refuse(outcome, PK_LOGIN_PERMANENT, "PAM_USER",
		    len == 0 ? "empty after the stack" : "too long");
		return false;
	}
	memcpy(outcome->user, item, len + 1);
	return true;
}

/* What cannot be given to a stack; PAM bounds the answers itself. */
static bool
is_fit(const struct pk_pam_login *login, struct pk_pam_outcome *outcome)
{
	size_t len = strlen(login->user);

	if (len == 0 || len >= sizeof(outcome->user)) {
		refuse(outcome, PK_LOGIN_CREDENTIAL, "user",
		    len == 0 ? "empty" : "too long");
		return false;
	}
	memcpy(outcome->user, login->user, len + 1);
	if (login->secret != NULL &&
	    strlen(login->secret) >= PAM_MAX_RESP_SIZE) {
		refuse(outcome, PK_LOGIN_CREDENTIAL, "secret", "too long");
		return false;
	}
	return true;
}

/* The handle after all phases; NULL: one of them has refused. */
static struct pk_pam_session *
run(const struct phase *phases, const struct pk_pam_login *login,
    struct pk_pam_outcome *outcome_r)
{
	struct pk_pam_session *ps;

	memset(outcome_r, 0, sizeof(*outcome_r));
	refuse(outcome_r, PK_LOGIN_TEMPORARY, "PAM", "out of memory");
	if (!is_fit(login, outcome_r))
		return NULL;
	ps = calloc(1, sizeof(*ps));
	if (ps == NULL)
		return NULL;
	ps->user = login->user;
	ps->secret = login->secret;
	if (run_phases(phases, ps, login, outcome_r) &&
	    final_user(ps, outcome_r)) {
		outcome_r->result = PK_LOGIN_OK;
		outcome_r->reason[0] = '\0';
	}
	ps->user = NULL;
	ps->secret = NULL;
	if (outcome_r->result != PK_LOGIN_OK)
		pk_pam_session_close(&ps);
	return ps;
}

void
pk_pam_login(const struct pk_pam_login *login,
    struct pk_pam_outcome *outcome_r, struct pk_pam_session **keep_r)
{
	struct pk_pam_session *ps = run(login_phases, login, outcome_r);

	if (keep_r != NULL)
		*keep_r = ps;
	else
		pk_pam_session_close(&ps);
}

void
pk_pam_account(const struct pk_pam_login *login,
    struct pk_pam_outcome *outcome_r)
{
	struct pk_pam_session *ps = run(account_phases, login, outcome_r);

	pk_pam_session_close(&ps);
}

bool
pk_pam_session_open(struct pk_pam_session *ps, char *reason, size_t size)
{
	assert(!ps->open);
	ps->code = pam_open_session(ps->pamh, PAM_SILENT);
	ps->open = ps->code == PAM_SUCCESS;
	if (!ps->open)
		snprintf(reason, size, "pam_open_session: %s",
		    pam_strerror(ps->pamh, ps->code));
	return ps->open;
}

/* Credentials may be tickets in a file: they do not outlive the handle. */
void
pk_pam_session_close(struct pk_pam_session **psp)
{
	struct pk_pam_session *ps = *psp;

	if (ps == NULL)
		return;
	if (ps->open)
		ps->code = pam_close_session(ps->pamh, PAM_SILENT);
	if (ps->established)
		(void)pam_setcred(ps->pamh, PAM_DELETE_CRED | PAM_SILENT);
	if (ps->pamh != NULL)
		(void)pam_end(ps->pamh, ps->code);
	free(ps);
	*psp = NULL;
}

void
pk_pam_session_forget(struct pk_pam_session **psp)
{
	struct pk_pam_session *ps = *psp;

	if (ps == NULL)
		return;
	if (ps->pamh != NULL)
		(void)pam_end(ps->pamh, PAM_SUCCESS | PAM_DATA_SILENT);
	free(ps);
	*psp = NULL;
}
