/*
 * popkeep audit show: records of the audit log, for people and for programs.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/hex.h"
#include "standalone/audit_cmd_private.h"
#include "standalone/audit_merge.h"
#include "standalone/audit_read.h"
#include "standalone/audit_when.h"
#include "standalone/pseudonym.h"
#include "standalone/settings.h"
#include "standalone/tool_rows.h"

#define COMMAND "audit show"

/* Lines that are no records are told one by one up to here, then counted. */
#define ODD_TOLD 20

/* The most important comes first: a narrow terminal cuts the rest. */
#define ROW		"%-15s %-16s %-24.*s %10s %-20s %s"
#define UIDL_CUT	24	/* octets of a unique-id on a terminal */
#define UIDL_WHOLE	(3 * PK_AUDIT_UIDL_SIZE)
#define ROW_SIZE	4096

struct show {
	struct pk_audit_when when;
	const char *given_user, *uidl, *session;	/* NULL: all */
	char user[PK_USERNAME_SIZE];	/* its canonical spelling */
	bool event[PK_AUDIT_EVENTS];
	bool some_events;		/* those alone */
	bool json;
	bool hosts;			/* a column of them */
	unsigned width;
	uint64_t odd;
	bool hidden;			/* it may be one under a pseudonym */
};

/* ---- what is asked for -------------------------------------------------- */

static bool
take_event(struct show *s, const char *name, size_t len)
{
	unsigned i;

	for (i = 0; i < PK_AUDIT_EVENTS; i++) {
		const char *known = pk_audit_event_name(i);

		if (strlen(known) == len && memcmp(known, name, len) == 0) {
			s->event[i] = s->some_events = true;
			return true;
		}
	}
	fprintf(stderr, "popkeep: " COMMAND ": --event %.*s: expected one of",
	    (int)len, name);
	for (i = 0; i < PK_AUDIT_EVENTS; i++)
		fprintf(stderr, "%s%s", i > 0 ? ", " : " ",
		    pk_audit_event_name(i));
	fputc('\n', stderr);
	return false;
}

static bool
take_events(struct show *s, const char *list)
{
	const char *p = list;

	for (;;) {
		size_t len = strcspn(p, ",");

		if (!take_event(s, p, len))
			return false;
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
}

/* One that may be given once. */
static bool
take_once(const char **to, const char *option, const char *value)
{
	if (*to != NULL) {
		fprintf(stderr, "popkeep: " COMMAND ": --%s: expected once\n",
		    option);
		return false;
	}
	*to = value;
	return true;
}

static const struct option options[] = {
	{ "user", required_argument, NULL, 'u' },
	{ "uidl", required_argument, NULL, 'i' },
	{ "event", required_argument, NULL, 'e' },
	{ "session", required_argument, NULL, 's' },
	{ "since", required_argument, NULL, 'f' },
	{ "until", required_argument, NULL, 't' },
	{ "json", no_argument, NULL, 'j' },
	{ NULL, 0, NULL, 0 }
};

/* PK_EXIT_OK, or it was said what is wrong. */
static int
take_option(struct show *s, int option, const char *name)
{
	bool ok = true;

	switch (option) {
	case 'u':
		ok = take_once(&s->given_user, name, optarg);
		break;
	case 'i':
		ok = take_once(&s->uidl, name, optarg);
		break;
	case 's':
		ok = take_once(&s->session, name, optarg);
		break;
	case 'e':
		ok = take_events(s, optarg);
		break;
	case 'f':
	case 't':
		ok = pk_audit_when_option(&s->when, COMMAND, name, optarg);
		break;
	case 'j':
		s->json = true;
		break;
	default:
		return pk_audit_usage(stderr, PK_EXIT_USAGE);
	}
	return ok ? PK_EXIT_OK : PK_EXIT_USAGE;
}

static int
parse_args(int argc, char **argv, struct show *s)
{
	int option, at = 0, status;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
		status = take_option(s, option, options[at].name);
		if (status != PK_EXIT_OK)
			return status;
	}
	return pk_audit_when_check(&s->when, COMMAND) &&
	    pk_audit_read_once(COMMAND, (const char *const *)argv +
	    optind, (size_t)(argc - optind)) ? PK_EXIT_OK : PK_EXIT_USAGE;
}

