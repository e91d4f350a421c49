/*
 * A stretch of time as a person names it: see audit_when.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/policy.h"
#include "engine/policy_file.h"
#include "standalone/audit_when.h"

#define SECOND	INT64_C(1000000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)

#define DAY_LEN	10		/* characters of "2026-12-01" */

/* Two digits, no more than max, where *p is; it is moved behind them. */
static bool
two_digits(const char **p, int max, int64_t *value_r)
{
	const char *d = *p;

	if (d[0] < '0' || d[0] > '9' || d[1] < '0' || d[1] > '9')
		return false;
	*value_r = (d[0] - '0') * 10 + (d[1] - '0');
	*p += 2;
	return *value_r <= max;
}

/* "." and 1 to 6 digits, or nothing. */
static bool
fraction(const char **p, int64_t *us, int64_t *unit)
{
	const char *d = *p;

	if (*d != '.')
		return true;
	for (d++; *d >= '0' && *d <= '9' && *unit > 1; d++) {
		*unit /= 10;
		*us += (*d - '0') * *unit;
	}
	if (d == *p + 1)
		return false;
	*p = d;
	return true;
}

/* "Z", or what local time is ahead of UTC: "+02:00". */
static bool
zone(const char *p, int64_t *us)
{
	int sign = *p == '-' ? -1 : 1;
	int64_t hour, minute;

	if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
		return true;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	if (!two_digits(&p, 23, &hour) || *p++ != ':' ||
	    !two_digits(&p, 59, &minute) || *p != '\0')
		return false;
	*us -= sign * (hour * HOUR + minute * MINUTE);
	return true;
}

/* What follows the day: "T08:30Z" to "T08:30:00.123456+02:00". */
static bool
time_of_day(const char *p, int64_t *us, int64_t *unit)
{
	int64_t hour, minute, second = 0;

	if (*p != 'T' && *p != 't')
		return false;
	p++;
	if (!two_digits(&p, 23, &hour) || *p++ != ':' ||
	    !two_digits(&p, 59, &minute))
		return false;
	*unit = MINUTE;
	if (*p == ':') {
		p++;
		*unit = SECOND;
		/* 60: a leap second, as RFC 3339 has it. */
		if (!two_digits(&p, 60, &second) || !fraction(&p, us, unit))
			return false;
	}
	*us += hour * HOUR + minute * MINUTE + second * SECOND;
	return zone(p, us);
}

/* What text names: from *begin_r on, before *end_r. */
static bool
parse(const char *text, int64_t now, int64_t *begin_r, int64_t *end_r)
{
	int64_t seconds, us = 0, unit = DAY;
	char day[DAY_LEN + 1];

	if (pk_duration_parse(text, &seconds) && seconds != PK_NEVER) {
		*begin_r = *end_r = (now - seconds) * SECOND;
		return true;
	}
	(void)snprintf(day, sizeof(day), "%s", text);
	if (!pk_date_parse(day, &seconds) || (text[DAY_LEN] != '\0' &&
	    !time_of_day(text + DAY_LEN, &us, &unit)))
		return false;
	*begin_r = seconds * SECOND + us;
	*end_r = *begin_r + unit;
	return true;
}

bool
pk_audit_when_since(struct pk_audit_when *w, const char *text, int64_t now)
{
	int64_t end;

	return parse(text, now, &w->since, &end);
}

bool
pk_audit_when_until(struct pk_audit_when *w, const char *text, int64_t now)
{
	int64_t begin;

	return parse(text, now, &begin, &w->until);
}

bool
pk_audit_when_has(const struct pk_audit_when *w, int64_t time)
{
	return time >= w->since && time < w->until;
}

bool
pk_audit_when_option(struct pk_audit_when *w, const char *command,
    const char *option, const char *text)
{
	int64_t now = (int64_t)time(NULL);

	if (strcmp(option, "since") == 0 ?
	    pk_audit_when_since(w, text, now) :
	    pk_audit_when_until(w, text, now))
		return true;
	fprintf(stderr, "popkeep: %s: --%s %s: " PK_AUDIT_WHEN_EXPECTED "\n",
	    command, option, text);
	return false;
}

bool
pk_audit_when_check(const struct pk_audit_when *w, const char *command)
{
	if (w->since < w->until)
		return true;
	fprintf(stderr, "popkeep: %s: --since: expected an earlier time than "
	    "that of --until\n", command);
	return false;
}

const char *
pk_audit_when_format(int64_t us, char out[PK_AUDIT_WHEN_SIZE])
{
	time_t t = (time_t)(us / SECOND);
	struct tm tm;

	out[0] = '\0';
	if (us >= 0 && gmtime_r(&t, &tm) != NULL && tm.tm_year < 8100)
		(void)strftime(out, PK_AUDIT_WHEN_SIZE, "%Y-%m-%dT%H:%M:%SZ",
		    &tm);
	return out;
}
