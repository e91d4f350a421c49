/*
 * The mail plugin: what Dovecot calls, and which of our parts it goes to.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_PLUGIN_H
#define POPKEEP_PLUGIN_H

struct module;

extern const char *popkeep_plugin_version;

void popkeep_plugin_init(struct module *module);
void popkeep_plugin_deinit(void);

#endif
