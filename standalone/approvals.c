/*
 * Approved logins: see approvals.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "standalone/approvals.h"

#define APPROVALS_MAX	1024
#define APPROVAL_AGE	60	/* seconds until an unclaimed one lapses */

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

void
pk_approval_free(struct pk_approval **ap)
{
	if (*ap == NULL)
		return;
	if ((*ap)->channel != -1)
		close((*ap)->channel);
	free(*ap);
	*ap = NULL;
}

static struct pk_approval *
unlink_one(struct pk_approvals *all, struct pk_approval **ap)
{
	struct pk_approval *a = *ap;

	*ap = a->next;
	all->count--;
	return a;
}

/* The list is in the order of age: everything after a lapsed one has lapsed. */
static void
lapse(struct pk_approvals *all)
{
	struct pk_approval **ap = &all->first, *a;
	int64_t oldest = now() - APPROVAL_AGE;
	unsigned n = 0;

	while (*ap != NULL && (*ap)->since >= oldest &&
	    ++n < APPROVALS_MAX)
		ap = &(*ap)->next;
	while (*ap != NULL) {
		a = unlink_one(all, ap);
		pk_approval_free(&a);
	}
}

bool
pk_approvals_add(struct pk_approvals *all, const struct pk_msg_approval *msg,
    int channel)
{
	struct pk_approval *a = calloc(1, sizeof(*a));

	lapse(all);
	if (a == NULL) {
		if (channel != -1)
			close(channel);
		return false;
	}
	a->since = now();
	a->channel = channel;
	a->msg = *msg;
	a->next = all->first;
	all->first = a;
	all->count++;
	return true;
}

struct pk_approval *
pk_approvals_take(struct pk_approvals *all, uint64_t id)
{
	struct pk_approval **ap = &all->first;

	while (*ap != NULL && (*ap)->msg.id != id)
		ap = &(*ap)->next;
	return *ap != NULL ? unlink_one(all, ap) : NULL;
}

void
pk_approvals_free(struct pk_approvals *all)
{
	while (all->first != NULL) {
		struct pk_approval *a = unlink_one(all, &all->first);

		pk_approval_free(&a);
	}
}
