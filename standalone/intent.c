/*
 * Closing intents: see intent.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/decide.h"
#include "standalone/intent.h"

static void
open_retained(struct pk_closing *c, const char *path, bool nfs)
{
	struct pk_maildir_settings set = { .nfs = nfs };
	char why[PK_MAILDIR_WHY];
	struct stat st;

	if (stat(path, &st) != 0 && errno == ENOENT)
		return;
	c->hidden = pk_maildir_open(path, &set, &c->retained, why) !=
	    PK_MAILDIR_OK;
}

enum pk_err
pk_closing_begin(struct pk_closing *c, const struct pk_maildrop *md,
    const char *retained, bool nfs)
{
	memset(c, 0, sizeof(*c));
	open_retained(c, retained, nfs);
	if (pk_uid_set_init(&c->here, md) == PK_OK && (c->retained == NULL ||
	    pk_uid_set_init(&c->kept, c->retained) == PK_OK))
		return PK_OK;
	pk_closing_end(c);
	return PK_ERR_NOMEM;
}

void
pk_closing_end(struct pk_closing *c)
{
	pk_uid_set_deinit(&c->here);
	pk_uid_set_deinit(&c->kept);
	pk_maildir_close(&c->retained);
}

void
pk_closing_item(const struct pk_closing *c, struct pk_audit_item *item)
{
	size_t len = strlen(item->uidl);
	struct pk_whereabouts w = {
		.here = pk_uid_set_find(&c->here, item->uidl, len) != 0,
		.kept = pk_uid_set_find(&c->kept, item->uidl, len) != 0,
		.hidden = c->hidden,
	};

	pk_intent_close(&w, item);
}
