/*
 * Settings: see popkeep-settings.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-settings.h"
#include "mail-user.h"

#include "engine/wire.h"

#define DEFAULT_RETAINED "popkeep-retained/"

#ifdef PK_DOVECOT_SETTINGS_GET

#include "settings.h"

#undef DEF
#define DEF(type, name) \
	SETTING_DEFINE_STRUCT_##type(#name, name, struct popkeep_settings)
static const struct setting_define popkeep_setting_defines[] = {
	DEF(STR, popkeep_socket),
	DEF(STR, popkeep_retention),
	DEF(STR, popkeep_retained),
	{ .type = SET_FILTER_NAME, .key = POPKEEP_FACTS },
	{ .type = SET_FILTER_NAME, .key = POPKEEP_FACTS_DEFAULT },

	SETTING_DEFINE_LIST_END
};

static const struct popkeep_settings popkeep_default_settings = {
	.popkeep_socket = PK_POLICY_SOCKET,
	.popkeep_retention = "",
	.popkeep_retained = DEFAULT_RETAINED,
};

/*
 * Dovecot adds the dicts that an administrator names to those of defaults, and
 * then refuses two of them: ours has a filter of its own, which is used where
 * popkeep_facts has none.
 */
static const struct setting_keyvalue popkeep_default_settings_keyvalue[] = {
	{ POPKEEP_FACTS_DEFAULT"/dict", "file" },
	{ POPKEEP_FACTS_DEFAULT"/dict/file/dict_driver", "file" },
	{ POPKEEP_FACTS_DEFAULT"/dict/file/dict_file_path",
	  "%{home}/popkeep.facts" },
	{ NULL, NULL }
};

const struct setting_parser_info popkeep_setting_parser_info = {
	.name = "popkeep",
	.plugin_dependency = "lib95_popkeep_plugin",

	.defines = popkeep_setting_defines,
	.defaults = &popkeep_default_settings,
	.default_settings = popkeep_default_settings_keyvalue,

	.struct_size = sizeof(struct popkeep_settings),
	.pool_offset1 = 1 + offsetof(struct popkeep_settings, pool),
};

int popkeep_settings_get(struct mail_user *user,
			 const struct popkeep_settings **set_r,
			 const char **error_r)
{
	return settings_get(user->event, &popkeep_setting_parser_info, 0,
			    set_r, error_r);
}

void popkeep_settings_free(const struct popkeep_settings **set)
{
	settings_free(*set);
}

#else

static const char *
get(struct mail_user *user, const char *key, const char *otherwise)
{
	const char *value = mail_user_plugin_getenv(user, key);

	return value != NULL ? value : otherwise;
}

int popkeep_settings_get(struct mail_user *user,
			 const struct popkeep_settings **set_r,
			 const char **error_r ATTR_UNUSED)
{
	struct popkeep_settings *set =
		p_new(user->pool, struct popkeep_settings, 1);

	set->popkeep_socket = get(user, "popkeep_socket", PK_POLICY_SOCKET);
	set->popkeep_retention = get(user, "popkeep_retention", "");
	set->popkeep_retained = get(user, "popkeep_retained",
				    DEFAULT_RETAINED);
	set->popkeep_facts = get(user, "popkeep_facts", "");
	*set_r = set;
	return 0;
}

void popkeep_settings_free(const struct popkeep_settings **set)
{
	/* in the user's pool */
	*set = NULL;
}

#endif
