/*
 * Trying a configuration: see check.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pwd.h>
#include <unistd.h>

#include "standalone/check.h"
#include "standalone/tls.h"
#include "standalone/users.h"

static bool
check_tls(const struct pk_settings *s, const char *file, FILE *errors)
{
	SSL_CTX *ctx;

	if (s->tls_certificate == NULL)
		return true;
	ctx = pk_tls_new(s, errors);
	if (ctx == NULL) {
		fprintf(errors, "%s: TLS cannot be offered\n", file);
		return false;
	}
	SSL_CTX_free(ctx);
	return true;
}

static bool
check_users(const struct pk_settings *s, FILE *errors)
{
	struct pk_users_source *users = pk_users_open(s, errors);
	bool ok = users != NULL;

	pk_users_close(&users);
	return ok;
}

static bool
check_net_user(const struct pk_settings *s, const char *file, FILE *errors)
{
	struct passwd *pw;

	if (geteuid() != 0)
		return true;
	pw = getpwnam(s->net_user);
	if (pw != NULL && pw->pw_uid != 0)
		return true;
	fprintf(errors, "%s: user = %s: expected an existing user that is not "
	    "root, for the network process\n", file, s->net_user);
	return false;
}

struct pk_settings *
pk_settings_check(const char *file, FILE *errors)
{
	struct pk_settings *s = pk_settings_read(file, errors);
	bool ok;

	if (s == NULL)
		return NULL;
	ok = check_tls(s, file, errors);
	ok = check_users(s, errors) && ok;
	ok = check_net_user(s, file, errors) && ok;
	if (!ok)
		pk_settings_free(&s);
	return s;
}
