/*
 * doveadm popkeep explain: what the policy does to a user's messages, and why.
 * Nothing is locked or changed.
 *
 * SPDX-License-Identifier: ISC
 */
#include "doveadm-popkeep.h"
#include "mail-namespace.h"

#include <time.h>

struct explain {
	struct doveadm_popkeep cmd;
	const char *uidl;		/* NULL: all messages */
	unsigned int shown;		/* of this user */
};

/* ---- texts -------------------------------------------------------------- */

const char *doveadm_popkeep_time(int64_t when)
{
	time_t t = when;
	struct tm tm;
	char text[32];

	if (when <= 0 || when == PK_NEVER || gmtime_r(&t, &tm) == NULL ||
	    tm.tm_year >= 8100 ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return "-";
	return t_strdup(text);
}

/* ---- messages ----------------------------------------------------------- */

void doveadm_popkeep_message_headers(void)
{
	const enum doveadm_print_header_flags number =
		DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY |
		DOVEADM_PRINT_HEADER_FLAG_NUMBER;

	doveadm_print_header_simple("mailbox");
	doveadm_print_header_simple("uidl");
	doveadm_print_header_simple("verdict");
	doveadm_print_header_simple("reason");
	doveadm_print_header_simple("changes");
	doveadm_print_header_simple("delivered");
	doveadm_print_header_simple("downloaded");
	doveadm_print_header_simple("read");
	doveadm_print_header("unconfirmed", "unconfirmed", number);
	doveadm_print_header("size", "size", number);
}

/*
 * Why the verdict is this one; in brackets why it will be another, if only that
 * can be told.
 */
static const char *
reason_of(const struct pk_user_policy *up, const struct pk_decision *d,
	  const struct pk_decision *next)
{
	enum pk_reason why = d->would != d->verdict ? d->would_reason :
		d->reason;
	char text[PK_REASON_SIZE];

	if (why != PK_REASON_NONE || d->changes == PK_NEVER)
		return t_strdup(pk_reason_text(why, up, text));
	return t_strdup_printf("(%s)", pk_reason_text(next->would_reason, up,
						      text));
}

void doveadm_popkeep_print_message(struct popkeep_maildrop *pm,
				   uint32_t msgno, enum pk_occasion occasion,
				   int64_t now)
{
	const struct pk_user_policy *up = &pm->puser->up;
	const struct popkeep_message *msg = &pm->messages[msgno - 1];
	struct pk_decision d, next;
	struct pk_facts f;

	pm->md.ops->facts(&pm->md, msgno, now, &f);
	pk_decide(up, &f, occasion, NULL, now, &d);
	next = d;
	if (d.changes != PK_NEVER)
		pk_decide(up, &f, occasion, NULL, d.changes, &next);
	doveadm_print(mailbox_get_vname(pm->box));
	doveadm_print(msg->uidl);
	/* In brackets: what it would be if the rule acted. */
	doveadm_print(d.would == d.verdict ? pk_verdict_name(d.verdict) :
		      t_strdup_printf("(%s)", pk_verdict_name(d.would)));
	doveadm_print(reason_of(up, &d, &next));
	doveadm_print(doveadm_popkeep_time(d.changes));
	doveadm_print(doveadm_popkeep_time(f.delivered));
	doveadm_print(doveadm_popkeep_time(f.downloaded));
	doveadm_print(doveadm_popkeep_time(f.read));
	doveadm_print_num(f.unconfirmed);
	doveadm_print_num(msg->octets);
}

static void show_place(struct explain *e, struct popkeep_maildrop *pm,
		       enum pk_occasion occasion)
{
	const struct pk_user_policy *up = &pm->puser->up;
	const struct popkeep_message *msg;
	int64_t now = time(NULL);
	uint32_t i;

	for (i = 1; i <= pm->count; i++) T_BEGIN {
		msg = e->cmd.api->maildrop_look(pm, i);
		if (msg != NULL &&
		    (e->uidl == NULL || strcmp(e->uidl, msg->uidl) == 0)) {
			doveadm_popkeep_print_message(pm, i, occasion, now);
			doveadm_print(!up->has_rule ? "-" : t_strconcat(
				up->rule.name, pk_rule_idle_text(up, now),
				NULL));
			e->shown++;
		}
	} T_END;
}

/* ---- the command -------------------------------------------------------- */

static int explain_retained(struct doveadm_popkeep *cmd,
			    struct popkeep_maildrop *pm,
			    void *context ATTR_UNUSED)
{
	show_place((struct explain *)cmd, pm, PK_OCCASION_RETAINED);
	return 0;
}

static int explain_inbox(struct explain *e, struct popkeep_user *puser)
{
	struct popkeep_maildrop *pm;
	struct mailbox *box;
	const char *error;

	box = doveadm_popkeep_inbox(&e->cmd, puser, &error);
	if (box == NULL)
		return error == NULL ? 0 :
			doveadm_popkeep_fail(&e->cmd, puser, MAIL_ERROR_TEMP,
					     error);
	pm = e->cmd.api->maildrop_init(puser, box);
	e->cmd.api->maildrop_load_facts(pm, NULL, time(NULL));
	show_place(e, pm, PK_OCCASION_SWEEP);
	e->cmd.api->maildrop_deinit(&pm);
	mailbox_free(&box);
	return 0;
}

static int explain_run(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	struct explain *e = (struct explain *)cmd;
	int ret;

	e->shown = 0;
	if (doveadm_popkeep_policy(cmd, puser) < 0)
		return -1;
	ret = explain_inbox(e, puser);
	if (doveadm_popkeep_each(cmd, puser, explain_retained, NULL) < 0)
		ret = -1;
	if (ret == 0 && e->uidl != NULL && e->shown == 0)
		return doveadm_popkeep_fail(cmd, puser, MAIL_ERROR_NOTFOUND,
					    "no message has this unique-id");
	return ret;
}

static void explain_init(struct doveadm_mail_cmd_context *ctx
			 DOVEADM_POPKEEP_INIT_ARGS)
{
	struct explain *e = (struct explain *)ctx;

	if (!doveadm_cmd_param_str(ctx->cctx, "uidl", &e->uidl))
		e->uidl = NULL;
	doveadm_popkeep_message_headers();
	doveadm_print_header_simple("rule");
}

static struct doveadm_mail_cmd_context *explain_alloc(void)
{
	struct explain *e = doveadm_mail_cmd_alloc(struct explain);

	e->cmd.ctx.v.init = explain_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return doveadm_popkeep_alloc(&e->cmd, explain_run);
}

struct doveadm_cmd_ver2 doveadm_popkeep_explain = {
	.name = "popkeep explain",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "[<unique-id>]",
	.mail_cmd = explain_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "uidl", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
