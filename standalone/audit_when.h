/*
 * A stretch of time as a person names it: --since and --until of the commands
 * that read the audit log.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_WHEN_H
#define PK_AUDIT_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#define PK_AUDIT_WHEN_EXPECTED \
	"expected a day or a time (2026-12-01, 2026-12-01T08:30:00Z), or how " \
	"long ago (7d)"

/* Microseconds since 1970 UTC. */
struct pk_audit_when {
	int64_t since;			/* the first one */
	int64_t until;			/* the first one that is over */
};
#define PK_AUDIT_ALWAYS { INT64_MIN, INT64_MAX }

/*
 * Begin with what text names.  A day or time as RFC 3339 spells it (seconds and
 * their fraction may be left out), or a duration as in the policy, counted back
 * from now.  false: it is none, and nothing is changed.
 */
bool pk_audit_when_since(struct pk_audit_when *w, const char *text,
    int64_t now) __attribute__((__warn_unused_result__));

/* End with it: the day, minute or second that text names is still inside. */
bool pk_audit_when_until(struct pk_audit_when *w, const char *text,
    int64_t now) __attribute__((__warn_unused_result__));

bool pk_audit_when_has(const struct pk_audit_when *w, int64_t time);

/*
 * The options of a command: --since or --until, whose argument is text.  false:
 * a line was printed.
 */
bool pk_audit_when_option(struct pk_audit_when *w, const char *command,
    const char *option, const char *text)
    __attribute__((__warn_unused_result__));

/* After all options: is there any such time?  false: a line was printed. */
bool pk_audit_when_check(const struct pk_audit_when *w, const char *command)
    __attribute__((__warn_unused_result__));

/* RFC 3339 UTC in seconds; a time that has no such text is "".  Returns out. */
#define PK_AUDIT_WHEN_SIZE 21
const char *pk_audit_when_format(int64_t us, char out[PK_AUDIT_WHEN_SIZE]);

#endif
