/*
 * doveadm popkeep retained: what a hold or a minimum keeps in the Retained
 * place.
 *
 * SPDX-License-Identifier: ISC
 */
#include "doveadm-popkeep.h"
#include "hostpid.h"
#include "str.h"
#include "mail-namespace.h"

#include <time.h>

struct retained {
	struct doveadm_popkeep cmd;
	const char *const *uidls;	/* NULL: none */
	bool all;
	bool *found;			/* of uidls */
	const char *vname;		/* what is looked at now */
	bool kept;			/* named, and forbidden now */
};

/* ---- which messages ----------------------------------------------------- */

static bool is_named(struct retained *r, const char *uidl)
{
	bool named = FALSE;
	unsigned int i;

	for (i = 0; r->uidls != NULL && r->uidls[i] != NULL; i++) {
		if (strcmp(r->uidls[i], uidl) == 0)
			named = r->found[i] = TRUE;
	}
	return named || r->all;
}

static int report_missing(struct retained *r, struct popkeep_user *puser)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; r->uidls != NULL && r->uidls[i] != NULL; i++) {
		if (!r->found[i])
			ret = doveadm_popkeep_fail(&r->cmd, puser,
				MAIL_ERROR_NOTFOUND, t_strdup_printf(
				"%s: it is not retained", r->uidls[i]));
	}
	return ret;
}

static void print_result(const struct retained *r, const char *uidl,
			 const char *result)
{
	doveadm_print(r->vname);
	doveadm_print(uidl);
	doveadm_print(result);
}

/* ---- list --------------------------------------------------------------- */

static int list_folder(struct doveadm_popkeep *cmd,
		       struct popkeep_maildrop *pm,
		       void *context ATTR_UNUSED)
{
	int64_t now = time(NULL);
	uint32_t i;

	for (i = 1; i <= pm->count; i++) T_BEGIN {
		if (cmd->api->maildrop_look(pm, i) != NULL)
			doveadm_popkeep_print_message(pm, i,
				PK_OCCASION_RETAINED, now);
	} T_END;
	return 0;
}

static int list_run(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	if (doveadm_popkeep_policy(cmd, puser) < 0)
		return -1;
	return doveadm_popkeep_each(cmd, puser, list_folder, NULL);
}

static void list_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
		      DOVEADM_POPKEEP_INIT_ARGS)
{
	doveadm_popkeep_message_headers();
}

static struct doveadm_mail_cmd_context *list_alloc(void)
{
	struct retained *r = doveadm_mail_cmd_alloc(struct retained);

	r->cmd.ctx.v.init = list_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return doveadm_popkeep_alloc(&r->cmd, list_run);
}

/* ---- restore ------------------------------------------------------------ */

/* name, which has separators of ns "from", in namespace to. */
static const char *name_in(struct mail_namespace *to,
			   struct mail_namespace *from, const char *name)
{
	char old = mail_namespace_get_sep(from);
	char new = mail_namespace_get_sep(to);
	string_t *str = t_str_new(64);

	str_append(str, to->prefix);
	for (; *name != '\0'; name++)
		str_append_c(str, *name == old ? new : *name);
	return str_c(str);
}

/* Could what is retained have come from there? */
static bool is_origin(const struct popkeep_user *puser,
		      const struct mail_namespace *ns,
		      const struct mail_namespace *retained)
{
	return ns != retained && ns->owner == puser->user &&
		ns->type == MAIL_NAMESPACE_TYPE_PRIVATE;
}

/*
 * The folder that box, of the Retained place, was filled from; INBOX where that
 * is gone.
 */
static struct mailbox *
open_origin(struct retained *r, struct popkeep_user *puser,
	    const struct mailbox *box, const char **error_r)
{
	struct mail_namespace *from = mailbox_get_namespace(box), *ns;
	const char *name = mailbox_get_vname(box) + from->prefix_len;
	struct mailbox *dest;

	for (ns = puser->user->namespaces; ns != NULL; ns = ns->next) {
		if (!is_origin(puser, ns, from) ||
		    strcasecmp(name, "INBOX") == 0)
			continue;
		dest = r->cmd.api->open_box(puser, ns->list,
					    name_in(ns, from, name), FALSE,
					    error_r);
		if (dest != NULL || *error_r != NULL)
			return dest;
	}
	dest = doveadm_popkeep_inbox(&r->cmd, puser, error_r);
	if (dest == NULL && *error_r == NULL)
		*error_r = "there is no INBOX";
	return dest;
}

