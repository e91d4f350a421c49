/*
 * The unique-ids of a maildrop: see uid_set.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "standalone/uid_set.h"

static int
by_text(const void *a, const void *b)
{
	const struct pk_uid *one = a, *two = b;
	size_t len = one->len < two->len ? one->len : two->len;
	int order = memcmp(one->text, two->text, len);

	return order != 0 ? order : (one->len > two->len) -
	    (one->len < two->len);
}

enum pk_err
pk_uid_set_init(struct pk_uid_set *set, const struct pk_maildrop *md)
{
	uint32_t i, n = md->ops->count(md);
	struct pk_message_info info;

	set->count = 0;
	set->uids = calloc((size_t)n + 1, sizeof(*set->uids));
	if (set->uids == NULL)
		return PK_ERR_NOMEM;
	for (i = 0; i < n; i++) {
		md->ops->info(md, i + 1, &info);
		set->uids[i] = (struct pk_uid){ .text = info.uid,
		    .len = info.uid_len, .msgno = i + 1 };
	}
	set->count = n;
	qsort(set->uids, n, sizeof(*set->uids), by_text);
	return PK_OK;
}

void
pk_uid_set_deinit(struct pk_uid_set *set)
{
	free(set->uids);
	memset(set, 0, sizeof(*set));
}

uint32_t
pk_uid_set_find(const struct pk_uid_set *set, const char *uid, size_t len)
{
	const struct pk_uid key = { .text = uid, .len = len }, *found;

	if (set->count == 0)
		return 0;
	found = bsearch(&key, set->uids, set->count, sizeof(key), by_text);
	return found != NULL ? found->msgno : 0;
}
