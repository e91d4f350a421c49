/*
 * Writing the index of an open Maildir as the messages are now.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "standalone/maildir_private.h"
#include "standalone/maildir_why.h"

/* The name that record id has now, as far as is known. */
static const char *
name_now(const struct maildir *m, uint32_t id)
{
	enum pk_maildir_dir dir;
	const char *name;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name))
		name = pk_index_name(&m->index, &m->index.records[id]);
	return name;
}

/* The record as it is now, with the directory it is in. */
static struct pk_index_record
record_now(const struct maildir *m, uint32_t id)
{
	struct pk_index_record record = m->index.records[id];
	enum pk_maildir_dir dir;
	const char *name;

	if (pk_places_has_moved(&m->places, id) &&
	    pk_places_get(&m->places, &m->index, id, &dir, &name)) {
		record.flags &= (uint16_t)~PK_RECORD_CUR;
		if (dir == PK_CUR)
			record.flags |= PK_RECORD_CUR;
	}
	return record;
}

/* A copy of the index without what was removed, names as they are now. */
static enum pk_err
copy_index(const struct maildir *m, struct pk_index *copy_r)
{
	const struct pk_index_record *records = m->index.records;
	struct pk_index_record record;
	uint32_t i, kept = 0;
	uint64_t names_len = 0;
	enum pk_err err;
	size_t len;

	for (i = 0; i < m->index.header->count; i++) {
		if ((records[i].flags & PK_RECORD_REMOVED) != 0)
			continue;
		kept++;
		names_len += pk_index_names_need(&records[i],
		    strlen(name_now(m, i)));
	}
	err = pk_index_new(copy_r, kept, names_len);
	if (err != PK_OK)
		return err;
	pk_index_copy_facts(copy_r, &m->index);
	memcpy(copy_r->header->stamps, m->index.header->stamps,
	    sizeof(copy_r->header->stamps));
	copy_r->header->trusted = m->index.header->trusted;
	for (i = 0; i < m->index.header->count; i++) {
		if ((records[i].flags & PK_RECORD_REMOVED) != 0)
			continue;
		record = record_now(m, i);
		pk_index_append(copy_r, &record, name_now(m, i),
		    strlen(name_now(m, i)),
		    pk_index_uid(&m->index, &records[i], &len));
	}
	return PK_OK;
}

enum pk_err
pk_maildir_save(struct maildir *m, char why[PK_MAILDIR_WHY])
{
	struct pk_index copy;
	enum pk_err err;

	err = copy_index(m, &copy);
	if (err != PK_OK) {
		pk_why_add(why, "popkeep.index: out of memory");
		return err;
	}
	err = pk_index_save(m->dirfd, &copy, why);
	pk_index_free(&copy);
	return err;
}
