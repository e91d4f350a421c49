/*
 * A report as one JSON document.  It is written row by row: a tree of all rows
 * would need much more memory than they do.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>

#include <jansson.h>

#include "standalone/audit_when.h"
#include "standalone/report_sheets.h"

/* A new key does not change it; another meaning of one would. */
#define FORMAT 1

static json_t *
time_or_null(int64_t us)
{
	char text[PK_AUDIT_WHEN_SIZE];

	if (us == INT64_MIN || us == INT64_MAX ||
	    pk_audit_when_format(us, text)[0] == '\0')
		return json_null();
	return json_string(text);
}

/* JSON's integers have a sign. */
static json_t *
integer(uint64_t n)
{
	return json_integer((json_int_t)(n <= INT64_MAX ? n : INT64_MAX));
}

static json_t *
cell(const struct pk_report_column *c, const struct pk_tally_entry *e)
{
	char spelt[PK_REPORT_SPELT];

	switch (c->as) {
	case PK_AS_TEXT:
	case PK_AS_HASH:
		return json_string(pk_report_spell(pk_report_text(c, e),
		    spelt));
	case PK_AS_NUMBER:
		return integer(pk_report_number(c, e));
	case PK_AS_TIME:
		return time_or_null(pk_report_time(c, e));
	case PK_AS_FLAG:
		return pk_report_number(c, e) == PK_FLAG_UNKNOWN ?
		    json_null() : json_boolean(pk_report_number(c, e) ==
		    PK_FLAG_YES);
	}
	return NULL;
}

/* Write o and drop it. */
static bool
put_object(FILE *out, json_t *o)
{
	bool ok = o != NULL && json_dumpf(o, out, JSON_COMPACT |
	    JSON_PRESERVE_ORDER) == 0;

	json_decref(o);
	return ok;
}

static bool
put_row(FILE *out, const struct pk_report_sheet *s,
    const struct pk_tally_entry *e)
{
	json_t *o = json_object();
	size_t i;

	for (i = 0; i < s->columns; i++)
		if (json_object_set_new_nocheck(o, s->column[i].key,
		    cell(&s->column[i], e)) != 0) {
			json_decref(o);
			return false;
		}
	return put_object(out, o);
}

/* Its rows, and how many records had no room for one. */
static bool
put_sheet(FILE *out, const struct pk_report *r,
    const struct pk_report_sheet *s)
{
	const struct pk_tally *t = r->table[s->table];
	size_t i;

	fprintf(out, "\"%s\":{\"left_out\":%" PRIu64 ",\"rows\":[", s->key,
	    pk_report_left_out(r, s->table));
	for (i = 0; i < pk_tally_entries(t); i++) {
		fputs(i > 0 ? ",\n" : "\n", out);
		if (!put_row(out, s, pk_tally_at(t, i)))
			return false;
	}
	fputs("]}", out);
	return true;
}

static json_t *
head(const struct pk_report *r)
{
	return json_pack("{s:i,s:s,s:o,s:o,s:o,s:b,s:b,s:o,s:o,s:o,s:o,s:o,s:o}",
	    "format", FORMAT, "popkeep", PACKAGE_VERSION, "generated",
	    time_or_null(r->generated * 1000000), "since",
	    time_or_null(r->since), "until", time_or_null(r->until), "intact",
	    r->changed == 0, "verified", r->logs > 0 && r->verified ==
	    r->logs, "logs_changed", integer(r->changed), "records",
	    integer(r->records), "records_in_period", integer(r->in_period),
	    "first", r->in_period > 0 ? time_or_null(r->first) : json_null(),
	    "last", r->in_period > 0 ? time_or_null(r->last) : json_null(),
	    "disposed_octets", integer(r->octets));
}

bool
pk_report_json(const struct pk_report *r, FILE *out)
{
	const struct pk_report_sheet *s;
	bool first = true, ok;
	size_t i;

	fputs("{\"report\":", out);
	ok = put_object(out, head(r));
	fputs(",\n\"tables\":{", out);
	for (i = 0; i < PK_REPORT_TABLES && ok; i++) {
		s = pk_report_sheet((enum pk_report_table)i);
		if (s == NULL)
			continue;
		fputs(first ? "\n" : ",\n", out);
		ok = put_sheet(out, r, s);
		first = false;
	}
	fputs("}}\n", out);
	return ok && fflush(out) == 0 && ferror(out) == 0;
}