static int show_restored(struct retained *r, struct popkeep_maildrop *pm,
			 const struct popkeep_restore *restore)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < pm->count; i++) {
		const char *uidl = pm->messages[i].uidl;

		if (restore->plan[i] == PK_KEEP)
			continue;
		if (restore->outcome[i] == PK_OUTCOME_RETAINED) {
			print_result(r, uidl, "restored");
			continue;
		}
		ret = restore->outcome[i] == PK_OUTCOME_VANISHED ?
			doveadm_popkeep_fail(&r->cmd, pm->puser,
				MAIL_ERROR_NOTFOUND, t_strdup_printf(
				"%s: it is not retained", uidl)) :
			doveadm_popkeep_fail(&r->cmd, pm->puser,
				MAIL_ERROR_TEMP, t_strdup_printf(
				"%s: not restored: %s", uidl,
				restore->error));
	}
	return ret;
}

static int restore_planned(struct retained *r, struct popkeep_maildrop *pm,
			   const uint8_t *plan)
{
	struct popkeep_restore restore = {
		.pm = pm, .plan = plan,
		.outcome = p_new(pm->pool, uint8_t, pm->count),
	};
	const char *error = NULL;
	int ret;

	restore.dest = open_origin(r, pm->puser, pm->box, &error);
	if (restore.dest == NULL)
		return doveadm_popkeep_fail(&r->cmd, pm->puser,
					    MAIL_ERROR_TEMP, error);
	r->vname = mailbox_get_vname(restore.dest);
	ret = r->cmd.api->restore(&restore);
	if (show_restored(r, pm, &restore) == 0 && ret < 0)
		(void)doveadm_popkeep_fail(&r->cmd, pm->puser,
					   MAIL_ERROR_TEMP, restore.error);
	mailbox_free(&restore.dest);
	return r->cmd.ctx.exit_code == 0 ? 0 : -1;
}

static int restore_folder(struct doveadm_popkeep *cmd,
			  struct popkeep_maildrop *pm,
			  void *context ATTR_UNUSED)
{
	struct retained *r = (struct retained *)cmd;
	uint8_t *plan = p_new(pm->pool, uint8_t, pm->count + 1);
	const struct popkeep_message *msg;
	bool any = FALSE;
	uint32_t i;

	for (i = 0; i < pm->count; i++) {
		msg = cmd->api->maildrop_look(pm, i + 1);
		if (msg != NULL && is_named(r, msg->uidl)) {
			plan[i] = PK_RETAIN;
			any = TRUE;
		}
	}
	return any ? restore_planned(r, pm, plan) : 0;
}

/* ---- purge -------------------------------------------------------------- */

/* Only what was named, and only what the policy permits. */
static bool look(struct pk_verdicts *v, void *context)
{
	struct retained *r = context;
	char reason[PK_REASON_SIZE];
	struct pk_message_info info;
	uint32_t i;

	for (i = 1; i <= v->count; i++) T_BEGIN {
		v->md->ops->info(v->md, i, &info);
		if (!is_named(r, info.uid))
			pk_verdicts_keep(v, i);
		else if (v->plan[i - 1] == PK_KEEP) {
			r->kept = TRUE;
			print_result(r, info.uid, t_strconcat("kept: ",
				v->fate[i - 1].would == PK_DISPOSE ?
				"the rule does not act now" :
				pk_reason_text(v->fate[i - 1].reason, &v->up,
					       reason), NULL));
		}
	} T_END;
	/* What was not asked for is not to be recorded as "would" either. */
	v->would = 0;
	return TRUE;
}

static void show_purged(const struct retained *r, const struct pk_verdicts *v)
{
	struct pk_message_info info;
	uint32_t i;

	for (i = 0; v->outcome != NULL && i < v->count; i++) {
		v->md->ops->info(v->md, i + 1, &info);
		if (v->outcome[i] == PK_OUTCOME_DISPOSED)
			print_result(r, info.uid, "purged");
	}
}

