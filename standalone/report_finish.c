/*
 * What a report sums up when all logs were read: see report_data.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "standalone/report_data_private.h"

/* The users of each rule, and of each hold. */
static void
count_users(struct pk_report *r, enum pk_report_table from,
    enum pk_report_table to, unsigned count)
{
	const struct pk_tally_entry *e;
	const char *part[PK_TALLY_PARTS];
	struct pk_tally_entry *of;
	size_t i, n;

	for (i = 0; i < pk_tally_entries(r->table[from]); i++) {
		e = pk_tally_at(r->table[from], i);
		for (n = 0; n < pk_report_specs[to].parts; n++)
			part[n] = pk_tally_part(e, n);
		of = pk_tally_find(r->table[to], part);
		if (of != NULL)
			of->count[count]++;
	}
}

/* Of logins, which are in the order of mechanisms. */
static bool
sum_mechanisms(struct pk_report *r)
{
	const struct pk_tally *t = r->table[PK_REPORT_LOGINS];
	const struct pk_tally_entry *e;
	struct pk_tally_entry *m;
	const char *part[1];
	size_t i;

	for (i = 0; i < pk_tally_entries(t); i++) {
		e = pk_tally_at(t, i);
		part[0] = pk_tally_part(e, 0);
		m = pk_tally_note(r->table[PK_REPORT_MECHANISMS], part,
		    e->last);
		if (m == NULL)
			return false;
		m->count[PK_MECH_LOGINS] += e->count[PK_LOGIN_COUNT];
		m->count[PK_MECH_TLS] += e->count[PK_LOGIN_TLS];
	}
	return true;
}

/* A user with several addresses is one. */
static bool
count_mechanism_users(struct pk_report *r)
{
	struct pk_tally *t = r->table[PK_REPORT_LOGINS];
	const struct pk_tally_entry *e, *before = NULL;
	struct pk_tally_entry *m;
	const char *part[1];
	size_t i;

	if (!pk_tally_sort(t, PK_TALLY_BY_KEY))
		return false;
	for (i = 0; i < pk_tally_entries(t); i++, before = e) {
		e = pk_tally_at(t, i);
		part[0] = pk_tally_part(e, 0);
		m = pk_tally_find(r->table[PK_REPORT_MECHANISMS], part);
		if (m != NULL && (before == NULL || strcmp(part[0],
		    pk_tally_part(before, 0)) != 0 || strcmp(pk_tally_part(e,
		    1), pk_tally_part(before, 1)) != 0))
			m->count[PK_MECH_USERS]++;
	}
	return true;
}

/* Why there is something, how much, and when it was said first and last. */
static void
sum_waiting(struct pk_report *r)
{
	struct pk_tally *t = r->table[PK_REPORT_OVERDUE];
	const struct pk_tally_entry *e;
	struct pk_tally_entry *of;
	const char *part[3];
	size_t i, n;

	for (i = 0; i < pk_tally_entries(r->table[PK_REPORT_WAITING]); i++) {
		e = pk_tally_at(r->table[PK_REPORT_WAITING], i);
		for (n = 0; n < 3; n++)
			part[n] = pk_tally_part(e->of, n);
		of = pk_tally_find(t, part);
		if (of == NULL)
			continue;
		if (of->count[0] == 0) {
			of->first = e->first;
			of->last = e->last;
		}
		of->first = e->first < of->first ? e->first : of->first;
		of->last = e->last > of->last ? e->last : of->last;
		of->count[0] += e->count[0];
	}
}

/* Reasons that nothing waits for any more. */
static bool
drop_idle(struct pk_report *r)
{
	struct pk_tally *t = r->table[PK_REPORT_OVERDUE];
	struct pk_tally_entry **idle;
	size_t i, n = 0, count = pk_tally_entries(t);

	idle = calloc(count + 1, sizeof(struct pk_tally_entry *));
	if (idle == NULL || !pk_tally_sort(t, PK_TALLY_BY_KEY)) {
		free(idle);
		return false;
	}
	for (i = 0; i < count; i++)
		if (pk_tally_at(t, i)->count[0] == 0)
			idle[n++] = pk_tally_at(t, i);
	for (i = 0; i < n; i++)
		pk_tally_remove(t, idle[i]);
	free(idle);
	return true;
}

static bool
sort(struct pk_report *r)
{
	size_t i;

	for (i = 0; i < PK_REPORT_TABLES; i++)
		if (!pk_tally_sort(r->table[i], pk_report_specs[i].order))
			return false;
	return true;
}

enum pk_err
pk_report_finish(struct pk_report *r)
{
	if (!sort(r) || !sum_mechanisms(r) || !count_mechanism_users(r))
		return PK_ERR_NOMEM;
	count_users(r, PK_REPORT_RULE_USERS, PK_REPORT_RULES, PK_RULE_USERS);
	count_users(r, PK_REPORT_HOLD_USERS, PK_REPORT_HOLDS, PK_HOLD_USERS);
	sum_waiting(r);
	return drop_idle(r) && sort(r) ? PK_OK : PK_ERR_NOMEM;
}
