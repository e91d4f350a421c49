/*
 * doveadm popkeep status: what is in force for a user, and how policyd is.
 *
 * SPDX-License-Identifier: ISC
 */
#include "doveadm-popkeep.h"
#include "hex-binary.h"
#include "str.h"

#include <time.h>

/* ---- what the policy says ----------------------------------------------- */

static const char *rule_of(const struct popkeep_user *puser, int64_t now)
{
	switch (puser->policy) {
	case POPKEEP_POLICY_KNOWN:
		break;
	case POPKEEP_POLICY_UNASKED:
	case POPKEEP_POLICY_AWAY:
	case POPKEEP_POLICY_REFUSED:
		return "not known: see the log";
	}
	if (!puser->up.has_rule)
		return "none: the client alone decides";
	return t_strconcat(puser->up.rule.name,
			   pk_rule_idle_text(&puser->up, now), NULL);
}

static const char *holds_of(const struct pk_user_policy *up)
{
	string_t *str = t_str_new(64);
	unsigned int i;

	str_printfa(str, "%u", up->holds);
	for (i = 0; i < up->holds && i < PK_HOLD_NAMES; i++)
		str_printfa(str, "%s%s", i == 0 ? ": " : ", ", up->hold[i]);
	if (up->holds > PK_HOLD_NAMES)
		str_append(str, ", ...");
	return str_c(str);
}

/* Of one policy, known or not. */
static void print_policy(struct popkeep_user *puser, int64_t now)
{
	const struct pk_user_policy *up = &puser->up;

	doveadm_print(rule_of(puser, now));
	if (puser->policy != POPKEEP_POLICY_KNOWN) {
		doveadm_print("-");
		doveadm_print("-");
		doveadm_print("-");
		doveadm_print_num(0);
		return;
	}
	doveadm_print(holds_of(up));
	doveadm_print(up->holds == 0 ? "-" : up->held_until == PK_NEVER ?
		      "released" : doveadm_popkeep_time(up->held_until));
	doveadm_print(binary_to_hex(up->hash, sizeof(up->hash)));
	doveadm_print_num(puser->unfinished);
}

/* ---- what is there ------------------------------------------------------ */

static const char *
facts_since(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	/* Nobody's: only since when facts are kept is read. */
	static const char *const nobodys[] = { "" };
	struct popkeep_facts *facts = cmd->api->user_facts(puser);
	const char *error;

	if (facts == NULL)
		return NULL;
	if (cmd->api->facts_load(facts, nobodys, 1, time(NULL),
				 &error) < 0) {
		(void)doveadm_popkeep_fail(cmd, puser, MAIL_ERROR_TEMP,
			t_strdup_printf("facts: %s", error));
		return NULL;
	}
	return doveadm_popkeep_time(cmd->api->facts_since(facts));
}

static int count_folder(struct doveadm_popkeep *cmd ATTR_UNUSED,
			struct popkeep_maildrop *pm, void *context)
{
	unsigned int *count = context;

	*count += pm->count;
	return 0;
}

/* ---- the command -------------------------------------------------------- */

/* Lines for a person, in one. */
static const char *in_one_line(const char *text)
{
	return t_str_replace(t_str_rtrim(text, "\n"), '\n', ';');
}

static int status_run(struct doveadm_popkeep *cmd, struct popkeep_user *puser)
{
	unsigned int retained = 0;
	const char *since;
	int ret = doveadm_popkeep_policy(cmd, puser);

	since = facts_since(cmd, puser);
	if (doveadm_popkeep_each(cmd, puser, count_folder, &retained) < 0 ||
	    since == NULL)
		ret = -1;
	print_policy(puser, time(NULL));
	doveadm_print(since != NULL ? since : "-");
	doveadm_print_num(retained);
	doveadm_print(in_one_line(cmd->state));
	if (ret < 0)
		doveadm_mail_failed_error(&cmd->ctx, MAIL_ERROR_TEMP);
	return ret;
}

static void status_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
			DOVEADM_POPKEEP_INIT_ARGS)
{
	const enum doveadm_print_header_flags number =
		DOVEADM_PRINT_HEADER_FLAG_NUMBER;

	doveadm_print_header_simple("rule");
	doveadm_print_header_simple("holds");
	doveadm_print_header_simple("held until");
	doveadm_print_header_simple("policy");
	doveadm_print_header("unfinished", "unfinished", number);
	doveadm_print_header_simple("facts since");
	doveadm_print_header("retained", "retained", number);
	doveadm_print_header_simple("policyd");
}

static struct doveadm_mail_cmd_context *status_alloc(void)
{
	struct doveadm_popkeep *cmd =
		doveadm_mail_cmd_alloc(struct doveadm_popkeep);

	cmd->administers = TRUE;
	cmd->ctx.v.init = status_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_PAGER);
	return doveadm_popkeep_alloc(cmd, status_run);
}

struct doveadm_cmd_ver2 doveadm_popkeep_status = {
	.name = "popkeep status",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = status_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};
