/*
 * The tables of a report as CSV (RFC 4180), each a file.
 *
 * Spreadsheets take what begins with "=", "+", "-" or "@" for a formula,
 * whoever has written it: a "'" before it makes it a text.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "standalone/audit_when.h"
#include "standalone/report_sheets.h"

static void
put_text(FILE *out, const char *text)
{
	const char *p;

	fputc('"', out);
	if (text[0] != '\0' && strchr("=+-@", text[0]) != NULL)
		fputc('\'', out);
	for (p = text; *p != '\0'; p++)
		fputs(*p == '"' ? "\"\"" : (const char[]){ *p, '\0' }, out);
	fputc('"', out);
}

static void
put_cell(FILE *out, const struct pk_report_column *c,
    const struct pk_tally_entry *e)
{
	char spelt[PK_REPORT_SPELT], time[PK_AUDIT_WHEN_SIZE];

	switch (c->as) {
	case PK_AS_TEXT:
	case PK_AS_HASH:
		put_text(out, pk_report_spell(pk_report_text(c, e), spelt));
		break;
	case PK_AS_NUMBER:
		fprintf(out, "%" PRIu64, pk_report_number(c, e));
		break;
	case PK_AS_TIME:
		fputs(pk_audit_when_format(pk_report_time(c, e), time), out);
		break;
	case PK_AS_FLAG:
		if (pk_report_number(c, e) != PK_FLAG_UNKNOWN)
			fputs(pk_report_number(c, e) == PK_FLAG_YES ? "yes" :
			    "no", out);
		break;
	}
}

bool
pk_report_csv(const struct pk_report *r, const struct pk_report_sheet *sheet,
    FILE *out)
{
	const struct pk_tally *t = r->table[sheet->table];
	size_t i, n;

	for (n = 0; n < sheet->columns; n++)
		fprintf(out, "%s%s", n > 0 ? "," : "", sheet->column[n].key);
	fputs("\r\n", out);
	for (i = 0; i < pk_tally_entries(t); i++) {
		for (n = 0; n < sheet->columns; n++) {
			fputs(n > 0 ? "," : "", out);
			put_cell(out, &sheet->column[n], pk_tally_at(t, i));
		}
		fputs("\r\n", out);
	}
	return fflush(out) == 0 && ferror(out) == 0;
}

/* What the file names alone do not tell: is a table whole? */
bool
pk_report_csv_tables(const struct pk_report *r, FILE *out)
{
	const struct pk_report_sheet *s;
	size_t i;

	fputs("table,rows,left_out\r\n", out);
	for (i = 0; i < PK_REPORT_TABLES; i++) {
		s = pk_report_sheet((enum pk_report_table)i);
		if (s != NULL)
			fprintf(out, "%s,%zu,%" PRIu64 "\r\n", s->key,
			    pk_tally_entries(r->table[i]),
			    pk_report_left_out(r, s->table));
	}
	return fflush(out) == 0 && ferror(out) == 0;
}
