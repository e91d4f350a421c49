/*
 * Could a pattern of the policy match anybody?  See pattern_look.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>

#include "engine/policy.h"
#include "standalone/pattern_look.h"

/* A name service that is away is no reason to say that there is none. */
static bool
is_no_group(const char *name)
{
	errno = 0;
	return getgrnam(name) == NULL && (errno == 0 || errno == ENOENT ||
	    errno == ESRCH);
}

static bool
is_no_user(const struct pk_users_source *source, const char *name)
{
	struct pk_account account;

	switch (pk_users_find(source, name, &account)) {
	case PK_USERS_UNKNOWN:
	case PK_USERS_FORBIDDEN:
		return true;
	case PK_USERS_FOUND:
	case PK_USERS_FAILED:
	case PK_USERS_TOO_LONG:
		break;
	}
	return false;
}

static enum pk_pattern_look
look(const struct pk_username_rules *names,
    const struct pk_users_source *source, const char *pattern,
    char canonical_r[PK_USERNAME_SIZE])
{
	struct pk_span span = { (const uint8_t *)pattern, strlen(pattern) };

	/* What is no pattern at all, the policy says. */
	if (strcmp(pattern, "") == 0 || strcmp(pattern, "@") == 0)
		return PK_PATTERN_FINE;
	if (pattern[0] == '@')
		return is_no_group(pattern + 1) ? PK_PATTERN_NO_GROUP :
		    PK_PATTERN_FINE;
	if (!pk_pattern_is_name(pattern) || names == NULL)
		return PK_PATTERN_FINE;
	if (pk_username_canonical(names, span, canonical_r) != PK_OK)
		return PK_PATTERN_NO_NAME;
	if (strcmp(canonical_r, pattern) != 0)
		return PK_PATTERN_MISSPELT;
	return source != NULL && is_no_user(source, pattern) ?
	    PK_PATTERN_NO_USER : PK_PATTERN_FINE;
}

enum pk_pattern_look
pk_pattern_look(const struct pk_username_rules *names,
    const struct pk_users_source *source, const char *pattern,
    char why_r[PK_PATTERN_WHY])
{
	static const char *const texts[] = {
		[PK_PATTERN_FINE] = "",
		[PK_PATTERN_NO_NAME] = "no user can be called so",
		[PK_PATTERN_MISSPELT] = "no user is spelt so: expected ",
		[PK_PATTERN_NO_USER] = "there is no such user",
		[PK_PATTERN_NO_GROUP] = "there is no such group",
	};
	char canonical[PK_USERNAME_SIZE];
	enum pk_pattern_look l = look(names, source, pattern, canonical);

	if (l == PK_PATTERN_MISSPELT)
		(void)snprintf(why_r, PK_PATTERN_WHY, "%s\"%s\"", texts[l],
		    canonical);
	else
		(void)snprintf(why_r, PK_PATTERN_WHY, "%s", texts[l]);
	return l;
}
