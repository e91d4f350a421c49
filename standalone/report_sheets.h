/*
 * The tables of a report as its readers see them: names, columns, and what is
 * in a cell.  The page, the JSON and the CSV have the same ones.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_SHEETS_H
#define PK_REPORT_SHEETS_H

#include <stdio.h>

#include "standalone/report_data.h"

/* Where a cell's value is. */
enum pk_column_from {
	PK_FROM_PART,			/* of the key */
	PK_FROM_OF_PART,		/* of the key of what it points to */
	PK_FROM_COUNT,
	PK_FROM_NOTED,
	PK_FROM_FIRST,
	PK_FROM_LAST,
};

enum pk_column_as {
	PK_AS_TEXT,			/* octets of anybody's choice */
	PK_AS_HASH,			/* a text, too */
	PK_AS_NUMBER,
	PK_AS_TIME,
	PK_AS_FLAG,			/* PK_FLAG_...: yes, no, not known */
};

struct pk_report_column {
	const char *key;		/* in JSON and CSV; never changes */
	const char *title;
	const char *none;		/* for "" on the page; NULL: a dash */
	enum pk_column_from from;
	unsigned n;
	enum pk_column_as as;
};

struct pk_report_sheet {
	const char *key;		/* in JSON and CSV; never changes */
	const char *title;
	enum pk_report_table table;
	size_t columns;
	const struct pk_report_column *column;
};

/* The sheet of a table; NULL: it has none. */
const struct pk_report_sheet *pk_report_sheet(enum pk_report_table table);

/*
 * How many records had no room in a table, or in what its users or messages are
 * counted by: its figures are too low by as many.
 */
uint64_t pk_report_left_out(const struct pk_report *r,
    enum pk_report_table table);

/* A cell: a text (not escaped), a number, a time in microseconds. */
const char *pk_report_text(const struct pk_report_column *c,
    const struct pk_tally_entry *e);
uint64_t pk_report_number(const struct pk_report_column *c,
    const struct pk_tally_entry *e);
int64_t pk_report_time(const struct pk_report_column *c,
    const struct pk_tally_entry *e);

/*
 * Texts are told as the log spells them: octets that are not printable ASCII,
 * and "%", as %XX.  Room for the longest.
 */
#define PK_REPORT_SPELT 4096
const char *pk_report_spell(const char *text, char out[PK_REPORT_SPELT]);

/* For people: in groups of three digits. */
void pk_report_put_number(FILE *out, uint64_t n);

/* Each writes a whole report.  false: errno says why, or the memory is out. */
bool pk_report_html(const struct pk_report *r, FILE *out)
    __attribute__((__warn_unused_result__));
bool pk_report_json(const struct pk_report *r, FILE *out)
    __attribute__((__warn_unused_result__));

/* One table; tables: that of the tables. */
bool pk_report_csv(const struct pk_report *r,
    const struct pk_report_sheet *sheet, FILE *out)
    __attribute__((__warn_unused_result__));
bool pk_report_csv_tables(const struct pk_report *r, FILE *out)
    __attribute__((__warn_unused_result__));

#endif
