/*
 * The policy file (policy.conf and policy.d): text to struct pk_policy.  Linked
 * by policyd and the tool only, because it needs libConfuse.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_FILE_H
#define PK_POLICY_FILE_H

#include <stdio.h>

#include "engine/policy.h"

/* One file, as it was read; the caller's. */
struct pk_policy_text {
	const char *name;	/* for messages: its path */
	const char *text;	/* NUL-terminated; no NUL before len */
	size_t len;
};

/* Called with each error or warning: one line without its end. */
typedef void pk_policy_say(void *arg, const char *line);

/*
 * Parse the files in the given order as one policy: the main file, then those
 * of policy.d.  NULL: every error was said ("FILE:LINE: KEY = VALUE: expected
 * ...").  A syntax error ends the reading of its file; all other errors of all
 * files are said together.  Warnings ("FILE:LINE: warning: ...") are said by
 * warn if there is no error: a rule that earlier ones shadow (its users all
 * match before), a limit of 0 after delivery, a hold whose until has passed at
 * now, and the like.
 *
 * Errors: unknown keys and blocks, bad values, an empty list, a name given
 * twice (in any of the files), a key given twice in a block, a top-level key or
 * the apop or passwords block in more than one place, "${" anywhere outside a
 * comment (the library would put an environment variable there), a NUL or
 * another control octet, what the library would drop or close by itself (an
 * unquoted "*", a block or comment without its end), audit = off while any
 * retention rule or hold exists or audit-hash = on or pseudonyms = yes, a login
 * rule without allow, and warn-from after until.
 *
 * Days: effective-from and warn-from begin with theirs.  until is the last day
 * on which a hold holds, or a login rule allows; the members until are the
 * first second after it.
 *
 * Without a passwords block there is one rule, called "default", on line 0 of
 * the first file: allow = tls.
 *
 * The hash is the SHA-256 of, for each file in order, the last component of its
 * name and its text, each behind its length in decimal and a ":".
 *
 * The result is prepared (pk_policy_prepare()) and is freed by the caller.  now
 * is for warnings only.  Not for two threads at once: libConfuse is not.
 */
struct pk_policy *pk_policy_parse(const struct pk_policy_text *files,
    size_t count, int64_t now, pk_policy_say *error, pk_policy_say *warn,
    void *arg) PK_WARN_UNUSED;

/*
 * "0", "never" (PK_NEVER), or a number and one of m h d w y (y = 365 d), to
 * seconds.  At most 1000 years.  false: it is none of these.
 */
bool pk_duration_parse(const char *text, int64_t *seconds_r);

/* The same backwards, as short as can be: "90d", "never"; returns out. */
#define PK_DURATION_SIZE 24
const char *pk_duration_format(int64_t seconds, char out[PK_DURATION_SIZE]);

/* May a block be called so? */
bool pk_policy_name_is_valid(const char *name);
#define PK_POLICY_NAME_EXPECTED \
	"expected a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\""

/* "2026-12-01", a UTC day from 1970 to 9999, to its begin. */
bool pk_date_parse(const char *text, int64_t *time_r);

#endif
