/*
 * What the files of a mailbox in the hands of the tool share.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TOOL_BOX_PRIVATE_H
#define PK_TOOL_BOX_PRIVATE_H

#include "standalone/tool_box.h"

/* How often a plan is made anew because the policy changed meanwhile. */
#define PK_TOOL_BOX_TRIES 3

/* Take over why, unless it is b->why, and return PK_TOOL_BOX_FAILED. */
enum pk_tool_box_end pk_tool_box_fail(struct pk_tool_box *b, const char *why);

/* Begin a packet of records with the mailbox's context. */
void pk_tool_box_begin(struct pk_tool_box *b, struct pk_wire *w,
    uint32_t flags);

/*
 * Send records that the log must take, whether they are on disk at once or not.
 * false: b->why says why not.
 */
bool pk_tool_box_record(struct pk_tool_box *b, struct pk_wire *w)
    PK_WARN_UNUSED;

#endif
