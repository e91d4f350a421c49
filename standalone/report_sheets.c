/*
 * The tables of a report as its readers see them: see report_sheets.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "engine/hex.h"
#include "standalone/report_sheets.h"

#define PART(key, title, none, n) \
	{ key, title, none, PK_FROM_PART, n, PK_AS_TEXT }
#define HASH(key, title, n) { key, title, NULL, PK_FROM_PART, n, PK_AS_HASH }
#define OF_PART(key, title, none, n) \
	{ key, title, none, PK_FROM_OF_PART, n, PK_AS_TEXT }
#define COUNT(key, title, n) \
	{ key, title, NULL, PK_FROM_COUNT, n, PK_AS_NUMBER }
#define FLAG(key, title, n) { key, title, NULL, PK_FROM_COUNT, n, PK_AS_FLAG }
#define NOTED(key, title) { key, title, NULL, PK_FROM_NOTED, 0, PK_AS_NUMBER }
#define FIRST(key, title) { key, title, NULL, PK_FROM_FIRST, 0, PK_AS_TIME }
#define LAST(key, title) { key, title, NULL, PK_FROM_LAST, 0, PK_AS_TIME }

static const struct pk_report_column logs[] = {
	PART("log", "Log", NULL, 1),
	PART("result", "Result", NULL, 2),
	COUNT("findings", "Findings", PK_LOG_FINDINGS),
	COUNT("lines", "Lines", PK_LOG_LINES),
	COUNT("last_seq", "Last record", PK_LOG_SEQ),
	HASH("last_sha256", "Its SHA-256", 3),
};
static const struct pk_report_column findings[] = {
	PART("place", "Place", NULL, 1),
	PART("finding", "Finding", NULL, 2),
};
static const struct pk_report_column hosts[] = {
	PART("host", "Host", NULL, 0),
	PART("log", "Log", NULL, 1),
	NOTED("records", "Records"),
	COUNT("records_in_period", "In the period", PK_HOST_IN_PERIOD),
	FIRST("first", "First record"),
	LAST("last", "Last record"),
};
static const struct pk_report_column events[] = {
	PART("event", "Event", NULL, 0),
	NOTED("records", "Records"),
	FIRST("first", "First"),
	LAST("last", "Last"),
};
static const struct pk_report_column rules[] = {
	PART("rule", "Rule", "(no rule)", 0),
	COUNT("users", "Users", PK_RULE_USERS),
	COUNT("downloaded", "Downloads confirmed", PK_RULE_DOWNLOADED),
	COUNT("downloaded_unconfirmed", "Downloads unconfirmed",
	    PK_RULE_UNCONFIRMED),
	COUNT("top_whole", "Read by TOP", PK_RULE_TOP_WHOLE),
	COUNT("disposed", "Disposed", PK_RULE_DISPOSED),
	COUNT("retained", "Retained", PK_RULE_RETAINED),
	COUNT("purged", "Purged", PK_RULE_PURGED),
	COUNT("restored", "Restored", PK_RULE_RESTORED),
	COUNT("vanished", "Vanished", PK_RULE_VANISHED),
	COUNT("closed_unknown", "Unknown", PK_RULE_UNKNOWN),
	COUNT("would_dispose", "Would dispose", PK_RULE_WOULD),
};
static const struct pk_report_column outcomes[] = {
	PART("rule", "Rule", "(no rule)", 0),
	PART("event", "Outcome", NULL, 1),
	PART("reason", "Reason", NULL, 2),
	COUNT("messages", "Messages", PK_OUTCOME_MESSAGES),
	COUNT("octets", "Octets", PK_OUTCOME_OCTETS),
	FIRST("first", "First"),
	LAST("last", "Last"),
};
static const struct pk_report_column days[] = {
	PART("day", "Day", NULL, 0),
	COUNT("downloaded", "Downloads confirmed", PK_DAY_DOWNLOADED),
	COUNT("downloaded_unconfirmed", "Downloads unconfirmed",
	    PK_DAY_UNCONFIRMED),
	COUNT("disposed_dele", "Disposed: dele", PK_DAY_DELE),
	COUNT("disposed_after_download", "Disposed: after-download",
	    PK_DAY_AFTER_DOWNLOAD),
	COUNT("disposed_after_delivery", "Disposed: after-delivery",
	    PK_DAY_AFTER_DELIVERY),
	COUNT("disposed_unread", "Disposed: unread", PK_DAY_UNREAD),
	COUNT("disposed_other", "Disposed: other", PK_DAY_OTHER),
	COUNT("retained", "Retained", PK_DAY_RETAINED),
	COUNT("purged", "Purged", PK_DAY_PURGED),
	COUNT("logins_apop", "Logins by APOP", PK_DAY_APOP),
	COUNT("logins_other", "Other logins", PK_DAY_LOGIN),
	COUNT("logins_failed", "Failed logins", PK_DAY_FAILED),
};
static const struct pk_report_column overdue[] = {
	PART("kind", "Record", NULL, 0),
	PART("rule", "Rule", "(no rule)", 1),
	PART("reason", "Reason", NULL, 2),
	COUNT("messages", "Messages", 0),
	FIRST("first", "First said"),
	LAST("last", "Last said"),
};
static const struct pk_report_column waiting[] = {
	PART("user", "User", NULL, 1),
	PART("uidl", "Unique-id", "(not named)", 2),
	OF_PART("kind", "Record", NULL, 0),
	OF_PART("rule", "Rule", "(no rule)", 1),
	OF_PART("reason", "Reason", NULL, 2),
	COUNT("messages", "Messages", 0),
	FIRST("first", "First said"),
	LAST("last", "Last said"),
};
static const struct pk_report_column sweeps[] = {
	LAST("time", "Time"),
	PART("host", "Host", NULL, PK_MOMENT_HOST),
	PART("text", "Figures, and who", NULL, PK_MOMENT_TEXT),
};
static const struct pk_report_column holds[] = {
	PART("hold", "Hold", NULL, 0),
	PART("host", "Host", NULL, 1),
	FLAG("in_force", "In force at the end", PK_HOLD_IN_FORCE),
	COUNT("retained", "Messages it retained", PK_HOLD_RETAINED),
	COUNT("users", "Of users", PK_HOLD_USERS),
	FIRST("first", "First record"),
	LAST("last", "Last record"),
};
static const struct pk_report_column hold_events[] = {
	LAST("time", "Time"),
	PART("host", "Host", NULL, PK_MOMENT_HOST),
	PART("event", "Event", NULL, PK_MOMENT_EVENT),
	PART("text", "Hold, who and why", NULL, PK_MOMENT_TEXT),
};
static const struct pk_report_column logins[] = {
	PART("mech", "Mechanism", NULL, 0),
	PART("user", "User", NULL, 1),
	PART("ip", "Address", NULL, 2),
	COUNT("logins", "Logins", PK_LOGIN_COUNT),
	COUNT("inside_tls", "Inside TLS", PK_LOGIN_TLS),
	COUNT("warned", "Warned", PK_LOGIN_WARNED),
	LAST("last", "Last"),
};
static const struct pk_report_column mechanisms[] = {
	PART("mech", "Mechanism", NULL, 0),
	COUNT("users", "Users", PK_MECH_USERS),
	COUNT("logins", "Logins", PK_MECH_LOGINS),
	COUNT("inside_tls", "Inside TLS", PK_MECH_TLS),
	LAST("last", "Last"),
};
static const struct pk_report_column failed_users[] = {
	PART("user", "User, as typed", NULL, 0),
	COUNT("failures", "Failed logins", 0),
	FIRST("first", "First"),
	LAST("last", "Last"),
};
static const struct pk_report_column failed_addresses[] = {
	PART("ip", "Address", NULL, 0),
	COUNT("failures", "Failed logins", 0),
	FIRST("first", "First"),
	LAST("last", "Last"),
};
static const struct pk_report_column failed_reasons[] = {
	PART("reason", "Reason", NULL, 0),
	COUNT("failures", "Failed logins", 0),
	FIRST("first", "First"),
	LAST("last", "Last"),
};
static const struct pk_report_column brakes[] = {
	LAST("time", "Time"),
	PART("host", "Host", NULL, PK_MOMENT_HOST),
	PART("rule", "Rule", NULL, PK_MOMENT_RULE),
	PART("user", "User", NULL, PK_MOMENT_USER),
	PART("reason", "What stopped, and why", NULL, PK_MOMENT_TEXT),
};
static const struct pk_report_column policies[] = {
	LAST("time", "In force from"),
	PART("host", "Host", NULL, PK_MOMENT_HOST),
	PART("text", "Read by", NULL, PK_MOMENT_TEXT),
	HASH("policy", "SHA-256 of the policy", PK_MOMENT_POLICY),
};
static const struct pk_report_column daemon_events[] = {
	LAST("time", "Time"),
	PART("host", "Host", NULL, PK_MOMENT_HOST),
	PART("event", "Event", NULL, PK_MOMENT_EVENT),
	PART("text", "Version", NULL, PK_MOMENT_TEXT),
};

#define SHEET(table, key, title, columns) \
	[table] = { key, title, table, sizeof(columns) / \
	    sizeof((columns)[0]), columns }

static const struct pk_report_sheet sheets[PK_REPORT_TABLES] = {
	SHEET(PK_REPORT_LOGS, "logs", "Logs", logs),
	SHEET(PK_REPORT_FINDINGS, "findings", "What is wrong", findings),
	SHEET(PK_REPORT_HOSTS, "hosts", "Hosts", hosts),
	SHEET(PK_REPORT_EVENTS, "events", "Records by event", events),
	SHEET(PK_REPORT_RULES, "rules", "By rule", rules),
	SHEET(PK_REPORT_OUTCOMES, "outcomes", "By rule, outcome and reason",
	    outcomes),
	SHEET(PK_REPORT_DAYS, "days", "By day", days),
	SHEET(PK_REPORT_OVERDUE, "overdue", "By rule and reason", overdue),
	SHEET(PK_REPORT_WAITING, "overdue_messages", "The messages", waiting),
	SHEET(PK_REPORT_SWEEPS, "sweeps", "Sweeps", sweeps),
	SHEET(PK_REPORT_HOLDS, "holds", "By hold", holds),
	SHEET(PK_REPORT_HOLD_EVENTS, "hold_events", "Added and released",
	    hold_events),
	SHEET(PK_REPORT_LOGINS, "logins", "By mechanism, user and address",
	    logins),
	SHEET(PK_REPORT_MECHANISMS, "mechanisms", "By mechanism", mechanisms),
	SHEET(PK_REPORT_FAILED_USERS, "failed_users", "By user",
	    failed_users),
	SHEET(PK_REPORT_FAILED_ADDRESSES, "failed_addresses", "By address",
	    failed_addresses),
	SHEET(PK_REPORT_FAILED_REASONS, "failed_reasons", "By reason",
	    failed_reasons),
	SHEET(PK_REPORT_BRAKES, "brakes", "Brakes", brakes),
	SHEET(PK_REPORT_POLICIES, "policies", "Policies", policies),
	SHEET(PK_REPORT_DAEMON, "daemon", "Starts and stops", daemon_events),
};

const struct pk_report_sheet *
pk_report_sheet(enum pk_report_table table)
{
	return sheets[table].key != NULL ? &sheets[table] : NULL;
}

uint64_t
pk_report_left_out(const struct pk_report *r, enum pk_report_table table)
{
	static const enum pk_report_table behind[PK_REPORT_TABLES] = {
		[PK_REPORT_RULES] = PK_REPORT_RULE_USERS,
		[PK_REPORT_HOLDS] = PK_REPORT_HOLD_USERS,
		[PK_REPORT_OVERDUE] = PK_REPORT_WAITING,
		[PK_REPORT_MECHANISMS] = PK_REPORT_LOGINS,
	};
	uint64_t n = pk_tally_others(r->table[table])->noted;

	/* The logs themselves, which are 0, are behind none. */
	if (behind[table] != PK_REPORT_LOGS)
		n += pk_tally_others(r->table[behind[table]])->noted;
	return n;
}

const char *
pk_report_text(const struct pk_report_column *c,
    const struct pk_tally_entry *e)
{
	return pk_tally_part(c->from == PK_FROM_OF_PART ? e->of : e, c->n);
}

uint64_t
pk_report_number(const struct pk_report_column *c,
    const struct pk_tally_entry *e)
{
	return c->from == PK_FROM_NOTED ? e->noted : e->count[c->n];
}

int64_t
pk_report_time(const struct pk_report_column *c,
    const struct pk_tally_entry *e)
{
	return c->from == PK_FROM_FIRST ? e->first : e->last;
}

const char *
pk_report_spell(const char *text, char out[PK_REPORT_SPELT])
{
	pk_hex_escape(text, strlen(text), "", out, PK_REPORT_SPELT);
	return out;
}

void
pk_report_put_number(FILE *out, uint64_t n)
{
	if (n >= 1000) {
		pk_report_put_number(out, n / 1000);
		fprintf(out, ",%03u", (unsigned)(n % 1000));
	} else {
		fprintf(out, "%u", (unsigned)n);
	}
}
