/*
 * The mail plugin: see popkeep-plugin.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-compat.h"
#include "module-dir.h"
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

	if (puser == NULL)
		return;
	popkeep_retained_namespaces_created(puser);
	popkeep_pop3_namespaces_created(puser);
}

/*
 * A part that overrides functions of mailboxes or mails has hooks of its own:
 * Dovecot chains what one call of a hook has overridden.
 */
static const struct mail_storage_hooks popkeep_hooks[] = {
	{ .mail_user_created = popkeep_user_created,
	  .mail_namespaces_created = popkeep_namespaces_created,
	  .mailbox_allocated = popkeep_retained_allocated },
	{ .mailbox_allocated = popkeep_protect_mailbox_allocated,
	  .mail_allocated = popkeep_protect_mail_allocated },
	{ .mailbox_allocated = popkeep_pop3_mailbox_allocated,
	  .mail_allocated = popkeep_pop3_mail_allocated },
};

/*
 * Before those of other plugins, quota's and ACL's among them: hooks come in
 * the order of their modules' files, so they are of a module that would be the
 * first.
 */
static const struct mail_storage_hooks popkeep_early_hooks = {
	.mailbox_list_created = popkeep_retained_list_created,
};
static struct module popkeep_first_module;

EXPORT void popkeep_plugin_init(struct module *module)
{
	static char first_path[] = "lib00_popkeep_plugin.so";
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(popkeep_hooks); i++)
		mail_storage_hooks_add(module, &popkeep_hooks[i]);
	popkeep_first_module = *module;
	popkeep_first_module.path = first_path;
	mail_storage_hooks_add(&popkeep_first_module, &popkeep_early_hooks);
	popkeep_pop3_init();
}

EXPORT void popkeep_plugin_deinit(void)
{
	unsigned int i;

	popkeep_pop3_deinit();
	popkeep_ask_disconnect();
	mail_storage_hooks_remove(&popkeep_early_hooks);
	for (i = 0; i < N_ELEMENTS(popkeep_hooks); i++)
		mail_storage_hooks_remove(&popkeep_hooks[i]);
}
