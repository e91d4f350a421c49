/*
 * What settings.c and settings_check.c share.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SETTINGS_PRIVATE_H
#define PK_SETTINGS_PRIVATE_H

#include <confuse.h>

#include "standalone/settings.h"

/* A word that may stand for a value of a key. */
struct pk_word {
	const char *key;
	const char *word;
	int value;
};

/* The word text of key, or NULL. */
const struct pk_word *pk_setting_word(const char *key, const char *text);

/* Take "address:port" apart; NULL, or what was expected. */
const char *pk_setting_listen(const char *text, struct pk_listen *l);

/* A name or number of a user or group; 0, or -1: there is none. */
int pk_setting_uid(const char *text, uid_t *uid_r);
int pk_setting_gid(const char *text, gid_t *gid_r);

/* Check the value just read; errors go to cfg_error(), with the line. */
void pk_setting_check(cfg_t *cfg, cfg_opt_t *opt);

#endif
