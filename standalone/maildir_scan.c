/*
 * Reading a Maildir.  Other programs deliver, rename and remove meanwhile:
 * new is read before cur, so that a message which moves between them is seen
 * at least once; both are read again while their times change; and a message
 * that the index knows is dropped only after a reading that could not miss it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_dir.h"
#include "standalone/maildir_measure.h"
#include "engine/maildir_name.h"
#include "standalone/maildir_scan.h"
#include "standalone/maildir_table.h"
#include "standalone/maildir_why.h"

enum state {
	KNOWN,		/* from the index */
	FOUND,		/* not looked at yet */
	MEASURED,
	LEFT_OUT,	/* not served: no regular file, not readable */
};

struct entry {
	struct pk_index_record record;	/* its name is in the reading's names */
	uint8_t seen;			/* the last pass that met it */
	uint8_t state;
	bool sure;			/* a regular file, says the directory */
	bool keep;			/* goes into the new index */
};

struct reading {
	const struct pk_scan *scan;
	struct entry *entries;
	uint32_t count, room;
	char *names;
	size_t names_len, names_room;
	struct pk_table table;
	struct pk_index_stamp stamps[PK_DIRS];
	int dirs[PK_DIRS];
	uint8_t *chunk;
	uint8_t pass;
	uint64_t visited;	/* names, in all passes */
	bool stable;		/* nothing changed during the last pass */
	bool complete;		/* what the last pass did not meet is gone */
	bool moved;		/* a known message is elsewhere now */
	uint32_t irregular, refused, gone, read;
	char *why;
};

static enum pk_maildir_status
out_of_memory(struct reading *rd)
{
	pk_why_add(rd->why, "out of memory");
	errno = 0;
	return PK_MAILDIR_TEMPORARY;
}

/* Room for len more octets of names and one more entry. */
static bool
make_room(struct reading *rd, size_t len)
{
	struct entry *entries;
	char *names;
	size_t room;

	if (rd->count == rd->room) {
		room = rd->room == 0 ? 32 : (size_t)rd->room * 2;
		entries = realloc(rd->entries, room * sizeof(*entries));
		if (entries == NULL)
			return false;
		rd->entries = entries;
		rd->room = (uint32_t)room;
	}
	if (len > rd->names_room - rd->names_len) {
		room = rd->names_room * 2 + len + 1024;
		names = room > UINT32_MAX ? NULL : realloc(rd->names, room);
		if (names == NULL)
			return false;
		rd->names = names;
		rd->names_room = room;
	}
	return true;
}

/* Append a file name; make_room() was called.  Returns where it is. */
static uint32_t
put_name(struct reading *rd, const char *name, size_t len)
{
	size_t off = rd->names_len;

	memcpy(rd->names + off, name, len + 1);
	rd->names_len += len + 1;
	return (uint32_t)off;
}

/* Begin with the records of the old index; none has been seen yet. */
static enum pk_maildir_status
take_index(struct reading *rd, const struct pk_index *old)
{
	const struct pk_index_record *record;
	uint32_t i, hash, count = old->header->count;
	size_t names_len = (size_t)old->header->names_len;
	const char *base;

	rd->entries = calloc((size_t)count + 32, sizeof(*rd->entries));
	rd->names = malloc(names_len + 1024);
	if (rd->entries == NULL || rd->names == NULL ||
	    pk_table_init(&rd->table, count + count / 4) != PK_OK)
		return out_of_memory(rd);
	rd->room = count + 32;
	rd->names_room = names_len + 1024;
	memcpy(rd->names, old->names, names_len);
	rd->names_len = names_len;
	for (i = 0; i < count; i++) {
		record = &old->records[i];
		rd->entries[i].record = *record;
		base = rd->names + record->name_off;
		hash = pk_table_hash(base, record->base_len);
		if (pk_table_add(&rd->table, hash, i, record->name_off,
		    record->base_len) != PK_OK)
			return out_of_memory(rd);
	}
	rd->count = count;
	return PK_MAILDIR_OK;
}

