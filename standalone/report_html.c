/*
 * A report as one page for a browser or a printer: no script, no other file.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "engine/login.h"
#include "standalone/report_page.h"
#include "standalone/report_style.h"

/* ---- the sections ------------------------------------------------------- */

static void
show_logs(const struct pk_page *p)
{
	pk_put(p, "<p>Each record holds the SHA-256 of the one before it, so "
	    "that a record that was changed, removed or put elsewhere shows. "
	    "<em>Intact</em> means that all of them fit. That does not show "
	    "that the end was cut off, nor that whoever can write the file "
	    "made all of it anew. <em>Verified</em> means that it was "
	    "compared with what had been noted elsewhere, the key of a seal "
	    "or an anchor, and is, up to the record that is named, what was "
	    "written. What comes after that record may still have been "
	    "changed or cut off.</p>\n");
	pk_put_sheet(p, PK_REPORT_FINDINGS);
	pk_put_sheet(p, PK_REPORT_LOGS);
	pk_put_sheet(p, PK_REPORT_HOSTS);
}

static void
show_rules(const struct pk_page *p)
{
	pk_put(p, "<p>A <em>confirmed</em> download was sent whole, went on to "
	    "a later command, and its session ended with QUIT; any other is "
	    "<em>unconfirmed</em>. <em>Disposed</em>: unlinked, or moved to "
	    "the folder that the rule names. <em>Retained</em>: gone from the "
	    "client's view, and kept. <em>Purged</em>: disposed of after it "
	    "was retained. <em>Unknown</em>: interrupted, or not carried "
	    "out; the reason says where the message is. Users are those of "
	    "whom a message was downloaded, or something became of one."
	    "</p>\n");
	if (pk_page_rows(p, PK_REPORT_RULES) == 0)
		pk_put_empty(p);
	pk_put_sheet(p, PK_REPORT_RULES);
	pk_put_sheet(p, PK_REPORT_OUTCOMES);
}

static void
show_time(const struct pk_page *p)
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

	pk_put_plot(p, &downloads);
	pk_put_plot(p, &disposals);
	pk_put_plot(p, &retained);
}

static void
show_overdue(const struct pk_page *p)
{
	pk_put(p, "<p>Of these messages the log says that something is to "
	    "become of them, and not that it did, up to the end of the period. "
	    "<em>would-dispose</em>: they are due by their rule, but it is in "
	    "dry-run, not yet effective, or stopped by a brake, and this was "
	    "said last at the time given. <em>dispose-intent</em>: something "
	    "was interrupted; the next session or sweep of that mailbox "
	    "completes or closes it.</p>\n");
	if (pk_page_rows(p, PK_REPORT_WAITING) == 0)
		pk_put_empty(p);
	pk_put_sheet(p, PK_REPORT_OVERDUE);
	pk_put_sheet(p, PK_REPORT_WAITING);
	pk_put(p, "<h3>Sweeps</h3>\n<p>A sweep applies the rules without a "
	    "login. Without one, what is due waits for its user's next session."
	    "</p>\n");
	if (pk_page_rows(p, PK_REPORT_SWEEPS) == 0)
		pk_put(p, "<p class=\"empty\">No sweep in this period.</p>\n");
	else
		pk_put_rows(p, pk_report_sheet(PK_REPORT_SWEEPS), "Sweeps", 0,
		    pk_page_rows(p, PK_REPORT_SWEEPS));
}

static void
show_holds(const struct pk_page *p)
{
	pk_put(p, "<p>While a hold is in force nothing of its users is "
	    "disposed of: what a client or a rule would have removed is "
	    "retained. A message counts for the first hold of its user.</p>\n");
	if (pk_page_rows(p, PK_REPORT_HOLDS) == 0 &&
	    pk_page_rows(p, PK_REPORT_HOLD_EVENTS) == 0)
		pk_put_empty(p);
	pk_put_sheet(p, PK_REPORT_HOLDS);
	pk_put_sheet(p, PK_REPORT_HOLD_EVENTS);
}

