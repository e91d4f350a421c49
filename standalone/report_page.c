/*
 * What the page of a report is made of: see report_page.h.
 *
 * What the logs hold was written by strangers: all of it goes through
 * pk_put_text().
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "standalone/audit_when.h"
#include "standalone/report_page.h"

/* Rows of a table on the page; JSON and CSV have all of them. */
#define ROWS_MAX 1000

/* Rows that are seen without opening anything; a few more are not worth it. */
#define ROWS_SEEN 15
#define ROWS_FEW 20

/* ---- words and figures -------------------------------------------------- */

void
pk_put(const struct pk_page *p, const char *html)
{
	fputs(html, p->out);
}

static const char *
entity(char c)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {
		{ '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" },
		{ '"', "&quot;" }, { '\'', "&#39;" },
	};
	size_t i;

	for (i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (entities[i].c == c)
			return entities[i].entity;
	return NULL;
}

/*
 * What a text may show: letters and signs that look like themselves.  Nothing
 * that turns the direction of writing, joins, or is not to be seen.
 */
static bool
is_shown(uint32_t code)
{
	static const struct {
		uint32_t from, to;
	} shown[] = {
		{ 0x20, 0x7E }, { 0xA1, 0xAC }, { 0xAE, 0x24F },
		{ 0x2013, 0x2014 }, { 0x2018, 0x201E }, { 0x2026, 0x2026 },
		{ 0x20AC, 0x20AC },
	};
	size_t i;

	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (code >= shown[i].from && code <= shown[i].to)
			return true;
	return false;
}

/*
 * The octets of the next character, of UTF-8 with at most three of them; 0: it
 * is none that is shown.
 */
static size_t
shown_octets(const char *text)
{
	uint32_t code = (uint8_t)text[0];
	size_t i, n = code < 0x80 ? 1 : code >= 0xC2 && code < 0xE0 ? 2 :
	    code >= 0xE0 && code < 0xF0 ? 3 : 0;

	if (n > 1)
		code &= n == 2 ? 0x1F : 0x0F;
	for (i = 1; i < n; i++) {
		if (((uint8_t)text[i] & 0xC0) != 0x80)
			return 0;
		code = code << 6 | ((uint8_t)text[i] & 0x3F);
	}
	/* A longer form than needed is none. */
	return is_shown(code) && (n < 3 || code >= 0x800) ? n : 0;
}

/* A text of anybody's choice: nothing of it is HTML. */
void
pk_put_text(const struct pk_page *p, const char *text)
{
	size_t n;

	for (; *text != '\0'; text += n > 0 ? n : 1) {
		n = shown_octets(text);
		if (n == 0)
			fprintf(p->out, "%%%02X", (unsigned)(uint8_t)*text);
		else if (entity(*text) != NULL)
			fputs(entity(*text), p->out);
		else
			(void)fwrite(text, 1, n, p->out);
	}
}

void
pk_put_number(const struct pk_page *p, uint64_t n)
{
	pk_report_put_number(p->out, n);
}

/* Microseconds; to the second, with a space for a person's eyes. */
void
pk_put_time(const struct pk_page *p, int64_t us)
{
	char text[PK_AUDIT_WHEN_SIZE];

	(void)pk_audit_when_format(us, text);
	if (text[0] == '\0')
		pk_put(p, "&ndash;");
	else
		fprintf(p->out, "<time datetime=\"%s\">%.10s %.8s</time>",
		    text, text, text + 11);
}

uint64_t
pk_page_events(const struct pk_page *p, enum pk_audit_event event)
{
	const char *part[] = { pk_audit_event_name(event) };
	const struct pk_tally_entry *e = pk_tally_find(
	    p->r->table[PK_REPORT_EVENTS], part);

	return e != NULL ? e->noted : 0;
}

uint64_t
pk_page_sum(const struct pk_page *p, enum pk_report_table table, unsigned count)
{
	const struct pk_tally *t = p->r->table[table];
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < pk_tally_entries(t); i++)
		n += pk_tally_at(t, i)->count[count];
	return n;
}

/* ---- tables ------------------------------------------------------------ */

static void
put_cell(const struct pk_page *p, const struct pk_report_column *c,
    const struct pk_tally_entry *e)
{
	const char *text;
	uint64_t n;

	switch (c->as) {
	case PK_AS_TEXT:
	case PK_AS_HASH:
		text = pk_report_text(c, e);
		if (text[0] != '\0')
			pk_put_text(p, text);
		else
			pk_put(p, c->none != NULL ? c->none : "&ndash;");
		break;
	case PK_AS_NUMBER:
		n = pk_report_number(c, e);
		if (n == 0)
			pk_put(p, "<span class=\"zero\">0</span>");
		else
			pk_put_number(p, n);
		break;
	case PK_AS_TIME:
		pk_put_time(p, pk_report_time(c, e));
		break;
	case PK_AS_FLAG:
		n = pk_report_number(c, e);
		pk_put(p, n == PK_FLAG_YES ? "yes" : n == PK_FLAG_NO ? "no" :
		    "not known");
		break;
	}
}

