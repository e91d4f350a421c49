/*
 * Times for what reads the audit log: see audit_time.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <time.h>

#include "engine/policy.h"
#include "engine/policy_file.h"
#include "standalone/audit_time.h"

#define SECOND	INT64_C(1000000)
#define DAY	INT64_C(86400)
#define DAY_LEN	10

/* "T23:59:59Z" behind a day. */
static bool
parse_clock(const char *text, int64_t *seconds_r)
{
	static const char form[] = "T##:##:##Z";
	int part[3] = { 0, 0, 0 };
	size_t i;

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (i = 0; form[i] != '\0'; i++) {
		if (form[i] != '#' ? text[i] != form[i] :
		    text[i] < '0' || text[i] > '9')
			return false;
		if (form[i] == '#')
			part[i / 3] = 10 * part[i / 3] + (text[i] - '0');
	}
	*seconds_r = (part[0] * 60 + part[1]) * 60 + part[2];
	return part[0] < 24 && part[1] < 60 && part[2] < 60;
}

static bool
parse(const char *text, int64_t now, int64_t of_day, int64_t *us_r)
{
	char day[DAY_LEN + 1];
	int64_t seconds;

	if (pk_duration_parse(text, &seconds)) {
		if (seconds == PK_NEVER)
			return false;
		*us_r = (now - seconds) * SECOND;
		return true;
	}
	if (strlen(text) < DAY_LEN)
		return false;
	memcpy(day, text, DAY_LEN);
	day[DAY_LEN] = '\0';
	if (!pk_date_parse(day, &seconds) || (text[DAY_LEN] != '\0' &&
	    !parse_clock(text + DAY_LEN, &of_day)))
		return false;
	*us_r = (seconds + of_day) * SECOND;
	return true;
}

bool
pk_audit_time_parse(const char *text, int64_t now, int64_t *us_r)
{
	return parse(text, now, 0, us_r);
}

bool
pk_audit_time_parse_until(const char *text, int64_t now, int64_t *us_r)
{
	return parse(text, now, DAY, us_r);
}

const char *
pk_audit_time_format(int64_t us, char out[PK_AUDIT_TIME_SIZE])
{
	time_t t = (time_t)(us / SECOND);
	struct tm tm;

	out[0] = '\0';
	if (us >= 0 && gmtime_r(&t, &tm) != NULL && tm.tm_year < 8100)
		(void)strftime(out, PK_AUDIT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ",
		    &tm);
	return out;
}