/* Logins are in the order of their mechanisms: how many there are by APOP. */
static size_t
count_logins(const struct pk_page *p, size_t *first_r)
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
show_apop(const struct pk_page *p)
{
	const struct pk_report_sheet *s = pk_report_sheet(PK_REPORT_LOGINS);
	size_t first, apop = count_logins(p, &first), others;
	static const struct pk_plot logins = { "p-logins", "Logins", 2, {
	    { "by APOP", PK_DAY_APOP },
	    { "by other mechanisms", PK_DAY_LOGIN } } };

	pk_put(p, "<p>APOP rests on MD5 and on a secret that the server can "
	    "read back. Who is listed here needs a password inside TLS before "
	    "APOP can end. <em>Warned</em> counts the logins after the "
	    "warn-from of their rule.</p>\n");
	if (apop == 0)
		pk_put(p, "<p class=\"empty\">No login by APOP in this period."
		    "</p>\n");
	else
		pk_put_rows(p, s, "Who uses APOP", first, apop);
	pk_put_sheet(p, PK_REPORT_MECHANISMS);
	pk_put_plot(p, &logins);
	others = pk_page_rows(p, PK_REPORT_LOGINS) - first - apop;
	if (first + others > 0)
		pk_put(p, "<h3>Who uses other mechanisms</h3>\n");
	/* APOP need not be the first one in their order. */
	if (first > 0)
		pk_put_rows(p, s, "Other mechanisms, first part", 0, first);
	if (others > 0)
		pk_put_rows(p, s, "Other mechanisms", first + apop, others);
}

static void
show_failed(const struct pk_page *p)
{
	static const struct pk_plot failed = { "p-failed",
	    "Failed logins over time", 1,
	    { { "failed", PK_DAY_FAILED } } };

	if (pk_page_events(p, PK_AUDIT_LOGIN_FAILED) == 0) {
		pk_put_empty(p);
		return;
	}
	pk_put(p, "<p>User names are those that were typed: there may be no "
	    "such user.</p>\n");
	pk_put_plot(p, &failed);
	pk_put_sheet(p, PK_REPORT_FAILED_REASONS);
	pk_put_sheet(p, PK_REPORT_FAILED_ADDRESSES);
	pk_put_sheet(p, PK_REPORT_FAILED_USERS);
}

static void
show_brakes(const struct pk_page *p)
{
	pk_put(p, "<p>Brakes stop disposals by policy that may be a mistake: a "
	    "clock that ran away, a sweep that would take too much of a "
	    "mailbox, a policy that became stricter without notice. A failing "
	    "or overtaxed audit log is told here as well.</p>\n");
	if (pk_page_rows(p, PK_REPORT_BRAKES) == 0)
		pk_put_empty(p);
	else
		pk_put_rows(p, pk_report_sheet(PK_REPORT_BRAKES), "Brakes", 0,
		    pk_page_rows(p, PK_REPORT_BRAKES));
}

static void
show_policies(const struct pk_page *p)
{
	if (pk_page_rows(p, PK_REPORT_POLICIES) == 0) {
		pk_put_empty(p);
		return;
	}
	pk_put(p, "<p>The latest first; one from before the period was in "
	    "force when it began.</p>\n");
	pk_put_rows(p, pk_report_sheet(PK_REPORT_POLICIES), "Policies", 0,
	    pk_page_rows(p, PK_REPORT_POLICIES));
}

static void
show_daemon(const struct pk_page *p)
{
	if (pk_page_rows(p, PK_REPORT_DAEMON) == 0) {
		pk_put_empty(p);
		return;
	}
	pk_put(p, "<p>Of popkeep-policyd, which writes the log, the latest "
	    "first. A start without a stop before it followed a crash.</p>\n");
	pk_put_rows(p, pk_report_sheet(PK_REPORT_DAEMON), "Starts and stops", 0,
	    pk_page_rows(p, PK_REPORT_DAEMON));
}

