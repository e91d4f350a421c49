/*
 * The inside of a report's data: report_data.c reads logs, report_finish.c sums
 * up.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_DATA_PRIVATE_H
#define PK_REPORT_DATA_PRIVATE_H

#include "standalone/report_data.h"

/* What a table is like: its keys and counts, and the order in the end. */
struct pk_report_spec {
	unsigned char parts, counts, share;	/* times as many rows */
	enum pk_tally_order order;
};

extern const struct pk_report_spec pk_report_specs[PK_REPORT_TABLES];

#endif