/* "" where there are no settings, or no user can be called so. */
static void
canonical_user(const struct pk_tool *t, struct show *s)
{
	struct pk_span name = { (const uint8_t *)s->given_user,
	    strlen(s->given_user) };

	if (t->settings == NULL || pk_username_canonical(&t->settings->names,
	    name, s->user) != PK_OK)
		s->user[0] = '\0';
}

/* As it is, or as the log and the table spell it. */
static bool
is_text(const char *asked, const char *text)
{
	char out[3 * PK_AUDIT_USER_SIZE];

	if (asked == NULL || strcmp(asked, text) == 0)
		return true;
	pk_hex_escape(text, strlen(text), "", out, sizeof(out));
	return strcmp(asked, out) == 0;
}

/* A login that was refused may have what was typed instead of a user. */
static bool
is_user(struct show *s, const char *user)
{
	if (is_text(s->given_user, user) || (s->user[0] != '\0' &&
	    strcmp(s->user, user) == 0))
		return true;
	s->hidden = s->hidden || (pk_pseudonym_is(user) &&
	    !pk_pseudonym_is(s->given_user));
	return false;
}

static bool
is_asked_for(struct show *s, const struct pk_audit_merged *m)
{
	const struct pk_audit_line *l = m->line;

	return pk_audit_when_has(&s->when, l->time) &&
	    (!s->some_events || (m->known && s->event[l->item.event])) &&
	    is_text(s->session, l->context.session) &&
	    is_text(s->uidl, l->item.uidl) &&
	    is_user(s, l->context.user);
}

/* ---- a row -------------------------------------------------------------- */

/* A field as the log spells it; "-": it has none. */
static const char *
field(const char *text, char *out, size_t size)
{
	pk_hex_escape(text, strlen(text), "", out, size);
	return text[0] != '\0' ? out : "-";
}

/* Of an event that this version does not know, too. */
static const char *
event_name(const struct pk_audit_merged *m, char *out, size_t size)
{
	json_t *o;
	const char *name;

	if (m->known)
		return pk_audit_event_name(m->line->item.event);
	o = json_loadb(m->at->line, m->at->len, 0, NULL);
	name = json_string_value(json_object_get(o, "event"));
	(void)field(name != NULL ? name : "?", out, size);
	json_decref(o);
	return out;
}

static void
put(const struct show *s, char *row)
{
	if (s->width > 0 && strlen(row) > s->width)
		row[s->width] = '\0';
	fprintf(stdout, "%s\n", row);
}

static void
put_head(const struct show *s)
{
	char row[ROW_SIZE];
	int len;

	if (s->json)
		return;
	len = snprintf(row, sizeof(row), "%-20s %s", "time (UTC)", s->hosts ?
	    "host             " : "");
	(void)snprintf(row + len, sizeof(row) - (size_t)len, ROW, "event",
	    "user", UIDL_CUT, "unique-id", "octets", "rule", "reason");
	put(s, row);
}

static void
put_row(const struct show *s, const struct pk_audit_merged *m)
{
	const struct pk_audit_line *l = m->line;
	char time[PK_TOOL_TIME_SIZE], host[3 * PK_AUDIT_HOST_SIZE];
	char event[64], user[3 * PK_AUDIT_USER_SIZE];
	char uidl[UIDL_WHOLE], octets[24], rule[3 * PK_POLICY_NAME_SIZE];
	char reason[3 * PK_AUDIT_REASON_SIZE], row[ROW_SIZE];
	int len;

	(void)snprintf(octets, sizeof(octets), l->item.has_size ? "%" PRIu64 :
	    "-", l->item.size);
	len = snprintf(row, sizeof(row), "%-20s ", pk_tool_time(l->time /
	    1000000, time));
	if (s->hosts)
		len += snprintf(row + len, sizeof(row) - (size_t)len,
		    "%-16s ", field(l->host, host, sizeof(host)));
	(void)snprintf(row + len, sizeof(row) - (size_t)len, ROW,
	    event_name(m, event, sizeof(event)),
	    field(l->context.user, user, sizeof(user)),
	    s->width > 0 ? UIDL_CUT : UIDL_WHOLE,
	    field(l->item.uidl, uidl, sizeof(uidl)), octets,
	    field(l->context.rule, rule, sizeof(rule)),
	    field(l->item.reason, reason, sizeof(reason)));
	put(s, row);
}

/* ---- logs --------------------------------------------------------------- */

