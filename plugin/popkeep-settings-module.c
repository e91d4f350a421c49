/*
 * What Dovecot 2.4 learns our settings from, before any plugin is loaded.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-settings.h"
#include "auth-popkeep-settings.h"
#include "settings-parser.h"

#define EXPORT __attribute__((visibility("default")))

extern const char *popkeep_settings_version;
extern const struct setting_parser_info *popkeep_settings_set_infos[];

EXPORT const char *popkeep_settings_version = DOVECOT_ABI_VERSION;

EXPORT const struct setting_parser_info *popkeep_settings_set_infos[] = {
	&popkeep_setting_parser_info,
	&auth_popkeep_setting_parser_info,
	NULL
};
