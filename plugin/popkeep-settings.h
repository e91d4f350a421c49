/*
 * The settings of a user: of plugin { } in Dovecot 2.3, at the top level in 2.4,
 * and in both what the userdb says for this user (userdb_popkeep_retention=NAME).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_SETTINGS_H
#define POPKEEP_SETTINGS_H

#include "popkeep-compat.h"

struct mail_user;

struct popkeep_settings {
	pool_t pool;
	/* Where popkeep-policyd is asked. */
	const char *popkeep_socket;
	/* The retention rule of this user; "": the policy finds it. */
	const char *popkeep_retention;
	/* The prefix of the namespace of what is retained, separator and all. */
	const char *popkeep_retained;
	/* 2.3 only: the dict of facts; "": file:HOME/popkeep.facts. */
	const char *popkeep_facts;
};

#ifdef PK_DOVECOT_SETTINGS_GET
/* Filters of 2.4: the dict of facts; the one that is used if there is none. */
#define POPKEEP_FACTS "popkeep_facts"
#define POPKEEP_FACTS_DEFAULT "popkeep_facts_default"

extern const struct setting_parser_info popkeep_setting_parser_info;
#endif

/* -1: *error_r says why.  The settings live until _free(). */
int popkeep_settings_get(struct mail_user *user,
			 const struct popkeep_settings **set_r,
			 const char **error_r);
void popkeep_settings_free(const struct popkeep_settings **set);

#endif