static const char *
class_of(const struct pk_report_column *c)
{
	return c->as == PK_AS_NUMBER ? " class=\"n\"" :
	    c->as == PK_AS_HASH ? " class=\"h\"" : "";
}

static void
put_row(const struct pk_page *p, const struct pk_report_sheet *s,
    const struct pk_tally_entry *e)
{
	size_t i;

	pk_put(p, "<tr>");
	for (i = 0; i < s->columns; i++) {
		fprintf(p->out, i == 0 ? "<th scope=\"row\"%s>" : "<td%s>",
		    class_of(&s->column[i]));
		put_cell(p, &s->column[i], e);
		pk_put(p, i == 0 ? "</th>" : "</td>");
	}
	pk_put(p, "</tr>\n");
}

static void
put_head(const struct pk_page *p, const struct pk_report_sheet *s)
{
	size_t i;

	pk_put(p, "<thead><tr>");
	for (i = 0; i < s->columns; i++)
		fprintf(p->out, "<th scope=\"col\"%s>%s</th>",
		    s->column[i].as == PK_AS_NUMBER ? " class=\"n\"" : "",
		    s->column[i].title);
	pk_put(p, "</tr></thead>\n<tbody>\n");
}

/* What is not on the page, and why. */
static void
put_left_out(const struct pk_page *p, const struct pk_report_sheet *s,
    size_t rows)
{
	uint64_t others = pk_report_left_out(p->r, s->table);

	if (rows > ROWS_MAX) {
		pk_put(p, "<p class=\"note\">The first ");
		pk_put_number(p, ROWS_MAX);
		pk_put(p, " rows; ");
		pk_put_number(p, rows - ROWS_MAX);
		pk_put(p, " more are in the report as JSON or CSV.</p>\n");
	}
	if (others > 0) {
		pk_put(p, "<p class=\"note\">This table is full: ");
		pk_put_number(p, others);
		pk_put(p, " records had no room, and are not counted in it."
		    "</p>\n");
	}
}

static void
put_table(const struct pk_page *p, const struct pk_report_sheet *s,
    const char *title, size_t first, size_t end)
{
	const struct pk_tally *t = p->r->table[s->table];
	size_t i;

	fprintf(p->out, "<div class=\"wide\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"%s\">\n<table>\n", title);
	put_head(p, s);
	for (i = first; i < end; i++)
		put_row(p, s, pk_tally_at(t, i));
	pk_put(p, "</tbody>\n</table></div>\n");
}

/* Rows from first on, so many. */
void
pk_put_rows(const struct pk_page *p, const struct pk_report_sheet *s,
    const char *title, size_t first, size_t rows)
{
	size_t shown = rows < ROWS_MAX ? rows : ROWS_MAX;
	size_t seen = shown > ROWS_FEW ? ROWS_SEEN : shown;

	put_table(p, s, title, first, first + seen);
	if (shown > seen) {
		pk_put(p, "<details><summary>");
		pk_put_number(p, shown - seen);
		pk_put(p, " more rows</summary>\n");
		put_table(p, s, title, first + seen, first + shown);
		pk_put(p, "</details>\n");
	}
	put_left_out(p, s, rows);
}

size_t
pk_page_rows(const struct pk_page *p, enum pk_report_table table)
{
	return pk_tally_entries(p->r->table[table]);
}

/* A whole table with its title, or nothing. */
void
pk_put_sheet(const struct pk_page *p, enum pk_report_table table)
{
	const struct pk_report_sheet *s = pk_report_sheet(table);

	if (pk_page_rows(p, table) == 0)
		return;
	fprintf(p->out, "<h3>%s</h3>\n", s->title);
	pk_put_rows(p, s, s->title, 0, pk_page_rows(p, table));
}

void
pk_put_empty(const struct pk_page *p)
{
	pk_put(p, "<p class=\"empty\">Nothing in this period.</p>\n");
}

void
pk_put_plot(const struct pk_page *p, const struct pk_plot *plot)
{
	if (!pk_report_plot_is_empty(plot, &p->bins))
		pk_report_plot(p->out, plot, &p->bins);
	else
		fprintf(p->out, "<h3>%s</h3>\n<p class=\"empty\">Nothing in "
		    "this period.</p>\n", plot->title);
}
