/*
 * What a user's processes may have written: see policyd_share.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>

#include "standalone/policyd_share.h"

#define BUCKETS 256

static struct pk_share *buckets[BUCKETS];
static size_t count;

static void
refill(struct pk_share *s, int64_t now)
{
	int64_t elapsed = now - s->at;

	/* Longer than it takes to fill it: no product can be too large. */
	if (elapsed >= 2 * PK_SHARE_OCTETS / PK_SHARE_PER_SECOND * 1000)
		s->left = PK_SHARE_OCTETS;
	else if (elapsed > 0)
		s->left += elapsed * PK_SHARE_PER_SECOND / 1000;
	if (s->left > PK_SHARE_OCTETS)
		s->left = PK_SHARE_OCTETS;
	if (s->left > PK_SHARE_OCTETS / 2)
		s->told = false;
	s->at = now;
}

static struct pk_share *
make(uid_t uid, int64_t now)
{
	struct pk_share *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->uid = uid;
	s->limited = true;
	s->left = PK_SHARE_OCTETS;
	s->at = now;
	s->ready_tail = &s->ready;
	count++;
	return s;
}

/* Nothing would be forgotten with it. */
static bool
is_idle(struct pk_share *s, int64_t now)
{
	if (s->peers > 0 || now - s->named < PK_SHARE_NAME_SECONDS * 1000)
		return false;
	refill(s, now);
	return s->left == PK_SHARE_OCTETS;
}

struct pk_share *
pk_share_of_uid(uid_t uid, int64_t now)
{
	struct pk_share **sp = &buckets[uid % BUCKETS], *s, *found = NULL;

	while ((s = *sp) != NULL) {
		if (s->uid == uid)
			found = s;
		if (s->uid == uid || !is_idle(s, now)) {
			sp = &s->next;
			continue;
		}
		*sp = s->next;
		free(s);
		count--;
	}
	if (found == NULL)
		found = *sp = make(uid, now);
	if (found != NULL)
		found->peers++;
	return found;
}

struct pk_share *
pk_share_of_peer(uid_t uid, int64_t now)
{
	struct pk_share *s = make(uid, now);

	if (s != NULL) {
		s->own = true;
		s->peers = 1;
	}
	return s;
}

void
pk_share_leave(struct pk_share *s)
{
	s->peers--;
	if (s->own) {
		free(s);
		count--;
	}
}

bool
pk_share_is_spent(struct pk_share *s, int64_t now)
{
	refill(s, now);
	return s->limited && s->left <= 0;
}

void
pk_share_spend(struct pk_share *s, int64_t octets)
{
	if (s->limited)
		s->left -= octets;
}

int64_t
pk_share_lines(size_t items, size_t context, size_t octets)
{
	/* An octet that cannot be printed is three in the log. */
	return (int64_t)(items * (PK_SHARE_LINE + 3 * context) + 3 * octets);
}

size_t
pk_share_count(void)
{
	return count;
}
