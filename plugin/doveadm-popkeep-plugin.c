/*
 * doveadm's commands: see doveadm-popkeep.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "doveadm-popkeep.h"
#include "module-dir.h"
#include "mail-storage-service.h"

#include "doveadm-popkeep-plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const char *doveadm_popkeep_plugin_version = DOVECOT_ABI_VERSION;

static struct doveadm_cmd_ver2 *const commands[] = {
	&doveadm_popkeep_explain,
	&doveadm_popkeep_sweep,
	&doveadm_popkeep_status,
	&doveadm_popkeep_retained_list,
	&doveadm_popkeep_retained_restore,
	&doveadm_popkeep_retained_purge,
};

EXPORT void doveadm_popkeep_plugin_init(struct module *module ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(commands); i++)
		doveadm_cmd_register_ver2(commands[i]);
}

EXPORT void doveadm_popkeep_plugin_deinit(void)
{
}

/* ---- the mail plugin ---------------------------------------------------- */

/* Modules come and go with what doveadm does: looked for each time. */
static const struct popkeep_plugin_api *find_api(void)
{
	const struct popkeep_plugin_api *api;
	struct module *m;

	for (m = mail_storage_service_modules; m != NULL; m = m->next) {
		api = module_get_symbol_quiet(m, POPKEEP_API_SYMBOL);
		if (api != NULL && api->version == POPKEEP_API_VERSION)
			return api;
	}
	return NULL;
}

/* ---- the administrator's connection ------------------------------------- */

static const char *ask_state(struct doveadm_popkeep *cmd)
{
	struct pk_wire_done done;
	struct pk_wire w, in;
	const char *error;

	cmd->api->ask_begin(cmd->ask, &w, PK_WIRE_STATUS, 0);
	if (cmd->api->ask_send(cmd->ask, &w, PK_WIRE_DONE, &in, &error) < 0)
		return error;
	if (!pk_wire_get_done(&in, &done))
		return "popkeep-policyd: malformed answer";
	cmd->trusted = done.result == PK_WIRE_OK;
	if (done.text[0] == '\0')
		return pk_wire_result_name(done.result);
	return t_strdup(done.text);
}

/* Asked for each user, too: the connection may have been lost. */
static int administer(struct doveadm_popkeep *cmd,
		      struct mail_storage_service_user *user,
		      const char **error_r)
{
	const char *socket = cmd->api->socket(user, error_r);

	if (socket == NULL)
		return -1;
	if (cmd->socket == NULL || strcmp(cmd->socket, socket) != 0) {
		i_free(cmd->socket);
		cmd->api->ask_deinit(&cmd->ask);
		cmd->socket = i_strdup(socket);
		cmd->ask = cmd->api->ask_init(socket);
	}
	cmd->trusted = FALSE;
	i_free(cmd->state);
	cmd->state = i_strdup(ask_state(cmd));
	return 0;
}

static int prerun(struct doveadm_mail_cmd_context *ctx,
		  struct mail_storage_service_user *user,
		  const char **error_r)
{
	struct doveadm_popkeep *cmd = (struct doveadm_popkeep *)ctx;

	cmd->api = find_api();
	if (cmd->api == NULL) {
		*error_r = "popkeep: its mail plugin is not loaded: popkeep "
			"must be in mail_plugins, for doveadm too";
		return -1;
	}
	return cmd->administers ? administer(cmd, user, error_r) : 0;
}

void doveadm_popkeep_deinit(struct doveadm_mail_cmd_context *ctx)
{
	struct doveadm_popkeep *cmd = (struct doveadm_popkeep *)ctx;

	if (cmd->ask != NULL)
		cmd->api->ask_deinit(&cmd->ask);
	i_free(cmd->socket);
	i_free(cmd->state);
}

/* ---- running ------------------------------------------------------------ */

int doveadm_popkeep_fail(struct doveadm_popkeep *cmd,
			 struct popkeep_user *puser, enum mail_error error,
			 const char *why)
{
	e_error(puser->user->event, "popkeep: %s", why);
	doveadm_mail_failed_error(&cmd->ctx, error);
	return -1;
}

int doveadm_popkeep_policy(struct doveadm_popkeep *cmd,
			   struct popkeep_user *puser)
{
	if (cmd->api->user_ask(puser, FALSE) == POPKEEP_POLICY_KNOWN)
		return 0;
	doveadm_mail_failed_error(&cmd->ctx, MAIL_ERROR_TEMP);
	return -1;
}

static int run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct doveadm_popkeep *cmd = (struct doveadm_popkeep *)ctx;
	struct popkeep_user *puser = cmd->api->user(user);

	if (puser != NULL)
		return cmd->run(cmd, puser);
	e_error(user->event, "popkeep: it is not in mail_plugins of this user");
	doveadm_mail_failed_error(ctx, MAIL_ERROR_NOTPOSSIBLE);
	return -1;
}

#ifdef PK_DOVECOT_DOVEADM_GETOPT
/* Dovecot has parsed it, and init() takes it from there as in 2.4. */
static bool parse_arg(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED,
		      int c ATTR_UNUSED)
{
	return TRUE;
}
#endif

struct doveadm_mail_cmd_context *
doveadm_popkeep_alloc(struct doveadm_popkeep *cmd,
		      int (*run_user)(struct doveadm_popkeep *cmd,
				      struct popkeep_user *puser))
{
	cmd->run = run_user;
	cmd->ctx.v.prerun = prerun;
	cmd->ctx.v.run = run;
	cmd->ctx.v.deinit = doveadm_popkeep_deinit;
#ifdef PK_DOVECOT_DOVEADM_GETOPT
	cmd->ctx.v.parse_arg = parse_arg;
#endif
	return &cmd->ctx;
}
