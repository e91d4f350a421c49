/*
 * The settings of the passdb: see auth-popkeep-settings.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "auth-popkeep-settings.h"
#include "str.h"

#include "engine/wire.h"
#include "pam/secrets.h"

#define DEFAULTS \
	.mode = "", \
	.socket = PK_POLICY_SOCKET, \
	.services = "pop3", \
	.secrets = PK_SECRETS_STORE, \
	.secrets_key = PK_SECRETS_KEY, \
	.pam_service = "popkeep", \
	.account_service = "popkeep-account", \
	.pam_confdir = "",

#ifdef PK_DOVECOT_SETTINGS_GET

#include "settings.h"

#define NAME_OF(arg, key) "passdb_popkeep_"key

#undef DEF
#define DEF(name) \
	SETTING_DEFINE_STRUCT_STR("passdb_popkeep_"#name, name, \
				  struct auth_popkeep_settings)
static const struct setting_define auth_popkeep_setting_defines[] = {
	{ .type = SET_FILTER_NAME, .key = "passdb_popkeep" },
	DEF(mode),
	DEF(socket),
	DEF(services),
	DEF(secrets),
	DEF(secrets_key),
	DEF(pam_service),
	DEF(account_service),
	DEF(pam_confdir),

	SETTING_DEFINE_LIST_END
};

static const struct auth_popkeep_settings auth_popkeep_default_settings = {
	DEFAULTS
};

/* PAM and the store make one wait; the gate undoes this for itself. */
static const struct setting_keyvalue auth_popkeep_default_keyvalue[] = {
	{ "passdb_popkeep/passdb_use_worker", "yes" },
	{ NULL, NULL }
};

const struct setting_parser_info auth_popkeep_setting_parser_info = {
	.name = "auth_popkeep",

	.defines = auth_popkeep_setting_defines,
	.defaults = &auth_popkeep_default_settings,
	.default_settings = auth_popkeep_default_keyvalue,

	.struct_size = sizeof(struct auth_popkeep_settings),
	.pool_offset1 = 1 + offsetof(struct auth_popkeep_settings, pool),
};

#else

#define NAME_OF(arg, key) arg

/* Which of them is for which mode; NULL: for both. */
static const struct {
	const char *name;
	size_t offset;
	const char *mode;
} keys[] = {
#define KEY(name, member, mode) \
	{ name, offsetof(struct auth_popkeep_settings, member), mode }
	KEY("mode", mode, NULL),
	KEY("socket", socket, NULL),
	KEY("services", services, "gate"),
	KEY("secrets", secrets, "login"),
	KEY("secrets-key", secrets_key, "login"),
	KEY("pam-service", pam_service, "login"),
	KEY("account-service", account_service, "login"),
	KEY("pam-confdir", pam_confdir, "login"),
#undef KEY
};

static int find_key(const char *arg, unsigned int *key_r)
{
	const char *end = strchr(arg, '=');
	size_t len = end != NULL ? (size_t)(end - arg) : 0;

	for (*key_r = 0; *key_r < N_ELEMENTS(keys); (*key_r)++) {
		if (strlen(keys[*key_r].name) == len &&
		    strncmp(keys[*key_r].name, arg, len) == 0)
			return 0;
	}
	return -1;
}

static const char *all_keys(void)
{
	string_t *str = t_str_new(128);
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(keys); i++)
		str_printfa(str, "%s%s=", i > 0 ? ", " : "", keys[i].name);
	return str_c(str);
}

/* What was said for a mode that this one is not would be ignored. */
static int check_modes(const struct auth_popkeep_settings *set,
		       const bool *given, const char **error_r)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(keys); i++) {
		if (!given[i] || keys[i].mode == NULL || set->mode[0] == '\0' ||
		    strcmp(keys[i].mode, set->mode) == 0)
			continue;
		*error_r = t_strdup_printf("%s= is for mode=%s, not for "
			"mode=%s", keys[i].name, keys[i].mode, set->mode);
		return -1;
	}
	return 0;
}

int auth_popkeep_settings_parse(pool_t pool, const char *args,
				const struct auth_popkeep_settings **set_r,
				const char **error_r)
{
	static const struct auth_popkeep_settings defaults = { DEFAULTS };
	struct auth_popkeep_settings *set =
		p_new(pool, struct auth_popkeep_settings, 1);
	bool given[N_ELEMENTS(keys)] = { FALSE };
	const char *const *arg, **value;
	unsigned int key;

	*set = defaults;
	set->pool = pool;
	for (arg = t_strsplit_spaces(args, " \t"); *arg != NULL; arg++) {
		if (find_key(*arg, &key) < 0) {
			*error_r = t_strdup_printf("%s: expected one of %s",
						   *arg, all_keys());
			return -1;
		}
		if (given[key]) {
			*error_r = t_strdup_printf("%s= is there twice",
						   keys[key].name);
			return -1;
		}
		given[key] = TRUE;
		value = PTR_OFFSET(set, keys[key].offset);
		*value = p_strdup(pool, strchr(*arg, '=') + 1);
	}
	*set_r = set;
	return check_modes(set, given, error_r);
}

#endif

bool auth_popkeep_settings_is_gate(const struct auth_popkeep_settings *set)
{
	return strcmp(set->mode, "gate") == 0;
}

static int
check_path(const char *name, const char *value, const char **error_r)
{
	if (value[0] == '/')
		return 0;
	*error_r = t_strdup_printf("%s = %s: expected an absolute path", name,
				   value);
	return -1;
}

/* It becomes the name of a file. */
static int
check_service(const char *name, const char *value, const char **error_r)
{
	if (value[0] != '\0' && value[0] != '.' && strchr(value, '/') == NULL)
		return 0;
	*error_r = t_strdup_printf("%s = %s: expected the name of a PAM "
				   "service", name, value);
	return -1;
}

int auth_popkeep_settings_check(const struct auth_popkeep_settings *set,
				const char **error_r)
{
	if (strcmp(set->mode, "gate") != 0 && strcmp(set->mode, "login") != 0) {
		*error_r = t_strdup_printf("%s = %s: expected gate or login",
			NAME_OF("mode", "mode"), set->mode);
		return -1;
	}
	if (*t_strsplit_spaces(set->services, " ,") == NULL) {
		*error_r = NAME_OF("services", "services")
			" = : expected protocols like pop3, or * for all";
		return -1;
	}
	if (check_path(NAME_OF("socket", "socket"), set->socket,
		       error_r) < 0 ||
	    check_path(NAME_OF("secrets", "secrets"), set->secrets,
		       error_r) < 0 ||
	    check_path(NAME_OF("secrets-key", "secrets_key"),
		       set->secrets_key, error_r) < 0)
		return -1;
	if (set->pam_confdir[0] != '\0' &&
	    check_path(NAME_OF("pam-confdir", "pam_confdir"),
		       set->pam_confdir, error_r) < 0)
		return -1;
	if (check_service(NAME_OF("pam-service", "pam_service"),
			  set->pam_service, error_r) < 0)
		return -1;
	return check_service(NAME_OF("account-service", "account_service"),
			     set->account_service, error_r);
}
