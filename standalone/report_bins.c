/*
 * Days in few columns: see report_bins.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/policy_file.h"
#include "standalone/report_bins.h"

#define DAY	INT64_C(86400)

/* The first Monday was 1970-01-05; day 0 is in the week before it. */
#define WEEK_SHIFT 3

struct unit {
	const char *name, *head;
	/* The number of the column that a day is in, and a day in it. */
	int64_t (*index)(int64_t day, int64_t step);
	void (*label)(int64_t index, int64_t step, char out[24]);
};

static struct tm
date_of(int64_t day)
{
	time_t t = (time_t)(day * DAY);
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&t, &tm);
	return tm;
}

static void
label_day(int64_t index, int64_t step, char out[24])
{
	struct tm tm = date_of(index);

	(void)step;
	(void)strftime(out, 24, "%Y-%m-%d", &tm);
}

static int64_t
index_day(int64_t day, int64_t step)
{
	(void)step;
	return day;
}

static int64_t
index_week(int64_t day, int64_t step)
{
	(void)step;
	return (day + WEEK_SHIFT) / 7;
}

static void
label_week(int64_t index, int64_t step, char out[24])
{
	/* The week of day 0 had begun before it. */
	label_day(index > 0 ? index * 7 - WEEK_SHIFT : 0, step, out);
}

static int64_t
index_month(int64_t day, int64_t step)
{
	struct tm tm = date_of(day);

	(void)step;
	return ((int64_t)tm.tm_year + 1900) * 12 + tm.tm_mon;
}

static void
label_month(int64_t index, int64_t step, char out[24])
{
	(void)step;
	(void)snprintf(out, 24, "%04d-%02d", (int)(index / 12),
	    (int)(index % 12) + 1);
}

static int64_t
index_year(int64_t day, int64_t step)
{
	return ((int64_t)date_of(day).tm_year + 1900) / step;
}

static void
label_year(int64_t index, int64_t step, char out[24])
{
	(void)snprintf(out, 24, "%04d", (int)(index * step));
}

static const struct unit units[] = {
	{ "day", "Day", index_day, label_day },
	{ "week", "Week from", index_week, label_week },
	{ "month", "Month", index_month, label_month },
	{ "year", "Year", index_year, label_year },
};
#define UNITS (sizeof(units) / sizeof(units[0]))

/* The shortest unit that has room; at last so many years as one. */
static const struct unit *
choose(int64_t first, int64_t last, int64_t *step_r)
{
	const struct unit *u = units;

	*step_r = 1;
	while (u->index(last, *step_r) - u->index(first, *step_r) >=
	    PK_BINS_MAX) {
		if (u < units + UNITS - 1)
			u++;
		else
			(*step_r)++;
	}
	return u;
}

void
pk_report_bins(const struct pk_report *r, struct pk_bins *bins_r)
{
	const struct pk_tally *t = r->table[PK_REPORT_DAYS];
	int64_t first = r->first / 1000000 / DAY, from, seconds, step;
	int64_t last = r->last / 1000000 / DAY;
	const struct unit *u = choose(first, last, &step);
	const struct pk_tally_entry *e;
	size_t i, n;

	memset(bins_r, 0, sizeof(*bins_r));
	bins_r->unit = u->name;
	bins_r->head = u->head;
	if (r->in_period == 0)
		return;
	from = u->index(first, step);
	bins_r->count = (size_t)(u->index(last, step) - from + 1);
	for (i = 0; i < bins_r->count; i++)
		u->label(from + (int64_t)i, step, bins_r->bin[i].label);
	for (i = 0; i < pk_tally_entries(t); i++) {
		e = pk_tally_at(t, i);
		if (!pk_date_parse(pk_tally_part(e, 0), &seconds))
			continue;
		for (n = 0; n < PK_DAY_COUNTS; n++)
			bins_r->bin[u->index(seconds / DAY, step) - from].
			    count[n] += e->count[n];
	}
}
