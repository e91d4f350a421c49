/*
 * Message-IDs of messages that were read, or are to be disposed of: see
 * maildir_ids.h and engine/message_id.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "standalone/maildir_ids.h"
#include "standalone/maildir_private.h"

/* Octets read at a time: few headers are longer. */
#define CHUNK	4096

void
pk_ids_deinit(struct pk_ids *ids)
{
	free(ids->at);
	free(ids->text);
	memset(ids, 0, sizeof(*ids));
}

static bool
make_room(struct pk_ids *ids, uint32_t count, size_t len)
{
	size_t room = 2 * ids->room + len;
	char *grown;

	if (ids->at == NULL)
		ids->at = calloc(count, sizeof(*ids->at));
	if (ids->at == NULL)
		return false;
	if (len <= ids->room - ids->len)
		return true;
	/* All that there can be has less than 4 GB: see PK_INDEX_MAX. */
	grown = realloc(ids->text, room);
	if (grown == NULL)
		return false;
	ids->text = grown;
	ids->room = room;
	return true;
}

void
pk_ids_put(struct pk_ids *ids, uint32_t count, uint32_t id, const char *text)
{
	size_t len = strlen(text) + 1;

	if (!make_room(ids, count, len))
		return;
	memcpy(ids->text + ids->len, text, len);
	ids->at[id] = (uint32_t)ids->len + 1;
	ids->len += len;
}

const char *
pk_ids_get(const struct pk_ids *ids, uint32_t id)
{
	return ids->at != NULL && ids->at[id] > 0 ?
	    ids->text + ids->at[id] - 1 : NULL;
}

/* ---- while a message is read -------------------------------------------- */

void
pk_maildir_see_begin(struct maildir *m)
{
	m->seeing = pk_ids_get(&m->ids, m->message_id) == NULL;
	if (m->seeing)
		pk_message_id_init(&m->header);
}

void
pk_maildir_see(struct maildir *m, const uint8_t *data, size_t len)
{
	if (len == 0)
		pk_message_id_end(&m->header);
	else
		pk_message_id_feed(&m->header, data, len);
	if (!m->header.done)
		return;
	m->seeing = false;
	pk_ids_put(&m->ids, m->index.header->count, m->message_id,
	    m->header.text);
}

/* ---- without reading it ------------------------------------------------- */

/*
 * Read until it is known.  What goes wrong is not said: the message is about to
 * be moved or removed, which goes wrong in the same way.
 */
static void
look_for(struct maildir *m, uint32_t msgno)
{
	const struct pk_maildrop_ops *ops = m->head.ops;
	uint8_t chunk[CHUNK];
	char why[PK_MAILDIR_WHY];
	size_t len;

	memcpy(why, m->why, sizeof(why));
	if (ops->open(&m->head, msgno) == PK_OK) {
		while (m->seeing && ops->read(&m->head, chunk, sizeof(chunk),
		    &len) == PK_OK)
			continue;
		ops->close(&m->head, false, 0);
	}
	memcpy(m->why, why, sizeof(why));
}

void
pk_maildir_message_id(struct pk_maildrop *md, uint32_t msgno, bool look,
    char id_r[PK_MESSAGE_ID_SIZE])
{
	struct maildir *m = from_head(md);
	const char *id = pk_ids_get(&m->ids, msgno - 1);

	if (id == NULL && look) {
		look_for(m, msgno);
		id = pk_ids_get(&m->ids, msgno - 1);
	}
	if (id == NULL)
		id = "";
	memcpy(id_r, id, strlen(id) + 1);
}