static void
set_place(struct reading *rd, struct entry *entry, enum pk_maildir_dir dir,
    const char *name, size_t len)
{
	struct pk_index_record *record = &entry->record;

	record->name_off = put_name(rd, name, len);
	record->name_len = (uint8_t)len;
	record->flags &= (uint16_t)~PK_RECORD_CUR;
	if (dir == PK_CUR)
		record->flags |= PK_RECORD_CUR;
}

static enum pk_maildir_status
add_entry(struct reading *rd, enum pk_maildir_dir dir, const char *name,
    size_t len, size_t base_len, uint32_t hash)
{
	struct entry *entry = &rd->entries[rd->count];

	if (rd->count >= rd->scan->max) {
		pk_why_add(rd->why, "more than %u messages", rd->scan->max);
		return PK_MAILDIR_PERMANENT;
	}
	memset(entry, 0, sizeof(*entry));
	entry->state = FOUND;
	entry->record.base_len = (uint8_t)base_len;
	entry->record.first_seen = rd->scan->now;
	set_place(rd, entry, dir, name, len);
	if (!pk_name_is_unique_id(name, base_len))
		entry->record.flags |= PK_RECORD_HASH;
	if (pk_table_add(&rd->table, hash, rd->count, entry->record.name_off,
	    (uint32_t)base_len) != PK_OK)
		return out_of_memory(rd);
	rd->count++;
	return PK_MAILDIR_OK;
}

static bool
is_at(const struct reading *rd, const struct entry *entry,
    enum pk_maildir_dir dir, const char *name, size_t len)
{
	const struct pk_index_record *record = &entry->record;

	return (record->flags & PK_RECORD_CUR) == (unsigned int)dir &&
	    record->name_len == len &&
	    memcmp(rd->names + record->name_off, name, len) == 0;
}

/* A name in new or cur. */
static enum pk_maildir_status
visit(void *ctx, enum pk_maildir_dir dir, const char *name, size_t len,
    bool sure)
{
	struct reading *rd = ctx;
	size_t base_len = pk_name_base_len(name, len);
	uint32_t hash, id;
	struct entry *entry;
	enum pk_maildir_status status = PK_MAILDIR_OK;
	bool again;

	rd->visited++;
	if (!make_room(rd, len + 1))
		return out_of_memory(rd);
	hash = pk_table_hash(name, base_len);
	id = pk_table_find(&rd->table, rd->names, hash, name, base_len);
	if (id == PK_TABLE_NONE) {
		id = rd->count;
		status = add_entry(rd, dir, name, len, base_len, hash);
		if (status != PK_MAILDIR_OK)
			return status;
	}
	entry = &rd->entries[id];
	/* Twice in one pass: cur wins, and in one directory the first. */
	again = entry->seen == rd->pass &&
	    (entry->record.flags & PK_RECORD_CUR) == (unsigned int)dir;
	if (!again && !is_at(rd, entry, dir, name, len)) {
		set_place(rd, entry, dir, name, len);
		rd->moved = true;
	}
	if (entry->state == LEFT_OUT)
		entry->state = FOUND;
	entry->sure = sure;
	entry->seen = rd->pass;
	return PK_MAILDIR_OK;
}

static enum pk_maildir_status
take_stamps(struct reading *rd, struct pk_index_stamp stamps_r[PK_DIRS])
{
	enum pk_maildir_dir bad;

	if (pk_dir_stamps(rd->scan->dirfd, rd->scan->nfs, stamps_r,
	    &bad) == 0)
		return PK_MAILDIR_OK;
	pk_why_add(rd->why, "%s: %m", pk_dir_name(bad));
	return pk_why_status(errno);
}

