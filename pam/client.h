/*
 * The PAM client that every front end uses: one login, start to end.
 * It blocks for as long as the stack does: call it in a process of its own.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_PAM_CLIENT_H
#define PK_PAM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/login.h"
#include "engine/username.h"

/* The environment variable, of the PAM handle only, that carries a challenge. */
#define PK_PAM_CHALLENGE "POPKEEP_APOP_CHALLENGE"

/* One attempt.  Strings are NUL-terminated and borrowed during the call. */
struct pk_pam_login {
	const char *service;	/* "popkeep", "popkeep-apop" */
	const char *confdir;	/* pam_start_confdir(3)'s; NULL: the system's */
	const char *user;	/* canonical already */
	const char *secret;	/* a password, or APOP's digest in hex */
	const char *challenge;	/* APOP's, with "<" and ">"; else NULL */
	const char *rhost;	/* PAM_RHOST: the client's address, numeric */
	const char *tty;	/* PAM_TTY: "pop3" */
};

/* A PAM handle after a login with keep set. */
struct pk_pam_session;

/* What a login led to. */
struct pk_pam_outcome {
	enum pk_login_result result;
	char user[PK_USERNAME_SIZE];	/* PAM_USER after the stack */
	char reason[128];		/* for the log: pam_strerror(3), call */
};

/*
 * pam_start, pam_authenticate, pam_acct_mgmt, pam_setcred, and unless keep_r
 * is given pam_end.  PAM_FAIL_DELAY is answered without waiting (the network
 * process delays).  Prompts: PAM_PROMPT_ECHO_OFF gets the secret,
 * PAM_PROMPT_ECHO_ON the user; messages are dropped.  An empty password is
 * not accepted by the stack (PAM_DISALLOW_NULL_AUTHTOK).
 *
 * The codes become results, and only a success of every call is PK_LOGIN_OK:
 * PAM_ACCT_EXPIRED EXPIRED; PAM_NEW_AUTHTOK_REQD and PAM_AUTHTOK_EXPIRED
 * NEW_PASSWORD; PAM_PERM_DENIED, PAM_AUTH_ERR and PAM_USER_UNKNOWN of the
 * account phase and of pam_setcred, and its PAM_CRED_EXPIRED, DENIED; wrong,
 * unknown, locked (PAM_AUTH_ERR, PAM_USER_UNKNOWN, PAM_MAXTRIES,
 * PAM_PERM_DENIED, PAM_CRED_INSUFFICIENT of the authentication) CREDENTIAL;
 * what only an administrator can mend (no such service or module, PAM_ABORT,
 * PAM_SYMBOL_ERR...) PERMANENT; everything else TEMPORARY.
 *
 * keep_r: on PK_LOGIN_OK the handle stays open in *keep_r for
 * pk_pam_session_open(); else *keep_r is NULL, and credentials that were
 * established (they may be a file) are deleted again.
 */
void pk_pam_login(const struct pk_pam_login *login,
    struct pk_pam_outcome *outcome_r, struct pk_pam_session **keep_r);

/*
 * The same for a credential that is checked elsewhere: pam_start, pam_acct_mgmt,
 * pam_end.  secret may be NULL and challenge is not looked at; a stack that
 * prompts for a secret then fails.
 */
void pk_pam_account(const struct pk_pam_login *login,
    struct pk_pam_outcome *outcome_r);

/*
 * pam_open_session(3) on a kept handle.  false: it refused; the reason is in
 * reason (size octets, with a NUL).
 */
bool pk_pam_session_open(struct pk_pam_session *ps, char *reason, size_t size)
    __attribute__((__warn_unused_result__));

/*
 * For a process forked while ps was open: wipe and free the handle in it, which
 * may hold the password, without ending anything (pam_end(3), PAM_DATA_SILENT).
 */
void pk_pam_session_forget(struct pk_pam_session **psp);

/* Close the session if open, delete the credentials, pam_end, *psp = NULL. */
void pk_pam_session_close(struct pk_pam_session **psp);

#endif
