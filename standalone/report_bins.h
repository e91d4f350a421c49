/*
 * The days of a report in as few columns as a plot has room for: days, weeks
 * from Monday, months, or years.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_BINS_H
#define PK_REPORT_BINS_H

#include "standalone/report_data.h"

#define PK_BINS_MAX 60

struct pk_bins {
	const char *unit;		/* "day", "week", "month", "year" */
	const char *head;		/* over the labels: "Week from" */
	size_t count;			/* 0: there is no record */
	struct {
		char label[24];
		uint64_t count[PK_DAY_COUNTS];
	} bin[PK_BINS_MAX];
};

/* From the first record of the period to the last. */
void pk_report_bins(const struct pk_report *r, struct pk_bins *bins_r);

#endif
