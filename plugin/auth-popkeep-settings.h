/*
 * The settings of a passdb with the driver popkeep: of args in Dovecot 2.3, of
 * passdb_popkeep_* in 2.4.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AUTH_POPKEEP_SETTINGS_H
#define AUTH_POPKEEP_SETTINGS_H

#include "popkeep-compat.h"

struct auth_popkeep_settings {
	pool_t pool;
	/* "gate" or "login". */
	const char *mode;
	/* Where popkeep-policyd is asked. */
	const char *socket;
	/* gate: the protocols that it is for, with spaces or commas between
	   them; "*": all. */
	const char *services;
	/* login: the store of secrets and its key. */
	const char *secrets;
	const char *secrets_key;
	/* login: the PAM services of passwords, and of accounts alone. */
	const char *pam_service;
	const char *account_service;
	/* login: where these are; "": where the system has them. */
	const char *pam_confdir;
};

#ifdef PK_DOVECOT_SETTINGS_GET
extern const struct setting_parser_info auth_popkeep_setting_parser_info;
#else
/*
 * Take args ("mode=gate socket=...") apart; *set_r is pool's.  -1: *error_r
 * says which of them is wrong.
 */
int auth_popkeep_settings_parse(pool_t pool, const char *args,
				const struct auth_popkeep_settings **set_r,
				const char **error_r);
#endif

/* Are the values fit to run with?  -1: *error_r says what was expected. */
int auth_popkeep_settings_check(const struct auth_popkeep_settings *set,
				const char **error_r);

bool auth_popkeep_settings_is_gate(const struct auth_popkeep_settings *set);

#endif
