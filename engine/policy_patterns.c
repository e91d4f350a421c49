/*
 * The users of a block, as patterns: see policy.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fnmatch.h>
#include <string.h>

#include "engine/policy_private.h"

bool
pk_pattern_is_name(const char *pattern)
{
	return pattern[0] != '@' && strpbrk(pattern, PK_PATTERN_SPECIAL) ==
	    NULL;
}

bool
pk_pattern_is_match(const char *pattern, const char *user)
{
	return fnmatch(pattern, user, FNM_NOESCAPE) == 0;
}

bool
pk_patterns_is_listed(const struct pk_patterns *p, const char *text)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		if (strcmp(p->text[i], text) == 0)
			return true;
	return false;
}

bool
pk_patterns_is_everybody(const struct pk_patterns *p)
{
	return p->count == 0 || pk_patterns_is_listed(p, "*");
}

/* Does everybody whom pattern matches certainly match one of p? */
static bool
covers_pattern(const struct pk_patterns *p, const char *pattern)
{
	size_t i;

	if (pk_patterns_is_everybody(p) || pk_patterns_is_listed(p, pattern))
		return true;
	/* Who is in a group, or what another glob matches, cannot be told. */
	for (i = 0; pk_pattern_is_name(pattern) && i < p->count; i++)
		if (p->text[i][0] != '@' &&
		    pk_pattern_is_match(p->text[i], pattern))
			return true;
	return false;
}

bool
pk_patterns_cover(const struct pk_patterns *p, const struct pk_patterns *other)
{
	size_t i;

	if (other->count == 0)
		return pk_patterns_is_everybody(p);
	for (i = 0; i < other->count; i++)
		if (!covers_pattern(p, other->text[i]))
			return false;
	return true;
}
