/*
 * What the page of a report is made of: words, figures, tables, plots.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_PAGE_H
#define PK_REPORT_PAGE_H

#include "standalone/report_sheets.h"
#include "standalone/report_svg.h"

struct pk_page {
	const struct pk_report *r;
	FILE *out;
	struct pk_bins bins;
};

/* HTML of our own. */
void pk_put(const struct pk_page *p, const char *html);

/* A text of anybody's choice: nothing of it is HTML. */
void pk_put_text(const struct pk_page *p, const char *text);

/* In groups of three digits; a time in microseconds, to the second. */
void pk_put_number(const struct pk_page *p, uint64_t n);
void pk_put_time(const struct pk_page *p, int64_t us);

/* Records of an event in the period; the sum of a table's count; its rows. */
uint64_t pk_page_events(const struct pk_page *p, enum pk_audit_event event);
uint64_t pk_page_sum(const struct pk_page *p, enum pk_report_table table,
    unsigned count);
size_t pk_page_rows(const struct pk_page *p, enum pk_report_table table);

/* Rows of a table from first on, so many, and what is left out of it. */
void pk_put_rows(const struct pk_page *p, const struct pk_report_sheet *s,
    const char *title, size_t first, size_t rows);

/* A whole table with its title, or nothing if it has no row. */
void pk_put_sheet(const struct pk_page *p, enum pk_report_table table);

/* A plot, or that there was nothing; and that alone. */
void pk_put_plot(const struct pk_page *p, const struct pk_plot *plot);
void pk_put_empty(const struct pk_page *p);

#endif
