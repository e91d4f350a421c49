/*
 * What the mail plugin has for other modules of ours in the same process: what
 * it knows of a user is found through its own module contexts only, so doveadm's
 * commands look this table up in it, and have no copy of that code.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_API_H
#define POPKEEP_API_H

#include "popkeep-compat.h"

#include "popkeep-ask.h"
#include "popkeep-facts.h"
#include "popkeep-maildrop.h"
#include "popkeep-restore.h"
#include "popkeep-retained.h"
#include "popkeep-unfinished.h"
#include "popkeep-update.h"
#include "popkeep-user.h"

struct mail_storage_service_user;

/* The name of the table, and which one it is: another one is not to be used. */
#define POPKEEP_API_SYMBOL	"popkeep_plugin_api"
#define POPKEEP_API_VERSION	1

/* Functions are described where they are declared, with popkeep_ before them. */
struct popkeep_plugin_api {
	unsigned int version;

	/* What is known of the user; NULL: the plugin does not serve him. */
	struct popkeep_user *(*user)(struct mail_user *user);
	/*
	 * The setting popkeep_socket of a user who is not there yet.  NULL:
	 * *error_r says why.
	 */
	const char *(*socket)(struct mail_storage_service_user *user,
			      const char **error_r);

	enum popkeep_policy (*user_ask)(struct popkeep_user *puser,
					bool again);
	struct popkeep_facts *(*user_facts)(struct popkeep_user *puser);
	int (*facts_load)(struct popkeep_facts *facts,
			  const char *const *guids, unsigned int count,
			  time_t now, const char **error_r);
	int64_t (*facts_since)(const struct popkeep_facts *facts);
	int (*facts_commit)(struct popkeep_facts *facts,
			    const char **error_r);

	struct popkeep_ask *(*ask_init)(const char *socket);
	void (*ask_deinit)(struct popkeep_ask **ask);
	void (*ask_begin)(struct popkeep_ask *ask, struct pk_wire *w,
			  enum pk_wire_type type, uint32_t flags);
	int (*ask_send)(struct popkeep_ask *ask, struct pk_wire *w,
			enum pk_wire_type wanted, struct pk_wire *in_r,
			const char **error_r);
	int (*ask_records)(struct popkeep_ask *ask, struct pk_wire *w,
			   enum pk_wire_result *result_r,
			   const char **error_r);

	struct mail_namespace *(*retained_ns)(struct popkeep_user *puser,
					      const char **error_r);
	struct mailbox *(*open_box)(struct popkeep_user *puser,
				    struct mailbox_list *list,
				    const char *vname, bool create,
				    const char **error_r);

	struct popkeep_maildrop *(*maildrop_init)(struct popkeep_user *puser,
						  struct mailbox *box);
	void (*maildrop_deinit)(struct popkeep_maildrop **pm);
	void (*maildrop_load_facts)(struct popkeep_maildrop *pm,
				    const uint8_t *events, time_t now);
	const struct popkeep_message *
	(*maildrop_look)(struct popkeep_maildrop *pm, uint32_t msgno);

	int (*update_run)(struct popkeep_update *u);
	void (*update_deinit)(struct popkeep_update *u);
	int (*restore)(struct popkeep_restore *r);
	unsigned int (*close_unfinished)(struct popkeep_user *puser,
					 struct mailbox *open);
};

extern const struct popkeep_plugin_api popkeep_plugin_api;

#endif
