/*
 * Facts of a user's messages: what was downloaded and when, through one of
 * Dovecot's dicts, keyed by GUID.  They outlive Dovecot's index, and a dict that
 * several backends share shares them.
 *
 * What is not known is not 'never': whoever decides about a message leans to
 * keeping it.  Where two sessions write of the same message the last one wins;
 * what the other knew is then unknown.
 *
 * In the dict: priv/popkeep/guid:GUID = "1 SEEN DOWNLOADED READ UNCONFIRMED
 * LAST", priv/popkeep/since and priv/popkeep/login = a time.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_FACTS_H
#define POPKEEP_FACTS_H

#include "popkeep-compat.h"

struct dict;
struct dict_op_settings;
struct mail_user;
struct popkeep_settings;
struct popkeep_facts;

/* Of one message; times are seconds since 1970 UTC, 0: not known. */
struct popkeep_fact {
	int64_t seen;			/* first seen by popkeep */
	int64_t downloaded;		/* confirmed, and QUIT came */
	int64_t read;			/* TOP sent it whole, and QUIT came */
	int64_t unconfirmed_last;
	uint32_t unconfirmed;		/* unconfirmed downloads, 1 h apart */
};

/*
 * The store of user's facts, with nothing loaded; nothing is read or connected
 * to yet.  -1: the dict cannot be had; *error_r says why.
 */
int popkeep_facts_init(struct mail_user *user,
		       const struct popkeep_settings *set,
		       struct popkeep_facts **facts_r, const char **error_r);
/*
 * The same of a dict, which is the store's from now on.  op_set's strings are
 * used until _deinit(); what is found that is not ours is logged to event.
 */
struct popkeep_facts *
popkeep_facts_init_dict(struct dict *dict,
			const struct dict_op_settings *op_set,
			struct event *event);
/* Nothing that was not committed is kept.  *facts may be NULL. */
void popkeep_facts_deinit(struct popkeep_facts **facts);

/*
 * Load the facts of the messages with these GUIDs, and since when facts are
 * kept.  Facts begin now (a UNIX time) where they had not begun; the next commit
 * records that.  May be called again, for others; what was loaded is not read
 * again, and no GUID at all costs nothing and says nothing of since.  An empty
 * GUID is nobody's: nothing is ever known or kept of it.  -1: *error_r says why,
 * and nothing is known of what this call would have loaded.
 */
int popkeep_facts_load(struct popkeep_facts *facts, const char *const *guids,
		       unsigned int count, time_t now, const char **error_r);

/* Since when facts are kept; 0: not loaded. */
int64_t popkeep_facts_since(const struct popkeep_facts *facts);

/*
 * What was loaded or set of one message; all 0: nothing.  Valid until facts of
 * the same GUID change, or _deinit().
 */
const struct popkeep_fact *
popkeep_facts_get(const struct popkeep_facts *facts, const char *guid);

/* Set them, or forget all (the message is gone), at the next commit. */
void popkeep_facts_set(struct popkeep_facts *facts, const char *guid,
		       const struct popkeep_fact *fact);
void popkeep_facts_forget(struct popkeep_facts *facts, const char *guid);

/* The last login that login-delay counts from; 0: none.  -1: as above. */
int popkeep_facts_last_login(struct popkeep_facts *facts, int64_t *login_r,
			     const char **error_r);
void popkeep_facts_logged_in(struct popkeep_facts *facts, int64_t now);

/*
 * Write what was set since the last commit, durable on return as far as the dict
 * is; nothing was set: the dict is not touched.  -1: *error_r says why; it may
 * or may not have been written, and the next commit tries again.
 */
int popkeep_facts_commit(struct popkeep_facts *facts, const char **error_r);

#endif
