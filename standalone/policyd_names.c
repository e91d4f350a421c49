/*
 * The names that users have in policyd's log and in its memory of intents.
 *
 * With a key of pseudonyms, intents are always remembered under those, because
 * the log may have some of a user's records under one and some, of before or
 * after, under the other.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "standalone/log.h"
#include "standalone/policyd_private.h"
#include "standalone/pseudonym.h"

static struct {
	bool has_key;
	uint8_t key[PK_PSEUDONYM_KEY_LEN];
} names;

void
pk_policyd_names_begin(void)
{
	char why[PK_PSEUDONYM_WHY];
	enum pk_err err;

	err = pk_pseudonym_load(pk_policyd.state_dir,
	    pk_policyd.settings->state_dir, names.key, why);
	names.has_key = err == PK_OK;
	/* A policy that wants pseudonyms is refused. */
	if (err != PK_OK && err != PK_ERR_NOTFOUND)
		pk_log(PK_LOG_ERR, "audit: %s: intents that were recorded "
		    "under pseudonyms are not found", why);
}

/* As the log has it, where it has no pseudonym already. */
static bool
name_in_log(void *arg, const char *user, char name_r[PK_AUDIT_USER_SIZE])
{
	(void)arg;
	if (!pk_pseudonym_is(user))
		return pk_pseudonym_of(names.key, user, name_r);
	memcpy(name_r, user, PK_PSEUDONYM_SIZE);
	return true;
}

bool
pk_policyd_names_need(char why[PK_PSEUDONYM_WHY])
{
	if (names.has_key)
		return true;
	if (pk_pseudonym_load_or_make(pk_policyd.state_dir,
	    pk_policyd.settings->state_dir, names.key, why) != PK_OK)
		return false;
	if (pk_unfinished_rename(&pk_policyd.unfinished, name_in_log, NULL) !=
	    PK_OK) {
		(void)snprintf(why, PK_PSEUDONYM_WHY, "out of memory");
		return false;
	}
	names.has_key = true;
	return true;
}

const char *
pk_policyd_name_of(const char *user)
{
	static char name[PK_PSEUDONYM_SIZE];

	return names.has_key && pk_pseudonym_of(names.key, user, name) ?
	    name : user;
}

const char *
pk_policyd_name_in_log(const char *user)
{
	static char name[PK_AUDIT_USER_SIZE];

	return names.has_key && name_in_log(NULL, user, name) ? name : user;
}

/* Nothing stays nothing. */
static bool
hide(const char *name, char *out)
{
	return name[0] == '\0' || pk_pseudonym_of(names.key, name, out);
}

bool
pk_policyd_names_hide(struct pk_audit_context *c)
{
	char user[PK_PSEUDONYM_SIZE] = "", ip[PK_PSEUDONYM_SIZE] = "";

	if (!hide(c->user, user) || !hide(c->ip, ip))
		return false;
	memcpy(c->user, user, sizeof(user));
	memcpy(c->ip, ip, sizeof(ip));
	return true;
}
