/*
 * The Retained place: see popkeep-retained.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-retained.h"
#include "str.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"

#include "popkeep-user.h"

#define POPKEEP_RETAINED_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_retained_module)
#define POPKEEP_RETAINED_LIST_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_retained_list_module)

static MODULE_CONTEXT_DEFINE_INIT(popkeep_retained_module,
				  &mail_storage_module_register);
static MODULE_CONTEXT_DEFINE_INIT(popkeep_retained_list_module,
				  &mailbox_list_module_register);

/* Protocols whose users are not the administrator. */
static const char *const client_protocols[] = {
	"imap", "pop3", "lmtp", "lda", "submission", "managesieve", NULL
};

static bool is_prefix(const struct popkeep_user *puser, const char *prefix)
{
	return strcmp(prefix, puser->set->popkeep_retained) == 0;
}

static const char *index_root(const struct mail_namespace *ns)
{
	const char *path;

	return mailbox_list_get_root_path(ns->list,
		MAILBOX_LIST_PATH_TYPE_INDEX, &path) ? path : "";
}

/* Two INBOXes with one index would each be taken for the other. */
static bool has_own_indexes(const struct popkeep_user *puser,
			    const struct mail_namespace *ns)
{
	const char *path = index_root(ns);
	const struct mail_namespace *other;

	for (other = puser->user->namespaces; other != NULL;
	     other = other->next) {
		if (other != ns && *path != '\0' &&
		    strcmp(index_root(other), path) == 0)
			return FALSE;
	}
	return TRUE;
}

struct mail_namespace *
popkeep_retained_ns(struct popkeep_user *puser, const char **error_r)
{
	struct mail_namespace *ns;

	for (ns = puser->user->namespaces; ns != NULL; ns = ns->next) {
		if (!is_prefix(puser, ns->prefix))
			continue;
		if (has_own_indexes(puser, ns))
			return ns;
		*error_r = t_strdup_printf("the namespace with the prefix "
					   "\"%s\" has its indexes where "
					   "another has them, in %s: give it "
					   "a directory of its own",
					   ns->prefix, index_root(ns));
		return NULL;
	}
	*error_r = t_strdup_printf("there is no namespace with the prefix "
				   "\"%s\" for what is retained "
				   "(setting popkeep_retained)",
				   puser->set->popkeep_retained);
	return NULL;
}

bool popkeep_is_retained(struct popkeep_user *puser,
			 const struct mailbox *box)
{
	return is_prefix(puser, box->list->ns->prefix);
}

const char *
popkeep_retained_vname(const struct mail_namespace *ns,
		       const struct mailbox *box)
{
	struct mail_namespace *src = box->list->ns;
	char from = mail_namespace_get_sep(src);
	char to = mail_namespace_get_sep((struct mail_namespace *)ns);
	const char *name = box->vname;
	string_t *str = t_str_new(64);

	if (!box->inbox_user &&
	    strncmp(name, src->prefix, src->prefix_len) == 0)
		name += src->prefix_len;
	str_append(str, ns->prefix);
	for (; *name != '\0'; name++)
		str_append_c(str, *name == from ? to : *name);
	return str_c(str);
}

/* ---- opening ------------------------------------------------------------ */

static int open_or_create(struct mailbox *box, bool create,
			  const char **error_r)
{
	enum mail_error error;

	if (mailbox_open(box) == 0)
		return 0;
	*error_r = mailbox_get_last_internal_error(box, &error);
	if (error != MAIL_ERROR_NOTFOUND)
		return -1;
	if (!create) {
		*error_r = NULL;
		return -1;
	}
	if ((mailbox_create(box, NULL, FALSE) < 0 &&
	     mailbox_get_last_mail_error(box) != MAIL_ERROR_EXISTS) ||
	    mailbox_open(box) < 0) {
		*error_r = mailbox_get_last_internal_error(box, NULL);
		return -1;
	}
	return 0;
}

