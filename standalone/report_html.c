/*
 * A report as one page for a browser or a printer: no script, no other file.
 *
 * What the logs hold was written by strangers: all of it goes through
 * put_text().
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "engine/login.h"
#include "standalone/audit_when.h"
#include "standalone/report_sheets.h"
#include "standalone/report_style.h"
#include "standalone/report_svg.h"

/* Rows of a table on the page; JSON and CSV have all of them. */
#define ROWS_MAX 1000

/* Rows that are seen without opening anything; a few more are not worth it. */
#define ROWS_SEEN 15
#define ROWS_FEW 20

struct page {
	const struct pk_report *r;
	FILE *out;
	struct pk_bins bins;
};

/* ---- words and figures -------------------------------------------------- */

static void
put(const struct page *p, const char *html)
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
static void
put_text(const struct page *p, const char *text)
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

static void
put_number(const struct page *p, uint64_t n)
{
	pk_report_put_number(p->out, n);
}

/* Microseconds; to the second, with a space for a person's eyes. */
static void
put_time(const struct page *p, int64_t us)
{
	char text[PK_AUDIT_WHEN_SIZE];

	(void)pk_audit_when_format(us, text);
	if (text[0] == '\0')
		put(p, "&ndash;");
	else
		fprintf(p->out, "<time datetime=\"%s\">%.10s %.8s</time>",
		    text, text, text + 11);
}

static uint64_t
events(const struct page *p, enum pk_audit_event event)
{
	const char *part[] = { pk_audit_event_name(event) };
	const struct pk_tally_entry *e = pk_tally_find(
	    p->r->table[PK_REPORT_EVENTS], part);

	return e != NULL ? e->noted : 0;
}

