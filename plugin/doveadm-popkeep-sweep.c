/*
 * doveadm popkeep sweep: rules that depend on time only are applied to the
 * INBOX, and what is retained and nothing forbids any more is purged.
 *
 * SPDX-License-Identifier: ISC
 */
#include "doveadm-popkeep.h"
#include "file-dotlock.h"
#include "hostpid.h"
#include "str.h"

#include <pwd.h>
#include <time.h>

#include "engine/overdue.h"

/* What can be counted. */
enum count {
	DISPOSED,
	RETAINED,
	PURGED,
	VANISHED,
	NOT_DONE,		/* planned, and still there */
	WOULD,			/* if the rule acted */
	CLOSED,			/* intents of the past */
};
#define COUNTS 7

/* As in the records of popkeep sweep. */
static const char *const count_names[COUNTS] = {
	"disposed", "retained", "purged", "vanished", "left", "would", "closed",
};

struct sweep {
	struct doveadm_popkeep cmd;
	bool dry_run;			/* say what would be done, no more */
	bool force;			/* brake (b) is off */
	bool all;			/* everybody's mailboxes */
	const char *who;		/* began it */

	uint64_t total[COUNTS];
	uint64_t mailboxes, busy, braked, failed;
	struct pk_overdue overdue;	/* of the rules that were met */
};

/* Of one user. */
struct swept {
	struct sweep *s;
	struct popkeep_user *puser;
	struct dotlock *lock;
	const char *vname;		/* what is swept now */
	uint32_t count[COUNTS];
	bool braked;			/* why says how */
	uint32_t overdue;	/* messages that the rule wants gone, and are not */
	int64_t oldest;			/* seconds that one of them has been due */
	const char *why;		/* NULL: all went well */
};

/* ---- looking at verdicts ------------------------------------------------ */

static void brake(struct swept *b, const struct pk_verdicts *v)
{
	b->braked = TRUE;
	b->why = t_strdup_printf("sweep: %u of %u messages would go, more than "
				 "max-share = %u%%", v->by_policy, v->count,
				 v->up.rule.max_share);
}

static const char *
verb_of(enum pk_verdict verdict, const struct pk_verdicts *v)
{
	return verdict == PK_RETAIN ? "retain" :
		v->occasion == PK_OCCASION_RETAINED ? "purge" : "dispose of";
}

/* A row of a dry-run; in brackets what would be done if the rule acted. */
static void show_plan(const struct swept *b, const struct pk_verdicts *v,
		      uint32_t i)
{
	const struct pk_fate *fate = &v->fate[i];
	bool would = fate->would != v->plan[i];
	struct pk_message_info info;
	char reason[PK_REASON_SIZE];
	const char *verb;

	if (fate->would == PK_KEEP && v->plan[i] == PK_KEEP)
		return;
	v->md->ops->info(v->md, i + 1, &info);
	verb = verb_of(would ? fate->would : v->plan[i], v);
	doveadm_print(b->vname);
	doveadm_print(info.uid);
	doveadm_print(would ? t_strdup_printf("(%s)", verb) : verb);
	doveadm_print(pk_reason_text(would ? fate->would_reason : fate->reason,
				     &v->up, reason));
}

/* Gone is gone, but of what was retained another word is used. */
static enum count disposed_as(const struct pk_verdicts *v)
{
	return v->occasion == PK_OCCASION_RETAINED ? PURGED : DISPOSED;
}

static bool look(struct pk_verdicts *v, void *context)
{
	struct swept *b = context;
	uint32_t i;

	if (v->occasion == PK_OCCASION_SWEEP && !b->s->force &&
	    pk_verdicts_is_braked(v)) {
		brake(b, v);
		return FALSE;
	}
	if (!b->s->dry_run)
		return TRUE;
	/* What is planned is counted as if it had been done. */
	for (i = 0; i < v->count; i++) T_BEGIN {
		show_plan(b, v, i);
		if (v->plan[i] == PK_RETAIN)
			b->count[RETAINED]++;
		else if (v->plan[i] == PK_DISPOSE)
			b->count[disposed_as(v)]++;
	} T_END;
	return FALSE;
}

/* ---- what is left ------------------------------------------------------- */

static void count_outcomes(struct swept *b, const struct pk_verdicts *v)
{
	b->count[disposed_as(v)] += pk_verdicts_count(v, PK_OUTCOME_DISPOSED);
	b->count[RETAINED] += pk_verdicts_count(v, PK_OUTCOME_RETAINED);
	b->count[VANISHED] += pk_verdicts_count(v, PK_OUTCOME_VANISHED);
	b->count[NOT_DONE] += pk_verdicts_count(v, PK_OUTCOME_FAILED);
	b->count[WOULD] += v->would;
	if (v->occasion == PK_OCCASION_SWEEP)
		b->overdue += pk_verdicts_overdue(v, &b->oldest);
}

