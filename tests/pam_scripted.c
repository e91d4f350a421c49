/*
 * A PAM module that does what the user's name says: "auth.7" returns 7 from
 * the authentication, "acct.", "cred." and "open." from the other calls;
 * actions[] has the rest.  What it sees is appended to the file in log=FILE.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

#define EXPORT __attribute__((__visibility__("default")))

static void note(int, const char **, const char *, ...)
    __attribute__((__format__(__printf__, 3, 4)));

static void
note(int argc, const char **argv, const char *format, ...)
{
	FILE *file;
	va_list ap;

	if (argc < 1 || strncmp(argv[0], "log=", 4) != 0)
		abort();
	file = fopen(argv[0] + 4, "a");
	if (file == NULL)
		abort();
	va_start(ap, format);
	vfprintf(file, format, ap);
	va_end(ap);
	fclose(file);
}

static const char *
item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	if (pam_get_item(pamh, type, &value) != PAM_SUCCESS || value == NULL)
		return "-";
	return value;
}

static int
code_of(pam_handle_t *pamh, const char *phase)
{
	const char *user = item(pamh, PAM_USER);
	size_t len = strlen(phase);

	if (strncmp(user, phase, len) == 0 && user[len] == '.')
		return atoi(user + len + 1);
	return PAM_SUCCESS;
}

static const char *
challenge(pam_handle_t *pamh)
{
	const char *value = pam_getenv(pamh, "POPKEEP_APOP_CHALLENGE");

	return value == NULL ? "-" : value;
}

/* Ask with three prompts at once; style is the last one's. */
static int
ask(pam_handle_t *pamh, int argc, const char **argv, int style)
{
	const struct pam_message off = { PAM_PROMPT_ECHO_OFF, "Secret" };
	const struct pam_message on = { PAM_PROMPT_ECHO_ON, "User" };
	const struct pam_message last = { style, "Well" };
	const struct pam_message *messages[] = { &off, &on, &last };
	struct pam_response *resp = NULL;
	const struct pam_conv *conv;
	const void *value;
	int code, i;

	if (pam_get_item(pamh, PAM_CONV, &value) != PAM_SUCCESS)
		return PAM_ABORT;
	conv = value;
	code = conv->conv(3, messages, &resp, conv->appdata_ptr);
	if (code != PAM_SUCCESS) {
		note(argc, argv, "conv failed\n");
		return code;
	}
	note(argc, argv, "off=%s on=%s last=%s\n", resp[0].resp, resp[1].resp,
	    resp[2].resp == NULL ? "-" : resp[2].resp);
	for (i = 0; i < 3; i++)
		free(resp[i].resp);
	free(resp);
	return code;
}

static int
ask_one(pam_handle_t *pamh, int argc, const char **argv, int style)
{
	char *answer = NULL;
	int code;

	code = pam_prompt(pamh, style, &answer, "Well");
	note(argc, argv, code == PAM_SUCCESS ? "answered\n" :
	    "conv failed\n");
	free(answer);
	return code;
}

static int
act(pam_handle_t *pamh, int argc, const char **argv)
{
	const char *user = item(pamh, PAM_USER);
	char name[300];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	if (strcmp(user, "delay") == 0)
		return pam_fail_delay(pamh, 5000000) == PAM_SUCCESS ?
		    PAM_AUTH_ERR : PAM_ABORT;
	if (strcmp(user, "rename") == 0)
		return pam_set_item(pamh, PAM_USER, "renamed");
	if (strcmp(user, "unname") == 0)
		return pam_set_item(pamh, PAM_USER, "");
	if (strcmp(user, "longest") == 0)
		return pam_set_item(pamh, PAM_USER, name + 44);
	if (strcmp(user, "too-long") == 0)
		return pam_set_item(pamh, PAM_USER, name + 43);
	if (strcmp(user, "ask") == 0)
		return ask(pamh, argc, argv, PAM_TEXT_INFO);
	if (strcmp(user, "ask-badly") == 0)
		return ask(pamh, argc, argv, 99);
	return code_of(pamh, "auth");
}

EXPORT int
pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	note(argc, argv, "auth rhost=%s tty=%s null=%d challenge=%s\n",
	    item(pamh, PAM_RHOST), item(pamh, PAM_TTY),
	    (flags & PAM_DISALLOW_NULL_AUTHTOK) == 0, challenge(pamh));
	return act(pamh, argc, argv);
}

EXPORT int
pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	note(argc, argv, "acct challenge=%s\n", challenge(pamh));
	return code_of(pamh, "acct");
}

EXPORT int
pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	if ((flags & PAM_DELETE_CRED) != 0) {
		note(argc, argv, "cred delete\n");
		return PAM_SUCCESS;
	}
	note(argc, argv, "cred %s\n", (flags & PAM_ESTABLISH_CRED) != 0 ?
	    "establish" : "?");
	return code_of(pamh, "cred");
}

EXPORT int
pam_sm_open_session(pam_handle_t *pamh, int flags, int argc,
    const char **argv)
{
	(void)flags;
	note(argc, argv, "open challenge=%s\n", challenge(pamh));
	if (strcmp(item(pamh, PAM_USER), "session-asks-secret") == 0)
		return ask_one(pamh, argc, argv, PAM_PROMPT_ECHO_OFF);
	if (strcmp(item(pamh, PAM_USER), "session-asks-user") == 0)
		return ask_one(pamh, argc, argv, PAM_PROMPT_ECHO_ON);
	return code_of(pamh, "open");
}

EXPORT int
pam_sm_close_session(pam_handle_t *pamh, int flags, int argc,
    const char **argv)
{
	(void)pamh;
	(void)flags;
	note(argc, argv, "close\n");
	return PAM_SUCCESS;
}