/* Read both directories once. */
static enum pk_maildir_status
read_once(struct reading *rd)
{
	struct pk_index_stamp after[PK_DIRS];
	enum pk_maildir_status status;

	rd->pass++;
	rd->irregular = 0;
	rd->refused = 0;
	status = take_stamps(rd, rd->stamps);
	if (status == PK_MAILDIR_OK)
		status = pk_dir_read(rd->scan->dirfd, PK_NEW, visit, rd,
		    &rd->irregular, rd->why);
	if (status == PK_MAILDIR_OK)
		status = pk_dir_read(rd->scan->dirfd, PK_CUR, visit, rd,
		    &rd->irregular, rd->why);
	if (status == PK_MAILDIR_OK)
		status = take_stamps(rd, after);
	if (status == PK_MAILDIR_OK)
		rd->stable = pk_dir_stamps_equal(rd->stamps, after);
	return status;
}

/* Was a directory left alone for so many milliseconds before the scan? */
static bool
is_settled(const struct pk_index_stamp *stamp, const struct timespec *now,
    int milliseconds)
{
	int64_t limit = now->tv_sec - milliseconds / 1000;
	int64_t nsec = now->tv_nsec - milliseconds % 1000 * INT64_C(1000000);

	if (nsec < 0) {
		nsec += 1000000000;
		limit--;
	}
	return now->tv_sec != 0 && (stamp->mtime < limit ||
	    (stamp->mtime == limit && stamp->mtime_nsec <= nsec));
}

static bool
are_settled(const struct reading *rd, int milliseconds)
{
	const struct timespec *now = &rd->scan->fs_now;

	return is_settled(&rd->stamps[PK_NEW], now, milliseconds) &&
	    is_settled(&rd->stamps[PK_CUR], now, milliseconds);
}

/* Is a message of the index missing from the last pass? */
static bool
misses_known(const struct reading *rd)
{
	uint32_t i;

	for (i = 0; i < rd->count; i++)
		if (rd->entries[i].state == KNOWN &&
		    rd->entries[i].seen != rd->pass)
			return true;
	return false;
}

/*
 * Was the last pass, during which no time changed, enough?  Times count in
 * ticks: a change in the tick of the one before does not show.  So after a
 * very recent change, and where a known message is missing, a second such
 * pass has to confirm the first.
 */
static bool
is_enough(const struct reading *rd)
{
	return are_settled(rd, PK_SCAN_SETTLED) ||
	    (are_settled(rd, PK_SCAN_TICK) && !misses_known(rd));
}

/* Read the directories until nothing changes meanwhile. */
static enum pk_maildir_status
read_stable(struct reading *rd)
{
	enum pk_maildir_status status;
	bool before;

	rd->stable = false;
	do {
		before = rd->stable;
		status = read_once(rd);
		if (status != PK_MAILDIR_OK)
			return status;
		rd->complete = rd->stable && (before || is_enough(rd));
	} while (!rd->complete && pk_scan_may_repeat(rd->pass, rd->visited));
	return PK_MAILDIR_OK;
}

static enum pk_maildir_status
measure_entry(struct reading *rd, struct entry *entry)
{
	const char *name = rd->names + entry->record.name_off;
	enum pk_maildir_dir dir = entry->record.flags & PK_RECORD_CUR ?
	    PK_CUR : PK_NEW;
	char text[PK_WHY_NAME];

	entry->state = LEFT_OUT;
	switch (pk_measure(rd->dirs[dir], name, entry->record.base_len,
	    entry->sure, rd->chunk, &entry->record, &rd->read)) {
	case PK_MEASURED_OK:
		entry->state = MEASURED;
		return PK_MAILDIR_OK;
	case PK_MEASURED_GONE:
		rd->gone++;
		return PK_MAILDIR_OK;
	case PK_MEASURED_IRREGULAR:
		rd->irregular++;
		return PK_MAILDIR_OK;
	case PK_MEASURED_REFUSED:
		rd->refused++;
		return PK_MAILDIR_OK;
	case PK_MEASURED_COMPRESSED:
		pk_why_add(rd->why, "%s/%s is compressed", pk_dir_name(dir),
		    pk_why_name(text, name));
		return PK_MAILDIR_PERMANENT;
	case PK_MEASURED_FAILED:
		break;
	}
	pk_why_add(rd->why, "%s/%s: %m", pk_dir_name(dir),
	    pk_why_name(text, name));
	return PK_MAILDIR_TEMPORARY;
}