/* ---- one mailbox -------------------------------------------------------- */

static int commit_facts(struct swept *b)
{
	const struct popkeep_plugin_api *api = b->s->cmd.api;
	const char *error;

	if (b->s->dry_run || b->puser->facts == NULL ||
	    api->facts_commit(b->puser->facts, &error) == 0)
		return 0;
	b->why = t_strdup_printf("facts: %s", error);
	return -1;
}

static int sweep_place(struct swept *b, struct popkeep_maildrop *pm,
		       enum pk_occasion occasion)
{
	const struct popkeep_plugin_api *api = b->s->cmd.api;
	struct popkeep_update u = {
		.pm = pm, .occasion = occasion, .look = look, .context = b,
	};
	int ret;

	b->vname = mailbox_get_vname(pm->box);
	if (b->lock != NULL)
		(void)file_dotlock_touch(b->lock);
	ret = api->update_run(&u);
	count_outcomes(b, &u.v);
	if (ret < 0)
		b->why = t_strdup(u.error);
	api->update_deinit(&u);
	if (commit_facts(b) < 0)
		ret = -1;
	return b->braked ? -1 : ret;
}

static int sweep_inbox(struct swept *b)
{
	const struct popkeep_plugin_api *api = b->s->cmd.api;
	struct popkeep_maildrop *pm;
	struct mailbox *box;
	const char *error;
	int ret;

	box = doveadm_popkeep_inbox(&b->s->cmd, b->puser, &error);
	if (box == NULL) {
		b->why = error;
		return error == NULL ? 0 : -1;
	}
	if (!b->s->dry_run)
		b->count[CLOSED] = api->close_unfinished(b->puser, box);
	pm = api->maildrop_init(b->puser, box);
	api->maildrop_load_facts(pm, NULL, time(NULL));
	ret = sweep_place(b, pm, PK_OCCASION_SWEEP);
	api->maildrop_deinit(&pm);
	mailbox_free(&box);
	return ret;
}

static int sweep_retained(struct doveadm_popkeep *cmd ATTR_UNUSED,
			  struct popkeep_maildrop *pm, void *context)
{
	struct swept *b = context;
	const char *why = NULL;
	int ret;

	/* What is said of it outlives this frame of the data stack. */
	T_BEGIN {
		ret = sweep_place(b, pm, PK_OCCASION_RETAINED);
		if (ret < 0)
			why = p_strdup(b->puser->user->pool, b->why);
	} T_END;
	if (ret < 0)
		b->why = why;
	return ret;
}

/* Could anything of the user's be due, or left over?  -1: b->why. */
static int is_concerned(struct swept *b)
{
	const struct pk_rule *rule = &b->puser->up.rule;
	ARRAY_TYPE(const_string) names;
	struct mail_namespace *ns;

	if (doveadm_popkeep_retained(&b->s->cmd, b->puser, &ns, &names,
				     &b->why) < 0)
		return -1;
	return array_count(&names) > 0 || b->puser->unfinished > 0 ||
		(b->puser->up.has_rule &&
		 (rule->after_download != PK_NEVER ||
		  rule->after_delivery != PK_NEVER ||
		  rule->unread != PK_NEVER)) ? 1 : 0;
}

/* 1: done; 0: a session has the lock; -1: b->why, or it was said. */
static int sweep_user(struct swept *b)
{
	int ret = is_concerned(b);

	if (ret <= 0)
		return ret < 0 ? -1 : 1;
	ret = b->s->dry_run ? 1 :
		doveadm_popkeep_lock(b->puser, &b->lock, &b->why);
	if (ret <= 0)
		return ret;
	ret = sweep_inbox(b);
	if (ret == 0)
		ret = doveadm_popkeep_each(&b->s->cmd, b->puser,
					   sweep_retained, b);
	doveadm_popkeep_unlock(&b->lock);
	return ret < 0 ? -1 : 1;
}

/* ---- records ------------------------------------------------------------ */