static void
on_odd(void *arg, const struct pk_audit_at *at)
{
	struct show *s = arg;

	if (at->line != NULL && at->line[at->len - 1] != '\n') {
		fprintf(stderr, "popkeep: %s:%" PRIu64 ": has no end: it is "
		    "being written, or was cut\n", at->file, at->number);
		return;
	}
	if (s->odd++ < ODD_TOLD)
		fprintf(stderr, "popkeep: %s:%" PRIu64 ": is no record\n",
		    at->file, at->number);
}

static bool
unread(const char *name)
{
	fprintf(stderr, "popkeep: %s: %s\n", name, pk_audit_read_error(errno));
	return false;
}

/* As pk_audit_reader_log(): a reader at the log of that number, from 0. */
static int
open_log(const char *name, unsigned number, struct pk_audit_reader **r_r)
{
	struct pk_audit_reader *r = pk_audit_reader_open(name);
	const char *log;
	int found = r != NULL ? 1 : -1;
	unsigned i;

	for (i = 0; i <= number && found == 1; i++)
		found = pk_audit_reader_log(r, &log);
	if (found == -1)
		unread(r != NULL ? pk_audit_reader_file(r) : name);
	if (found != 1)
		pk_audit_reader_close(&r);
	*r_r = r;
	return found;
}

/*
 * All logs of a bundle: it is opened for each of them, to merge them.  What can
 * be read of others is shown.
 */
static bool
add_file(struct pk_audit_merge *m, const char *name)
{
	struct pk_audit_reader *r;
	bool bundle = true;
	unsigned i;
	int found;

	for (i = 0; bundle; i++) {
		found = open_log(name, i, &r);
		if (found != 1)
			return found == 0;
		bundle = pk_audit_reader_is_bundle(r);
		if (bundle && strcmp(name, "-") == 0) {
			fprintf(stderr, "popkeep: " COMMAND ": -: expected a "
			    "bundle to be a file\n");
			pk_audit_reader_close(&r);
			return false;
		}
		if (!pk_audit_merge_add(m, r))
			return unread(pk_audit_merge_file(m) != NULL ?
			    pk_audit_merge_file(m) : name);
	}
	return true;
}

/* false: a line was printed. */
static bool
show_records(struct show *s, struct pk_audit_merge *m)
{
	struct pk_audit_merged record;
	int found;

	s->hosts = pk_audit_merge_count(m) > 1;
	put_head(s);
	while ((found = pk_audit_merge_next(m, &record)) == 1 &&
	    !ferror(stdout)) {
		if (!is_asked_for(s, &record))
			continue;
		if (s->json)
			fwrite(record.at->line, 1, record.at->len, stdout);
		else
			put_row(s, &record);
	}
	return found != -1 || unread(pk_audit_merge_file(m));
}

static int
show(struct show *s, const char *const *name, size_t names)
{
	struct pk_audit_merge *m = pk_audit_merge_new(on_odd, s);
	bool ok = m != NULL;
	size_t i;

	if (m == NULL)
		unread(COMMAND);
	for (i = 0; i < names && m != NULL; i++)
		ok = add_file(m, name[i]) && ok;
	if (m != NULL)
		ok = show_records(s, m) && ok;
	pk_audit_merge_free(&m);
	if (s->odd > ODD_TOLD)
		fprintf(stderr, "popkeep: %" PRIu64 " more lines are no "
		    "records\n", s->odd - ODD_TOLD);
	if (s->hidden)
		fprintf(stderr, "popkeep: " COMMAND ": --user %s: other "
		    "records have pseudonyms: expected the one that \"popkeep "
		    "audit pseudonym\" prints to find those of a user\n",
		    s->given_user);
	return !ok ? PK_EXIT_FAILED : s->odd > 0 ? PK_EXIT_CHANGED :
	    PK_EXIT_OK;
}

int
pk_audit_show_command(struct pk_tool *t, int argc, char **argv)
{
	static struct show s = { .when = PK_AUDIT_ALWAYS };
	int status = parse_args(argc, argv, &s);
	const char *configured;

	if (status != PK_EXIT_OK)
		return status;
	/* On another host there may be no configuration. */
	if ((optind == argc || s.given_user != NULL) &&
	    !pk_tool_read_policy(t, true, false))
		return PK_EXIT_FAILED;
	if (s.given_user != NULL)
		canonical_user(t, &s);
	s.width = pk_tool_rows_width();
	configured = pk_audit_file(t);
	return pk_tool_finish(optind < argc ?
	    show(&s, (const char *const *)argv + optind,
	    (size_t)(argc - optind)) : show(&s, &configured, 1));
}
