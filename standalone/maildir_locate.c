/*
 * Where the messages of an open maildrop are now.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "standalone/maildir_dir.h"
#include "standalone/maildir_locate.h"
#include "engine/maildir_name.h"
#include "standalone/maildir_scan.h"
#include "standalone/maildir_table.h"
#include "standalone/maildir_why.h"

#define AT_RECORDED	0
#define AT_GONE		UINT32_MAX

struct search {
	struct pk_places *places;
	const struct pk_index *ix;
	struct pk_table table;
	uint8_t *seen;		/* per record: the last pass that met it */
	uint8_t pass;
	uint64_t visited;	/* names, in all passes */
};

static bool
is_at(const struct search *s, uint32_t id, enum pk_maildir_dir dir,
    const char *name)
{
	enum pk_maildir_dir there;
	const char *now;

	return pk_places_get(s->places, s->ix, id, &there, &now) &&
	    there == dir && strcmp(now, name) == 0;
}

static bool
is_recorded(const struct pk_index *ix, uint32_t id, enum pk_maildir_dir dir,
    const char *name)
{
	const struct pk_index_record *record = &ix->records[id];

	return (record->flags & PK_RECORD_CUR) == (unsigned int)dir &&
	    strcmp(pk_index_name(ix, record), name) == 0;
}

static bool
set_place(struct pk_places *places, uint32_t id, enum pk_maildir_dir dir,
    const char *name, size_t len)
{
	size_t room;
	char *pool;

	if (len + 2 > places->room - places->len) {
		room = places->room * 2 + len + 256;
		pool = room >= AT_GONE ? NULL : realloc(places->pool, room);
		if (pool == NULL)
			return false;
		places->pool = pool;
		places->room = room;
	}
	/* Offset 0 means something else. */
	if (places->len == 0)
		places->len = 1;
	places->at[id] = (uint32_t)places->len;
	places->pool[places->len] = (char)dir;
	memcpy(places->pool + places->len + 1, name, len + 1);
	places->len += len + 2;
	return true;
}

static enum pk_maildir_status
visit(void *ctx, enum pk_maildir_dir dir, const char *name, size_t len,
    bool sure)
{
	struct search *s = ctx;
	size_t base_len = pk_name_base_len(name, len);
	uint32_t id;

	(void)sure;
	s->visited++;
	id = pk_table_find(&s->table, s->ix->names,
	    pk_table_hash(name, base_len), name, base_len);
	if (id == PK_TABLE_NONE)
		return PK_MAILDIR_OK;
	if (is_recorded(s->ix, id, dir, name)) {
		s->seen[id] = s->pass;
		s->places->at[id] = AT_RECORDED;
		return PK_MAILDIR_OK;
	}
	/* Two files with one base name: the recorded one is meant. */
	if (s->seen[id] == s->pass && s->places->at[id] == AT_RECORDED)
		return PK_MAILDIR_OK;
	s->seen[id] = s->pass;
	if (is_at(s, id, dir, name))
		return PK_MAILDIR_OK;
	if (set_place(s->places, id, dir, name, len))
		return PK_MAILDIR_OK;
	errno = ENOMEM;
	return PK_MAILDIR_TEMPORARY;
}

static enum pk_err
fill_table(struct search *s)
{
	uint32_t i, count = s->ix->header->count;
	const struct pk_index_record *record;
	const char *base;
	enum pk_err err;

	s->seen = calloc((size_t)count + 1, sizeof(*s->seen));
	if (s->places->at == NULL)
		s->places->at = calloc((size_t)count + 1,
		    sizeof(*s->places->at));
	if (s->seen == NULL || s->places->at == NULL)
		return PK_ERR_NOMEM;
	err = pk_table_init(&s->table, count);
	for (i = 0; i < count && err == PK_OK; i++) {
		record = &s->ix->records[i];
		base = pk_index_name(s->ix, record);
		err = pk_table_add(&s->table,
		    pk_table_hash(base, record->base_len), i,
		    record->name_off, record->base_len);
	}
	return err;
}