static int record(struct sweep *s, enum pk_audit_event event, const char *user,
		  const char *rule, const char *reason)
{
	const char *what = event == PK_AUDIT_BRAKE ? "brake" : "sweep";
	const struct popkeep_plugin_api *api = s->cmd.api;
	enum pk_wire_result result;
	struct pk_audit_context c;
	struct pk_audit_item item;
	const char *error;
	struct pk_wire w;

	i_zero(&c);
	i_zero(&item);
	(void)i_strocpy(c.user, user, sizeof(c.user));
	(void)i_strocpy(c.rule, rule, sizeof(c.rule));
	(void)i_strocpy(item.reason, reason, sizeof(item.reason));
	item.event = event;
	if (!s->cmd.trusted) {
		i_warning("popkeep: %s is not recorded: %s", what,
			  s->cmd.state);
		return 0;
	}
	api->ask_begin(s->cmd.ask, &w, PK_WIRE_RECORDS, 0);
	pk_wire_put_context(&w, &c, 0);
	if (!pk_wire_put_item(&w, &item))
		error = "it is too long";
	else if (api->ask_records(s->cmd.ask, &w, &result, &error) == 0) {
		if (result == PK_WIRE_OK)
			return 0;
		error = pk_wire_result_name(result);
	}
	i_error("popkeep: %s is not recorded: %s", what, error);
	doveadm_mail_failed_error(&s->cmd.ctx, MAIL_ERROR_TEMP);
	return -1;
}

/* Only of everybody's mailboxes: see overdue.h. */
static void record_overdue(struct sweep *s)
{
	char text[PK_AUDIT_REASON_SIZE];
	size_t i;

	for (i = 0; s->all && i < s->overdue.count; i++) {
		pk_overdue_format(&s->overdue.rule[i], text);
		if (record(s, PK_AUDIT_SWEEP, "", s->overdue.rule[i].name,
			   text) < 0)
			s->failed++;
	}
}

static void record_totals(struct sweep *s)
{
	string_t *text = t_str_new(128);
	unsigned int i;

	str_printfa(text, "mailboxes=%"PRIu64, s->mailboxes);
	for (i = 0; i < COUNTS; i++)
		str_printfa(text, " %s=%"PRIu64, count_names[i], s->total[i]);
	str_printfa(text, " busy=%"PRIu64" braked=%"PRIu64" failed=%"PRIu64
		    "%s %.64s", s->busy, s->braked, s->failed,
		    s->all ? " "PK_OVERDUE_ALL : "", s->who);
	(void)record(s, PK_AUDIT_SWEEP, "", "", str_c(text));
}

/* ---- what is said ------------------------------------------------------- */

static bool is_anything(const struct swept *b)
{
	unsigned int i;

	for (i = 0; i < COUNTS; i++) {
		if (b->count[i] > 0)
			return TRUE;
	}
	return FALSE;
}

/* Of many mailboxes those where nothing was done are not shown. */
static void show(const struct swept *b, const char *result)
{
	unsigned int i;

	if (b->s->dry_run || (!b->s->cmd.ctx.iterate_single_user &&
			      strcmp(result, "ok") == 0 && !is_anything(b)))
		return;
	for (i = 0; i < COUNTS; i++)
		doveadm_print_num(b->count[i]);
	doveadm_print(result);
}

static int skip(struct swept *b, enum mail_error error, const char *why)
{
	/* The rows of a dry-run are messages. */
	if (b->s->dry_run)
		e_warning(b->puser->user->event, "popkeep: skipped: %s", why);
	show(b, t_strconcat("skipped: ", why, NULL));
	doveadm_mail_failed_error(&b->s->cmd.ctx, error);
	return -1;
}

/* Nothing of this mailbox is touched. */
static int say_braked(struct swept *b)
{
	const char *user = b->puser->user->username;

	b->s->braked++;
	if (!b->s->dry_run &&
	    record(b->s, PK_AUDIT_BRAKE, user, b->puser->context.rule,
		   b->why) < 0)
		b->s->failed++;
	return skip(b, MAIL_ERROR_NOTPOSSIBLE, t_strdup_printf(
		"brake: %s: see \"doveadm popkeep explain -u %s\", then "
		"--force", b->why, user));
}

static int finish(struct swept *b, int ret)
{
	struct sweep *s = b->s;

	if (b->braked)
		return say_braked(b);
	if (ret == 0) {
		s->busy++;
		return skip(b, MAIL_ERROR_INUSE, "a session has the lock");
	}
	if (ret > 0) {
		show(b, "ok");
		return 0;
	}
	s->failed++;
	show(b, t_strconcat("failed: ", b->why != NULL ? b->why :
			    "see the errors", NULL));
	if (b->why != NULL)
		return doveadm_popkeep_fail(&s->cmd, b->puser,
					    MAIL_ERROR_TEMP, b->why);
	doveadm_mail_failed_error(&s->cmd.ctx, MAIL_ERROR_TEMP);
	return -1;
}