static enum pk_maildir_status
open_dirs(struct reading *rd)
{
	static const enum pk_maildir_dir order[PK_DIRS] = { PK_NEW, PK_CUR };
	int i;

	for (i = 0; i < PK_DIRS; i++) {
		rd->dirs[i] = pk_dir_open(rd->scan->dirfd, order[i]);
		if (rd->dirs[i] < 0) {
			pk_why_add(rd->why, "%s: %m", pk_dir_name(order[i]));
			return pk_why_status(errno);
		}
	}
	rd->chunk = malloc(PK_MEASURE_CHUNK);
	return rd->chunk != NULL ? PK_MAILDIR_OK : out_of_memory(rd);
}

/* Look at every message that is seen for the first time. */
static enum pk_maildir_status
measure_new(struct reading *rd)
{
	enum pk_maildir_status status = PK_MAILDIR_OK;
	uint32_t i;

	rd->gone = 0;
	for (i = 0; i < rd->count && status == PK_MAILDIR_OK; i++) {
		if (rd->entries[i].state != FOUND)
			continue;
		if (rd->chunk == NULL)
			status = open_dirs(rd);
		if (status == PK_MAILDIR_OK)
			status = measure_entry(rd, &rd->entries[i]);
	}
	return status;
}

/* Read, measure, and read again if messages went away between the two. */
static enum pk_maildir_status
read_maildir(struct reading *rd)
{
	enum pk_maildir_status status;

	do {
		status = read_stable(rd);
		if (status == PK_MAILDIR_OK)
			status = measure_new(rd);
	} while (status == PK_MAILDIR_OK && rd->gone > 0 &&
	    pk_scan_may_repeat(rd->pass, rd->visited));
	return status;
}

/*
 * Mark what the new index keeps.  Where the readings were disturbed to the
 * end, what was not seen stays: it may be there.
 */
static uint32_t
mark_kept(struct reading *rd, uint64_t *names_len_r, uint32_t *dropped_r)
{
	struct entry *entry;
	uint64_t names_len = 0;
	uint32_t i, kept = 0, dropped = 0;

	for (i = 0; i < rd->count; i++) {
		entry = &rd->entries[i];
		entry->keep = (entry->state == KNOWN ||
		    entry->state == MEASURED) &&
		    (entry->seen == rd->pass || !rd->complete);
		if (entry->keep) {
			kept++;
			names_len += pk_index_names_need(&entry->record,
			    entry->record.name_len);
		} else if (entry->state == KNOWN) {
			dropped++;
		}
	}
	*names_len_r = names_len;
	*dropped_r = dropped;
	return kept;
}

/* By time of delivery, then by base name. */
static int
compare(const void *a, const void *b, void *names)
{
	const struct pk_index_record *x = &((const struct entry *)a)->record;
	const struct pk_index_record *y = &((const struct entry *)b)->record;
	size_t len = x->base_len < y->base_len ? x->base_len : y->base_len;
	int order;

	if (x->delivered != y->delivered)
		return x->delivered < y->delivered ? -1 : 1;
	order = memcmp((const char *)names + x->name_off,
	    (const char *)names + y->name_off, len);
	return order != 0 ? order : x->base_len - y->base_len;
}

/* Mostly what is new is also the latest: then nothing is to be done. */
static void
sort_entries(struct reading *rd)
{
	uint32_t i;

	for (i = 1; i < rd->count; i++) {
		if (compare(&rd->entries[i - 1], &rd->entries[i],
		    rd->names) > 0) {
			qsort_r(rd->entries, rd->count, sizeof(rd->entries[0]),
			    compare, rd->names);
			return;
		}
	}
}

