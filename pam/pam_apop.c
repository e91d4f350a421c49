/*
 * pam_apop.so: checks an APOP digest (RFC 1939 section 7) against the store of
 * shared secrets.  The challenge comes from the application by pam_putenv(3),
 * the digest by the conversation.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

#include "engine/apop.h"
#include "pam/client.h"
#include "pam/secrets.h"

#define EXPORT __attribute__((__visibility__("default")))

struct options {
	const char *secrets;
	const char *key;
};

/* An option of the module's line: "name=value". */
struct option {
	const char *name;	/* with its "=" */
	size_t offset;		/* of the const char * in struct options */
};

static const struct option option_table[] = {
	{ "secrets=", offsetof(struct options, secrets) },
	{ "key=", offsetof(struct options, key) },
};

static bool
set_option(struct options *options, const char *arg)
{
	const struct option *o;
	size_t i, len;

	for (i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++) {
		o = &option_table[i];
		len = strlen(o->name);
		if (strncmp(arg, o->name, len) == 0 && arg[len] == '/') {
			*(const char **)((char *)options + o->offset) =
			    arg + len;
			return true;
		}
	}
	return false;
}

static bool
parse_options(pam_handle_t *pamh, int argc, const char **argv,
    struct options *options)
{
	int i;

	options->secrets = PK_SECRETS_STORE;
	options->key = PK_SECRETS_KEY;
	for (i = 0; i < argc; i++)
		if (!set_option(options, argv[i])) {
			pam_syslog(pamh, LOG_ERR, "option \"%s\": expected "
			    "secrets=/PATH or key=/PATH", argv[i]);
			return false;
		}
	return true;
}

static struct pk_span
span_of(const char *text)
{
	struct pk_span span = { (const uint8_t *)text, strlen(text) };

	return span;
}

/*
 * A wrong digest and an unknown user end in the same place, after the same
 * work.  The store is open no longer than this: the module may be unloaded.
 */
static int
check(pam_handle_t *pamh, const struct options *options, const char *user,
    const char *challenge, const char *digest)
{
	char why[PK_SECRETS_WHY];
	struct pk_secrets *store;
	enum pk_err err;
	bool match = false;

	store = pk_secrets_open(options->secrets, options->key,
	    PK_SECRETS_READ, why);
	if (store == NULL) {
		pam_syslog(pamh, LOG_ERR, "%s", why);
		return PAM_AUTHINFO_UNAVAIL;
	}
	err = pk_secrets_apop(store, user, span_of(challenge),
	    span_of(digest), &match);
	pk_secrets_close(&store);
	if (err != PK_OK) {
		pam_syslog(pamh, LOG_ERR, "store %s: %s", options->secrets,
		    err == PK_ERR_CRYPTO ? "an entry does not open (set the "
		    "secret again)" : "cannot be read");
		return PAM_AUTHINFO_UNAVAIL;
	}
	return match ? PAM_SUCCESS : PAM_AUTH_ERR;
}

EXPORT int
pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct options options;
	const char *user = NULL, *challenge, *digest = NULL;

	(void)flags;
	if (!parse_options(pamh, argc, argv, &options))
		return PAM_SERVICE_ERR;
	if (!pk_apop_is_available()) {
		pam_syslog(pamh, LOG_ERR, "libcrypto offers no MD5 (FIPS "
		    "mode?): APOP cannot be used here");
		return PAM_AUTHINFO_UNAVAIL;
	}
	challenge = pam_getenv(pamh, PK_PAM_CHALLENGE);
	if (challenge == NULL) {
		pam_syslog(pamh, LOG_ERR, "no challenge: the application does "
		    "not speak APOP, or this stack serves passwords");
		return PAM_AUTHINFO_UNAVAIL;
	}
	if (pam_get_user(pamh, &user, NULL) != PAM_SUCCESS || user == NULL ||
	    pam_get_authtok(pamh, PAM_AUTHTOK, &digest, NULL) != PAM_SUCCESS ||
	    digest == NULL)
		return PAM_AUTHINFO_UNAVAIL;
	return check(pamh, &options, user, challenge, digest);
}

/* There are no credentials; a refusal here would end the login. */
EXPORT int
pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
