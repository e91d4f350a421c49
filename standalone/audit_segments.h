/*
 * The segments of an audit log: what its file was before it was rotated.  That
 * of FILE whose first record is N is FILE.N, with N in 20 digits.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_SEGMENTS_H
#define PK_AUDIT_SEGMENTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits of the number in a segment's name. */
#define PK_AUDIT_SEGMENT_DIGITS 20

struct pk_audit_segments {
	uint64_t *first;	/* the number of each, in order */
	size_t count;
};

/*
 * List those of the log path in the directory dirfd, which path is in.  0, or -1
 * and errno; then there are none.  To be freed.
 */
int pk_audit_segments_list(int dirfd, const char *path,
    struct pk_audit_segments *s) __attribute__((__warn_unused_result__));
void pk_audit_segments_free(struct pk_audit_segments *s);

/* The name of one, like path; false and errno: it is too long. */
bool pk_audit_segment_path(const char *path, uint64_t first,
    char out[PATH_MAX]) __attribute__((__warn_unused_result__));

/* Are two open files the same? */
bool pk_audit_is_same(int fd, int other);

#endif
