/*
 * What a report tells of audit logs: their records in, tables out.  Memory has
 * an upper bound, whatever the logs hold (tally.h).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_DATA_H
#define PK_REPORT_DATA_H

#include "standalone/audit_check.h"
#include "standalone/tally.h"

enum pk_report_table {
	PK_REPORT_LOGS,
	PK_REPORT_FINDINGS,
	PK_REPORT_HOSTS,
	PK_REPORT_EVENTS,
	PK_REPORT_RULES,
	PK_REPORT_OUTCOMES,
	PK_REPORT_DAYS,
	PK_REPORT_OVERDUE,
	PK_REPORT_WAITING,		/* the messages of that */
	PK_REPORT_SWEEPS,
	PK_REPORT_HOLDS,
	PK_REPORT_HOLD_EVENTS,
	PK_REPORT_LOGINS,
	PK_REPORT_MECHANISMS,
	PK_REPORT_FAILED_USERS,
	PK_REPORT_FAILED_ADDRESSES,
	PK_REPORT_FAILED_REASONS,
	PK_REPORT_BRAKES,
	PK_REPORT_POLICIES,
	PK_REPORT_DAEMON,
	PK_REPORT_RULE_USERS,		/* only to be counted */
	PK_REPORT_HOLD_USERS,
};
#define PK_REPORT_TABLES 22

/* The counts of the tables, as far as they have names. */
enum { PK_LOG_LINES, PK_LOG_FINDINGS, PK_LOG_SEQ, PK_LOG_COUNTS };
enum { PK_HOST_IN_PERIOD, PK_HOST_COUNTS };
enum {
	PK_RULE_USERS, PK_RULE_DOWNLOADED, PK_RULE_UNCONFIRMED,
	PK_RULE_TOP_WHOLE, PK_RULE_DISPOSED, PK_RULE_RETAINED, PK_RULE_PURGED,
	PK_RULE_RESTORED, PK_RULE_VANISHED, PK_RULE_UNKNOWN, PK_RULE_WOULD,
	PK_RULE_COUNTS,
};
enum { PK_OUTCOME_MESSAGES, PK_OUTCOME_OCTETS, PK_OUTCOME_COUNTS };
enum {
	PK_DAY_DOWNLOADED, PK_DAY_UNCONFIRMED, PK_DAY_DELE,
	PK_DAY_AFTER_DOWNLOAD, PK_DAY_AFTER_DELIVERY, PK_DAY_UNREAD,
	PK_DAY_OTHER, PK_DAY_RETAINED, PK_DAY_PURGED, PK_DAY_APOP,
	PK_DAY_LOGIN, PK_DAY_FAILED, PK_DAY_COUNTS,
};
enum { PK_HOLD_IN_FORCE, PK_HOLD_RETAINED, PK_HOLD_USERS, PK_HOLD_COUNTS };
enum { PK_LOGIN_COUNT, PK_LOGIN_TLS, PK_LOGIN_WARNED, PK_LOGIN_COUNTS };
enum { PK_MECH_LOGINS, PK_MECH_TLS, PK_MECH_USERS, PK_MECH_COUNTS };

/* PK_HOLD_IN_FORCE is one of these. */
enum { PK_FLAG_UNKNOWN, PK_FLAG_YES, PK_FLAG_NO };

/* What the parts of a record that is told as such are. */
enum {
	PK_MOMENT_ORDER, PK_MOMENT_HOST, PK_MOMENT_EVENT, PK_MOMENT_RULE,
	PK_MOMENT_USER, PK_MOMENT_TEXT, PK_MOMENT_POLICY, PK_MOMENT_PARTS,
};

struct pk_report {
	int64_t since, until;		/* microseconds; _MIN, _MAX: none */
	int64_t generated;		/* seconds since 1970 */
	struct pk_audit_trust trust;	/* what was noted of the logs */
	uint64_t records, in_period;	/* of events that are known, or not */
	uint64_t unknown;		/* of events that are not, in period */
	int64_t first, last;		/* records in the period */
	uint64_t logs, changed;		/* those that were */
	uint64_t verified;		/* those that were not, as is proved */
	uint64_t extracts;		/* logs without their begin */
	uint64_t octets;		/* of what was disposed of or purged */
	struct pk_tally *table[PK_REPORT_TABLES];

	/* While a log is read. */
	const char *name;
	struct pk_audit_check check;
	struct pk_audit_line *policy;	/* the last one before the period */
	bool has_policy;
	uint64_t begins;		/* that log, an extract; 0: it is none */
	bool failed;			/* a finding found no memory */
};

/*
 * Begin.  entries: rows of a table at most, of what waits four times as many.
 * PK_ERR_NOMEM: _deinit() is due all the same.
 */
#define PK_REPORT_ENTRIES 100000
enum pk_err pk_report_init(struct pk_report *r, size_t entries)
    PK_WARN_UNUSED;
void pk_report_deinit(struct pk_report *r);

/*
 * One log after the other: _begin() with its name, which must stay until
 * _end(); each line of it; _end().  PK_ERR_NOMEM, PK_ERR_CRYPTO: it is of no
 * use then.
 */
enum pk_err pk_report_log_begin(struct pk_report *r, const char *name)
    PK_WARN_UNUSED;
/* Before the first line: it is an extract, which begins with that record. */
void pk_report_log_extract(struct pk_report *r, uint64_t begins);
enum pk_err pk_report_log_line(struct pk_report *r,
    const struct pk_audit_at *at) PK_WARN_UNUSED;
enum pk_err pk_report_log_end(struct pk_report *r) PK_WARN_UNUSED;

/* There are no more logs: what is summed up at the end, and every order. */
enum pk_err pk_report_finish(struct pk_report *r) PK_WARN_UNUSED;

#endif