/* ---- the command -------------------------------------------------------- */

static int sweep_run(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	struct sweep *s = (struct sweep *)cmd;
	struct swept b = { .s = s, .puser = puser };
	unsigned int i;
	int ret;

	s->mailboxes++;
	(void)i_snprintf(puser->context.session,
			 sizeof(puser->context.session), "sweep-%s",
			 my_pid);
	if (doveadm_popkeep_policy(cmd, puser) < 0) {
		s->failed++;
		return -1;
	}
	ret = sweep_user(&b);
	for (i = 0; i < COUNTS; i++)
		s->total[i] += b.count[i];
	if (puser->up.has_rule)
		(void)!pk_overdue_add(&s->overdue, puser->up.rule.name,
				      b.overdue, b.oldest);
	return finish(&b, ret);
}

static void say_totals(const struct sweep *s)
{
	string_t *text = t_str_new(128);
	unsigned int i;

	for (i = 0; i < COUNTS; i++)
		str_printfa(text, "%s %"PRIu64" %s", i > 0 ? "," : "",
			    s->total[i], count_names[i]);
	i_info("popkeep: %"PRIu64" mailboxes%s:%s; skipped: %"PRIu64" busy, "
	       "%"PRIu64" braked; failed: %"PRIu64, s->mailboxes,
	       s->dry_run ? ", would be" : "", str_c(text), s->busy,
	       s->braked, s->failed);
}

static void sweep_deinit(struct doveadm_mail_cmd_context *ctx)
{
	struct sweep *s = (struct sweep *)ctx;

	/* Users whose mailbox could not even be opened. */
	if (ctx->exit_code == EX_TEMPFAIL && s->failed == 0)
		s->failed++;
	/* Nothing was done here, where another doveadm did it for us. */
	if (s->mailboxes > 0) T_BEGIN {
		if (!s->dry_run) {
			record_overdue(s);
			record_totals(s);
		}
		if (!ctx->iterate_single_user)
			say_totals(s);
	} T_END;
	pk_overdue_free(&s->overdue);
	doveadm_popkeep_deinit(ctx);
}

/* Before doveadm becomes somebody else. */
static const char *who_begins(struct doveadm_mail_cmd_context *ctx)
{
	const char *sudo = getenv("SUDO_USER");
	const struct passwd *pw = getpwuid(getuid());

	return p_strdup_printf(ctx->pool, "by %s (uid %u%s%s)%s",
		pw != NULL ? pw->pw_name : "?", (unsigned int)getuid(),
		sudo != NULL ? ", sudo " : "", sudo != NULL ? sudo : "",
		ctx->cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI ?
		" through doveadm-server" : "");
}

static void sweep_headers(const struct sweep *s)
{
	unsigned int i;

	if (s->dry_run) {
		doveadm_print_header_simple("mailbox");
		doveadm_print_header_simple("uidl");
		doveadm_print_header_simple("would");
		doveadm_print_header_simple("reason");
		return;
	}
	for (i = 0; i < COUNTS; i++)
		doveadm_print_header(count_names[i], count_names[i],
				     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY |
				     DOVEADM_PRINT_HEADER_FLAG_NUMBER);
	doveadm_print_header_simple("result");
}

static void sweep_init(struct doveadm_mail_cmd_context *ctx
		       DOVEADM_POPKEEP_INIT_ARGS)
{
	struct sweep *s = (struct sweep *)ctx;
	bool all = FALSE;

	(void)doveadm_cmd_param_bool(ctx->cctx, "dry-run", &s->dry_run);
	(void)doveadm_cmd_param_bool(ctx->cctx, "force", &s->force);
	(void)doveadm_cmd_param_bool(ctx->cctx, "all-users", &all);
	s->all = all && !ctx->iterate_single_user;
	s->who = who_begins(ctx);
	sweep_headers(s);
}

static struct doveadm_mail_cmd_context *sweep_alloc(void)
{
	struct sweep *s = doveadm_mail_cmd_alloc(struct sweep);
	struct doveadm_mail_cmd_context *ctx =
		doveadm_popkeep_alloc(&s->cmd, sweep_run);

	s->cmd.administers = TRUE;
	ctx->v.init = sweep_init;
	ctx->v.deinit = sweep_deinit;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_popkeep_sweep = {
	.name = "popkeep sweep",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "[--dry-run] [--force]",
	.mail_cmd = sweep_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('f', "force", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
