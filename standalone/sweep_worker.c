/*
 * What a sweep does with one mailbox: see sweep_worker.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "standalone/sweep_worker.h"

struct look {
	const struct pk_sweep *sweep;
	const struct pk_tool_box *box;
	struct pk_sweep_result *r;
	FILE *out;
};

/* ---- looking at verdicts ----------------------------------------------- */

static void
show_plan(const struct look *l, const struct pk_verdicts *v)
{
	bool purge = v->occasion == PK_OCCASION_RETAINED;
	char reason[PK_REASON_SIZE];
	struct pk_message_info info;
	uint32_t i;

	for (i = 0; i < v->count; i++) {
		if (v->plan[i] == PK_KEEP)
			continue;
		v->md->ops->info(v->md, i + 1, &info);
		fprintf(l->out, "%s: would %s %.*s (%s)\n",
		    l->box->account->user, v->plan[i] == PK_RETAIN ?
		    "retain" : purge ? "purge" : "dispose of",
		    (int)info.uid_len, info.uid, pk_reason_text(
		    (enum pk_reason)v->fate[i].reason, &v->up, reason));
	}
}

/* A dry-run counts what is planned as if it had been done. */
static void
count_plan(struct pk_sweep_result *r, const struct pk_verdicts *v)
{
	bool purge = v->occasion == PK_OCCASION_RETAINED;
	uint32_t i;

	for (i = 0; i < v->count; i++) {
		if (v->plan[i] == PK_DISPOSE)
			r->count[purge ? PK_SWEEP_PURGED :
			    PK_SWEEP_DISPOSED]++;
		else if (v->plan[i] == PK_RETAIN)
			r->count[PK_SWEEP_RETAINED]++;
	}
}

static bool
look(void *arg, struct pk_verdicts *v)
{
	struct look *l = arg;

	if (v->occasion == PK_OCCASION_SWEEP && !l->sweep->force &&
	    pk_verdicts_is_braked(v)) {
		l->r->messages = v->count;
		l->r->by_policy = v->by_policy;
		l->r->max_share = v->up.rule.max_share;
		return false;
	}
	if (l->sweep->dry_run) {
		show_plan(l, v);
		count_plan(l->r, v);
	}
	return true;
}

static void
count_outcomes(struct pk_sweep_result *r, const struct pk_verdicts *v)
{
	bool purge = v->occasion == PK_OCCASION_RETAINED;

	r->count[purge ? PK_SWEEP_PURGED : PK_SWEEP_DISPOSED] +=
	    pk_verdicts_count(v, PK_OUTCOME_DISPOSED);
	r->count[PK_SWEEP_RETAINED] +=
	    pk_verdicts_count(v, PK_OUTCOME_RETAINED);
	r->count[PK_SWEEP_VANISHED] +=
	    pk_verdicts_count(v, PK_OUTCOME_VANISHED);
	r->count[PK_SWEEP_NOT_DONE] +=
	    pk_verdicts_count(v, PK_OUTCOME_FAILED);
	r->count[PK_SWEEP_WOULD] += v->would;
	/* What stays behind although it is due, whatever the reason was. */
	if (!purge)
		r->overdue += pk_verdicts_overdue(v, &r->oldest);
}

/* ---- one mailbox ------------------------------------------------------- */

static enum pk_tool_box_end
update(struct look *l, struct pk_tool_box *b, enum pk_occasion occasion)
{
	enum pk_tool_box_end end;
	struct pk_verdicts v;

	memset(&v, 0, sizeof(v));
	end = pk_tool_box_update(b, occasion, &v, look, l);
	count_outcomes(l->r, &v);
	pk_verdicts_deinit(&v);
	return end;
}

/* Could anything of the user's be due, or left over? */
static bool
is_concerned(const struct pk_tool_box *b)
{
	const struct pk_rule *rule = &b->up.rule;

	return (b->up.has_rule && (rule->after_download != PK_NEVER ||
	    rule->after_delivery != PK_NEVER || rule->unread != PK_NEVER)) ||
	    b->unfinished > 0 || pk_tool_box_has_retained(b);
}

/* What earlier sessions and crashes left. */
static enum pk_tool_box_end
tidy(struct pk_tool_box *b, bool dry_run, struct pk_sweep_result *r)
{
	enum pk_tool_box_end end = PK_TOOL_BOX_OK;

	if (!dry_run)
		end = pk_tool_box_close_intents(b,
		    &r->count[PK_SWEEP_CLOSED]);
	if (end != PK_TOOL_BOX_OK)
		return end;
	end = pk_tool_box_open_retained(b);
	if (end == PK_TOOL_BOX_ABSENT)
		return PK_TOOL_BOX_OK;
	if (end == PK_TOOL_BOX_OK && !dry_run)
		end = pk_tool_box_drop_doubles(b,
		    &r->count[PK_SWEEP_DOUBLES]);
	return end;
}

static enum pk_tool_box_end
sweep_box(const struct pk_sweep *s, struct pk_tool_box *b,
    struct pk_sweep_result *r, FILE *out)
{
	struct look l = { .sweep = s, .box = b, .r = r, .out = out };
	enum pk_tool_box_end end = pk_tool_box_ask(b);

	if (end != PK_TOOL_BOX_OK)
		return end;
	(void)snprintf(r->rule, sizeof(r->rule), "%s", b->context.rule);
	if (!is_concerned(b))
		return PK_TOOL_BOX_OK;
	end = pk_tool_box_open(b);
	if (end == PK_TOOL_BOX_OK)
		end = tidy(b, s->dry_run, r);
	else if (end == PK_TOOL_BOX_ABSENT)
		end = pk_tool_box_open_retained(b);
	if (end == PK_TOOL_BOX_ABSENT)
		return PK_TOOL_BOX_OK;	/* nobody wrote to them yet */
	if (s->dry_run)
		b->ask = NULL;		/* nothing is recorded or done */
	if (end == PK_TOOL_BOX_OK && b->md != NULL)
		end = update(&l, b, PK_OCCASION_SWEEP);
	if (end == PK_TOOL_BOX_OK && b->retained != NULL)
		end = update(&l, b, PK_OCCASION_RETAINED);
	return end;
}

void
pk_sweep_worker(struct pk_tool_child_io *io, void *arg)
{
	const struct pk_sweep *s = arg;
	char session[PK_AUDIT_SESSION_SIZE];
	struct pk_sweep_result r;
	struct pk_account account;
	struct pk_tool_box b;

	(void)snprintf(session, sizeof(session), "sweep-%d", (int)getpid());
	while (pk_tool_child_next(io, &account, sizeof(account))) {
		memset(&r, 0, sizeof(r));
		pk_tool_box_init(&b, s->settings, &account, s->ask, session);
		r.end = (uint32_t)sweep_box(s, &b, &r, io->out);
		r.away = s->ask->why[0] == '\0' ? 0 : s->ask->silent ? 2 : 1;
		memcpy(r.why, b.why, sizeof(r.why));
		pk_tool_box_deinit(&b);
		pk_tool_child_answer(io, &r, sizeof(r));
	}
}
