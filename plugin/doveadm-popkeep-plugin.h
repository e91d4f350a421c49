/*
 * The doveadm plugin: what doveadm calls.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef DOVEADM_POPKEEP_PLUGIN_H
#define DOVEADM_POPKEEP_PLUGIN_H

struct module;

extern const char *doveadm_popkeep_plugin_version;

void doveadm_popkeep_plugin_init(struct module *module);
void doveadm_popkeep_plugin_deinit(void);

#endif
