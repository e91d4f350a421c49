/*
 * The Retained place: a namespace of its own, outside of what clients see, with
 * a folder for each folder that something was retained of.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_RETAINED_H
#define POPKEEP_RETAINED_H

#include "popkeep-compat.h"

struct mailbox;
struct mailbox_list;
struct mail_namespace;
struct popkeep_user;

/*
 * The namespace with the prefix that popkeep_retained names.  NULL: there is
 * none; *error_r says what was expected.
 */
struct mail_namespace *
popkeep_retained_ns(struct popkeep_user *puser, const char **error_r);

/* Is this folder inside it? */
bool popkeep_is_retained(struct popkeep_user *puser,
			 const struct mailbox *box);

/* The name there of what comes from this folder. */
const char *
popkeep_retained_vname(const struct mail_namespace *ns,
		       const struct mailbox *box);

/*
 * Open and sync the folder vname, wherever it is; create: make it if it is not
 * there.  NULL: *error_r says why, or is NULL: it is not there.  The caller
 * frees it.
 */
struct mailbox *
popkeep_open_box(struct popkeep_user *puser, struct mailbox_list *list,
		 const char *vname, bool create, const char **error_r);

/* A hook before anybody else's: neither quota nor ACLs reach it. */
void popkeep_retained_list_created(struct mailbox_list *list);

/* A hook: clients are not told what is in it. */
void popkeep_retained_namespaces_created(struct popkeep_user *puser);

/* A hook: clients cannot open it. */
void popkeep_retained_allocated(struct mailbox *box);

#endif
