/*
 * Intents without outcome: see unfinished.h.
 *
 * A QUIT may have 100,000 of them for a moment: each is found by user and
 * unique-id, and those of a user are in a list.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "standalone/unfinished.h"

#define USERS	1024		/* buckets */
#define ENTRIES	65536

struct user {
	struct user *next;		/* in its bucket */
	struct entry *first;
	size_t count;
	char name[];
};

struct entry {
	struct entry *next;		/* in its bucket */
	struct entry *later, **earlier;	/* of the same user */
	struct user *user;
	uint64_t size;
	bool has_size;
	char *reason;
	const char *message_id;		/* behind uidl */
	char uidl[];
};

struct pk_unfinished {
	size_t count;
	uint64_t seed;
	struct user *users[USERS];
	struct entry *entries[ENTRIES];
};

struct pk_unfinished *
pk_unfinished_new(void)
{
	struct pk_unfinished *f = calloc(1, sizeof(*f));

	if (f != NULL && RAND_bytes((uint8_t *)&f->seed,
	    sizeof(f->seed)) != 1) {
		free(f);
		return NULL;
	}
	return f;
}

/*
 * FNV-1a from a secret begin.  Unique-ids are chosen by users: which of them
 * share a bucket, for which the upper bits serve, is not to be known.
 */