static int purge_folder(struct doveadm_popkeep *cmd,
			struct popkeep_maildrop *pm,
			void *context ATTR_UNUSED)
{
	struct retained *r = (struct retained *)cmd;
	struct popkeep_update u = {
		.pm = pm, .occasion = PK_OCCASION_RETAINED,
		.look = look, .context = r,
	};
	const char *error;
	int ret;

	r->vname = mailbox_get_vname(pm->box);
	ret = cmd->api->update_run(&u);
	show_purged(r, &u.v);
	if (ret < 0)
		(void)doveadm_popkeep_fail(cmd, pm->puser, MAIL_ERROR_TEMP,
					   u.error);
	cmd->api->update_deinit(&u);
	if (pm->puser->facts != NULL &&
	    cmd->api->facts_commit(pm->puser->facts, &error) < 0)
		ret = doveadm_popkeep_fail(cmd, pm->puser, MAIL_ERROR_TEMP,
			t_strdup_printf("facts: %s", error));
	return ret;
}

/* ---- both --------------------------------------------------------------- */

static int change(struct retained *r, struct popkeep_user *puser,
		  int (*change_folder)(struct doveadm_popkeep *cmd,
				       struct popkeep_maildrop *pm,
				       void *context))
{
	struct dotlock *lock;
	int ret;

	(void)i_snprintf(puser->context.session,
			 sizeof(puser->context.session), "retained-%s",
			 my_pid);
	r->kept = FALSE;
	r->found = p_new(r->cmd.ctx.pool, bool,
			 r->uidls == NULL ? 1 : str_array_length(r->uidls) + 1);
	if (doveadm_popkeep_policy(&r->cmd, puser) < 0 ||
	    doveadm_popkeep_must_lock(&r->cmd, puser, &lock) < 0)
		return -1;
	(void)r->cmd.api->close_unfinished(puser, NULL);
	ret = doveadm_popkeep_each(&r->cmd, puser, change_folder, NULL);
	doveadm_popkeep_unlock(&lock);
	if (report_missing(r, puser) < 0)
		ret = -1;
	/* With --all what is forbidden was not asked for. */
	if (r->kept && !r->all) {
		doveadm_mail_failed_error(&r->cmd.ctx, MAIL_ERROR_NOTPOSSIBLE);
		ret = -1;
	}
	return ret;
}

static int restore_run(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	return change((struct retained *)cmd, puser, restore_folder);
}

static int purge_run(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	return change((struct retained *)cmd, puser, purge_folder);
}

static void change_init(struct doveadm_mail_cmd_context *ctx
			DOVEADM_POPKEEP_INIT_ARGS)
{
	struct retained *r = (struct retained *)ctx;

	(void)doveadm_cmd_param_bool(ctx->cctx, "all", &r->all);
	if (!doveadm_cmd_param_array(ctx->cctx, "uidl", &r->uidls))
		r->uidls = NULL;
	/* To change all of them must have been said. */
	if (r->all == (r->uidls != NULL && r->uidls[0] != NULL))
		doveadm_mail_help_name(ctx->cctx->cmd->name);
	doveadm_print_header_simple("mailbox");
	doveadm_print_header_simple("uidl");
	doveadm_print_header_simple("result");
}

static struct doveadm_mail_cmd_context *
change_alloc(int (*run)(struct doveadm_popkeep *cmd,
			struct popkeep_user *puser))
{
	struct retained *r = doveadm_mail_cmd_alloc(struct retained);

	r->cmd.ctx.v.init = change_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return doveadm_popkeep_alloc(&r->cmd, run);
}

static struct doveadm_mail_cmd_context *restore_alloc(void)
{
	return change_alloc(restore_run);
}

static struct doveadm_mail_cmd_context *purge_alloc(void)
{
	return change_alloc(purge_run);
}

struct doveadm_cmd_ver2 doveadm_popkeep_retained_list = {
	.name = "popkeep retained list",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = list_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_popkeep_retained_restore = {
	.name = "popkeep retained restore",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "--all | <unique-id> [...]",
	.mail_cmd = restore_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('a', "all", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "uidl", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_popkeep_retained_purge = {
	.name = "popkeep retained purge",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "--all | <unique-id> [...]",
	.mail_cmd = purge_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('a', "all", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "uidl", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