struct mailbox *
popkeep_open_box(struct popkeep_user *puser, struct mailbox_list *list,
		 const char *vname, bool create, const char **error_r)
{
	struct mailbox *box;
	int ret;

	puser->own++;
	box = mailbox_alloc(list, vname, MAILBOX_FLAG_IGNORE_ACLS);
	ret = open_or_create(box, create, error_r);
	if (ret == 0 && mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) {
		*error_r = mailbox_get_last_internal_error(box, NULL);
		ret = -1;
	}
	puser->own--;
	if (ret == 0)
		return box;
	if (*error_r != NULL)
		*error_r = t_strdup_printf("folder %s: %s", vname, *error_r);
	mailbox_free(&box);
	return NULL;
}

/* ---- hooks -------------------------------------------------------------- */

static bool is_clients(const struct popkeep_user *puser)
{
	return str_array_find(client_protocols,
			      popkeep_user_protocol(puser->user));
}

/* Not even by the whole of its name: that would tell of a hold. */
static const struct mailbox_info *
popkeep_retained_iter_next(struct mailbox_list_iterate_context *ctx)
{
	struct mailbox_list *list = ctx->list;
	union mailbox_list_module_context *rlist =
		POPKEEP_RETAINED_LIST_CONTEXT(list);
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(list->ns->user);

	return puser->own == 0 ? NULL : rlist->super.iter_next(ctx);
}

void popkeep_retained_list_created(struct mailbox_list *list)
{
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(list->ns->user);

	if (puser != NULL && is_prefix(puser, list->ns->prefix))
		list->ns->flags |= NAMESPACE_FLAG_NOQUOTA |
			NAMESPACE_FLAG_NOACL;
}

/*
 * Dovecot's own index of folders lists without asking what was overridden after
 * it: this is outside of all others.
 */
static void hide_list(struct mailbox_list *list)
{
	union mailbox_list_module_context *rlist;

	rlist = p_new(list->pool, union mailbox_list_module_context, 1);
	rlist->super = list->v;
	list->v.iter_next = popkeep_retained_iter_next;
	MODULE_CONTEXT_SET_SELF(list, popkeep_retained_list_module, rlist);
}

void popkeep_retained_namespaces_created(struct popkeep_user *puser)
{
	const char *error;
	struct mail_namespace *ns = popkeep_retained_ns(puser, &error);

	if (ns != NULL && is_clients(puser))
		hide_list(ns->list);
}

static int refuse(struct mailbox *box)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_NOTFOUND,
			       T_MAIL_ERR_MAILBOX_NOT_FOUND(box->vname));
	return -1;
}

static int
popkeep_retained_exists(struct mailbox *box, bool auto_boxes,
			enum mailbox_existence *existence_r)
{
	union mailbox_module_context *rbox = POPKEEP_RETAINED_CONTEXT(box);
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);

	if (puser->own > 0)
		return rbox->super.exists(box, auto_boxes, existence_r);
	*existence_r = MAILBOX_EXISTENCE_NONE;
	return 0;
}

static int popkeep_retained_open(struct mailbox *box)
{
	union mailbox_module_context *rbox = POPKEEP_RETAINED_CONTEXT(box);
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);

	if (puser->own == 0)
		return refuse(box);
	return rbox->super.open(box);
}

static int
popkeep_retained_create(struct mailbox *box, const struct mailbox_update *u,
			bool directory)
{
	union mailbox_module_context *rbox = POPKEEP_RETAINED_CONTEXT(box);
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);

	if (puser->own == 0)
		return refuse(box);
	return rbox->super.create_box(box, u, directory);
}

static int popkeep_retained_delete(struct mailbox *box)
{
	return refuse(box);
}

static int popkeep_retained_rename(struct mailbox *src,
				   struct mailbox *dest ATTR_UNUSED)
{
	return refuse(src);
}

void popkeep_retained_allocated(struct mailbox *box)
{
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *rbox;

	if (puser == NULL || !popkeep_is_retained(puser, box) ||
	    !is_clients(puser))
		return;
	rbox = p_new(box->pool, union mailbox_module_context, 1);
	rbox->super = *v;
	box->vlast = &rbox->super;
	v->exists = popkeep_retained_exists;
	v->open = popkeep_retained_open;
	v->create_box = popkeep_retained_create;
	v->delete_box = popkeep_retained_delete;
	v->rename_box = popkeep_retained_rename;
	MODULE_CONTEXT_SET_SELF(box, popkeep_retained_module, rbox);
}