static uint64_t
hash(uint64_t from, const char *text)
{
	for (; *text != '\0'; text++)
		from = (from ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return from;
}

static size_t
bucket(uint64_t h, size_t buckets)
{
	return (size_t)((h * UINT64_C(0x9E3779B97F4A7C15)) >> 40) % buckets;
}

static struct user **
user_slot(const struct pk_unfinished *f, const char *name)
{
	size_t b = bucket(hash(f->seed, name), USERS);
	struct user **up = (struct user **)(uintptr_t)&f->users[b];

	while (*up != NULL && strcmp((*up)->name, name) != 0)
		up = &(*up)->next;
	return up;
}

static struct entry **
entry_slot(const struct pk_unfinished *f, const char *name, const char *uidl)
{
	size_t b = bucket(hash(hash(f->seed, name), uidl), ENTRIES);
	struct entry **ep = (struct entry **)(uintptr_t)&f->entries[b];

	while (*ep != NULL && (strcmp((*ep)->uidl, uidl) != 0 ||
	    strcmp((*ep)->user->name, name) != 0))
		ep = &(*ep)->next;
	return ep;
}

static struct user *
find_or_make(struct pk_unfinished *f, const char *name)
{
	struct user **up = user_slot(f, name);
	size_t size = strlen(name) + 1;

	if (*up == NULL) {
		*up = calloc(1, sizeof(**up) + size);
		if (*up != NULL)
			memcpy((*up)->name, name, size);
	}
	return *up;
}

static void
drop_user(struct pk_unfinished *f, struct user *u)
{
	struct user **up;

	if (u == NULL || u->count > 0)
		return;
	up = user_slot(f, u->name);
	*up = u->next;
	free(u);
}

static struct entry *
make_entry(const struct pk_audit_item *item)
{
	size_t size = strlen(item->uidl) + 1;
	size_t id_size = strlen(item->message_id) + 1;
	struct entry *e = calloc(1, sizeof(*e) + size + id_size);

	if (e == NULL || (e->reason = strdup(item->reason)) == NULL) {
		free(e);
		return NULL;
	}
	memcpy(e->uidl, item->uidl, size);
	memcpy(e->uidl + size, item->message_id, id_size);
	e->message_id = e->uidl + size;
	e->size = item->size;
	e->has_size = item->has_size;
	return e;
}

static void
forget(struct pk_unfinished *f, struct entry **ep)
{
	struct entry *e = *ep;
	struct user *u;

	if (e == NULL)
		return;
	u = e->user;
	*ep = e->next;
	*e->earlier = e->later;
	if (e->later != NULL)
		e->later->earlier = e->earlier;
	free(e->reason);
	free(e);
	u->count--;
	f->count--;
	drop_user(f, u);
}

static enum pk_err
remember(struct pk_unfinished *f, const char *name,
    const struct pk_audit_item *item)
{
	struct entry *e, **ep;
	struct user *u;

	u = find_or_make(f, name);
	e = make_entry(item);
	if (u == NULL || e == NULL) {
		drop_user(f, u);
		if (e != NULL)
			free(e->reason);
		free(e);
		return PK_ERR_NOMEM;
	}
	/* The same again: the newer one counts.  The user stays meanwhile. */
	u->count++;
	f->count++;
	forget(f, entry_slot(f, name, item->uidl));
	ep = entry_slot(f, name, item->uidl);
	*ep = e;
	e->user = u;
	e->later = u->first;
	e->earlier = &u->first;
	if (u->first != NULL)
		u->first->earlier = &e->later;
	u->first = e;
	return PK_OK;
}

void
pk_unfinished_free(struct pk_unfinished **fp)
{
	size_t i;

	for (i = 0; *fp != NULL && i < ENTRIES; i++)
		while ((*fp)->entries[i] != NULL)
			forget(*fp, &(*fp)->entries[i]);
	free(*fp);
	*fp = NULL;
}

bool
pk_unfinished_is_outcome(enum pk_audit_event event)
{
	return event == PK_AUDIT_DISPOSED || event == PK_AUDIT_RETAINED ||
	    event == PK_AUDIT_PURGED || event == PK_AUDIT_RESTORED ||
	    event == PK_AUDIT_VANISHED || event == PK_AUDIT_CLOSED_UNKNOWN;
}

enum pk_err
pk_unfinished_note(struct pk_unfinished *f, const char *user,
    const struct pk_audit_item *item)
{
	if (item->event == PK_AUDIT_DISPOSE_INTENT)
		return remember(f, user, item);
	if (pk_unfinished_is_outcome(item->event))
		forget(f, entry_slot(f, user, item->uidl));
	return PK_OK;
}

bool
pk_unfinished_has(const struct pk_unfinished *f, const char *user,
    const char *uidl)
{
	return *entry_slot(f, user, uidl) != NULL;
}

bool
pk_unfinished_is_empty(const struct pk_unfinished *f)
{
	return f->count == 0;
}

size_t
pk_unfinished_count(const struct pk_unfinished *f, const char *user)
{
	const struct user *u = *user_slot(f, user);

	return u != NULL ? u->count : 0;
}

bool
pk_unfinished_is_full(const struct pk_unfinished *f, const char *user)
{
	return pk_unfinished_count(f, user) >= PK_UNFINISHED_MAX;
}

bool
pk_unfinished_next(const struct pk_unfinished *f, const char *user,
    const void **place, struct pk_audit_item *item_r)
{
	const struct user *u = *user_slot(f, user);
	const struct entry *e = *place;

	if (u == NULL)
		return false;
	e = e == NULL ? u->first : e->later;
	if (e == NULL)
		return false;
	*place = e;
	memset(item_r, 0, sizeof(*item_r));
	item_r->event = PK_AUDIT_DISPOSE_INTENT;
	(void)snprintf(item_r->uidl, sizeof(item_r->uidl), "%s", e->uidl);
	(void)snprintf(item_r->message_id, sizeof(item_r->message_id), "%s",
	    e->message_id);
	(void)snprintf(item_r->reason, sizeof(item_r->reason), "%s",
	    e->reason);
	item_r->size = e->size;
	item_r->has_size = e->has_size;
	return true;
}

/* Those of one user to another memory. */
static bool
copy_user(const struct pk_unfinished *from, const char *user,
    struct pk_unfinished *to, const char *name)
{
	struct pk_audit_item item;
	const void *place = NULL;

	while (pk_unfinished_next(from, user, &place, &item))
		if (remember(to, name, &item) != PK_OK)
			return false;
	return true;
}

enum pk_err
pk_unfinished_rename(struct pk_unfinished **fp, pk_unfinished_name *name,
    void *arg)
{
	struct pk_unfinished *new = pk_unfinished_new();
	char other[PK_AUDIT_USER_SIZE];
	const struct user *u;
	bool ok = new != NULL;
	size_t i;

	for (i = 0; i < USERS; i++)
		for (u = (*fp)->users[i]; ok && u != NULL; u = u->next)
			ok = name(arg, u->name, other) &&
			    copy_user(*fp, u->name, new, other);
	if (!ok) {
		pk_unfinished_free(&new);
		return PK_ERR_NOMEM;
	}
	pk_unfinished_free(fp);
	*fp = new;
	return PK_OK;
}
