/*
 * System calls that fail, or after which the process dies, one at a time: for
 * tests of what survives that.  To be linked with STEPS_LDFLAGS.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef TESTS_STEPS_H
#define TESTS_STEPS_H

#include <sys/types.h>

enum mode {
	COUNT,			/* only */
	DIE_BEFORE,
	DIE_AFTER,
	DIE_HALFWAY,		/* half of it is written */
	FAIL,
};

struct plan {
	enum mode mode;
	long at;		/* the step, from 0; -1: none */
	long steps;		/* so far */
	int errnum;
	char trace[64];		/* a letter for each */
};
extern struct plan plan;

/* From now on steps are counted; that at is the last one, or fails. */
void begin(enum mode mode, long at);

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __real_renameat(int from, const char *name, int to, const char *target);
int __wrap_renameat(int from, const char *name, int to, const char *target);
int __real_linkat(int from, const char *name, int to, const char *target,
    int flags);
int __wrap_linkat(int from, const char *name, int to, const char *target,
    int flags);
int __real_unlinkat(int dirfd, const char *name, int flags);
int __wrap_unlinkat(int dirfd, const char *name, int flags);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);

#endif
