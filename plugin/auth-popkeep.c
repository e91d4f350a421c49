/*
 * The passdb driver popkeep: in front of any other passdb a gate, which asks
 * popkeep-policyd whether the login may be, or a passdb of its own, with PAM
 * for passwords and the store of secrets for APOP and the like.
 *
 * SPDX-License-Identifier: ISC
 */
#include "auth-popkeep-private.h"
#include "net.h"

#include "auth-popkeep-policyd.h"

#define EXPORT __attribute__((visibility("default")))

extern const char *authdb_popkeep_version;
void authdb_popkeep_init(void);
void authdb_popkeep_deinit(void);

EXPORT const char *authdb_popkeep_version = DOVECOT_ABI_VERSION;

/* ---- what both modes say of a request ----------------------------------- */

int auth_popkeep_question(const struct auth_request *request,
			  enum pk_credential_kind kind,
			  struct pk_wire_login *question_r,
			  const char **error_r)
{
	i_zero(question_r);
	question_r->kind = kind;
	question_r->tls = popkeep_request_is_tls(request);
	if (i_strocpy(question_r->user, request->fields.user,
		      sizeof(question_r->user)) < 0) {
		*error_r = "the user's name is too long";
		return -1;
	}
	if (request->fields.remote_ip.family == 0) {
		*error_r = "the client has no address";
		return -1;
	}
	if (i_strocpy(question_r->ip, net_ip2addr(&request->fields.remote_ip),
		      sizeof(question_r->ip)) < 0) {
		*error_r = "the client's address is too long";
		return -1;
	}
	return 0;
}

static void cut(char *to, size_t size, const char *text)
{
	(void)i_strocpy(to, text != NULL ? text : "", size);
}

void auth_popkeep_record(const struct auth_request *request, const char *rule,
			 enum pk_audit_event event, const char *reason,
			 struct pk_audit_context *context_r,
			 struct pk_audit_item *item_r)
{
	i_zero(context_r);
	cut(context_r->user, sizeof(context_r->user), request->fields.user);
	cut(context_r->session, sizeof(context_r->session),
	    request->fields.session_id);
	if (request->fields.remote_ip.family != 0)
		cut(context_r->ip, sizeof(context_r->ip),
		    net_ip2addr(&request->fields.remote_ip));
	cut(context_r->mech, sizeof(context_r->mech),
	    request->fields.mech_name);
	cut(context_r->rule, sizeof(context_r->rule), rule);
	context_r->tls = popkeep_request_is_tls(request);
	i_zero(item_r);
	item_r->event = event;
	cut(item_r->reason, sizeof(item_r->reason), reason);
}

/* ---- what Dovecot calls ------------------------------------------------- */

static struct passdb_module *
module_new(pool_t pool, const struct auth_popkeep_settings *set)
{
	struct auth_popkeep_module *module =
		p_new(pool, struct auth_popkeep_module, 1);

	module->set = set;
	/* No default_cache_key: what is cached would not be asked again. */
	module->module.default_pass_scheme = "PLAIN";
	if (auth_popkeep_settings_is_gate(set))
		module->policyd = auth_popkeep_policyd_init(set->socket);
	else
		module->module.blocking = TRUE;
	return &module->module;
}

#ifdef PK_DOVECOT_SETTINGS_GET

#include "settings.h"

static int
popkeep_preinit(pool_t pool, struct event *event,
#ifdef PK_DOVECOT_PASSDB_PARAMETERS
		const struct passdb_parameters *params ATTR_UNUSED,
#endif
		struct passdb_module **module_r, const char **error_r)
{
	const struct auth_popkeep_settings *set;

	if (settings_get(event, &auth_popkeep_setting_parser_info, 0,
			 &set, error_r) < 0)
		return -1;
	if (auth_popkeep_settings_check(set, error_r) < 0) {
		settings_free(set);
		return -1;
	}
	*module_r = module_new(pool, set);
	return 0;
}

static void settings_done(const struct auth_popkeep_settings *set)
{
	settings_free(set);
}

#else

static struct passdb_module *popkeep_preinit(pool_t pool, const char *args)
{
	const struct auth_popkeep_settings *set;
	const char *error;

	if (auth_popkeep_settings_parse(pool, args, &set, &error) < 0 ||
	    auth_popkeep_settings_check(set, &error) < 0)
		i_fatal("passdb popkeep: args: %s", error);
	return module_new(pool, set);
}

static void settings_done(const struct auth_popkeep_settings *set ATTR_UNUSED)
{
	/* in the passdb's pool */
}

#endif

static void popkeep_init(struct passdb_module *_module)
{
	struct auth_popkeep_module *module =
		container_of(_module, struct auth_popkeep_module, module);

	if (!auth_popkeep_settings_is_gate(module->set))
		return;
	/* It waits in the event loop, and in a worker nobody would hear it:
	   2.4 has overwritten this with the driver's default. */
	_module->blocking = FALSE;
	auth_popkeep_gate_check(module);
}

static void popkeep_deinit(struct passdb_module *_module)
{
	struct auth_popkeep_module *module =
		container_of(_module, struct auth_popkeep_module, module);

	auth_popkeep_policyd_deinit(&module->policyd);
	auth_popkeep_login_deinit(module);
	settings_done(module->set);
}

static void
popkeep_verify_plain(struct auth_request *request, const char *password,
		     verify_plain_callback_t *callback)
{
	struct auth_popkeep_module *module = auth_popkeep_module(request);

	if (auth_popkeep_settings_is_gate(module->set))
		auth_popkeep_gate(request, callback, NULL);
	else
		auth_popkeep_login_verify(request, password, callback);
}

static void
popkeep_lookup_credentials(struct auth_request *request,
			   lookup_credentials_callback_t *callback)
{
	struct auth_popkeep_module *module = auth_popkeep_module(request);

	if (auth_popkeep_settings_is_gate(module->set))
		auth_popkeep_gate(request, NULL, callback);
	else
		auth_popkeep_login_lookup(request, callback);
}

static struct passdb_module_interface passdb_popkeep = {
	.name = "popkeep",

	.preinit = popkeep_preinit,
	.init = popkeep_init,
	.deinit = popkeep_deinit,

	.verify_plain = popkeep_verify_plain,
	.lookup_credentials = popkeep_lookup_credentials,
};

EXPORT void authdb_popkeep_init(void)
{
	passdb_register_module(&passdb_popkeep);
}

EXPORT void authdb_popkeep_deinit(void)
{
	passdb_unregister_module(&passdb_popkeep);
}
