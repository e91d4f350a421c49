/*
 * Where the messages are that doveadm's commands are about: see
 * doveadm-popkeep.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "doveadm-popkeep.h"
#include "file-dotlock.h"
#include "mail-namespace.h"
#include "mail-storage-settings.h"
#include "mailbox-list-iter.h"
#include "mailbox-list-private.h"

#include <time.h>

/* What sessions of pop3_lock_session lock, and how. */
#define LOCK_NAME	"dovecot-pop3-session.lock"
#define LOCK_STALE	(60*5)
#define LOCK_PATIENCE	2	/* seconds */

struct mailbox *
doveadm_popkeep_inbox(struct doveadm_popkeep *cmd, struct popkeep_user *puser,
		      const char **error_r)
{
	struct mail_namespace *ns =
		mail_namespace_find_inbox(puser->user->namespaces);

	return cmd->api->open_box(puser, ns->list, "INBOX", FALSE, error_r);
}

/* ---- the Retained place ------------------------------------------------- */

static int search_strcmp(const char *const *key, const char *const *name)
{
	return strcmp(*key, *name);
}

/*
 * What came from INBOX: 2.4 does not list such a folder where it is the Maildir
 * of the namespace itself.
 */
static void
add_inbox(struct mail_namespace *ns, ARRAY_TYPE(const_string) *names)
{
	const char *name = t_strconcat(ns->prefix, "INBOX", NULL);
	enum mailbox_existence existence;
	struct mailbox *box;

	if (array_lsearch(names, &name, search_strcmp) != NULL)
		return;
	box = mailbox_alloc(ns->list, name, MAILBOX_FLAG_IGNORE_ACLS);
	if (mailbox_exists(box, FALSE, &existence) < 0 ||
	    existence == MAILBOX_EXISTENCE_SELECT)
		array_push_front(names, &name);
	mailbox_free(&box);
}

int doveadm_popkeep_retained(struct doveadm_popkeep *cmd,
			     struct popkeep_user *puser,
			     struct mail_namespace **ns_r,
			     ARRAY_TYPE(const_string) *names_r,
			     const char **error_r)
{
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	const char *name;

	t_array_init(names_r, 8);
	*ns_r = cmd->api->retained_ns(puser, error_r);
	if (*ns_r == NULL)
		return -1;
	iter = mailbox_list_iter_init((*ns_r)->list, t_strconcat(
		(*ns_r)->prefix, "*", NULL), MAILBOX_LIST_ITER_NO_AUTO_BOXES);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NOSELECT |
				    MAILBOX_NONEXISTENT)) != 0)
			continue;
		name = t_strdup(info->vname);
		array_push_back(names_r, &name);
	}
	if (mailbox_list_iter_deinit(&iter) == 0) {
		add_inbox(*ns_r, names_r);
		return 0;
	}
	*error_r = t_strdup(mailbox_list_get_last_internal_error(
		(*ns_r)->list, NULL));
	return -1;
}

static int look_into(struct doveadm_popkeep *cmd, struct popkeep_user *puser,
		     struct mailbox_list *list, const char *vname,
		     int (*look)(struct doveadm_popkeep *cmd,
				 struct popkeep_maildrop *pm, void *context),
		     void *context)
{
	struct popkeep_maildrop *pm;
	struct mailbox *box;
	const char *error;
	int ret;

	box = cmd->api->open_box(puser, list, vname, FALSE, &error);
	if (box == NULL)
		return error == NULL ? 0 :
			doveadm_popkeep_fail(cmd, puser, MAIL_ERROR_TEMP,
					     error);
	pm = cmd->api->maildrop_init(puser, box);
	pm->is_retained = TRUE;
	cmd->api->maildrop_load_facts(pm, NULL, time(NULL));
	ret = look(cmd, pm, context);
	cmd->api->maildrop_deinit(&pm);
	mailbox_free(&box);
	return ret;
}

int doveadm_popkeep_each(struct doveadm_popkeep *cmd,
			 struct popkeep_user *puser,
			 int (*look)(struct doveadm_popkeep *cmd,
				     struct popkeep_maildrop *pm,
				     void *context),
			 void *context)
{
	ARRAY_TYPE(const_string) names;
	struct mail_namespace *ns;
	const char *error, *name;
	int ret = 0;

	if (doveadm_popkeep_retained(cmd, puser, &ns, &names, &error) < 0)
		return doveadm_popkeep_fail(cmd, puser, MAIL_ERROR_TEMP,
					    error);
	array_foreach_elem(&names, name) T_BEGIN {
		if (look_into(cmd, puser, ns->list, name, look, context) < 0)
			ret = -1;
	} T_END;
	return ret;
}

/* ---- the lock ----------------------------------------------------------- */

int doveadm_popkeep_lock(struct popkeep_user *puser, struct dotlock **lock_r,
			 const char **error_r)
{
	struct mailbox_list *list =
		mail_namespace_find_inbox(puser->user->namespaces)->list;
	struct dotlock_settings set = {
		.timeout = LOCK_PATIENCE, .stale_timeout = LOCK_STALE,
		.lock_suffix = "", .use_io_notify = TRUE,
		.use_excl_lock = list->mail_set->dotlock_use_excl,
		.nfs_flush = list->mail_set->mail_nfs_storage,
	};
	enum mailbox_list_path_type type = MAILBOX_LIST_PATH_TYPE_INDEX;
	const char *dir, *path;
	int ret;

	if (!mailbox_list_get_root_path(list, type, &dir)) {
		type = MAILBOX_LIST_PATH_TYPE_DIR;
		if (!mailbox_list_get_root_path(list, type, &dir)) {
			*error_r = "the storage has no directory for a lock";
			return -1;
		}
	}
	if (mailbox_list_mkdir_root(list, dir, type) < 0) {
		*error_r = t_strdup(mailbox_list_get_last_internal_error(
			list, NULL));
		return -1;
	}
	path = t_strconcat(dir, "/" LOCK_NAME, NULL);
	ret = file_dotlock_create(&set, path, 0, lock_r);
	if (ret < 0)
		*error_r = t_strdup_printf("lock %s: %m", path);
	return ret;
}

int doveadm_popkeep_must_lock(struct doveadm_popkeep *cmd,
			      struct popkeep_user *puser,
			      struct dotlock **lock_r)
{
	const char *error;
	int ret = doveadm_popkeep_lock(puser, lock_r, &error);

	if (ret > 0)
		return 0;
	if (ret == 0)
		return doveadm_popkeep_fail(cmd, puser, MAIL_ERROR_INUSE,
			"IN-USE: a session or a sweep has the lock: try again "
			"later");
	return doveadm_popkeep_fail(cmd, puser, MAIL_ERROR_TEMP, error);
}

void doveadm_popkeep_unlock(struct dotlock **lock)
{
	if (*lock != NULL)
		file_dotlock_delete(lock);
}
