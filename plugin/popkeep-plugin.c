/*
 * The mail plugin: see popkeep-plugin.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-compat.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-hooks.h"

#include "popkeep-plugin.h"
#include "popkeep-pop3.h"
#include "popkeep-protect.h"
#include "popkeep-retained.h"
#include "popkeep-user.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const char *popkeep_plugin_version = DOVECOT_ABI_VERSION;

static void popkeep_namespaces_created(struct mail_namespace *namespaces)
{
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(namespaces->user);

	if (puser != NULL)
		popkeep_pop3_namespaces_created(puser);
}

static void popkeep_mailbox_allocated(struct mailbox *box)
{
	popkeep_retained_allocated(box);
	popkeep_protect_mailbox_allocated(box);
	popkeep_pop3_mailbox_allocated(box);
}

static void popkeep_mail_allocated(struct mail *mail)
{
	popkeep_protect_mail_allocated(mail);
	popkeep_pop3_mail_allocated(mail);
}

static struct mail_storage_hooks popkeep_hooks = {
	.mail_user_created = popkeep_user_created,
	.mail_namespaces_created = popkeep_namespaces_created,
	.mailbox_allocated = popkeep_mailbox_allocated,
	.mail_allocated = popkeep_mail_allocated,
};

/* Before those of plugins, quota's and ACL's among them. */
static const struct mail_storage_hooks popkeep_early_hooks = {
	.mailbox_list_created = popkeep_retained_list_created,
};

EXPORT void popkeep_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &popkeep_hooks);
	mail_storage_hooks_add_internal(&popkeep_early_hooks);
	popkeep_pop3_init();
}

EXPORT void popkeep_plugin_deinit(void)
{
	popkeep_pop3_deinit();
	mail_storage_hooks_remove_internal(&popkeep_early_hooks);
	mail_storage_hooks_remove(&popkeep_hooks);
}
