/*
 * The report and the verifier: see report_verify.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/hex.h"
#include "standalone/report_verify.h"

#define PLACE_SIZE	1024
#define TEXT_SIZE	160

static const char *const texts[] = {
	[PK_AUDIT_NO_RECORD] = "is no record any more",
	[PK_AUDIT_CHANGED] = "was changed",
	[PK_AUDIT_REMOVED] = "missing before this line",
	[PK_AUDIT_MISPLACED] = "comes again, or is not in its place",
	[PK_AUDIT_TORN] = "has no end: it was being written, or was cut",
	[PK_AUDIT_NOT_ANCHORED] = "is not the one that was noted",
	[PK_AUDIT_CUT] = "was noted and is not there: the end was cut off",
};

static void
on_fault(void *arg, enum pk_audit_fault fault, uint64_t line, uint64_t from,
    uint64_t to)
{
	struct pk_report_verify *r = arg;
	char place[PLACE_SIZE], text[TEXT_SIZE];
	const char *file = r->file != NULL ? r->file : "";

	r->torn = r->torn || fault == PK_AUDIT_TORN;
	/* The last record of the segment before is told by its number alone. */
	if (line > r->before)
		(void)snprintf(place, sizeof(place), "%.900s:%" PRIu64, file,
		    line - r->before);
	else
		(void)snprintf(place, sizeof(place), "%.900s", file);
	if (from == to)
		(void)snprintf(text, sizeof(text), "record %" PRIu64 " %s",
		    from, texts[fault]);
	else
		(void)snprintf(text, sizeof(text), "records %" PRIu64 " to %"
		    PRIu64 " %s", from, to, texts[fault]);
	r->finding(r->arg, place, text);
}

enum pk_err
pk_report_verify_init(struct pk_report_verify *r, pk_report_finding *finding,
    void *arg)
{
	memset(r, 0, sizeof(*r));
	r->finding = finding;
	r->arg = arg;
	return pk_audit_verify_init(&r->v, NULL, 0, on_fault, r);
}

void
pk_report_verify_deinit(struct pk_report_verify *r)
{
	pk_audit_verify_deinit(&r->v);
}

enum pk_err
pk_report_verify_line(struct pk_report_verify *r,
    const struct pk_audit_at *at)
{
	if (at->number == 1) {
		r->file = at->file;
		r->before = r->v.lines;
	}
	if (at->line != NULL)
		return pk_audit_verify_line(&r->v, at->line, at->len);
	pk_audit_verify_long(&r->v);
	return PK_OK;
}

void
pk_report_verify_end(struct pk_report_verify *r,
    struct pk_report_verdict *verdict_r)
{
	static const char *const said[] = { "CHANGED", "intact, not anchored",
	    "intact but for a torn last line, not anchored", "no record" };
	bool intact;

	pk_audit_verify_end(&r->v);
	intact = r->v.faults == 0;
	verdict_r->intact = intact;
	verdict_r->text = said[!intact ? 0 : r->v.seq == 0 ? 3 : r->torn ? 2 :
	    1];
	verdict_r->lines = r->v.lines;
	verdict_r->findings = r->v.faults;
	verdict_r->seq = r->v.seq;
	verdict_r->hash[0] = '\0';
	if (r->v.seq > 0)
		*pk_hex_put(verdict_r->hash, r->v.hash, PK_AUDIT_HASH_LEN) =
		    '\0';
}