static void
show_events(const struct pk_page *p)
{
	if (pk_page_rows(p, PK_REPORT_EVENTS) == 0) {
		pk_put_empty(p);
		return;
	}
	pk_put(p, "<p>All records of the period, so that they can be counted "
	    "again.</p>\n");
	pk_put_rows(p, pk_report_sheet(PK_REPORT_EVENTS), "Records by event", 0,
	    pk_page_rows(p, PK_REPORT_EVENTS));
}

static void
show_limits(const struct pk_page *p)
{
	pk_put(p, "<ul>\n"
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
	void (*show)(const struct pk_page *p);
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
put_hosts(const struct pk_page *p)
{
	const struct pk_tally *t = p->r->table[PK_REPORT_HOSTS];
	size_t i, shown = 0, n = pk_tally_entries(t);
	const char *host, *before = NULL;

	for (i = 0; i < n && shown < 8; i++, before = host) {
		host = pk_tally_part(pk_tally_at(t, i), 0);
		if (before != NULL && strcmp(host, before) == 0)
			continue;
		pk_put(p, shown++ > 0 ? ", " : "");
		pk_put_text(p, host);
	}
	if (n == 0)
		pk_put(p, "no host");
	if (i < n)
		pk_put(p, " and others");
}

static void
put_period(const struct pk_page *p)
{
	if (p->r->since == INT64_MIN && p->r->until == INT64_MAX)
		pk_put(p, "everything in the logs");
	if (p->r->since != INT64_MIN) {
		pk_put(p, "from ");
		pk_put_time(p, p->r->since);
	}
	if (p->r->until != INT64_MAX) {
		pk_put(p, p->r->since != INT64_MIN ? " to before " : "before ");
		pk_put_time(p, p->r->until);
	}
}

static void
put_meta(const struct pk_page *p)
{
	pk_put(p, "<dl class=\"meta\">\n<dt>Period</dt><dd>");
	put_period(p);
	pk_put(p, "</dd>\n<dt>Records</dt><dd>");
	pk_put_number(p, p->r->in_period);
	if (p->r->in_period != p->r->records) {
		pk_put(p, " of ");
		pk_put_number(p, p->r->records);
		pk_put(p, " in the logs");
	}
	if (p->r->in_period > 0) {
		pk_put(p, ", from ");
		pk_put_time(p, p->r->first);
		pk_put(p, " to ");
		pk_put_time(p, p->r->last);
	}
	pk_put(p, "</dd>\n<dt>Made</dt><dd>");
	pk_put_time(p, p->r->generated * 1000000);
	pk_put(p, " by popkeep " PACKAGE_VERSION "</dd>\n<dt>Times</dt><dd>UTC"
	    "</dd>\n</dl>\n");
}

static bool
is_proved(const struct pk_page *p)
{
	return p->r->logs > 0 && p->r->verified == p->r->logs;
}

static void
put_verdict(const struct pk_page *p)
{
	bool changed = p->r->changed > 0;
	uint64_t findings = pk_page_sum(p, PK_REPORT_LOGS, PK_LOG_FINDINGS);

	fprintf(p->out, "<div class=\"verdict%s\"><strong>", changed ?
	    " changed" : "");
	if (changed) {
		pk_put(p, "CHANGED: ");
		pk_put_number(p, findings);
		pk_put(p, findings == 1 ? " finding" : " findings");
	} else {
		pk_put(p, p->r->records == 0 ? "No record" : is_proved(p) ?
		    "Verified" : "Intact, but not proved");
	}
	pk_put(p, "</strong>\n<p>");
	pk_put(p, changed ? "Records were changed, removed or put elsewhere. "
	    "The figures on this page are those of what is there." :
	    p->r->records == 0 ? "There is nothing to report on." :
	    is_proved(p) ? "Up to the last seal or anchor, this is what was "
	    "written: it was compared with what had been noted elsewhere." :
	    "Every record fits the one before it. That the end was not cut "
	    "off, nor everything written anew, was not checked here.");
	if (p->r->extracts > 0)
		pk_put(p, " An extract of a log was read: what came before "
		    "it is not on this page.");
	pk_put(p, " <a href=\"#logs\">Details</a></p></div>\n");
}

static void
put_card(const struct pk_page *p, uint64_t figure, const char *what,
    const char *more, uint64_t more_figure)
{
	pk_put(p, "<li><b>");
	pk_put_number(p, figure);
	fprintf(p->out, "</b><span>%s</span><span>", what);
	pk_put_number(p, more_figure);
	fprintf(p->out, " %s</span></li>\n", more);
}

/* APOP's users; other mechanisms have theirs. */
static uint64_t
apop_users(const struct pk_page *p)
{
	const char *part[] = { pk_mechanism_name(PK_MECH_APOP) };
	const struct pk_tally_entry *e = pk_tally_find(
	    p->r->table[PK_REPORT_MECHANISMS], part);

	return e != NULL ? e->count[PK_MECH_USERS] : 0;
}

static void
put_cards(const struct pk_page *p)
{
	pk_put(p, "<ul class=\"cards\">\n");
	put_card(p, pk_page_events(p, PK_AUDIT_DOWNLOADED),
	    "confirmed downloads", "unconfirmed",
	    pk_page_events(p, PK_AUDIT_DOWNLOADED_UNCONFIRMED));
	put_card(p, pk_page_events(p, PK_AUDIT_DISPOSED) +
	    pk_page_events(p, PK_AUDIT_PURGED),
	    "messages disposed of or purged", "retained",
	    pk_page_events(p, PK_AUDIT_RETAINED));
	put_card(p, pk_page_sum(p, PK_REPORT_WAITING, 0), "messages overdue",
	    "sweeps", pk_page_events(p, PK_AUDIT_SWEEP));
	put_card(p, apop_users(p), "users of APOP", "failed logins",
	    pk_page_events(p, PK_AUDIT_LOGIN_FAILED));
	pk_put(p, "</ul>\n");
}

static void
put_contents(const struct pk_page *p)
{
	size_t i;

	pk_put(p, "<nav aria-label=\"Contents\"><ol>\n");
	for (i = 0; i < SECTIONS; i++)
		fprintf(p->out, "<li><a href=\"#%s\">%s</a></li>\n",
		    sections[i].id, sections[i].title);
	pk_put(p, "</ol></nav>\n");
}

static void
put_begin(const struct pk_page *p)
{
	pk_put(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n<meta http-equiv="
	    "\"Content-Security-Policy\" content=\"default-src 'none'; "
	    "style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content="
	    "\"width=device-width, initial-scale=1\">\n"
	    "<title>Mail retention report: ");
	put_hosts(p);
	pk_put(p, "</title>\n<style>\n");
	pk_put(p, style);
	pk_put(p, "</style>\n</head>\n<body>\n<header>\n"
	    "<h1>Mail retention report</h1>\n<p class=\"sub\">");
	put_hosts(p);
	pk_put(p, "</p>\n");
	put_verdict(p);
	put_cards(p);
	put_meta(p);
	pk_put(p, "</header>\n");
	put_contents(p);
}

bool
pk_report_html(const struct pk_report *r, FILE *out)
{
	struct pk_page p = { .r = r, .out = out };
	size_t i;

	pk_report_bins(r, &p.bins);
	put_begin(&p);
	pk_put(&p, "<main>\n");
	for (i = 0; i < SECTIONS; i++) {
		fprintf(out, "<section aria-labelledby=\"%s\">\n"
		    "<h2 id=\"%s\">%s</h2>\n", sections[i].id,
		    sections[i].id, sections[i].title);
		sections[i].show(&p);
		pk_put(&p, "</section>\n");
	}
	pk_put(&p, "</main>\n<footer>Made from the audit log alone by popkeep "
	    PACKAGE_VERSION ". What is no Latin letter or common sign is told "
	    "as %XX, octet by octet.</footer>\n</body>\n</html>\n");
	return fflush(out) == 0 && ferror(out) == 0;
}