static uint64_t
sum(const struct page *p, enum pk_report_table table, unsigned count)
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
put_cell(const struct page *p, const struct pk_report_column *c,
    const struct pk_tally_entry *e)
{
	const char *text;
	uint64_t n;

	switch (c->as) {
	case PK_AS_TEXT:
	case PK_AS_HASH:
		text = pk_report_text(c, e);
		if (text[0] != '\0')
			put_text(p, text);
		else
			put(p, c->none != NULL ? c->none : "&ndash;");
		break;
	case PK_AS_NUMBER:
		n = pk_report_number(c, e);
		if (n == 0)
			put(p, "<span class=\"zero\">0</span>");
		else
			put_number(p, n);
		break;
	case PK_AS_TIME:
		put_time(p, pk_report_time(c, e));
		break;
	case PK_AS_FLAG:
		n = pk_report_number(c, e);
		put(p, n == PK_FLAG_YES ? "yes" : n == PK_FLAG_NO ? "no" :
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
put_row(const struct page *p, const struct pk_report_sheet *s,
    const struct pk_tally_entry *e)
{
	size_t i;

	put(p, "<tr>");
	for (i = 0; i < s->columns; i++) {
		fprintf(p->out, i == 0 ? "<th scope=\"row\"%s>" : "<td%s>",
		    class_of(&s->column[i]));
		put_cell(p, &s->column[i], e);
		put(p, i == 0 ? "</th>" : "</td>");
	}
	put(p, "</tr>\n");
}

static void
put_head(const struct page *p, const struct pk_report_sheet *s)
{
	size_t i;

	put(p, "<thead><tr>");
	for (i = 0; i < s->columns; i++)
		fprintf(p->out, "<th scope=\"col\"%s>%s</th>",
		    s->column[i].as == PK_AS_NUMBER ? " class=\"n\"" : "",
		    s->column[i].title);
	put(p, "</tr></thead>\n<tbody>\n");
}

/* What is not on the page, and why. */
static void
put_left_out(const struct page *p, const struct pk_report_sheet *s,
    size_t rows)
{
	uint64_t others = pk_report_left_out(p->r, s->table);

	if (rows > ROWS_MAX) {
		put(p, "<p class=\"note\">The first ");
		put_number(p, ROWS_MAX);
		put(p, " rows; ");
		put_number(p, rows - ROWS_MAX);
		put(p, " more are in the report as JSON or CSV.</p>\n");
	}
	if (others > 0) {
		put(p, "<p class=\"note\">This table is full: ");
		put_number(p, others);
		put(p, " records had no room, and are not counted in it."
		    "</p>\n");
	}
}

static void
put_table(const struct page *p, const struct pk_report_sheet *s,
    const char *title, size_t first, size_t end)
{
	const struct pk_tally *t = p->r->table[s->table];
	size_t i;

	fprintf(p->out, "<div class=\"wide\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"%s\">\n<table>\n", title);
	put_head(p, s);
	for (i = first; i < end; i++)
		put_row(p, s, pk_tally_at(t, i));
	put(p, "</tbody>\n</table></div>\n");
}

/* Rows from first on, so many. */
static void
put_rows(const struct page *p, const struct pk_report_sheet *s,
    const char *title, size_t first, size_t rows)
{
	size_t shown = rows < ROWS_MAX ? rows : ROWS_MAX;
	size_t seen = shown > ROWS_FEW ? ROWS_SEEN : shown;

	put_table(p, s, title, first, first + seen);
	if (shown > seen) {
		put(p, "<details><summary>");
		put_number(p, shown - seen);
		put(p, " more rows</summary>\n");
		put_table(p, s, title, first + seen, first + shown);
		put(p, "</details>\n");
	}
	put_left_out(p, s, rows);
}

static size_t
rows_of(const struct page *p, enum pk_report_table table)
{
	return pk_tally_entries(p->r->table[table]);
}

/* A whole table with its title, or nothing. */
static void
put_sheet(const struct page *p, enum pk_report_table table)
{
	const struct pk_report_sheet *s = pk_report_sheet(table);

	if (rows_of(p, table) == 0)
		return;
	fprintf(p->out, "<h3>%s</h3>\n", s->title);
	put_rows(p, s, s->title, 0, rows_of(p, table));
}

static void
put_empty(const struct page *p)
{
	put(p, "<p class=\"empty\">Nothing in this period.</p>\n");
}

static void
put_plot(const struct page *p, const struct pk_plot *plot)
{
	if (!pk_report_plot_is_empty(plot, &p->bins))
		pk_report_plot(p->out, plot, &p->bins);
	else
		fprintf(p->out, "<h3>%s</h3>\n<p class=\"empty\">Nothing in "
		    "this period.</p>\n", plot->title);
}

/* ---- the sections ------------------------------------------------------- */

static void
show_logs(const struct page *p)
{
	put(p, "<p>Each record holds the SHA-256 of the one before it, so that "
	    "a record that was changed, removed or put elsewhere shows. "
	    "<em>Intact</em> means that all of them fit. <em>Not "
	    "anchored</em> means that nothing outside of the log was compared: "
	    "a chain does not show that its end was cut off, nor that whoever "
	    "can write the file made all of it anew. Compare the last record "
	    "and its SHA-256 with what was noted elsewhere: <code>popkeep "
	    "audit verify</code> does.</p>\n");
	put_sheet(p, PK_REPORT_FINDINGS);
	put_sheet(p, PK_REPORT_LOGS);
	put_sheet(p, PK_REPORT_HOSTS);
}

static void
show_rules(const struct page *p)
{
	put(p, "<p>A <em>confirmed</em> download was sent whole, went on to a "
	    "later command, and its session ended with QUIT; any other is "
	    "<em>unconfirmed</em>. <em>Disposed</em>: unlinked, or moved to "
	    "the folder that the rule names. <em>Retained</em>: gone from the "
	    "client's view, and kept. <em>Purged</em>: disposed of after it "
	    "was retained. <em>Unknown</em>: interrupted, or not carried "
	    "out; the reason says where the message is. Users are those of "
	    "whom a message was downloaded, or something became of one."
	    "</p>\n");
	if (rows_of(p, PK_REPORT_RULES) == 0)
		put_empty(p);
	put_sheet(p, PK_REPORT_RULES);
	put_sheet(p, PK_REPORT_OUTCOMES);
}

static void
show_time(const struct page *p)
{
	static const struct pk_plot downloads = { "p-downloads", "Downloads",
	    2, { { "confirmed", PK_DAY_DOWNLOADED },
	    { "unconfirmed", PK_DAY_UNCONFIRMED } } };
	static const struct pk_plot disposals = { "p-disposals",
	    "Messages disposed of, by reason", 5, {
	    { "dele (the client)", PK_DAY_DELE },
	    { "after-download", PK_DAY_AFTER_DOWNLOAD },
	    { "after-delivery", PK_DAY_AFTER_DELIVERY },
	    { "unread", PK_DAY_UNREAD },
	    { "other", PK_DAY_OTHER } } };
	static const struct pk_plot retained = { "p-retained",
	    "Messages retained, and purged", 2, {
	    { "retained", PK_DAY_RETAINED },
	    { "purged", PK_DAY_PURGED } } };

	put_plot(p, &downloads);
	put_plot(p, &disposals);
	put_plot(p, &retained);
}

static void
show_overdue(const struct page *p)
{
	put(p, "<p>Of these messages the log says that something is to become "
	    "of them, and not that it did, up to the end of the period. "
	    "<em>would-dispose</em>: they are due by their rule, but it is in "
	    "dry-run, not yet effective, or stopped by a brake, and this was "
	    "said last at the time given. <em>dispose-intent</em>: something "
	    "was interrupted; the next session or sweep of that mailbox "
	    "completes or closes it.</p>\n");
	if (rows_of(p, PK_REPORT_WAITING) == 0)
		put_empty(p);
	put_sheet(p, PK_REPORT_OVERDUE);
	put_sheet(p, PK_REPORT_WAITING);
	put(p, "<h3>Sweeps</h3>\n<p>A sweep applies the rules without a login. "
	    "Without one, what is due waits for its user's next session."
	    "</p>\n");
	if (rows_of(p, PK_REPORT_SWEEPS) == 0)
		put(p, "<p class=\"empty\">No sweep in this period.</p>\n");
	else
		put_rows(p, pk_report_sheet(PK_REPORT_SWEEPS), "Sweeps", 0,
		    rows_of(p, PK_REPORT_SWEEPS));
}

static void
show_holds(const struct page *p)
{
	put(p, "<p>While a hold is in force nothing of its users is disposed "
	    "of: what a client or a rule would have removed is retained. "
	    "A message counts for the first hold of its user.</p>\n");
	if (rows_of(p, PK_REPORT_HOLDS) == 0 &&
	    rows_of(p, PK_REPORT_HOLD_EVENTS) == 0)
		put_empty(p);
	put_sheet(p, PK_REPORT_HOLDS);
	put_sheet(p, PK_REPORT_HOLD_EVENTS);
}

/* Logins are in the order of their mechanisms: how many there are by APOP. */
static size_t
count_logins(const struct page *p, size_t *first_r)
{
	const char *mech = pk_mechanism_name(PK_MECH_APOP);
	const struct pk_tally *t = p->r->table[PK_REPORT_LOGINS];
	size_t i, n = pk_tally_entries(t), count = 0;

	for (i = 0; i < n && strcmp(pk_tally_part(pk_tally_at(t, i), 0),
	    mech) < 0; i++)
		;
	*first_r = i;
	for (; i + count < n && strcmp(pk_tally_part(pk_tally_at(t, i +
	    count), 0), mech) == 0; count++)
		;
	return count;
}

static void
show_apop(const struct page *p)
{
	const struct pk_report_sheet *s = pk_report_sheet(PK_REPORT_LOGINS);
	size_t first, apop = count_logins(p, &first), others;
	static const struct pk_plot logins = { "p-logins", "Logins", 2, {
	    { "by APOP", PK_DAY_APOP },
	    { "by other mechanisms", PK_DAY_LOGIN } } };

	put(p, "<p>APOP rests on MD5 and on a secret that the server can read "
	    "back. Who is listed here needs a password inside TLS before APOP "
	    "can end. <em>Warned</em> counts the logins after the warn-from "
	    "of their rule.</p>\n");
	if (apop == 0)
		put(p, "<p class=\"empty\">No login by APOP in this period."
		    "</p>\n");
	else
		put_rows(p, s, "Who uses APOP", first, apop);
	put_sheet(p, PK_REPORT_MECHANISMS);
	put_plot(p, &logins);
	others = rows_of(p, PK_REPORT_LOGINS) - first - apop;
	if (first + others > 0)
		put(p, "<h3>Who uses other mechanisms</h3>\n");
	/* APOP need not be the first one in their order. */
	if (first > 0)
		put_rows(p, s, "Other mechanisms, first part", 0, first);
	if (others > 0)
		put_rows(p, s, "Other mechanisms", first + apop, others);
}

static void
show_failed(const struct page *p)
{
	static const struct pk_plot failed = { "p-failed",
	    "Failed logins over time", 1,
	    { { "failed", PK_DAY_FAILED } } };

	if (events(p, PK_AUDIT_LOGIN_FAILED) == 0) {
		put_empty(p);
		return;
	}
	put(p, "<p>User names are those that were typed: there may be no such "
	    "user.</p>\n");
	put_plot(p, &failed);
	put_sheet(p, PK_REPORT_FAILED_REASONS);
	put_sheet(p, PK_REPORT_FAILED_ADDRESSES);
	put_sheet(p, PK_REPORT_FAILED_USERS);
}

static void
show_brakes(const struct page *p)
{
	put(p, "<p>Brakes stop disposals by policy that may be a mistake: a "
	    "clock that ran away, a sweep that would take too much of a "
	    "mailbox, a policy that became stricter without notice. A failing "
	    "or overtaxed audit log is told here as well.</p>\n");
	if (rows_of(p, PK_REPORT_BRAKES) == 0)
		put_empty(p);
	else
		put_rows(p, pk_report_sheet(PK_REPORT_BRAKES), "Brakes", 0,
		    rows_of(p, PK_REPORT_BRAKES));
}

static void
show_policies(const struct page *p)
{
	if (rows_of(p, PK_REPORT_POLICIES) == 0) {
		put_empty(p);
		return;
	}
	put(p, "<p>The latest first; one from before the period was in force "
	    "when it began.</p>\n");
	put_rows(p, pk_report_sheet(PK_REPORT_POLICIES), "Policies", 0,
	    rows_of(p, PK_REPORT_POLICIES));
}

static void
show_daemon(const struct page *p)
{
	if (rows_of(p, PK_REPORT_DAEMON) == 0) {
		put_empty(p);
		return;
	}
	put(p, "<p>Of popkeep-policyd, which writes the log, the latest first. "
	    "A start without a stop before it followed a crash.</p>\n");
	put_rows(p, pk_report_sheet(PK_REPORT_DAEMON), "Starts and stops", 0,
	    rows_of(p, PK_REPORT_DAEMON));
}

static void
show_events(const struct page *p)
{
	if (rows_of(p, PK_REPORT_EVENTS) == 0) {
		put_empty(p);
		return;
	}
	put(p, "<p>All records of the period, so that they can be counted "
	    "again.</p>\n");
	put_rows(p, pk_report_sheet(PK_REPORT_EVENTS), "Records by event", 0,
	    rows_of(p, PK_REPORT_EVENTS));
}

static void
show_limits(const struct page *p)
{
	put(p, "<ul>\n"
	    "<li>What is in the mailboxes now. A message is listed as waiting "
	    "until the log says what became of it; one that another program "
	    "removed meanwhile stays listed.</li>\n"
	    "<li>What is due in a mailbox that had neither a session nor a "
	    "sweep: nobody has looked.</li>\n"
	    "<li>That a hold ended by its date: only adding, changing and "
	    "releasing one is recorded.</li>\n"
	    "<li>What happened while popkeep-policyd was away, and for users "
	    "without rule and hold where <code>audit</code> is "
	    "<code>best-effort</code> or <code>off</code>. Lost records are "
	    "counted under brakes.</li>\n"
	    "<li>What is not in the files that were read: other hosts, and "
	    "segments that were removed.</li>\n"
	    "<li>Whether disposed mail can be restored from disks or backups: "
	    "disposed means unlinked or moved, not erased.</li>\n</ul>\n");
}

static const struct section {
	const char *id, *title;
	void (*show)(const struct page *p);
} sections[] = {
	{ "logs", "The logs, and whether they are intact", show_logs },
	{ "rules", "What each rule did", show_rules },
	{ "time", "Downloads and disposals over time", show_time },
	{ "overdue", "What is overdue", show_overdue },
	{ "holds", "Holds, and what they kept", show_holds },
	{ "apop", "Who still uses APOP", show_apop },
	{ "failed", "Failed logins", show_failed },
	{ "brakes", "Brakes", show_brakes },
	{ "policies", "Policies in force", show_policies },
	{ "daemon", "Starts and stops", show_daemon },
	{ "events", "Records by event", show_events },
	{ "limits", "What this report cannot know", show_limits },
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* ---- the page ---------------------------------------------------------- */

static void
put_hosts(const struct page *p)
{
	const struct pk_tally *t = p->r->table[PK_REPORT_HOSTS];
	size_t i, shown = 0, n = pk_tally_entries(t);
	const char *host, *before = NULL;

	for (i = 0; i < n && shown < 8; i++, before = host) {
		host = pk_tally_part(pk_tally_at(t, i), 0);
		if (before != NULL && strcmp(host, before) == 0)
			continue;
		put(p, shown++ > 0 ? ", " : "");
		put_text(p, host);
	}
	if (n == 0)
		put(p, "no host");
	if (i < n)
		put(p, " and others");
}

static void
put_period(const struct page *p)
{
	if (p->r->since == INT64_MIN && p->r->until == INT64_MAX)
		put(p, "everything in the logs");
	if (p->r->since != INT64_MIN) {
		put(p, "from ");
		put_time(p, p->r->since);
	}
	if (p->r->until != INT64_MAX) {
		put(p, p->r->since != INT64_MIN ? " to before " : "before ");
		put_time(p, p->r->until);
	}
}

static void
put_meta(const struct page *p)
{
	put(p, "<dl class=\"meta\">\n<dt>Period</dt><dd>");
	put_period(p);
	put(p, "</dd>\n<dt>Records</dt><dd>");
	put_number(p, p->r->in_period);
	if (p->r->in_period != p->r->records) {
		put(p, " of ");
		put_number(p, p->r->records);
		put(p, " in the logs");
	}
	if (p->r->in_period > 0) {
		put(p, ", from ");
		put_time(p, p->r->first);
		put(p, " to ");
		put_time(p, p->r->last);
	}
	put(p, "</dd>\n<dt>Made</dt><dd>");
	put_time(p, p->r->generated * 1000000);
	put(p, " by popkeep " PACKAGE_VERSION "</dd>\n<dt>Times</dt><dd>UTC"
	    "</dd>\n</dl>\n");
}

static bool
is_proved(const struct page *p)
{
	return p->r->logs > 0 && p->r->verified == p->r->logs;
}

static void
put_verdict(const struct page *p)
{
	bool changed = p->r->changed > 0;

	fprintf(p->out, "<div class=\"verdict%s\"><strong>", changed ?
	    " changed" : "");
	if (changed) {
		put(p, "CHANGED: ");
		put_number(p, sum(p, PK_REPORT_LOGS, PK_LOG_FINDINGS));
		put(p, sum(p, PK_REPORT_LOGS, PK_LOG_FINDINGS) == 1 ?
		    " finding" : " findings");
	} else {
		put(p, p->r->records == 0 ? "No record" : is_proved(p) ?
		    "Verified" : "Intact, but not proved");
	}
	put(p, "</strong>\n<p>");
	put(p, changed ? "Records were changed, removed or put elsewhere. The "
	    "figures on this page are those of what is there." :
	    p->r->records == 0 ? "There is nothing to report on." :
	    is_proved(p) ? "Up to the last seal or anchor, this is what was "
	    "written: it was compared with what had been noted elsewhere." :
	    "Every record fits the one before it. That the end was not cut "
	    "off, nor everything written anew, was not checked here.");
	put(p, " <a href=\"#logs\">Details</a></p></div>\n");
}

static void
put_card(const struct page *p, uint64_t figure, const char *what,
    const char *more, uint64_t more_figure)
{
	put(p, "<li><b>");
	put_number(p, figure);
	fprintf(p->out, "</b><span>%s</span><span>", what);
	put_number(p, more_figure);
	fprintf(p->out, " %s</span></li>\n", more);
}

/* APOP's users; other mechanisms have theirs. */
static uint64_t
apop_users(const struct page *p)
{
	const char *part[] = { pk_mechanism_name(PK_MECH_APOP) };
	const struct pk_tally_entry *e = pk_tally_find(
	    p->r->table[PK_REPORT_MECHANISMS], part);

	return e != NULL ? e->count[PK_MECH_USERS] : 0;
}

static void
put_cards(const struct page *p)
{
	put(p, "<ul class=\"cards\">\n");
	put_card(p, events(p, PK_AUDIT_DOWNLOADED), "confirmed downloads",
	    "unconfirmed", events(p, PK_AUDIT_DOWNLOADED_UNCONFIRMED));
	put_card(p, events(p, PK_AUDIT_DISPOSED) + events(p, PK_AUDIT_PURGED),
	    "messages disposed of or purged", "retained",
	    events(p, PK_AUDIT_RETAINED));
	put_card(p, sum(p, PK_REPORT_WAITING, 0), "messages overdue",
	    "sweeps", events(p, PK_AUDIT_SWEEP));
	put_card(p, apop_users(p), "users of APOP", "failed logins",
	    events(p, PK_AUDIT_LOGIN_FAILED));
	put(p, "</ul>\n");
}

static void
put_contents(const struct page *p)
{
	size_t i;

	put(p, "<nav aria-label=\"Contents\"><ol>\n");
	for (i = 0; i < SECTIONS; i++)
		fprintf(p->out, "<li><a href=\"#%s\">%s</a></li>\n",
		    sections[i].id, sections[i].title);
	put(p, "</ol></nav>\n");
}

static void
put_begin(const struct page *p)
{
	put(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n<meta http-equiv="
	    "\"Content-Security-Policy\" content=\"default-src 'none'; "
	    "style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content="
	    "\"width=device-width, initial-scale=1\">\n"
	    "<title>Mail retention report: ");
	put_hosts(p);
	put(p, "</title>\n<style>\n");
	put(p, style);
	put(p, "</style>\n</head>\n<body>\n<header>\n"
	    "<h1>Mail retention report</h1>\n<p class=\"sub\">");
	put_hosts(p);
	put(p, "</p>\n");
	put_verdict(p);
	put_cards(p);
	put_meta(p);
	put(p, "</header>\n");
	put_contents(p);
}

bool
pk_report_html(const struct pk_report *r, FILE *out)
{
	struct page p = { .r = r, .out = out };
	size_t i;

	pk_report_bins(r, &p.bins);
	put_begin(&p);
	put(&p, "<main>\n");
	for (i = 0; i < SECTIONS; i++) {
		fprintf(out, "<section aria-labelledby=\"%s\">\n"
		    "<h2 id=\"%s\">%s</h2>\n", sections[i].id,
		    sections[i].id, sections[i].title);
		sections[i].show(&p);
		put(&p, "</section>\n");
	}
	put(&p, "</main>\n<footer>Made from the audit log alone by popkeep "
	    PACKAGE_VERSION ". What is no Latin letter or common sign is told "
	    "as %XX, octet by octet.</footer>\n</body>\n</html>\n");
	return fflush(out) == 0 && ferror(out) == 0;
}