/* A hash depends on the base name alone: made here, new or not. */
static enum pk_err
append_kept(const struct reading *rd, struct pk_index *ix)
{
	const struct pk_index_record *record;
	char uid[PK_NAME_HASH_LEN];
	const char *name;
	enum pk_err err;
	uint32_t i;

	for (i = 0; i < rd->count; i++) {
		if (!rd->entries[i].keep)
			continue;
		record = &rd->entries[i].record;
		name = rd->names + record->name_off;
		if ((record->flags & PK_RECORD_HASH) != 0) {
			err = pk_name_hash(name, record->base_len, uid);
			if (err != PK_OK)
				return err;
		}
		pk_index_append(ix, record, name, record->name_len, uid);
	}
	return PK_OK;
}

static enum pk_maildir_status
build_index(struct reading *rd, struct pk_index *ix_r, uint32_t *dropped_r)
{
	uint64_t names_len;
	uint32_t kept;
	struct pk_index ix;

	sort_entries(rd);
	kept = mark_kept(rd, &names_len, dropped_r);
	if (pk_index_new(&ix, kept, names_len) != PK_OK)
		return out_of_memory(rd);
	if (append_kept(rd, &ix) != PK_OK) {
		pk_index_free(&ix);
		pk_why_add(rd->why, "libcrypto has no SHA-256");
		return PK_MAILDIR_TEMPORARY;
	}
	memcpy(ix.header->stamps, rd->stamps, sizeof(rd->stamps));
	ix.header->trusted = rd->complete &&
	    are_settled(rd, PK_SCAN_SETTLED) &&
	    rd->refused == 0 && rd->gone == 0;
	*ix_r = ix;
	return PK_MAILDIR_OK;
}

static uint32_t
count_added(const struct reading *rd)
{
	uint32_t i, added = 0;

	for (i = 0; i < rd->count; i++)
		if (rd->entries[i].keep && rd->entries[i].state == MEASURED)
			added++;
	return added;
}

static enum pk_maildir_status
finish(struct reading *rd, const struct pk_index *old,
    struct pk_scan_result *result_r)
{
	enum pk_maildir_status status;
	struct pk_scan_result result = { .read = rd->read };
	struct pk_index_header *header;
	uint32_t dropped;

	status = build_index(rd, &result.index, &dropped);
	if (status != PK_MAILDIR_OK)
		return status;
	header = result.index.header;
	result.added = count_added(rd);
	if (old->header != NULL) {
		pk_index_copy_facts(&result.index, old);
		result.changed = rd->moved || dropped > 0 ||
		    result.added > 0 ||
		    header->trusted != old->header->trusted ||
		    !pk_dir_stamps_equal(header->stamps, old->header->stamps);
	} else {
		header->facts_since = rd->scan->now;
		if (rd->scan->opened_before)
			header->flags |= PK_INDEX_FACTS_LOST;
		result.changed = true;
	}
	if (rd->irregular > 0)
		pk_why_add(rd->why, "%u left out that are no regular files",
		    rd->irregular);
	if (rd->refused > 0)
		pk_why_add(rd->why, "%u left out that may not be read",
		    rd->refused);
	*result_r = result;
	return PK_MAILDIR_OK;
}

enum pk_maildir_status
pk_maildir_scan(const struct pk_scan *scan, const struct pk_index *old,
    struct pk_scan_result *result_r, char why[PK_MAILDIR_WHY])
{
	struct reading rd = { .scan = scan, .dirs = { -1, -1 }, .why = why };
	enum pk_maildir_status status = PK_MAILDIR_OK;
	int i;

	if (old->header != NULL)
		status = take_index(&rd, old);
	else if (pk_table_init(&rd.table, 0) != PK_OK)
		status = out_of_memory(&rd);
	if (status == PK_MAILDIR_OK)
		status = read_maildir(&rd);
	if (status == PK_MAILDIR_OK)
		status = finish(&rd, old, result_r);
	for (i = 0; i < PK_DIRS; i++)
		if (rd.dirs[i] >= 0)
			(void)close(rd.dirs[i]);
	pk_table_deinit(&rd.table);
	free(rd.entries);
	free(rd.names);
	free(rd.chunk);
	return status;
}
