/*
 * The table for other modules: see popkeep-api.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-api.h"
#include "mail-storage-service.h"
#include "mail-storage-settings.h"

#ifdef PK_DOVECOT_SETTINGS_GET
#  include "settings.h"
#endif

static struct popkeep_user *user(struct mail_user *user)
{
	return POPKEEP_USER_CONTEXT(user);
}

#ifdef PK_DOVECOT_SETTINGS_GET

static const char *
socket_of(struct mail_storage_service_user *user, const char **error_r)
{
	const struct popkeep_settings *set;
	const char *path;

	if (settings_get(mail_storage_service_user_get_event(user),
			 &popkeep_setting_parser_info, 0, &set, error_r) < 0)
		return NULL;
	path = t_strdup(set->popkeep_socket);
	settings_free(set);
	return path;
}

#else

static const char *
socket_of(struct mail_storage_service_user *user,
	  const char **error_r ATTR_UNUSED)
{
	void **sets = mail_storage_service_user_get_set(user);
	const char *path =
		mail_user_set_plugin_getenv(sets[0], "popkeep_socket");

	return path != NULL ? path : PK_POLICY_SOCKET;
}

#endif

__attribute__((visibility("default")))
const struct popkeep_plugin_api popkeep_plugin_api = {
	.version = POPKEEP_API_VERSION,
	.user = user,
	.socket = socket_of,
	.user_ask = popkeep_user_ask,
	.user_facts = popkeep_user_facts,
	.facts_load = popkeep_facts_load,
	.facts_since = popkeep_facts_since,
	.facts_commit = popkeep_facts_commit,
	.ask_init = popkeep_ask_init_own,
	.ask_deinit = popkeep_ask_deinit,
	.ask_begin = popkeep_ask_begin,
	.ask_send = popkeep_ask_send,
	.ask_records = popkeep_ask_records,
	.retained_ns = popkeep_retained_ns,
	.open_box = popkeep_open_box,
	.maildrop_init = popkeep_maildrop_init,
	.maildrop_deinit = popkeep_maildrop_deinit,
	.maildrop_load_facts = popkeep_maildrop_load_facts,
	.maildrop_look = popkeep_maildrop_look,
	.update_run = popkeep_update_run,
	.update_deinit = popkeep_update_deinit,
	.restore = popkeep_restore,
	.close_unfinished = popkeep_close_unfinished,
};
