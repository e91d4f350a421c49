/*
 * Messages as lines or JSON: see tool_rows.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/ioctl.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/hex.h"
#include "standalone/tool.h"
#include "standalone/tool_rows.h"

/* The most important comes first: a narrow terminal cuts the rest. */
#define ROW	"%-24.*s %-9s %-16s %-17s %-10s %-10s %-10s %3s %10s"
#define UID_CUT	24	/* octets of a unique-id on a terminal */

#define LINE_SIZE 512

unsigned
pk_tool_rows_width(void)
{
	struct winsize w;

	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ,
	    &w) == 0 ? w.ws_col : 0;
}

/* A line, cut to the width. */
static void
put_line(const struct pk_tool_rows *r, char *line)
{
	if (r->width > 0 && strlen(line) > r->width)
		line[r->width] = '\0';
	fprintf(r->out, "%s\n", line);
}

void
pk_tool_rows_head(const struct pk_tool_rows *r)
{
	char line[LINE_SIZE];

	if (r->json)
		return;
	(void)snprintf(line, sizeof(line), ROW, UID_CUT, "unique-id",
	    "verdict", "reason", "changes", "delivered", "downloaded", "read",
	    "unc", "octets");
	put_line(r, line);
}

/* The day, or "-". */
static const char *
day(int64_t time, char out[PK_TOOL_TIME_SIZE])
{
	if (pk_tool_time(time, out)[0] == '\0')
		return "-";
	out[PK_TOOL_DAY_LEN] = '\0';
	return out;
}

/* To the minute, or "-". */
static const char *
minute(int64_t time, char out[PK_TOOL_TIME_SIZE])
{
	if (pk_tool_time(time, out)[0] == '\0')
		return "-";
	(void)snprintf(out + 16, PK_TOOL_TIME_SIZE - 16, "Z");
	return out;
}

/* Why the verdict is this one; in brackets why it will be another, if only
 * that can be told. */
static void
put_reason(const struct pk_tool_rows *r, const struct pk_decision *d,
    const struct pk_decision *next, char *out, size_t size)
{
	bool would = d->would != d->verdict;
	enum pk_reason why = would ? d->would_reason : d->reason;
	char text[PK_REASON_SIZE];
	bool later = why == PK_REASON_NONE && d->changes != PK_NEVER;

	if (later)
		why = next->would_reason;
	(void)snprintf(out, size, later ? "(%s)" : "%s",
	    pk_reason_text(why, r->up, text));
}

static void
put_row(const struct pk_tool_rows *r, const struct pk_message_info *info,
    const struct pk_facts *f, const struct pk_decision *d,
    const struct pk_decision *next)
{
	char delivered[PK_TOOL_TIME_SIZE], downloaded[PK_TOOL_TIME_SIZE];
	char read[PK_TOOL_TIME_SIZE], changes[PK_TOOL_TIME_SIZE];
	char octets[24], count[24], verdict[32], line[LINE_SIZE];
	char reason[PK_REASON_SIZE + 2];
	bool would = d->would != d->verdict;
	int uid = r->width > 0 && info->uid_len > UID_CUT ? UID_CUT :
	    (int)info->uid_len;

	(void)snprintf(octets, sizeof(octets), "%" PRIu64, info->octets);
	(void)snprintf(count, sizeof(count), "%" PRIu32, f->unconfirmed);
	/* In brackets: what it would be if the rule acted. */
	(void)snprintf(verdict, sizeof(verdict), would ? "(%s)" : "%s",
	    pk_verdict_name(would ? d->would : d->verdict));
	put_reason(r, d, next, reason, sizeof(reason));
	(void)snprintf(line, sizeof(line), ROW, uid, info->uid, verdict,
	    reason, minute(d->changes, changes), day(f->delivered, delivered), day(f->downloaded, downloaded),
	    day(f->read, read), count, octets);
	put_line(r, line);
}

json_t *
pk_tool_json_time(int64_t time)
{
	char text[PK_TOOL_TIME_SIZE];

	return pk_tool_json_text(pk_tool_time(time, text));
}

/* What is no UTF-8, as the audit log writes it. */
static json_t *
escaped(const char *text)
{
	size_t len = strlen(text), size = 3 * len + 1;
	char *out = malloc(size);
	json_t *value = NULL;

	if (out != NULL) {
		pk_hex_escape(text, len, "", out, size);
		value = json_string(out);
	}
	free(out);
	return value;
}

json_t *
pk_tool_json_text(const char *text)
{
	json_t *value;

	if (text == NULL || text[0] == '\0')
		return json_null();
	value = json_string(text);
	return value != NULL ? value : escaped(text);
}

static void
put_object(const struct pk_tool_rows *r, const struct pk_message_info *info,
    const struct pk_facts *f, const struct pk_decision *d,
    const struct pk_decision *next)
{
	char reason[PK_REASON_SIZE], would[PK_REASON_SIZE];
	char then[PK_REASON_SIZE];
	bool later = d->changes != PK_NEVER;
	json_t *o;

	o = json_pack("{s:s%, s:I, s:o, s:o, s:o, s:I, s:s, s:s, s:s, s:s, "
	    "s:o, s:o, s:o}", "uidl", info->uid, info->uid_len,
	    "size", (json_int_t)info->octets,
	    "delivered", pk_tool_json_time(f->delivered),
	    "downloaded", pk_tool_json_time(f->downloaded),
	    "read", pk_tool_json_time(f->read),
	    "unconfirmed", (json_int_t)f->unconfirmed,
	    "verdict", pk_verdict_name(d->verdict),
	    "reason", pk_reason_text(d->reason, r->up, reason),
	    "would", pk_verdict_name(d->would),
	    "would_reason", pk_reason_text(d->would_reason, r->up, would),
	    "changes", pk_tool_json_time(d->changes),
	    "next", pk_tool_json_text(later ? pk_verdict_name(next->would) :
	    NULL),
	    "next_reason", pk_tool_json_text(later ? pk_reason_text(
	    next->would_reason, r->up, then) : NULL));
	fprintf(r->out, "%s", r->shown > 0 ? ",\n" : "\n");
	if (o != NULL)
		(void)json_dumpf(o, r->out, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
}

void
pk_tool_rows_message(struct pk_tool_rows *r, const struct pk_maildrop *md,
    uint32_t msgno, enum pk_occasion occasion)
{
	struct pk_message_info info;
	struct pk_decision d, next;
	struct pk_facts f;

	md->ops->info(md, msgno, &info);
	md->ops->facts(md, msgno, r->now, &f);
	pk_decide(r->up, &f, occasion, NULL, r->now, &d);
	next = d;
	if (d.changes != PK_NEVER)
		pk_decide(r->up, &f, occasion, NULL, d.changes, &next);
	if (r->json)
		put_object(r, &info, &f, &d, &next);
	else
		put_row(r, &info, &f, &d, &next);
	r->shown++;
}