/* Read new, then cur; *stable_r: nothing changed meanwhile. */
static enum pk_err
read_once(struct search *s, int dirfd, bool nfs, bool *stable_r,
    char why[PK_MAILDIR_WHY])
{
	struct pk_index_stamp before[PK_DIRS], after[PK_DIRS];
	enum pk_maildir_dir bad;
	uint32_t irregular = 0;

	s->pass++;
	if (pk_dir_stamps(dirfd, nfs, before, &bad) != 0) {
		pk_why_add(why, "%s: %m", pk_dir_name(bad));
		return PK_ERR_IO;
	}
	if (pk_dir_read(dirfd, PK_NEW, visit, s, &irregular, why) !=
	    PK_MAILDIR_OK ||
	    pk_dir_read(dirfd, PK_CUR, visit, s, &irregular, why) !=
	    PK_MAILDIR_OK)
		return PK_ERR_IO;
	if (pk_dir_stamps(dirfd, nfs, after, &bad) != 0) {
		pk_why_add(why, "%s: %m", pk_dir_name(bad));
		return PK_ERR_IO;
	}
	*stable_r = pk_dir_stamps_equal(before, after);
	return PK_OK;
}

static bool
misses_some(const struct search *s)
{
	uint32_t i;

	for (i = 0; i < s->ix->header->count; i++)
		if (s->seen[i] != s->pass &&
		    (s->ix->records[i].flags & PK_RECORD_REMOVED) == 0)
			return true;
	return false;
}

static enum pk_err
search(struct search *s, int dirfd, bool nfs, char why[PK_MAILDIR_WHY])
{
	bool stable = false, before;
	enum pk_err err;
	uint32_t i;

	do {
		before = stable;
		err = read_once(s, dirfd, nfs, &stable, why);
		if (err != PK_OK)
			return err;
	} while (pk_scan_may_repeat(s->pass, s->visited) && (!stable ||
	    (!before && misses_some(s))));
	if (!stable || !before)
		return PK_OK;
	for (i = 0; i < s->ix->header->count; i++)
		if (s->seen[i] + 1 < s->pass)
			s->places->at[i] = AT_GONE;
	return PK_OK;
}

enum pk_err
pk_places_update(struct pk_places *places, int dirfd, bool nfs,
    const struct pk_index *ix, char why[PK_MAILDIR_WHY])
{
	struct search s = { .places = places, .ix = ix };
	enum pk_err err;

	err = fill_table(&s);
	if (err == PK_OK)
		err = search(&s, dirfd, nfs, why);
	else
		pk_why_add(why, "out of memory");
	pk_table_deinit(&s.table);
	free(s.seen);
	return err;
}

bool
pk_places_get(const struct pk_places *places, const struct pk_index *ix,
    uint32_t id, enum pk_maildir_dir *dir_r, const char **name_r)
{
	const struct pk_index_record *record = &ix->records[id];
	uint32_t at = places->at != NULL ? places->at[id] : AT_RECORDED;

	if (at == AT_GONE)
		return false;
	if (at == AT_RECORDED) {
		*dir_r = record->flags & PK_RECORD_CUR ? PK_CUR : PK_NEW;
		*name_r = pk_index_name(ix, record);
	} else {
		*dir_r = places->pool[at] == PK_CUR ? PK_CUR : PK_NEW;
		*name_r = places->pool + at + 1;
	}
	return true;
}

bool
pk_places_is_gone(const struct pk_places *places, uint32_t id)
{
	return places->at != NULL && places->at[id] == AT_GONE;
}

bool
pk_places_has_moved(const struct pk_places *places, uint32_t id)
{
	return places->at != NULL && places->at[id] != AT_RECORDED &&
	    places->at[id] != AT_GONE;
}

void
pk_places_deinit(struct pk_places *places)
{
	free(places->at);
	free(places->pool);
	memset(places, 0, sizeof(*places));
}
