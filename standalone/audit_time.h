/*
 * Times as a person gives them to what reads the audit log: --since, --until.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_TIME_H
#define PK_AUDIT_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define PK_AUDIT_TIME_EXPECTED \
	"expected a UTC day (2026-12-31), a UTC time (2026-12-31T23:59:59Z), " \
	"or how long ago (90d; units m h d w y)"

/*
 * A day, a time, or a duration before now as the policy spells durations, to
 * microseconds since 1970.  A day is its begin.  now: seconds since 1970.
 * false: it is none of these.
 */
bool pk_audit_time_parse(const char *text, int64_t now, int64_t *us_r);

/* The same, but a day is its end: it is still inside, as in the policy. */
bool pk_audit_time_parse_until(const char *text, int64_t now, int64_t *us_r);

/* RFC 3339 UTC in seconds; a time that has no such text is "". Returns out. */
#define PK_AUDIT_TIME_SIZE 21
const char *pk_audit_time_format(int64_t us, char out[PK_AUDIT_TIME_SIZE]);

#endif
