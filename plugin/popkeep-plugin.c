/*
 * The mail plugin: see popkeep-plugin.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-compat.h"
#include "mail-storage-hooks.h"
#include "popkeep-plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const char *popkeep_plugin_version = DOVECOT_ABI_VERSION;

static struct mail_storage_hooks popkeep_hooks = {
	.mail_user_created = NULL,
};

EXPORT void popkeep_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &popkeep_hooks);
}

EXPORT void popkeep_plugin_deinit(void)
{
	mail_storage_hooks_remove(&popkeep_hooks);
}
